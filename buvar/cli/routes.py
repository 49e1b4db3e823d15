"""``buvar routes``: what requests a service answers, and with what."""

from __future__ import annotations

import sys

import click

from buvar.cli import wanted as services


@click.command("routes")
@services.options
@click.option("--json", "as_json", is_flag=True, help="Write JSON, for other programs.")
@click.option("-l", "--long", is_flag=True, help="Tell all of each: names, what stands around it, parameters.")
def command(wanted: services.Wanted, as_json: bool, long: bool) -> None:
    """List the routes of a service: what answers which request.

    The plugins are prepared as `buvar run` does it, and taken down again; no task runs, no socket is opened. The routes
    stand in the order in which they are tried: of those that match a request, the first one gets it. HEAD, which comes
    with GET, is not listed. The exit code is 1 if the service would not start; what there is is listed nevertheless.

    \b
    Examples:
      buvar routes -c config.toml                 as the service would run
      buvar routes shop.web --long                with what each handler takes
      buvar routes shop.web --json | jq -r '.routes[].path'
    """
    from buvar import errors
    from buvar.cli import findings, listing

    look = listing.Look()
    service = wanted.rehearse(look=look)
    bad = [each for each in service.diagnostics if each.severity == "error"]
    if not look.listings and not bad:
        raise errors.UsageError(listing.NONE)
    if look.listings:
        listing.write(look.routes, as_json=as_json, long=long)
    findings.write(bad, err=True)
    sys.exit(bool(bad))

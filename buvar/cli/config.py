"""``buvar config``: what a service is configured to and why, what can be configured, and whether it fits."""

from __future__ import annotations

import sys
import typing as t

import click

from buvar.cli import wanted as services

if t.TYPE_CHECKING:
    from buvar.cli.wanted import Wanted


@click.group("config")
def command() -> None:
    """Show, check and explain the configuration of a service.

    The service is named as for `buvar run`, by PLUGINs, by files with -c, or by both. Its plugins are prepared in order
    to see what they read; no task runs. Secrets are masked.

    \b
    Examples:
      buvar config show -c config.toml     each value, and where it came from
      buvar config env -c config.toml      all environment variables
      buvar config template shop.web > config.toml
    """


@command.command("show")
@services.options
@click.option("--section", "names", multiple=True, metavar="NAME", help="Show this section only, or a table in it.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON, for other programs.")
def show(wanted: Wanted, names: tuple[str, ...], as_json: bool) -> None:
    """Show each value that is read, and where it came from.

    That is a line of a file, an environment variable, an option --set, or the default of the class. What is wrong is
    told on stderr, and the exit code is 1 then.
    """
    from buvar.cli import configured

    sys.exit(configured.show(wanted.rehearse(), names, as_json=as_json))


@command.command("env")
@services.options
@click.option("--json", "as_json", is_flag=True, help="Write JSON, for other programs.")
def env(wanted: Wanted, as_json: bool) -> None:
    """List the environment variables that are read.

    With each go its type, its default and what it is for; it is marked where it is required, secret, or set just now.
    """
    from buvar.cli import configured

    configured.env(wanted.rehearse(), as_json=as_json)


@command.command("template")
@services.options
def write_template(wanted: Wanted) -> None:
    """Write a commented TOML file with all that can be configured.

    What has a default is commented out; what is required is marked so, and has to be filled in.
    """
    from buvar.cli import configured

    configured.write_template(wanted.rehearse())


@command.command("check")
@services.options
@click.option("--json", "as_json", is_flag=True, help="Write JSON, for other programs.")
@click.option("--strict", is_flag=True, help="Exit with 1 on warnings too.")
def check(wanted: Wanted, as_json: bool, strict: bool) -> None:
    """Tell what is wrong with the configuration.

    `buvar check` tells that, and all else that would keep the service from starting.
    """
    from buvar.cli import configured

    sys.exit(configured.check(wanted, as_json=as_json, strict=strict))

"""``buvar check``: whether a service would start, and what is wrong with it, all at once."""

from __future__ import annotations

import sys
import time
import typing as t

import click

from buvar.cli import wanted as services

if t.TYPE_CHECKING:
    from buvar.diagnostic import Diagnostic


def _explain(ctx: click.Context, _: click.Parameter, code: str | None) -> None:
    if code is None or ctx.resilient_parsing:
        return
    from buvar.cli.remedies import REMEDIES
    from buvar.diagnostic import CODES

    chosen = [*CODES] if code == "all" else [code.upper()]
    if chosen[0] not in CODES:
        raise click.BadParameter(f"there is no code {code}; '--explain all' lists those that there are", ctx)
    for each in chosen:
        click.echo(f"{each}: {CODES[each]}")
    if code != "all":
        cause, remedy = REMEDIES[chosen[0]]
        click.echo(f"  why: {cause}\n  do:  {remedy}")
    ctx.exit()


@click.command("check")
@services.options
@click.option("--json", "as_json", is_flag=True, help="Write JSON, for other programs.")
@click.option("--strict", is_flag=True, help="Exit with 1 on warnings too.")
@click.option("--slow", type=click.FloatRange(0), default=1.0, show_default=True, help="Seconds that are long.")
@click.option(
    "--explain",
    metavar="CODE",
    callback=_explain,
    is_eager=True,
    expose_value=False,
    help="Say what a code means, why, and what to do; 'all' lists the codes.",
)
def command(wanted: services.Wanted, as_json: bool, strict: bool, slow: float) -> None:
    """Tell whether a service would start, and what is wrong with it.

    The plugins are prepared as `buvar run` does it, and taken down again; no task runs, no socket is opened. All that
    is wrong is told at once: the configuration, what is injected and cannot be, what plugins find themselves.
    The exit code is 1 if there are errors.

    \b
    Examples:
      buvar check -c config.toml            as the service would run
      buvar check shop.web --strict         a single plugin; warnings count too
      buvar check --explain BV101           what a code means, and what to do
      buvar check --explain all             all codes
    """
    from buvar import errors
    from buvar.cli import findings
    from buvar.staging import codes

    began = time.monotonic()
    prepared, number = 0, 0
    try:
        service = wanted.rehearse(slow=slow)
    except errors.ConfigError as error:
        found: t.Sequence[Diagnostic] = tuple(codes.diagnose(error))
    else:
        found, plugins = service.diagnostics, service.stage.loader.plugins
        number, prepared = len(plugins), sum(each.failure is None for each in plugins)
    count = f"{number}" if prepared == number else f"{prepared} of {number}"
    facts = f"{count} plugin{'s' * (number != 1)} prepared in {time.monotonic() - began:.2f} s"
    findings.tell(found, facts, as_json=as_json)
    sys.exit(findings.is_bad(found, strict=strict))

"""The options that say which running service a verb is for, and whether to wait for it."""

from __future__ import annotations

import functools
import os
import typing as t

import click

if t.TYPE_CHECKING:
    import collections.abc as c


def options(function: c.Callable[..., None]) -> c.Callable[..., None]:
    """Let a verb's function take a `services.Service`: the one that its options ``--pid`` and ``--control`` choose."""

    @click.option(
        "--pid", type=click.IntRange(1), metavar="PID", help="The service whose supervisor has this process id."
    )
    @click.option("--control", metavar="PATH", help="The service that listens on this control socket.")
    @functools.wraps(function)
    def command(pid: int | None, control: str | None, **given: t.Any) -> None:
        from buvar.cli import services

        function(services.choose(pid, control, os.environ), **given)

    return command


def waits(end: str) -> c.Callable[[c.Callable[..., None]], c.Callable[..., None]]:
    """Let a verb's function take *wait*, whether to wait for the *end*, and *timeout*, seconds at most or None."""
    wait = click.option("--wait/--no-wait", default=True, help=f"Wait until {end} (the default), or only ask for it.")
    timeout = click.option(
        "--timeout",
        type=click.FloatRange(0, min_open=True),
        metavar="SECONDS",
        help="Wait no longer than this; by default as long as it takes.",
    )
    return lambda function: wait(timeout(function))

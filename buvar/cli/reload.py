"""``buvar reload``: new workers with new code and configuration, one by one, in place of the old ones."""

from __future__ import annotations

import time
import typing as t

import click

from buvar.cli import progress, which

if t.TYPE_CHECKING:
    from buvar.cli.services import Service
    from buvar.forking.status import LastReload, Status

#: new code has one error that ended it, and may have more
ADVICE: t.Final = "buvar check tells all that is wrong at once"
#: seconds between two looks
PERIOD: t.Final = 0.1


@click.command("reload")
@which.options
@which.waits("it is done")
def command(service: Service, wait: bool, timeout: float | None) -> None:
    """Have a running service read code and configuration anew.

    Its workers are replaced one by one: each new one is ready before an old one finishes, and no request is lost. When
    the new code cannot get ready the reload is aborted, the old workers serve on, and the exit code is 1.

    \b
    Examples:
      buvar reload                     the only service, or the one of this folder
      buvar reload --pid 4242          the one with that supervisor, of several

    Without --pid or --control it is the only service of yours that runs, or the only one that was started in the
    current folder.
    """
    from buvar import errors
    from buvar.cli.services import printable

    before = service.tell("reload")
    if not wait:
        click.echo(f"asked pid {before.supervisor.pid} to reload")
        return
    with progress.shown(f"waiting for pid {before.supervisor.pid} to reload"):
        last = _wait(service, before, None if timeout is None else time.monotonic() + timeout)
    if not last.ok:
        serves = service.status().supervisor.generation
        why = "\n".join(map(printable, (last.error or "for no known reason").splitlines()))
        text = f"the reload was aborted, generation {serves} serves on: {why}\n{ADVICE}"
        raise errors.ControlError(service.path, text)
    click.echo(f"reloaded, generation {last.generation}, {last.seconds:.1f} s")


def _wait(service: Service, before: Status, deadline: float | None) -> LastReload:
    """Return how the reload went that was asked for when the status was *before*."""
    from buvar import errors
    from buvar.forking import status as states

    while True:
        try:
            known = service.status().supervisor
        except errors.NoServiceError:
            raise errors.ControlError(service.path, "it ended before it was reloaded") from None
        if known.state == states.STOPPING:
            raise errors.ControlError(service.path, "it stops, and is not reloaded")
        # one that was under way already may end first; then the one that was asked for follows
        over = known.state != states.RELOADING and known.last_reload != before.supervisor.last_reload
        if known.last_reload is not None and over:
            return known.last_reload
        if deadline is not None and time.monotonic() > deadline:
            raise errors.ControlError(service.path, "it is not reloaded yet; it goes on, see buvar status")
        time.sleep(PERIOD)

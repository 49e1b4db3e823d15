"""``buvar stop``: end a running service in peace, and wait for it."""

from __future__ import annotations

import contextlib
import os
import select
import time
import typing as t

import click

from buvar.cli import progress, which

if t.TYPE_CHECKING:
    import collections.abc as c

    from buvar.cli.services import Service

#: seconds between two looks, where the system does not tell when a process ends
PERIOD: t.Final = 0.1


@click.command("stop")
@which.options
@which.waits("it has ended")
def command(service: Service, wait: bool, timeout: float | None) -> None:
    """Stop a running service in peace: what is in flight is finished.

    Workers that have not finished after the service's shutdown timeout are killed.

    \b
    Examples:
      buvar stop                       the only service, or the one of this folder
      buvar stop --pid 4242            the one with that supervisor, of several

    Without --pid or --control it is the only service of yours that runs, or the only one that was started in the
    current folder.
    """
    from buvar import errors

    pid = service.status().supervisor.pid
    with _end_of(pid) as ended:  # taken while it lives: later the pid may be another process's
        service.tell("stop")
        if not wait:
            click.echo(f"asked pid {pid} to stop")
            return
        with progress.shown(f"waiting for pid {pid} to end"):
            is_over = ended(timeout)
        if is_over:
            click.echo(f"stopped, pid {pid}")
        else:
            raise errors.ControlError(service.path, f"pid {pid} has not ended after {timeout:g} s; it goes on stopping")


@contextlib.contextmanager
def _end_of(pid: int) -> c.Iterator[c.Callable[[float | None], bool]]:
    """Yield a function that waits for the end of a process, for so many seconds at most, and tells whether it came."""
    try:
        fd = os.pidfd_open(pid)
    except (AttributeError, OSError):  # another system, or an old one
        yield lambda timeout: _poll(pid, timeout)
        return
    try:
        waiting = select.poll()
        waiting.register(fd, select.POLLIN)
        yield lambda timeout: bool(waiting.poll(None if timeout is None else timeout * 1000))
    finally:
        os.close(fd)


def _poll(pid: int, timeout: float | None) -> bool:
    deadline = None if timeout is None else time.monotonic() + timeout
    while deadline is None or time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(PERIOD)
    return False

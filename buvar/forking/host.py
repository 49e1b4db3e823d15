"""The host: who outside of the service learns how it is, and may tell it what to do.

The service manager is told of each change (`buvar.forking.notify`); who asks at the control socket gets an answer
(`buvar.forking.control`).
"""

from __future__ import annotations

import os
import typing as t

from buvar.forking import control as controls
from buvar.forking.notify import Notifier
from buvar.forking.sockets import Socket
from buvar.forking.status import RELOADING, RUNNING, STARTING, STOPPING

if t.TYPE_CHECKING:
    import collections.abc as c
    import selectors

    from buvar.forking.control import Answer, Control


class Host:
    """Tells of the service. *listener* is its control socket, if it has one."""

    def __init__(self, notifier: Notifier | None = None, listener: Socket | None = None) -> None:
        self.state = STARTING
        self._notifier = notifier or Notifier()
        self._listener = listener
        self._control: Control | None = None

    def serve(self, selector: selectors.BaseSelector, answer: Answer) -> None:
        """Answer who asks at the control socket."""
        if self._listener is not None:
            self._control = controls.Control(self._listener, selector, answer)

    @property
    def due(self) -> c.Iterable[float]:
        """When there is something to do, in seconds of `time.monotonic`."""
        times = (self._notifier.due, None if self._control is None else self._control.due)
        return [when for when in times if when is not None]

    def look(self, now: float, state: str, workers: int) -> None:
        """Tell of *state*, if it has changed, and do what is due."""
        former, self.state = self.state, state
        if state != former:
            if state == RUNNING:
                self._notifier.ready(f"{workers} workers")
            elif state == RELOADING:
                self._notifier.reloading()
            elif state == STOPPING:
                self._notifier.stopping()
        self._notifier.tick(now)
        if self._control is not None:
            self._control.tick(now)

    def abandon(self) -> None:
        """Let go of what a worker has inherited."""
        if self._control is not None:
            self._control.abandon()
        elif self._listener is not None:
            self._listener.close()

    def close(self) -> None:
        """Answer nobody any more, and remove the file of the control socket."""
        if self._control is not None:
            self._control.close()
        if self._listener is not None:
            self._listener.remove()


def control_socket(wanted: str | os.PathLike[str] | bool | None, environ: c.Mapping[str, str]) -> Socket | None:
    """Return the control socket at the path that is *wanted* (True: the default one; None or False: none).

    Raises `errors.SocketError` where it cannot be, if it was asked for by its path.
    """
    if wanted is True:
        return controls.listen_by_default(os.getpid(), environ)
    return controls.listen(wanted) if wanted else None

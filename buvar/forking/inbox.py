"""The inbox of signals: a handler only notes that a signal has come, and wakes up who waits at a selector."""

from __future__ import annotations

import contextlib
import selectors
import signal
import socket
import typing as t

from buvar.forking.worker import handling

if t.TYPE_CHECKING:
    import collections.abc as c
    import types


class Inbox:
    """The signals that have come and that nobody has taken out yet; those of one kind are one."""

    def __init__(self, signums: c.Collection[int]) -> None:
        self._signums = signums
        self._came: dict[int, None] = {}

    def take(self) -> list[int]:
        """Take the signals out, in the order in which they came first."""
        came, self._came = self._came, {}
        return list(came)

    def _note(self, signum: int, frame: types.FrameType | None) -> None:
        # no signal is lost when the socket is full of wake-up bytes
        self._came[signum] = None

    @contextlib.contextmanager
    def open(self, selector: selectors.BaseSelector) -> c.Iterator[tuple[socket.socket, socket.socket]]:
        """Take the signals inside of the block, and wake *selector* up for them; the handlers are given back.

        The sockets that this needs are for this process alone.
        """
        inside, outside = socket.socketpair()
        with inside, outside:
            for end in (inside, outside):
                end.setblocking(False)
            selector.register(inside, selectors.EVENT_READ, lambda: inside.recv(4096))
            with handling(dict.fromkeys(self._signums, self._note)):
                former_fd = signal.set_wakeup_fd(outside.fileno(), warn_on_full_buffer=False)
                signal.pthread_sigmask(signal.SIG_UNBLOCK, self._signums)  # who has started this may have blocked them
                try:
                    yield inside, outside
                finally:
                    signal.set_wakeup_fd(former_fd)

"""The channel between a worker and its supervisor: a socket pair, on which each side sends JSON objects, one a line.

| who        | says                                                                                          |
|------------|-----------------------------------------------------------------------------------------------|
| worker     | ``ready``: it serves · ``ended``: its work is done · ``led``: it leads no more (or `FAILED`)   |
| worker     | ``error``, ``exception``: its last words                                                      |
| supervisor | ``lead``: it runs what runs only once · ``stop``: it shall finish, as TERM says                |

What is no such object is text: the stacks that faulthandler writes when a worker is aborted, or crashes. End of file
tells either side that the other one is gone. Neither side ever waits for the other.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import typing as t

if t.TYPE_CHECKING:
    import collections.abc as c

#: how many file descriptors can come with a message, by ``unix(7)``
FDS: t.Final = 253
#: seconds that a worker waits for room in a full channel; the supervisor does not wait at all
PATIENCE: t.Final = 1.0
#: what is said of who has led, when not all went well
FAILED: t.Final = "failed"


class Channel:
    """One end of a channel."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        sock.setblocking(False)
        #: what has come of a line that is not complete yet
        self.unread = b""
        #: the other side is gone, or has closed its end
        self.closed = False
        #: lines that are no messages
        self.text: list[str] = []
        #: file descriptors that have come and that nobody has taken yet
        self.fds: list[int] = []

    def fileno(self) -> int:
        """Return the file descriptor."""
        return self._sock.fileno()

    def close(self) -> None:
        """Close this end, and what came along and nobody has taken."""
        self._sock.close()
        fds, self.fds = self.fds, []
        for fd in fds:
            os.close(fd)

    def abandon(self) -> None:
        """Let the other side find that nobody listens any more."""
        with contextlib.suppress(OSError):  # it has let go itself
            self._sock.shutdown(socket.SHUT_RDWR)

    def read(self) -> c.Iterator[dict[str, t.Any]]:
        """Return the messages that have come since the last call. Reads what there is, and does not wait."""
        try:
            while not self.closed:
                chunk, fds, _, _ = socket.recv_fds(self._sock, 65536, FDS)
                for fd in fds:
                    os.set_inheritable(fd, False)
                self.fds += fds
                self.unread += chunk
                self.closed = not chunk
        except BlockingIOError:
            pass
        except OSError:  # it died with messages unread
            self.closed = True
        *lines, self.unread = self.unread.split(b"\n")
        return (message for line in lines if (message := self._parse(line)) is not None)

    def _parse(self, line: bytes) -> dict[str, t.Any] | None:
        with contextlib.suppress(ValueError):
            message = json.loads(line)
            if isinstance(message, dict):
                return message
        self.text.append(line.decode(errors="replace"))
        return None

    def send(self, *, fds: c.Sequence[int] = (), patience: float = 0.0, **message: t.Any) -> bool:
        """Send a message, and *fds* with it; return whether it could be sent within *patience* seconds."""
        line = json.dumps(message).encode() + b"\n"
        self._sock.settimeout(patience)
        try:
            if fds:
                sent = socket.send_fds(self._sock, [line], fds)
                line = line[sent:]
            self._sock.sendall(line)
        except OSError:  # there is nobody to tell
            return False
        finally:
            self._sock.setblocking(False)
        return True


def pair() -> tuple[socket.socket, socket.socket]:
    """Return both ends of a new channel: the supervisor's, and the worker's."""
    return socket.socketpair()

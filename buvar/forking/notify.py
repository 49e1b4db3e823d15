"""What the service manager is told: the protocol of ``sd_notify(3)``, by datagram to ``$NOTIFY_SOCKET``.

Nothing here raises or blocks. What could not be sent, because the manager was busy or its socket is gone, waits for the
next `Notifier.tick`, and keeps its order: a manager that never hears READY kills the service.
"""

from __future__ import annotations

import collections
import os
import socket
import time
import typing as t

import attrs
import structlog

if t.TYPE_CHECKING:
    import collections.abc as c

log = structlog.get_logger(__name__)

#: what the service manager tells by, and what only the process that it started may use
VARIABLES: t.Final = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
#: seconds until what could not be sent is tried again
RETRY: t.Final = 1.0
#: how many messages wait at most; the oldest is forgotten first
UNSENT: t.Final = 16
#: the manager takes no message of more than 4096 bytes, and a character may have four
LONGEST_STATUS: t.Final = 1000


@attrs.define(eq=False)
class Notifier:
    """Tells the service manager at *address*, the path of a socket or ``@name``, how the service is; None: nobody.

    *watchdog* is the seconds within which the manager must hear from the service again and again; None: it need not.
    """

    address: str | None = None
    watchdog: float | None = None
    _unsent: collections.deque[str] = attrs.field(factory=lambda: collections.deque(maxlen=UNSENT), init=False)
    _retry_at: float | None = attrs.field(default=None, init=False)
    _watchdog_at: float | None = attrs.field(default=None, init=False)
    _complained: bool = attrs.field(default=False, init=False)

    def __attrs_post_init__(self) -> None:
        if self.address is not None and self.watchdog is not None:
            self._watchdog_at = time.monotonic()

    @classmethod
    def from_environ(cls, environ: c.Mapping[str, str]) -> Notifier:
        """Return one for the manager that *environ* tells of, or one that does nothing. *environ* stays as it is.

        A watchdog that is meant for another process, by ``WATCHDOG_PID``, is not served.
        """
        address = environ.get("NOTIFY_SOCKET") or None
        if address is not None and address[0] not in "/@":
            log.debug("the service manager cannot be told: no such kind of address", address=address)
            address = None
        return cls(address, _watchdog(environ))

    @property
    def due(self) -> float | None:
        """When `tick` is to be called next, in seconds of `time.monotonic`; None when there is nothing to send."""
        return min((when for when in (self._watchdog_at, self._retry_at) if when is not None), default=None)

    def tick(self, now: float) -> None:
        """Send what is due at *now*, in seconds of `time.monotonic`: twice in an interval that the service lives."""
        if self._retry_at is not None and now >= self._retry_at:
            self._flush(now)
        if self.watchdog is not None and self._watchdog_at is not None and now >= self._watchdog_at:
            pause = self.watchdog / 2
            self._watchdog_at = now + (pause if self._deliver("WATCHDOG=1") else min(pause, RETRY))

    def ready(self, status: str = "") -> None:
        """Say that the service serves: after its start, and after a reload, be it done or given up."""
        self._send("READY=1", *_status(status))

    def reloading(self) -> None:
        """Say that a reload has begun; `ready` ends it."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Say that the service has begun to stop."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """Say in a line for people how the service is."""
        # the latest is enough; and what waits must not push READY out
        for former in [each for each in self._unsent if each.startswith("STATUS=")]:
            self._unsent.remove(former)
        self._send(*(_status(text) or ["STATUS="]))

    def _send(self, *assignments: str) -> None:
        if self.address is not None:
            self._unsent.append("\n".join(assignments))
            self._flush(time.monotonic())

    def _flush(self, now: float) -> None:
        self._retry_at = None
        while self._unsent:
            if not self._deliver(self._unsent[0]):
                self._retry_at = now + RETRY
                return
            self._unsent.popleft()

    def _deliver(self, message: str) -> bool:
        """Send one datagram; return whether it was taken."""
        try:
            # a socket for each message, as sd_notify does it: so there is nothing for a worker to inherit
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)
                sock.sendto(message.encode(errors="replace"), _socket_address(self.address or ""))
        except OSError as error:
            if not self._complained:
                log.debug("the service manager cannot be told, trying again", address=self.address, error=str(error))
            self._complained = True
            return False
        return True


def hide(environ: c.MutableMapping[str, str]) -> None:
    """Take the manager out of *environ*, in a worker: neither it nor what it starts may speak for the service."""
    for name in VARIABLES:
        environ.pop(name, None)


def _watchdog(environ: c.Mapping[str, str]) -> float | None:
    """Return the watchdog's interval in seconds, if it is for this process."""
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    text = environ.get("WATCHDOG_USEC", "")
    microseconds = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0
    return microseconds / 1e6 or None


def _socket_address(address: str) -> bytes:
    # Linux has addresses that are no files; they begin with a zero byte
    return os.fsencode(f"\0{address[1:]}" if address.startswith("@") else address)


def _status(text: str) -> list[str]:
    line = " ".join(text.splitlines())[:LONGEST_STATUS]
    return [f"STATUS={line}"] if line else []

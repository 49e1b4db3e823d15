"""Signals of the process, as methods: ``handle_int``, ``handle_term``, ``handle_hup`` and so on."""

from __future__ import annotations

import contextvars
import functools
import signal
import threading
import time
import typing as t

if t.TYPE_CHECKING:
    import asyncio
    import collections.abc as c


#: a signal that nobody sends, and that does nothing by default; once it has a handler, the loop wakes up for all
_AWAKE: t.Final = signal.SIGURG


#: seconds within which a second signal to stop is the echo of the first: a terminal sends INT to a whole process group,
#: and the supervisor tells its workers too
ECHO: t.Final = 0.5


def _do_nothing() -> None:
    pass


class Stoppable(t.Protocol):
    """What the handlers know of a stage."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop: ...
    @property
    def cancel(self) -> asyncio.Event: ...
    def stop(self) -> None: ...


class Signals:
    """Handles the signals that it has methods for, while the stage lives; afterwards the former handlers are back.

    INT and TERM stop the stage; a second one cuts the grace of its tasks short. Where something blocks the loop, a
    second INT raises KeyboardInterrupt in it. Subclasses add ``handle_hup``, ``handle_quit``, ``handle_abort``,
    ``handle_winch``, ``handle_usr1`` and ``handle_usr2``, or override the two.
    A handler runs in the loop, takes no arguments and finds the stage in ``self.stage``.
    One that sets `Cancel` stops the stage as those two do.
    """

    handlers: t.ClassVar[tuple[tuple[int, str], ...]] = (
        (signal.SIGINT, "handle_int"),
        (signal.SIGTERM, "handle_term"),
        (signal.SIGHUP, "handle_hup"),
        (signal.SIGQUIT, "handle_quit"),
        (signal.SIGABRT, "handle_abort"),
        (signal.SIGWINCH, "handle_winch"),
        (signal.SIGUSR1, "handle_usr1"),
        (signal.SIGUSR2, "handle_usr2"),
    )

    def __init__(self, stage: Stoppable) -> None:
        self.stage = stage
        self._former: dict[int, t.Any] = {}
        #: since when INT waits for the loop
        self._unheard: float | None = None
        #: what is to handle a signal when the stage is over, in place of what did before
        self.afterwards: dict[int, c.Callable[..., object]] = {}

    def implemented(self) -> c.Iterator[tuple[int, c.Callable[[], None]]]:
        """List the signals that there is a handler for, with the handler."""
        for signum, name in self.handlers:
            handler = getattr(self, name, None)
            if callable(handler):
                yield signum, handler

    def add_signal_handlers(self) -> None:
        """Take the signals over. Outside of the main thread a process has none to take, and nothing happens."""
        if self._former or threading.current_thread() is not threading.main_thread():
            return
        scope = contextvars.copy_context()
        # one for each of ours would do nothing in the moment before ours takes its place, and lose a signal; and uvloop
        # forgets what comes while it does not run, as between two phases
        self.stage.loop.add_signal_handler(_AWAKE, _do_nothing)
        for signum, handler in self.implemented():
            self._former[signum] = signal.signal(signum, functools.partial(self._schedule, handler, scope))

    def remove_signal_handlers(self) -> None:
        """Give the signals back to whoever had them."""
        for signum, former in self._former.items():
            handler = self.afterwards.get(signum, former)
            if handler is not None:  # None: it was not installed from Python, and cannot be from here
                signal.signal(signum, handler)
        if self._former:
            self.stage.loop.remove_signal_handler(_AWAKE)
        self._former = {}

    def _schedule(self, handler: c.Callable[[], None], scope: contextvars.Context, signum: int, _: object) -> None:
        if signum == signal.SIGINT:
            now = time.monotonic()
            if self._unheard is not None and now - self._unheard > ECHO:
                raise KeyboardInterrupt  # the loop is blocked: whoever blocks it is interrupted
            self._unheard = now if self._unheard is None else self._unheard
        self.stage.loop.call_soon_threadsafe(self._handle, handler, context=scope)

    def _handle(self, handler: c.Callable[[], None]) -> None:
        self._unheard = None
        cancelled = self.stage.cancel.is_set()
        handler()
        if self.stage.cancel.is_set() and not cancelled:
            # a handler that only sets Cancel, as upstream's do, means the same: the end was asked for, not reached
            self.stage.stop()

    def handle_int(self) -> None:
        """Stop the stage."""
        self.stage.stop()

    def handle_term(self) -> None:
        """Stop the stage."""
        self.stage.stop()

"""Progress: what takes long is told on a terminal while it does, and nowhere else."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
import typing as t

if t.TYPE_CHECKING:
    import collections.abc as c

#: seconds after which it is told for the first time, and between two looks
PATIENCE: t.Final = 1.0
_CLEAR: t.Final = "\r\x1b[K"
_WIDTH: t.Final = 100


@contextlib.contextmanager
def shown(
    what: c.Callable[[], str] | str, stream: t.TextIO | None = None, period: float = PATIENCE
) -> c.Iterator[None]:
    """Write what is going on, as *what* says it, and for how long, over one line of a terminal; cleared at the end."""
    stream = sys.stderr if stream is None else stream
    if not stream.isatty():
        yield
        return
    ended = threading.Event()
    thread = threading.Thread(target=_show, args=(what, stream, period, ended), name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _show(what: c.Callable[[], str] | str, stream: t.TextIO, period: float, ended: threading.Event) -> None:
    told, began = False, time.monotonic()
    while not ended.wait(period):
        if text := what if isinstance(what, str) else what():
            told = True
            stream.write(f"{_CLEAR}{text[:_WIDTH]} … {time.monotonic() - began:.0f} s")
            stream.flush()
    if told:
        stream.write(_CLEAR)
        stream.flush()

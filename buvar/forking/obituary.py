"""What the supervisor tells of a worker that has died."""

from __future__ import annotations

import signal
import typing as t

from buvar.errors import facts

if t.TYPE_CHECKING:
    from buvar.forking.forkserver import ForkServer
    from buvar.forking.worker import Worker


def epitaph(worker: Worker, code: int) -> dict[str, t.Any]:
    """Return who it was, and how it ended: *code* is its exit code, or less than 0 for a signal."""
    if not worker.pid:
        return {"worker": None, "slot": worker.slot, "reason": "it was not forked"}
    return {"worker": worker.pid, "slot": worker.slot, **ending(code)}


def ending(code: int) -> dict[str, t.Any]:
    """Return how a process ended: *code* is its exit code, or less than 0 for a signal."""
    return {"signal": _signal_name(-code)} if code < 0 else {"exit": code}


def last_words(worker: Worker | ForkServer, *, tracebacks: bool) -> dict[str, t.Any]:
    """Return the error that it has told of, with the traceback if *tracebacks*, and the stacks that it left."""
    told = [*worker.channel.text, worker.channel.unread.decode(errors="replace")]
    stacks = "\n".join(line for line in told if line)
    words: dict[str, t.Any] = {"stacks": stacks} if stacks else {}
    if "error" in worker.words:
        words |= facts(worker.words["error"], worker.words["exception"] if tracebacks else "")
    return words


def _signal_name(signum: int) -> str:
    # most of the real-time signals have none
    return signal.Signals(signum).name if signum in set(signal.Signals) else f"SIG{signum}"

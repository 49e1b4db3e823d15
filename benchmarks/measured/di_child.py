"""Measure injection as one rival does it: ``di_child.py NAME``, or ``di_child.py NAME count [CASE …]``.

NAME is that of the rival's module beside this one, ``di_NAME.py``. The first form prints the cases, then answers each
line on stdin, ``<case> <amount>``, with a figure. The second is for who counts instructions: it runs each case to warm
up, few times, and many times, ends each stretch by a call of ``os.getppid``, and prints by how many the many are more.
"""

from __future__ import annotations

import asyncio
import contextvars
import gc
import importlib
import itertools
import os
import pathlib
import sys
import time
import tracemalloc
import types
import typing as t

import di_graph

if t.TYPE_CHECKING:
    import collections.abc as c

#: the cases that are one call after the other, in this order
CALLS: t.Final = ("one", "chain", "wide", "diamond", "scope", "keyword", "keyword bound")
SCOPES: t.Final = 1000
#: how often a case is run in a counted stretch: to warm up, few times, many times
STRETCHES: t.Final = (50, 100, 1100)
LOOP: t.Final = """
async def repeat(times):
    for _ in times:
        {}
"""
Loop: t.TypeAlias = "c.Callable[[c.Iterable[None]], c.Coroutine[t.Any, t.Any, None]]"
PAGE: t.Final = os.sysconf("SC_PAGE_SIZE")


class Rival:
    """Who is measured: its statements, compiled into loops, and how it starts cold."""

    def __init__(self, module: types.ModuleType, space: dict[str, t.Any]) -> None:
        self.module = module
        self.space = space
        self.once: dict[str, float] = {}

    def loop(self, case: str) -> Loop:
        """Return a coroutine function that runs the statement of *case* for each that it is given."""
        exec(LOOP.format(self.module.STATEMENTS[case]), self.space)
        return t.cast("Loop", self.space.pop("repeat"))

    def calls(self) -> list[str]:
        return [case for case in CALLS if case in self.module.STATEMENTS]

    def cases(self) -> list[str]:
        found = self.calls()
        if "open" in self.module.STATEMENTS:
            found += ["leak", "concurrent", "memory"]  # in this order, since memory set free would hide a leak
        return [*found, "cold"] if hasattr(self.module, "cold") else found

    async def measure(self, case: str, amount: float) -> float:
        special = {"concurrent": self.concurrent, "memory": self.memory, "leak": self.leak, "cold": self.cold}
        return await (special[case](amount) if case in special else self.call(case, amount))

    async def call(self, case: str, seconds: float) -> float:
        """Return nanoseconds for one, from a loop of about so many *seconds*."""
        loop = self.loop(case)
        if case not in self.once:
            await loop(itertools.repeat(None, 100))
            self.once[case] = await timed(loop(itertools.repeat(None, 100))) / 100
        number = max(1, int(seconds / self.once[case]))
        return await timed(loop(itertools.repeat(None, number))) / number * 1e9

    async def concurrent(self, times: float) -> float:
        """Return the microseconds for one of a thousand scopes that are open at once; the best of so many *times*."""
        self.space["pause"] = sleep
        loop = self.loop("open")
        return min([await timed(together(loop)) for _ in range(int(times))]) / SCOPES * 1e6

    async def memory(self, scopes: float) -> float:
        """Return the bytes that each of so many open *scopes* takes, with the coroutine that holds it open."""
        self.space["pause"] = Pause
        loop = self.loop("open")
        close(opened(loop, 10))
        gc.collect()
        tracemalloc.start()
        try:
            held = opened(loop, int(scopes))
            gc.collect()
            taken, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        close(held)
        return taken / scopes

    async def leak(self, scopes: float) -> float:
        """Return the KiB by which this process grows over so many *scopes*, once it is warm."""
        loop = self.loop("scope")
        await loop(itertools.repeat(None, int(scopes / 10)))
        gc.collect()
        before = resident()
        await loop(itertools.repeat(None, int(scopes)))
        gc.collect()
        return (resident() - before) / 1024

    async def cold(self, _: float) -> float:
        """Return the milliseconds until the first object is there, with many adapters in a registry of their own."""
        classes = di_graph.many()
        gc.collect()
        began = time.perf_counter()
        found = await self.module.cold(classes)
        took = time.perf_counter() - began
        assert type(found) is classes[-1]
        return took * 1e3

    async def count(self, case: str) -> None:
        """Run *case* in the stretches that are counted."""
        loop = self.loop(case)
        for number in STRETCHES:
            await loop(itertools.repeat(None, number))
            os.getppid()


class Pause:
    """Awaited once, it gives control back to whoever drives the coroutine."""

    def __await__(self) -> c.Generator[None, None, None]:
        yield


async def sleep() -> None:
    await asyncio.sleep(0)


async def timed(work: c.Awaitable[object]) -> float:
    began = time.perf_counter()
    await work
    return time.perf_counter() - began


async def together(loop: Loop) -> None:
    await asyncio.gather(*(loop((None,)) for _ in range(SCOPES)))


def opened(loop: Loop, number: int) -> list[tuple[contextvars.Context, t.Any]]:
    """Run *loop* into its pause so many times, each in a context of its own."""
    held = [(contextvars.copy_context(), loop((None,))) for _ in range(number)]
    for context, running in held:
        context.run(running.send, None)
    return held


def close(held: c.Iterable[tuple[contextvars.Context, t.Any]]) -> None:
    for context, running in held:
        try:
            context.run(running.send, None)
        except StopIteration:
            continue
        raise RuntimeError("it pauses twice")


def resident() -> int:
    return int(pathlib.Path("/proc/self/statm").read_text().split()[1]) * PAGE


async def main(name: str, *words: str) -> None:
    module = importlib.import_module(f"di_{name}")
    rival = Rival(module, await module.space())
    if words:
        gc.collect()
        gc.freeze()
        for case in words[1:] or rival.calls():
            await rival.count(case)
            print(case, STRETCHES[2] - STRETCHES[1], sep="\t")
        return
    print(*rival.cases(), sep="\t", flush=True)
    for line in sys.stdin:
        case, amount = line.rstrip("\n").split("\t")
        print(await rival.measure(case, float(amount)), flush=True)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

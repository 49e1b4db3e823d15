"""Time calls of buvar's components, in whichever buvar this interpreter imports.

Answers each line on stdin, ``<case> <seconds>``, with one line: the nanoseconds that one call of that case takes, in a
loop of about so many seconds. Nothing of this house is imported but buvar itself, so that the same file measures any
other build of the same interface.
"""

from __future__ import annotations

import sys
import timeit

from buvar import context
from buvar.components import Components


class Base: ...


class Found(Base): ...


class Near(Base): ...


class Deep(Base): ...


class Absent: ...


def cases() -> dict[str, timeit.Timer]:
    """Return what is measured, on a stack of four layers, as deep as a request in a stage sees it."""
    components = Components()
    components.add(Deep())
    components = components.push().push()
    components.add(Near())
    components = components.push()
    components.add(Found())
    components.add(Found(), name="spare")
    space = {**globals(), "c": components, "item": Found(), "child": context.child}
    statements = {
        "get": "c.get(Found)",
        "get one layer down": "c.get(Near)",
        "get three layers down": "c.get(Deep)",
        "get named": "c.get(Found, name='spare')",
        "miss": "c.get(Absent, default=None)",
        "find": "c.find(Found)",
        "add": "c.add(item)",
        "push": "c.push()",
        "child": "with child(): pass",
    }
    context.buvar_context.set(components)
    return {name: timeit.Timer(statement, globals=space) for name, statement in statements.items()}


class Measured:
    """One case; how many calls fit into the time asked for is found out once."""

    def __init__(self, timer: timeit.Timer) -> None:
        self.timer = timer
        self.once = min(timer.repeat(repeat=5, number=1000)) / 1000

    def __call__(self, seconds: float) -> float:
        """Return nanoseconds a call."""
        number = max(1, int(seconds / self.once))
        return self.timer.timeit(number) / number * 1e9


def main() -> None:
    measured = {name: Measured(timer) for name, timer in cases().items()}
    print(*measured, sep="\t", flush=True)
    for line in sys.stdin:
        name, seconds = line.rstrip("\n").split("\t")
        print(measured[name](float(seconds)), flush=True)


if __name__ == "__main__":
    main()

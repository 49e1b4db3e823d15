"""Routes: how long it takes to find one among 10 to 10,000, beside aiohttp's own router."""

from __future__ import annotations

import functools
import pathlib
import sys

from . import components, rounds

SCRIPT = pathlib.Path(__file__).parent / "measured" / "router.py"
PEER = "aiohttp"
#: by how many routes, what ours has to reach beside aiohttp's
TARGETS = {10: "", 100: "", 1000: "<= 1.00", 10_000: "<= 1.00"}
SHAPES = ("text", "name", "shared name", "pattern", "text before a name", "text after a name", "tail")
#: those that aiohttp goes through one by one
SHARED = ("shared name", "pattern", "text before a name", "text after a name")


def run(*, quick: bool, with_peers: bool) -> rounds.Table:
    """Measure each shape and number of routes in a process of its own: the first, the last, and none of them."""
    names = ("buvar", PEER) if with_peers else ("buvar",)
    rows = []

    for shape in SHAPES:
        for number in (10, 100) if quick else (10, 100, 1000, 10_000):
            with components.Measured(sys.executable, SCRIPT, shape, str(number), ours=True) as measured:
                for place in ("first", "last", "none"):
                    samplers = {
                        name: functools.partial(measured, f"{name} {place}", 0.001 if quick else 0.02) for name in names
                    }
                    samples = rounds.interleave(samplers, 1 if quick else 7)
                    case = f"{shape}, {place} of {number}"
                    target = TARGETS[number] if place == "last" and shape in SHARED else ""
                    rows += rounds.compare(case, "us", samples, {PEER: target})
    return rounds.Table("Router", rows)

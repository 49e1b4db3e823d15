"""A slot: the place of one worker, and when it may be filled again."""

from __future__ import annotations

import random

import attrs

#: the pauses between failed starts, in seconds: the first, and the longest
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
#: how often the pause is doubled; it is longest before that
DOUBLINGS = 10


@attrs.define
class Slot:
    """How often in a row the workers of a slot failed, when the next may be forked, and whether its work is done."""

    strikes: int = 0
    not_before: float = 0.0
    done: bool = False

    def strike(self, now: float, *, at_once: bool) -> float:
        """Count a failure and return the pause that follows it, in seconds."""
        self.strikes += 1
        doublings = min(DOUBLINGS, self.strikes - (2 if at_once else 1))
        pause = 0.0 if doublings < 0 else min(LONGEST_PAUSE, FIRST_PAUSE * 2**doublings) * random.uniform(0.8, 1.2)  # noqa: S311
        self.not_before = now + pause
        return pause

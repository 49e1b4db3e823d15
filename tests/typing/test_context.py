"""What type checkers know about the context: this is checked, not run."""

from __future__ import annotations

import typing as t

from buvar import context
from buvar.components import Components


class Thing:
    pass


t.assert_type(context.current_context(), Components)
t.assert_type(context.add(Thing()), Thing)
t.assert_type(context.get(Thing), Thing)
t.assert_type(context.get(Thing, default=None), Thing | None)
t.assert_type(context.get("key"), t.Any)
t.assert_type(context.find(Thing), dict[t.Hashable, Thing])
t.assert_type(context.push(), Components)
t.assert_type(context.pop(), Components)

with context.child() as child:
    t.assert_type(child, Components)


async def in_scope() -> None:
    async with context.scope("request") as scope:
        t.assert_type(scope, Components)


@context.run(Components())
def work(number: int, *, text: str) -> float:
    return number + len(text)


t.assert_type(work(1, text="a"), float)
work("a", text="a")  # type: ignore[arg-type]
t.assert_type(context.set_task_factory(), context.StackingTaskFactory)

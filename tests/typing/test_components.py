"""What type checkers know about components: this is checked, not run."""

from __future__ import annotations

import typing as t

from buvar.components import Components, Entry, Layer


class Base:
    pass


class Sub(Base):
    pass


stack = Components()
t.assert_type(stack.add(Sub()), Sub)
t.assert_type(stack.add(Sub(), Base), Sub)
t.assert_type(stack.add(Sub(), "key", name="name"), Sub)
t.assert_type(stack.get(Sub), Sub)
t.assert_type(stack.get(Sub, name=("any", "hashable")), Sub)
t.assert_type(stack.get(Sub, default=None), Sub | None)
t.assert_type(stack.get(Sub, default="other"), Sub | str)
t.assert_type(stack.get("key"), t.Any)
t.assert_type(stack.get("key", default=None), t.Any)
t.assert_type(stack.find(Sub), dict[t.Hashable, Sub])
t.assert_type(stack.find("key"), dict[t.Hashable, t.Any])
t.assert_type(stack.push(), Components)
t.assert_type(stack.push(Layer()), Components)
t.assert_type(stack.pop(), Components)
t.assert_type(list(stack), list[Entry])
t.assert_type(Sub in stack, bool)

stack.get([])  # type: ignore[call-overload]
stack.add(Sub(), [])  # type: ignore[arg-type]
stack.push(stack)  # type: ignore[arg-type]

"""Markers: what stands beside a type in ``Annotated`` to say which component is meant, and how long things live."""

from __future__ import annotations

import typing as t

import attrs

#: lives for the call that it was built in; once in the innermost open scope; once in the stage
Lifetime: t.TypeAlias = t.Literal["transient", "scoped", "singleton"]
LIFETIMES: t.Final[tuple[Lifetime, ...]] = t.get_args(Lifetime)


@attrs.frozen
class Name:
    """``Annotated[Engine, Name("replica")]``: the component of that name, whatever the parameter is called."""

    name: t.Hashable


class _All:
    def __repr__(self) -> str:
        return "di.All"


#: ``Annotated[list[Check], All]``: all components of the type, the outermost layer's first, then one object of each
#: adapter for it that can be satisfied, the first registered first; ``Annotated[dict[str, Check], All]``: the
#: components by name
All: t.Final = _All()

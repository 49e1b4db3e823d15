"""Injection by wireup. What is not a singleton needs a scope there, and so does a value for one call."""

from __future__ import annotations

import typing as t

import di_graph as graph
import wireup

if t.TYPE_CHECKING:
    import collections.abc as c

#: by lifetime
INJECTABLES: t.Final[dict[t.Any, tuple[t.Any, ...]]] = {
    "singleton": (graph.Settings, graph.Pool),
    "scoped": (graph.Bottom, graph.Token, graph.Request, graph.open_session, graph.Identity, graph.Repository),
    "transient": graph.TRANSIENT,
}
SCOPE: t.Final = "async with container.enter_scope({Request: Request()}) as scope: await scope.get(Service)"
STATEMENTS: t.Final = {
    "one": "await inside.get(One)",
    "chain": "await inside.get(Link1)",
    "wide": "await inside.get(Wide)",
    "diamond": "async with container.enter_scope() as scope: await scope.get(Top)",
    "scope": SCOPE,
    "open": f"{SCOPE}; await pause()",
    "keyword": "async with container.enter_scope({Token: Token()}) as scope: await scope.get(Keyed)",
}


def container(injectables: c.Mapping[t.Any, c.Iterable[t.Any]]) -> wireup.AsyncContainer:
    marked = [wireup.injectable(one, lifetime=name) for name, made in injectables.items() for one in made]
    return wireup.create_async_container(injectables=marked)


async def space() -> dict[str, t.Any]:
    """Return the names that the statements use."""
    made = container(INJECTABLES)
    return {**vars(graph), "container": made, "inside": made.enter_scope()}


async def cold(classes: c.Sequence[type]) -> object:
    async with container({"transient": classes}).enter_scope() as scope:
        return await scope.get(classes[-1])

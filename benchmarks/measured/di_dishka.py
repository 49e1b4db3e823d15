"""Injection by dishka. What is not a singleton needs a scope there, and so does a value for one call."""

from __future__ import annotations

import typing as t

import di_graph as graph
import dishka

if t.TYPE_CHECKING:
    import collections.abc as c

SCOPE: t.Final = "async with container({Request: Request()}) as scope: await scope.get(Service)"
STATEMENTS: t.Final = {
    "one": "await inside.get(One)",
    "chain": "await inside.get(Link1)",
    "wide": "await inside.get(Wide)",
    "diamond": "async with container() as scope: await scope.get(Top)",
    "scope": SCOPE,
    "open": f"{SCOPE}; await pause()",
    "keyword": "async with container({Token: Token()}) as scope: await scope.get(Keyed)",
}


def transient(classes: c.Iterable[type]) -> dishka.Provider:
    provider = dishka.Provider(scope=dishka.Scope.REQUEST)
    for cls in classes:
        provider.provide(cls, cache=False)
    return provider


async def space() -> dict[str, t.Any]:
    """Return the names that the statements use."""
    provider = transient(graph.TRANSIENT)
    for given in (graph.Token, graph.Request):
        provider.from_context(provides=given)
    for scoped in (graph.Bottom, graph.open_session, graph.Identity, graph.Repository):
        provider.provide(scoped)
    for singleton in (graph.Settings, graph.Pool):
        provider.provide(singleton, scope=dishka.Scope.APP)
    container = dishka.make_async_container(provider)
    return {**vars(graph), "container": container, "inside": await container().__aenter__()}


async def cold(classes: c.Sequence[type]) -> object:
    async with dishka.make_async_container(transient(classes))() as scope:
        return await scope.get(classes[-1])

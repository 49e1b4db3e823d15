"""Injection by aioinject. What is not a singleton needs a scope there, and so does a value for one call."""

from __future__ import annotations

import contextlib
import typing as t

import aioinject
import di_graph as graph

if t.TYPE_CHECKING:
    import collections.abc as c

SCOPE: t.Final = "async with container.context({Request: Request()}) as scope: await scope.resolve(Service)"
STATEMENTS: t.Final = {
    "one": "await inside.resolve(One)",
    "chain": "await inside.resolve(Link1)",
    "wide": "await inside.resolve(Wide)",
    "diamond": "async with container.context() as scope: await scope.resolve(Top)",
    "scope": SCOPE,
    "open": f"{SCOPE}; await pause()",
    "keyword": "async with container.context({Token: Token()}) as scope: await scope.resolve(Keyed)",
}
session = contextlib.asynccontextmanager(graph.open_session)
PROVIDERS: t.Final[dict[t.Any, tuple[t.Any, ...]]] = {
    aioinject.Singleton: (graph.Settings, graph.Pool),
    aioinject.Scoped: (graph.Bottom, session, graph.Identity, graph.Repository),
    aioinject.Transient: graph.TRANSIENT,
}


def container(providers: c.Mapping[t.Any, c.Iterable[t.Any]]) -> aioinject.Container:
    made = aioinject.Container()
    made.register(*(provider(one) for provider, given in providers.items() for one in given))
    return made


async def space() -> dict[str, t.Any]:
    """Return the names that the statements use."""
    made = container(PROVIDERS)
    for given in (graph.Token, graph.Request):
        made.register(aioinject.FromContext(given, scope=aioinject.Scope.request))
    return {**vars(graph), "container": made, "inside": made.context()}


async def cold(classes: c.Sequence[type]) -> object:
    async with container({aioinject.Transient: classes}).context() as scope:
        return await scope.resolve(classes[-1])

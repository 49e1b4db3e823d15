"""Injection by ours."""

from __future__ import annotations

import typing as t

import di_graph as graph

from buvar import context, di

if t.TYPE_CHECKING:
    import collections.abc as c

SCOPE: t.Final = 'async with context.scope("request") as components: components.add(Request()); await di.nject(Service)'
STATEMENTS: t.Final = {
    "one": "await di.nject(One)",
    "chain": "await di.nject(Link1)",
    "wide": "await di.nject(Wide)",
    "diamond": "await di.nject(Top)",
    "scope": SCOPE,
    "open": f"{SCOPE}; await pause()",
    "keyword": "await di.nject(Keyed, token=Token())",
    "keyword bound": "await bound(Token())",
}


async def space() -> dict[str, t.Any]:
    """Return the names that the statements use."""
    di.register(*graph.TRANSIENT, graph.Bottom, lifetime="transient")
    di.register(graph.open_session, graph.Identity, graph.Repository, lifetime="scoped")
    di.register(graph.Settings, graph.Pool, lifetime="singleton")
    bound = di.bind(graph.Keyed, token=graph.Token)
    return {**vars(graph), "context": context, "di": di, "bound": bound}


async def cold(classes: c.Sequence[type]) -> object:
    adapters = di.Adapters()
    adapters.register(*classes)
    return await adapters.nject(classes[-1])

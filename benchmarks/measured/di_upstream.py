"""Injection by upstream's buvar. It has no lifetimes and no generators: a request is put together as its users do."""

from __future__ import annotations

import contextlib
import typing as t

import di_graph as graph

from buvar import context, di

if t.TYPE_CHECKING:
    import collections.abc as c

SCOPE: t.Final = "async with scope(): await di.nject(Service)"
STATEMENTS: t.Final = {
    "one": "await di.nject(One)",
    "chain": "await di.nject(Link1)",
    "wide": "await di.nject(Wide)",
    "diamond": "await di.nject(Top)",
    "scope": SCOPE,
    "open": f"{SCOPE}; await pause()",
    "keyword": "await di.nject(Keyed, token=Token())",
}
POOL: t.Final = graph.Pool(graph.Settings())

session = contextlib.asynccontextmanager(graph.open_session)


@contextlib.asynccontextmanager
async def scope() -> c.AsyncIterator[None]:
    with context.child():
        context.add(graph.Request())
        async with session(POOL) as opened:
            context.add(opened)
            yield


async def space() -> dict[str, t.Any]:
    """Return the names that the statements use."""
    context.add(POOL)
    context.add(POOL.settings)
    di.register(*graph.TRANSIENT, graph.Bottom, graph.Identity, graph.Repository)
    return {**vars(graph), "di": di, "scope": scope}


async def cold(classes: c.Sequence[type]) -> object:
    adapters = di.Adapters()
    adapters.register(*classes)
    return await adapters.nject(classes[-1])

"""What injection is compared with: the code that one writes by hand for the same objects."""

from __future__ import annotations

import contextlib
import typing as t

import di_graph as graph

if t.TYPE_CHECKING:
    import collections.abc as c

STATEMENTS: t.Final = {
    "one": "await one()",
    "chain": "await chain()",
    "wide": "await wide()",
    "diamond": "await diamond()",
    "scope": "await scope()",
    "keyword": "await keyed(graph.Token())",
    "keyword bound": "await keyed(graph.Token())",
    "open": "await scope(pause)",
}

SETTINGS: t.Final = graph.Settings()
POOL: t.Final = graph.Pool(SETTINGS)

session = contextlib.asynccontextmanager(graph.open_session)


async def one() -> graph.One:
    return graph.One()


async def chain() -> graph.Link1:
    return graph.Link1(graph.Link2(graph.Link3(graph.Link4(graph.Link5(graph.Link6())))))


async def wide() -> graph.Wide:
    return graph.Wide(
        graph.Part0(), graph.Part1(), graph.Part2(), graph.Part3(), graph.Part4(),
        graph.Part5(), graph.Part6(), graph.Part7(), graph.Part8(), graph.Part9(),
    )  # fmt: skip


async def diamond() -> graph.Top:
    bottom = graph.Bottom(graph.Part0())
    return graph.Top(graph.Left(bottom, graph.Part1()), graph.Right(bottom, graph.Part2()))


async def keyed(token: graph.Token) -> graph.Keyed:
    return graph.Keyed(token, graph.One())


async def service(request: graph.Request, opened: graph.Session) -> graph.Service:
    return graph.Service(SETTINGS, POOL, opened, graph.Identity(request), graph.Repository(opened))


async def scope(pause: c.Callable[[], c.Awaitable[object]] | None = None) -> None:
    """Build the service for a request, with a session that is closed, and wait inside where *pause* is given."""
    request = graph.Request()
    async with session(POOL) as opened:
        await service(request, opened)
        if pause is not None:
            await pause()


async def space() -> dict[str, t.Any]:
    """Return the names that the statements use."""
    return dict(globals())

"""A service with a handler of every kind, for requests that are wrong.

``service.py FOLDER LINGER`` runs it with two workers. FOLDER has ``static``, which is served, and ``scratch``, where
requests have a file open; LINGER is for how many seconds connections may be idle at stop.
"""

import asyncio
import collections.abc as c
import os
import pathlib
import sys
import tempfile
import typing as t

import attrs
import msgspec
import structlog
from aiohttp import web

from buvar import context, di, fork, log, plugin
from buvar_aiohttp import AioHttpConfig, http
from buvar_aiohttp.edges.compression import Compression
from buvar_aiohttp.edges.cors import Cors
from buvar_aiohttp.edges.request_id import RequestIds

FOLDER = pathlib.Path(sys.argv[1])
LINGER = float(sys.argv[2])
#: seconds
READ_TIMEOUT = 0.6
logger = structlog.get_logger("service")


class Counts:
    """What came and went in this worker."""

    def __init__(self):
        self.opened = self.closed = self.failed = self.after = 0
        self.go = asyncio.Event()

    def document(self):
        """Return them, with what the open connections do not account for: tasks, this one aside, and descriptors."""
        connections = len(context.get(web.AppRunner).connections)
        return {
            "pid": os.getpid(),
            "opened": self.opened,
            "closed": self.closed,
            "failed": self.failed,
            "after": self.after,
            "connections": connections,
            "tasks": len(asyncio.all_tasks()) - connections - 1,
            "fds": len(os.listdir("/proc/self/fd")) - connections,
        }


class Unit:
    """What a request works with: it has a file open, and can be told to fail when it is closed."""

    def __init__(self, file):
        self.file = file
        self.fails = False


async def open_unit(request: web.Request, counts: Counts) -> c.AsyncIterator[Unit]:
    counts.opened += 1
    failed = None
    with tempfile.TemporaryFile(dir=FOLDER / "scratch") as file:
        unit = Unit(file)
        try:
            yield unit
        except BaseException as error:
            counts.failed += 1
            failed = type(error).__name__
            raise
        finally:
            counts.closed += 1
            logger.info("unit closed", path=request.path, failed=failed)
        if unit.fails:
            raise RuntimeError("secret: no commit")


class Price(msgspec.Struct, forbid_unknown_fields=True):
    net: t.Annotated[float, msgspec.Meta(ge=0)]
    currency: t.Literal["EUR", "USD"] = "EUR"


@attrs.frozen
class Item:
    name: str
    price: Price
    tags: list[str] = attrs.field(factory=list)


@attrs.frozen
class Order:
    id: int
    items: list[Item]
    notes: dict[str, int] = attrs.field(factory=dict)


@http.get("/ping")
async def ping() -> str:
    return "pong"


@http.get("/inside")
async def inside(counts: Counts) -> dict[str, int]:
    return counts.document()


@http.get("/mark/{name}")
async def mark(name: str) -> None:
    logger.info("mark", name=name)


@http.get("/go")
async def go(counts: Counts) -> dict[str, int]:
    counts.go.set()
    counts.go = asyncio.Event()
    return counts.document()


@http.get("/items/{number}")
async def item(
    number: int,
    unit: Unit,
    size: t.Annotated[int, msgspec.Meta(ge=1, le=100)] = 10,
    tag: list[str] = [],
    x_token: t.Annotated[int | None, http.Header] = None,
    visits: t.Annotated[int | None, http.Cookie] = None,
) -> dict[str, t.Any]:
    return {"number": number, "size": size, "tag": tag, "token": x_token, "visits": visits}


@http.get("/names/{name}")
async def name(name: str, unit: Unit, q: str = "", x_token: t.Annotated[str, http.Header] = "") -> dict[str, str]:
    return {"name": name, "q": q, "token": x_token}


@http.post("/orders", status=201)
async def order(order: Order, unit: Unit) -> Order:
    return order


@http.post("/forms")
async def form(
    number: t.Annotated[int, http.Form], unit: Unit, tag: t.Annotated[list[str], http.Form] = []
) -> dict[str, t.Any]:
    return {"number": number, "tag": tag}


@http.post("/files")
async def file(
    file: t.Annotated[web.FileField, http.File(max_size=1000, types="image/*")], unit: Unit
) -> dict[str, t.Any]:
    return {"filename": file.filename, "size": len(file.file.read())}


@http.post("/bytes")
async def raw(body: t.Annotated[bytes, http.Body], unit: Unit) -> int:
    return len(body)


@http.post("/small", max_body=10)
async def small(body: t.Annotated[str, http.Body], unit: Unit) -> int:
    return len(body)


@http.post("/pieces")
async def pieces(request: web.Request, unit: Unit) -> int:
    logger.info("reading")
    return sum([len(piece) async for piece in request.content.iter_any()])


@http.get("/stream/{number}")
async def stream(number: int, unit: Unit) -> c.AsyncIterator[str]:
    for _ in range(number):
        yield "x" * 10_000


@http.get("/events")
async def events(unit: Unit, counts: Counts) -> c.AsyncIterator[http.Event]:
    while True:
        yield http.Event({"x": "y" * 1000})
        await asyncio.sleep(0.005)


@http.websocket("/talk", max_message=1000)
async def talk(socket: web.WebSocketResponse, unit: Unit) -> None:
    async for message in socket:
        if message.data == "fail":
            raise ValueError("secret")
        if isinstance(message.data, str):
            await socket.send_str(message.data)


async def note(request: web.Request, counts: Counts) -> None:
    counts.after += 1


@http.post("/later")
async def later(body: t.Annotated[bytes, http.Body], unit: Unit, after: http.After, request: web.Request) -> None:
    after.add(note, request)
    if body == b"fail":
        raise ValueError("secret")


@http.get("/reflect")
async def reflect(unit: Unit, value: str = "", name: str = "X-Value", kind: str = "typed") -> t.Any:
    if kind == "problem":
        raise http.Problem(400, value, headers={name: value})
    if kind == "raw":
        return web.Response(text="", headers={name: value})
    if kind == "redirect":
        raise web.HTTPFound(value)
    if kind == "cookie":
        response = web.Response(text="")
        response.set_cookie("a", value)
        return response
    return http.Response(None, headers={name: value})


@http.get("/who")
async def who(request: web.Request) -> list[str | None]:
    return [request.remote, request.scheme, request.host]


@http.get("/fail/{how}")
async def fail(how: str, unit: Unit) -> t.Any:
    match how:
        case "error":
            raise ValueError(f"secret {__file__}")
        case "problem":
            raise http.Problem(503, "come again", headers={"Retry-After": "1"})
        case "own":
            raise http.Problem(409, "taken", by="you")
        case "timeout":
            raise TimeoutError
        case "closing":
            unit.fails = True
        case "value":
            return object()
        case "group":
            raise ExceptionGroup("secret", [ValueError("secret")])
        case "deep":
            return await fail(how, unit)
        case "aiohttp":
            raise web.HTTPInternalServerError(text=f"secret {__file__}")
        case "denied":
            raise web.HTTPForbidden
        case "connection":
            raise ConnectionRefusedError("secret: the database")
        case "cancelled":
            raise asyncio.CancelledError


@http.get("/broken")
async def broken(unit: Unit, at: int = 1) -> c.AsyncIterator[str]:
    for number in range(at + 1):
        if number == at:
            raise ValueError("secret")
        yield "x"


@http.get("/slow", timeout=0.05)
async def slow(unit: Unit) -> None:
    await asyncio.sleep(1000)


@http.get("/wait")
async def wait(unit: Unit, counts: Counts) -> str:
    logger.info("waiting", worker=os.getpid())
    await counts.go.wait()
    return "went"


@http.get("/guarded/{number}")
async def guarded(number: int, unit: Unit) -> int:
    return number


async def guard(call: http.Call, request: web.Request, unit: Unit) -> t.Any:
    if request.headers.get("Authorization") != "yes":
        raise http.Problem(401, "who are you?")
    return await call()


@http.controller("/shelves")
class Shelves:
    def __init__(self, unit: Unit):
        self.unit = unit

    @http.put("/{number}")
    async def put(self, number: int, item: Item) -> Item:
        return item


async def plain(request: web.Request) -> web.Response:
    body = await request.read()
    return web.Response(text=str(len(body)))


async def serve(load: plugin.Loader):
    context.add(
        AioHttpConfig(
            read_timeout=READ_TIMEOUT,
            keepalive_timeout=30.0,
            linger=LINGER,
            max_body=20_000,
            hosts=["test"],
            access_log=True,
            request_id=RequestIds(),
            compression=Compression(min_size=10),
            cors=Cors(["https://shop.example"]),
        )
    )
    await load("buvar_aiohttp")
    # seconds that aiohttp waits for the rest of a body that nobody reads: who has left is to be waited for no longer
    context.get(web.AppRunner)._kwargs["lingering_time"] = 1000.0
    context.add(Counts())
    di.scoped(open_unit)
    http.mount(
        ping, inside, mark, go, item, name, order, form, file, raw, small, pieces, stream, events, talk, later,
        reflect, who, fail, broken, slow, wait, Shelves, http.group(guarded, around=[guard]),
    )  # fmt: skip
    app = context.get(web.Application)
    app.router.add_post("/plain", plain)
    app.router.add_static("/static", FOLDER / "static")


if __name__ == "__main__":
    log.LogConfig(tty=False, level="info").setup()
    fork.stage(serve, forks=2, sockets=["tcp://127.0.0.1:0"], control=True)

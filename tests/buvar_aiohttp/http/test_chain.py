"""What stands around a handler: guards, interceptors, exception filters and pipes, in their order."""

import asyncio
import typing as t

import attrs
import pytest
from aiohttp import web

from buvar import context, di, errors, plugin
from buvar_aiohttp import http


class Store:
    def __init__(self, name="store"):
        self.name = name


async def prepare_store():
    di.singleton(Store)


class Log(list):
    """What was called, in its order."""

    def around(self, name):
        async def note(call, request):
            self.append(f"{name} in")
            try:
                return await call()
            finally:
                self.append(f"{name} out")

        return note


async def test_the_order(api):
    """The application is outermost, then groups from the outside, the controller, the handler; the first first."""
    log = Log()

    @http.controller("/c", around=[log.around("controller")])
    class Controller:
        @http.get("/", around=[log.around("handler 1"), log.around("handler 2")])
        async def get(self) -> str:
            log.append("called")
            return "x"

    inner = http.group(Controller, prefix="/inner", around=[log.around("inner")])
    outer = http.group(inner, prefix="/outer", around=[log.around("outer")])
    names = ["app 1", "app 2", "mount", "outer", "inner", "controller", "handler 1", "handler 2"]
    async with api(outer, around=[log.around("mount")], app=[log.around("app 1"), log.around("app 2")]) as client:
        assert (await client.get("/outer/inner/c")).text == "x"
        assert log == [*(f"{each} in" for each in names), "called", *(f"{each} out" for each in reversed(names))]


@attrs.frozen
class Item:
    name: str


async def signed_in(call, request):
    if "Authorization" not in request.headers:
        raise http.Problem(401, headers={"WWW-Authenticate": "Basic"})
    return await call()


async def test_a_guard_comes_before_binding(api):
    """Who may not call learns nothing of what the handler takes, and nothing is built for it."""

    async def built() -> Store:
        raise AssertionError("for nothing")

    async def prepare():
        di.scoped(built)

    @http.post("/items/{number}", around=[signed_in])
    async def create(number: int, item: Item) -> str:
        return "made"

    @http.get("/store", around=[signed_in])
    async def store(store: Store) -> str:
        return "never"

    async with api(create, store, plugins=[prepare]) as client:
        answer = await client.post("/items/x?y=z", {})
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Basic")
        assert (await client.get("/store")).status == 401
        assert (await client.post("/items/x", {}, headers={"Authorization": "x"})).status == 422


async def test_an_exception_filter(api):
    """What a handler raises is caught around it, and answered with what any handler may return."""

    async def busy(call, request):
        try:
            return await call()
        except TimeoutError:
            return http.Response({"retry": True}, status=503)
        except http.Problem as problem:
            return f"caught {problem.status}"

    @http.get("/{what}", around=[busy])
    async def fail(what: int) -> None:
        raise TimeoutError

    async with api(fail) as client:
        answer = await client.get("/1")
        assert (answer.status, answer.json) == (503, {"retry": True})
        assert (await client.get("/x")).text == "caught 422"


async def test_an_interceptor_changes_the_response(api):
    """It sees the response, and may give another one."""

    async def count(call, request, store: Store):
        response = await call()
        response.headers["X-Store"] = store.name
        return response

    async def shout(call, request):
        return (await call()).text.upper()

    async def nothing(call, request): ...

    @http.get("/a", around=[count, shout])
    async def a() -> str:
        return "a"

    @http.get("/b", around=[nothing])
    async def b() -> str:
        return "b"

    async with api(a, b, plugins=[prepare_store]) as client:
        answer = await client.get("/a")
        assert (answer.text, answer.headers["X-Store"]) == ("A", "store")
        assert (await client.get("/b")).status == 204


async def test_a_pipe_changes_what_is_bound(api):
    """What the handler would be given is replaced, whether it is bound or injected; the innermost change counts."""

    async def outer(call, request):
        return await call(number=1, name="outer")

    async def inner(call, request):
        return await call(number=2, store=Store("mine"))

    @http.get("/{number}", around=[outer, inner])
    async def show(number: int, name: str, store: Store, rest: int = 3) -> list:
        return [number, name, store.name, rest]

    async with api(show, plugins=[prepare_store]) as client:
        assert (await client.get("/9")).json == [2, "outer", "mine", 3]
        assert (await client.get("/9?rest=5")).json == [2, "outer", "mine", 5]
        assert (await client.get("/9?name=x")).json == [2, "outer", "mine", 3]
        assert (await client.get("/9?rest=x")).faults == {("query", "rest")}


async def test_a_pipe_replaces_what_could_not_be_bound(api):
    """What a pipe gives is not taken from the request, so that it may have another form there."""

    async def by_name(call, request):
        return await call(number={"tea": 7}[request.match_info["number"]], item=Item("given"), limit=3)

    @http.post("/{number}", around=[by_name])
    async def show(number: int, item: Item, limit: int = 1) -> list:
        return [number, item, limit]

    async with api(show) as client:
        assert (await client.post("/tea?limit=many")).json == [7, {"name": "given"}, 3]
        assert (await client.post("/tea?other=1")).faults == {("query", "other")}


async def test_a_guard_says_who_calls(api):
    """What only a guard can give is no dependency of the handler's where it has a default."""

    @attrs.frozen
    class User:
        name: str

    async def signed(call, request):
        return await call(user=User("ada"))

    @http.get("/", around=[signed])
    async def show(user: User | None = None) -> str:
        return user.name

    async with api(show) as client:
        assert (await client.get("/")).text == "ada"


async def test_parameters_that_there_are_not_are_a_mistake(api):
    """To set a parameter that the handler has not is a TypeError, which the log tells."""

    async def wrong(call, request):
        return await call(nme=1)

    @http.get("/", around=[wrong])
    async def show(name: str = "") -> str:
        return name

    async with api(show) as client:
        assert (await client.get("/")).status == 500
        (line,) = client.events()
        assert str(line["exc_info"]) == "call() got 'nme', and the handler has no such parameter"


async def test_a_call_can_be_made_twice(api):
    """An around may try again; the body is still there."""
    times = []

    async def again(call, request):
        try:
            return await call()
        except ConnectionAbortedError:
            return await call(note="again")

    @http.post("/", around=[again])
    async def handler(item: Item, note: str = "first") -> list:
        times.append(note)
        if note == "first":
            raise ConnectionAbortedError
        return [item, note]

    async with api(handler) as client:
        assert (await client.post("/", {"name": "n"})).json == [{"name": "n"}, "again"]
        assert times == ["first", "again"]


async def test_around_the_application_stands_around_all(api):
    """Around 404, 405 and aiohttp's own handlers too; it may answer for them."""

    async def note(call, request, store: Store):
        try:
            response = await call()
        except web.HTTPException as error:
            if error.status == 405:
                return http.Response("other", status=418)
            error.headers["X-Store"] = store.name
            raise
        response.headers["X-Store"] = store.name
        return response

    async def raw():
        async def handle(request):
            return web.Response(text="raw")

        context.get(web.Application).router.add_get("/raw", handle)

    @http.get("/typed")
    async def typed() -> str:
        return "typed"

    async with api(typed, app=[note], plugins=[prepare_store, raw]) as client:
        for path, status in (("/raw", 200), ("/typed", 200), ("/nowhere", 404)):
            answer = await client.get(path)
            assert (answer.status, answer.headers.get("X-Store")) == (status, "store")
        assert (await client.post("/typed")).status == 418


async def test_aiohttp_middlewares_work_beside(api):
    """A middleware that is added after an around stands inside of it."""
    log = []

    async def ours(call, request):
        log.append("around")
        return await call()

    async def theirs():
        @web.middleware
        async def middleware(request, handler):
            log.append("middleware")
            return await handler(request)

        http.around(ours)
        context.get(web.Application).middlewares.append(middleware)

    @http.get("/")
    async def handler() -> str:
        return "x"

    async with api(handler, plugins=[theirs]) as client:
        assert (await client.get("/")).text == "x"
        assert log == ["around", "middleware"]


async def test_changes_around_the_application_are_a_mistake(api):
    """It knows no handler whose parameters it could set."""

    async def wrong(call, request):
        return await call(x=1)

    @http.get("/")
    async def handler(x: int = 2) -> int:
        return x

    async with api(handler, app=[wrong]) as client:
        assert (await client.get("/")).status == 500


async def test_arounds_of_plugins_with_walls_are_at_home(api):
    """What is injected into an around, and into a handler inside, is what its own plugin has."""

    async def note(call, request, store: Store):
        response = await call()
        response.headers.add("X-Store", store.name)
        return response

    @http.get("/walled", around=[note])
    async def handler(store: Store) -> str:
        return store.name

    @plugin.exports()
    async def walled():
        context.add(Store("walled"))
        http.around(note)
        http.mount(handler)

    @http.get("/open", around=[note])
    async def other(store: Store) -> str:
        return store.name

    async def shared():
        context.add(Store("shared"))

    async with api(other, plugins=[shared, walled]) as client:
        for path in ("walled", "open"):
            for _ in range(2):
                answer = await client.get(f"/{path}")
                name = {"walled": "walled", "open": "shared"}[path]
                assert (answer.text, answer.headers.getall("X-Store")) == (name, [name, "walled"])


async def test_a_timeout(api):
    """A handler that takes longer than its route allows is cancelled: 503, and its scope learns of that."""
    ended = []

    async def unit() -> t.AsyncIterator[Store]:
        try:
            yield Store()
        except BaseException as error:
            ended.append(type(error))
            raise

    async def prepare():
        di.scoped(unit)

    @http.get("/slow", timeout=0.01)
    async def slow(store: Store) -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    @http.get("/own", timeout=60)
    async def own() -> None:
        raise TimeoutError("a secret")

    async with api(slow, own, plugins=[prepare]) as client:
        answer = await client.get("/slow")
        assert (answer.status, answer.json["detail"]) == (503, "it took longer than 0.01 s")
        assert ended == ["cancelled", http.Problem]
        answer = await client.get("/own")
        assert answer.status == 504
        assert "secret" not in answer.text


def sync(call, request): ...


async def none(): ...


async def one(call): ...


async def keywords(*, call, request): ...


@pytest.mark.parametrize("function", [sync, none, one, keywords])
async def test_what_cannot_be_an_around_is_refused(buvar_aiohttp_app, function):
    """It is told when it is mounted, or put around the application, with its name and place."""

    @http.get("/", around=[function])
    async def handler() -> str:
        return ""

    for refused in (lambda: http.around(function), lambda: http.mount(handler)):
        with pytest.raises((errors.BuvarError, ExceptionGroup)) as caught:
            refused()
        first = caught.value.exceptions[0] if isinstance(caught.value, ExceptionGroup) else caught.value
        assert function.__name__ in str(first)
        assert f"{__file__}:{function.__code__.co_firstlineno}" in str(first)

"""What a plugin with walls adds to the application runs in the context of that plugin."""

import asyncio
import collections.abc as c
import contextlib

import attrs
import pytest
from aiohttp import web

from buvar import context, di, plugin
from buvar.plugins import bg

HOME, OUTSIDE = "home", "outside"


@attrs.frozen
class Thing:
    """The plugin with walls has one of its own, and all share another one."""

    name: str


@attrs.frozen
class Layer:
    """What is pushed on the context by whoever calls."""

    name: str


async def where() -> str:
    """Return what is seen here, as component and by injection."""
    thing = context.get(Thing)
    assert (await di.nject(Thing)) is thing
    return thing.name


async def tell(request):
    assert context.get(web.Request) is request
    return web.Response(text=await where())


def walled(function):
    """Return a plugin with walls that has a thing of its own, and does *function* with the application."""

    @plugin.exports()
    async def walled():
        context.add(Thing(HOME))
        function(context.get(web.Application))

    return walled


def outside(function=lambda app: None):
    """Return an open plugin that has a thing for all, and does *function* with the application."""

    async def outside():
        context.add(Thing(OUTSIDE))
        function(context.get(web.Application))

    return outside


async def get(session, path, **options):
    async with session.get(path, **options) as response:
        assert response.status == 200
        return await response.text()


# -- routes


async def test_a_handler_runs_at_home(served):
    """A route of a plugin with walls runs at home, in the scope of the request; those of others do not see inside."""

    class View(web.View):
        async def get(self):
            return await tell(self.request)

    def add(app):
        app.add_routes([web.get("/in", tell), web.view("/view", View)])
        app.router.add_get("/item/{name}", tell)
        app.router.add_resource("/resource").add_route("*", tell)

    async with served(outside(lambda app: app.router.add_get("/out", tell)), walled(add)) as session:
        for path in ("/in", "/view", "/item/1", "/resource", "/in"):
            assert await get(session, path) == HOME
        assert await get(session, "/out") == OUTSIDE


async def test_a_path_may_have_handlers_of_several_plugins(served):
    """Each handler of a path runs where the plugin is at home that adds it."""

    def add(app):
        app.router.add_get("/", tell)

    async with served(walled(add), outside(lambda app: app.router.add_post("/", tell))) as session:
        assert await get(session, "/") == HOME
        async with session.post("/") as response:
            assert await response.text() == OUTSIDE


async def test_who_is_asked_to_expect_a_body_is_at_home(served):
    """An expect handler runs in the context of its plugin, as the handler does."""
    seen = []

    async def expect(request):
        seen.append((await where(), context.get(web.Request) is request))
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0

    def add(app):
        app.router.add_post("/", tell, expect_handler=expect)

    async with served(outside(), walled(add)) as session, session.post("/", data=b"x", expect100=True) as response:
        assert await response.text() == HOME
    assert seen == [(HOME, True)]


@pytest.mark.filterwarnings("ignore:Bare functions are deprecated")
async def test_a_handler_may_be_all_that_aiohttp_takes(served):
    """A method, an object with `__call__`, and a function that returns an awaitable run at home."""

    class Shop:
        async def show(self, request):
            return await tell(request)

        def __call__(self, request):
            return tell(request)

    def add(app):
        app.add_routes([web.get("/method", Shop().show), web.get("/object", Shop())])
        app.router.add_get("/function", lambda request: tell(request))

    async with served(outside(), walled(add)) as session:
        for path in ("/method", "/object", "/function"):
            assert await get(session, path) == HOME


async def test_static_files_are_served_from_behind_walls(served, tmp_path):
    """A folder that a plugin with walls adds, itself or in a sub-application, is served."""
    (tmp_path / "page.txt").write_text("page")

    def add(app):
        app.router.add_static("/static", tmp_path)
        inner = web.Application()
        inner.router.add_static("/static", tmp_path)
        app.add_subapp("/sub", inner)

    async with served(outside(), walled(add)) as session:
        assert await get(session, "/static/page.txt") == "page"
        assert await get(session, "/sub/static/page.txt") == "page"


async def test_a_job_of_a_handler_runs_at_home(served):
    """A job that a handler starts runs in the context of its plugin, with the request."""

    async def job(request):
        return await tell(request)

    @plugin.exports()
    async def walled(load: plugin.Loader):
        await load("buvar.plugins.bg")
        context.add(Thing(HOME))

        async def handle(request):
            return await context.get(bg.Jobs).add(job(request))

        context.get(web.Application).router.add_get("/", handle)

    async with served(outside(), walled) as session:
        assert await get(session, "/") == HOME


# -- middlewares


def telling(name, seen):
    """Return a middleware that tells what it sees before and after the handler."""

    @web.middleware
    async def middleware(request, handler):
        seen.append((name, await where(), context.get(web.Request) is request))
        response = await handler(request)
        seen.append((name, await where(), context.get(web.Request) is request))
        return response

    return middleware


async def test_a_middleware_runs_at_home_and_its_handler_outside(served):
    """Each middleware sees what its plugin sees, before and after the handler, in whichever order they stand."""
    seen = []

    def add(app):
        app.router.add_get("/in", tell)
        app.middlewares.append(telling("inner", seen))
        app.middlewares.insert(0, telling("outer", seen))

    def add_outside(app):
        app.router.add_get("/out", tell)
        app.middlewares.append(telling("open", seen))

    async with served(outside(add_outside), walled(add)) as session:
        for path, text in (("/in", HOME), ("/out", OUTSIDE)):
            assert await get(session, path) == text
            way = [("outer", HOME, True), ("open", OUTSIDE, True), ("inner", HOME, True)]
            assert seen == [*way, *way[::-1]]
            seen.clear()
        async with session.get("/nowhere") as response:
            assert response.status == 404
        assert [name for name, *_ in seen] == ["outer", "open", "inner"]


async def test_what_is_pushed_goes_through_a_middleware(served):
    """What the caller of a middleware pushed, and what the middleware does, a scope included, its handler sees."""
    ended = []

    async def open_layer() -> c.AsyncIterator[Layer]:
        yield Layer("scoped")
        ended.append("scope")

    @web.middleware
    async def push(request, handler):
        with context.child():
            context.add(Layer("below"), name="below")
            return await handler(request)

    @web.middleware
    async def scope(request, handler):
        assert context.get(Layer, name="below").name == "below"
        async with context.scope("middleware"):
            context.add(Layer("above"), name="above")
            response = await handler(request)
            assert ended == []
        assert ended == ["scope"]
        return response

    async def handle(request):
        assert context.get(Layer, name="below").name == "below"
        assert context.get(Layer, name="above").name == "above"
        assert (await di.nject(Layer)).name == "scoped"
        return await tell(request)

    def add_outside(app):
        di.scoped(open_layer)
        app.router.add_get("/", handle)
        app.middlewares.append(push)

    async with served(outside(add_outside), walled(lambda app: app.middlewares.append(scope))) as session:
        assert await get(session, "/") == OUTSIDE


async def test_a_middleware_may_be_an_object(served):
    """An object that is a middleware runs at home; it finds the marks that a handler has, whoever added that."""
    seen = []

    class Guard:
        __middleware_version__ = 1

        async def __call__(self, request, *, handler):
            seen.append((await where(), handler.mark))
            return await handler(request)

    def marked():
        async def handle(request):
            return await tell(request)

        handle.mark = "marked"
        return handle

    def add(app):
        app.middlewares.append(Guard())
        app.router.add_get("/in", marked())

    async with served(outside(lambda app: app.router.add_get("/out", marked())), walled(add)) as session:
        assert await get(session, "/in") == HOME
        assert await get(session, "/out") == OUTSIDE
    assert seen == [(HOME, "marked")] * 2


@pytest.mark.filterwarnings("ignore:old-style middleware")
async def test_a_middleware_may_be_of_the_old_style(served):
    """A middleware factory and the handler that it makes run at home; the handler that it is given does not."""
    seen = []

    async def factory(app, handler):
        seen.append(await where())

        async def handle(request):
            seen.append(await where())
            return await handler(request)

        return handle

    def add(app):
        app.middlewares.append(factory)
        inner = web.Application(middlewares=[factory])
        inner.router.add_get("/", tell)
        app.add_subapp("/sub", inner)

    async with served(outside(lambda app: app.router.add_get("/", tell)), walled(add)) as session:
        assert await get(session, "/") == OUTSIDE
        assert seen == [HOME] * 2
        assert await get(session, "/sub/") == HOME
        assert seen == [HOME] * 6


@pytest.mark.parametrize(
    "put",
    [
        lambda items, one: items.append(one),
        lambda items, one: items.insert(0, one),
        lambda items, one: items.extend([one]),
        lambda items, one: items.__iadd__([one]),
        lambda items, one: items.__setitem__(0, one),
        lambda items, one: items.__setitem__(slice(None), [*items, one]),
        lambda items, one: items.__setitem__(slice(0, 0), [one]),
    ],
    ids=["append", "insert", "extend", "+=", "[0]", "[:]", "[0:0]"],
)
async def test_however_it_is_put_into_the_list(served, put):
    """A middleware runs at home however it is put into the list; those that are in it already stay what they are."""
    seen = []

    def add(app):
        put(app.middlewares, telling("walled", seen))

    def add_outside(app):
        app.router.add_get("/", tell)
        app.middlewares.append(telling("open", seen))

    async with served(outside(add_outside), walled(add)) as session:
        assert await get(session, "/") == OUTSIDE
    assert ("walled", HOME, True) in seen
    assert set(seen) <= {("walled", HOME, True), ("open", OUTSIDE, True)}


# -- signals


async def test_callbacks_of_signals_run_at_home(served):
    """What a plugin with walls does at start, shutdown and clean-up is done at home; others do not see inside."""
    seen = []

    def connect(who):
        def add(app):
            for name in ("on_startup", "on_shutdown", "on_cleanup"):

                async def callback(app, name=name):
                    seen.append((who, name, await where()))

                getattr(app, name)(callback)  # as a decorator does

        return add

    async with served(outside(connect("open")), walled(connect("walled"))):
        pass
    assert seen == [
        (who, name, place)
        for name in ("on_startup", "on_shutdown", "on_cleanup")
        for who, place in (("open", OUTSIDE), ("walled", HOME))
    ]


async def test_what_is_added_at_start_is_found_by_handlers(served):
    """A clean-up context is entered and left at home, whichever kind it is: what it adds stays behind the walls."""
    ended = []

    async def generator(app):
        context.add(Layer("generator"), name="generator")
        yield
        ended.append(("generator", await where()))

    @contextlib.asynccontextmanager
    async def manager(app):
        context.add(Layer("manager"), name="manager")
        yield
        ended.append(("manager", await where()))

    async def handle(request):
        return web.Response(text=" ".join(sorted(context.find(Layer))))

    async def open_one(app):
        assert await where() == OUTSIDE
        yield
        ended.append(("open", await where()))

    def add(app):
        app.cleanup_ctx.extend([generator, manager])
        app.router.add_get("/in", handle)

    def add_outside(app):
        app.router.add_get("/out", handle)

    plugins = outside(add_outside), walled(add), outside(lambda app: app.cleanup_ctx.append(open_one))
    async with served(*plugins) as session:
        assert await get(session, "/in") == "generator manager"
        assert await get(session, "/out") == ""
    assert ended == [("open", OUTSIDE), ("manager", HOME), ("generator", HOME)]


async def test_a_response_is_prepared_at_home(served):
    """`on_response_prepare` runs at home with the request, whether the handler prepares its response or the server."""

    async def note(request, response):
        assert context.get(web.Request) is request
        response.headers["X-Where"] = await where()

    async def stream(request):
        response = web.StreamResponse()
        await response.prepare(request)
        return response

    def add_outside(app):
        app.router.add_get("/", tell)
        app.router.add_get("/stream", stream)

    async with served(outside(add_outside), walled(lambda app: app.on_response_prepare.append(note))) as session:
        for path in ("/", "/stream"):
            async with session.get(path) as response:
                assert response.headers["X-Where"] == HOME


# -- sub-applications


def nested(seen):
    """Return an application that has another one, with all that can be added to them."""

    async def note(request, response):
        seen.append(("prepared", await where(), context.get(web.Request) is request))

    async def stay(app):
        seen.append(("enter", await where()))
        yield
        seen.append(("leave", await where()))

    async def started(app):
        seen.append(("started", await where()))

    def build(name, *routes):
        app = web.Application(middlewares=[telling(name, seen)])
        app.add_routes([web.get("/", tell), *routes])
        app.on_response_prepare.append(note)
        app.cleanup_ctx.append(stay)
        app.on_startup.append(started)
        return app

    upper, lower = build("upper"), build("lower")
    upper.add_subapp("/lower", lower)
    return upper


@pytest.mark.parametrize("kind", ["subapp", "domain"])
async def test_a_sub_application_runs_at_home(served, kind):
    """All of a sub-application, and of those in it, runs in the context of the plugin with walls that mounts it."""
    seen = []

    def add(app):
        if kind == "subapp":
            app.add_subapp("/sub", nested(seen))
        else:
            app.add_domain("sub.example", nested(seen))

    path, headers = ("/sub", {}) if kind == "subapp" else ("", {"Host": "sub.example"})
    async with served(outside(lambda app: app.router.add_get("/", tell)), walled(add)) as session:
        assert await get(session, "/") == OUTSIDE
        assert {where for _, where in seen} == {HOME}
        assert sorted(what for what, _ in seen) == ["enter", "enter", "started", "started"]
        seen.clear()
        assert await get(session, f"{path}/", headers=headers) == HOME
        assert seen == [("upper", HOME, True)] * 2 + [("prepared", HOME, True)]
        seen.clear()
        assert await get(session, f"{path}/lower/", headers=headers) == HOME
        way = [("upper", HOME, True), ("lower", HOME, True)]
        assert seen == [*way, *way[::-1], *[("prepared", HOME, True)] * 2]
        seen.clear()
    assert seen == [("leave", HOME)] * 2


async def test_middlewares_of_the_application_stand_around_a_sub_application(served):
    """Around a sub-application of a plugin with walls, a middleware of an open one sees what all see."""
    seen = []

    def add(app):
        inner = web.Application(middlewares=[telling("inner", seen)])
        inner.router.add_get("/", tell)
        app.add_subapp("/sub", inner)

    def add_outside(app):
        app.middlewares.append(telling("open", seen))

    async with served(outside(add_outside), walled(add)) as session:
        assert await get(session, "/sub/") == HOME
    assert seen == [("open", OUTSIDE, True), *[("inner", HOME, True)] * 2, ("open", OUTSIDE, True)]


# -- open plugins


async def test_what_an_open_plugin_adds_is_taken_as_it_is(served):
    """Nothing is wrapped that an open plugin adds."""
    seen = []

    async def callback(*args):
        pass

    async def stay(app):
        yield

    middleware, inner_middleware = telling("", seen), telling("", seen)
    inner = web.Application(middlewares=[inner_middleware])

    def add(app):
        route = app.router.add_get("/", tell)
        assert route.handler is tell
        route = inner.router.add_get("/", tell)
        app.middlewares.append(middleware)
        app.cleanup_ctx.append(stay)
        for signal in (app.on_startup, app.on_shutdown, app.on_cleanup, app.on_response_prepare):
            signal.append(callback)
            assert signal[-1] is callback
        before = list(inner.on_response_prepare)
        app.add_subapp("/sub", inner)
        assert route.handler is tell
        assert list(inner.on_response_prepare) == before
        assert inner._middlewares_handlers[0] == (inner_middleware, True)
        assert list(app.middlewares) == [middleware]
        assert list(app.cleanup_ctx) == [stay]

    async with served(outside(add)) as session:
        assert await asyncio.gather(get(session, "/"), get(session, "/sub/")) == [OUTSIDE] * 2

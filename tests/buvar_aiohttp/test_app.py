"""The application and the client session: components, each request a scope of its own."""

import asyncio
import collections.abc as c
import logging
import threading

import aiohttp
import pytest
import structlog
from aiohttp import web

from buvar import context, di, plugin
from buvar_aiohttp import prepare_app, prepare_client_session


class Thing:
    def __init__(self, number):
        self.number = number


async def test_handlers_run_in_the_context_of_the_plugins(served):
    """A handler finds what the plugins added, its request, and nothing of other requests on the same connection."""

    async def routes(load: plugin.Loader):
        context.add(Thing("shared"))

        async def handle(request):
            assert context.get(web.Request) is request
            assert context.get(Thing).number == "shared"
            assert context.get(Thing, name="mine", default=None) is None
            context.add(Thing("own"), name="mine")
            context.add(Thing("own"))
            assert context.get(Thing).number == "own"
            return web.Response(text="fine")

        context.get(web.Application).router.add_get("/", handle)

    async with served(routes) as session:
        for _ in range(3):
            async with session.get("/") as response:
                assert await response.text() == "fine"


async def test_concurrent_requests_do_not_see_each_other(served):
    """Two requests that are handled at the same time have each their own components, in tasks that they start too."""

    async def routes():
        both = asyncio.Barrier(2)

        async def child():
            return context.get(Thing).number

        async def handle(request):
            context.add(Thing(request.query["number"]))
            await both.wait()
            assert context.get(web.Request) is request
            return web.Response(text=await asyncio.create_task(child()))

        context.get(web.Application).router.add_get("/", handle)

    async def ask(session, number):
        async with session.get("/", params={"number": number}) as response:
            return await response.text()

    async with served(routes) as session:
        assert await asyncio.gather(ask(session, "1"), ask(session, "2")) == ["1", "2"]


async def test_a_failing_handler_answers_500_and_the_next_request_is_served(served, capsys):
    """An error of a handler is a 500 and a log entry, an HTTPException its own status."""

    async def routes():
        async def fail(request):
            raise ValueError("broken handler")

        async def gone(request):
            raise web.HTTPGone

        context.get(web.Application).add_routes([web.get("/fail", fail), web.get("/gone", gone)])

    async with served(routes) as session:
        statuses = []
        for path in ("/fail", "/gone", "/fail"):
            async with session.get(path) as response:
                statuses.append(response.status)
    assert statuses == [500, 410, 500]
    assert "broken handler" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("path", "status", "location"),
    [("/a/b", 308, "/a/b/"), ("/a//b/", 308, "/a/b/"), ("/a/b/", 200, None), ("/a/c", 404, None)],
)
async def test_paths_are_normalised_where_no_route_matches(served, path, status, location):
    """What no route matches is redirected to the path with fewer slashes, or one at its end, if that is a route."""

    async def routes():
        async def handle(request):
            return web.Response()

        context.get(web.Application).router.add_get("/a/b/", handle)

    async with served(routes) as session:
        async with session.get(path, allow_redirects=False) as response:
            assert (response.status, response.headers.get("Location")) == (status, location)


async def test_what_a_handler_does_not_find_is_not_redirected(served):
    """A handler's own 404 stays one, also where a path with a slash at its end is a route."""

    async def routes():
        async def handle(request):
            raise web.HTTPNotFound

        context.get(web.Application).add_routes([web.get("/a", handle), web.get("/a/", handle)])

    async with served(routes) as session, session.get("/a", allow_redirects=False) as response:
        assert response.status == 404


class Session:
    def __init__(self, request):
        self.request, self.ended = request, None


async def test_the_scope_of_a_request_is_closed_before_the_answer(served, capsys):
    """What a request opened is finalised before its headers leave, with its error; where that fails it is a 500."""
    ended = []

    async def open_session(request: web.Request) -> c.AsyncIterator[Session]:
        try:
            yield Session(request)
        except Exception as error:
            ended.append(type(error).__name__)
        else:
            if "commit" in request.query:
                raise RuntimeError("commit failed")
            ended.append(request.path)

    async def routes():
        di.scoped(open_session)

        async def handle(request):
            session = await di.nject(Session)
            assert session is await di.nject(Session)
            assert session.request is request
            kind = request.query.get("raise")
            if kind:
                raise {"found": web.HTTPFound("/"), "gone": web.HTTPGone(), "error": ValueError("no")}[kind]
            return web.Response()

        context.get(web.Application).router.add_get("/", handle)

    async with served(routes) as session:
        for query, status in (
            ("", 200),
            ("commit", 500),
            ("raise=found", 302),
            ("raise=gone", 410),
            ("raise=error", 500),
        ):
            async with session.get(f"/?{query}", allow_redirects=False) as response:
                assert response.status == status
                assert "commit" not in await response.text()
    assert ended == ["/", "/", "HTTPGone", "ValueError"]
    assert "commit failed" in capsys.readouterr().out


@pytest.mark.parametrize("how", ["fails", "leaves", "cancelled"])
async def test_the_scope_of_a_request_that_gets_no_response_is_closed(served, how):
    """A stream that fails in the middle, or whose client leaves, and a handler that is cancelled, roll back."""
    seen, begun, over = [], threading.Event(), threading.Event()  # the service runs in a thread

    async def open_session(request: web.Request) -> c.AsyncIterator[Session]:
        try:
            yield Session(request)
        except BaseException as error:
            seen.append(type(error))
            raise
        finally:
            over.set()

    async def routes():
        di.scoped(open_session)

        async def handle(request):
            await di.nject(Session)
            response = web.StreamResponse()
            await response.prepare(request)
            begun.set()
            if how == "fails":
                raise ValueError("no")
            if how == "cancelled":
                asyncio.current_task().cancel()
            while True:
                await response.write(bytes(65536))

        context.get(web.Application).router.add_get("/", handle)

    async with served(routes) as session:
        response = await session.get("/")
        await asyncio.to_thread(begun.wait, 20)
        if how == "leaves":
            response.close()
        await asyncio.to_thread(over.wait, 20)
        response.close()
    (kind,) = seen
    assert issubclass(kind, {"fails": ValueError, "leaves": ConnectionError, "cancelled": asyncio.CancelledError}[how])


async def test_what_a_late_task_of_a_request_asks_for_is_refused(served):
    """A task that outlives its request opens nothing for it, though the request itself had opened nothing."""
    tasks, opened, over = [], [], asyncio.Event()

    async def open_session(request: web.Request) -> c.AsyncIterator[Session]:
        opened.append(request)
        yield Session(request)

    async def routes():
        di.scoped(open_session)

        async def ask_late():
            await over.wait()
            await di.nject(Session)

        async def handle(_):
            tasks.append(asyncio.create_task(ask_late()))
            return web.Response()

        async def wait(_):
            over.set()
            (result,) = await asyncio.gather(*tasks, return_exceptions=True)
            return web.Response(text=str(result))

        context.get(web.Application).router.add_get("/", handle)
        context.get(web.Application).router.add_get("/wait", wait)

    async with served(routes) as session:
        assert (await session.get("/")).status == 200
        assert "its scope has ended" in await (await session.get("/wait")).text()
    assert not opened


async def test_middlewares_and_sub_applications_work(served, caplog):
    """A plugin may append middlewares and mount sub-applications; both see the scope of the request."""

    async def routes():
        @web.middleware
        async def number(request, handler):
            context.add(Thing(7))
            return await handler(request)

        async def handle(request):
            assert context.get(web.Request) is request
            return web.Response(text=str(context.get(Thing).number))

        inner = web.Application()
        inner.router.add_get("/inner", handle)
        app = context.get(web.Application)
        app.middlewares.append(number)
        app.add_subapp("/sub", inner)

    async with served(routes) as session, session.get("/sub/inner") as response:
        assert await response.text() == "7"


async def test_routes_may_be_added_until_the_tasks_run(served):
    """A plugin that is loaded after the server adds routes all the same."""

    async def late():
        async def handle(request):
            return web.Response(text="late")

        context.get(web.Application).router.add_get("/late", handle)

    async with served(late) as session, session.get("/late") as response:
        assert await response.text() == "late"


def test_the_client_session_is_shared_and_closed():
    """All plugins get one session, made on the loop of the stage; it is open until teardown and closed by it."""
    found = []

    async def prepare(load: plugin.Loader, teardown: plugin.Teardown):
        teardown.add(lambda: found.append(found[0].closed))
        await load(prepare_client_session)
        session = context.get(aiohttp.ClientSession)
        found.append(session)
        teardown.add(lambda: found.append(session.closed))

    plugin.stage(prepare)
    assert found[1:] == [False, True]


def test_the_application_comes_alone():
    """`prepare_app` adds an application and starts nothing."""

    async def prepare(load: plugin.Loader):
        await load(prepare_app)
        assert isinstance(context.get(web.Application), web.Application)

    assert plugin.stage(prepare) == []


async def test_a_configured_access_log_is_written(served):
    """With an access log each request is an entry of it; without, none is."""

    async def routes():
        async def handle(request):
            return web.Response()

        context.get(web.Application).router.add_get("/", handle)

    logging.getLogger("aiohttp.access").setLevel("INFO")
    for access_log, entries in ((None, 0), (True, 1)):
        with structlog.testing.capture_logs() as events:
            async with served(routes, access_log=access_log) as session, session.get("/"):
                pass
        assert [event["event"] for event in events].count("request") == entries

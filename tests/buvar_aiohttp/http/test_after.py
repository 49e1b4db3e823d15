"""What is left for the time after a response runs then, at home, and is forgotten where the request fails."""

import asyncio

from aiohttp import web

from buvar import context, di, plugin
from buvar_aiohttp import http


class Store:
    def __init__(self, name="store"):
        self.name = name


class Done:
    """What was done, as it can be waited for on the loop of the test."""

    def __init__(self):
        self.loop = asyncio.get_running_loop()
        self.queue = asyncio.Queue()

    def __call__(self, what):
        self.loop.call_soon_threadsafe(self.queue.put_nowait, what)

    async def next(self):
        return await asyncio.wait_for(self.queue.get(), 20)


async def prepare_store():
    di.singleton(Store)


async def test_it_runs_after_the_response_has_left(api):
    """The client has its answer while the work still waits; it has its arguments, and what is injected, in a scope."""
    done, go = Done(), []

    async def work(number, store: Store, *, flag):
        gate = go[0]
        await gate.wait()
        assert context.get(web.Request, default=None) is None
        assert context.current_context().scope is not None
        done((number, store.name, flag))

    @http.post("/")
    async def handler(after: http.After) -> str:
        go.append(asyncio.Event())
        after.add(work, 5, flag=True)
        assert len(after) == 1
        return "answered"

    @http.post("/go")
    async def release() -> None:
        go[0].set()

    async with api(handler, release, plugins=[prepare_store]) as client:
        assert (await client.post("/")).text == "answered"
        assert done.queue.empty()
        await client.post("/go")
        assert await done.next() == (5, "store", True)


async def test_it_is_left_from_adapters_and_arounds(api):
    """All that is called in a request leaves its work at the same place."""
    done = Done()

    async def work(name):
        done(name)

    async def unit(after: http.After) -> Store:
        after.add(work, "adapter")
        return Store()

    async def prepare():
        di.scoped(unit)

    async def note(call, request, after: http.After):
        after.add(work, "around")
        return await call()

    @http.get("/", around=[note])
    async def handler(store: Store, after: http.After) -> None:
        after.add(work, "handler")

    async with api(handler, plugins=[prepare]) as client:
        assert (await client.get("/")).status == 204
        assert sorted([await done.next() for _ in range(3)]) == ["adapter", "around", "handler"]


async def test_a_request_that_fails_leaves_nothing(api):
    """Where an error is raised what was added is forgotten, as what a scope holds is undone; a redirect is none."""
    done = Done()

    async def work(name):
        done(name)

    @http.get("/{what}")
    async def handler(what: str, after: http.After) -> object:
        after.add(work, what)
        if what == "problem":
            raise http.Problem(409)
        if what == "error":
            raise ValueError(what)
        if what == "aiohttp":
            raise web.HTTPConflict
        if what == "redirect":
            raise web.HTTPSeeOther("/")
        return http.Response(what, status=400)

    async with api(handler) as client:
        for what, status in {"problem": 409, "error": 500, "aiohttp": 409, "redirect": 303, "returned": 400}.items():
            assert (await client.ask("GET", f"/{what}", allow_redirects=False)).status == status
        assert [await done.next(), await done.next()] == ["redirect", "returned"]
        assert done.queue.empty()


async def test_a_request_that_is_cancelled_leaves_nothing(api):
    """Where the time of a route is over, what its handler added is forgotten."""
    done = Done()

    async def work(name):
        done(name)

    @http.get("/slow", timeout=0.01)
    async def slow(after: http.After) -> None:
        after.add(work, "slow")
        await asyncio.Event().wait()

    @http.get("/fine")
    async def fine(after: http.After) -> None:
        after.add(work, "fine")

    async with api(slow, fine) as client:
        assert (await client.get("/slow")).status == 503
        await client.get("/fine")
        assert await done.next() == "fine"
        assert done.queue.empty()


async def test_a_failure_is_logged(api):
    """Work that fails is told by the log, and nothing else fails with it."""
    done = Done()

    async def bad():
        raise ValueError("after")

    async def good():
        done("good")

    @http.get("/")
    async def handler(after: http.After) -> str:
        after.add(bad)
        after.add(good)
        return "x"

    async with api(handler) as client:
        assert (await client.get("/")).text == "x"
        assert await done.next() == "good"
    assert [str(each["exc_info"]) for each in client.logs if each["log_level"] == "error"] == ["after"]


async def test_it_is_drained_at_stop(api):
    """Work that has begun is done when the service has stopped."""
    done = Done()

    async def prepare(cancel: plugin.Cancel):
        context.add(cancel, name="stop")

    async def work(cancel: plugin.Cancel):
        done("began")
        await cancel.wait()
        await asyncio.sleep(0)
        done("done")

    @http.get("/")
    async def handler(after: http.After) -> str:
        after.add(work)
        return "x"

    async with api(handler) as client:
        await client.get("/")
        assert await done.next() == "began"
        assert done.queue.empty()
    assert await done.next() == "done"


async def test_it_runs_at_home(api):
    """Work that a plugin with walls leaves sees what that plugin sees."""
    done = Done()

    async def work(store: Store):
        done(store.name)

    @http.get("/walled")
    async def walled(after: http.After) -> None:
        after.add(work)

    @plugin.exports()
    async def prepare_walled():
        context.add(Store("walled"))
        http.mount(walled)

    @http.get("/shared")
    async def shared(after: http.After) -> None:
        after.add(work)

    async with api(shared, plugins=[prepare_store, prepare_walled]) as client:
        for name, told in (("walled", "walled"), ("shared", "store")):
            await client.get(f"/{name}")
            assert await done.next() == told


async def test_what_cannot_be_awaited_is_logged(api):
    """A function that is no coroutine function is called, and the log tells what is wrong with it."""
    done = Done()

    @http.get("/")
    async def handler(after: http.After) -> str:
        after.add(done, "called")
        return "x"

    async with api(handler) as client:
        assert (await client.get("/")).text == "x"
        assert await done.next() == "called"
    assert [type(each["exc_info"]) for each in client.logs if each["log_level"] == "error"] == [TypeError]

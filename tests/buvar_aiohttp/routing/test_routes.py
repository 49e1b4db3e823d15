"""The check of the routes: what is never called is told before the service runs."""

import functools

import pytest
from aiohttp import web

from buvar import context, plugin
from buvar_aiohttp.routing import routes


async def one(request):
    return web.Response()


async def other(request):
    return web.Response()


def found(app):
    return [each.message.partition(" is ")[0] for each in routes.look(app)]


@pytest.fixture
def app():
    return web.Application()


def test_the_same_method_and_path_twice_is_told(app):
    """Both handlers are named, with the place of the one that is never called."""
    app.router.add_post("/a", one)
    app.router.add_post("/b", one)
    app.router.add_post("/a", other)
    (told,) = routes.look(app)
    assert told.code == "BV401"
    assert told.severity == "error"
    assert told.message == f"POST /a is added twice, by {__name__}:one and by {__name__}:other"
    assert (told.place.file, told.place.line) == (__file__, other.__code__.co_firstlineno)


def test_what_a_part_of_the_path_is_called_does_not_count(app):
    """Two dynamic paths that match the same are the same, whatever their parts are called."""
    app.router.add_post("/a/{x}", one)
    app.router.add_post("/b", one)
    app.router.add_post("/a/{y}", other)
    app.router.add_post(r"/a/{y:\d+}", other)
    assert found(app) == ["POST /a/{y}"]


def test_head_comes_with_get(app):
    """A GET that is there twice is told once, though each brings a HEAD."""
    app.router.add_get("/a", one)
    app.router.add_get("/b", one)
    app.router.add_get("/a", other)
    assert found(app) == ["GET /a"]


def test_a_route_for_all_methods_hides_what_follows(app):
    """After a route for all methods no other one of its path is called; before it, each is."""
    app.router.add_post("/a", one)
    app.router.add_post("/b", one)
    app.router.add_route("*", "/a", other)
    app.router.add_post("/c", one)
    app.router.add_put("/a", one)
    assert found(app) == ["PUT /a"]


def test_other_methods_and_paths_are_fine(app):
    """The same path with another method, and the same method with another path, are no fault."""
    app.router.add_get("/a", one)
    app.router.add_post("/a", one)
    app.router.add_get("/a/", one)
    app.router.add_get("/{a}", one)
    app.router.add_static("/static", ".")
    app.router.add_get("/static", one)
    assert found(app) == []


def test_sub_applications_are_looked_into(app):
    """What a sub-application adds again is told with its whole path; that of another domain is another route."""
    inner = web.Application()
    inner.router.add_post("/b", other)
    elsewhere = web.Application()
    elsewhere.router.add_post("/a/b", other)
    app.router.add_post("/a/b", one)
    app.add_domain("example.org", elsewhere)
    app.add_subapp("/a", inner)
    assert found(app) == ["POST /a/b"]


def test_it_stops_a_start():
    """A service with the same route twice does not start."""

    async def prepare(load: plugin.Loader):
        await load("buvar_aiohttp.app:prepare_app")
        router = context.get(web.Application).router
        router.add_post("/a", one)
        router.add_post("/b", one)
        router.add_post("/a", other)

    with pytest.raises(ExceptionGroup, match="the check before the run found 1 error") as caught:
        plugin.stage(prepare)
    (error,) = caught.value.exceptions
    assert "POST /a is added twice" in str(error)


def test_a_head_that_nobody_asked_for_stops_nothing(app):
    """Who has a HEAD of their own is warned where a GET brings another one, and told how to keep it from that."""
    app.router.add_head("/a", one)
    app.router.add_post("/b", one)
    app.router.add_get("/a", other)
    (told,) = routes.look(app)
    assert told.severity == "warning"
    assert told.message.startswith("HEAD /a is added twice")
    assert told.advice.endswith("add the GET with allow_head=False")


def test_handlers_of_all_kinds_have_names(app, tmp_path):
    """What was made of a function, and static files, are told by a name that tells something."""
    app.router.add_get("/b", functools.partial(one))
    app.router.add_get("/a", one)
    app.router.add_get("/b", functools.partial(one))
    app.router.add_static("/c", tmp_path)
    app.router.add_static("/c", tmp_path)
    assert sorted(each.message.partition(" is added twice, by ")[2] for each in routes.look(app)) == [
        f"{__name__}:one and by {__name__}:one",
        f"the static files in {tmp_path} and by the static files in {tmp_path}",
    ]


def test_every_route_is_listed(app):
    """Routes of sub-applications are listed with their whole path and their domain, and what is no wish of anybody."""
    inner, domain = web.Application(), web.Application()
    inner.router.add_get("/a", one)
    domain.router.add_post("/b", other)
    app.add_subapp("/inner", inner)
    app.add_domain("shop.test", domain)
    listed = [(each.method, each.path, each.domain, each.comes_with_get) for each in routes.every(app)]
    assert listed == [
        ("HEAD", "/inner/a", (), True),
        ("GET", "/inner/a", (), False),
        ("POST", "/b", ("shop.test",), False),
    ]

"""The routes of an application as they are listed: their order, whose they are, what stands around them."""

import pytest
from aiohttp import web

from buvar import context, plugin, routes
from buvar_aiohttp import app, http
from buvar_aiohttp.routing import listing
from buvar_aiohttp.routing import routes as ours


async def handle(request):
    return web.Response()


@web.middleware
async def outer(request, handler):
    return await handler(request)


@web.middleware
async def inner(request, handler):
    return await handler(request)


@http.get("/typed")
async def typed(): ...


def listed(*plugins):
    """Return the routes that plugins add, as any program finds them."""

    async def look(load: plugin.Loader):
        await load(app.prepare_app, *plugins)

        async def task():
            return [route for each in plugin.declared(routes.Listing).values() for route in each.item.function()]

        yield task()

    (found,) = plugin.stage(look)
    return found


def test_the_order_is_that_of_the_router(tmp_path):
    """Domains come first; then text, patterns, names, what takes the rest, in each segment, whatever was added when."""
    shop, admin = web.Application(), web.Application()
    admin.router.add_post("/", handle)
    admin.router.add_post("/{any}", handle)
    shop.router.add_post("/z", handle)
    app = web.Application()
    app.router.add_static("/a/files", tmp_path)
    app.router.add_post(r"/a/{tail:.*}", handle)
    app.router.add_post("/a/{x}/c", handle)
    app.router.add_post(r"/a/{x:\d+}/c", handle)
    app.router.add_post(r"/a/{x:[a-z]+}", handle)
    app.add_subapp("/a/admin", admin)
    app.router.add_post("/a/admin/{x}", handle)
    app.router.add_post("/a/b", handle)
    app.router.add_post("/", handle)
    app.add_domain("shop.test", shop)
    assert [each.path for each in listing.in_order(ours.every(app)) if each.method == "POST"] == [
        "/z",
        "/",
        "/a/admin/{x}",
        "/a/admin/",
        "/a/admin/{any}",
        "/a/b",
        "/a/{x}/c",
        "/a/{x}",
        "/a/{x}/c",
        "/a/{tail}",
    ]


@pytest.mark.parametrize("walls", [False, True])
def test_who_added_a_route_is_known(tmp_path, walls):
    """A route belongs to the plugin that added it, to a path of another one too; what comes with a sub-app to its."""

    async def one():
        sub = web.Application(middlewares=[inner])
        sub.router.add_get("/", handle)
        context.get(web.Application).add_subapp("/sub", sub)
        context.get(web.Application).router.add_get("/", handle)  # the next one of this path has its resource

    async def two(load: plugin.Loader):
        await load(plugin.exports()(one) if walls else one)
        router = context.get(web.Application).router
        router.add_post("/", handle)
        router.add_static("/static", tmp_path)
        http.mount(typed)

    prefix = f"{__name__}:test_who_added_a_route_is_known.<locals>"
    assert [(each.method, each.path, each.plugin) for each in listed(two)] == [
        ("GET", "/", f"{prefix}.one"),
        ("POST", "/", f"{prefix}.two"),
        ("GET", "/static", f"{prefix}.two"),
        ("GET", "/sub/", f"{prefix}.one"),
        ("GET", "/typed", f"{prefix}.two"),
    ]


def test_middlewares_stand_around():
    """The middlewares of the application come before those of a sub-application; those of plugins with walls too."""

    @plugin.exports()
    async def walled():
        application = context.get(web.Application)
        application.middlewares.append(outer)
        sub = web.Application(middlewares=[inner])
        sub.router.add_get("/a", handle)
        application.add_domain("shop.test", sub)
        application.router.add_get("/b", handle)

    found = {each.path: each for each in listed(walled)}
    assert found["/a"].around == (f"{__name__}:outer", f"{__name__}:inner")
    assert found["/b"].around == (f"{__name__}:outer",)
    assert (found["/a"].domain, found["/b"].domain) == ("shop.test", None)


def test_a_resource_of_a_kind_of_its_own_is_listed():
    """Of a resource that nothing is known of, the path is told as it tells it."""

    class Own(web.DynamicResource):
        def _match(self, path):
            return {}

    async def prepare():
        own = Own(r"/own/{x:\d+}")
        own.add_route("GET", handle)
        context.get(web.Application).router.register_resource(own)

    (found,) = listed(prepare)
    assert (found.path, found.pattern, found.parameters) == ("/own/{x}", "/own/{x}", None)

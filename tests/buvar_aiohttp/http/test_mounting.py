"""Handlers, controllers and groups become routes of the application, in the context of the plugin that mounts them."""

import functools
import typing as t

import pytest
from aiohttp import web

from buvar import context, di, errors, plugin
from buvar_aiohttp import http
from buvar_aiohttp.http import mounting, routes


class Store:
    def __init__(self, name="store"):
        self.name = name


@http.get("/a", name="a")
async def first() -> str:
    return "a"


@http.get("/b/{number}", name="b")
@http.post("/c/{number}")
async def second(number: int, limit: int = 1) -> list:
    return [number, limit]


def mounted():
    return [(each.item.method, each.item.path) for each in plugin.declared(http.Route).values()]


def test_prefixes_are_joined(buvar_aiohttp_app):
    """Groups are nested; a slash alone is the prefix itself; each method and path is a declaration."""

    @http.get("/")
    async def root(): ...

    @http.get("")
    async def empty(): ...

    @http.controller("/c")
    class Controller:
        @http.get("/")
        async def index(self): ...

        @http.get("/x")
        async def x(self): ...

    inner = http.group(first, Controller, prefix="/inner/")
    http.mount(http.group(inner, root, prefix="/outer"), empty, second, prefix="/api")
    assert mounted() == [
        ("GET", "/api/outer/inner/a"),
        ("GET", "/api/outer/inner/c"),
        ("GET", "/api/outer/inner/c/x"),
        ("GET", "/api/outer"),
        ("GET", "/api"),
        ("GET", "/api/b/{number}"),
        ("POST", "/api/c/{number}"),
    ]


async def test_the_root_can_be_mounted(api):
    """An empty path without a prefix is the root."""

    @http.get("")
    async def root() -> str:
        return "root"

    async with api(root) as client:
        assert (await client.get("/")).text == "root"


def test_tags_are_collected(buvar_aiohttp_app):
    """Those of the mount, the groups, the controller and the handler, in this order."""

    @http.controller("/c", tags="controller")
    class Controller:
        @http.get("/", tags=["x", "y"])
        async def index(self): ...

    http.mount(http.group(Controller, tags="group"), tags="mount")
    (route,) = [each.item for each in plugin.declared(http.Route).values()]
    assert route.endpoint.found.tags == ("mount", "group", "controller", "x", "y")


def test_routes_have_names(buvar_aiohttp_app):
    """A URL is made by the name of a route, with its prefix."""
    http.mount(first, second, prefix="/api")
    assert str(buvar_aiohttp_app.router["a"].url_for()) == "/api/a"
    assert str(buvar_aiohttp_app.router["b"].url_for(number="5")) == "/api/b/5"


async def test_handlers_are_still_functions():
    """They can be called as any other, with any values."""
    assert await first() == "a"
    assert await second(5, limit=2) == [5, 2]
    assert second.__name__ == "second"


def test_a_wrapper_does_not_share_its_routes():
    """A function that wraps a handler can be a handler of its own: that does not change the first one."""

    @functools.wraps(first)
    async def wrapper() -> str:
        return await first()

    other = http.get("/other")(wrapper)
    assert [each.path for each in routes.specs_of(first)] == ["/a"]
    assert [each.path for each in routes.specs_of(other)] == ["/other", "/a"]


# controllers


@http.controller("/base")
class Base:
    made = 0

    def __init__(self, store: Store) -> None:
        self.store = store
        type(self).made += 1

    @http.get("/")
    async def index(self) -> str:
        return f"{type(self).__name__} {self.store.name} {type(self).made}"

    @http.get("/over")
    async def over(self) -> str:
        return "base"


@http.controller("/sub", lifetime="singleton")
class Sub(Base):
    made = 0

    @http.get("/over")
    async def over(self) -> str:
        return f"{await super().over()} sub"


async def prepare_store():
    di.singleton(Store)


@pytest.mark.parametrize("reverse", [False, True])
async def test_controllers_are_built_by_injection(api, reverse):
    """In each request, or once; a subclass has the handlers of its base, at its own prefix."""
    Base.made = Sub.made = 0
    order = [Sub, Base] if reverse else [Base, Sub]
    async with api(*order, plugins=[prepare_store]) as client:
        assert [(await client.get("/base")).text for _ in range(2)] == ["Base store 1", "Base store 2"]
        assert [(await client.get("/sub")).text for _ in range(2)] == ["Sub store 1", "Sub store 1"]
        assert (await client.get("/sub/over")).text == "base sub"
        assert (await client.get("/base/over")).text == "base"


async def test_a_controller_that_is_provided_is_taken(api):
    """Who registers how it is built decides that."""

    async def prepare():
        made = Base(Store("given"))
        di.singleton(Base, lambda: made)

    async with api(Base, plugins=[prepare]) as client:
        assert "given" in (await client.get("/base")).text


def test_a_subclass_says_that_it_is_a_controller(buvar_aiohttp_app):
    """It is none by its base alone, since both would be at one place."""

    class Silent(Base): ...

    with pytest.raises(errors.DeclarationError, match=r"Silent.*is no controller; decorate it with @http\.controller"):
        http.mount(Silent)


@pytest.mark.parametrize("kind", [staticmethod, classmethod])
def test_methods_are_those_of_an_object(buvar_aiohttp_app, kind):
    """A static or a class method cannot be a handler; it is told, and not left out."""

    class Odd:
        @http.get("/fine")
        async def fine(self): ...

        @kind
        @http.get("/odd")
        async def odd(*args): ...

    with pytest.raises((ExceptionGroup, errors.DeclarationError)) as caught:
        http.mount(http.controller()(Odd))
    assert "odd" in "".join(map(str, leaves(caught.value)))


# refusals


def leaves(error):
    if isinstance(error, ExceptionGroup):
        return [leaf for each in error.exceptions for leaf in leaves(each)]
    return [error]


@pytest.mark.parametrize("tp", [list[Store], dict[str, int], t.Annotated[list[Store] | None, "note"], list[list[int]]])
async def test_a_list_that_nothing_provides_is_told(api, tp):
    """With a default it would never be anything else, and a body that was sent would be ignored."""

    async def handler(items=None): ...

    handler.__annotations__["items"] = tp
    with pytest.raises(ExceptionGroup) as caught:
        async with api(http.post("/")(handler)):
            pass
    (told,) = map(str, leaves(caught.value))
    assert "which nothing provides; if it is the body, write Annotated[" in told


async def test_a_list_that_something_provides_is_injected(api):
    """Also where it could be left out; all of a kind are collected where that is said."""

    @http.get("/")
    async def handler(names: list[Store] = [], every: t.Annotated[list[Plain], di.All] = []) -> list[str]:
        return [each.name for each in names]

    def stores() -> list[Store]:
        return [Store("one")]

    async def prepare_stores():
        di.singleton(stores)

    async with api(handler, plugins=[prepare_stores]) as client:
        assert (await client.get("/")).json == ["one"]


class Plain: ...


@http.controller()
class Empty: ...


async def nothing(): ...


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (nothing, "nothing.* cannot be mounted: it is no handler; decorate it"),
        (Plain, "Plain.* cannot be mounted: it is a class that is no controller"),
        (Empty, "Empty.* has no handlers; decorate its methods"),
        (5, "cannot be mounted: it is no handler"),
    ],
)
def test_what_is_no_handler_is_refused(buvar_aiohttp_app, item, reason):
    """The error says what it is and what to do."""
    with pytest.raises(errors.DeclarationError, match=reason):
        http.mount(item)


def test_paths_begin_with_a_slash():
    """Another one is refused where it is written, as are prefixes."""
    for wrong in (lambda: http.get("x"), lambda: http.controller("x"), lambda: http.group(prefix="x")):
        with pytest.raises(errors.DeclarationError, match="the path 'x' has to begin with a slash"):
            wrong()


@pytest.mark.parametrize("path", ["/{", "/{a", "/{a:[}", "/{1}", "/{a}{a}"])
def test_paths_that_cannot_be_read_are_refused(buvar_aiohttp_app, path):
    """The error names the path."""

    async def handler(): ...

    with pytest.raises(ExceptionGroup) as caught:
        http.mount(http.get(path)(handler))
    assert f"the path {path!r} cannot be read" in str(caught.value.exceptions[0])


@pytest.mark.parametrize(
    "options",
    [
        {"timeout": 0},
        {"timeout": -1},
        {"max_body": 0},
        {"max_body": -1},
        {"status": 99},
        {"status": 600},
        {"unknown": "x"},
    ],
)
def test_options_that_mean_nothing_are_refused(options):
    """A time, a size or a status that there cannot be is told where it is written."""
    with pytest.raises(errors.DeclarationError, match=next(iter(options))):
        http.get("/", **options)


@pytest.mark.parametrize("between", [False, True])
def test_the_same_place_twice_is_an_error(between):
    """Both handlers are named, whether they are mounted one after the other or not."""

    async def twin(): ...

    async def prepare(load: plugin.Loader, cancel: plugin.Cancel):
        await load("buvar_aiohttp.app:prepare_app")
        cancel.set()
        http.mount(first, *([second] if between else []), http.get("/a")(twin))

    with pytest.raises(Exception) as caught:
        plugin.stage(prepare)
    told = " ".join(map(str, leaves(caught.value)))
    assert "GET /a is added twice" in told
    assert ":first" in told
    assert "<locals>.twin" in told


async def test_head_beside_get(api):
    """A HEAD of its own is called in place of the one that comes with GET, whichever is mounted first."""

    def pair(path):
        @http.get(path)
        async def get() -> str:
            return "x"

        @http.head(path)
        async def head() -> object:
            return http.Response(status=203)

        return get, head

    async with api(*pair("/a"), *reversed(pair("/b"))) as client:
        for path in ("/a", "/b"):
            assert (await client.ask("HEAD", path)).status == 203
            assert (await client.get(path)).text == "x"


async def test_all_methods(api):
    """A handler of any method takes them all; each decorator is for its own."""

    @http.route("*", "/any")
    async def anything(request: web.Request) -> str:
        return request.method

    made = []
    for method in ("get", "post", "put", "patch", "delete", "options"):

        async def handler(request: web.Request) -> str:
            return request.method

        made.append(getattr(http, method)(f"/{method}")(handler))
    async with api(anything, *made) as client:
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            assert (await client.ask(method, "/any")).text == method
            assert (await client.ask(method, f"/{method.lower()}")).text == method


async def test_a_sub_application(api):
    """Handlers can be mounted on it; they are injected as all others."""

    @http.get("/x")
    async def show(store: Store) -> str:
        return store.name

    async def prepare():
        sub = web.Application()
        http.mount(show, prefix="/inner", app=sub)
        context.get(web.Application).add_subapp("/sub", sub)
        assert mounted() == [("GET", "/sub/inner/x")]

    async with api(first, plugins=[prepare_store, prepare]) as client:
        assert (await client.get("/sub/inner/x")).text == "store"
        assert (await client.get("/sub/nowhere")).type == "application/problem+json"


async def test_plugins_with_walls(api):
    """What a plugin with walls mounts is injected with what that plugin has; its controllers are its own."""

    @http.get("/walled")
    async def show(store: Store) -> str:
        return store.name

    @plugin.exports()
    async def walled():
        context.add(Store("walled"))
        http.mount(show, Base, prefix="/walled")

    async with api(Base, plugins=[prepare_store, walled]) as client:
        for _ in range(2):
            assert (await client.get("/walled/walled")).text == "walled"
            assert "walled" in (await client.get("/walled/base")).text
            assert "store" in (await client.get("/base")).text


# the check before the run


class Missing: ...


class Lost: ...


async def needy_around(call, request, lost: Lost):
    return await call()


async def app_around(call, request, lost: Lost):
    return await call()


@http.get("/needy", around=[needy_around])
async def needy(missing: Missing, other: int = 1): ...


@http.controller("/needy-class")
class Needy:
    def __init__(self, missing: Missing) -> None: ...

    @http.get("/")
    async def index(self, lost: t.Annotated[Lost, di.Name("x")]): ...


def test_all_that_is_missing_is_told_before_the_run():
    """Handlers, controllers and arounds are checked together, each with its place."""

    async def prepare(load: plugin.Loader, cancel: plugin.Cancel):
        await load("buvar_aiohttp.app:prepare_app")
        http.around(app_around)
        http.mount(needy, Needy, first)
        cancel.set()

    with pytest.raises(ExceptionGroup) as caught:
        plugin.stage(prepare)
    told = "\n".join("\n".join([str(each), *getattr(each, "__notes__", ())]) for each in leaves(caught.value))
    for function, kind in [(needy, "Missing"), (needy_around, "Lost"), (app_around, "Lost"), (Needy.index, "Lost")]:
        assert f"{kind} <- {function.__qualname__}(" in told
        assert f"{__file__}:{function.__code__.co_firstlineno}" in told
    assert "Missing <- Needy(missing) <- Needy.index(self)" in told
    assert "first" not in told
    assert told.count(f"required at {__file__}:") == len(leaves(caught.value)) == 5


def test_what_is_the_body_is_decided_when_all_are_prepared():
    """A class that a plugin provides later is injected, and not the body."""
    import attrs

    @attrs.frozen
    class Settings: ...

    @http.post("/")
    async def handler(settings: Settings): ...

    found = []

    async def later():
        context.add(Settings())

    async def prepare(load: plugin.Loader, cancel: plugin.Cancel):
        await load("buvar_aiohttp.app:prepare_app")
        http.mount(handler)
        (route,) = [each.item for each in plugin.declared(http.Route).values()]
        found.append([each.source for each in route.endpoint.bindings()])
        await load(later)
        found.append([each.source for each in route.endpoint.bindings()])
        cancel.set()

    plugin.stage(prepare)
    assert found == [["body"], [None]]


def test_names_in_a_path():
    """They are what a handler can take."""
    assert mounting.names_in(r"/{a}/x-{b:\d+}/c") == {"a", "b"}
    assert mounting.names_in("/x") == frozenset()

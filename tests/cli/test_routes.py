"""``buvar routes``: which routes it lists, what it tells of each, and with which code it exits."""

import functools
import json

import pytest

pytestmark = pytest.mark.slow

SHOP = r"""
import typing as t
import attrs, msgspec
from aiohttp import web
from buvar import context, di, plugin
from buvar_aiohttp import http

class Users: ...

@attrs.frozen
class User:
    name: str

async def signed_in(call, request, users: Users):
    return await call()

async def timed(call, request):
    return await call()

@http.get("/users/{id}", name="user")
async def show(
    id: t.Annotated[int, msgspec.Meta(ge=1)],
    users: Users,
    tags: list[str],
    q: str | None = None,
    token: t.Annotated[str, http.Header("X-Token")] = "",
) -> User: ...

@http.controller("/orders", around=[signed_in])
class Orders:
    @http.post("/", status=201)
    async def create(self, user: User) -> User: ...
    @http.delete("/{id:\\d+}")
    async def delete(self, id: int) -> None: ...

async def plain(request):
    return web.Response()

@plugin.exports()
async def admin():
    app = web.Application()
    app.router.add_get("/stats", plain)
    context.get(web.Application).add_subapp("/admin", app)
    context.get(web.Application).router.add_static("/files", "files")

async def prepare(load: plugin.Loader):
    print("preparing")
    await load("buvar_aiohttp.app:prepare_app", admin)
    di.singleton(Users)
    router = context.get(web.Application).router
    router.add_route("*", "/users/{tail:.*}", plain)
    http.mount(show, Orders, around=[timed])
    router.add_get("/users/me", plain)

async def empty(load: plugin.Loader):
    await load("buvar_aiohttp.app:prepare_app")

async def quiet(): ...

async def broken(load: plugin.Loader):
    await load("shop")
    raise ValueError("no database")

async def around_all(load: plugin.Loader):
    await load("shop")
    http.around(signed_in)
"""

OTHER = """
import sys
from buvar import context, errors, plugin, routes

async def prepare():
    context.add(routes.Listing("other", listing))

def listing():
    assert context.current_context().owner == "other"
    yield routes.Route("GET", "/other", "/other")
    assert "aiohttp" not in sys.modules

async def fails(teardown: plugin.Teardown):
    teardown.add(lambda: print("torn down"))
    context.add(routes.Listing("fails", lambda: [1 / 0]))
"""


@pytest.fixture
def shop(tmp_path):
    """A folder with a service."""
    (tmp_path / "shop.py").write_text(SHOP)
    (tmp_path / "other.py").write_text(OTHER)
    (tmp_path / "files").mkdir()
    (tmp_path / "config.toml").write_text('[buvar]\nplugins = ["shop"]\n')
    return tmp_path


@pytest.fixture
def routes(buvar, shop):
    """Run the verb in the folder of the service."""
    return functools.partial(buvar, shop, "routes")


def at(name):
    """Return the line of the service on which the decorators of a function begin, or the function."""
    lines = SHOP.splitlines()
    line = next(number for number, line in enumerate(lines, 1) if f"def {name}(" in line)
    return line - 1 if "@" in lines[line - 2] else line


def test_each_route_is_a_line(routes):
    """The routes stand in the order in which they are tried, with handler, place and plugin; a HEAD of GET does not."""
    done = routes("-c", "config.toml")
    assert (done.returncode, done.stderr) == (0, "preparing\n")
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["method", "path", "handler", "at", "plugin"],
        ["GET", "/admin/stats", "shop:plain", f"shop.py:{at('plain')}", "shop:admin"],
        ["GET", "/files", "the", "files", "in", "files", "shop:admin"],
        ["POST", "/orders", "shop:Orders.create", f"shop.py:{at('create')}", "shop"],
        ["DELETE", r"/orders/{id:\d+}", "shop:Orders.delete", f"shop.py:{at('delete')}", "shop"],
        ["GET", "/users/me", "shop:plain", f"shop.py:{at('plain')}", "shop"],
        ["GET", "/users/{id}", "shop:show", f"shop.py:{at('show')}", "shop"],
        ["*", "/users/{tail:.*}", "shop:plain", f"shop.py:{at('plain')}", "shop"],
    ]


def test_all_is_told_of_a_route(routes):
    """With ``--long`` each has a block of names, of what stands around it, and of parameters with their sources."""
    done = routes("shop", "--long")
    blocks = {block.splitlines()[0]: block.splitlines()[1:] for block in done.stdout.split("\n\n")}
    assert blocks["GET /users/{id}"] == [
        f"  handler    shop:show (shop.py:{at('show')})",
        "  plugin     shop",
        "  name       user",
        "  around     shop:timed",
        "  takes      id: int          path",
        "             users: Users     injected",
        "             tags: list[str]  query",
        "             q: str           query, optional",
        "             token: str       header X-Token, optional",
    ]
    assert blocks["POST /orders"][2:] == [
        "  around     shop:timed",
        "             shop:signed_in",
        "  takes      self: Orders  injected",
        "             user: User    body",
    ]
    assert blocks["* /users/{tail:.*}"] == [f"  handler    shop:plain (shop.py:{at('plain')})", "  plugin     shop"]


def test_what_stands_around_the_application_comes_first(routes):
    """What a plugin puts around the whole application is the outermost of each of its routes."""
    found = json.loads(routes("shop:around_all", "--json").stdout)["routes"]
    assert {each["path"]: each["around"] for each in found} == {
        "/admin/stats": ["shop:signed_in"],
        "/files": ["shop:signed_in"],
        "/orders": ["shop:signed_in", "shop:timed", "shop:signed_in"],
        "/orders/{id}": ["shop:signed_in", "shop:timed", "shop:signed_in"],
        "/users/me": ["shop:signed_in"],
        "/users/{id}": ["shop:signed_in", "shop:timed"],
        "/users/{tail}": ["shop:signed_in"],
    }


def test_json_is_for_programs(routes, shop):
    """The document has its version, and all fields of each route, whatever these are."""
    document = json.loads(routes("shop", "--json").stdout)
    assert document.keys() == {"version", "routes"}
    assert document["version"] == 1
    found = {each["pattern"]: each for each in document["routes"]}
    assert found[r"/orders/{id:\d+}"] == {
        "method": "DELETE",
        "path": "/orders/{id}",
        "pattern": r"/orders/{id:\d+}",
        "domain": None,
        "name": None,
        "handler": "shop:Orders.delete",
        "folder": None,
        "place": {"file": str(shop / "shop.py"), "line": at("delete"), "column": None},
        "plugin": "shop",
        "around": ["shop:timed", "shop:signed_in"],
        "parameters": [
            {"name": "self", "source": "injected", "key": None, "type": "Orders", "required": True},
            {"name": "id", "source": "path", "key": "id", "type": "int", "required": True},
        ],
    }
    files = found["/files"]
    assert (files["handler"], files["folder"], files["parameters"]) == (None, str(shop / "files"), None)


def test_a_service_may_have_no_routes_yet(routes):
    """An application without routes is told so, and is no error."""
    done = routes("shop:empty")
    assert (done.returncode, done.stdout, done.stderr) == (0, "no routes\n", "")
    assert json.loads(routes("shop:empty", "--json").stdout) == {"version": 1, "routes": []}


def test_a_service_that_answers_no_requests_is_told_what_to_load(routes):
    """Where no plugin has anything to do with requests, that is said, with what to do, and the exit code is 2."""
    done = routes("shop:quiet", "--json")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "error: this service has no routes: none of its plugins answers requests; "
        "load one that does, as with await load('buvar_aiohttp'), which needs buvar[aiohttp]\n"
    )


def test_what_keeps_a_service_from_starting_is_told(routes):
    """The routes that there are are listed, the errors go to stderr, and the exit code is 1."""
    done = routes("shop:broken", "--json")
    assert done.returncode == 1
    assert len(json.loads(done.stdout)["routes"]) == 7
    assert "ValueError: no database" in done.stderr
    done = routes("shop:nowhere")
    assert (done.returncode, done.stdout) == (1, "")
    assert "'shop:nowhere' was not found" in done.stderr


def test_any_plugin_can_tell_its_routes(routes):
    """A plugin that declares a listing is asked for its routes at home; aiohttp is not needed for it."""
    done = routes("other")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split() for line in done.stdout.splitlines()] == [["method", "path"], ["GET", "/other"]]
    assert routes("other", "--long").stdout == "GET /other\n"


def test_a_listing_that_fails_is_told(routes):
    """What a listing raises is told with whose it is, after the plugins are taken down."""
    done = routes("other:fails")
    assert (done.returncode, done.stdout) == (1, "")
    assert "torn down" in done.stderr
    assert "error: ZeroDivisionError: division by zero" in done.stderr
    assert "in the listing of routes 'fails' of other:fails" in done.stderr

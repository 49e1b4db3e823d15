"""The router: which route a request gets, what it is told, and how much work it is to find out."""

import asyncio
import re
import sys
import warnings

import attrs
import pytest
from aiohttp import hdrs, web, web_urldispatcher
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from buvar import context, plugin
from buvar_aiohttp import routing
from buvar_aiohttp.routing import leaves, listing, routes, segments


async def handle(request):
    return web.Response(text=request.match_info.route.resource.canonical)


async def other(request):
    return web.Response()


def application(*paths):
    """Return an application with our router, and routes written as ``GET /path``."""
    app = web.Application()
    object.__setattr__(app, "_router", routing.Router())
    add(app, *paths)
    return app


def inner(*paths):
    """Return an application as aiohttp makes it."""
    app = web.Application()
    add(app, *paths)
    return app


def add(app, *paths):
    for each in paths:
        method, _, path = each.partition(" ")
        app.router.add_route(method, path, handle)


def told(found):
    """Return what was found: the path of the resource and the values, or the status and what is allowed."""
    if isinstance(found.route, leaves.Options):
        return 204, set(found.route._headers[hdrs.ALLOW].split(","))
    if found.http_exception is None:
        return found.route.resource.canonical, dict(found)
    return found.http_exception.status, set(getattr(found.http_exception, "allowed_methods", ()))


def at_once(coroutine):
    """Return what *coroutine* returns, which does not have to wait for anything."""
    with pytest.raises(StopIteration) as done:
        coroutine.send(None)
    return done.value.value


def look(app, path, method="GET", **headers):
    """Look a request up, and see that it is found by all ways."""
    request = make_mocked_request(method, path, headers=headers)
    found = app.router.look_up(request)
    matched = app.router.match(method, request.rel_url.path_safe, headers.get("Host", ""))
    assert told(found) == told(matched) == told(at_once(app.router.resolve(request)))
    assert found.apps == matched.apps
    return told(found)


def where(app, path, method="GET", **headers):
    return look(app, path, method, **headers)[0]


BOTH_WAYS = pytest.mark.parametrize("turn", [1, -1], ids=["in order", "in reverse"])


@BOTH_WAYS
def test_text_beats_a_pattern_that_beats_a_name_that_beats_a_tail(turn):
    """Whatever the order in which they were added, it is the kind that counts."""
    app = application(*["GET /u/7", r"GET /u/{x:\d+}", "GET /u/{x}", "GET /u/{x:.*}"][::turn])
    assert look(app, "/u/7") == ("/u/7", {})
    assert look(app, "/u/8") == ("/u/{x}", {"x": "8"})
    assert look(app, "/u/x") == ("/u/{x}", {"x": "x"})
    assert look(app, "/u/x/y") == ("/u/{x}", {"x": "x/y"})
    kinds = {"8": r"(?P<x>\d+)", "x": "(?P<x>[^{}/]+)", "x/y": "(?P<x>.*)"}
    for path, pattern in kinds.items():
        found = app.router.match("GET", f"/u/{path}")
        assert found.route.resource.get_info()["pattern"].pattern == re.escape("/u/") + pattern


@BOTH_WAYS
def test_the_first_segment_that_differs_decides(turn):
    """Text further left counts more than text further right."""
    app = application(*["GET /{x}/b", "GET /a/{x}", "GET /{x}/{y}"][::turn])
    assert look(app, "/a/b") == ("/a/{x}", {"x": "b"})
    assert look(app, "/c/b") == ("/{x}/b", {"x": "c"})
    assert look(app, "/c/d") == ("/{x}/{y}", {"x": "c", "y": "d"})


@BOTH_WAYS
def test_what_leads_nowhere_is_left(turn):
    """A path that begins like one route finds another that it matches, however deep they part."""
    app = application(*["GET /a/{x}/c", "GET /a/b/d", "GET /{t}/b/{u}/e", "GET /a/b/c/d"][::turn])
    assert look(app, "/a/b/c") == ("/a/{x}/c", {"x": "b"})
    assert look(app, "/a/b/d") == ("/a/b/d", {})
    assert look(app, "/a/b/c/e") == ("/{t}/b/{u}/e", {"t": "a", "u": "c"})
    assert look(app, "/a/b/x") == (404, set())


@BOTH_WAYS
def test_what_has_another_method_is_left(turn):
    """A route of another method does not hide one that matches the path less exactly."""
    app = application(*["POST /users/me", "GET /users/{id}", "PUT /users/{x:.+}"][::turn])
    assert where(app, "/users/me", "POST") == "/users/me"
    assert look(app, "/users/me") == ("/users/{id}", {"id": "me"})
    assert look(app, "/users/me", "PUT") == ("/users/{x}", {"x": "me"})


def test_a_path_with_no_route_for_the_method_is_told_all_that_match():
    """The 405 allows the methods of every route that matches the path, and of no other."""
    app = application("POST /users/me", "GET /users/{id}", "PUT /users/{x:.+}", "PATCH /users", "TRACE /users/{x}.json")
    assert look(app, "/users/me", "DELETE") == (405, {"POST", "GET", "PUT"})
    assert look(app, "/users/me/7", "DELETE") == (405, {"PUT"})
    assert look(app, "/nobody", "DELETE") == (404, set())


def test_options_is_answered():
    """OPTIONS of a path that matches tells what is allowed, unless there is a route for it."""
    app = application("POST /a", "GET /{x}", "OPTIONS /b")
    assert look(app, "/a", "OPTIONS") == (204, {"POST", "GET", "OPTIONS"})
    assert look(app, "/b", "OPTIONS") == ("/b", {})
    assert look(app, "/a/b", "OPTIONS") == (404, set())
    assert look(app, "*", "OPTIONS") == (404, set())
    found = app.router.match("OPTIONS", "/a")
    assert found.handler == app.router.match("OPTIONS", "/a").handler  # aiohttp remembers the middlewares by it
    assert found.route.name is None
    assert found.get_info() == {}
    with pytest.raises(RuntimeError, match="is not allowed for the answer to OPTIONS"):
        found.route.url_for()


def test_head_comes_with_get():
    """What is added with `add_get` answers HEAD as well, unless it shall not."""
    app = application()
    app.router.add_get("/a/{x}", handle)
    app.router.add_get("/b/{x}", handle, allow_head=False)
    assert look(app, "/a/1", "HEAD") == ("/a/{x}", {"x": "1"})
    assert look(app, "/b/1", "HEAD") == (405, {"GET"})


def test_a_route_for_all_methods_takes_each():
    """It is found where there is none for the very method, and what comes behind it is not."""
    app = application("GET /a/{x}", "* /a/{x}", "POST /{x}/{y}")
    assert where(app, "/a/1", "POST") == "/a/{x}"
    assert where(app, "/a/1", "OPTIONS") == "/a/{x}"
    assert where(app, "/b/1", "POST") == "/{x}/{y}"


def test_of_the_same_path_the_first_that_was_added_is_tried_first():
    """Routes that match the same paths keep their order, and so do patterns side by side."""
    app = application("GET /a/{x}", "GET /b", "GET /a/{y}", "POST /a/{z}", "GET /b/{x:[ab]+}", r"GET /b/{y:\w+}")
    assert look(app, "/a/1") == ("/a/{x}", {"x": "1"})
    assert look(app, "/a/1", "POST") == ("/a/{z}", {"z": "1"})
    assert look(app, "/b/ab") == ("/b/{x}", {"x": "ab"})
    assert look(app, "/b/cd") == ("/b/{y}", {"y": "cd"})


@pytest.mark.parametrize(
    ("path", "asked", "values"),
    [
        ("/{name}.json", "/a.b.json", {"name": "a.b"}),
        ("/v{major}.{minor}/x", "/v1.2/x", {"major": "1", "minor": "2"}),
        ("/{a}-{b}", "/x-y-z", {"a": "x-y", "b": "z"}),
        (r"/{day:\d{4}-\d\d}", "/2026-11", {"day": "2026-11"}),
        ("/z/{x:[^/]*}/y", "/z//y", {"x": ""}),
        ("/{x:a|bc}/y", "/bc/y", {"x": "bc"}),
        ("/x{tail:.*}", "/x/y/z", {"tail": "/y/z"}),
        ("/{head:.+}/edit", "/a/b/edit", {"head": "a/b"}),
        ("/{both:a/b}/c", "/a/b/c", {"both": "a/b"}),
        ("/{x:(?i:ab)}", "/aB", {"x": "aB"}),
        (r"/{x:(a|b)\2}", "/bb", {"x": "bb"}),
        ("/a/{x}/", "/a/b/", {"x": "b"}),
        ("/a//{x}", "/a//b", {"x": "b"}),
    ],
)
def test_patterns_of_all_kinds_are_found(path, asked, values):
    """Parts within a segment, regexes that match a slash, and empty segments match as with aiohttp."""
    app = application("GET /{p}/{q}/{r}/{s}", f"GET {path}", "GET /zzz/{x}")
    assert look(app, asked) == (app.router.match("GET", asked).route.resource.canonical, values)
    assert where(app, f"{asked}?a=b") == where(app, asked)


def test_names_do_not_match_everything():
    """An empty segment and braces are matched by no name; a slash at the end belongs to the path."""
    app = application("GET /a/{x}", "GET /b/{x}/c", r"GET /c/{x:\d*}")
    assert where(app, "/a/") == 404
    assert where(app, "/a/1/") == 404
    assert where(app, "/a/%7B1%7D") == 404
    assert where(app, "/b//c") == 404
    assert where(app, "/c/") == "/c/{x}"


def test_paths_are_decoded():
    """Text in a route matches however the path encodes it; an encoded slash separates nothing."""
    app = application("GET /größe/{x}", "GET /große", "GET /a b/{x}/c", "GET /p%20q/{x}.json", "GET /r%2Fs/{x}")
    assert look(app, "/gr%C3%B6%C3%9Fe/a%2Fb%25c%20d") == ("/gr%C3%B6%C3%9Fe/{x}", {"x": "a/b%c d"})
    assert look(app, "/gro%C3%9Fe") == ("/große", {})
    assert look(app, "/a%20b/%C3%A4/c") == ("/a%20b/{x}/c", {"x": "ä"})
    assert look(app, "/p%20q/1%2F2.json") == ("/p%20q/{x}.json", {"x": "1/2"})
    assert look(app, "/r%2Fs/1") == ("/r%2Fs/{x}", {"x": "1"})
    assert where(app, "/r/s/1") == 404


def test_an_empty_path_is_the_root():
    """A route without a path is that of the slash, from when the router is frozen."""
    app = application("GET ")
    assert where(app, "/") == 404
    app.router.freeze()
    assert where(app, "/") == "/"
    assert app.router.match("GET", "").http_exception.status == 404


def test_routes_may_be_added_between_look_ups():
    """What is added is found at once, until the router is frozen."""
    app = application()
    for path in ("/a/{x}", "/a/b", r"/{x:\d+}"):
        asked = path.replace(r"{x:\d+}", "7").replace("{x}", "y")
        assert where(app, asked) in {404, "/a/{x}"}
        add(app, f"GET {path}")
        assert where(app, asked) == app.router.resources()._resources[-1].canonical
    app.router.freeze()
    with pytest.raises(RuntimeError, match="frozen"):
        add(app, "GET /c")
    assert where(app, "/a/b") == "/a/b"


def test_a_route_for_another_method_may_be_added_to_a_frozen_router():
    """A resource that takes another method later, as with aiohttp, is found with it."""
    app = application()
    resources = [app.router.add_resource("/a"), app.router.add_resource("/a/{x}")]
    app.router.freeze()
    assert where(app, "/a/1") == 404
    for each in resources:
        each.add_route("GET", handle)
    assert where(app, "/a") == "/a"
    assert where(app, "/a/1") == "/a/{x}"


def test_static_files_come_last_in_their_place(tmp_path):
    """Files are found beneath their prefix where no other route is, and never above it."""
    app = application()
    app.router.add_static("/files", tmp_path, name="files")
    add(app, "GET /files/{x}", "POST /{x}/{y}/z")
    assert look(app, "/files/a%20b/c%2Fd") == ("/files", {"filename": "a b/c/d"})
    assert look(app, "/files/a") == ("/files/{x}", {"x": "a"})
    assert look(app, "/files/a/z", "POST") == ("/{x}/{y}/z", {"x": "files", "y": "a"})
    assert look(app, "/files/a/z", "PUT") == (405, {"GET", "HEAD", "POST"})
    assert where(app, "/files/../secret/x") == 404
    assert where(app, "/filesystem/x") == 404
    assert str(app.router["files"].url_for(filename="a")) == "/files/a"


def test_a_sub_application_has_its_prefix_for_itself():
    """What it has no route for is its own 404, and only text or names beneath the prefix come before it."""
    app, sub, deep = application(), inner("GET /a", "GET /{x}", "POST /{x}/y"), inner("GET /{x}/z", "GET ")
    sub.add_subapp("/deep", deep)
    app.add_subapp("/sub", sub)
    add(app, "POST /sub/a", "PUT /{x}/a", "GET /sub/{x}/mine", "GET /{x}/{y}/z")
    assert where(app, "/sub/a") == "/sub/a"
    assert look(app, "/sub/b") == ("/sub/{x}", {"x": "b"})
    assert look(app, "/sub/b/mine") == ("/sub/{x}/mine", {"x": "b"})
    assert look(app, "/sub/a", "PUT") == (405, {"GET", "POST"})
    assert look(app, "/sub/a", "OPTIONS") == (204, {"GET", "POST", "OPTIONS"})
    assert look(app, "/sub/x/z") == (404, set())
    assert look(app, "/subs/x/z") == ("/{x}/{y}/z", {"x": "subs", "y": "x"})
    assert look(app, "/sub/deep/1/z") == ("/sub/deep/{x}/z", {"x": "1"})
    assert where(app, "/sub/deep") == "/sub/deep"
    assert app.router.match("POST", "/sub/a").apps == ()
    assert app.router.match("GET", "/sub/a").apps == (sub,)
    assert app.router.match("GET", "/sub/x/z").apps == (sub,)
    assert app.router.match("GET", "/sub/deep/1/z").apps == (sub, deep)


def test_a_sub_application_of_any_letters_is_found():
    """A prefix that has to be encoded leads to its sub-application."""
    app = application()
    app.add_subapp("/größe", inner("GET /a", "GET /b/{x}"))
    assert where(app, "/gr%C3%B6%C3%9Fe/a") == "/größe/a"
    assert look(app, "/gr%C3%B6%C3%9Fe/b/1") == ("/größe/b/{x}", {"x": "1"})


def test_an_application_with_our_router_can_be_mounted():
    """Its routes move to the prefix, and are found there by our rules."""
    sub = application("GET /{x}", "GET /a")
    assert where(sub, "/a") == "/a"
    outer = application()
    outer.add_subapp("/sub", sub)
    assert where(outer, "/sub/a") == "/sub/a"
    assert where(outer, "/sub/b") == "/sub/{x}"
    assert sub.router.match("GET", "/sub/a").route.resource.canonical == "/sub/a"
    assert sub.router.match("GET", "/a").http_exception.status == 404


def test_domains_come_first():
    """The first that was added for the host of a request takes it, whatever the application has for its path."""
    app = application("GET /a")
    names = ("one.example", "*.example", "two.example", "three.example:81", "one.example")
    subs = [inner("GET /a" if name != "*.example" else "GET /b") for name in names]
    for name, sub in zip(names, subs):
        app.add_domain(name, sub)
    hosts = {"one.example": 0, "ONE.example:80": 0, "two.example": 1, "three.example": 1, "x": None, "": None}
    for host, place in {**hosts, "three.example:81": 1}.items():
        found = app.router.match("GET", "/a", host)
        assert found.apps == (() if place is None else (subs[place],))
    assert look(app, "/a", Host="two.example") == (404, set())
    assert look(app, "/b", Host="two.example") == ("/b", {})
    assert look(app, "/a", Host="elsewhere") == ("/a", {})
    assert look(app, "/a") == ("/a", {})


class Odd(web_urldispatcher.PrefixResource):
    """A resource as a plugin may write it: it has paths of an odd length."""

    def __init__(self, prefix):
        super().__init__(prefix)
        self.route = web_urldispatcher.ResourceRoute("GET", handle, self)
        self.asked = 0

    async def resolve(self, request):
        self.asked += 1
        await asyncio.sleep(0)
        if len(request.path) % 2 == 0:
            return None, set()
        if request.method != "GET":
            return None, {"GET"}
        return web.UrlMappingMatchInfo({"odd": request.path}, self.route), {"GET"}

    def get_info(self):
        return {}

    def url_for(self):
        raise NotImplementedError

    def __len__(self):
        return 1

    def __iter__(self):
        return iter([self.route])


def resolve(app, path, method="GET"):
    return told(asyncio.run(app.router.resolve(make_mocked_request(method, path))))


def test_resources_of_other_classes_are_awaited():
    """A resource that can only be awaited is asked once, in its place, and only for paths that begin as it does."""
    app, odd, behind = application(), Odd("/odd"), Odd("/odd")
    app.router.register_resource(odd)
    app.router.register_resource(behind)
    add(app, "GET /odd/{x}/a", "POST /{x}/{y}")
    assert app.router.look_up(make_mocked_request("GET", "/odd/1")) is None
    assert app.router.match("GET", "/odd/1") is None
    assert where(app, "/odd/1/a") == "/odd/{x}/a"
    assert where(app, "/even/1", "POST") == "/{x}/{y}"
    assert odd.asked == 0
    assert resolve(app, "/odd/12") == ("/odd", {"odd": "/odd/12"})
    assert (odd.asked, behind.asked) == (1, 0)
    assert resolve(app, "/odd/1", "POST") == ("/{x}/{y}", {"x": "odd", "y": "1"})
    assert resolve(app, "/odd/12", "PUT") == (405, {"GET", "POST"})
    assert (odd.asked, behind.asked) == (3, 2)


class Suffix(web.Resource):
    """A resource with a way of its own to match."""

    canonical = "/suffix/{any}"

    def _match(self, path):
        return {"all": path} if path.endswith(".x") else None

    def raw_match(self, path):
        return False

    add_prefix = get_info = url_for = None


class Strict(web.DynamicResource):
    GOOD = "[a-z]+"


def test_resources_that_match_in_their_own_way_are_found():
    """A subclass of aiohttp's resources is asked in its own way, without being awaited where it is as theirs is."""
    app = application("GET /suffix/a/{x}", "POST /suffix/{x}/{y}")
    Suffix.__abstractmethods__ = frozenset()
    for resource in (Suffix(), Strict("/strict/{x}")):
        resource.add_route("GET", handle)
        app.router.register_resource(resource)
    assert look(app, "/suffix/b/c%25.x") == ("/suffix/{any}", {"all": "/suffix/b/c%25.x"})
    assert look(app, "/suffix/b/c.x", "PUT") == (405, {"GET", "POST"})
    assert where(app, "/suffix/a/c.x") == "/suffix/a/{x}"
    assert where(app, "/suffix/b/c") == 405
    assert look(app, "/strict/a") == ("/strict/{x}", {"x": "a"})


class Slow(web_urldispatcher.AbstractRuleMatching):
    canonical = "slow"

    async def match(self, request):
        return "X-Slow" in request.headers

    def get_info(self):
        return {}


class Nowhere(web.UrlDispatcher):
    async def resolve(self, request):
        return web_urldispatcher.MatchInfoError(web.HTTPGone())


def test_rules_and_routers_of_other_classes_are_awaited():
    """A sub-application by a rule of its own, or with a router of its own, gets what aiohttp would give it."""
    app, sub, gone = application("GET /a"), inner("GET /{x}", "GET /a"), inner()
    object.__setattr__(gone, "_router", Nowhere())
    app._add_subapp(lambda: web_urldispatcher.MatchedSubAppResource(Slow(), sub), sub)
    app.add_domain("gone.example", gone)
    app.add_subapp("/gone", gone)

    def ask(path, **headers):
        request = make_mocked_request("GET", path, headers=headers)
        assert app.router.look_up(request) is None
        found = asyncio.run(app.router.resolve(request))
        return *told(found), found.apps

    assert ask("/a", **{"X-Slow": "1"}) == ("/a", {}, (sub,))
    assert ask("/a") == ("/a", {}, ())
    assert ask("/a", Host="gone.example") == (410, set(), (gone,))
    assert ask("/gone/a") == (410, set(), (gone,))


def test_what_a_handler_sees_is_as_with_aiohttp():
    """The route, its name, its resource and its URL are those that were added."""
    app = application()
    route = app.router.add_get("/a/{x}/{y:.+}", handle, name="it")
    found = app.router.match("GET", "/a/1/2/3")
    assert found.route is route
    assert found.handler is handle
    assert found.route.name == "it"
    assert found.get_info() == app.router["it"].get_info()
    assert str(found.route.url_for(x="p q", y="r")) == "/a/p%20q/r"
    assert (found["x"], found["y"], found.http_exception) == ("1", "2/3", None)


def test_the_same_method_and_path_twice_in_a_row_names_both():
    """Who adds a route that was added just now is told by whom, and nothing is added."""
    app = application()
    app.router.add_get("/a", handle)
    for added in (app.router.add_get, app.router.add_head, lambda *route: app.router.add_route("GET", *route)):
        with pytest.raises(
            RuntimeError, match=f"/a is added twice, by {__name__}:handle and by {__name__}:other: only"
        ):
            added("/a", other)
    app.router.add_post("/a", other)
    app.router.add_get("/a", other, name="another")
    assert sorted(route.method for route in app.router.routes()) == ["GET", "GET", "HEAD", "HEAD", "POST"]


async def test_requests_are_answered_by_these_rules(served):
    """The application of the plugin has this router: 204 and 405 with what is allowed, redirects, text before names."""

    async def routes(load: plugin.Loader):
        router = context.get(web.Application).router
        router.add_get("/users/{id}/", handle)
        router.add_get("/users/me/", handle)
        router.add_post("/users/me/", handle)

    async with served(routes) as session:
        async with session.get("/users/me/") as response:
            assert await response.text() == "/users/me/"
        async with session.get("/users//7") as response:
            assert (response.status, response.url.path) == (200, "/users/7/")
        async with session.put("/users/me/") as response:
            assert (response.status, response.headers["Allow"]) == (405, "GET,HEAD,POST")
        async with session.options("/users/me/") as response:
            assert (response.status, response.headers["Allow"]) == (204, "GET,HEAD,OPTIONS,POST")
            assert await response.read() == b""
        async with session.options("/nobody/") as response:
            assert response.status == 404


# Random routes, and what the table says about them, as plainly as it can be said


@attrs.frozen
class Piece:
    """A segment of a route: how it is written, of which kind it is (0 to 2), and what matches it."""

    text: str
    kind: int
    regex: str


PIECES = [
    *(Piece(text, 0, re.escape(text)) for text in ("a", "b", "1", "a.json", "")),
    Piece(r"{NAME:\d+}", 1, r"(\d+)"),
    Piece("{NAME:[^/]*}", 1, "([^/]*)"),
    Piece("{NAME:a|b}", 1, "(a|b)"),
    Piece("{NAME}.json", 1, r"([^{}/]+)\.json"),
    Piece("a{NAME}", 1, "a([^{}/]+)"),
    Piece("{NAME}", 2, "([^{}/]+)"),
]
TAILS = [Piece("{NAME:.*}", 3, "(.*)"), Piece("a{NAME:.*}", 3, "a(.*)"), Piece("{NAME:.+}/b", 3, "(.+)/b")]
METHODS = ("GET", "POST", "OPTIONS")


@attrs.frozen
class Declared:
    """A route as it is declared; *sub* has those of a sub-application with these pieces for a prefix."""

    pieces: tuple[Piece, ...]
    method: str = "GET"
    tail: Piece | None = None
    sub: "tuple[Declared, ...] | None" = None
    origin: "Declared | None" = attrs.field(default=None, eq=False)

    @property
    def written(self):
        pieces = [*self.pieces, *([self.tail] if self.tail else [])]
        return "".join("/" + piece.text.replace("NAME", f"p{place}") for place, piece in enumerate(pieces))

    def values(self, path):
        pieces = [*self.pieces, *([self.tail] if self.tail else [])]
        pattern = "".join("/" + piece.regex.replace("(", f"(?P<p{place}>") for place, piece in enumerate(pieces))
        match = re.fullmatch(pattern + ("(/.*)?" if self.sub is not None else ""), path)
        return match and {name: value.replace("%2F", "/") for name, value in match.groupdict().items()}

    def beneath(self, prefix):
        return attrs.evolve(self, pieces=(*prefix, *self.pieces), origin=self.origin or self)


def ranks(route, known):
    """What the table says of *route* beside the other ones."""
    for place, piece in enumerate(route.pieces, 1):
        same = [each for each in known if each.pieces[:place] == route.pieces[:place]]
        yield piece.kind, index(known, same[0]) if piece.kind == 1 else 0
    yield 3 if route.tail or route.sub is not None else 0, index(known, route)


def index(known, route):
    return next(place for place, each in enumerate(known) if each is route)


def expected(known, method, path, allowed):
    """Return what the table says a request gets, and the declared route."""
    for route in sorted(known, key=lambda each: tuple(ranks(each, known))):
        values = route.values(path)
        if values is None:
            continue
        if route.sub is not None:
            return expected([each.beneath(route.pieces) for each in route.sub], method, path, allowed)
        if route.method in {method, "*"}:
            return id(route.origin or route), list(values.values())
        allowed.add(route.method)
    if not allowed:
        return 404, set()
    return (204, allowed | {"OPTIONS"}) if method == "OPTIONS" else (405, allowed)


def declare(app, known):
    for route in known:
        if route.sub is not None:
            sub = web.Application()
            declare(sub, route.sub)
            app.add_subapp(route.written, sub)
            continue
        kind = web.DynamicResource if "{" in route.written else web.PlainResource
        resource = kind(route.written)
        app.router.register_resource(resource)
        resource.add_route(route.method, handler_of(route))


def handler_of(route):
    async def handler(request): ...

    handler.declared = route
    return handler


def got(found):
    """Return the declared route that was found and its values, or the status and what is allowed."""
    declared = getattr(found.handler, "declared", None)
    return told(found) if declared is None else (id(declared), list(found.values()))


plain = st.builds(
    Declared,
    st.lists(st.sampled_from(PIECES), min_size=1, max_size=3).map(tuple),
    st.sampled_from([*METHODS, "*"]),
    st.none() | st.sampled_from(TAILS),
)
sub = st.builds(
    Declared,
    st.lists(st.sampled_from([piece for piece in PIECES if piece.text.isalnum()]), min_size=1, max_size=2).map(tuple),
    sub=st.lists(plain.map(attrs.evolve), max_size=4).map(tuple),
)
asked = st.lists(st.sampled_from(["a", "b", "1", "12", "a.json", "ab", "", "a%2Fb", "{", "c"]), min_size=1, max_size=5)


@given(
    st.lists((plain | sub).map(attrs.evolve), max_size=10),
    st.lists(asked, min_size=1, max_size=5),
    st.sampled_from(METHODS),
)
def test_random_routes_are_found_as_the_table_says(known, paths, method):
    """For all kinds of routes and paths the router and the table in words agree."""
    app = application()
    declare(app, known)
    for path in ("/" + "/".join(each) for each in paths):
        assert got(app.router.match(method, path)) == expected(known, method, path, set())


@given(st.lists(plain | sub, max_size=10), st.lists(asked, min_size=1, max_size=5), st.sampled_from(METHODS))
def test_random_routes_are_listed_in_the_order_in_which_they_are_tried(known, paths, method):
    """For all kinds of routes, the first listed one that matches a request is the one that gets it."""
    app = application()
    declare(app, known)
    order = [each.route for each in listing.in_order(routes.every(app))]
    for path in ("/" + "/".join(each) for each in paths):
        matching = [each for each in order if each.method in {method, "*"} and each.resource._match(path) is not None]
        found = app.router.match(method, path)
        if found.http_exception is None and not isinstance(found.route, leaves.Options):
            assert found.route is matching[0]
        elif all(each.sub is None for each in known):  # what gets to a sub-application stays there
            assert matching == []


apart = st.lists(st.tuples(plain, st.sets(st.sampled_from(("GET", "POST", "PUT", "*")))), min_size=1, max_size=8)


@given(apart, st.lists(st.tuples(st.integers(0, 8), asked), min_size=1, max_size=5), st.sampled_from(("GET", "PUT")))
def test_where_routes_do_not_overlap_the_router_does_as_aiohttps(known, paths, method):
    """Status, values, resource and allowed methods are the same for all kinds of routes."""
    routers = routing.Router(), web.UrlDispatcher()
    for router in routers:
        for place, (route, methods) in enumerate(known):
            resource = router.add_resource(f"/r{place}{route.written}")
            for each in sorted(methods, reverse=True):  # the one for all comes last
                resource.add_route(each, handle)
    for place, each in paths:
        request = make_mocked_request(method, f"/r{place}/{'/'.join(each)}")
        ours, theirs = (at_once(router.resolve(request)) for router in routers)
        assert told(ours) == told(theirs) == told(routers[0].look_up(request))
        assert list(ours) == list(theirs)
        assert repr(ours.route.resource) == repr(theirs.route.resource)
        assert type(ours) is type(theirs)


@given(
    st.from_regex(r"([\\\w./\[\]^(){}|?*+-]|\\d|\[\^?[a-z/.-]+\]){1,8}", fullmatch=True),
    st.text("a1./-b^]", max_size=6),
)
def test_what_is_taken_for_a_pattern_matches_no_slash(regex, text):
    """A regex that is found in one segment never matches a slash, and matches what it would match in the whole path."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        try:
            resource = web.DynamicResource(f"/{{x:{regex}}}/end")
        except (ValueError, AssertionError):
            return
    template = segments.read(resource)
    if not template.tail:
        assert resource._pattern.fullmatch(f"/{text}/end") is None or "/" not in text
        assert template.pattern == resource._pattern


class Work:
    """Counts the lines that are run in our rooms while something is looked up."""

    def __init__(self):
        self.lines = 0

    def _trace(self, frame, event, argument):
        if not frame.f_code.co_filename.endswith(("routing/router.py", "routing/leaves.py")):
            return None
        self.lines += 1
        return self._trace

    def __call__(self, function, *arguments):
        known, self.lines = sys.gettrace(), 0
        sys.settrace(self._trace)
        try:
            found = function(*arguments)
        finally:
            sys.settrace(known)
        return self.lines, told(found)


SHAPES = {
    "text": ("/things{i}/all", "/things{i}/all"),
    "name": ("/things{i}/{id}", "/things{i}/7"),
    "shared name": ("/{tenant}/things{i}/{id}", "/acme/things{i}/7"),
    "shared names": ("/{tenant}/{kind}/things{i}", "/acme/x/things{i}"),
    "pattern": (r"/{tenant:\w+}/things{i}/{id:\d+}", "/acme/things{i}/7"),
    "text before a name": ("/{tenant}/things{i}-{id}", "/acme/things{i}-7"),
    "text after a name": ("/{tenant}/{id}.v{i}x", "/acme/7.v{i}x"),
    "tail": ("/{tenant}/things{i}/{tail:.*}", "/acme/things{i}/7/8"),
}


def among(number, shape):
    """Return the router of so many routes of *shape*, and of one of each other kind beside them."""
    app = application("GET /own", "GET /{x:.*}/rest", r"GET /{x:\d+}/{y}", "GET /{x}/{y}/{z}/end")
    app.router.register_resource(Odd("/odd"))
    app.router.add_static("/static", ".")
    app.add_subapp("/sub", inner("GET /a"))
    for place in range(number):
        app.router.register_resource(kind_of(shape.replace("{i}", f"{place:05}")))
    return app.router


def kind_of(path):
    resource = web.DynamicResource(path) if "{" in path else web.PlainResource(path)
    resource.register_route(ROUTE)
    return resource


ROUTE = web_urldispatcher.ResourceRoute("GET", handle, web.PlainResource("/none"))


@pytest.mark.slow
@pytest.mark.timeout(300)  # to compile so many patterns takes a while
@pytest.mark.parametrize(("shape", "asked"), SHAPES.values(), ids=SHAPES)
def test_a_look_up_is_as_much_work_among_many_routes_as_among_few(shape, asked):
    """For the first, the last and none of 10 or 2,000 routes as many lines are run."""
    work = Work()
    counts = []
    for number in (10, 2_000):
        router = among(number, shape)
        router.freeze()
        paths = [asked.replace("{i}", f"{place:05}") for place in (0, number - 1, number)]
        counts.append([work(router.match, method, path) for method in ("GET", "PUT") for path in paths])
        assert [status for _, (status, _) in counts[-1]] == ["/none", "/none", 404, 405, 405, 404]
    few, many = counts
    assert few == many


@pytest.mark.slow
def test_a_look_up_is_as_much_work_among_many_sub_applications_as_among_few(tmp_path):
    """So it is with prefixes of sub-applications and of files, with domains, and with the routes within."""
    work = Work()
    counts = []
    for number in (5, 1000):
        app = application("GET /{x}/{y}")
        for place in range(number):
            app.add_subapp(f"/sub{place}", inner("GET /a/{x}"))
            app.add_domain(f"sub{place}.example", inner("GET /a/{x}"))
            app.router.add_static(f"/files{place}", tmp_path)
        for place in (0, number - 1):
            paths = [(f"/sub{place}/a/b", ""), ("/a/b", f"sub{place}.example:80"), (f"/files{place}/a/b", "")]
            counts.append([work(app.router.match, "GET", *asked)[0] for asked in [paths[0], *paths]])
    assert len({tuple(count[1:]) for count in counts}) == 1

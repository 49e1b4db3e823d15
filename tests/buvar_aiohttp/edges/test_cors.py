"""CORS: browsers are told which origins may read a response, by true preflights and on every response."""

import pytest
from aiohttp import web

from buvar import config, context, errors
from buvar_aiohttp import AioHttpConfig
from buvar_aiohttp.edges.compression import Compression
from buvar_aiohttp.edges.cors import Cors
from buvar_aiohttp.edges.request_id import RequestIds

SHOP, EVIL = "https://shop.example", "https://evil.example"
PREFLIGHT = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "X-Token, Content-Type"}
ORIGIN = "Access-Control-Allow-Origin"


def told(answer):
    """What a response says of CORS, in lower case."""
    prefix = "access-control-"
    return {k.lower().removeprefix(prefix): v for k, v in answer.headers.items() if k.lower().startswith(prefix)}


async def test_a_preflight_is_answered_before_the_application(edged):
    """It is a 204 with what is allowed, also where no route, or none for OPTIONS, is."""
    cors = Cors([SHOP], methods=["GET", "PUT"], headers=["X-Token"], credentials=True, max_age=60, expose=["X-Left"])
    async with edged(cors=cors) as ask:
        for path in ("/", "/nowhere"):
            answer = await ask(path, "OPTIONS", {"Origin": SHOP, **PREFLIGHT})
            assert (answer.status, answer.body) == (204, b"")
            assert told(answer) == {
                "allow-origin": SHOP,
                "allow-credentials": "true",
                "allow-methods": "GET, PUT",
                "allow-headers": "X-Token",
                "max-age": "60",
                "expose-headers": "X-Left",
            }
            assert answer.vary() == {"origin", *(name.lower() for name in PREFLIGHT)}


async def test_a_preflight_of_another_origin_learns_nothing(edged):
    """Who is not allowed gets a 204 without any header of CORS."""
    async with edged(cors=Cors([SHOP], headers=["*"])) as ask:
        for origin in (EVIL, "null", f"{SHOP}.evil.example", f"{SHOP}:8443", "http://shop.example"):
            answer = await ask("/", "OPTIONS", {"Origin": origin, **PREFLIGHT})
            assert (answer.status, told(answer)) == (204, {})
            assert "origin" in answer.vary()


@pytest.mark.parametrize(
    "sent", [{}, {"Origin": SHOP}, PREFLIGHT], ids=["nothing", "only an origin", "only what is asked for"]
)
async def test_other_options_are_the_applications(edged, sent):
    """OPTIONS that is no preflight goes to the router, and to a handler where there is one."""

    async def plugin():
        async def options(request):
            return web.Response(text="mine")

        context.get(web.Application).router.add_options("/text/{size}", options)

    async with edged(plugin, cors=Cors([SHOP])) as ask:
        assert (await ask("/text/1", "OPTIONS", sent)).text == "mine"
        assert (await ask("/nowhere", "OPTIONS", sent)).status == 404


@pytest.mark.parametrize(("path", "status"), [("/", 200), ("/nowhere", 404), ("/fail", 500), ("/stream", 200)])
async def test_every_response_says_who_may_read_it(edged, path, status):
    """Errors, 404 and streams too have the headers, for origins that are allowed, and ``Vary`` for all."""
    async with edged(cors=Cors([SHOP], expose=["X-Left", "X-Right"])) as ask:
        for sent in ({"Origin": SHOP}, {"Origin": EVIL}, {}):
            answer = await ask(path, headers=sent)
            allowed = {"allow-origin": SHOP, "expose-headers": "X-Left, X-Right"} if SHOP in sent.values() else {}
            assert (answer.status, told(answer), answer.vary()) == (status, allowed, {"origin"})


async def test_a_method_that_is_not_allowed_says_who_may_read_it(edged):
    """405 is a response as any other."""
    async with edged(cors=Cors([SHOP])) as ask:
        answer = await ask("/", "DELETE", {"Origin": SHOP})
        assert (answer.status, told(answer)) == (405, {"allow-origin": SHOP})


async def test_a_host_that_is_not_served_says_who_may_read_it(edged):
    """What another edge refuses is marked as well, though the application never saw it."""
    async with edged(cors=Cors([SHOP]), hosts=["shop.example"]) as ask:
        answer = await ask(headers={"Origin": SHOP})
        assert (answer.status, told(answer)) == (421, {"allow-origin": SHOP})


async def test_all_origins_get_the_same_answer(edged):
    """With '*' nothing depends on the origin, so nothing varies; the headers that are asked for are allowed."""
    async with edged(cors=Cors(["*"], headers=["*"])) as ask:
        for sent in ({"Origin": EVIL}, {}):
            answer = await ask(headers=sent)
            assert (told(answer), answer.vary()) == ({"allow-origin": "*"}, set())
        answer = await ask("/", "OPTIONS", {"Origin": EVIL, **PREFLIGHT})
        assert told(answer)["allow-headers"] == PREFLIGHT["Access-Control-Request-Headers"]
        assert "allow-credentials" not in told(answer)


async def test_what_a_handler_says_stays(edged):
    """``Vary`` is appended to, and a handler's own Access-Control-Allow-Origin is left alone."""
    async with edged(cors=Cors([SHOP])) as ask:
        answer = await ask("/text/1", params={"Vary": "Accept-Language, origin"}, headers={"Origin": SHOP})
        assert answer.headers.getall("Vary") == ["Accept-Language, origin"]
        answer = await ask("/text/1", params={"Vary": "Cookie"}, headers={"Origin": SHOP})
        assert answer.headers.getall("Vary") == ["Cookie, Origin"]
        answer = await ask("/text/1", params={"Vary": "*", ORIGIN: "*"}, headers={"Origin": SHOP})
        assert (answer.headers["Vary"], told(answer)) == ("*", {"allow-origin": "*"})


async def test_web_sockets_go_through(edged):
    """A web socket opens and talks within all edges."""
    async with edged(cors=Cors([SHOP]), compression=Compression(), request_id=RequestIds()) as ask:
        async with ask.session.ws_connect("/socket", origin=EVIL) as socket:
            await socket.send_str("tea")
            assert await socket.receive_str() == "TEA"


def load(**cors):
    return config.ConfigSource({"aiohttp": {"cors": cors}}, env_prefix="APP").load(AioHttpConfig, "aiohttp").cors


def test_it_is_configured_as_a_table_and_by_the_environment(monkeypatch):
    """The table [aiohttp.cors] names the origins, and each key has a variable."""
    monkeypatch.setenv("APP_AIOHTTP_CORS_MAX_AGE", "5")
    monkeypatch.setenv("APP_AIOHTTP_CORS_HEADERS", "X-A,X-B")
    assert load(origins=[SHOP]) == Cors([SHOP], headers=["X-A", "X-B"], max_age=5)


@pytest.mark.parametrize(
    ("cors", "problem"),
    [
        (
            {"origins": ["*"], "credentials": True},
            "aiohttp.cors.credentials: credentials are not allowed together with origins = ['*']; name the origins",
        ),
        ({}, "aiohttp.cors.origins: is required"),
        (
            {"origins": [f"{SHOP}/", "shop.example", "null"]},
            "aiohttp.cors.origins: 'https://shop.example/', 'shop.exam",
        ),
        ({"origins": [SHOP], "methods": ["G ET"]}, "aiohttp.cors.methods: 'G ET': expected the name of a method"),
        ({"origins": [SHOP], "headers": ["X:"]}, "aiohttp.cors.headers: 'X:': expected the name of a header"),
        ({"origins": [SHOP], "max_age": -1}, "aiohttp.cors.max_age: -1 is not at least 0"),
    ],
)
def test_what_is_not_safe_or_never_matches_is_refused(cors, problem):
    """Credentials for everybody, and origins that no browser sends, stop the start."""
    with pytest.raises(errors.ConfigError) as caught:
        load(**cors)
    assert str(caught.value).startswith(problem)

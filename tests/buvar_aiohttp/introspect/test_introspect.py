"""The introspection page over HTTP: when there is one, for whom, and what its data say."""

import json
import os
import pathlib
import platform

import aiohttp
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from buvar import __version__, context, errors, plugin
from buvar_aiohttp.introspect import IntrospectConfig, gate, masks

PARTS = ["", "/page.css", "/page.js", "/data.json", "/live.json", "/health.json"]


async def load_introspect(load: plugin.Loader):
    await load("buvar_aiohttp.introspect")


async def enable(load: plugin.Loader):
    context.add(IntrospectConfig(enabled=True))
    await load("buvar_aiohttp.introspect")


async def data_of(session, name="data.json"):
    async with session.get(f"/_buvar/{name}") as response:
        assert response.status == 200
        return await response.json()


async def test_there_is_none_unless_it_is_enabled(served):
    """Without a configuration none of the paths leads anywhere, and nothing is loaded for it."""
    async with served(load_introspect) as session:
        assert {(await session.get(f"/_buvar{part}")).status for part in PARTS} == {404}


async def test_nothing_keeps_it_and_nothing_else_is_in_it(page):
    """Every part forbids to be stored, framed or guessed at, and the page has neither scripts nor styles inside."""
    async with page() as session:
        for part in PARTS:
            async with session.get(f"/_buvar{part}") as response:
                assert response.status == 200
                assert response.headers["Cache-Control"] == "no-store"
                assert response.headers["X-Frame-Options"] == "DENY"
                assert response.headers["X-Content-Type-Options"] == "nosniff"
                policy = response.headers["Content-Security-Policy"]
                assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
                assert "unsafe" not in policy
        text = await (await session.get("/_buvar")).text()
        assert text.count("<script") == 1
        assert not any(each in text for each in ("<style", " style=", "onclick", "http://", "https://", "{{"))


async def test_it_is_where_it_is_configured(page):
    """The path can be another one, of several segments, and what the page refers to is beside it."""
    async with page(path="/ops/inside") as session:
        assert (await session.get("/_buvar")).status == 404
        text = await (await session.get("/ops/inside")).text()
        assert 'src="inside/page.js" data-base="inside"' in text
        assert (await session.get("/ops/inside/data.json")).status == 200


async def test_only_reading_is_allowed(page):
    """HEAD is answered like GET, other methods are not."""
    async with page() as session:
        assert (await session.head("/_buvar/data.json")).status == 200
        response = await session.post("/_buvar/data.json")
        assert (response.status, response.headers["Allow"]) == (405, "GET,HEAD")


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
async def test_whoever_comes_from_elsewhere_finds_nothing(page, method):
    """Who connects from no network that is allowed gets what a path gets that there is not, with whatever method."""
    async with page(networks=["127.0.0.2", "10.0.0.0/8"]) as session:
        for part in PARTS:
            async with session.request(method, f"/_buvar{part}") as response:
                assert (response.status, response.headers.get("Allow")) == (404, None)
                assert "Content-Security-Policy" not in response.headers
                refused = await response.text()
            async with session.request(method, f"/_nothing{part}") as response:
                assert (response.status, (await response.text()).replace("_nothing", "_buvar")) == (404, refused)
        connector = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))
        async with aiohttp.ClientSession(session._base_url, connector=connector) as near:
            assert (await near.get("/_buvar")).status == 200


FOREIGN = [
    {"X-Forwarded-For": "127.0.0.1"},
    {"X-Real-IP": "127.0.0.1"},
    {"Forwarded": "for=127.0.0.1"},
    {"Via": "1.1 proxy"},
    {"Host": "attacker.test"},
    {"Host": "127.0.0.1.attacker.test:80"},
    {"Host": "localhost.attacker.test"},
]
OWN = [
    {"Host": "localhost:8080"},
    {"Host": "LOCALHOST."},
    {"Host": "app.localhost"},
    {"Host": "[::1]:8080"},
    {"Host": "192.0.2.1"},
    {"Host": "Shop.test:80"},
]


@pytest.mark.parametrize(("headers", "status"), [*((each, 404) for each in FOREIGN), *((each, 200) for each in OWN)])
async def test_proxies_and_names_that_lead_here_are_refused(page, headers, status):
    """What came through a proxy is refused whatever it says, and so is what asks for a name that is not known."""
    async with page() as session:
        assert (await session.get("/_buvar/data.json", headers=headers)).status == status


@pytest.mark.parametrize(
    ("site", "status"), [("cross-site", 404), ("same-site", 404), ("same-origin", 200), ("none", 200)]
)
async def test_other_sites_do_not_get_data(page, site, status):
    """A browser that another site has ask for data gets none; it may open the page, which that site cannot read."""
    async with page() as session:
        headers = {"Sec-Fetch-Site": site}
        assert (await session.get("/_buvar/data.json", headers=headers)).status == status
        assert (await session.get("/_buvar", headers=headers)).status == 200


@pytest.mark.parametrize(("networks", "refused"), [(["unix"], False), (["127.0.0.0/8", "::/0"], True)])
async def test_a_unix_socket_is_a_network_of_its_own(tmp_path, networks, refused):
    """What comes over a unix socket is let in where "unix" is one of the networks."""
    guard = gate.Gate.of(IntrospectConfig(networks=networks))
    found = []

    async def handle(request):
        found.append(guard.refusal(request))
        return web.Response()

    app = web.Application()
    app.router.add_get("/", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    path = str(tmp_path / "socket")
    await web.UnixSite(runner, path).start()
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(path)) as session:
        await session.get("http://localhost/")
    await runner.cleanup()
    assert [each is not None for each in found] == [refused]


WRONG = {
    "path": ({"path": "_buvar"}, "'_buvar' is no path as '/_buvar'"),
    "slash": ({"path": "/_buvar/"}, "no slash at its end"),
    "parameter": ({"path": "/{x}"}, "is no path"),
    "network": ({"networks": ["10.0.0.1/8"]}, "'10.0.0.1/8' is no network as '10.0.0.0/8' or '::1', nor 'unix'"),
    "name": ({"networks": ["localhost"]}, "'localhost' is no network"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_settings_are_told(case):
    """A path or a network that is none is an error of the configuration, which says what is right."""
    from buvar import ConfigSource

    settings, text = WRONG[case]
    with pytest.raises(errors.ConfigError, match="introspect") as raised:
        ConfigSource({"introspect": settings}).load(IntrospectConfig, "introspect")
    assert text in str(raised.value)


async def test_what_the_data_say(page):
    """All that a service is made of is there: plugins and who loaded them, routes, tasks, settings, the process."""
    async with page() as session:
        found = await data_of(session)
    assert found["version"] == 1
    service = found["service"]
    versions = platform.python_version(), __version__, aiohttp.__version__
    assert (service["pid"], service["python"], service["buvar"], service["aiohttp"]) == (os.getpid(), *versions)
    plugins = {each["id"]: each["name"] for each in found["graph"]["plugins"]}
    loads = {(plugins.get(each["loader"]), plugins[each["plugin"]]) for each in found["graph"]["loads"]}
    assert ("buvar_aiohttp.introspect", "buvar.plugins.health") in loads
    adapters = {each["type"]: each["lifetime"] for each in found["graph"]["injection"]["adapters"]}
    assert adapters["Database"] == "singleton"
    (stock,) = (each for each in found["routes"] if each["path"] == "/stock/{name}")
    assert (stock["method"], stock["handler"].rpartition(":")[2]) == ("GET", "stock")
    assert stock["place"]["file"].endswith("conftest.py")
    (typed,) = (each for each in found["routes"] if each["path"] == "/typed/{number}")
    assert (typed["method"], typed["handler"].rpartition(":")[2]) == ("GET", "typed")
    assert typed["place"]["file"] == stock["place"]["file"]
    (server,) = (each for each in found["tasks"] if each["name"] == "Server.run")
    assert server["plugin"] == "buvar_aiohttp.server:prepare_server"
    assert server["place"]["file"].endswith("server.py")
    assert not any(each["name"] and each["name"].endswith("tell") for each in found["tasks"])  # it has ended
    settings = {each["path"]: each for each in found["configuration"]["settings"]}
    assert settings["introspect.path"]["origin"] == "default"
    assert settings["introspect.hosts"]["origin"] == "--set introspect.hosts"
    (worker,) = found["workers"]
    assert (worker["pid"], worker["state"], worker["connections"]) == (os.getpid(), "ready", 1)


async def test_secrets_are_in_no_part(page):
    """Neither what is declared as secret, nor what a name or a URL shows to be, is told, nor a component."""
    async with page() as session:
        await data_of(session, "health.json")
        texts = [await (await session.get(f"/_buvar{part}")).text() for part in PARTS]
        assert [each for each in page.secrets if any(each in text for text in texts)] == []
        settings = {each["path"]: each for each in (await data_of(session))["configuration"]["settings"]}
    assert settings["introspected_shop.password"] == {
        "path": "introspected_shop.password",
        "value": "***",
        "origin": "code",
        "secret": True,
    }
    assert settings["introspected_shop.url"]["value"] == "postgres://shop:***@db1/shop"
    assert settings["introspected_shop.pool"]["value"] == {"size": 10, "auth_token": "***"}


async def test_health_is_what_it_was_last(page):
    """The data have the results of the last run, whoever asked for it; checks run where they are asked for alone."""
    async with page() as session:
        assert {each["ok"] for each in (await data_of(session))["health"]} == {None}
        ran = (await data_of(session, "health.json"))["health"]
        assert [(each["name"], each["kind"], each["ok"]) for each in ran] == [
            ("database", "ready", False),
            ("pool", "live", True),
        ]
        later = (await data_of(session))["health"]
        assert [each["error"] for each in later] == [each["error"] for each in ran]
        assert later[0]["age"] >= ran[0]["age"]
        assert later[1]["detail"] == page.hostile


async def test_a_service_without_configuration_has_the_page(served):
    """A component enables it as well; then there are no settings to show."""
    async with served(enable) as session:
        found = await data_of(session)
        assert (await session.get("/_buvar")).status == 200
    assert found["configuration"] is None
    assert found["health"] == []


async def test_what_changes_can_be_had_alone(page):
    """All but the graph, which takes a while to be drawn, is there for who has that already."""
    async with page() as session:
        found, live = await data_of(session), await data_of(session, "live.json")
    assert found.keys() - live.keys() == {"graph"}
    assert live["configuration"] == found["configuration"]


async def test_alike_tasks_are_counted(page):
    """What several tasks have in common is told once, with their number."""
    async with page() as session:
        async with aiohttp.ClientSession(session._base_url) as other, aiohttp.ClientSession(session._base_url) as third:
            for each in (other, third):
                await (await each.get("/stock/tea")).read()
            tasks = (await data_of(session))["tasks"]
    (idle,) = (each for each in tasks if each["coroutine"] == "RequestHandler.start" and each["count"] > 1)
    assert idle["count"] == 2


async def test_the_data_are_documented(page):
    """The page of the documentation names each field."""
    text = (pathlib.Path(__file__).parents[3] / "docs" / "introspection.md").read_text()
    async with page() as session:
        found = await data_of(session)
    parts = [found, found["service"], found["configuration"], found["configuration"]["settings"][0]]
    parts += [found[name][0] for name in ("routes", "tasks", "health", "workers")]
    assert [key for part in parts for key in part if f"`{key}`" not in text] == []


WORKERS = """
from buvar_aiohttp.introspect import IntrospectConfig

async def introspected(load: plugin.Loader):
    context.add(IntrospectConfig(enabled=True, hosts=["test"]))
    await load(http, "buvar_aiohttp.introspect")

run(introspected, forks=2, sockets=["tcp://127.0.0.1:0"])
"""


@pytest.mark.slow
def test_it_shows_all_workers(run_http):
    """Whichever worker answers tells of its siblings too: their processes, slots, requests and memory."""
    service = run_http(WORKERS)
    ready = service.ready(2)
    with service.client(service.address) as client:
        status, _, body = client.get("/_buvar/data.json")
    found = json.loads(body)
    assert status == "200"
    assert {each["slot"]: each["pid"] for each in found["workers"]} == ready
    assert found["service"]["pid"] in ready.values()
    assert all(each["memory"] > 0 and each["state"] == "ready" for each in found["workers"])
    assert service.stop() == 0


letters = "ab1:/@ \n<\\é"
texts = st.text(letters)


@given(texts, st.text(letters, min_size=4), texts)
def test_what_is_known_to_be_secret_stays_so(before, secret, after):
    """A text, a list or a table that holds a secret holds it no more."""
    found = masks.hide({"a": [f"{before}{secret}{after}"], "b": secret}, {secret})
    assert not any(secret in each for each in (*found["a"], found["b"]))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgres://shop:pw@db/shop", "postgres://shop:***@db/shop"),
        ("redis://:pw@host:6379", "redis://:***@host:6379"),
        ("amqp://u:p/w@x@host/a, and more", "amqp://u:***@host/a, and more"),
        ("http://127.0.0.1:8080/a", "http://127.0.0.1:8080/a"),
        ("a@b.c", "a@b.c"),
    ],
)
def test_passwords_in_urls(text, shown):
    """The password in a URL is masked, and nothing else of it."""
    assert masks.hide(text, ()) == shown


@pytest.mark.parametrize(
    "key", ["password", "db_passwd", "clientSecret", "API-Key", "auth_token", "aws_access_key", "sentry_dsn"]
)
def test_names_that_tell(key):
    """What a key says to be secret is masked where it is a text; numbers and switches are shown."""
    assert masks.hide({key: "x", "other": "y"}, ()) == {key: "***", "other": "y"}
    assert masks.hide({key: ["x", 5, True, None, ""]}, ()) == {key: ["***", 5, True, None, ""]}
    assert not masks.is_telling("keyboard")

"""The document and its page are served as a browser keeps them, and the page shows and tries what there is."""

import html
import json
import re
import typing as t

import pytest

from buvar import config, context, errors, plugin
from buvar_aiohttp import http, openapi, testing
from buvar_aiohttp.openapi import pages

HOSTILE = '</script><script>document.title="broken"</script><img src=x onerror=\'document.title="broken"\'>"&quot;`'


def service(*handlers, **settings):
    async def prepare(load: plugin.Loader):
        context.add(openapi.OpenApiConfig(**settings))
        await load("buvar_aiohttp.openapi")
        http.mount(*handlers)

    return prepare


@http.get("/tea/{kind}")
async def tea(kind: str, cups: int = 1) -> dict[str, int]:
    """Make tea."""
    return {kind: cups}


async def test_a_browser_asks_whether_it_is_still_the_same():
    """All that is served has a tag, is asked for again each time, and is not sent where it is known."""
    async with testing.client(service(tea)) as client:
        for path in ("/openapi.json", *pages.of_docs(openapi.OpenApiConfig())):
            async with client.get(path) as response:
                assert response.status == 200
                assert response.headers["Cache-Control"] == "no-cache"
                assert response.headers["X-Content-Type-Options"] == "nosniff"
                tag = response.headers["ETag"]
            for known in (tag, f'"other", W/{tag}', "*"):
                async with client.get(path, headers={"If-None-Match": known}) as response:
                    assert (response.status, await response.read()) == (304, b"")
                    assert response.headers["ETag"] == tag
            async with client.get(path, headers={"If-None-Match": '"other"'}) as response:
                assert response.status == 200


async def test_the_document_is_made_when_it_is_asked_for():
    """What a plugin mounts that is loaded later is in the document too."""

    async def later():
        http.mount(tea)

    async with testing.client(service(), later) as client, client.get("/openapi.json?v=1") as response:
        assert list((await response.json())["paths"]) == ["/tea/{kind}"]


async def test_nothing_need_be_served():
    """Empty paths serve neither the document nor the page."""
    async with testing.client(service(tea, path="", docs="", title="Tea")) as client:
        for path in ("/openapi.json", "/docs", "/"):
            async with client.get(path) as response:
                assert response.status == 404


def test_the_document_is_there_for_programs():
    """Without a request, the document of the current stage can be had; nobody has to serve it."""

    async def prepare(load: plugin.Loader, ready: plugin.Ready, cancel: plugin.Cancel):
        await load(service(tea, title="Tea", path="", docs=""))

        async def tell():
            await ready.wait()
            return openapi.describe()

        yield tell()

    (found,) = plugin.stage(prepare)
    assert found["info"] == {"title": "Tea", "version": "0"}
    assert list(found["paths"]) == ["/tea/{kind}"]


@pytest.mark.parametrize(
    ("docs", "path", "expected"),
    [
        ("/docs", "/openapi.json", {"document": "openapi.json", "root": "./", "js": "docs/page.js"}),
        ("/docs/", "/openapi.json", {"document": "../openapi.json", "root": "../", "js": "page.js"}),
        ("/a/docs", "/b/api.json", {"document": "../b/api.json", "root": "../", "js": "docs/page.js"}),
        ("/", "/openapi.json", {"document": "openapi.json", "root": "./", "js": "page.js"}),
    ],
)
async def test_all_is_found_wherever_the_page_is(docs, path, expected):
    """The page refers to the document and to its parts by where they are from there, so that a prefix does no harm."""
    settings = {"docs": docs, "path": path, "title": HOSTILE}
    async with testing.client(service(tea, **settings)) as client:
        async with client.get(docs) as response:
            text = await response.text()
            assert response.content_type == "text/html"
            base = response.url
        found = dict(re.findall(r'data-(\w+)="([^"]*)"', text))
        found["js"] = re.search(r'<script type="module" src="([^"]*)"></script>', text)[1]
        assert found == expected
        assert html.escape(HOSTILE) in text and HOSTILE not in text
        for name in ("page.css", "page.js", "schema.js", "trial.js"):
            place = re.sub(r"page\.js$", name, found["js"])
            async with client.get(base.join(type(base)(place)).path) as response:
                assert response.status == 200


def test_the_page_may_only_ask_the_service():
    """The policy of the page lets it run its own scripts, and ask this service and its servers, and no others."""
    servers = ["https://shop.test/v1", "/v2", "javascript:alert(1)", "http://x.test:81", "https://a b;script-src *"]
    policy = dict(each.strip().split(" ", 1) for each in pages.policy(servers).split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["connect-src"] == "'self' https://shop.test http://x.test:81"


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"path": "api.json"}, "has to begin with a slash"),
        ({"docs": "docs"}, "has to begin with a slash"),
        ({"path": ""}, 'set path, or docs = ""'),
        ({"path": "/docs"}, "give each a path of its own"),
    ],
)
def test_wrong_paths_are_told(settings, told):
    """A path that cannot be one is an error of the configuration."""
    with pytest.raises(errors.ConfigError, match=told):
        config.ConfigSource({"openapi": settings}).load(openapi.OpenApiConfig, "openapi")


# in a browser


@http.post("/hostile/{part}", tags=[HOSTILE], summary=HOSTILE, raises={409: HOSTILE}, status=201)
async def hostile(part: str, body: t.Annotated[dict[str, str | None], http.Body] = {}) -> dict[str, str]:
    __doc__
    return {"said": HOSTILE}


hostile.__doc__ = f"{HOSTILE}\n\n{HOSTILE} [link](javascript:alert(1)) `{HOSTILE}`"
SHOWN = 'document.querySelector(".operation") && !document.getElementById("state")'


@pytest.mark.slow
async def test_it_shows_and_tries_operations(served, open_page, shop):
    """An operation opens with its parameters and responses; sending its form shows what the service answers."""
    async with served(shop.prepare) as session:
        async with open_page(f"{session._base_url}/docs", SHOWN) as browser:
            assert await browser.run('document.querySelectorAll(".operation").length') == 23
            card = "#op-shop_show_get_items_number"
            await browser.click(f"{card} > summary")
            await browser.until(f"document.querySelector('{card} .trial')")
            said = await browser.text(card)
            for each in (
                "Return an item.",
                "full tells <b>all</b> of it.",
                "≥ 1",
                "default false",
                "204",
                "No Content",
            ):
                assert each in said, said
            await browser.run(f"document.querySelector('{card} .trial input').value = '7'")
            await browser.click(f"{card} .send")
            await browser.until(f"document.querySelector('{card} .answer > pre')?.textContent.endsWith('}}')")
            answer = await browser.run(f"document.querySelector('{card} .answer > pre').textContent")
            assert json.loads(answer)["id"] == 7
            assert "200 OK" in await browser.text(f"{card} .answer")


@pytest.mark.slow
async def test_it_sends_bodies_forms_and_files(served, open_page, shop):
    """The example of a body is one that the service takes, and forms are sent as such."""
    async with served(shop.prepare) as session:
        async with open_page(f"{session._base_url}/docs#op-create", SHOWN) as browser:
            await browser.until("document.querySelector('#op-create .send')")
            await browser.click("#op-create .send")
            await browser.until("document.querySelector('#op-create .answer .status')")
            assert "201 Created" in await browser.text("#op-create .answer")
            await browser.click("#op-form > summary")
            await browser.until("document.querySelector('#op-form .send')")
            await browser.run("document.querySelector('#op-form .trial input').value = 'Ann'")
            for kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
                script = "const s = document.querySelector('#op-form .trial select');"
                await browser.run(f"{{{script} s.value = '{kind}'; s.dispatchEvent(new Event('change'))}}")
                await browser.run("document.querySelector('#op-form .trial .body input').value = 'Ann'")
                await browser.click("#op-form .send")
                await browser.until("document.querySelector('#op-form .answer .status')")
                assert "200 OK" in await browser.text("#op-form .answer")
                await browser.run("document.querySelector('#op-form .answer').replaceChildren()")


@pytest.mark.slow
async def test_it_is_used_with_the_keyboard(served, open_page, shop):
    """/ searches, what does not match is hidden, and Enter opens the first that does."""
    async with served(shop.prepare) as session:
        async with open_page(f"{session._base_url}/docs", SHOWN) as browser:
            await browser.press("/")
            for letter in "search":
                await browser.press(letter)
            seen = '[...document.querySelectorAll(".operation:not([hidden])")].map((each) => each.id).join()'
            assert await browser.run(seen) == "op-search"
            await browser.press("Enter")
            await browser.until('document.getElementById("search").value && location.hash === "#op-search"')
            await browser.until("document.querySelector('#op-search').open")
            await browser.run('document.querySelector("input[type=search]").focus()')
            await browser.press("Escape")
            assert (await browser.run(seen)).count(",") == 22


@pytest.mark.slow
async def test_texts_stay_texts(served, open_page):
    """Whatever titles, tags, docstrings and answers hold is shown as text, and nothing of it is run or followed."""
    async with served(service(hostile, title=HOSTILE, description=HOSTILE)) as session:
        async with open_page(f"{session._base_url}/docs#op-hostile", SHOWN) as browser:
            await browser.until("document.querySelector('#op-hostile .send')")
            await browser.run("document.querySelector('#op-hostile .trial input').value = 'a/b?c'")
            await browser.click("#op-hostile .send")
            await browser.until("document.querySelector('#op-hostile .answer > pre')?.textContent.endsWith('}')")
            assert "201 Created" in await browser.text("#op-hostile .answer")
            assert await browser.run("document.title") == HOSTILE
            assert await browser.run('document.querySelectorAll("img, script:not([src]), iframe").length') == 0
            links = await browser.run('[...document.querySelectorAll("a")].map((each) => each.protocol).join()')
            assert set(links.split(",")) == {"http:"}
            assert (await browser.text("#op-hostile .read")).count("</script>") >= 3


@pytest.mark.slow
@pytest.mark.parametrize(("width", "dark"), [(1300, False), (390, True)])
async def test_nothing_is_cut_off(served, open_page, shop, width, dark, tmp_path):
    """On a wide screen and on that of a phone nothing is wider than the page, and texts can be read on their ground."""
    async with served(shop.prepare) as session:
        async with open_page(f"{session._base_url}/docs#op-create", SHOWN) as browser:
            await browser.look(width=width, dark=dark)
            await browser.run('document.querySelectorAll("details").forEach((each) => { each.open = true; })')
            await browser.until("document.querySelectorAll('.trial').length === 23")
            assert await browser.run("document.documentElement.scrollWidth") <= width
            back = await browser.run("getComputedStyle(document.body).backgroundColor")
            assert (int(re.search(r"\d+", back)[0]) < 60) == dark
            await browser.shoot(tmp_path / "page.png")

"""The introspection page in a browser: what is seen, what tabs and keys do, and that names stay names."""

import itertools

import pytest

pytestmark = pytest.mark.slow

TABS = "plugins times injection components adapters routes tasks health configuration workers".split()
ELEMENTS = 'document.querySelectorAll("img, script:not([data-base]), b, iframe").length'


async def test_each_tab_shows_what_it_is_for(page, browse):
    """Plugins are drawn as boxes; each other tab shows what there is, and the browser complains of nothing."""
    async with page() as session, browse(session) as browser:
        boxes = await browser.run('[...document.querySelectorAll("#canvas [data-id]")].map((e) => e.ariaLabel).join()')
        assert "plugin buvar_aiohttp.introspect, " in boxes
        assert f":{page.hostile}, " in boxes
        shown = {}
        for tab in TABS:
            await browser.click(f"[data-tab={tab}]")
            assert await browser.run('document.querySelector("[aria-selected=true]").dataset.tab') == tab
            shown[tab] = await browser.text("#stage")
        assert "own time" in shown["times"]
        assert "Application" in shown["components"]
        assert "singleton" in shown["adapters"]
        assert "/stock/{name}" in shown["routes"]
        assert "Server.run" in shown["tasks"]
        assert "not run yet" in shown["health"]
        assert "introspected_shop.password" in shown["configuration"]
        assert "answers this" in shown["workers"]


async def test_names_stay_names_and_secrets_secrets(page, browse):
    """Whatever plugins, components, routes, checks and values are called is text, and no secret is in the page."""
    async with page() as session, browse(session, "health") as browser:
        await browser.click("#tables .tool")
        await browser.until('document.getElementById("tables").innerText.includes("failed")')
        for tab in TABS:
            await browser.click(f"[data-tab={tab}]")
            document = await browser.html()
            assert not [each for each in page.secrets if each in document]
            assert await browser.run(ELEMENTS) == 0
        assert await browser.run('document.title !== "broken"')
        await browser.click("[data-tab=health]")
        said = await browser.text("#tables")
        assert f"ConnectionError: {page.hostile} cannot log in as shop with ***" in said
        await browser.click("[data-tab=configuration]")
        assert "postgres://shop:***@db1/shop" in await browser.text("#tables")


async def test_it_is_used_with_the_keyboard(page, browse):
    """Arrow keys go from tab to tab, / searches, and a row leads to what it is about."""
    async with page() as session, browse(session, "routes") as browser:
        await browser.run('document.querySelector("[aria-selected=true]").focus()')
        await browser.press("ArrowRight")
        assert await browser.run("document.activeElement.dataset.tab") == "tasks"
        assert await browser.run("location.hash") == "#tasks"
        await browser.press("/")
        for letter in "server":
            await browser.press(letter)
        assert await browser.run('document.querySelectorAll("#tables tbody tr").length') == 1
        assert await browser.text("#hits") == "1"
        await browser.run('document.querySelector("#tables .link").focus()')
        await browser.press("Enter")
        await browser.until('location.hash.startsWith("#plugins/p")')
        assert "prepare_server" in await browser.text("#details h2")


async def test_it_asks_the_service_again(page, browse):
    """Refresh shows what has changed, and says so where the service does not answer any more."""
    async with page() as session:
        async with browse(session, "health") as browser:
            assert "not run yet" in await browser.text("#tables")
            assert (await session.get("/_buvar/health.json")).status == 200
            await browser.press("r")
            await browser.until('document.getElementById("tables").innerText.includes("failed")')
            await browser.call("Network.enable")
            await browser.call(
                "Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=0, uploadThroughput=0
            )
            await browser.click("#refresh")
            await browser.until('!document.getElementById("trouble").hidden')
            assert "does not tell live.json" in await browser.text("#trouble")
            browser.console.clear()  # that it is offline


async def test_it_fits_into_the_window(page, browse, tmp_path):
    """On a screen and on a phone, light and dark, nothing is wider than the window; there are pictures of it."""
    async with page() as session, browse(session) as browser:
        for width, dark in itertools.product((1300, 390), (False, True)):
            await browser.look(width=width, dark=dark)
            back = await browser.run("getComputedStyle(document.body).backgroundColor")
            assert (back == "rgb(18, 21, 27)") == dark
            for tab in TABS:
                await browser.click(f"[data-tab={tab}]")
                assert await browser.run("document.documentElement.scrollWidth <= window.innerWidth")
                selected = "document.querySelector('[aria-selected=true]').getBoundingClientRect()"
                assert await browser.run(f"{selected}.left >= 0 && {selected}.right <= window.innerWidth")
                await browser.shoot(tmp_path / f"{tab}-{width}-{'dark' if dark else 'light'}.png")
        assert len([*tmp_path.glob("*.png")]) == 4 * len(TABS)

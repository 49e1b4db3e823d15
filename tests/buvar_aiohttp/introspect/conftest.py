"""A service with a page that shows its inside, and a browser to look at it with."""

import asyncio
import base64
import contextlib
import itertools
import json
import re
import shutil

import aiohttp
import attrs
import pytest
from aiohttp import web

from buvar import config, context, di, plugin
from buvar.plugins import health
from buvar_aiohttp import http

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SECRET = "correct-horse-battery"
IN_URL = "tr0ub4dor"
IN_TABLE = "abcdef123456"
IN_COMPONENT = "hunter2-hunter2"
SECRETS = (SECRET, IN_URL, IN_TABLE, IN_COMPONENT)
#: each of them would do something if it were taken for HTML
HOSTILE = '<script>document.title="broken"</script><img src=x onerror=\'document.title="broken"\'>"&quot;'


@attrs.define
class ShopConfig(config.Config, section="introspected_shop"):
    """What the service of these tests is configured by."""

    url: str = "sqlite://"
    password: str = config.secret_var("")
    pool: dict = attrs.Factory(dict)
    name: str = "tea"


class Database:
    def __init__(self, config: ShopConfig):
        self.config = config


async def stock(request):
    return web.Response(text="3")


@http.get("/typed/{number}")
async def typed(number: int) -> int:
    return number


async def users():
    """Keep the users."""
    di.singleton(Database)
    context.add(IN_COMPONENT, "users.token", name="main")


async def hostile():
    context.add(HOSTILE, HOSTILE, name=HOSTILE)


hostile.__qualname__ = HOSTILE


def shop(**settings):
    """Return a plugin that is a service with all that the page shows; *settings* are those of the page."""
    values = {
        "url": f"postgres://shop:{IN_URL}@db1/shop",
        "password": SECRET,
        "pool": {"size": 10, "auth_token": IN_TABLE},
        "name": HOSTILE,
    }

    @plugin.exports()
    async def walled(load: plugin.Loader):
        await load(users)

    async def prepare(load: plugin.Loader):
        source = context.add(config.ConfigSource({"introspected_shop": values}))
        source.merge({"introspect": {"enabled": True, **settings}})
        source.override("introspect.hosts", '["shop.test"]')
        await load("buvar_aiohttp.introspect", users, walled, hostile)
        di.require(Database)
        await di.nject(ShopConfig)
        http.mount(typed)
        router = context.get(web.Application).router
        router.add_get("/stock/{name}", stock)
        router.add_get(f"/{HOSTILE.replace('/', '').replace('{', '')}", stock)

        async def ping(config: ShopConfig):
            raise ConnectionError(f"{HOSTILE} cannot log in as shop with {config.password}")

        async def pool():
            return HOSTILE

        context.add(health.HealthCheck("database", ping))
        context.add(health.HealthCheck("pool", pool, kind="live"))

    return prepare


@pytest.fixture
def page(served):
    """Serve such a service: ``async with page() as session:``."""

    def page(*plugins, **settings):
        return served(shop(**settings), *plugins)

    page.hostile, page.secrets = HOSTILE, SECRETS
    return page


class Browser:
    """A page in a browser, driven over its debugging protocol. *console* has what it complains of."""

    def __init__(self, socket):
        self.socket = socket
        self.console = []
        self._numbers = itertools.count(1)
        self._session = None

    async def call(self, method, **params):
        """Have the browser do something, and return what it answers; note what happens meanwhile."""
        number = next(self._numbers)
        session = {} if self._session is None else {"sessionId": self._session}
        await self.socket.send_json({"id": number, "method": method, "params": params, **session})
        while True:
            message = json.loads((await self.socket.receive()).data)
            if message.get("id") == number:
                assert "error" not in message, message
                return message["result"]
            if message.get("method") in {"Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"}:
                self.console.append(message["params"])

    async def begin(self, url):
        """Open the page, and wait until it is shown."""
        target = await self.call("Target.createTarget", url="about:blank")
        attached = await self.call("Target.attachToTarget", flatten=True, **target)
        self._session = attached["sessionId"]
        for domain in ("Runtime", "Log", "Page"):
            await self.call(f"{domain}.enable")
        await self.look(width=1300, dark=False)
        await self.call("Page.navigate", url=url)
        await self.until('document.getElementById("app") && !document.getElementById("app").hidden')

    async def look(self, *, width, dark):
        """Look at it in a window of that width, in a light or a dark room."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])
        await self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=False
        )

    async def run(self, script):
        """Return the value of an expression, awaited if it is a promise."""
        done = await self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in done, done
        return done["result"].get("value")

    async def until(self, condition):
        """Wait until a condition is true."""
        look = f"const look = () => {{ if ({condition}) done(); else setTimeout(look, 20); }}; look();"
        for _ in range(100):  # a new document forgets what waits in the old one
            with contextlib.suppress(AssertionError):
                return await self.run(f"new Promise((done) => {{ {look} }})")
            await asyncio.sleep(0.05)
        raise AssertionError(condition)

    async def click(self, selector):
        await self.run(f"document.querySelector({json.dumps(selector)}).click()")

    async def press(self, key):
        text = {"text": "\r"} if key == "Enter" else {"text": key} if len(key) == 1 else {}
        await self.call("Input.dispatchKeyEvent", type="keyDown", key=key, code=key, **text)
        await self.call("Input.dispatchKeyEvent", type="keyUp", key=key, code=key)

    async def text(self, selector="body"):
        return await self.run(f"document.querySelector({json.dumps(selector)}).innerText")

    async def html(self):
        return await self.run("document.documentElement.outerHTML")

    async def shoot(self, path):
        """Write what is seen into a file."""
        path.write_bytes(base64.b64decode((await self.call("Page.captureScreenshot"))["data"]))


@pytest.fixture
def browse(tmp_path):
    """Open the page that a session talks to: ``async with browse(session, "routes") as browser:``."""
    if CHROMIUM is None:
        pytest.skip("no chromium is installed")

    @contextlib.asynccontextmanager
    async def browse(session, tab=""):
        url = str((session._base_url / "_buvar").with_fragment(tab))
        arguments = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]
        process = await asyncio.create_subprocess_exec(
            *(CHROMIUM, *arguments, "--remote-debugging-port=0", f"--user-data-dir={tmp_path}/profile", "about:blank"),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        found = rest = None
        try:
            while found is None:
                line = await process.stderr.readline()
                assert line, "the browser has ended"
                found = re.search(rb"ws://\S+", line)
            rest = asyncio.ensure_future(process.stderr.read())  # so that it can write on
            async with (
                aiohttp.ClientSession() as client,
                client.ws_connect(found[0].decode(), max_msg_size=0) as socket,
            ):
                browser = Browser(socket)
                await browser.begin(url)
                yield browser
                assert browser.console == []
        finally:
            process.kill()
            await process.wait()
            if rest is not None:
                await rest

    return browse

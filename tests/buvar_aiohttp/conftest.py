"""What the tests of the HTTP server share: a service to run, and a client that sees each byte and hides no loss."""

import asyncio
import base64
import contextlib
import itertools
import json
import re
import shutil
import socket

import aiohttp
import pytest
from aiohttp import web

from buvar import context, di, plugin
from buvar_aiohttp import AioHttpConfig

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

# follows `SERVE`; what a test wants to have configured stands in `CONFIG`, what is to be run in `RUN`
HTTP = """
import aiohttp, os
from buvar import errors
from aiohttp import web
import buvar_aiohttp
from buvar_aiohttp import AioHttpConfig

async def hello(request):
    return web.Response(text=str(os.getpid()))

async def sleep(request):
    log_event("sleeping")
    await asyncio.sleep(float(request.match_info["seconds"]))
    return web.Response(text="slept")

async def upload(request):
    size = 0
    async for chunk in request.content.iter_any():
        if not size:
            log_event("uploading")
        size += len(chunk)
    return web.Response(text=str(size))

async def stream(request):
    response = web.StreamResponse()
    await response.prepare(request)
    log_event("streaming")
    for _ in range(5):
        await asyncio.sleep(0.05)
        await response.write(b"x")
    return response

def log_event(event):
    import structlog
    structlog.get_logger().info(event)

async def http(load: plugin.Loader):
    await load("buvar_aiohttp")
    app = context.get(web.Application)
    app.router.add_get("/", hello)
    app.router.add_get("/sleep/{seconds}", sleep)
    app.router.add_post("/upload", upload)
    app.router.add_get("/stream", stream)

def run(*plugins, forks=1, config=None, **options):
    if config is not None:
        components = options["components"] = fork.Components()
        components.add(config)
    if os.environ.get("LOOP") == "uvloop":
        import uvloop
        options["loop_factory"] = uvloop.new_event_loop
    results = fork.stage(*plugins or (http,), forks=forks, **options)
    failed = [each for each in results or () if isinstance(each, Exception)]
    sys.exit(errors.exit_code(failed[0]) if failed else 0)
"""


class Client:
    """An HTTP/1.1 connection."""

    def __init__(self, connection):
        self.connection = connection
        self.file = connection.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.file.close()
        self.connection.close()

    def send(self, path, method="GET", **headers):
        lines = [
            f"{method} {path} HTTP/1.1",
            "Host: test",
            *(f"{k.replace('_', '-')}: {v}" for k, v in headers.items()),
        ]
        self.connection.sendall("\r\n".join([*lines, "", ""]).encode())

    def receive(self):
        """Return status, headers and body of the next response; an empty status if there is none."""
        status = self.file.readline().decode().partition(" ")[2][:3]
        headers = {}
        while (line := self.file.readline().decode().strip()) != "":
            key, _, value = line.partition(": ")
            headers[key.lower()] = value
        return status, headers, self._body(headers)

    def _body(self, headers):
        if headers.get("transfer-encoding") != "chunked":
            return self.file.read(int(headers.get("content-length", 0))).decode()
        body = b""
        while size := int(self.file.readline(), 16):
            body += self.file.read(size)
            self.file.readline()
        self.file.readline()
        return body.decode()

    def get(self, path="/", **headers):
        self.send(path, **headers)
        return self.receive()


@pytest.fixture
def free_port():
    """Return a port that was free just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def run_http(run_service):
    """Start a service with an HTTP server; ``run_http('run(…)')``, see `HTTP`."""

    def start(script="run(sockets=['tcp://127.0.0.1:0'])", loop="asyncio", env=None, **options):
        service = run_service(HTTP + script, env={"LOOP": loop, **(env or {})}, **options)
        service.order = lambda *events: [name for line in service.lines if (name := event_of(line)) in events]
        service.client = lambda address=None: Client(run_service.connect(address or http_address(service)))
        return service

    return start


def event_of(line):
    return json.loads(line)["event"] if line.startswith("{") else None


def http_address(service):
    return service.await_event("http server listens")["address"]


class Served:
    """A stage that serves a plugin's routes, for the time of a block, on a port of its own."""

    def __init__(self, *plugins, **config):
        self.plugins = plugins
        self.config = AioHttpConfig(host="127.0.0.1", port=0, linger=0.0, **config)
        self.url = asyncio.get_running_loop().create_future()

    def run(self):
        """Run the stage, with adapters of its own: what one test registers no other one finds."""
        di.buvar_adapters.set(di.Adapters())
        return plugin.stage(self.prepare)

    async def prepare(self, load: plugin.Loader, cancel: plugin.Cancel, ready: plugin.Ready):
        context.add(self.config)
        await load("buvar_aiohttp", *self.plugins)
        runner = context.get(web.AppRunner)

        async def tell():
            await ready.wait()
            host, port = runner.addresses[0]
            self.loop.call_soon_threadsafe(self.url.set_result, f"http://{host}:{port}")

        self.cancel, self.stage_loop = cancel, asyncio.get_running_loop()
        yield tell()

    async def __aenter__(self):
        self.loop = asyncio.get_running_loop()
        self.thread = self.loop.run_in_executor(None, self.run)
        await asyncio.wait({self.thread, self.url}, return_when=asyncio.FIRST_COMPLETED)
        self.session = aiohttp.ClientSession(await self.url if self.url.done() else self.thread.result())
        return self.session

    async def __aexit__(self, *_):
        await self.session.close()
        self.stage_loop.call_soon_threadsafe(self.cancel.set)
        assert await self.thread == [None, None]


@pytest.fixture
def served():
    """Serve plugins: ``async with served(plugin, …) as session:``."""
    return Served


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

    async def begin(self, url, shown):
        """Open the page, and wait until it is *shown*, which is a condition."""
        target = await self.call("Target.createTarget", url="about:blank")
        attached = await self.call("Target.attachToTarget", flatten=True, **target)
        self._session = attached["sessionId"]
        for domain in ("Runtime", "Log", "Page"):
            await self.call(f"{domain}.enable")
        await self.look(width=1300, dark=False)
        await self.call("Page.navigate", url=url)
        await self.until(shown)

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
def open_page(tmp_path):
    """Open a page when a condition is true: ``async with open_page(url, "document.title") as browser:``."""
    if CHROMIUM is None:
        pytest.skip("no chromium is installed")

    @contextlib.asynccontextmanager
    async def open_page(url, shown="document.readyState === 'complete'"):
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
                await browser.begin(url, shown)
                yield browser
                assert browser.console == []
        finally:
            process.kill()
            await process.wait()
            if rest is not None:
                await rest

    return open_page

"""Serving and stopping: real workers, real signals, and clients that notice every byte that is lost."""

import asyncio
import itertools
import os
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.slow

LOOPS = ["asyncio", "uvloop"]
SOCKETS = "sockets=['tcp://127.0.0.1:0']"


@pytest.fixture(params=itertools.product(LOOPS, [1, 2]), ids=lambda param: f"{param[0]}-{param[1]}")
def service(request, run_http):
    """A service on each loop, in one process and in two workers."""
    loop, forks = request.param
    found = run_http(f"run(forks={forks}, {SOCKETS})", loop)
    found.await_event("http server listens", forks)
    return found


def test_a_request_in_flight_is_answered_at_stop(service):
    """A handler that is at work when the service is told to stop answers; new connections are refused."""
    with service.client() as client:
        client.send("/sleep/0.5")
        service.await_event("sleeping")
        address = service.address
        service.kill(signal.SIGTERM)
        status, headers, body = client.receive()
        assert (status, headers["connection"], body) == ("200", "close", "slept")
        with pytest.raises(ConnectionRefusedError):
            service.client(address)
        assert client.file.read() == b""
    assert service.wait() == 0


def test_an_idle_connection_is_answered_once_more(service):
    """A client that keeps its connection may send one more request after the stop; then the connection is closed."""
    with service.client() as client:
        assert "connection" not in client.get()[1]
        service.kill(signal.SIGTERM)
        await_refusal(service)
        time.sleep(0.2)  # workers tell it only when all have closed their sockets
        status, headers, _ = client.get()
        assert (status, headers["connection"]) == ("200", "close")
        assert client.file.read() == b""
    assert service.wait() == 0


def test_a_body_that_is_being_uploaded_at_stop_is_read_to_its_end(service):
    """A request whose body still comes in when the service is told to stop is read whole, and answered."""
    with service.client() as client:
        client.send("/upload", "POST", Transfer_Encoding="chunked")
        chunk = b"%x\r\n%s\r\n" % (1000, b"x" * 1000)
        client.connection.sendall(chunk)
        service.await_event("uploading")
        service.kill(signal.SIGTERM)
        await_refusal(service)
        client.connection.sendall(chunk * 9 + b"0\r\n\r\n")
        assert client.receive()[::2] == ("200", "10000")
    assert service.wait() == 0


def test_a_streamed_response_is_sent_to_its_end(service):
    """A response that is being streamed when the service is told to stop comes whole, and then the connection ends."""
    with service.client() as client:
        client.send("/stream")
        service.await_event("streaming")
        service.kill(signal.SIGTERM)
        assert client.receive()[::2] == ("200", "xxxxx")
    assert service.wait() == 0


def await_refusal(service):
    """Wait until the service does not accept connections any more."""
    address = service.address
    while True:
        try:
            service.client(address).close()
        except ConnectionRefusedError:
            return
        except ConnectionResetError:
            pass


class Load:
    """Clients that ask one request after the other on connections that they keep, and note what is not answered."""

    def __init__(self, address, number=16):
        self.host, self.port = address.removeprefix("tcp://").split(":")
        self.number = number
        self.answers = 0
        self.losses = []
        self.enough = asyncio.Event()

    async def __aenter__(self):
        self.clients = [asyncio.create_task(self.client()) for _ in range(self.number)]
        return self

    async def __aexit__(self, *_):
        for each in self.clients:
            each.cancel()
        await asyncio.wait(self.clients)

    async def refused(self):
        """Wait until all clients are refused."""
        await asyncio.wait(self.clients)

    async def answered(self, number):
        """Wait for that many more answers."""
        wanted = self.answers + number
        while self.answers < wanted:
            await asyncio.sleep(0.01)

    async def client(self):
        while True:
            try:
                reader, writer = await asyncio.open_connection(self.host, self.port)
            except ConnectionRefusedError:
                return
            try:
                while await self.ask(reader, writer):
                    self.answers += 1
                self.answers += 1
            except (OSError, EOFError) as error:
                self.losses.append(error)
            finally:
                writer.close()

    async def ask(self, reader, writer):
        """Ask for the pid of the worker; tell whether the connection stays open."""
        writer.write(b"GET / HTTP/1.1\r\nHost: test\r\n\r\n")
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        assert head.startswith(b"http/1.1 200")
        length = next(line for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.split(b":")[1]))
        return b"connection: close" not in head


async def test_nothing_is_lost_when_the_service_stops_under_load(service):
    """Each request that a client could send is answered, also while the service stops; then clients are refused."""
    async with Load(service.address) as load:
        await load.answered(500)
        service.kill(signal.SIGTERM)
        await load.refused()
    assert load.losses == []
    assert await asyncio.to_thread(service.wait) == 0


@pytest.mark.parametrize("loop", LOOPS)
async def test_a_killed_worker_loses_only_what_it_held(run_http, loop):
    """The death of a worker costs each of its connections one request; what is not accepted goes to another one."""
    service = run_http(f"run(forks=2, {SOCKETS})", loop)
    pids = service.ready(2)
    async with Load(service.address, 8) as load:
        await load.answered(200)
        os.kill(pids[0], signal.SIGKILL)
        await asyncio.to_thread(service.await_event, "worker ready", 3)
        await load.answered(200)
        assert len(load.losses) <= load.number
        assert all(isinstance(each, ConnectionResetError | asyncio.IncompleteReadError) for each in load.losses)
    assert await asyncio.to_thread(service.stop) == 0


@pytest.mark.parametrize("loop", LOOPS)
def test_a_stop_does_not_linger_for_nobody(run_http, loop):
    """Where no connection is open, and where none is idle, the stop does not wait for one to send a request."""
    service = run_http(f"run(config=AioHttpConfig(linger=1000.0), {SOCKETS})", loop)
    with service.client() as client:
        assert client.get()[0] == "200"
    with service.client() as client:
        client.send("/sleep/0.2")
        service.await_event("sleeping")
        service.kill(signal.SIGTERM)
        assert client.receive()[2] == "slept"
        assert service.wait() == 0


@pytest.mark.parametrize("loop", LOOPS)
def test_idle_connections_are_closed_when_lingering_is_over(run_http, loop):
    """A client that keeps its connection and says nothing, or has never said anything, holds nobody up."""
    service = run_http(f"run(config=AioHttpConfig(linger=0.1), {SOCKETS})", loop)
    with service.client() as client, service.client() as silent:
        assert client.get()[0] == "200"
        assert service.stop() == 0
        assert client.file.read() == silent.file.read() == b""


@pytest.mark.parametrize("loop", LOOPS)
def test_requests_are_cancelled_when_the_time_is_over(run_http, loop):
    """A handler that does not come to an end within the shutdown timeout is cancelled, and finishes before teardown."""
    service = run_http(CANCELLED + f"run(http, slow, config=AioHttpConfig(shutdown_timeout=0.1), {SOCKETS})", loop)
    with service.client() as client:
        client.send("/slow")
        service.await_event("sleeping")
        assert service.stop() == 0
        assert client.file.read() == b""
    check_cancelled(service)


@pytest.mark.parametrize("loop", LOOPS)
def test_requests_of_clients_that_have_left_are_cancelled_too(run_http, loop):
    """A handler whose client has left is waited for, and cancelled, like any other."""
    service = run_http(CANCELLED + f"run(http, slow, config=AioHttpConfig(shutdown_timeout=0.3), {SOCKETS})", loop)
    with service.client() as client:
        client.send("/slow")
        service.await_event("sleeping")
    assert service.stop() == 0
    check_cancelled(service)


def check_cancelled(service):
    expected = ["cancelling requests that are not answered yet", "cancelled", "torn down"]
    assert service.order(*expected) == expected


@pytest.mark.parametrize("loop", LOOPS)
def test_a_second_signal_cancels_requests_at_once(run_http, loop):
    """The second TERM ends what the first one waits for, and the service still ends in good order."""
    service = run_http(CANCELLED + f"run(http, slow, {SOCKETS})", loop)
    with service.client() as client:
        client.send("/slow")
        service.await_event("sleeping")
        service.kill(signal.SIGTERM)
        await_refusal(service)
        time.sleep(0.6)  # a second signal within half a second is the echo of the first
        service.kill(signal.SIGTERM)
        assert service.wait() == 0
    assert service.order("cancelled", "torn down") == ["cancelled", "torn down"]


CANCELLED = """
async def slow(load: plugin.Loader, teardown: plugin.Teardown):
    await load(http)
    async def handle(request):
        log_event("sleeping")
        try:
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(0.1)
            log_event("cancelled")
    context.get(web.Application).router.add_get("/slow", handle)
    teardown.add(lambda: log_event("torn down"))
"""

WEB_SOCKET = """
async def chat(load: plugin.Loader):
    await load(http)
    open_ones = set()
    async def handle(request):
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        open_ones.add(socket)
        async for message in socket:
            await socket.send_str(message.data)
        return socket
    async def close(app):
        log_event("on_shutdown")
        for each in open_ones:
            await each.close(code=1001, message=b"bye")
    app = context.get(web.Application)
    app.router.add_get("/chat", handle)
    app.on_shutdown.append(close)
    app.on_cleanup.append(cleaned)

async def cleaned(app):
    log_event("on_cleanup")
"""


@pytest.mark.parametrize("loop", LOOPS)
async def test_web_sockets_are_closed_by_on_shutdown(run_http, loop):
    """`on_shutdown` is told once, before anybody waits for web sockets; they end as it closes them."""
    import aiohttp

    service = run_http(WEB_SOCKET + f"run(chat, config=AioHttpConfig(linger=1000.0), {SOCKETS})", loop)
    url = (await asyncio.to_thread(lambda: service.address)).replace("tcp:", "http:")
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{url}/chat") as chat:
        await chat.send_str("hello")
        assert (await chat.receive()).data == "hello"
        service.kill(signal.SIGTERM)
        assert (await chat.receive()).type is aiohttp.WSMsgType.CLOSE
        await chat.close()
    assert await asyncio.to_thread(service.wait) == 0
    assert service.order("on_shutdown", "on_cleanup") == ["on_shutdown", "on_cleanup"]


@pytest.mark.parametrize("loop", LOOPS)
def test_an_error_in_on_shutdown_is_told_and_drops_nothing(run_http, loop):
    """A failing `on_shutdown` fails the service when requests are answered and the application is cleaned up."""
    failing = """
async def failing(load: plugin.Loader):
    await load(http)
    async def fail(app):
        raise ValueError("no good bye")
    app = context.get(web.Application)
    app.on_shutdown.append(fail)
    app.on_cleanup.append(cleaned)
"""
    service = run_http(WEB_SOCKET + failing + f"run(failing, {SOCKETS})", loop)
    with service.client() as client:
        client.send("/sleep/0.3")
        service.await_event("sleeping")
        service.kill(signal.SIGTERM)
        assert client.receive()[2] == "slept"
    assert service.wait() == 1
    assert service.events("on_cleanup")
    assert "no good bye" in service.log


def test_a_failing_on_startup_ends_the_service(run_http, tmp_path):
    """What `on_startup` raises ends the service with code 1, and its socket file is removed."""
    service = run_http("""
async def failing(load: plugin.Loader):
    await load(http)
    async def fail(app):
        raise ValueError("no start")
    context.get(web.Application).on_startup.append(fail)
run(failing, config=AioHttpConfig(path="http.sock"))
""")
    assert service.wait() == 1
    assert "no start" in service.log
    assert not (tmp_path / "http.sock").exists()


@pytest.mark.parametrize("loop", LOOPS)
async def test_it_speaks_tls(run_http, tmp_path, loop):
    """With a certificate and a key the server speaks TLS, and answers what is in flight at stop."""
    import ssl

    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    )
    subprocess.run(
        f"{command} -keyout key.pem -out cert.pem", shell=True, cwd=tmp_path, check=True, capture_output=True
    )
    env = {"AIOHTTP_SSL_CERT": "cert.pem", "AIOHTTP_SSL_KEY": "key.pem"}
    service = run_http(f"run(forks=2, {SOCKETS})", loop, env=env)
    host, port = (await asyncio.to_thread(lambda: service.address)).removeprefix("tcp://").split(":")
    tls = ssl.create_default_context(cafile=tmp_path / "cert.pem")
    reader, writer = await asyncio.open_connection(host, port, ssl=tls, server_hostname="localhost")
    writer.write(b"GET /sleep/0.3 HTTP/1.1\r\nHost: test\r\n\r\n")
    await asyncio.to_thread(service.await_event, "sleeping")
    service.kill(signal.SIGTERM)
    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 200") and answer.endswith(b"slept")
    writer.close()
    assert await asyncio.to_thread(service.wait) == 0


def test_a_bad_certificate_is_told(run_http):
    """A certificate that is not there ends the service with code 2 and a sentence."""
    service = run_http(f"run({SOCKETS})", env={"AIOHTTP_SSL_CERT": "cert.pem"})
    assert service.wait() == 2
    assert "aiohttp.ssl: cannot use cert.pem: No such file or directory" in service.log


def test_upstreams_forked_example_works(run_service, free_port):
    """The example that upstream shows, with one port in the configuration and in the sockets, serves by its workers."""
    service = run_service(f"""
import aiohttp.web
from buvar import context, fork
from buvar_aiohttp import AioHttpConfig

async def prepare_aiohttp(load: plugin.Loader):
    context.add(AioHttpConfig(host="", port={free_port}))
    await load("buvar_aiohttp")
    async def hello(request):
        return aiohttp.web.Response(text=str(os.getpid()))
    context.get(aiohttp.web.Application).router.add_route("*", "/", hello)

fork.stage(prepare_aiohttp, forks=2, sockets=["tcp://:{free_port}"])
""")
    service.ready(2)
    found = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import urllib.request as u; print(u.urlopen('http://127.0.0.1:{free_port}').read().decode())",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert int(found.stdout) in service.workers().values()
    assert service.stop() == 0

"""The acceptor: whatever comes at a listening socket, connections are taken and served."""

import asyncio
import contextlib
import socket
import ssl
import subprocess
import time

import pytest
import uvloop
from aiohttp import web

from buvar.forking.board import Board, Cell
from buvar_aiohttp.acceptor import Acceptor
from buvar_aiohttp.connections import Server
from buvar_aiohttp.fairness import Restraint

pytestmark = pytest.mark.slow

LOOPS = ["asyncio", "uvloop"]
TCP = "sockets=['tcp://127.0.0.1:0']"


@pytest.fixture(params=LOOPS)
def loop(request):
    return request.param


def test_a_lack_of_file_descriptors_is_told_once_and_survived(run_http, loop):
    """Connections for which there is no file descriptor wait until there are some again; the log tells it once."""
    service = run_http(
        f"""
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
run({TCP})
""",
        loop,
    )
    held = [service.client() for _ in range(80)]
    for each in held:
        each.send("/")
    lacking = service.await_event("cannot accept connections, trying again")
    assert "Too many open files" in lacking["error"]
    assert "ulimit" in lacking["advice"]
    assert held[0].receive()[0] == "200"
    time.sleep(0.3)  # it has tried again in vain
    for each in held[:40]:
        each.close()
    assert [each.receive()[0] for each in held[40:]] == ["200"] * 40
    for each in held:
        each.close()
    assert service.stop() == 0
    assert len(service.events("cannot accept connections, trying again")) == 1


def test_responses_do_not_wait_for_acknowledgements(run_http, loop):
    """Connections have TCP_NODELAY set, as those of asyncio's own servers have."""
    service = run_http(
        f"""
import socket
async def delay(load: plugin.Loader):
    await load(http)
    async def show(request):
        sock = request.transport.get_extra_info("socket")
        peer = request.transport.get_extra_info("peername")
        return web.json_response([sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY), peer[1]])
    context.get(web.Application).router.add_get("/delay", show)
run(delay, {TCP})
""",
        loop,
    )
    with service.client() as client:
        assert client.get("/delay")[2] == f"[1, {client.connection.getsockname()[1]}]"


@pytest.mark.parametrize("scheme", ["unix", "fd"])
def test_other_sockets_are_served(run_http, tmp_path, loop, scheme):
    """A unix socket, and one that was passed by number, are served like an address."""
    if scheme == "unix":
        service = run_http(f"run(forks=2, sockets=['unix://{tmp_path}/http.sock'])", loop)
    else:
        service = run_http(
            "import socket\ns = socket.create_server(('127.0.0.1', 0))\n"
            "run(forks=2, sockets=[f'fd://{s.detach()}'])", loop
        )  # fmt: skip
    with service.client() as client:
        assert client.get()[0] == "200"
    assert service.stop() == 0


def test_an_application_of_ones_own_is_served(run_http, loop):
    """A plugin may put another application in place of ours; its connections are served, though nobody counts them."""
    service = run_http(
        f"""
async def main(load: plugin.Loader):
    await load("buvar_aiohttp.app:prepare_app", own_first)

async def own_first(load: plugin.Loader):
    made = context.add(web.Application())
    made.router.add_get("/", hello)
    await load("buvar_aiohttp.server:prepare_server")
run(main, forks=2, {TCP})
""",
        loop,
    )
    with service.client() as client:
        assert client.get()[0] == "200"
    assert service.stop() == 0


@pytest.fixture
def certificate(tmp_path):
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    )
    subprocess.run(
        f"{command} -keyout key.pem -out cert.pem", shell=True, cwd=tmp_path, check=True, capture_output=True
    )
    return {"AIOHTTP_SSL_CERT": "cert.pem", "AIOHTTP_SSL_KEY": "key.pem"}


def test_bad_handshakes_hurt_nobody(run_http, tmp_path, certificate, loop):
    """Clients that speak no TLS, or leave in the middle of it, cost nobody else a connection, and are not counted."""
    service = run_http(
        f"""
async def board(load: plugin.Loader):
    await load(http)
    async def show(request):
        return web.json_response(sum(each.connections for each in context.get(fork.Board)))
    context.get(web.Application).router.add_get("/board", show)
run(board, forks=2, {TCP})
""",
        loop,
        env=certificate,
    )
    service.ready(2)
    address = service.address
    silent = service.client(address)
    for _ in range(10):
        with service.client(address) as rude:
            rude.send("/")
    tls = ssl.create_default_context(cafile=tmp_path / "cert.pem")
    host, port = address.removeprefix("tcp://").split(":")

    def ask():
        with socket.create_connection((host, int(port)), timeout=20) as plain:
            with tls.wrap_socket(plain, server_hostname="localhost") as connection:
                connection.sendall(b"GET /board HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
                return b"".join(iter(lambda: connection.recv(65536), b"")).rpartition(b"\r\n\r\n")[2]

    while ask() != b"2":  # who is silent, and who asks
        time.sleep(0.01)
    assert service.stop() == 0
    silent.close()


# -- one acceptor, in this process


@pytest.fixture
def rows():
    """The rows of a worker and its sibling, which accepts connections and shows for long that it lives."""
    board = Board()
    own, sibling = (board.take(slot, 0) for slot in range(2))
    own.pid, sibling.pid, sibling.accepting = 1, 2, 1
    sibling._cells[Cell.BEAT] = time.monotonic_ns() + 10**12
    yield board, own, sibling
    board.close()


@contextlib.contextmanager
def accepting(rows):
    """An acceptor for a server of one word, with siblings, and a function that connects to it."""
    board, own, _ = rows

    async def hello(request):
        return web.Response(text="hello")

    server = Server(hello)
    server.row = own
    sock = socket.create_server(("127.0.0.1", 0))
    clients = contextlib.ExitStack()

    def connect():
        return clients.enter_context(socket.create_connection(sock.getsockname(), timeout=20))

    acceptor = Acceptor(sock, server, restraint=Restraint(server, own, board))
    with clients:
        acceptor.start()
        yield acceptor, connect
        acceptor.close()


def run(loop, main):
    with asyncio.Runner(loop_factory=uvloop.new_event_loop if loop == "uvloop" else None) as runner:
        runner.run(main)


async def answered(client):
    """Ask, and tell whether the client gets its answer, and then the end of the connection."""
    client.sendall(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
    said = await asyncio.to_thread(lambda: b"".join(iter(lambda: client.recv(65536), b"")))
    return said.endswith(b"hello")


def test_what_no_sibling_takes_is_taken(rows, loop):
    """A client that was left to a sibling that lives, but does not come, is served in the end."""

    async def main():
        with accepting(rows) as (_, connect):
            for _ in range(5):
                rows[1].connections = 50
                assert await answered(connect())

    run(loop, main())


def test_what_waits_when_it_closes_is_served(rows, loop):
    """Connections that were made, but not accepted yet, are accepted when the socket closes, and served."""

    async def main():
        with accepting(rows) as (acceptor, connect):
            assert rows[1].accepting == 1
            waiting = [connect() for _ in range(20)]
            acceptor.close()
            assert rows[1].accepting == 0
            assert (acceptor.sockets, rows[1].connections) == ((), 20)
            await acceptor.adopted(20)
            assert len(acceptor.server.connections) == 20
            assert [await answered(each) for each in waiting] == [True] * 20
            while rows[1].connections:
                await asyncio.sleep(0.001)

    run(loop, main())

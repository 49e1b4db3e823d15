"""Web sockets: bound and injected as any handler, refused before they open, and closed with what happened."""

import asyncio
import collections.abc as c

import aiohttp
import pytest
from aiohttp import WSMsgType, web

from buvar import di
from buvar_aiohttp import http
from buvar_aiohttp.http import ending


class Store:
    name = "store"


async def prepare_store():
    di.singleton(Store)


@http.websocket("/rooms/{number}", origins=["https://friend.example"], protocols=["chat"], max_message=100)
async def talk(socket: web.WebSocketResponse, number: int, store: Store, *, loud: bool = False) -> None:
    async for message in socket:
        if message.data == "boom":
            raise ValueError("secret")
        if message.data == "bye":
            return
        told = f"{number} {store.name} {message.data}"
        await socket.send_str(told.upper() if loud else told)


@pytest.fixture
async def client(api):
    async with api(talk, plugins=[prepare_store]) as found:
        yield found


async def refused(client, path="/rooms/1", **options):
    """Return status and headers of what is answered in place of an open socket."""
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await client.session.ws_connect(path, **options)
    return caught.value.status, caught.value.headers


async def test_parameters_are_bound_and_injected(client):
    """A socket has its parameters as any handler; when the handler returns, it closes well."""
    async with client.session.ws_connect("/rooms/3?loud=true", protocols=["other", "chat"]) as socket:
        assert socket.protocol == "chat"
        await socket.send_str("hello")
        assert (await socket.receive()).data == "3 STORE HELLO"
        await socket.send_str("bye")
        assert (await socket.receive()).type == WSMsgType.CLOSE
        assert socket.close_code == 1000
    assert client.events() == []


async def test_a_wrong_request_is_refused_before_it_opens(client):
    """What cannot be bound, and what is no web socket, is a problem, as with any handler."""
    for path in ("/rooms/x", "/rooms/1?loud=x", "/rooms/1?other=1"):
        status, headers = await refused(client, path)
        assert (status, headers["Content-Type"]) == (422, "application/problem+json")
    answer = await client.get("/rooms/1")
    assert (answer.status, answer.headers["Upgrade"], answer.type) == (426, "websocket", "application/problem+json")
    assert (await client.ask("HEAD", "/rooms/1")).status == 405
    reader, writer = await client.connect()  # what asks to be upgraded, and says nothing of a key
    writer.write(b"GET /rooms/1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
    told = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    assert b"application/problem+json" in told
    assert told.startswith(b"HTTP/1.1 400 ")
    assert client.events() == []


async def test_pages_of_other_sites_are_refused(client):
    """A browser says which site a page is of: its own and those that are named may open one."""
    own = str(client.session._base_url).rstrip("/")
    for origin in ("https://evil.example", "null", "https://friend.example.evil.example", "", "http://"):
        status, headers = await refused(client, origin=origin, headers={"Origin": origin})
        assert (status, headers["Content-Type"]) == (403, "application/problem+json"), origin
    for origin in (own, "https://friend.example"):
        async with client.session.ws_connect("/rooms/1", origin=origin):
            pass


async def test_behind_a_proxy_the_own_site_is_what_it_says(api):
    """A trusted proxy asks for another host than the browser did, and says for which one that asked."""
    async with api(talk, plugins=[prepare_store], config={"proxies": ["127.0.0.1"]}) as client:
        asked = {"Host": "inner", "X-Forwarded-Host": "shop.example"}
        async with client.session.ws_connect("/rooms/1", origin="https://shop.example", headers=asked):
            pass
        status, _ = await refused(client, origin="https://inner", headers={**asked, "Origin": "https://inner"})
        assert status == 403


async def test_any_site_may_be_allowed(api):
    """With "*" each may open one."""

    @http.websocket("/", origins="*")
    async def open_to_all(socket: web.WebSocketResponse) -> None: ...

    async with api(open_to_all) as client:
        async with client.session.ws_connect("/", origin="https://evil.example"):
            pass


async def test_an_error_closes_it(api):
    """The client learns that it was an error (1011), and nothing of it; the log tells it once."""
    async with api(talk, plugins=[prepare_store]) as client, client.session.ws_connect("/rooms/1") as socket:
        await socket.send_str("boom")
        message = await socket.receive()
        assert (message.type, socket.close_code, message.extra) == (WSMsgType.CLOSE, 1011, "")
    (line,) = client.events()
    assert str(line["exc_info"]) == "secret"


async def test_messages_have_a_limit(client):
    """A message that is too long closes the socket (1009), and is no error of the service."""
    async with client.session.ws_connect("/rooms/1") as socket:
        await socket.send_str("x" * 101)
        assert (await socket.receive()).type == WSMsgType.CLOSE
        assert socket.close_code == 1009
    assert client.events() == []


async def test_a_client_that_leaves_ends_the_handler(api):
    """The handler's loop ends, and what was opened for it is closed."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()

    @http.websocket("/")
    async def listen(socket: web.WebSocketResponse) -> None:
        try:
            async for _ in socket:
                await socket.send_str("x")
        finally:
            loop.call_soon_threadsafe(ended.set)

    async with api(listen) as client:
        socket = await client.session.ws_connect("/")
        await socket.send_str("a")
        await socket.receive()
        socket._response.connection.transport.abort()
        await asyncio.wait_for(ended.wait(), 20)
        assert client.events() == []


async def test_a_stop_closes_sockets(api):
    """When the server stops, each is told so (1001), and the handler ends by itself."""
    async with api(talk, plugins=[prepare_store]) as client:
        session = client.session
        client = await aiohttp.ClientSession().__aenter__()
        socket = await client.ws_connect(session._base_url.join(session._base_url.with_path("/rooms/1")))
        await socket.send_str("a")
        await socket.receive()
        reading = asyncio.create_task(socket.receive())
    message = await reading
    assert (message.type, message.data) == (WSMsgType.CLOSE, 1001)
    await client.close()


async def test_what_stands_around_a_socket(api):
    """A guard refuses it before it opens; a pipe sets its parameters."""

    async def guard(call, request):
        if "Authorization" not in request.headers:
            raise http.Problem(401)
        return await call(name="ada")

    @http.websocket("/", around=[guard])
    async def greet(socket: web.WebSocketResponse, name: str = "nobody") -> None:
        await socket.send_str(name)

    async with api(greet) as client:
        assert (await refused(client, "/"))[0] == 401
        async with client.session.ws_connect("/", headers={"Authorization": "x"}) as socket:
            assert (await socket.receive()).data == "ada"


async def test_a_handler_that_waits_is_ended_when_its_client_has_left(api, monkeypatch):
    """One that waits for something else than its client has some time to end; then its scope closes with that."""
    monkeypatch.setattr(ending, "GRACE", 0.05)
    loop, seen = asyncio.get_running_loop(), asyncio.Queue()

    def note(what):
        loop.call_soon_threadsafe(seen.put_nowait, what)

    async def unit() -> c.AsyncIterator[Store]:
        try:
            yield Store()
        except BaseException as error:
            note(type(error))
            raise

    async def prepare_unit():
        di.scoped(unit)

    @http.websocket("/")
    async def wait(socket: web.WebSocketResponse, store: Store) -> None:
        await asyncio.Event().wait()

    async with api(wait, plugins=[prepare_unit]) as client:
        socket = await client.session.ws_connect("/")
        socket._response.connection.transport.abort()
        assert await asyncio.wait_for(seen.get(), 20) is ConnectionResetError
        assert client.events() == []


async def test_what_yields_cannot_talk(api):
    """An async generator is refused where it is mounted, and not when the first client comes."""

    @http.websocket("/")
    async def chatter(socket: web.WebSocketResponse) -> c.AsyncIterator[str]:
        yield "hello"

    with pytest.raises(ExceptionGroup) as caught:
        async with api(chatter):
            pass
    assert "it talks over a web socket, and yields nothing" in str(leaves(caught.value))


def leaves(error):
    return [leaf for each in error.exceptions for leaf in leaves(each)] if hasattr(error, "exceptions") else [error]

"""Sessions: aiohttp-session is a middleware as any other."""

import aiohttp
import pytest
from aiohttp import web

from buvar import context

aiohttp_session = pytest.importorskip("aiohttp_session")


async def sessions():
    async def count(request):
        session = await aiohttp_session.get_session(request)
        session["visits"] = session.get("visits", 0) + 1
        return web.Response(text=str(session["visits"]))

    app = context.get(web.Application)
    aiohttp_session.setup(app, aiohttp_session.SimpleCookieStorage())
    app.router.add_get("/visits", count)


# aiohttp-session keeps what it knows of a request under texts
@pytest.mark.filterwarnings("ignore::aiohttp.web_exceptions.NotAppKeyWarning")
async def test_a_handler_reads_and_writes_the_session(served):
    """What a handler leaves in the session is there at the next request of the same client, and of no other."""
    async with served(sessions) as session:
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(session._base_url, cookie_jar=jar) as client:
            texts = []
            for _ in range(3):
                async with client.get("/visits") as response:
                    texts.append(await response.text())
        async with session.get("/visits") as response:
            assert (texts, await response.text()) == (["1", "2", "3"], "1")

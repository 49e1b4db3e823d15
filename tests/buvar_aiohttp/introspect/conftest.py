"""A service with a page that shows its inside, and how to look at it."""

import attrs
import pytest
from aiohttp import web

from buvar import config, context, di, plugin
from buvar.plugins import health
from buvar_aiohttp import http

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


@pytest.fixture
def browse(open_page):
    """Open the page that a session talks to: ``async with browse(session, "routes") as browser:``."""

    def browse(session, tab=""):
        shown = 'document.getElementById("app") && !document.getElementById("app").hidden'
        return open_page(str((session._base_url / "_buvar").with_fragment(tab)), shown)

    return browse

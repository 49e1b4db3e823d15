"""The links plugin: shortens URLs, redirects, and tells about the links that there are."""

from __future__ import annotations

import sqlite3
import typing as t
import urllib.parse

import attrs
import msgspec
from aiohttp import web

from buvar import config, context, di, plugin
from buvar_aiohttp import http

from . import database, statistics, store, urls

#: a number in the query
Number: t.TypeAlias = t.Annotated[int, msgspec.Meta(ge=1, le=10**9)]


@attrs.frozen
class LinksConfig(config.Config, section="links"):
    """How links are made and listed."""

    #: what short URLs begin with, as "https://sho.rt"; empty: the address that the request was sent to
    public_url: str = ""
    #: letters of a new code
    code_length: int = attrs.field(default=7, validator=[attrs.validators.ge(4), attrs.validators.le(64)])
    #: characters of a URL, at most
    max_url_length: int = attrs.field(default=2048, validator=attrs.validators.gt(0))
    #: links on a page, unless the request says how many
    page_size: int = attrs.field(default=20, validator=attrs.validators.gt(0))
    #: links on a page, at most
    max_page_size: int = attrs.field(default=100, validator=attrs.validators.gt(0))

    def __attrs_post_init__(self) -> None:
        if self.page_size > self.max_page_size:
            raise ValueError(f"page_size ({self.page_size}) is larger than max_page_size ({self.max_page_size})")


@attrs.frozen
class NewLink:
    """What is to be shortened."""

    url: str


@attrs.frozen
class ShortLink:
    """A link that was made."""

    code: str
    url: str
    short: str


@attrs.frozen
class CountedLink(store.Link):
    """A link, and how often it was followed."""

    hits: int


@attrs.frozen
class LinkPage:
    """A page of links. *next* is where the next one is."""

    items: list[CountedLink]
    next: str | None
    total: int


async def tell_if_busy(call: http.Call, request: web.Request) -> web.StreamResponse:
    """Answer 503 when other workers were writing for too long."""
    try:
        return await call()
    except sqlite3.OperationalError as error:
        if not database.is_busy(error):
            raise
        raise http.Problem(503, "the database is busy; try again", headers={"Retry-After": "1"}) from error


def _unfit(name: str, detail: str) -> http.Problem:
    return http.Problem(422, errors=[http.Fault("query", detail, name)])


@http.controller(around=[tell_if_busy], lifetime="singleton")
@attrs.frozen
class Api:
    """The handlers, on what they need."""

    links: store.Links
    hits: statistics.Hits
    settings: LinksConfig

    @http.get("/")
    async def index(self) -> dict[str, str]:
        """Say what there is."""
        return {"service": "links", "links": "/links"}

    @http.post("/links", status=201, max_body=16384, raises={503: "the database is busy"})
    async def create(self, wanted: NewLink, request: web.Request) -> http.Response[ShortLink]:
        """Shorten a URL."""
        try:
            url = urls.web_address(wanted.url, self.settings.max_url_length)
        except urls.NotAWebAddress as error:
            fault = http.Fault("body", f"it is no http or https URL: {error}", path="$.url")
            raise http.Problem(422, errors=[fault]) from None
        link = await self.links.add(url, store.new_codes(self.settings.code_length))
        base = self.settings.public_url or f"{request.scheme}://{request.host}"
        made = ShortLink(link.code, link.url, f"{base.rstrip('/')}/{link.code}")
        return http.Response(made, headers={"Location": f"/links/{link.code}"})

    @http.get("/{code}", status=302, raises={404: "there is no such link"})
    async def follow(self, code: str, request: web.Request) -> http.Response[None]:
        """Redirect to where a link leads.

        The answer is not to be cached, so that each hit is seen.
        """
        link = await self._find(code)
        if request.method != "HEAD":
            self.hits.count(code)
        return http.Response(headers={"Location": link.url, "Cache-Control": "no-store"})

    @http.get("/links/{code}", raises={404: "there is no such link"})
    async def show(self, code: str) -> CountedLink:
        """Tell about one link."""
        (told,) = await self._with_hits([await self._find(code)])
        return told

    @http.get("/links")
    async def page(self, size: Number | None = None, page: Number | None = None, after: str | None = None) -> LinkPage:
        """List links, the newest first.

        It is the page of that number, or the one that begins after the link of that code. *next* is where the next page
        is; new links do not shift it.
        """
        size = size or self.settings.page_size
        if size > self.settings.max_page_size:
            raise _unfit("size", f"it is at most {self.settings.max_page_size}")
        if after is not None and page is not None:
            raise _unfit("page", "page and after exclude each other")
        if after is not None and await self.links.get(after) is None:
            raise _unfit("after", f"there is no link {after[:40]!r}")
        # one more than asked for tells whether there is a next page
        links = await self.links.newest(size + 1, skip=((page or 1) - 1) * size, after=after)
        shown, more = links[:size], links[size:]
        following = "/links?" + urllib.parse.urlencode({"size": size, "after": shown[-1].code}) if more else None
        return LinkPage(await self._with_hits(shown), following, await self.links.count())

    async def _find(self, code: str) -> store.Link:
        link = await self.links.get(code)
        if link is None:
            raise http.Problem(404, f"there is no link {code[:40]!r}")
        return link

    async def _with_hits(self, links: list[store.Link]) -> list[CountedLink]:
        hits = await self.hits.of(*(link.code for link in links))
        return [CountedLink(link.code, link.url, link.created, hits[link.code]) for link in links]


@plugin.exports()
async def prepare(load: plugin.Loader) -> None:
    """Add the routes to the application. What they work on is nobody else's business."""
    await load("buvar.config", "buvar_aiohttp", ".database", ".statistics")
    await context.get(database.Database).write(store.SCHEMA)
    di.singleton(store.Links)
    http.mount(Api)

"""The links plugin: shortens URLs, redirects, and tells about the links that there are."""

from __future__ import annotations

import collections.abc as c
import json
import typing as t
import urllib.parse

import aiohttp.web
import attrs

import buvar_aiohttp.json
from buvar import config, context, di, plugin

from . import database, statistics, store, urls
from .problems import Problem

#: a larger number of links has no page
MAX_NUMBER = 10**9
PAGING = ("size", "page", "after")


@attrs.frozen
class LinksConfig(config.Config, section="links"):
    """How links are made and listed."""

    #: what short URLs begin with, as "https://sho.rt"; empty: the address that the request was sent to
    public_url: str = ""
    #: letters of a new code
    code_length: int = attrs.field(default=7, validator=[attrs.validators.ge(4), attrs.validators.le(64)])
    #: characters of a URL, at most
    max_url_length: int = attrs.field(default=2048, validator=attrs.validators.gt(0))
    #: bytes of a request, at most
    max_body: int = attrs.field(default=16384, validator=attrs.validators.gt(0))
    #: links on a page, unless the request says how many
    page_size: int = attrs.field(default=20, validator=attrs.validators.gt(0))
    #: links on a page, at most
    max_page_size: int = attrs.field(default=100, validator=attrs.validators.gt(0))

    def __attrs_post_init__(self) -> None:
        if self.page_size > self.max_page_size:
            raise ValueError(f"page_size ({self.page_size}) is larger than max_page_size ({self.max_page_size})")


@attrs.frozen
class Paging:
    """Which page of the links is asked for: by its number, or by the code of the link *after* which it begins."""

    size: int
    page: int = 1
    after: str | None = None

    @classmethod
    def parse(cls, query: c.Mapping[str, str], settings: LinksConfig) -> Paging:
        """Read the query of a request. Raises `Problem` (400) for what is no page."""
        if unknown := [key for key in query if key not in PAGING]:
            raise Problem(400, f"{unknown[0]!r} is no parameter; there are {', '.join(PAGING)}")
        if len(set(query)) != len(query):
            raise Problem(400, "a parameter is given twice")
        if "page" in query and "after" in query:
            raise Problem(400, "page and after exclude each other")
        size = _number("size", query.get("size", str(settings.page_size)), settings.max_page_size)
        page = _number("page", query.get("page", "1"), MAX_NUMBER // size)
        return cls(size, page, query.get("after"))

    @property
    def skip(self) -> int:
        return (self.page - 1) * self.size


def _number(key: str, text: str, most: int) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 12 and 1 <= int(text) <= most:
        return int(text)
    raise Problem(400, f"{key} is {text[:40]!r}, but has to be a number from 1 to {most}")


async def _json(request: aiohttp.web.Request, max_bytes: int) -> t.Any:
    """Return the JSON value that is the body, whatever the request calls it. Raises `Problem` (400, 413)."""
    try:
        body = await request.clone(client_max_size=max_bytes).read()
    except aiohttp.web.HTTPRequestEntityTooLarge:
        raise Problem(413, f"the body is longer than {max_bytes} bytes") from None
    except aiohttp.web.RequestPayloadError as error:
        raise Problem(400, f"the body cannot be read: {error}") from None
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Problem(400, f"the body is no JSON: {error}") from None


class Api:
    """The handlers, on what they need."""

    def __init__(self, links: store.Links, hits: statistics.Hits, settings: LinksConfig) -> None:
        self._links = links
        self._hits = hits
        self._settings = settings

    def routes(self) -> list[aiohttp.web.RouteDef]:
        # "links" comes first, and no code is that word
        return [
            aiohttp.web.get("/", self.index),
            aiohttp.web.post("/links", self.create),
            aiohttp.web.get("/links", self.page),
            aiohttp.web.get("/links/{code}", self.show),
            aiohttp.web.get("/{code}", self.follow),
        ]

    async def index(self, request: aiohttp.web.Request) -> aiohttp.web.Response:
        """Say what there is."""
        return buvar_aiohttp.json.response({"service": "links", "links": "/links"})

    async def create(self, request: aiohttp.web.Request) -> aiohttp.web.Response:
        """Shorten a URL."""
        wanted = await _json(request, self._settings.max_body)
        if not isinstance(wanted, dict) or "url" not in wanted:
            raise Problem(400, 'the body has to be an object with a URL: {"url": "https://…"}')
        if not isinstance(wanted["url"], str):
            raise Problem(422, "url has to be a text")
        try:
            url = urls.web_address(wanted["url"], self._settings.max_url_length)
        except urls.NotAWebAddress as error:
            raise Problem(422, f"url is no http or https URL: {error}") from None
        link = await self._links.add(url, store.new_codes(self._settings.code_length))
        body = {"code": link.code, "url": link.url, "short": self._short(link, request)}
        return buvar_aiohttp.json.response(body, 201, headers={"Location": f"/links/{link.code}"})

    def _short(self, link: store.Link, request: aiohttp.web.Request) -> str:
        host = request.headers.get("Host")
        base = self._settings.public_url or (f"{request.scheme}://{host}" if host else "")
        return f"{base.rstrip('/')}/{link.code}"

    async def follow(self, request: aiohttp.web.Request) -> aiohttp.web.Response:
        """Redirect to where a link leads. The answer is not to be cached, so that each hit is seen."""
        link = await self._find(request)
        if request.method != "HEAD":
            self._hits.count(link.code)
        return aiohttp.web.Response(status=302, headers={"Location": link.url, "Cache-Control": "no-store"})

    async def show(self, request: aiohttp.web.Request) -> aiohttp.web.Response:
        """Tell about one link."""
        link = await self._find(request)
        (item,) = await self._with_hits([link])
        return buvar_aiohttp.json.response(item)

    async def page(self, request: aiohttp.web.Request) -> aiohttp.web.Response:
        """List links, the newest first. *next* is where the next page is; new links do not shift it."""
        paging = Paging.parse(request.query, self._settings)
        if paging.after is not None and await self._links.get(paging.after) is None:
            raise Problem(400, f"after is {paging.after[:40]!r}, but there is no such link")
        # one more than asked for tells whether there is a next page
        links = await self._links.newest(paging.size + 1, skip=paging.skip, after=paging.after)
        shown, more = links[: paging.size], links[paging.size :]
        following = {"size": paging.size, "after": shown[-1].code} if more else None
        body = {
            "items": await self._with_hits(shown),
            "next": f"/links?{urllib.parse.urlencode(following)}" if following else None,
            "total": await self._links.count(),
        }
        return buvar_aiohttp.json.response(body)

    async def _find(self, request: aiohttp.web.Request) -> store.Link:
        code = request.match_info["code"]
        link = await self._links.get(code) if code.isascii() and code.isalnum() else None
        if link is None:
            raise Problem(404, f"there is no link {code[:40]!r}")
        return link

    async def _with_hits(self, links: list[store.Link]) -> list[dict[str, t.Any]]:
        hits = await self._hits.of(*(link.code for link in links))
        return [{**attrs.asdict(link), "hits": hits[link.code]} for link in links]


@plugin.exports()
async def prepare(load: plugin.Loader) -> None:
    """Add the routes to the application. What they work on is nobody else's business."""
    await load("buvar.config", "buvar_aiohttp", "buvar_aiohttp.json", ".problems", ".database", ".statistics")
    await context.get(database.Database).write(store.SCHEMA)
    di.register(store.Links, Api, lifetime="singleton")
    api = await di.nject(Api)
    context.get(aiohttp.web.Application).add_routes(api.routes())

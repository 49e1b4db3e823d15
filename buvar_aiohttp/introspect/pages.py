"""The routes of the page: itself, its style and its script, and the data that the script asks for."""

from __future__ import annotations

import collections.abc as c
import importlib.resources
import json
import typing as t

import attrs
import structlog
from aiohttp import hdrs, web

from buvar import context, page

from . import gate

if t.TYPE_CHECKING:
    from .config import IntrospectConfig
    from .facts import Facts

Answer: t.TypeAlias = c.Callable[[], c.Awaitable[web.Response]]

#: nothing is loaded from elsewhere, nothing stands in the page that could run, and nobody may put it into a frame
POLICY: t.Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
HEADERS: t.Final = {
    hdrs.CACHE_CONTROL: "no-store",
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_METHODS: t.Final = (hdrs.METH_GET, hdrs.METH_HEAD)

log = structlog.get_logger(__name__)


def mount(config: IntrospectConfig, facts: Facts) -> None:
    """Add the routes to the application."""
    _, _, name = config.path.rpartition("/")

    async def data() -> web.Response:
        return _json(facts.document())

    async def live() -> web.Response:
        return _json(facts.live())

    async def checks() -> web.Response:
        return _json(await facts.check())

    answers: dict[str, Answer] = {
        "": _constant(_page(name), "text/html"),
        "/page.css": _constant(page.read(page.STYLE) + _read("tables.css"), "text/css"),
        "/page.js": _constant(_script(), "text/javascript"),
        "/data.json": data,
        "/live.json": live,
        "/health.json": checks,
    }
    router = context.get(web.Application).router
    guard = gate.Gate.of(config)
    for ending, answer in answers.items():
        part = Part(guard, answer, is_data=ending.endswith(".json"))
        router.add_route(hdrs.METH_ANY, config.path + ending, part.show)


@attrs.frozen(eq=False)
class Part:
    """A part of the page: what *answer* returns, for those whom the *guard* lets in; it may be *data*."""

    guard: gate.Gate
    answer: Answer
    is_data: bool

    async def show(self, request: web.Request) -> web.Response:
        """Answer a request. Raises HTTPNotFound, whatever its method is, where nobody shall learn that it is there."""
        reason = self.guard.refusal(request)
        if reason is None and self.is_data and gate.is_foreign(request):
            reason = "another site asks for it"
        if reason is not None:
            log.debug("introspection refused", path=request.path, reason=reason)
            raise web.HTTPNotFound
        if request.method not in _METHODS:
            raise web.HTTPMethodNotAllowed(request.method, _METHODS)
        return await self.answer()


def _constant(text: str, content_type: str) -> Answer:
    body = text.encode()

    async def answer() -> web.Response:
        return _response(body, content_type)

    return answer


def _json(document: dict[str, t.Any]) -> web.Response:
    return _response(json.dumps(document, allow_nan=False).encode(), "application/json")


def _response(body: bytes, content_type: str) -> web.Response:
    return web.Response(body=body, content_type=content_type, charset="utf-8", headers=HEADERS)


def _read(name: str) -> str:
    return importlib.resources.files(__package__ or "").joinpath("assets", name).read_text("utf-8")


def _script() -> str:
    whole = page.script(_read("load.js"), _read("tables.js"))
    return f'"use strict";\n(async () => {{\n{whole}\n}})();\n'


def _page(name: str) -> str:
    """Return the page. What it refers to is relative to *name*, the last part of its path: a prefix changes nothing."""
    parts = {
        part: page.fill(_read(f"{part}.html"), {"base": name}) for part in ("head", "tabs", "tools", "views", "end")
    }
    return page.html("buvar", **parts)

"""OpenAPI: what the typed routes of a service take and answer, as a document, and as a page to read and try them.

``await load("buvar_aiohttp.openapi")`` serves both, at ``/openapi.json`` and ``/docs`` unless the section ``openapi``
of the configuration says otherwise.
"""

from __future__ import annotations

import functools
import typing as t

import msgspec
from aiohttp import web

from buvar import context, di, plugin
from buvar_aiohttp import http

from . import document, pages
from .config import OpenApiConfig as OpenApiConfig

if t.TYPE_CHECKING:
    from .schemas import Schema


async def prepare(load: plugin.Loader) -> None:
    """Serve the document and the page. The document is made when it is asked for the first time."""
    await load("buvar.config", "buvar_aiohttp:prepare_app")
    settings = await di.nject(OpenApiConfig)

    @functools.cache
    def made() -> pages.Page:
        return pages.of_document(msgspec.json.encode(describe(settings)))

    if settings.path:
        _serve(settings.path, made)
    if settings.docs:
        for path, page in pages.of_docs(settings).items():
            _serve(path, functools.partial(_same, page))


def describe(settings: OpenApiConfig | None = None) -> Schema:
    """Return the document of the current stage, whose plugins are all prepared, as JSON has it.

    *settings* are by default those of the plugin itself, or else what they are where nothing is configured.
    """
    settings = settings or context.get(OpenApiConfig, default=None) or OpenApiConfig()
    return document.make(settings, plugin.declared(http.Route).values())


def _same(page: pages.Page) -> pages.Page:
    return page


def _serve(path: str, page: t.Callable[[], pages.Page]) -> None:
    @http.get(path, hidden=True, unknown="ignore")
    async def show(request: web.Request) -> web.Response:
        return page().response(request)

    http.mount(show)

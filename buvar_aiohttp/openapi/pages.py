"""Pages: the document and the page that shows it, as a browser keeps them."""

from __future__ import annotations

import hashlib
import html
import importlib.resources
import posixpath
import re
import typing as t
import urllib.parse

import attrs
from aiohttp import hdrs, web

if t.TYPE_CHECKING:
    import collections.abc as c

    from .config import OpenApiConfig

#: what the page consists of, with its media types
FILES: t.Final[c.Mapping[str, str]] = {
    "page.html": "text/html",
    "page.css": "text/css",
    "page.js": "text/javascript",
    "schema.js": "text/javascript",
    "trial.js": "text/javascript",
}


@attrs.frozen(eq=False)
class Page:
    """A *body* that a browser keeps, and asks each time whether it is still the same."""

    body: bytes
    media_type: str
    headers: c.Mapping[str, str] = attrs.field(factory=dict)
    etag: str = attrs.field(init=False)

    @etag.default
    def _hash(self) -> str:
        return hashlib.sha256(self.body).hexdigest()[:32]

    def response(self, request: web.Request) -> web.Response:
        """Return the response to *request*: 304 where it knows this page."""
        known = request.if_none_match or ()
        if any(each.value in {self.etag, "*"} for each in known):
            response = web.Response(status=304)
        else:
            response = web.Response(body=self.body, headers={hdrs.CONTENT_TYPE: f"{self.media_type}; charset=utf-8"})
            response.headers.update(self.headers)
            response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers[hdrs.CACHE_CONTROL] = "no-cache"
        response.etag = self.etag
        return response


def of_document(body: bytes) -> Page:
    """Return the page of the document itself, which pages of other sites may not read."""
    return Page(body, "application/json")


def of_docs(settings: OpenApiConfig) -> dict[str, Page]:
    """Return the page that shows the document, and what it consists of, by path."""
    places = {name: posixpath.join(settings.docs, name) for name in FILES}
    places["page.html"] = settings.docs
    # relative, so that all is found behind a proxy that serves it below a prefix
    folder = posixpath.dirname(settings.docs)
    fields = {
        "title": settings.title,
        "document": posixpath.relpath(settings.path, folder),
        "root": posixpath.join(posixpath.relpath("/", folder), ""),
        "css": posixpath.relpath(places["page.css"], folder),
        "js": posixpath.relpath(places["page.js"], folder),
    }
    made = {}
    for name, path in places.items():
        text = importlib.resources.files(__package__).joinpath("page", name).read_text("utf-8")
        if name == "page.html":
            text = re.sub(r"\{\{(\w+)\}\}", lambda match: html.escape(fields[match[1]]), text)
        headers = {"Content-Security-Policy": policy(settings.servers)} if name == "page.html" else {}
        made[path] = Page(text.encode(), FILES[name], headers)
    return made


def policy(servers: c.Iterable[str]) -> str:
    """Return what the page may do: run its own script and style, and ask the service, also at its other *servers*."""
    parts = map(urllib.parse.urlsplit, servers)
    origins = [f"{each.scheme}://{each.netloc}" for each in parts if each.scheme in {"http", "https"} and each.netloc]
    connect = " ".join(["'self'", *(each for each in origins if re.fullmatch(r"[\w.:/\[\]-]+", each))])
    return (
        f"default-src 'none'; script-src 'self'; style-src 'self'; connect-src {connect}; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )

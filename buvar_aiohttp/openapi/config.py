"""The section ``openapi`` of the configuration."""

from __future__ import annotations

import typing as t

import attrs

from buvar import config


def _check_path(_: object, attribute: attrs.Attribute[t.Any], path: str) -> None:
    if path and not path.startswith("/"):
        raise ValueError(f"the path {path!r} has to begin with a slash", attribute)


@attrs.frozen
class OpenApiConfig(config.Config, section="openapi"):
    """What the OpenAPI document says of the service, and where it is served."""

    #: the path of the document; empty: it is not served
    path: str = attrs.field(default="/openapi.json", validator=_check_path)
    #: the path of the page that shows it; empty: there is none
    docs: str = attrs.field(default="/docs", validator=_check_path)
    #: what the service is called
    title: str = "API"
    #: the version of what it offers
    version: str = "0"
    #: what it is for, in Markdown
    description: str = ""
    #: URLs at which it is reached from outside; none: where the document is
    servers: list[str] = attrs.field(factory=list)

    def __attrs_post_init__(self) -> None:
        if self.docs and not self.path:
            raise ValueError('docs shows the document that path serves; set path, or docs = ""')
        if self.path and self.path == self.docs:
            raise ValueError(f"path and docs are both {self.path}; give each a path of its own")

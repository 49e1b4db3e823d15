"""The section ``introspect`` of the configuration."""

from __future__ import annotations

import re
import typing as t

import attrs

from buvar import config
from buvar_aiohttp import networks

#: segments of plain characters: no parameters, no slash at the end
_PATH: t.Final = re.compile(r"(?:/[\w.~-]+)+", re.ASCII)


def _is_path(_: object, attribute: attrs.Attribute[t.Any], value: str) -> None:
    if not _PATH.fullmatch(value):
        raise ValueError(
            f"{value!r} is no path as '/_buvar': letters, digits, - _ . ~, and no slash at its end", attribute
        )


@attrs.define
class IntrospectConfig(config.Config, section="introspect"):
    """Whether there is the page that shows the inside of the service, where, and for whom.

    Everybody else gets a 404, as if there were none. What the headers of proxies say is not believed: a request that
    has them came through one, and gets a 404 wherever it came from.
    """

    #: whether there is the page
    enabled: bool = config.bool_var(False)
    #: the path of the page
    path: str = attrs.field(default="/_buvar", validator=_is_path)
    #: who may see it: networks of those that connect, or "unix" for all that connect to a unix socket
    networks: list[str] = attrs.field(factory=lambda: [*networks.LOOPBACK], validator=networks.are_networks)
    #: names that it may be asked for by, beside localhost and addresses: a browser may be led astray by a name
    hosts: list[str] = attrs.field(factory=list)

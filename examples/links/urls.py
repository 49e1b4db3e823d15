"""What is a URL that may be shortened: one that can stand in a ``Location`` header and leads to a web server."""

from __future__ import annotations

import ipaddress
import re
import unicodedata
import urllib.parse

import yarl

#: a name of a host, up to the last label
LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.IGNORECASE)
#: no URL has these, and software that reads one tolerantly does not agree on what they mean
STRANGE = frozenset('\\<>"')


class NotAWebAddress(ValueError):
    """The text is no http or https URL; the message says why."""


def web_address(text: str, max_length: int = 2048) -> str:
    """Return *text* as a URL in ASCII; one that is in ASCII is returned as it is. Raises `NotAWebAddress`."""
    if len(text) > max_length:
        raise NotAWebAddress(f"it is longer than {max_length} characters")
    if strange := next((character for character in text if _is_strange(character)), None):
        raise NotAWebAddress(f"a URL does not contain {strange!a}")
    try:
        url = text if text.isascii() else str(yarl.URL(text))
        parts = urllib.parse.urlsplit(url)
        parts.port  # noqa: B018 - looked at, because it raises
    except ValueError as error:
        raise NotAWebAddress(f"it cannot be read: {error}") from None
    if parts.scheme not in {"http", "https"}:
        raise NotAWebAddress("it does not begin with http:// or https://")
    _check_host(parts.hostname or "", bracketed="[" in parts.netloc)
    if len(url) > max_length:
        raise NotAWebAddress(f"it is longer than {max_length} characters once it is encoded")
    return url


def _is_strange(character: str) -> bool:
    # C: control and format characters, half of a surrogate pair; Z: spaces of any kind
    return character in STRANGE or unicodedata.category(character)[0] in "CZ"


def _check_host(host: str, *, bracketed: bool) -> None:
    if not host:
        raise NotAWebAddress("the host is missing")
    labels = host.removesuffix(".").split(".")
    try:
        if bracketed:
            ipaddress.IPv6Address(host)
            return
        if labels[-1].isdigit():
            ipaddress.IPv4Address(host)
    except ValueError:
        raise NotAWebAddress(f"{host!r} is no IP address") from None
    if len(host) > 253 or not all(LABEL.fullmatch(label) for label in labels):
        raise NotAWebAddress(f"{host!r} is no name of a host")

"""Headers: the forms that their values have, and the one header that several edges write."""

from __future__ import annotations

import re
import typing as t

from aiohttp import hdrs

if t.TYPE_CHECKING:
    from multidict import CIMultiDict

#: a token, by RFC 9110: the name of a method, or of a header
_TOKEN: t.Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
#: the host of a URL, and its port if it has one
_AUTHORITY: t.Final = re.compile(r"(?P<host>[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")


def is_token(text: str) -> bool:
    """Tell whether *text* can be the name of a method or of a header."""
    return _TOKEN.fullmatch(text) is not None


def host_of(authority: str) -> str | None:
    """Return the host of *authority*, ``host`` or ``host:port``, in lower case and without a dot at its end.

    None if it is none.
    """
    found = _AUTHORITY.fullmatch(authority)
    return None if found is None else found["host"].lower().removesuffix(".") or None


def vary(headers: CIMultiDict[str], *names: str) -> None:
    """Have ``Vary`` say that the response depends on these headers of the request, beside what it says already."""
    if hdrs.VARY not in headers:
        headers[hdrs.VARY] = ", ".join(names)
        return
    said = [name.strip() for line in headers.getall(hdrs.VARY, ()) for name in line.split(",") if name.strip()]
    known = {name.lower() for name in said}
    more = [name for name in names if name.lower() not in known]
    if more and "*" not in known:
        headers[hdrs.VARY] = ", ".join([*said, *more])

"""Masks: what may be secret in a text, though nothing declares it.

A field that is declared as secret is masked by the configuration itself. Beyond that, on this page, what a key's name
says to be secret is masked, the password in a URL, and what is known to be secret wherever it stands in another text.
"""

from __future__ import annotations

import collections.abc as c
import re
import typing as t

from buvar import errors
from buvar.config import describe, words

if t.TYPE_CHECKING:
    from buvar import config

#: what is shorter stands in other texts by chance
_SHORTEST: t.Final = 4
_TELLING: t.Final = re.compile(
    r"passw|passphrase|pwd|secret|token|credential|(api|private|access|signing|encryption)[_-]?key|dsn$", re.IGNORECASE
)
#: the password in a URL: what stands between the name of a user, or none, and the last @; it may have a slash in it
_IN_URL: t.Final = re.compile(r"(://[^/\s:@]*:)\S+@")


def is_telling(key: str) -> bool:
    """Tell whether the name of a key says that its value is secret."""
    return _TELLING.search(key) is not None


def known(source: config.ConfigSource) -> frozenset[str]:
    """Return all texts in the configuration that are declared as secret."""
    found: set[str] = set()
    for claim in source.claims:
        try:
            found.update(_secrets(source.load(claim.cls, *claim.section), secret=False))
        except errors.ConfigError:
            continue  # it is told as a problem
    return frozenset(found)


def _secrets(value: t.Any, *, secret: bool) -> c.Iterator[str]:
    if describe.has(type(value)):
        cls: t.Any = type(value)
        for field in describe.fields(cls):
            yield from _secrets(getattr(value, field.attribute, None), secret=secret or field.secret)
    elif isinstance(value, c.Mapping):
        for each in value.values():
            yield from _secrets(each, secret=secret)
    elif isinstance(value, str):
        if secret and len(value) >= _SHORTEST:
            yield value
    elif isinstance(value, c.Sequence | c.Set) and not isinstance(value, bytes | bytearray):
        for each in value:
            yield from _secrets(each, secret=secret)


def hide(value: t.Any, secrets: c.Iterable[str], key: str = "") -> t.Any:
    """Return a *value*, as JSON has it, with ``***`` for what is secret in it; *key* is what it stands under."""
    if isinstance(value, dict):
        return {inner: hide(each, secrets, inner) for inner, each in value.items()}
    if isinstance(value, list):
        return [hide(each, secrets, key) for each in value]
    if not isinstance(value, str) or not value:
        return value
    if is_telling(key):
        return words.HIDDEN
    for each in sorted(secrets, key=len, reverse=True):
        value = value.replace(each, words.HIDDEN)
    return _IN_URL.sub(rf"\g<1>{words.HIDDEN}@", value)

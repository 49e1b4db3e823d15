"""The paths of resources of aiohttp, taken apart into the segments of which the router makes its trie."""

from __future__ import annotations

import enum
import re
import typing as t

import attrs
import yarl
from aiohttp import web, web_urldispatcher

if t.TYPE_CHECKING:
    import collections.abc as c

# regular expressions of which it is easy to see that they match no slash, and nothing beyond their own text; of all
# others it is not said, so they are matched with the whole of what follows
_IN_CLASS: t.Final = r"""(?: \\[dws] | \\[^\w/\s] | \w-\w | [\w\ .,:;!@$%&*+=~<>'"?(){}|\#] )"""
_LOCAL: t.Final = re.compile(
    rf"""(?: \\[dws] | \\[^\w/\s] | [\w\ ~!@%&=:;,'"<>\#-]   # characters
           | \[ -? {_IN_CLASS}+ -? \]                          # one of these
           | \[\^ -? {_IN_CLASS}* / (?: {_IN_CLASS} | / )* -? \]  # none of these, of which one is the slash
           | \( (?:\?:)? | \| | \)                             # groups without a name
           | [*+?] | \{{\d*,?\d*\}}                            # how often
         )*""",
    re.VERBOSE,
)


class Kind(enum.Enum):
    """What a segment is; the order is that in which they are tried."""

    STATIC = enum.auto()
    PATTERN = enum.auto()
    WILD = enum.auto()


@attrs.frozen
class Segment:
    """A segment of a path: its text, or a regular expression with the literal text at its *start* and its *end*."""

    kind: Kind
    text: str = ""
    start: str = ""
    end: str = ""


@attrs.frozen
class Template:
    """The *segments* of a path; with a *tail* they are its beginning.

    *names* says by which name each wild segment is known, the first segment being 1. Where there are other dynamic
    segments, or a tail, there is a *pattern* that the whole path has to match.
    """

    segments: tuple[Segment, ...]
    tail: bool = False
    names: tuple[tuple[str, int], ...] = ()
    pattern: re.Pattern[str] | None = None


@attrs.frozen
class _Part:
    """A part of a path: *text*, or what matches the *regex* and is called *name*."""

    text: str = ""
    name: str | None = None
    regex: str = ""

    @property
    def pattern(self) -> str:
        return re.escape(self.text) if self.name is None else f"(?P<{self.name}>{self.regex})"

    @property
    def written(self) -> str:
        if self.name is None:
            return self.text
        return f"{{{self.name}}}" if self.regex == web.DynamicResource.GOOD else f"{{{self.name}:{self.regex}}}"

    @property
    def nameless(self) -> str:
        return re.escape(self.text) if self.name is None else f"(?:{self.regex})"


def decoded(text: str) -> str:
    """Return *text*, which is a path or a part of one, as the path of a request is decoded before it is matched."""
    return yarl.URL.build(path=text, encoded=True).path_safe if "%" in text else text


def beginning(canonical: str) -> Template:
    """Return the segments that a path begins with which a resource of that *canonical* path may match."""
    path = canonical
    if "{" in path:
        path = path.partition("{")[0].rpartition("/")[0]
    return attrs.evolve(text(path.rstrip("/")), tail=True)


def text(path: str) -> Template:
    """Return the template of a *path* without dynamic segments."""
    return Template(tuple(Segment(Kind.STATIC, segment) for segment in decoded(path).split("/")[1:]))


def read(resource: web.DynamicResource) -> Template:
    """Return the template of *resource*."""
    parts = list(_parts(resource))
    if "".join(part.pattern for part in parts) != resource._pattern.pattern:
        return attrs.evolve(beginning(resource.canonical), pattern=resource._pattern)  # it is not what we know
    pattern = resource._pattern
    if any("%" in part.text for part in parts):
        parts = [attrs.evolve(part, text=decoded(part.text)) for part in parts]
        pattern = re.compile("".join(part.pattern for part in parts))
    segments: list[Segment] = []
    names: list[tuple[str, int]] = []
    plain = True
    for column in _columns(parts):
        segment = _segment(column)
        if segment is None:
            return Template(tuple(segments), tail=True, pattern=pattern)
        if segment.kind is Kind.WILD:
            names.append((str(column[0].name), len(segments) + 1))
        plain = plain and segment.kind is not Kind.PATTERN
        segments.append(segment)
    return Template(tuple(segments), names=tuple(names), pattern=None if plain else pattern)


def written(resource: web.DynamicResource) -> str:
    r"""Return the path of *resource* with its regular expressions, as ``/{year:\d+}/{name}``."""
    return "".join(part.written for part in _parts(resource))


def _parts(resource: web.DynamicResource) -> c.Iterator[_Part]:
    """Yield the parts as the resource read them; what it was prefixed with since then is the first."""
    parts = [_part(text) for text in web_urldispatcher.ROUTE_RE.split(resource._orig_path)]
    formatter = "".join(part.text if part.name is None else f"{{{part.name}}}" for part in parts)
    yield _Part(resource._formatter.removesuffix(formatter))
    yield from parts


def _part(text: str) -> _Part:
    if match := web.DynamicResource.DYN.fullmatch(text):
        return _Part(name=match["var"], regex=web.DynamicResource.GOOD)
    if match := web.DynamicResource.DYN_WITH_RE.fullmatch(text):
        return _Part(name=match["var"], regex=match["re"])
    return _Part(web_urldispatcher._requote_path(text))


def _columns(parts: c.Iterable[_Part]) -> list[list[_Part]]:
    """Return the parts between the slashes."""
    columns: list[list[_Part]] = [[]]
    for part in parts:
        first, *others = [part] if part.name is not None else [_Part(text) for text in part.text.split("/")]
        columns[-1].append(first)
        columns.extend([other] for other in others)
    return [[part for part in column if part != _Part()] for column in columns[1:]]


def _segment(column: list[_Part]) -> Segment | None:
    """Return the segment of these parts; None if they may match more than a segment."""
    if all(part.name is None for part in column):
        return Segment(Kind.STATIC, "".join(part.text for part in column))
    if len(column) == 1 and column[0].regex == web.DynamicResource.GOOD:
        return Segment(Kind.WILD)
    if not all(_LOCAL.fullmatch(part.regex) for part in column):
        return None
    return Segment(Kind.PATTERN, "".join(part.nameless for part in column), column[0].text, column[-1].text)

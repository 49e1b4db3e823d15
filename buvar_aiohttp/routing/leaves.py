"""The trie of a router: segments lead to its leaves, the resources, which say what a request gets."""

from __future__ import annotations

import os
import re
import typing as t

import attrs
from aiohttp import hdrs, web, web_urldispatcher
from aiohttp.web_urldispatcher import MatchInfoError, Resource, UrlMappingMatchInfo

from .segments import Kind

if t.TYPE_CHECKING:
    import collections.abc as c

    from .segments import Segment, Template

#: the answers to questions, by what was asked
Answers: t.TypeAlias = dict[int, t.Any]


@attrs.frozen(eq=False)
class Question:
    """What has to be awaited before it is known what a request gets: it is looked up again with the answer at *key*."""

    key: int
    ask: c.Callable[[web.Request], c.Awaitable[t.Any]]


Found: t.TypeAlias = UrlMappingMatchInfo | Question
Matches: t.TypeAlias = "c.Callable[[str], object]"


class Options(web.AbstractRoute):
    """The route of an OPTIONS that no route is there for: it tells what is *allowed*."""

    def __init__(self, allowed: frozenset[str]) -> None:
        self._headers = {hdrs.ALLOW: ",".join(sorted(allowed))}
        super().__init__(hdrs.METH_OPTIONS, self._answer)

    async def _answer(self, request: web.Request) -> web.Response:
        return web.Response(status=204, headers=self._headers)

    @property
    def name(self) -> str | None:
        """None: only what was added has a name."""
        return None

    def url_for(self, *args: str, **kwargs: str) -> t.NoReturn:
        """Raise RuntimeError: it has no path of its own."""
        raise RuntimeError(".url_for() is not allowed for the answer to OPTIONS")

    def get_info(self) -> web_urldispatcher._InfoDict:
        """Return nothing: no resource is behind it."""
        return {}


class Asked:
    """What is asked for, and the methods that are *allowed* where the path matches, as far as they are known."""

    __slots__ = ("allowed", "answers", "host", "method", "options", "path", "segments")

    def __init__(
        self, method: str, path: str, host: str, answers: Answers, options: dict[frozenset[str], Options]
    ) -> None:
        self.method = method
        self.path = path
        self.host = host
        self.answers = answers
        self.options = options
        self.segments = path.split("/")  # before the first slash there is nothing
        if self.segments[0]:
            del self.segments[1:]  # but with the asterisk of OPTIONS
        self.allowed: set[str] = set()


def missed(asked: Asked) -> UrlMappingMatchInfo:
    """Return what a request gets that no route is there for."""
    if not asked.allowed:
        return MatchInfoError(web.HTTPNotFound())
    if asked.method != hdrs.METH_OPTIONS:
        return MatchInfoError(web.HTTPMethodNotAllowed(asked.method, asked.allowed))
    allowed = frozenset({*asked.allowed, hdrs.METH_OPTIONS})
    # aiohttp remembers the middlewares around each handler, so it must be the same one again
    route = asked.options.get(allowed) or asked.options.setdefault(allowed, Options(allowed))
    return UrlMappingMatchInfo({}, route)


class Leaf(t.Protocol):
    """Where a path leads."""

    def find(self, asked: Asked) -> Found | None:
        """Return what the request gets here; None if nothing, having noted which methods would get something."""


def of(resource: Resource, values: dict[str, str], asked: Asked) -> UrlMappingMatchInfo | None:
    """Return the route of *resource*, whose path matches, for the method; None if there is none."""
    route = resource._routes.get(asked.method) or resource._any_route
    if route is None:
        asked.allowed |= resource._allowed_methods
        return None
    if "%" in asked.path:
        unquote = web_urldispatcher._unquote_path_safe
        values = {name: unquote(value) for name, value in values.items()}
    return UrlMappingMatchInfo(values, route)


@attrs.frozen
class Named:
    """A path of text and names: of each name it is known which segment it is for, the first being 1."""

    resource: web.DynamicResource
    names: tuple[tuple[str, int], ...]

    def find(self, asked: Asked) -> Found | None:
        segments = asked.segments
        return of(self.resource, {name: segments[index] for name, index in self.names}, asked)


@attrs.frozen
class Patterned:
    """A path that is to match a pattern."""

    resource: web.DynamicResource
    pattern: re.Pattern[str]

    def find(self, asked: Asked) -> Found | None:
        match = self.pattern.fullmatch(asked.path)
        return None if match is None else of(self.resource, match.groupdict(), asked)


@attrs.frozen
class Own:
    """A resource that has its own way to match a path."""

    resource: Resource

    def find(self, asked: Asked) -> Found | None:
        values = self.resource._match(asked.path)
        if values is None or (found := of(self.resource, {}, asked)) is None:
            return None
        found.update(values)
        return found


@attrs.frozen
class Files:
    """Static files beneath the path *prefix*."""

    resource: web.StaticResource
    prefix: str

    def find(self, asked: Asked) -> Found | None:
        normal = os.path.normpath(asked.path)  # so that it does not lead out of the prefix
        if normal != self.prefix and not normal.startswith(f"{self.prefix}/"):
            return None
        resource = self.resource
        if asked.method not in resource._allowed_methods:
            asked.allowed |= resource._allowed_methods
            return None
        name = web_urldispatcher._unquote_path_safe(asked.path[len(self.prefix) + 1 :])
        return UrlMappingMatchInfo({"filename": name}, resource._routes[asked.method])


@attrs.frozen
class Foreign:
    """A resource of which all that is known is that it resolves a request, in its own time."""

    resource: web.AbstractResource

    def find(self, asked: Asked) -> Found | None:
        answer = asked.answers.get(id(self.resource))
        if answer is None:
            return Question(id(self.resource), self.resource.resolve)
        found, allowed = answer
        asked.allowed |= allowed
        return t.cast("UrlMappingMatchInfo | None", found)


class _Patterns:
    """The patterns side by side in one place.

    Those that begin, or else end, with text are found by that text; what is left is tried in turn.
    """

    __slots__ = ("_ends", "_nodes", "_only", "_starts")

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._only: tuple[Matches, Node] | None = None  # that is the usual case
        # by the length of the text, and the text
        self._starts: dict[int, dict[str, list[tuple[int, Matches, Node]]]] = {}
        self._ends: dict[int, dict[str, list[tuple[int, Matches, Node]]]] = {}

    def node(self, segment: Segment) -> Node:
        """Return the node that *segment* leads to; it is made if there is none."""
        node = self._nodes.get(segment.text)
        if node is None:
            by_end = segment.end and not segment.start
            some, text = (self._ends, segment.end) if by_end else (self._starts, segment.start)
            node = self._nodes[segment.text] = Node()
            matches = re.compile(segment.text).fullmatch
            some.setdefault(len(text), {}).setdefault(text, []).append((len(self._nodes), matches, node))
            self._only = (matches, node) if len(self._nodes) == 1 else None
        return node

    def find(self, segment: str) -> list[Node]:
        """Return the nodes that *segment* leads to; the last is the one that was added first."""
        if self._only is not None:
            matches, node = self._only
            return [node] if matches(segment) else []
        known = [each for length, some in self._starts.items() for each in some.get(segment[:length], ())]
        if self._ends:
            known += [each for length, some in self._ends.items() for each in some.get(segment[-length:], ())]
        found = {order: node for order, matches, node in known if matches(segment)}
        return [found[order] for order in sorted(found, reverse=True)]


_EMPTY: t.Final = frozenset({""})


def _nameless(asked: Asked) -> frozenset[str]:
    """Return the segments that a name does not match."""
    return frozenset(segment for segment in asked.segments if not segment or "{" in segment or "}" in segment)


class Node:
    """A place in a path: the *leaves* there, and what leads on. *rest* has the leaves that take all that follows."""

    __slots__ = ("leaves", "patterns", "rest", "static", "wild")

    def __init__(self) -> None:
        self.static: dict[str, Node] = {}
        self.patterns: _Patterns | None = None
        self.wild: Node | None = None
        self.leaves: list[Leaf] = []
        self.rest: Node | None = None

    def add(self, template: Template, leaf: Leaf) -> None:
        """Put *leaf* where *template* leads from here."""
        node = self
        for segment in template.segments:
            node = node._next(segment)
        if template.tail:
            node.rest = node = node.rest or Node()
        node.leaves.append(leaf)

    def _next(self, segment: Segment) -> Node:
        if segment.kind is Kind.STATIC:
            return self.static.setdefault(segment.text, Node())
        if segment.kind is Kind.WILD:
            self.wild = self.wild or Node()
            return self.wild
        self.patterns = self.patterns or _Patterns()
        return self.patterns.node(segment)

    def find(self, asked: Asked) -> Found | None:  # noqa: C901, one loop without calls, since each one takes time
        """Return the first that *asked* finds from here on."""
        segments = asked.segments
        last = len(segments)
        nameless = _nameless(asked) if "{" in asked.path or "}" in asked.path else _EMPTY
        waiting: list[tuple[Node, int]] = []  # the last of these is the first to be tried
        node, depth = self, 1
        while True:
            child = None
            if node.rest is not None:
                waiting.append((node.rest, last))
            if depth == last:
                for leaf in node.leaves:
                    if (found := leaf.find(asked)) is not None:
                        return found
            else:
                segment = segments[depth]
                depth += 1
                child = node.static.get(segment)
                wild, patterns = node.wild, node.patterns
                if wild is not None and segment not in nameless:
                    if child is None and patterns is None:
                        child = wild
                    else:
                        waiting.append((wild, depth))
                if patterns is not None:
                    waiting += [(each, depth) for each in patterns.find(segment)]
            if child is not None:
                node = child
            elif waiting:
                node, depth = waiting.pop()
            else:
                return None

r"""The router: what a request gets does not depend on the order of routes, nor the time for it on their number.

The segments of the path, what stands between its slashes, are compared from left to right. Where routes differ in a
segment, they are tried in this order:

| what the route has there                     | such as                                   | among each other    |
|----------------------------------------------|-------------------------------------------|---------------------|
| 1. text                                      | ``/users/me``                             | only one can match  |
| 2. a pattern: a regex, or a name beside text | ``/users/{id:\d+}``, ``/users/{id}.json`` | first added, first  |
| 3. a name                                    | ``/users/{id}``                           | what follows counts |
| 4. what may go on for any number of segments | ``/users/{tail:.*}``, ``add_static``,     | first added, first  |
|                                              | ``add_subapp``, resources of other kinds  |                     |

- A regex is a pattern where it is plain that it matches no slash: it is made of characters, ``\d``, ``\w``, ``\s``,
  ``[a-z]``, ``[^/]``, nameless groups, ``|`` and repetitions. With anything else, as ``.`` or an assertion, it is of
  the fourth kind. Patterns in one place that neither begin nor end with a text of their own are tried in turn.
- What leads nowhere is left for the next in this order: ``/a/b/c`` gets to ``/a/{x}/c``, though there is ``/a/b/d``.
- So is what has another method: GET ``/users/me`` gets to ``/users/{id}`` where ``/users/me`` is there for POST only.
- Of two that match just the same paths, the first that was added is tried first.
- What gets to a sub-application stays there: what it has no route for is its own 404. So routes of the application
  come before it if they begin with the text of its prefix and go on with one of the first three kinds; all others are
  behind it. Sub-applications for a domain come before all routes, the first that was added first.
- Text is compared as it is decoded, in the path as in the route. A slash and a percent sign stay encoded, and separate
  nothing; in what a handler gets they are decoded. A name matches one or more characters that are no braces.

Where routes match the path, and none has the method, the answer is 405, with the methods of them all in ``Allow``; that
to OPTIONS is 204, with the same and itself. It is 404 where none matches.
"""

from __future__ import annotations

import typing as t

import attrs
from aiohttp import hdrs, web
from aiohttp.web_urldispatcher import Domain, MatchedSubAppResource, PrefixedSubAppResource, Resource

from buvar import names
from buvar_aiohttp import files

from . import leaves, routes, segments

if t.TYPE_CHECKING:
    from aiohttp.typedefs import Handler, PathLike


class Router(web.UrlDispatcher):
    """The routes of an application, found by the rules of this module; all else is as with aiohttp's router."""

    def __init__(self) -> None:
        super().__init__()
        self._index: Index | None = None
        self._options: dict[frozenset[str], leaves.Options] = {}

    async def resolve(self, request: web.Request) -> web.UrlMappingMatchInfo:
        """Return the route that *request* gets, with the values of its path."""
        answers: leaves.Answers = {}
        while isinstance(found := self._look_up(request, answers), leaves.Question):
            answers[found.key] = await found.ask(request)
        return found

    def look_up(self, request: web.Request) -> web.UrlMappingMatchInfo | None:
        """Return what `resolve` does, without being awaited; None where it has to be.

        That is so where a class that is not aiohttp's has to be asked: a resource, or the router or the rule of a
        sub-application.
        """
        found = self._look_up(request, {})
        return None if found.__class__ is leaves.Question else t.cast("web.UrlMappingMatchInfo", found)

    def match(self, method: str, path: str, host: str = "") -> web.UrlMappingMatchInfo | None:
        """Return what a request of *method* for *path* gets; None as in `look_up`.

        *path* is decoded but for slashes and percent signs, like ``yarl.URL.path_safe``; *host*, the header, matters
        where sub-applications have domains.
        """
        found = self._find(method, path, host, {})
        return None if isinstance(found, leaves.Question) else found

    def _look_up(self, request: web.Request, answers: leaves.Answers) -> leaves.Found:
        host = request.headers.get(hdrs.HOST, "") if self._matched_sub_app_resources else ""
        return self._find(request.method, request.rel_url.path_safe, host, answers)

    def _find(self, method: str, path: str, host: str, answers: leaves.Answers) -> leaves.Found:
        index = self._index
        if index is None or index.size != len(self._resources):
            index = self._catch_up()
        if index.domains is None and path in index.plain:  # what most ask for, and nothing comes before it
            for resource in index.plain[path]:
                route = resource._routes.get(method) or resource._any_route
                if route is not None:
                    return web.UrlMappingMatchInfo({}, route)
        asked = leaves.Asked(method, path, host, answers, self._options)
        found = index.find(asked)
        return leaves.missed(asked) if found is None else found

    def _catch_up(self) -> Index:
        index = self._index = self._index or Index()
        for resource in self._resources[index.size :]:
            index.add(resource)
        return index

    def unindex_resource(self, resource: web.AbstractResource) -> None:
        """Forget where *resource* is, since its path is about to change."""
        super().unindex_resource(resource)
        self._index = None

    def freeze(self) -> None:
        """Take no more routes."""
        super().freeze()
        self._index = None  # an empty path has become another one
        self._catch_up()

    def add_route(self, method: str, path: str, handler: t.Any, **options: t.Any) -> web.AbstractRoute:
        """Add a route.

        Raises:
            RuntimeError: the resource that was added last has that method and path; both handlers are named.
        """
        self._refuse_twin(method, path, handler, options.get("name"))
        return super().add_route(method, path, handler, **options)

    def add_get(
        self, path: str, handler: Handler, *, name: str | None = None, allow_head: bool = True, **options: t.Any
    ) -> web.AbstractRoute:
        """Add a route for GET and, if *allow_head*, for HEAD.

        Raises:
            RuntimeError: as with `add_route`.
        """
        for method in (hdrs.METH_GET, *([hdrs.METH_HEAD] if allow_head else [])):
            self._refuse_twin(method, path, handler, name)
        return super().add_get(path, handler, name=name, allow_head=allow_head, **options)

    def add_static(self, prefix: str, path: PathLike, **options: t.Any) -> web.AbstractResource:
        """Serve the files of a folder; see aiohttp's ``add_static``."""
        folder = files.Folder(prefix.removesuffix("/"), path, **options)
        self.register_resource(folder)
        return folder

    def _refuse_twin(self, method: str, path: str, handler: t.Any, name: str | None) -> None:
        # aiohttp, which gives out the last resource again for the same path, names neither; all other twins are told
        # when the routes are looked after
        last = self._resources[-1] if self._resources else None
        if not isinstance(last, Resource) or last.name != name or not last.raw_match(path):
            return
        if (known := last._routes.get(method, last._any_route)) is not None:
            raise RuntimeError(
                f"{method} {path} is added twice, by {_told(known.handler)} and by {_told(handler)}: "
                "only the first would ever be called; remove one of them, or change its path"
            )


def _told(handler: t.Any) -> str:
    return names.fqdn(routes.core(handler))


class Index:
    """The resources of one application, *size* of them, where a path finds them."""

    def __init__(self) -> None:
        self.size = 0
        self.domains: _Domains | None = None
        self.plain: dict[str, list[web.PlainResource]] = {}
        self._root = leaves.Node()

    def add(self, resource: web.AbstractResource) -> None:
        """Note where *resource* is found."""
        self.size += 1
        if isinstance(resource, MatchedSubAppResource):
            self.domains = self.domains or _Domains()
            self.domains.add(resource)
        elif _is_plain(resource):
            self.plain.setdefault(segments.decoded(resource._path), []).append(resource)
        else:
            self._root.add(*_placed(resource))

    def find(self, asked: leaves.Asked) -> leaves.Found | None:
        """Return the first of those that match, in their order; None if none does."""
        if self.domains is not None and (found := self.domains.find(asked)) is not None:
            return found
        if asked.path in self.plain:
            for resource in self.plain[asked.path]:
                if (match := leaves.of(resource, {}, asked)) is not None:
                    return match
        return self._root.find(asked)


def template_of(resource: web.AbstractResource) -> segments.Template:
    """Return the segments by which *resource* is found."""
    if _is_dynamic(resource):
        return segments.read(resource)
    if _is_plain(resource):
        return segments.text(resource._path)
    return segments.beginning(resource.canonical)


def written(resource: web.AbstractResource) -> str:
    """Return the path of *resource* as it was written, with regular expressions."""
    return segments.written(resource) if _is_dynamic(resource) else resource.canonical


def _is_dynamic(resource: web.AbstractResource) -> t.TypeGuard[web.DynamicResource]:
    return _keeps(resource, web.DynamicResource, "__init__", "add_prefix", "resolve", "_match")


def _is_plain(resource: web.AbstractResource) -> t.TypeGuard[web.PlainResource]:
    return _keeps(resource, web.PlainResource, "resolve", "_match")


def _placed(resource: web.AbstractResource) -> tuple[segments.Template, leaves.Leaf]:
    if _is_dynamic(resource):
        template = segments.read(resource)
        if template.pattern is None:
            return template, leaves.Named(resource, template.names)
        return template, leaves.Patterned(resource, template.pattern)
    start = template_of(resource)
    if isinstance(resource, Resource) and type(resource).resolve is Resource.resolve:
        return start, leaves.Own(resource)
    if _keeps(resource, web.StaticResource, "resolve"):
        return start, leaves.Files(resource, segments.decoded(resource._prefix))
    if _keeps(resource, PrefixedSubAppResource, "resolve"):
        return start, _sub_app(resource)
    return start, leaves.Foreign(resource)


@attrs.frozen
class _SubApp:
    """A sub-application: what gets here stays here."""

    app: web.Application
    index: Index

    def find(self, asked: leaves.Asked) -> leaves.Found | None:
        found = self.index.find(asked)
        if found is None:
            found = leaves.missed(asked)
        if isinstance(found, web.UrlMappingMatchInfo):
            found.add_app(self.app)
        return found


def _sub_app(resource: PrefixedSubAppResource) -> leaves.Leaf:
    router = resource._app.router
    if not (_keeps(router, web.UrlDispatcher, "resolve") or _keeps(router, Router, "resolve")):
        return leaves.Foreign(resource)
    index = Index()
    for each in router.resources():
        index.add(each)
    return _SubApp(resource._app, index)


class _Domains:
    """The sub-applications for a domain, or by another rule, in the order of their adding."""

    def __init__(self) -> None:
        self._size = 0
        self._exact: dict[str, tuple[int, leaves.Leaf]] = {}
        self._others: list[tuple[int, t.Any, leaves.Leaf]] = []

    def add(self, resource: MatchedSubAppResource) -> None:
        rule, leaf = resource._rule, _sub_app(resource)
        if type(resource).resolve is not MatchedSubAppResource.resolve or isinstance(leaf, leaves.Foreign):
            self._others.append((self._size, None, leaves.Foreign(resource)))  # it asks the rule itself
        elif _keeps(rule, Domain, "match", "match_domain"):
            self._exact.setdefault(rule._domain, (self._size, leaf))
        else:
            self._others.append((self._size, rule, leaf))
        self._size += 1

    def find(self, asked: leaves.Asked) -> leaves.Found | None:
        host = asked.host.lower()
        named = dict(self._exact[each] for each in (host, host.partition(":")[0]) if each in self._exact)
        place = min(named, default=self._size)
        for other, rule, leaf in self._others:
            if other > place:
                break
            matches = rule is None or _matches(rule, asked)
            if isinstance(matches, leaves.Question):
                return matches
            if matches and (found := leaf.find(asked)) is not None:
                return found
        return named[place].find(asked) if named else None


def _matches(rule: t.Any, asked: leaves.Asked) -> bool | leaves.Question:
    if _keeps(rule, Domain, "match"):
        return bool(asked.host) and rule.match_domain(asked.host)
    if id(rule) not in asked.answers:
        return leaves.Question(id(rule), rule.match)
    return bool(asked.answers[id(rule)])


K = t.TypeVar("K")


def _keeps(it: object, kind: type[K], *methods: str) -> t.TypeGuard[K]:
    """Say whether *it* is of that *kind*, and its class has not changed these *methods*."""
    return isinstance(it, kind) and all(getattr(type(it), each) is getattr(kind, each) for each in methods)

"""Routes: what says that a function is a handler, and at which method and path.

::

    @http.get("/users/{id}")
    async def show(id: int, users: Users) -> User: ...

    @http.controller("/orders", around=[signed_in])
    class Orders:
        def __init__(self, store: Store) -> None: ...

        @http.post("/", status=201)
        async def create(self, order: Order) -> Order: ...

The decorators return what they decorate: it can be called, and tested, as any other function. `mount` adds it to the
application.
"""

from __future__ import annotations

import collections.abc as c
import math
import typing as t

import attrs

from buvar import errors

from .chain import AroundFunction

F = t.TypeVar("F", bound=c.Callable[..., t.Any])
C = t.TypeVar("C", bound=type)

#: where a handler and a controller keep what the decorators said
_ROUTES: t.Final = "__http_routes__"
_CONTROLLER: t.Final = "__http_controller__"

Unknown: t.TypeAlias = t.Literal["refuse", "ignore"]


def _check_path(instance: object, _: object, path: str) -> None:
    if path and not path.startswith("/"):
        raise errors.DeclarationError(f"the path {path!r} has to begin with a slash")


def _between(low: float, high: float = math.inf, *, open: bool = False) -> t.Any:  # noqa: A002 - as an interval is
    def validate(_: object, attribute: attrs.Attribute[t.Any], value: float | None) -> None:
        if value is not None and not (low < value if open else low <= value <= high):
            bounds = f"more than {low}" if open else f"at least {low}" if high == math.inf else f"{low} to {high}"
            raise errors.DeclarationError(f"the {attribute.name} of a handler is {bounds}, not {value!r}")

    return validate


def _check_unknown(_: object, attribute: object, value: str) -> None:
    if value not in t.get_args(Unknown):
        raise errors.DeclarationError(f"unknown parameters are 'refuse' or 'ignore', not {value!r}")


def _names(names: str | c.Iterable[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _in_order(functions: c.Iterable[AroundFunction]) -> tuple[AroundFunction, ...]:
    return tuple(functions)


@attrs.frozen(kw_only=True)
class Spec:
    """What a decorator says of a handler.

    *status* is that of a result that says none. *around* stands around this handler alone. *timeout* is the number of
    seconds that it may take (503), *max_body* the number of bytes of a body (413). *unknown* query parameters are
    refused, or ignored. *name* is for ``url_for``. The others are for the documentation: *tags*, *summary* (by default
    the first line of the docstring), *raises* (statuses that it may answer, with what they mean), *hidden*.
    """

    method: str
    path: str = attrs.field(validator=_check_path)
    status: int = attrs.field(default=200, validator=_between(200, 599))
    around: tuple[AroundFunction, ...] = attrs.field(default=(), converter=_in_order)
    timeout: float | None = attrs.field(default=None, validator=_between(0, open=True))
    max_body: int | None = attrs.field(default=None, validator=_between(1))
    unknown: Unknown = attrs.field(default="refuse", validator=_check_unknown)
    name: str | None = None
    tags: tuple[str, ...] = attrs.field(default=(), converter=_names)
    summary: str | None = None
    raises: c.Mapping[int, str] = attrs.field(factory=dict)
    deprecated: bool = False
    hidden: bool = False
    #: what a web socket says beside
    socket: t.Any = None


class Options(t.TypedDict, total=False):
    """The keywords of the decorators; see `Spec`."""

    status: int
    around: c.Sequence[AroundFunction]
    timeout: float | None
    max_body: int | None
    unknown: Unknown
    name: str | None
    tags: str | c.Iterable[str]
    summary: str | None
    raises: c.Mapping[int, str]
    deprecated: bool
    hidden: bool


def route(method: str, path: str, **options: t.Unpack[Options]) -> c.Callable[[F], F]:
    """Have a function handle the requests of *method* at *path*; ``"*"`` is any method. See `Spec` for the options."""
    spec = Spec(method=method.upper(), path=path, **t.cast("t.Any", options))
    return lambda function: mark(function, spec)


def mark(function: F, spec: Spec) -> F:
    """Note on *function* that it is a handler, as *spec* says."""
    # a list of its own: what `functools.wraps` is applied to has the dictionary of what it wraps
    setattr(function, _ROUTES, [spec, *vars(function).get(_ROUTES, ())])
    return function


def get(path: str, **options: t.Unpack[Options]) -> c.Callable[[F], F]:
    """Have a function handle GET, and HEAD, at *path*; see `route`."""
    return route("GET", path, **options)


def post(path: str, **options: t.Unpack[Options]) -> c.Callable[[F], F]:
    """Have a function handle POST at *path*; see `route`."""
    return route("POST", path, **options)


def put(path: str, **options: t.Unpack[Options]) -> c.Callable[[F], F]:
    """Have a function handle PUT at *path*; see `route`."""
    return route("PUT", path, **options)


def patch(path: str, **options: t.Unpack[Options]) -> c.Callable[[F], F]:
    """Have a function handle PATCH at *path*; see `route`."""
    return route("PATCH", path, **options)


def delete(path: str, **options: t.Unpack[Options]) -> c.Callable[[F], F]:
    """Have a function handle DELETE at *path*; see `route`."""
    return route("DELETE", path, **options)


def head(path: str, **options: t.Unpack[Options]) -> c.Callable[[F], F]:
    """Have a function handle HEAD at *path*; see `route`."""
    return route("HEAD", path, **options)


def options(path: str, **options: t.Unpack[Options]) -> c.Callable[[F], F]:
    """Have a function handle OPTIONS at *path*; see `route`."""
    return route("OPTIONS", path, **options)


def specs_of(handler: t.Any) -> tuple[Spec, ...]:
    """Return what decorators said of *handler*, the outermost first; empty for what is no handler."""
    return tuple(getattr(handler, _ROUTES, ()))


@attrs.frozen
class Controller:
    """What `controller` says of a class."""

    prefix: str = attrs.field(default="", validator=_check_path)
    around: tuple[AroundFunction, ...] = attrs.field(default=(), converter=_in_order)
    lifetime: t.Literal["scoped", "singleton"] = "scoped"
    tags: tuple[str, ...] = attrs.field(default=(), converter=_names)


def controller(
    prefix: str = "",
    *,
    around: c.Iterable[AroundFunction] = (),
    lifetime: t.Literal["scoped", "singleton"] = "scoped",
    tags: str | c.Iterable[str] = (),
) -> c.Callable[[C], C]:
    """Have the decorated methods of a class handle requests below *prefix*.

    Its object is built by injection: in each request, or with ``lifetime="singleton"`` once. *around* stands around
    each of its handlers.
    """
    made = Controller(prefix, tuple(around), lifetime, tags)

    def decorate(cls: C) -> C:
        setattr(cls, _CONTROLLER, made)
        return cls

    return decorate


def controller_of(cls: t.Any) -> Controller | None:
    """Return what `controller` said of *cls* itself, None where it is no controller."""
    return vars(cls).get(_CONTROLLER) if isinstance(cls, type) else None


@attrs.frozen
class Group:
    """Handlers, controllers and groups that share a *prefix*, and what stands *around* them."""

    items: tuple[t.Any, ...]
    prefix: str = attrs.field(default="", validator=_check_path)
    around: tuple[AroundFunction, ...] = ()
    tags: tuple[str, ...] = attrs.field(default=(), converter=_names)


def group(
    *items: t.Any,
    prefix: str = "",
    around: c.Iterable[AroundFunction] = (),
    tags: str | c.Iterable[str] = (),
) -> Group:
    """Return handlers, controllers and other groups as one that can be mounted, below *prefix*."""
    return Group(items, prefix, tuple(around), tags)


@attrs.frozen
class Found:
    """A handler that was found in what is to be mounted, with all that stands around it."""

    handler: t.Any
    spec: Spec
    path: str
    around: tuple[AroundFunction, ...]
    tags: tuple[str, ...]
    owner: type | None = None


def find(item: t.Any, prefix: str, around: tuple[AroundFunction, ...], tags: tuple[str, ...]) -> c.Iterator[Found]:
    """Yield the handlers in *item*: itself, those of a controller or of a group. Raises `errors.DeclarationError`."""
    if isinstance(item, Group):
        for each in item.items:
            yield from find(each, _joined(prefix, item.prefix), (*around, *item.around), (*tags, *item.tags))
        return
    if (made := controller_of(item)) is not None:
        yield from _of_controller(item, made, prefix, around, tags)
        return
    specs = specs_of(item)
    if not specs:
        what = "a class that is no controller; decorate it with @http.controller()" if isinstance(item, type) else ""
        what = what or 'no handler; decorate it, as with @http.get("/path")'
        raise errors.DeclarationError(f"{errors.describe(item)} cannot be mounted: it is {what}")
    for spec in specs:
        yield Found(item, spec, _joined(prefix, spec.path), (*around, *spec.around), (*tags, *spec.tags))


def _of_controller(
    cls: type, made: Controller, prefix: str, around: tuple[AroundFunction, ...], tags: tuple[str, ...]
) -> c.Iterator[Found]:
    methods: dict[str, t.Any] = {}
    for base in reversed(cls.__mro__):
        methods.update(vars(base))
    found = False
    for name, method in methods.items():
        if isinstance(method, staticmethod | classmethod) and specs_of(method.__func__):
            kind = type(method).__name__
            raise errors.DeclarationError(f"{errors.describe(cls)} has a {kind} {name!r}, which cannot be a handler")
        for spec in specs_of(method):
            found = True
            path = _joined(_joined(prefix, made.prefix), spec.path)
            all_around = (*around, *made.around, *spec.around)
            yield Found(method, spec, path, all_around, (*tags, *made.tags, *spec.tags), cls)
    if not found:
        raise errors.DeclarationError(
            f'{errors.describe(cls)} has no handlers; decorate its methods, as with @http.get("/path")'
        )


def _joined(prefix: str, path: str) -> str:
    """Return *path* below *prefix*, as ``/orders/{id}``; ``/`` below ``/orders`` is ``/orders``."""
    if not prefix or prefix == "/":
        return path or prefix
    return prefix.rstrip("/") + ("" if path == "/" else path)

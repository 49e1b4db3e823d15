"""Sources: where each parameter of a handler comes from. A signature is read once; what is wrong with it is told here.

What the annotations alone say is read where the handler is mounted. What depends on the plugins, since a class that
nothing provides is the body, is decided when all of them are prepared.
"""

from __future__ import annotations

import collections.abc as c
import dataclasses
import datetime as dt
import decimal
import enum
import inspect
import types
import typing as t
import uuid

import attrs
import msgspec
from aiohttp import web

from buvar import di, errors
from buvar.components import missing
from buvar.di import signature, typeform

from . import markers

if t.TYPE_CHECKING:
    from buvar.components import Components

_SCALARS: t.Final = (
    str, bytes, int, float, bool, decimal.Decimal, uuid.UUID, dt.datetime, dt.date, dt.time, dt.timedelta, enum.Enum,
)  # fmt: skip
_CONTAINERS: t.Final = (list, tuple, set, frozenset, c.Sequence, c.Collection, c.Set, c.Iterable)
#: collections that are injected only if something provides just these
_BUILTINS: t.Final = frozenset({*_CONTAINERS, dict, c.Mapping, c.MutableMapping})
#: markers of what is a text, or several
_OF_TEXTS: t.Final = (markers.Path, markers.Query, markers.Header, markers.Cookie, markers.Form)
#: methods whose requests have no body that means anything
WITHOUT_BODY: t.Final = frozenset({"GET", "HEAD", "DELETE", "OPTIONS", "TRACE"})


@attrs.frozen
class Binding:
    """A parameter of a handler, and where it comes from.

    *marker* says where, and under which name; None for what is injected. *tp* is its type, with the constraints that
    stand beside it. *many* is whether it takes all values of that name, and not one.
    """

    name: str
    tp: t.Any
    marker: markers.Marker | None
    default: t.Any = missing
    keyword_only: bool = False
    many: bool = False

    @property
    def source(self) -> str | None:
        """What it comes from, None for what is injected."""
        return None if self.marker is None else self.marker.source

    @property
    def is_required(self) -> bool:
        """Whether the request has to say it: what may be None is None by default."""
        return self.default is missing and types.NoneType not in typeform.members(plain(self.tp))

    @property
    def key(self) -> str:
        """What the request calls it."""
        if self.marker is not None and self.marker.name is not None:
            return self.marker.name
        return self.name.replace("_", "-").title() if isinstance(self.marker, markers.Header) else self.name


@attrs.frozen(eq=False)
class Signature:
    """The parameters of *handler*, as far as its annotations tell.

    *undecided* are the names of those that are the body if nothing provides their class. *owner* is the class that a
    handler is a method of: its object is injected, as the first parameter.
    """

    handler: t.Any
    bindings: tuple[Binding, ...]
    undecided: frozenset[str] = frozenset()
    owner: type | None = None

    def decide(self, components: Components, registry: di.Adapters) -> tuple[Binding, ...]:
        """Return the bindings, where all plugins are prepared: what is provided in *components* is injected."""

        def decided(each: Binding) -> Binding:
            if each.name not in self.undecided or _is_provided(each.tp, components, registry):
                return each
            return attrs.evolve(each, marker=markers.Body())

        return tuple(decided(each) for each in self.bindings)


def injected(handler: t.Any, bindings: c.Iterable[Binding]) -> di.Injected:
    """Return what of *bindings* is injected into *handler*: not the request, and the web socket, which are at hand."""
    needs = [
        di.Parameter.of(each.name, each.tp, {}, default=each.default, keyword_only=each.keyword_only)
        for each in bindings
        if each.marker is None and each.tp not in {web.Request, web.WebSocketResponse}
    ]
    return di.Injected(handler, tuple(needs), (web.Request,))


def read(
    handler: t.Any, path: c.Container[str], method: str, owner: type | None = None, *, socket: bool = False
) -> Signature:
    """Read the signature of *handler*; *path* are the names in its path; with *socket* it takes a web socket.

    Raises `errors.DeclarationError` for what is no coroutine function, and an ExceptionGroup of all that is wrong with
    the parameters: `errors.DeclarationError`, `errors.AdapterError`.
    """
    if socket and inspect.isasyncgenfunction(handler):
        raise wrong(handler, "it talks over a web socket, and yields nothing; send with the socket")
    bindings: list[Binding] = []
    undecided: set[str] = set()
    faults: list[Exception] = []
    for number, parameter in enumerate(_parameters(handler)):
        if owner is not None and number == 0:
            bindings.append(Binding(parameter.name, owner, None))
            continue
        try:
            binding = _read(handler, parameter, path)
        except errors.BuvarError as error:
            faults.append(error)
            continue
        bindings.append(_never_none(binding))
        if binding.tp is web.WebSocketResponse and not socket:
            faults.append(wrong(handler, f"its parameter {binding.name!r} is a web socket; write @http.websocket(…)"))
        if binding.marker is None and _may_be_body(binding.tp) and method not in WITHOUT_BODY:
            undecided.add(binding.name)
    try:
        check(handler, bindings)
        _check_path(handler, bindings, path)
    except errors.BuvarError as error:
        faults.append(error)
    if faults:
        raise ExceptionGroup(f"the handler {signature.label(handler)} cannot be mounted", faults)
    return Signature(handler, tuple(bindings), frozenset(undecided), owner)


def _parameters(handler: t.Any) -> list[inspect.Parameter]:
    if not inspect.iscoroutinefunction(handler) and not inspect.isasyncgenfunction(handler):
        advice = "write 'async def', with 'await asyncio.to_thread(…)' for what blocks"
        raise wrong(handler, f"it is no coroutine function; {advice}")
    return list(inspect.signature(handler).parameters.values())


def wrong(handler: t.Any, reason: str) -> errors.DeclarationError:
    """Return the error for a handler that cannot be one."""
    place = signature.place_of(handler)
    where = "" if place is None else f" ({place})"
    return errors.DeclarationError(f"{signature.label(handler)}{where} cannot be a handler: {reason}")


def _read(handler: t.Any, parameter: inspect.Parameter, path: c.Container[str]) -> Binding:
    name = parameter.name
    if parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY}:
        raise wrong(handler, f"its parameter {parameter} cannot be bound; give each parameter a name of its own")
    tp: t.Any = t.Any
    if parameter.annotation is not parameter.empty:
        tp = signature.evaluate(handler, parameter.annotation, name)
    elif name in path:
        tp = str
    elif parameter.default is parameter.empty:
        raise wrong(handler, f"its parameter {name!r} has no annotation, by which it is bound")
    default = missing if parameter.default is parameter.empty else parameter.default
    found, tp = _marker_of(handler, name, tp)
    if found is None and not _is_injected(tp):
        found = _by_type(name, tp, path)
    many = found is not None and _takes_all(found, tp)
    if many and isinstance(found, markers.Path | markers.Cookie):
        raise wrong(handler, f"its parameter {name!r} is a {typeform.show(tp)}, and a {found.source} has one value")
    if not many and isinstance(found, _OF_TEXTS) and not (is_scalar(tp) or plain(tp) in {t.Any, object}):
        shown = typeform.show(tp)
        raise wrong(handler, f"its parameter {name!r} comes from the {found.source}, and no {shown} is made of a text")
    return Binding(name, tp, found, default, parameter.kind is parameter.KEYWORD_ONLY, many)


def _takes_all(marker: markers.Marker, tp: t.Any) -> bool:
    if isinstance(marker, markers.File):
        return _is_many(tp, is_file)
    return not isinstance(marker, markers.Body) and _is_many(tp)


def _marker_of(handler: t.Any, name: str, tp: t.Any) -> tuple[markers.Marker | None, t.Any]:
    """Return the marker that stands in *tp*, and *tp* without it."""
    found, plain = _marked(tp)
    if len(found) > 1:
        told = " and ".join(each.source for each in found)
        raise wrong(handler, f"its parameter {name!r} comes from {told}; it can only come from one of them")
    if not found:
        if hidden := next(_hidden(tp), None):
            what = type(hidden).__name__
            raise wrong(handler, f"its parameter {name!r} has {what} inside of its type; write Annotated[…, {what}]")
        return None, tp
    return found[0], plain


def _marked(tp: t.Any) -> tuple[list[markers.Marker], t.Any]:
    """Return the markers beside *tp*, or beside a member of it if it is a union, and *tp* without them."""
    plain, notes = _noted(tp)
    found, others = [], []
    for each in notes:
        made = each() if isinstance(each, type) and issubclass(each, markers.Marker) else each  # Query means Query()
        if isinstance(made, markers.Marker):
            found.append(made)
        else:
            others.append(made)
    if t.get_origin(plain) in {t.Union, types.UnionType}:
        members = [_marked(each) for each in t.get_args(plain)]
        if inside := [marker for each, _ in members for marker in each]:
            found += inside
            plain = t.Union[tuple(each for _, each in members)]  # noqa: UP007 - it has no other spelling for a tuple
    if not found:
        return [], tp
    return found, t.Annotated[(plain, *others)] if others else plain


def _noted(tp: t.Any) -> tuple[t.Any, list[t.Any]]:
    """Return what stands behind ``Annotated``, also where ``type X = …`` names it, and what is noted there."""
    notes: list[t.Any] = []
    while True:
        if t.get_origin(tp) is t.Annotated:
            notes = [*tp.__metadata__, *notes]
            tp = tp.__origin__
        elif hasattr(tp, "__value__"):
            tp = tp.__value__
        else:
            return tp, notes


def _hidden(tp: t.Any, seen: tuple[t.Any, ...] = ()) -> c.Iterator[markers.Marker]:
    """Yield the markers that stand deeper inside of *tp*, where nobody looks for them."""
    if any(each is tp for each in seen):  # a type that a `type` statement names may have itself inside
        return
    for each in t.get_args(plain(tp)):
        yield from _marked(each)[0]
        yield from _hidden(each, (*seen, tp))


def _is_injected(tp: t.Any) -> bool:
    """Tell whether a marker of injection stands beside the type."""
    return any(each is di.All or isinstance(each, di.Name) for each in _noted(tp)[1])


def _by_type(name: str, tp: t.Any, path: c.Container[str]) -> markers.Marker | None:
    if name in path:
        return markers.Path()
    if is_scalar(tp) or _is_many(tp):
        return markers.Query()
    return None


def is_scalar(tp: t.Any) -> bool:
    """Tell whether *tp* is written as one text: a number, a date, a member of an enum, or one of several such."""
    tp = plain(tp)
    if t.get_origin(tp) is t.Literal:
        return True
    if t.get_origin(tp) in {t.Union, types.UnionType}:
        return all(is_scalar(each) for each in t.get_args(tp) if each is not types.NoneType)
    return isinstance(tp, type) and issubclass(tp, _SCALARS)


def is_file(tp: t.Any) -> bool:
    """Tell whether a file can become a *tp*: bytes, or aiohttp's class."""
    members = {plain(each) for each in typeform.members(plain(tp))} - {types.NoneType}
    return len(members) == 1 and members <= {bytes, web.FileField}


def collection_of(tp: t.Any) -> type | None:
    """Return the class that several values are collected in for a *tp*: list, tuple, set or frozenset; None for one."""
    members = [plain(each) for each in typeform.members(plain(tp)) if each is not types.NoneType]
    origin = t.get_origin(members[0]) if len(members) == 1 else None
    if origin not in _CONTAINERS:
        return None
    return t.cast("type", origin) if origin in {tuple, set, frozenset} else list


def raw_of(tp: t.Any) -> type | None:
    """Return bytes or str where that is what stands behind *tp*, which may be None too; else None."""
    members = {plain(each) for each in typeform.members(plain(tp))} - {types.NoneType}
    return members.pop() if members in ({bytes}, {str}) else None


def _is_many(tp: t.Any, is_item: c.Callable[[t.Any], bool] = is_scalar) -> bool:
    tp = plain(tp)
    if t.get_origin(tp) in {t.Union, types.UnionType}:
        rest = [each for each in t.get_args(tp) if each is not types.NoneType]
        return len(rest) == 1 and _is_many(rest[0], is_item)
    inner = [each for each in t.get_args(tp) if each is not ...]
    return t.get_origin(tp) in _CONTAINERS and bool(inner) and all(is_item(each) for each in inner)


def plain(tp: t.Any) -> t.Any:
    """Return what stands behind names and notes: of ``NewType``, ``type X = …`` and ``Annotated``."""
    while True:
        if t.get_origin(tp) is t.Annotated:
            tp = tp.__origin__
        elif isinstance(tp, t.NewType):
            tp = tp.__supertype__
        elif hasattr(tp, "__value__"):
            tp = tp.__value__
        else:
            return tp


def _never_none(binding: Binding) -> Binding:
    """Return *binding* for a type without None, which no text says: it is None where the request does not say it."""
    if binding.source in {None, "body"} or types.NoneType not in typeform.members(plain(binding.tp)):
        return binding
    default = None if binding.default is missing else binding.default
    return attrs.evolve(binding, tp=_without_none(binding.tp), default=default)


def _without_none(tp: t.Any) -> t.Any:
    if t.get_origin(tp) is t.Annotated:
        return t.Annotated[(_without_none(tp.__origin__), *tp.__metadata__)]
    if t.get_origin(tp) in {t.Union, types.UnionType}:
        return t.Union[tuple(each for each in t.get_args(tp) if each is not types.NoneType)]  # noqa: UP007
    return _without_none(tp.__value__) if hasattr(tp, "__value__") else tp


def _may_be_body(tp: t.Any) -> bool:
    tp = plain(tp)
    if t.get_origin(tp) in {t.Union, types.UnionType}:
        return all(_may_be_body(each) for each in t.get_args(tp) if each is not types.NoneType)
    tp = t.get_origin(tp) or tp
    if not isinstance(tp, type):
        return False
    return attrs.has(tp) or dataclasses.is_dataclass(tp) or issubclass(tp, msgspec.Struct)


def _is_provided(tp: t.Any, components: Components, registry: di.Adapters) -> bool:
    members = [each for each in typeform.members(plain(tp)) if each is not types.NoneType]
    return any(each in components or each in registry for each in members)


def check_injected(handler: t.Any, binding: Binding, components: Components, registry: di.Adapters) -> None:
    """Raise `errors.DeclarationError` where a list or a dict is to be injected, and nothing provides it.

    Its default would be all that it ever is, while the request has a body that was meant.
    """
    if _is_injected(binding.tp) or _is_provided(binding.tp, components, registry):
        return
    members = [plain(each) for each in typeform.members(plain(binding.tp)) if each is not types.NoneType]
    if any((t.get_origin(each) or each) in _BUILTINS for each in members):
        shown = typeform.show(binding.tp)
        advice = f"if it is the body, write Annotated[{shown}, http.Body]"
        raise wrong(handler, f"its parameter {binding.name!r} is a {shown}, which nothing provides; {advice}")


def _check_path(handler: t.Any, bindings: c.Sequence[Binding], path: c.Container[str]) -> None:
    for each in bindings:
        if isinstance(each.marker, markers.Path) and each.key not in path:
            raise wrong(handler, f"its parameter {each.name!r} comes from the path, which has no {{{each.key}}}")


def check(handler: t.Any, bindings: c.Sequence[Binding]) -> None:
    """Raise `errors.DeclarationError` where two parameters are the same, or one cannot be what it is to be."""
    bound = [each for each in bindings if each.marker is not None]
    keys: dict[tuple[str | None, str], str] = {}
    for each in bound:
        key = each.key.lower() if isinstance(each.marker, markers.Header) else each.key
        first = keys.setdefault((each.source, key), each.name)
        if first != each.name:
            raise wrong(handler, f"its parameters {first!r} and {each.name!r} are the same {each.source} {each.key!r}")
    sources = {each.source for each in bound}
    bodies = [each.name for each in bound if each.source == "body"]
    if len(bodies) > 1:
        raise wrong(handler, f"its parameters {' and '.join(map(repr, bodies))} are the body; only one can be")
    if "body" in sources and sources & {"form", "file"}:
        raise wrong(handler, "its parameters come from the body and from a form, which is a body too")

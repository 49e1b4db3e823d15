"""Index: the adapters of a registry at one moment, and which of them answer what is asked for.

A registration makes a new index and leaves the old one to whoever is resolving by it; so threads may register and
resolve at once. What was found for a type is kept, and goes with the index.

The order of candidates: what returns the type or something derived from it, then a classmethod of a base that builds
its subclasses, then what merely looks like the protocol that is asked for; within each the last registered first.
An adapter registered with ``replace=True`` ends the list: older ones no longer answer what it answers.
"""

from __future__ import annotations

import itertools
import typing as t

from buvar import errors

from . import typeform
from .adapter import Adapter
from .signature import Parameter

if t.TYPE_CHECKING:
    import collections.abc as c


#: what is filed under one key, in order of registration. Nearly always it is one: a tuple for each would double the
#: objects that there are, which costs time to make and again each time that garbage is collected
Filed: t.TypeAlias = Adapter | tuple[Adapter, ...]


def _several(filed: Filed) -> tuple[Adapter, ...]:
    return filed if isinstance(filed, tuple) else (filed,)


def _without(former: Adapter, filed: Filed) -> tuple[Adapter, ...]:
    return tuple(one for one in _several(filed) if one is not former)


class Index:
    """An immutable list of adapters, in order of registration, by the types that they answer."""

    __slots__ = ("_by_family", "_by_key", "_filed", "_forms", "_found", "_generic", "_places")

    def __init__(self) -> None:
        self._filed: dict[c.Hashable, Adapter] = {}
        self._by_key: dict[t.Any, Filed] = {}
        self._by_family: dict[type, tuple[Adapter, ...]] = {}
        self._generic: tuple[Adapter, ...] = ()  # what returns no plain class
        self._places: dict[Adapter, int] = {}
        self._found: dict[typeform.Form, tuple[Adapter, ...]] = {}
        self._forms: dict[t.Any, typeform.Form] = {}

    def plus(self, *adapters: Adapter) -> Index:
        """Return an index with *adapters* too; what was registered before moves to the end."""
        index = Index()
        index._filed, index._by_key, index._by_family = dict(self._filed), dict(self._by_key), dict(self._by_family)
        index._generic = self._generic
        index._file(adapters)
        return index

    def _file(self, adapters: c.Iterable[Adapter]) -> None:
        filed, by_key = self._filed, self._by_key
        for adapter in adapters:
            identity, tp = adapter.identity, adapter.return_type
            if identity in filed:
                self._forget(filed.pop(identity))
            filed[identity] = adapter
            for key in typeform.bases(tp):
                by_key[key] = (*_several(by_key[key]), adapter) if key in by_key else adapter
            if adapter.family is not None:
                self._by_family[adapter.family] = (*self._by_family.get(adapter.family, ()), adapter)
            if not isinstance(tp, type):
                self._generic = (*self._generic, adapter)

    def _forget(self, former: Adapter) -> None:
        for key in typeform.bases(former.return_type):
            self._by_key[key] = _without(former, self._by_key[key])
        if former.family is not None:
            self._by_family[former.family] = _without(former, self._by_family[former.family])
        self._generic = _without(former, self._generic)

    def _place(self, adapter: Adapter) -> int:
        """Return which one *adapter* is in the order of registration; few requests have to know."""
        if not self._places:
            self._places = {each: place for place, each in enumerate(self, 1)}
        return self._places[adapter]

    def __iter__(self) -> c.Iterator[Adapter]:
        return iter(self._filed.values())

    def __len__(self) -> int:
        return len(self._filed)

    def form(self, target: t.Any) -> typeform.Form:
        """Return the form of an asked-for type; one type has one form as long as the index lives."""
        if type(target) is type:
            return self._forms.get(target) or self._forms.setdefault(target, typeform.Form.of(target))
        if not typeform.is_hashable(target):
            return typeform.Form.of(target)
        key = target, t.get_args(target)  # a union is equal to one of another order
        return self._forms.get(key) or self._forms.setdefault(key, typeform.Form.of(target))

    def need(self, target: t.Any) -> Parameter:
        """Return what is asked for by type alone, with what stands beside the type in ``Annotated``; or an adapter."""
        if isinstance(target, Adapter):
            return Parameter(None, self.form(target.return_type), only=target)
        if t.get_origin(target) is not t.Annotated:
            return Parameter(None, self.form(target))
        try:
            return Parameter.of(None, target, {})
        except ValueError as error:
            raise errors.ResolveError(target, str(error)) from None

    def candidates(self, form: typeform.Form) -> tuple[Adapter, ...]:
        """Return the adapters that answer *form*, the first choice first."""
        found = self._found.get(form)
        if found is None:
            found = self._found.setdefault(form, self._candidates(form.tp) if form.keys else ())
        return found

    def answering(self, target: t.Any) -> tuple[Adapter, ...]:
        """Return the adapters that answer *target*, which is not remembered: it may be anything that somebody wrote."""
        form = typeform.Form.of(target)
        return self._candidates(form.tp) if form.keys else ()

    def _candidates(self, wanted: t.Any) -> tuple[Adapter, ...]:
        nominal = self._nominal(wanted)
        found = [(adapter, adapter) for adapter in nominal]
        known = frozenset(nominal)
        for member in typeform.members(wanted):
            if isinstance(member, type):
                others = (*self._families(member, wanted), *self._alike(member))
                found += [(filed, adapter) for filed, adapter in others if filed not in known]
        if replacing := [self._place(filed) for filed, _ in found if filed.replaces]:
            found = [each for each in found if self._place(each[0]) >= max(replacing)]
        return tuple(dict.fromkeys(adapter for _, adapter in found))

    def _nominal(self, wanted: t.Any) -> list[Adapter]:
        """Return what returns *wanted* or something derived from it, the last registered first."""
        keys = (typeform.plain(member) or member for member in typeform.members(wanted))
        found = [_several(self._by_key.get(key, ())) for key in keys]
        if len(found) == 1 and not self._generic:
            filed: c.Iterable[Adapter] = reversed(found[0])
        else:
            filed = sorted({*self._generic, *itertools.chain(*found)}, key=self._place, reverse=True)
        return [adapter for adapter in filed if typeform.answers(adapter.return_type, wanted)]

    def _families(self, member: type, wanted: t.Any) -> c.Iterator[tuple[Adapter, Adapter]]:
        """Yield the classmethods of bases of *member* that build it too, filed and bound, the nearest base's first."""
        for base in member.__mro__[1:]:
            for filed in reversed(self._by_family.get(base, ())):
                adapter = filed.bound(member)
                if typeform.answers(adapter.return_type, wanted):
                    yield filed, adapter

    def _alike(self, wanted: type) -> c.Iterator[tuple[Adapter, Adapter]]:
        """Yield what satisfies the protocol *wanted* without deriving from it."""
        if not typeform.may_be_alike(wanted):
            return
        for adapter in reversed(self._filed.values()):
            cls = typeform.plain(adapter.return_type)
            if cls is not None and wanted not in cls.__mro__ and typeform.is_like(cls, wanted):
                yield adapter, adapter

"""Index: the adapters of a registry at one moment, and which of them answer what is asked for.

A registration makes a new index and leaves the old one to whoever is resolving by it; so threads may register and
resolve at once. What was found for a type is kept, and goes with the index.

The order of candidates: what returns the type or something derived from it, then a classmethod of a base that builds
its subclasses, then what merely looks like the protocol that is asked for; within each the last registered first.
An adapter registered with ``replace=True`` ends the list: older ones no longer answer what it answers.
"""

from __future__ import annotations

import typing as t

import attrs

from buvar import errors

from . import typeform
from .adapter import Adapter
from .signature import Parameter

if t.TYPE_CHECKING:
    import collections.abc as c


#: an adapter, and whether it is to replace those before it
Registration: t.TypeAlias = tuple[Adapter, bool]


@attrs.define(eq=False)
class Filed:
    """An adapter and its place in the order of registration."""

    adapter: Adapter
    serial: int
    replace: bool


def _without(former: Filed, filed: tuple[Filed, ...]) -> tuple[Filed, ...]:
    return tuple(one for one in filed if one is not former)


class Index:
    """An immutable list of adapters, in order of registration, by the types that they answer."""

    __slots__ = ("_by_family", "_by_key", "_filed", "_forms", "_found", "_generic", "_serial")

    def __init__(self) -> None:
        self._filed: dict[tuple[t.Any, ...], Filed] = {}
        self._by_key: dict[t.Any, tuple[Filed, ...]] = {}
        self._by_family: dict[type, tuple[Filed, ...]] = {}
        self._generic: tuple[Filed, ...] = ()  # what returns no plain class
        self._serial = 0
        self._found: dict[typeform.Form, tuple[Adapter, ...]] = {}
        self._forms: dict[t.Any, typeform.Form] = {}

    def plus(self, *registrations: Registration) -> Index:
        """Return an index with *registrations* too; what was registered before moves to the end."""
        index = Index()
        index._filed, index._by_key, index._by_family = dict(self._filed), dict(self._by_key), dict(self._by_family)
        index._generic, index._serial = self._generic, self._serial
        for adapter, replace in registrations:
            index._file(adapter, replace=replace)
        return index

    def filed(self) -> c.Iterator[Registration]:
        """Yield what was registered, in order."""
        return ((filed.adapter, filed.replace) for filed in self._filed.values())

    def _file(self, adapter: Adapter, *, replace: bool) -> None:
        self._forget(self._filed.pop(adapter.identity, None))
        self._serial += 1
        filed = self._filed[adapter.identity] = Filed(adapter, self._serial, replace)
        for key in typeform.bases(adapter.return_type):
            self._by_key[key] = (*self._by_key.get(key, ()), filed)
        if adapter.family is not None:
            self._by_family[adapter.family] = (*self._by_family.get(adapter.family, ()), filed)
        if not isinstance(adapter.return_type, type):
            self._generic = (*self._generic, filed)

    def _forget(self, former: Filed | None) -> None:
        if former is None:
            return
        for key in typeform.bases(former.adapter.return_type):
            self._by_key[key] = _without(former, self._by_key[key])
        if former.adapter.family is not None:
            self._by_family[former.adapter.family] = _without(former, self._by_family[former.adapter.family])
        self._generic = _without(former, self._generic)

    def __iter__(self) -> c.Iterator[Adapter]:
        return (filed.adapter for filed in self._filed.values())

    def __len__(self) -> int:
        return len(self._filed)

    def form(self, target: t.Any) -> typeform.Form:
        """Return the form of an asked-for type; one type has one form as long as the index lives."""
        if not typeform.is_hashable(target):
            return typeform.Form.of(target)
        return self._forms.get(target) or self._forms.setdefault(target, typeform.Form.of(target))

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

    def _candidates(self, wanted: t.Any) -> tuple[Adapter, ...]:
        nominal = self._nominal(wanted)
        floor = max((filed.serial for filed in nominal if filed.replace), default=0)
        chosen = {filed.adapter: None for filed in nominal if filed.serial >= floor}
        known = {filed.serial for filed in nominal}
        for member in typeform.members(wanted):
            if isinstance(member, type):
                for filed, adapter in (*self._families(member, wanted), *self._alike(member)):
                    if filed.serial > floor and filed.serial not in known:
                        chosen[adapter] = None
        return tuple(chosen)

    def _nominal(self, wanted: t.Any) -> list[Filed]:
        """Return what returns *wanted* or something derived from it, the last registered first."""
        found = set(self._generic)
        for member in typeform.members(wanted):
            found.update(self._by_key.get(typeform.plain(member) or member, ()))
        fitting = (filed for filed in found if typeform.answers(filed.adapter.return_type, wanted))
        return sorted(fitting, key=lambda filed: filed.serial, reverse=True)

    def _families(self, member: type, wanted: t.Any) -> c.Iterator[tuple[Filed, Adapter]]:
        """Yield the classmethods of bases of *member* that build it too, the nearest base's first."""
        for base in member.__mro__[1:]:
            for filed in reversed(self._by_family.get(base, ())):
                adapter = filed.adapter.bound(member)
                if typeform.answers(adapter.return_type, wanted):
                    yield filed, adapter

    def _alike(self, wanted: type) -> c.Iterator[tuple[Filed, Adapter]]:
        """Yield what satisfies the protocol *wanted* without deriving from it."""
        if not typeform.may_be_alike(wanted):
            return
        for filed in reversed(self._filed.values()):
            cls = typeform.plain(filed.adapter.return_type)
            if cls is not None and wanted not in cls.__mro__ and typeform.is_like(cls, wanted):
                yield filed, filed.adapter

"""Supply: all that one request can draw on, and what can be satisfied from it."""

from __future__ import annotations

import typing as t

from buvar.components import missing

from . import typeform

if t.TYPE_CHECKING:
    import collections.abc as c

    from buvar.components import Components

    from .adapter import Adapter
    from .index import Index
    from .signature import Parameter

#: stands for "not found", where None and `missing` may be found
absent: t.Final = object()


class Supply:
    """The dependencies given by keyword, the context and the adapters."""

    __slots__ = ("_by_type", "_get", "components", "given", "index")

    def __init__(self, index: Index, components: Components, given: c.Mapping[str, t.Any]) -> None:
        self.index = index
        self.components = components
        self.given = given
        self._get = components.get
        self._by_type = {base: item for item in given.values() for base in type(item).__mro__} if given else {}

    def find(self, need: Parameter) -> t.Any:
        """Return what is there for *need* without building anything, `absent` when nothing is."""
        name, keys = need.name, need.form.keys
        if name is not None:
            if name in self.given and typeform.fits(self.given[name], need.form.tp):
                return self.given[name]
            for key in keys:
                item = self._get(key, name=name, default=absent)
                if item is not absent:
                    return item
        for key in keys:
            item = self._get(key, default=absent)
            if item is not absent:
                return item
        if self._by_type:
            for key in keys:
                if key in self._by_type:
                    return self._by_type[key]
        return absent

    def candidates(self, need: Parameter) -> tuple[Adapter, ...]:
        """Return the adapters that could build what is needed, the first choice first."""
        return self.index.candidates(need.form)

    def satisfiable(self, roots: c.Iterable[Adapter], without: c.Container[Adapter] = ()) -> set[Adapter]:
        """Return all adapters below *roots* that can get all they need, if those in *without* are not used."""
        open_needs = self._reachable(roots, without)
        satisfied: set[Adapter] = set()
        growing = True
        while growing:
            growing = False
            for adapter, needs in reversed(open_needs.items()):  # what is needed was found after what needs it
                if adapter not in satisfied and all(not satisfied.isdisjoint(one) for one in needs):
                    satisfied.add(adapter)
                    growing = True
        return satisfied

    def _reachable(
        self, roots: c.Iterable[Adapter], without: c.Container[Adapter]
    ) -> dict[Adapter, list[tuple[Adapter, ...]]]:
        """Return each adapter below *roots* with the candidates for each thing that only an adapter can give it."""
        found: dict[Adapter, list[tuple[Adapter, ...]]] = {}
        waiting = list(roots)
        while waiting:
            adapter = waiting.pop()
            if adapter in found or adapter in without:
                continue
            found[adapter] = [self.candidates(need) for need in adapter.parameters if not self.has(need)]
            waiting.extend(candidate for needs in found[adapter] for candidate in needs)
        return found

    def has(self, need: Parameter) -> bool:
        """Say whether *need* can be met without an adapter."""
        return need.default is not missing or self.find(need) is not absent

"""Overrides: what is put in place of something for the time of a block, above all in tests."""

from __future__ import annotations

import typing as t

import attrs

from . import typeform
from .keys import Substitute

if t.TYPE_CHECKING:
    from .adapter import Adapter
    from .signature import Parameter
    from .typeform import Form


@attrs.frozen(eq=False)
class Override:
    """*fake* is taken for *key* (and *name*, where that is not None), whatever else there is."""

    key: t.Hashable
    fake: t.Any
    name: t.Hashable = None

    def answers(self, need: Parameter) -> bool:
        """Say whether it stands for what is needed."""
        return self.key in need.form.keys and self.name in (None, need.component_name)


class Overrides:
    """What is put in place just now; the last one wins."""

    def __init__(self) -> None:
        self._stack: tuple[Override, ...] = ()
        self._substitutes: dict[tuple[Adapter, frozenset[Override]], Substitute] = {}

    def substitute(self, adapter: Adapter, overrides: frozenset[Override]) -> Substitute:
        """Return under what is kept, whoever asks, what *adapter* builds with the fakes of *overrides*."""
        return self._substitutes.setdefault((adapter, overrides), Substitute(adapter))

    def restore(self, override: Override) -> None:
        """Forget what was built with the fake of *override*."""
        for key in [key for key in tuple(self._substitutes) if override in key[1]]:
            self._substitutes.pop(key).discard()

    def find(self, need: Parameter) -> Override | None:
        """Return what stands in for *need*."""
        if need.collect is not None:
            return None
        return next((each for each in reversed(self._stack) if each.answers(need)), None)

    def find_type(self, tp: t.Any) -> Override | None:
        """Return what stands in for all that is built as *tp*, whatever it is asked for as."""
        return next((each for each in reversed(self._stack) if each.key == tp and each.name is None), None)

    def find_item(self, item: object, form: Form, name: t.Hashable) -> Override | None:
        """Return what stands in for *item*, which was found for *form* and that *name*, by its very class."""
        kind: t.Any = type(item)
        fitting = (each for each in reversed(self._stack) if each.key is kind and each.name in (None, name))
        return next((each for each in fitting if _may_be(kind, form.tp)), None)

    def add(self, override: Override) -> None:
        """Put *override* in place."""
        self._stack = (*self._stack, override)

    def remove(self, override: Override) -> None:
        """Undo it, in whatever order."""
        self._stack = tuple(each for each in self._stack if each is not override)

    def __bool__(self) -> bool:
        return bool(self._stack)


def _may_be(cls: type, wanted: t.Any) -> bool:
    alike = (isinstance(one, type) and typeform.is_like(cls, one) for one in typeform.members(wanted))
    return typeform.answers(cls, wanted) or any(alike)

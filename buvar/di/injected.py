"""Injected parameters: those of a function whose caller gives it the others, such as a handler of HTTP requests."""

from __future__ import annotations

import typing as t

import attrs

from .signature import Parameter

if t.TYPE_CHECKING:
    import collections.abc as c


@attrs.frozen
class Injected:
    """The *parameters* of *function* that are injected. *given* are types that will be there by then as components."""

    function: c.Callable[..., t.Any]
    parameters: tuple[Parameter, ...]
    given: tuple[type, ...] = ()

    def __str__(self) -> str:
        return getattr(self.function, "__qualname__", repr(self.function))

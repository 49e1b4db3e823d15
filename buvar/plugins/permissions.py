"""Permissions: what somebody may do, declared where it is asked for, granted where it is known who that is.

A plugin declares permissions and requires them; a plugin that authenticates adds what is granted to the scope of a
request::

    context.add(permissions.Permission("orders.read", help="See all orders"))
    …
    context.add(permissions.Grants({"orders.read"}))  # in the scope of the request
    …
    permissions.require("orders.read")

Where there are no `Grants`, nothing is granted.
"""

from __future__ import annotations

import collections.abc as c
import typing as t

import attrs

from buvar import context, errors, plugin


@attrs.frozen
class Permission(plugin.Declaration):
    """A permission; *help* says to who grants it what it allows. Raises `errors.DeclarationError`."""

    collector: t.ClassVar[str | None] = __name__

    help: str = attrs.field(default="", kw_only=True)


def _names(granted: c.Iterable[Permission | str]) -> frozenset[str]:
    if isinstance(granted, str | bytes):
        raise TypeError(f"Grants takes a set of names, not {granted!r}; write Grants({{{granted!r}}})")
    names: frozenset[t.Any] = frozenset(each.name if isinstance(each, Permission) else each for each in granted)
    if wrong := [each for each in names if not isinstance(each, str)]:
        raise TypeError(f"Grants takes names of permissions, not {', '.join(map(repr, wrong))}")
    return names


@attrs.frozen
class Grants:
    """The *names* of the permissions that are granted; some of them may mean nothing here. Raises TypeError."""

    names: frozenset[str] = attrs.field(default=frozenset(), converter=_names)


class Permissions:
    """The permissions that the plugins of a stage declare."""

    def __init__(self) -> None:
        self._components = context.current_context()
        self._names: frozenset[str] = frozenset()

    def missing(self, *permissions: Permission | str) -> tuple[str, ...]:
        """Return the names of those that are not granted here. Raises `errors.UndeclaredError`."""
        names = [each if isinstance(each, str) else each.name for each in permissions]
        if not self._names.issuperset(names):
            self._look_up(names)
        grants = context.get(Grants, default=None)
        granted = frozenset() if grants is None else grants.names
        return tuple(name for name in names if name not in granted)

    def _look_up(self, names: c.Iterable[str]) -> None:
        self._names = frozenset(plugin.declared(Permission, self._components))
        for name in names:
            if name not in self._names:
                advice = "; load the plugin that declares it, or add a Permission"
                hint = errors.did_you_mean(name, sorted(self._names)) or advice
                raise errors.UndeclaredError("permission", name, hint)


def granted(permission: Permission | str, /, *more: Permission | str) -> bool:
    """Tell whether all of these are granted in the current context.

    Raises `errors.UndeclaredError` for one that no plugin declares, whatever is granted.
    """
    return not context.get(Permissions).missing(permission, *more)


def require(permission: Permission | str, /, *more: Permission | str) -> None:
    """Raise `errors.PermissionDenied`, with what is missing, unless all of these are granted in the current context.

    Raises `errors.UndeclaredError` for one that no plugin declares, whatever is granted.
    """
    if missing := context.get(Permissions).missing(permission, *more):
        raise errors.PermissionDenied(*missing)


async def prepare() -> None:
    """Add `Permissions` to the context."""
    context.add(Permissions())

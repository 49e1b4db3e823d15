"""What type checkers know about declarations, and of the plugins that collect them: this is checked, not run."""

from __future__ import annotations

import collections.abc as c
import contextlib
import typing as t

import attrs

from buvar import context, errors, plugin
from buvar.plugins import flags, health, permissions


@attrs.frozen
class MenuItem(plugin.Declaration):
    url: str
    weight: int = attrs.field(default=0, kw_only=True)


item = context.add(MenuItem("orders", "/orders", weight=1))
t.assert_type(item, MenuItem)
t.assert_type(item.name, str)
t.assert_type(context.get(MenuItem, name="orders"), MenuItem)

found = plugin.declared(MenuItem)
t.assert_type(found, dict[str, plugin.Declared[MenuItem]])
t.assert_type(found["orders"].item, MenuItem)
t.assert_type(found["orders"].owner, str | None)
t.assert_type(found["orders"].place, errors.Place | None)

plugin.declared(str)  # type: ignore[type-var]
MenuItem("orders")  # type: ignore[call-arg]


class Engine: ...


async def ping(engine: Engine) -> None: ...
async def detailed() -> str:
    return "3 of 10"


def blocking() -> None: ...
async def verdict() -> bool:
    return True


async def use_health() -> None:
    context.add(health.HealthCheck("database", ping))
    context.add(health.HealthCheck("loop", detailed, timeout=1, kind="live"))
    health.HealthCheck("blocking", blocking)  # type: ignore[arg-type]
    health.HealthCheck("verdict", verdict)  # type: ignore[arg-type]
    health.HealthCheck("loop", detailed, kind="up")  # type: ignore[arg-type]
    report = await health.check("ready")
    t.assert_type(report, health.Report)
    t.assert_type(report.ok, bool)
    t.assert_type(report.failed, tuple[health.Result, ...])
    t.assert_type(report.failed[0].error, str | None)


def use_flags() -> None:
    flag = flags.Flag("new", default=True, help="…")
    t.assert_type(flags.is_on(flag), bool)
    t.assert_type(flags.is_on("new"), bool)
    t.assert_type(flags.override(flag, False), contextlib.AbstractContextManager[None])
    t.assert_type(flags.load_flags(), dict[str, bool])
    flags.is_on(5)  # type: ignore[arg-type]


def use_permissions(names: c.Iterable[str]) -> None:
    read = permissions.Permission("orders.read", help="…")
    t.assert_type(permissions.Grants({"orders.read"}).names, frozenset[str])
    permissions.Grants(names)
    permissions.Grants([read])
    t.assert_type(permissions.granted(read, "orders.write"), bool)
    permissions.require("orders.read", read)
    permissions.require()  # type: ignore[call-arg]

"""Preparing: a plugin's function is called, what it gives is collected, and it is resumed at teardown."""

from __future__ import annotations

import asyncio
import collections.abc as c
import inspect
import typing as t

from buvar import di, errors
from buvar.di import resolve
from buvar.staging import hints, record, tasks


class Resume:
    """Wakes a suspended plugin at teardown and waits for its end."""

    def __init__(self, name: str, resume: asyncio.Event, task: asyncio.Task[None]) -> None:
        self.__qualname__ = f"plugin {name}"
        self._resume = resume
        self._task = task

    async def __call__(self) -> None:
        self._resume.set()
        await self._task


async def collect(plugin: record.PluginRecord) -> record.Generator | None:
    """Prepare *plugin* and collect its tasks; return its generator if that suspended itself with a bare ``yield``."""
    try:
        arguments = await resolve.arguments(di.buvar_adapters.get(), plugin.prepare)
    except errors.ResolveError as error:
        if advice := hints.meant_by(plugin.prepare):
            errors.note(error, advice)
        raise
    result = plugin.prepare(**arguments)
    if not inspect.isasyncgen(result):
        _add_tasks(plugin, tuple(_items(plugin.name, await result)))
        return None
    generator = plugin.generator = t.cast("record.Generator", result)
    try:
        async for item in generator:
            if item is None:
                return generator
            plugin.add_task(item)
    except BaseException:
        await generator.aclose()  # it has not ended where what it yielded is the error
        raise
    return None


def _add_tasks(plugin: record.PluginRecord, items: tuple[t.Any, ...]) -> None:
    try:
        for item in items:
            plugin.add_task(item)
    except errors.PluginError:
        for item in items:  # also those behind the one that is wrong
            tasks.StageTask(item).close()
        raise


def _items(name: str, result: t.Any) -> c.Iterable[t.Any]:
    if result is None:
        return ()
    if inspect.isawaitable(result):
        return (result,)
    if isinstance(result, c.Iterable) and not isinstance(result, str | bytes | c.Mapping):
        return result
    raise errors.PluginError(name, f"it returned {result!r}; return nothing, an awaitable, or several of them")


async def finish(name: str, generator: record.Generator) -> None:
    """Resume a generator that suspended itself, to its end."""
    try:
        item = await anext(generator)
    except StopAsyncIteration:
        return
    tasks.StageTask(item).close()
    raise errors.PluginError(name, f"it yielded {item!r} after its bare yield; yield tasks before it")

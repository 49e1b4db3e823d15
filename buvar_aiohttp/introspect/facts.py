"""The facts that the page shows, as JSON can say them: names, types, places and numbers, no value of a component."""

from __future__ import annotations

import asyncio
import math
import os
import platform
import re
import time
import typing as t

import aiohttp
import attrs
from aiohttp import web

from buvar import __version__, errors, fork, plugin
from buvar.config import effective
from buvar.forking import health as processes
from buvar.forking import status
from buvar.plugins import health
from buvar_aiohttp.routing import routes

from . import masks

if t.TYPE_CHECKING:
    import collections.abc as c

    from buvar import config
    from buvar.components import Components

Document: t.TypeAlias = dict[str, t.Any]

#: the version of the document; it grows when a field goes or changes its meaning
VERSION: t.Final = 1
#: what asyncio calls a task that nobody gave a name
_NAMELESS: t.Final = re.compile(r"Task-\d+")


@attrs.frozen(eq=False)
class Facts:
    """What there is to know of a *stage*, from the *components* of the plugin that asks, and the *source*."""

    stage: plugin.Stage
    components: Components
    source: config.ConfigSource | None

    def document(self) -> Document:
        """Return all of it, as it is now."""
        return {**self.live(), "graph": jsonable(attrs.asdict(self.stage.picture()))}

    def live(self) -> Document:
        """Return all but the graph, which seldom changes, and takes the loop about a millisecond for each plugin."""
        secrets = frozenset[str]() if self.source is None else masks.known(self.source)
        found = {
            "version": VERSION,
            "service": self._service(),
            "routes": [*self._routes()],
            "tasks": self._tasks(),
            "health": self._health(secrets),
            "configuration": None if self.source is None else _configuration(self.source, secrets),
            "workers": [attrs.asdict(each) for each in self._workers()],
        }
        return t.cast("Document", jsonable(found))

    async def check(self) -> Document:
        """Run all health checks, and return what there is to know of them."""
        await self.components.get(health.Health).check()
        secrets = frozenset[str]() if self.source is None else masks.known(self.source)
        return t.cast("Document", jsonable({"health": self._health(secrets)}))

    def _service(self) -> Document:
        loop = asyncio.get_running_loop()
        return {
            "pid": os.getpid(),
            "time": time.time(),
            "python": platform.python_version(),
            "buvar": __version__,
            "aiohttp": aiohttp.__version__,
            "loop": type(loop).__module__.partition(".")[0],
        }

    def _routes(self) -> c.Iterator[Document]:
        for route in routes.every(self.components.get(web.Application)):
            if not route.comes_with_get:
                yield _route(route)

    def _tasks(self) -> list[Document]:
        """Return the tasks that run in the loop, those of plugins first; what is the same in all is counted."""
        order = {future: number for number, future in enumerate(self.stage.runner.running)}
        found = asyncio.all_tasks()
        tasks = sorted(found, key=lambda task: (order.get(task, len(order)), task.get_name()))
        alike: dict[tuple[t.Any, ...], Document] = {}
        for task in tasks:
            facts = self._task(task)
            alike.setdefault(tuple(map(str, facts.values())), {**facts, "count": 0})["count"] += 1
        return [*alike.values()]

    def _task(self, task: asyncio.Task[t.Any]) -> Document:
        mine = self.stage.runner.running.get(task)
        name = task.get_name() if mine is None else mine.name
        frames = task.get_stack(limit=1)
        place = errors.Place(frames[0].f_code.co_filename, frames[0].f_lineno) if frames else None
        coroutine = task.get_coro()
        return {
            "name": None if _NAMELESS.fullmatch(name) else name,
            "plugin": None if mine is None else mine.plugin,
            "coroutine": getattr(coroutine, "__qualname__", type(coroutine).__qualname__),
            "place": None if place is None else attrs.asdict(place),
        }

    def _health(self, secrets: frozenset[str]) -> list[Document]:
        last = self.components.get(health.Health).last
        now = asyncio.get_running_loop().time()
        found = plugin.declared(health.HealthCheck, self.components)
        return [_check(name, each, last.get(name), now, secrets) for name, each in found.items()]

    def _workers(self) -> list[status.WorkerFacts]:
        board = self.components.get(fork.Board, default=None)
        return [self._alone()] if board is None else status.workers(board, time.monotonic())

    def _alone(self) -> status.WorkerFacts:
        """Return what is known of a process that nothing supervises, as it is known of a worker."""
        runner = self.components.get(web.AppRunner, default=None)
        server = None if runner is None else runner.server
        began = min((each.began - each.imported for each in self.stage.plugins), default=time.perf_counter())
        return status.WorkerFacts(
            pid=os.getpid(),
            slot=0,
            generation=1,
            state="stopping" if self.stage.cancel.is_set() else "ready" if self.stage.ready.is_set() else "booting",
            age=time.perf_counter() - began,
            ready_after=None,
            beat_age=0.0,
            requests=0 if server is None else server.requests_count,
            connections=0 if server is None else len(server.connections),
            memory=processes.memory(os.getpid()),
            leader=self.stage.lead.is_set(),
        )


def _route(route: routes.Route) -> Document:
    return {
        "method": route.method,
        "path": route.path,
        "domain": ", ".join(route.domain) or None,
        "handler": route.name,
        "place": None if route.place is None else attrs.asdict(route.place),
    }


def _check(
    name: str, declared: plugin.Declared[health.HealthCheck], last: health.Last | None, now: float, secrets: c.Set[str]
) -> Document:
    result = None if last is None else last.result
    return {
        "name": name,
        "kind": declared.item.kind,
        "timeout": declared.item.timeout,
        "plugin": declared.owner,
        "ok": None if result is None else result.ok,
        "seconds": None if result is None else result.seconds,
        "detail": None if result is None else masks.hide(result.detail, secrets),
        "error": None if result is None else masks.hide(result.error, secrets),
        "age": None if last is None else now - last.at,
    }


def _configuration(source: config.ConfigSource, secrets: c.Set[str]) -> Document:
    sections = effective.sections(source)
    # of several classes that read one value, the first tells it
    settings = {each.path: each for section in reversed(sections) for each in reversed(section.settings)}
    wanted = dict.fromkeys(each.path for section in sections for each in section.settings)
    problems = [masks.hide(str(each), secrets) for section in sections for each in section.problems]
    return {"settings": [_setting(settings[path], secrets) for path in wanted], "problems": problems}


def _setting(setting: effective.Setting, secrets: c.Set[str]) -> Document:
    origin = attrs.asdict(setting.origin) if isinstance(setting.origin, errors.Place) else setting.origin
    plain = jsonable(setting.value)
    value = plain if setting.secret else masks.hide(plain, secrets, str(setting.path[-1]))
    return {"path": str(setting), "value": value, "origin": origin, "secret": setting.secret or value != plain}


def jsonable(value: t.Any) -> t.Any:
    """Return *value* with texts for what JSON has nothing for, as moments and infinity."""
    if isinstance(value, dict):
        return {str(key): jsonable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(inner) for inner in value]
    is_json = value is None or isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))
    return value if is_json else str(value)

"""The routes that a load balancer or an orchestrator asks how this service is: ``/health/live`` and ``/health/ready``.

``await load("buvar_aiohttp.health")`` adds both; they answer 200 or 503, from the `HealthCheck` components.

| what is the case                                   | ``live`` | ``ready`` |
|----------------------------------------------------|----------|-----------|
| all checks of its kind are fine                    | 200      | 200       |
| one fails, hangs or is cancelled                   | 503      | 503       |
| the stage is not ready yet, or stops               | as above | 503       |
| a sibling is in service, and a check of its failed | as above | 503       |

Which worker answers is chance, but who asks wants to know of the service: so a worker counts its siblings in. What its
own checks say each notes on the board, where the others see it; and whoever is asked notes that too, by which the
others know that somebody wants to know, and run their checks with their next beat. So no check runs where nobody asks,
and what is known of a sibling is as old as the last time that anybody asked. A sibling that boots or stops does not
count, nor one whose checks have not run yet: it was ready a moment ago. One that hangs is the supervisor's business.
"""

from __future__ import annotations

import asyncio
import functools
import time
import typing as t

import attrs
import structlog
from aiohttp import web

from buvar import config, context, di, plugin
from buvar.forking.board import Board, Fitness, Row, State
from buvar.plugins import health

from . import json
from .app import prepare_app

if t.TYPE_CHECKING:
    import collections.abc as c

log = structlog.get_logger(__name__)

#: what keeps the answer from being stored: the next one may be another
NO_STORE: t.Final = {"Cache-Control": "no-store"}


def _validate_prefix(_: object, attribute: attrs.Attribute[str], value: str) -> None:
    if not value.startswith("/") or value.endswith("/") or set(value) & set("{}?# "):
        raise ValueError(
            f"{value!r} is not a path such as '/health': it begins with a slash, and ends without", attribute
        )


@attrs.define
class HealthConfig(config.Config, section="health"):
    """Where the health of the service can be asked for."""

    #: the path that ``/live`` and ``/ready`` are below
    prefix: str = attrs.field(default="/health", validator=_validate_prefix)


class News:
    """Logs what checks say when it changes, rather than each time that somebody asks."""

    def __init__(self) -> None:
        self._failed: dict[str, frozenset[str]] = {}

    def tell(self, kind: health.Kind, report: health.Report) -> None:
        """Log which checks fail, if it is not those that did the last time."""
        failed = frozenset(each.name for each in report.failed)
        if failed == self._failed.get(kind, frozenset()):
            return
        self._failed[kind] = failed
        if failed:
            log.warning("health checks fail", kind=kind, checks={each.name: each.error for each in report.failed})
        else:
            log.info("health checks are fine again", kind=kind)


@attrs.define(eq=False)
class Siblings:
    """What the workers of a service know of each other's checks; *row* is the own one on *board*."""

    row: Row
    board: Board
    _ran: int = attrs.field(default=0, init=False)

    def asked(self) -> None:
        """Note that this worker was asked, and runs its checks."""
        self.row.probed = self._ran = time.monotonic_ns()

    def is_due(self) -> bool:
        """Tell whether a sibling was asked since the checks of this worker last ran; if so, they run now."""
        due = any(each.probed > self._ran for each in self.board.others(self.row))
        if due:
            self._ran = time.monotonic_ns()
        return due

    def note(self, *, ok: bool) -> None:
        """Note what the checks of this worker said."""
        self.row.fitness = Fitness.FIT if ok else Fitness.UNFIT

    def are_fit(self) -> bool:
        """Tell whether no check has failed in any sibling that is in service."""
        return not any(_is_unfit(each) for each in self.board.others(self.row))


def _is_unfit(row: Row) -> bool:
    try:
        return row.state is State.READY and row.fitness is Fitness.UNFIT
    except ValueError:  # the row was given back just now
        return False


@attrs.define(eq=False)
class Probes:
    """Answers whether this process lives, and whether it is ready for requests."""

    checks: health.Health
    ready: asyncio.Event | plugin.Ready
    cancel: asyncio.Event
    siblings: Siblings | None
    _news: News = attrs.field(factory=News, init=False)
    _check: asyncio.Task[health.Report] | None = attrs.field(default=None, init=False)

    async def live(self, request: web.Request) -> web.Response:
        """Answer with what the checks of liveness say."""
        report = await self.checks.check("live")
        self._news.tell("live", report)
        return _response(report.public(), ok=report.ok)

    async def answer_ready(self, request: web.Request) -> web.Response:
        """Answer whether requests are to be sent here."""
        if self.siblings is not None:
            self.siblings.asked()
        if self.state != "running":
            return _response({"checks": {}, "state": self.state}, ok=False)
        report = await self._look()
        body = {**report.public(), "state": self.state}
        ok = report.ok and self.state == "running"  # it may have been told to stop meanwhile
        if self.siblings is not None:
            body["siblings"] = self.siblings.are_fit()
            ok = ok and body["siblings"]
        return _response(body, ok=ok)

    @property
    def state(self) -> str:
        """Where the stage is: "starting", "running" or "stopping"."""
        if self.cancel.is_set():
            return "stopping"
        return "running" if self.ready.is_set() else "starting"

    async def _look(self) -> health.Report:
        report = await self.checks.check("ready")
        self._news.tell("ready", report)
        if self.siblings is not None:
            self.siblings.note(ok=report.ok)
        return report

    def beat(self) -> None:
        """Run the checks of readiness, if a sibling was asked since they last ran."""
        if self._check is not None and not self._check.done():
            return
        if self.siblings is not None and self.state == "running" and self.siblings.is_due():
            self._check = asyncio.get_running_loop().create_task(self._look(), name="health of this worker")

    async def close(self) -> None:
        """End the check that a sibling was asked for, if one runs."""
        if self._check is not None:
            self._check.cancel()
            await asyncio.wait([self._check])


def _response(body: c.Mapping[str, t.Any], *, ok: bool) -> web.Response:
    return json.response({**body, "ok": ok}, status=200 if ok else 503, headers=NO_STORE)


def _siblings() -> Siblings | None:
    row, board = context.get(Row, default=None), context.get(Board, default=None)
    return None if row is None or board is None else Siblings(row, board)


async def prepare(load: plugin.Loader, ready: plugin.Ready, cancel: plugin.Cancel, teardown: plugin.Teardown) -> None:
    """Add the routes; see `HealthConfig` for where they are."""
    await load("buvar.config", "buvar.plugins.health", prepare_app)
    prefix = (await di.nject(HealthConfig)).prefix
    probes = Probes(context.get(health.Health), ready, cancel, _siblings())
    router = context.get(web.Application).router
    router.add_get(f"{prefix}/live", probes.live)
    router.add_get(f"{prefix}/ready", probes.answer_ready)
    if probes.siblings is not None:
        probes.siblings.row.on_beat(probes.beat)
        # when all others are prepared: so it ends before what the checks need is torn down
        ready.add_callback(functools.partial(teardown.add, probes.close))

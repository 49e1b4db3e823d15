"""A reload: the service runs its own command again, with the code and the configuration that are there now.

1. *trying*: a fork server (`buvar.forking.forkserver`) runs the command, and forks the first worker of the next
   generation, the canary. If either does not get ready, the reload is over and nothing has changed: whoever served
   goes on.
2. *rolling*: the canary serves. The next generation is the one that there is now; workers of the former one are
   replaced one by one.

A reload that is asked for while one is being tried follows it; several make one. A stop comes first at any moment. A
fork server that dies is made up for by a reload: only so can another one know the same code as its workers.
"""

from __future__ import annotations

import os
import time
import typing as t

import structlog

from buvar.forking import forkserver, obituary
from buvar.forking.board import State
from buvar.forking.crew import Crew
from buvar.forking.handover import Command
from buvar.forking.slot import Slot
from buvar.forking.sockets import announce
from buvar.forking.status import LastReload

if t.TYPE_CHECKING:
    import collections.abc as c

    from buvar.forking.forkserver import ForkServer, Plan
    from buvar.forking.sockets import Socket
    from buvar.forking.worker import Worker

log = structlog.get_logger(__name__)

#: seconds within which a worker that boots is waited for
SOON = 10.0
#: seconds that a fork server must have lived for its death not to be one in a row
SETTLED = 10.0


class Reload:
    """The reload that is going on, if one is, and the outcome of the last one.

    When one has come so far that *crew* is to be of the next generation, *begin* is called with its plan.
    """

    def __init__(self, crew: Crew, command: Command | None, begin: c.Callable[[Plan], None]) -> None:
        #: whether HUP reloads; where workers handle it, it is forwarded
        self.wanted = command is not None
        self.canary: Worker | None = None
        self.last: LastReload | None = None
        self._crew = crew
        self._begin = begin
        self._command = command
        self._asked = False
        #: since when one is being tried or rolled out, in seconds of `time.monotonic`
        self._since: float | None = None
        self._server: ForkServer | None = None
        self._sockets: dict[str, Socket] = {}
        #: when the next fork server may be started, after some have died
        self._place = Slot()

    @property
    def going_on(self) -> bool:
        """Whether there is one that has not come to its end."""
        return self._since is not None or self._asked

    @property
    def not_before(self) -> float:
        """When the next one may begin, in seconds of `time.monotonic`."""
        return self._place.not_before if self._asked else 0.0

    def ask(self) -> None:
        """Begin one as soon as that can be."""
        self._asked = True
        self._place.not_before = 0.0

    def step(self) -> None:
        """Do what is to be done next."""
        now, limits = time.monotonic(), self._crew.options.limits
        if self._server is None:
            self._settle()
            self._spare()
            if self._asked and now >= self.not_before and not self._is_rolling(now):
                self._try()
        elif self.canary is None:
            if self._server.plan is not None:
                self._send_canary(self._server, self._server.plan)
            elif limits.boot and now - self._server.born > limits.boot:
                self._give_up(limits.boot)
        elif self.canary.serves:
            self._commit(self._server, self.canary)
        elif self.canary.kill_at is None and self.canary.limits.is_stuck(self.canary, now):
            self._give_up(self.canary.limits.boot)

    def _is_rolling(self, now: float) -> bool:
        """Whether a worker boots that will be ready soon: so one reload ends before the next begins."""
        return any(each.state is State.BOOTING and now - each.born < SOON for each in self._crew)

    def stop(self) -> None:
        """End it, as the service ends: what was bound for the next generation is closed, and nothing forks any more."""
        self._crew.sockets.discard(self._sockets)
        for server in (self._server, self._crew.server):
            if server is not None:
                self._crew.dismiss(server)
        self._server = None

    def abandon(self) -> None:
        """Let go of what a worker has inherited of one that is being tried."""
        for key in self._sockets.keys() - self._crew.sockets.keys():
            self._sockets[key].close()
        if self._server is not None:
            for each in self._server.hand_over():
                os.close(each.fd)
            self._server.channel.close()

    def _spare(self) -> None:
        """Start another fork server in place of one that has become a worker."""
        crew = self._crew
        if not forkserver.SUBREAPER and crew.generation > 1 and crew.server is None and self._command is not None:
            try:
                crew.server = crew.start(self._command, crew.generation)
            except OSError as error:
                log.error("cannot start a fork server, trying again", error=str(error))

    # -- trying

    def _try(self) -> None:
        assert self._command is not None, "nobody asks for a reload that cannot be"
        self._asked = False
        if self._since is not None:  # workers of this generation fail; the next one may mend that
            self._end(self._crew.generation, "another reload began before all workers were replaced")
        self._since = time.monotonic()
        generation = self._crew.generation + 1
        log.info("reloading", generation=generation)
        try:
            self._server = self._crew.start(self._command, generation)
        except OSError as error:
            self._abort({"error": str(error)})

    def _send_canary(self, server: ForkServer, plan: Plan) -> None:
        try:
            self._sockets = self._crew.sockets.successors(plan.sockets, server.hand_over())
            self.canary = self._crew.fork_by(server, 0, self._sockets)
        except OSError as error:
            self._abort({"error": str(error)})

    def _give_up(self, limit: float | None) -> None:
        who = None if self.canary is None else self.canary.pid
        log.error("the new generation does not get ready", worker=who, seconds=limit)
        self._abort({"error": f"the new generation is not ready after {limit} s"})

    def has_lost(self, worker: Worker, epitaph: dict[str, t.Any], words: dict[str, t.Any]) -> bool:
        """Tell whether *worker*, which was reaped, is the canary; then the reload is aborted."""
        if worker is not self.canary:
            return False
        self.canary = None
        self._abort(words, epitaph, worker.words.get("error"))
        return True

    def on_exit(self, pid: int, code: int, *, tracebacks: bool) -> None:
        """Note that a process was reaped that is no worker: maybe a fork server."""
        for server in (self._server, self._crew.server):
            if server is None or server.pid != pid:
                continue
            server.listen()  # the last words
            server.spent = True  # its pid may become another process's
            words = obituary.last_words(server, tracebacks=tracebacks)
            ending = obituary.ending(code)
            if server is self._server:
                self._abort(words, ending, server.words.get("error"))
            else:
                self._on_lost(server, {"process": pid, **ending, **words})

    def kill_server(self, generation: int) -> None:
        """Kill the fork server of *generation*, which does not do what it is asked for."""
        for server in (self._server, self._crew.server):
            if server is not None and server.generation == generation:
                server.kill()

    def _on_lost(self, server: ForkServer, facts: dict[str, t.Any]) -> None:
        self._crew.dismiss(server)
        now = time.monotonic()
        if now - server.born > SETTLED:
            self._place.strikes = 0
        pause = self._place.strike(now, at_once=True)
        log.error("fork server died, reloading", **facts, pause=round(pause, 1))
        self._asked = self._asked or self._server is None  # one that is being tried brings another one

    def _abort(self, words: dict[str, t.Any], epitaph: dict[str, t.Any] | None = None, told: str | None = None) -> None:
        """End it for what *words* say; *told* is all lines of the error, of which they have the first."""
        how = ", ".join(f"{name} {value}" for name, value in (epitaph or {}).items())
        error = words.pop("error", f"the new generation ended before it was ready: {how}")
        self._crew.sockets.discard(self._sockets)
        self._sockets = {}
        if self._server is not None:
            self._crew.dismiss(self._server)
            self._server = None
        if self.canary is not None:
            self.canary.terminate(time.monotonic())
            self.canary = None
        self._end(self._crew.generation + 1, told or error)
        log.error("reload aborted, the old generation serves on", error=error, **words)
        if not self._crew.can_fork:  # a dead worker could not be replaced
            self._asked = True
            self._place.strike(time.monotonic(), at_once=False)

    # -- rolling

    def _commit(self, server: ForkServer, canary: Worker) -> None:
        assert server.plan is not None, "it has forked the canary"
        plan, former = server.plan, self._crew.server
        announce({uri: each for uri, each in self._sockets.items() if uri not in self._crew.sockets})
        log.info("the new generation serves", canary=canary.pid, generation=canary.generation)
        self._crew.sockets.succeed(self._sockets, backlog=plan.backlog, accept=plan.accept)
        self._server, self._sockets, self.canary = None, {}, None
        self._crew.generation, self._crew.server = server.generation, server
        for each in (former, server if server.spent else None):
            if each is not None:
                self._crew.dismiss(each)
        self.wanted = plan.reloadable
        self._asked = self._asked and self.wanted
        self._begin(plan)

    def _settle(self) -> None:
        """Note when all who live are of this generation."""
        if self._since is None:
            return
        mine = [each for each in self._crew if each.lives]
        if mine and all(each.serves and each.generation == self._crew.generation for each in mine):
            log.info("reloaded", generation=self._crew.generation, seconds=self._end(self._crew.generation).seconds)

    def _end(self, generation: int, error: str | None = None) -> LastReload:
        assert self._since is not None, "it has begun"
        took = time.monotonic() - self._since
        self._since = None
        self.last = LastReload(
            at=time.time() - took, generation=generation, ok=error is None, seconds=round(took, 3), error=error
        )
        return self.last

"""How a supervisor treats its workers."""

from __future__ import annotations

import typing as t

import attrs

from buvar.forking.health import Limits
from buvar.forking.host import Host

if t.TYPE_CHECKING:
    import collections.abc as c

    from buvar.forking.forkserver import Plan
    from buvar.forking.handover import Command


@attrs.frozen(kw_only=True)
class Options:
    """How workers are treated.

    *shutdown_timeout* is how long they may take to finish, in seconds. With *tracebacks* the errors of failed workers
    are logged whole. *command* is what a reload runs; without one HUP is forwarded. *children* are other processes of
    the caller: what is told when one of them ends, with its exit code, is what stands there for its pid.
    """

    shutdown_timeout: float = 90.0
    tracebacks: bool = True
    limits: Limits = attrs.Factory(Limits)
    command: Command | None = None
    become_user: c.Callable[[], None] = lambda: None
    host: Host = attrs.Factory(Host)
    children: c.Mapping[int, c.Callable[[int], None]] = attrs.Factory(dict)

    def follow(self, plan: Plan) -> Options:
        """Return how the workers of *plan* are treated."""
        return attrs.evolve(
            self, shutdown_timeout=plan.shutdown_timeout, tracebacks=plan.tracebacks, limits=plan.limits
        )

"""Who a process is, among those that are forked from one."""

from __future__ import annotations

import os
import typing as t

import attrs

from buvar.forking import supervisor as supervisors
from buvar.forking.health import Limits

if t.TYPE_CHECKING:
    import collections.abc as c

    from buvar.forking.worker import Post, Report


@attrs.define(eq=False)
class Fork:
    """Who a process is: a component in each worker, and in the one process where nothing is forked.

    *number* is how many workers were asked for (0: one for each usable CPU), *slot* the place of this one among them,
    from 0 on, *generation* how often the service has been loaded. *pid* and *ppid* are this process's and its parent's.
    A worker is *orphaned* when its supervisor is gone.
    """

    number: int = attrs.field(default=0, validator=attrs.validators.ge(0))
    slot: int = 0
    pid: int = attrs.field(factory=os.getpid)
    ppid: int = attrs.field(factory=os.getppid)
    is_child: bool = False
    generation: int = 1
    orphaned: bool = False

    @property
    def workers(self) -> int:
        """How many workers there are: *number*, or one for each CPU that this process may use."""
        return self.number or len(os.sched_getaffinity(0))

    def become_child(self, slot: int, generation: int = 1) -> None:
        """Note that this process is the worker of *slot* now."""
        self.slot, self.generation = slot, generation
        self.pid, self.ppid, self.is_child = os.getpid(), os.getppid(), True

    def become_orphan(self) -> None:
        """Note that the supervisor is gone."""
        self.orphaned = True

    def run(self, func: c.Callable[..., t.Any], *args: t.Any, **kwargs: t.Any) -> t.Any:
        """Call *func* in every worker and supervise them; with one worker, call it here and return its result.

        Returns None when all workers ended well. Raises SystemExit with the exit code when they did not.
        """
        if self.workers == 1:
            return func(*args, **kwargs)

        def work(post: Post, report: Report) -> int:
            self.become_child(post.slot)
            report.ready()
            func(*args, **kwargs)
            report.ended()
            return 0

        # a function has no loop that could show that it turns
        options = supervisors.Options(limits=Limits(hang=0))
        end(supervisors.Supervisor(self.workers, work, options=options).run())
        return None


def end(code: int) -> None:
    """Raise SystemExit, if *code* is not 0."""
    if code:
        raise SystemExit(code)

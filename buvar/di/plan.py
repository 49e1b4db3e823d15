"""Plans: a decision as generated, straight-line code, for what is asked for again and again.

A plan is a coroutine function of the dependencies given by keyword. It looks first whether all is as it was when it was
decided: whether a scope is open, the types of what is given, what the current context has and has not. If something is
not, it leaves the request to the resolver, with nothing built yet. What no layer ever held needs no look: the first
addition of such a thing drops the plan. Then the plan takes or builds what is kept in the scope, and after it what
lives for the call, each after what it needs.

The code can be read: it stands in `linecache`, so that tracebacks and debuggers show it.

The idea of plans that are compiled and guarded comes from inline caches in language implementations (Deutsch and
Schiffman, "Efficient implementation of the Smalltalk-80 system", 1984).
"""

from __future__ import annotations

import typing as t

from buvar import errors
from buvar.components import missing

from . import decide, explain, typeform
from .common import COMMON, TASK
from .looks import Looks
from .supply import Collected, Component, Constant, Given, Node, Probe
from .views import Level

if t.TYPE_CHECKING:
    import collections.abc as c

    from .adapter import Adapter
    from .decide import Decision, Step
    from .supply import Origin

Plan: t.TypeAlias = "c.Callable[..., t.Any]"
AsyncPlan: t.TypeAlias = "c.Callable[..., c.Coroutine[t.Any, t.Any, t.Any]]"


def compile_plan(
    decision: Decision,
    given: c.Mapping[str, type],
    again: c.Callable[..., t.Any],
    *,
    owners: tuple[t.Any, ...] = (),
    has_scope: bool,
    sync: bool = False,
    in_order: bool = False,
) -> Plan:
    """Return the plan for *decision*, for dependencies *given* by name that are of those types.

    It leaves to *again*, with its own arguments, what it was not made for. With *sync* it is a plain function. What is
    given comes as a dict, or *in_order*, as one argument each. With *owners* it is for homes that have one of them.
    """
    return _Writer(decision, given, again, owners, has_scope, sync, in_order).plan()


class _Writer(Looks):
    def __init__(
        self,
        decision: Decision,
        given: c.Mapping[str, type],
        again: t.Any,
        owners: tuple[t.Any, ...],
        has_scope: bool,
        sync: bool,
        in_order: bool,
    ) -> None:
        super().__init__({**COMMON, "again": again, "note": self.note}, given, owners, has_scope, sync, in_order)
        self.decision = decision
        self.steps_by_line: dict[int, Step] = {}
        #: where the objects of nodes stand; what a scope's object has for itself is known inside of its block only
        self.variables: dict[Node, str] = {}

    def step(self, indent: int, line: str, step: Step) -> None:
        """Write a line that runs the code of *step*'s adapter."""
        self.write(indent, line)
        self.steps_by_line[len(self.lines)] = step

    def plan(self) -> Plan:
        title = ", ".join(typeform.show(need.form.tp) for need, _ in self.decision.origins)
        self.head()
        start = len(self.lines)
        self.scope_section()
        self.call_section()
        self.result()
        if self.steps_by_line:  # only the code of adapters raises; no try around the rest
            self.lines.insert(start, "    try:")
            self.lines[start + 1 :] = ["    " + line for line in self.lines[start + 1 :]]
            self.write(1, "except Exception as error:")
            self.write(2, "note(error)")
            self.write(2, "raise")
        body, self.lines = self.lines, []
        nodes = self.decision.steps
        self.begin(
            needs_scope=any(self.is_scoped(node) or (node.adapter.opens and not node.is_kept) for node in nodes),
            needs_context=any(node.view.home is not None for node in nodes),
        )
        before = len(self.lines) + 1
        self.steps_by_line = {line + before: step for line, step in self.steps_by_line.items()}
        self.lines += body
        return t.cast("Plan", self.evaluate(title))

    def note(self, error: Exception) -> None:
        """Tell on *error* which adapter raised it, and what that was building."""
        trace = error.__traceback__
        step = None if trace is None else self.steps_by_line.get(trace.tb_lineno)
        # wrong use says itself what is wrong, and not with the code
        if step is not None and not isinstance(error, errors.UsageError):
            errors.note(error, explain.note(step.node.adapter, self.decision.askers(step), None))

    # what has to be as it was when it was decided

    def head(self) -> None:
        steps = self.decision.steps.values()
        looks = dict.fromkeys(self.decision.looks)
        for step in steps:
            if step.node.level is Level.CALL and not step.node.is_kept:
                looks.update(dict.fromkeys(step.looks))
        for name, kind in self.given.items():
            if not self.in_order:
                self.write(1, f"{self.arguments[name]} = given[{name!r}]")
            self.unless(f"type({self.arguments[name]}) is not {self.name('T', kind)}")
        for look in looks:
            self.look(look, 1)
        self.kept_by_stage()
        self.target()

    def kept_by_stage(self) -> None:
        for node in self.needed():
            if node.level is Level.STAGE:
                variable = self.variables[node] = f"s{len(self.variables)}"
                self.write(1, f"{variable} = {self.maps(node.view)}[0].get({self.key(node)})")
                self.unless(f"{variable} is None")

    def needed(self) -> list[Node]:
        """Return the nodes that the plan itself needs, which what the stage keeps has been built from is not."""
        found = dict.fromkeys(decide.nodes_of(self.decision.origins))
        for step in self.decision.steps.values():
            if step.node.level is not Level.STAGE:
                found.update(dict.fromkeys(decide.nodes_of(step.origins)))
        return list(found)

    def key(self, node: Node) -> str:
        return self.name(f"kept_{node.adapter.label}", self.decision.key(node))

    def target(self) -> None:
        """If all that is asked for is kept by the scope, and there: that is it."""
        origins = [origin for _, origin in self.decision.origins]
        if len(origins) == 1 and isinstance(origins[0], Node) and self.is_scoped(origins[0]):
            self.write(1, f"if (found := kept.get({self.key(origins[0])})) is not None:")
            self.write(2, "return found")

    def is_scoped(self, node: Node) -> bool:
        return node.is_kept and node.level is Level.SCOPE

    # what is kept by the scope

    def scope_section(self) -> None:
        steps = [step for step in self.decision.steps.values() if self.is_scoped(step.node)]
        for step in steps:
            self.variables[step.node] = f"s{len(self.variables)}"
            self.write(1, f"{self.variables[step.node]} = kept.get({self.key(step.node)})")
        if steps and not self.sync:
            self.write(1, "exits = kept.get(EXITS)")
        missing_of = self.wanting(steps)
        for step in steps:
            self.scoped(step, missing_of[step.node])

    def wanting(self, steps: list[Step]) -> dict[Node, str]:
        """Return when each of *steps* has to be built: it is not there, and nor is something that needs it."""
        found: dict[Node, str] = {}
        askers: dict[Node, list[Node]] = {}
        direct = set(decide.nodes_of(self.decision.origins))
        for step in self.decision.steps.values():
            if step.node.level is Level.CALL:
                direct.update(decide.nodes_of(step.origins))
        for step in steps:
            for one in (step, *self.decision.private(step)):
                for node in decide.nodes_of(one.origins):
                    askers.setdefault(node, []).append(step.node)
        for step in reversed(steps):
            found[step.node] = f"{self.variables[step.node]} is None"
            if step.node not in direct:
                needed = f"n{len(self.lines)}"
                asked = " or ".join(dict.fromkeys(found[node] for node in askers[step.node]))
                self.write(1, f"{needed} = {found[step.node]} and ({asked})")
                found[step.node] = needed
        return found

    def scoped(self, step: Step, condition: str) -> None:
        private = self.decision.private(step)
        variable = self.variables[step.node]
        key = self.key(step.node)
        self.write(1, f"if {condition}:")
        outside = dict(self.components), dict(self.variables)
        steps = [*private, step]
        if self.sync:
            self.again(2)
        else:
            # what is given by keyword does not reach what is kept, so that these all are looks at the context
            probes = dict.fromkeys(look for one in steps for look in one.looks if isinstance(look, Probe))
            for probe in probes:
                if (probe.view, probe.key) not in self.components:
                    self.look(probe, 2)
            self.write(2, "if exits is CLOSED:")
            self.step(3, f"raise ended({self.name('adapter', step.node.adapter)})", step)
            if any(self.may_wait(one.node.adapter) for one in steps):
                self.alone(steps, key, variable)
                if not any(one.node.adapter.opens for one in steps):  # a generator has looked for itself
                    self.write(2, "exits = kept.get(EXITS)")
            else:
                self.await_others(key)
                for one in private:
                    self.build(one, self.fresh(one.node), 2)
                self.build(step, variable, 2)
                self.write(2, f"{variable} = kept.setdefault({key}, {variable})")
        # what was fetched and built in the block is not there outside of it
        self.components, self.variables = outside

    def may_wait(self, adapter: Adapter) -> bool:
        # what has not built anything yet may turn out to hide a coroutine function
        return adapter.is_async or adapter.hides or not (adapter.is_sure or adapter.accepted)

    def alone(self, steps: list[Step], key: str, variable: str) -> None:
        """Build while others wait; see `once`."""
        pending = self.await_others(key)
        self.write(2, f"kept[{pending}] = {TASK}")
        self.write(2, "try:")
        for one in steps[:-1]:
            self.build(one, self.fresh(one.node), 3)
        self.build(steps[-1], variable, 3)
        self.write(2, "except BaseException as error:")
        self.write(3, f"done(kept, {key}, error)")
        self.write(3, "raise")
        self.write(2, f"kept[{key}] = {variable}")
        self.write(2, f"if type(waiters := kept.pop({pending})) is Waiters:")
        self.write(3, "waiters.wake(None)")

    def await_others(self, key: str) -> str:
        pending = self.name("pending", self.names[key].pending)
        self.write(2, f"if {pending} in kept:")
        self.write(3, f"await wait(kept, {key})")
        self.again(3)
        return pending

    def fresh(self, node: Node) -> str:
        variable = self.variables[node] = f"v{len(self.lines)}"
        return variable

    # what lives for the call

    def call_section(self) -> None:
        for step in self.decision.steps.values():
            if step.node.level is Level.CALL and not step.node.is_kept:
                self.build(step, self.fresh(step.node), 1)

    def build(self, step: Step, variable: str, indent: int) -> None:
        """Write the call of an adapter."""
        adapter = step.node.adapter
        if adapter.gate is not None:
            self.write(indent, f"{variable} = {self.value(step.origins[0][1])}")
            return
        home = step.node.view.home
        view = self.name("view", step.node.view) if home is not None else ""
        function = self.name(adapter.label, adapter.implementation)
        parts = []
        for need, origin in step.origins:
            value = self.value(origin)
            parts.append(f"{need.name}={value}" if need.keyword_only else value)
        call = f"{function}({', '.join(parts)})"
        if adapter.opens:
            self.open(step, call if home is None else self.homed(step, call, view), variable, indent)
            return
        if home is not None:
            self.write(indent, f"with at_home(context, {view}):")
            indent += 1
        if adapter.kind == "coroutine":
            call = f"await {call}"
        self.step(indent, f"{variable} = {call}", step)
        self.check(step, variable, indent)

    def check(self, step: Step, variable: str, indent: int) -> None:
        adapter = step.node.adapter
        if adapter.is_sure:
            return
        exact = ""
        if isinstance(adapter.return_type, type):
            exact = f"type({variable}) is not {self.name('type', adapter.return_type)} and "
        accepted = self.name("accepted", adapter.accepted)
        accept = "accept_now" if self.sync or adapter.kind != "plain" else "await accept"
        owner = self.name("adapter", adapter)
        self.write(indent, f"if {exact}type({variable}) not in {accepted}:")
        self.step(indent + 1, f"{variable} = {accept}({variable}, {owner})", step)

    def homed(self, step: Step, call: str, view: str) -> str:
        return f"homed({call}, {self.name('adapter', step.node.adapter)}, context, {view})"

    def open(self, step: Step, call: str, variable: str, indent: int) -> None:
        adapter = step.node.adapter
        owner = self.name("adapter", adapter)
        if not self.has_scope:
            opens = "open_in_stage_now" if self.sync else "await open_in_stage"
            self.step(indent, f"{variable} = {opens}(context, {call}, {owner})", step)
            self.check(step, variable, indent)
            return
        self.step(indent, f"generator = {call}", step)
        if adapter.kind == "generator":
            self.step(indent, f"{variable} = start_now(generator, {owner})", step)
            self.write(indent, f"if not keep(kept, generator, {owner}):")
            if self.sync:
                self.write(indent + 1, f"over_now(generator, {owner})")
            else:
                self.write(indent + 1, f"await over(generator, {owner})")
        else:
            self.write(indent, "try:")
            self.step(indent + 1, f"{variable} = await anext(generator)", step)
            self.write(indent, "except StopAsyncIteration:")
            self.write(indent + 1, f"raise yields_nothing({owner}) from None")
            self.write(indent, "exits = kept.get(EXITS)")
            self.write(indent, "if exits is None:")
            self.write(indent + 1, f"kept[EXITS] = [(generator, {owner})]")
            self.write(indent, "elif exits is CLOSED:")
            self.write(indent + 1, f"await over(generator, {owner})")
            self.write(indent, "else:")
            self.write(indent + 1, f"exits.append((generator, {owner}))")
        self.check(step, variable, indent)

    def value(self, origin: Origin) -> str:
        """Return the expression for an argument."""
        match origin:
            case Node():
                return self.variables[origin]
            case Component(key, view):
                return self.components[view, key]
            case Given(name):
                return self.arguments[name]
            case Constant(item):
                return self.name("constant", item)
            case Collected(key, view, nodes, container):
                built = ", ".join(self.value(node) for node in nodes)
                words = (self.maps(view), self.name("key", key), self.name("container", container), f"[{built}]")
                return f"collected({', '.join(words)})"
        raise AssertionError(missing)

    def result(self) -> None:
        origin = self.decision.origins[0][1] if len(self.decision.origins) == 1 else None
        if isinstance(origin, Node) and self.lines[-1].startswith(assigned := f"    {self.variables[origin]} = "):
            self.lines[-1] = f"    return {self.lines[-1].removeprefix(assigned)}"
            return
        values = [self.value(origin) for _, origin in self.decision.origins]
        self.write(1, f"return {values[0] if len(values) == 1 else '(' + ''.join(f'{one}, ' for one in values) + ')'}")

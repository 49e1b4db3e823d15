"""Building what was decided, step by step: the first time, and whatever is kept in the stage.

What is asked for again is built by generated code instead, see `plan`; both do the same.
"""

from __future__ import annotations

import functools
import types
import typing as t

import attrs

from buvar import errors, scopes
from buvar.components import merge

from . import decide, explain, once, supply, typeform
from .supply import Collected, Component, Constant, Given, Node
from .views import Level, Views, at_home

if t.TYPE_CHECKING:
    import collections.abc as c

    from buvar.components import Components, Maps

    from .adapter import Adapter
    from .decide import Decision, Step
    from .override import Override
    from .supply import Origin
    from .views import View


async def accept(made: t.Any, adapter: Adapter) -> t.Any:
    """Return what *adapter* made, or the coroutine returns that it made. Raises `AdapterError` when it does not fit."""
    # a decorator may hide that a function is a coroutine function; a coroutine is never meant as a component
    if adapter.kind == "plain" and isinstance(made, types.CoroutineType):
        made = await made
        adapter.hides = True
    return accept_now(made, adapter)


def accept_now(made: t.Any, adapter: Adapter) -> t.Any:
    """Return what *adapter* made. Raises `AdapterError` when it is not what the adapter says it returns."""
    if type(made) not in adapter.accepted:
        if isinstance(made, types.CoroutineType):
            made.close()
            raise asynchronous(adapter)
        if not _fits(made, adapter.return_type):
            what = "None" if made is None else f"{made!r}, of the type {typeform.show(type(made))},"
            reason = f"it returned {what} and says that it returns {typeform.show(adapter.return_type)}"
            raise errors.AdapterError(adapter.implementation, reason, adapter.place)
        if made is None and adapter.lifetime != "transient":
            reason = f"it is {adapter.lifetime} and returned None; what is kept has to be something"
            raise errors.AdapterError(adapter.implementation, reason, adapter.place)
        if typeform.plain(adapter.return_type) is not None:  # other types than these may depend on the value
            adapter.accepted.add(type(made))
    return made


def _fits(made: t.Any, tp: t.Any) -> bool:
    if made is None:
        return types.NoneType in typeform.members(tp)
    return typeform.fits(made, tp)


def asynchronous(adapter: Adapter) -> errors.ResolveError:
    """Return the error for what cannot be built without awaiting."""
    steps = (errors.Step(typeform.show(adapter.return_type)), errors.Step(adapter.label, adapter.place))
    return errors.ResolveError(adapter.return_type, "it is built asynchronously; use await di.nject(…) instead", steps)


@attrs.define(eq=False)
class Build:
    """One run of a decision in a context, with the dependencies *given* by keyword."""

    decision: Decision
    components: Components
    given: c.Mapping[str, t.Any]
    #: who asks, where it is a function whose arguments are built
    function: t.Any = None
    sync: bool = False
    views: Views = attrs.field(init=False, default=attrs.Factory(lambda self: Views(self.components), takes_self=True))
    _built: dict[Node, t.Any] = attrs.field(factory=dict, init=False)

    async def run(self) -> list[t.Any]:
        """Build what is missing; return the objects that were asked for."""
        for step in self._missing():
            if step.node.is_kept:
                self._built[step.node] = await self.keep(step)
            elif step.node.level is Level.CALL:
                self._built[step.node] = await self._call(step, self._built)
        return [self._value(origin, self._built) for _, origin in self.decision.origins]

    def _missing(self) -> list[Step]:
        """Return the steps that have to be taken; what is kept and there is taken as it is, and asks for nothing."""
        needed: set[Node] = set()
        waiting = list(decide.nodes_of(self.decision.origins))
        while waiting:
            node = waiting.pop()
            if node in needed or node in self._built:
                continue
            if node.is_kept and (found := self._owner(node).get(self.decision.key(node))) is not None:
                self._built[node] = found
                continue
            needed.add(node)
            waiting += decide.nodes_of(self.decision.steps[node].origins)
        return [step for node, step in self.decision.steps.items() if node in needed]

    async def ensure(self) -> None:
        """Build what the stage keeps of what is needed, and what the stage keeps for that."""
        for step in self._missing():
            if step.node.level is Level.STAGE and step.node.is_kept:
                self._built[step.node] = await self.keep(step)

    def refuse_awaiting(self) -> None:
        """Raise `ResolveError` for what is built asynchronously and is not there yet."""
        for step in self._missing():
            if step.node.adapter.is_async:
                raise asynchronous(step.node.adapter)

    async def keep(self, step: Step) -> t.Any:
        """Return what the scope or the stage keeps of *step*; build it with all that is its own if need be."""
        create = functools.partial(self._create, step)
        return await once.once(self._owner(step.node), self.decision.key(step.node), create, sync=self.sync)

    async def _create(self, step: Step) -> t.Any:
        built = dict(self._built)
        for one in self.decision.private(step):
            built[one.node] = await self._call(one, built)
        return await self._call(step, built)

    def _owner(self, node: Node) -> scopes.Scope:
        return self.views.maps(node.view)[0]

    async def _call(self, step: Step, built: dict[Node, t.Any]) -> t.Any:
        adapter = step.node.adapter
        args: list[t.Any] = []
        kwargs: dict[str, t.Any] = {}
        for need, origin in step.origins:
            value = self._value(origin, built)
            if need.keyword_only:
                kwargs[t.cast("str", need.name)] = value
            else:
                args.append(value)
        if adapter.gate is not None:
            return args[0]
        try:
            with at_home(self.components, step.node.view):
                made = adapter.implementation(*args, **kwargs)
                if adapter.opens:
                    made = await self._open(made, step.node)
                elif adapter.kind == "coroutine":
                    made = await made
                return accept_now(made, adapter) if self.sync else await accept(made, adapter)
        except errors.UsageError:
            raise  # it says itself what is wrong, and not with the code
        except Exception as error:
            errors.note(error, explain.note(adapter, self.decision.askers(step), self.function))
            raise

    async def _open(self, generator: t.Any, node: Node) -> t.Any:
        """Start a generator; have it finalised by the scope, or else by the stage, that its object belongs to."""
        if node.view.home is not None:
            generator = homed(generator, node.adapter, self.components, node.view)
        if node.level is Level.STAGE or self.components.scope is None:
            if self.sync:
                return open_in_stage_now(self.components, generator, node.adapter)
            return await open_in_stage(self.components, generator, node.adapter)
        made = await scopes.start(generator, node.adapter)
        if not scopes.keep(self.components.scope[0], generator, node.adapter):
            await over(generator, node.adapter)
        return made

    def _value(self, origin: Origin, built: dict[Node, t.Any]) -> t.Any:
        match origin:
            case Node():
                return built[origin]
            case Component(key, view):
                return supply.get(self.views.maps(view), key)
            case Given(name):
                return self.given[name]
            case Constant(item):
                return item
            case Collected(key, view, nodes, container, fakes):
                made = [self._value(node, built) for node in nodes]
                return collected(self.views.maps(view), key, container, made, fakes)


def collected(
    maps: Maps, key: t.Hashable, container: type, built: list[t.Any], fakes: c.Mapping[type, Override] | None = None
) -> t.Any:
    """Return all components under *key*, or *fakes*, and what was *built*, in a *container*; nothing twice."""
    components = merge(maps, key)
    if fakes:
        components = {name: fakes[type(one)].fake if type(one) in fakes else one for name, one in components.items()}
    if container is dict:
        return components
    return container({id(item): item for item in (*components.values(), *built)}.values())


def homed(generator: t.Any, adapter: Adapter, components: Components, view: View) -> t.Any:
    """Return *generator*, which belongs to another home, as one that runs there, also when it is finalised."""
    if adapter.kind == "generator":
        return _homed_now(generator, adapter, components, view)
    return _homed(generator, adapter, components, view)


async def _homed(
    generator: t.Any, adapter: Adapter, components: Components, view: View
) -> c.AsyncGenerator[t.Any, None]:
    with at_home(components, view):
        made = await scopes.start(generator, adapter)
    ended: BaseException | None = None
    try:
        yield made
    except BaseException as error:  # the generator itself tells what it makes of it
        ended = error
    with at_home(components, view):
        await scopes.finish(generator, adapter, ended)


def _homed_now(
    generator: t.Any, adapter: Adapter, components: Components, view: View
) -> c.Generator[t.Any, None, None]:
    with at_home(components, view):
        made = scopes.start_now(generator, adapter)
    ended: BaseException | None = None
    try:
        yield made
    except BaseException as error:
        ended = error
    with at_home(components, view):
        scopes.finish_now(generator, adapter, ended)


async def open_in_stage(components: Components, generator: t.Any, adapter: Adapter) -> t.Any:
    """Start a generator that the teardown of the stage finalises."""
    closer = components.home.closer
    assert closer is not None, "checked when it was decided"
    return await closer.enter(scopes.Managed(generator, adapter))


def open_in_stage_now(components: Components, generator: t.Any, adapter: Adapter) -> t.Any:
    """Do what `open_in_stage` does for a synchronous generator, without awaiting."""
    closer = components.home.closer
    assert closer is not None, "checked when it was decided"
    made = scopes.start_now(generator, adapter)
    closer.add(functools.partial(scopes.finish_now, generator, adapter))
    return made


async def over(generator: t.Any, adapter: Adapter) -> t.NoReturn:
    """Finalise a generator that was opened for a scope which has ended meanwhile, and tell it."""
    error = once.ended(adapter)
    await scopes.finish(generator, adapter, error)
    raise error


def over_now(generator: t.Any, adapter: Adapter) -> t.NoReturn:
    """Do what `over` does, without awaiting."""
    error = once.ended(adapter)
    scopes.finish_now(generator, adapter, error)
    raise error

"""Any acyclic graph of adapters of any lifetime and kind, in any order of scopes, gives what a naive resolver gives."""

import asyncio
import contextlib
import typing as t

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buvar import context, di
from buvar.components import Components, Home
from buvar.staging.teardown import Teardown

SIZE = 6
LIFETIMES = ("transient", "scoped", "singleton")
CALL, _, STAGE = range(3)
KINDS = ("plain", "coroutine", "generator", "async generator")


@attrs.frozen
class Spec:
    """One adapter: what it needs, how long it lives, and what it is."""

    needs: tuple[int, ...]
    lifetime: str
    kind: str

    @property
    def level(self) -> int:
        return LIFETIMES.index(self.lifetime)

    @property
    def is_async(self) -> bool:
        return self.kind in ("coroutine", "async generator")

    @property
    def opens(self) -> bool:
        return self.kind.endswith("generator")


def specs(number: int) -> st.SearchStrategy[Spec]:
    """Draw the adapter for type *number*, which needs smaller ones."""
    below = range(number)
    needs = st.lists(st.sampled_from(below), max_size=3, unique=True).map(tuple) if below else st.just(())
    return st.builds(Spec, needs, st.sampled_from(LIFETIMES), st.sampled_from(KINDS))


graphs = st.tuples(*(specs(number) for number in range(SIZE)))


@attrs.frozen
class Ask:
    """Ask for some types, with some of them given by keyword; by the synchronous twin where that can do it."""

    targets: tuple[int, ...]
    given: frozenset[int]


@attrs.frozen
class Scope:
    """Open a scope with some components, and do more in it; it ends with an error or without."""

    components: frozenset[int]
    steps: list[t.Any]
    fails: bool


numbers = st.integers(0, SIZE - 1)
asks = st.builds(Ask, st.lists(numbers, min_size=1, max_size=3).map(tuple), st.frozensets(numbers, max_size=1))
programs = st.lists(
    st.recursive(
        asks,
        lambda inner: st.builds(
            Scope, st.frozensets(numbers, max_size=1), st.lists(inner, min_size=1, max_size=4), st.booleans()
        ),
        max_leaves=8,
    ),
    max_size=4,
)


class EndError(Exception):
    """What a scope ends with."""


class Made:
    """What an adapter built: its number, the serial of the call, and what it was given."""

    def __init__(self, number: int, serial: int, parts: tuple[t.Any, ...]) -> None:
        self.number, self.serial, self.parts = number, serial, parts


class World:
    """The types and adapters of a graph, and a diary of what is opened and finalised."""

    def __init__(self, graph: tuple[Spec, ...]) -> None:
        self.graph = graph
        self.types = [type(f"T{number}", (Made,), {}) for number in range(SIZE)]
        self.serial = 0
        self.opened: list[Made] = []
        self.ended: list[tuple[Made, BaseException | None]] = []
        self.adapters = di.Adapters()
        for number, spec in enumerate(graph):
            self.adapters.register(self._adapter(number, spec), lifetime=t.cast("t.Any", spec.lifetime))

    def make(self, number: int, *parts: t.Any) -> Made:
        self.serial += 1
        return self.types[number](number, self.serial, parts)

    @contextlib.contextmanager
    def keep_open(self, made: Made) -> t.Iterator[Made]:
        self.opened.append(made)
        try:
            yield made
        except BaseException as error:
            self.ended.append((made, error))
            raise
        self.ended.append((made, None))

    def _adapter(self, number: int, spec: Spec) -> t.Any:
        names = ", ".join(f"p{need}" for need in spec.needs)
        called = ", ".join([str(number), *(f"p{need}" for need in spec.needs)])
        word, pause = ("async ", "    await pause(0)\n") if spec.is_async else ("", "")
        body = f"    return world.make({called})\n"
        if spec.opens:
            body = f"    with world.keep_open(world.make({called})) as made:\n        yield made\n{pause}"
        space: dict[str, t.Any] = {"world": self, "pause": asyncio.sleep}
        exec(f"{word}def adapter{number}({names}):\n{pause}{body}", space)
        adapter = space[f"adapter{number}"]
        built = self.types[number]
        yields: t.Any = {"generator": t.Iterator, "async generator": t.AsyncIterator}.get(spec.kind)
        adapter.__annotations__ = {f"p{need}": self.types[need] for need in spec.needs}
        adapter.__annotations__["return"] = built if yields is None else yields[built]
        return adapter


@attrs.define(eq=False)
class Owner:
    """A scope or the stage, as the naive resolver knows it: its components, what it keeps, what it has to finalise."""

    components: dict[int, Made] = attrs.field(factory=dict)
    kept: dict[int, Made] = attrs.field(factory=dict)
    open: list[Made] = attrs.field(factory=list)


class Naive:
    """The rules without decisions and plans: what each thing has to be, as far as one can tell from what was made."""

    def __init__(self, world: World) -> None:
        self.graph = world.graph
        self.owners = [Owner()]  # the stage, and the open scopes
        self.known: set[Made] = set()

    def components(self, level: int) -> dict[int, Made]:
        """Return the components that something of that level may see."""
        seen: dict[int, Made] = {}
        for owner in self.owners[: 1 if level == STAGE else None]:
            seen.update(owner.components)
        return seen

    def is_there(self, number: int, level: int, given: dict[int, Made]) -> bool:
        return (level == CALL and number in given) or number in self.components(level)

    def can(self, number: int, level: int, given: dict[int, Made]) -> bool:
        """Say whether all can be kept where it has to be."""
        spec = self.graph[number]
        if self.is_there(number, level, given):
            return True
        if spec.lifetime == "scoped" and (level == STAGE or len(self.owners) == 1):
            return False
        return all(self.can(need, max(level, spec.level), given) for need in spec.needs)

    def can_now(self, number: int, level: int, given: dict[int, Made]) -> bool:
        """Say whether nothing has to be awaited; what the stage is to finalise has to be."""
        spec = self.graph[number]
        level = max(level, spec.level)
        if self.is_there(number, level, given) or number in self.keeper(spec, {}):
            return True
        if spec.is_async or (spec.opens and self.owner(level) is self.owners[0]):
            return False
        return all(self.can_now(need, level, given) for need in spec.needs)

    def owner(self, level: int) -> Owner:
        return self.owners[0] if level == STAGE else self.owners[-1]

    def keeper(self, spec: Spec, call: dict[int, Made]) -> dict[int, Made]:
        return call if spec.level == CALL else self.owner(spec.level).kept

    def compare(
        self, found: Made, number: int, level: int, given: dict[int, Made], call: dict[int, Made], named: bool = True
    ) -> None:
        """Assert that *found* is what the rules say; *call* has what was made for the same call or keeper."""
        components = self.components(level)
        # what is asked for has no name, and components go before what is given for another name
        if level == CALL and number in given and (named or number not in components):
            assert found is given[number]
            return
        if number in components:
            assert found is components[number]
            return
        spec = self.graph[number]
        keeper = self.keeper(spec, call)
        if number in keeper:
            assert found is keeper[number]
            return
        assert found.number == number
        assert found not in self.known
        self.known.add(found)
        keeper[number] = found
        level = max(level, spec.level)
        if spec.opens:
            self.owner(level).open.append(found)
        assert len(found.parts) == len(spec.needs)
        own = call if keeper is call else {}  # what is made for something that is kept is its own
        for need, part in zip(spec.needs, found.parts, strict=True):
            self.compare(part, need, level, given, own)


class Play:
    """Does the steps of a program, and compares."""

    def __init__(self, graph: tuple[Spec, ...]) -> None:
        self.world = World(graph)
        self.naive = Naive(self.world)

    async def run(self, program: list[t.Any]) -> None:
        components = Components()
        teardown = Teardown()
        components.home = Home(None, components.maps, teardown)
        context.buvar_context.set(components)
        await self.steps(program)
        await teardown.wait()
        self.check_ended(self.naive.owners.pop(), None)
        assert not self.world.ended
        assert not self.world.opened

    async def steps(self, steps: list[t.Any]) -> None:
        for step in steps:
            if isinstance(step, Scope):
                await self.scope(step)
            else:
                for _ in range(3):  # built step by step, compiled, and by the plan
                    await self.ask(step)

    async def ask(self, ask: Ask) -> None:
        world, naive = self.world, self.naive
        targets = [world.types[number] for number in ask.targets]
        given = {number: world.make(number) for number in ask.given}
        keywords = {f"p{number}": made for number, made in given.items()}
        before = world.serial
        if not all(naive.can(number, CALL, given) for number in ask.targets):
            with pytest.raises(di.ResolveError):
                await world.adapters.nject(*targets, **keywords)
            assert world.serial == before, "nothing is made for what fails"
            return
        if all(naive.can_now(number, CALL, given) for number in ask.targets):
            found = world.adapters.nject_now(*targets, **keywords)
        else:
            found = await world.adapters.nject(*targets, **keywords)
        call: dict[int, Made] = {}
        for number, one in zip(ask.targets, found if len(targets) > 1 else (found,), strict=True):
            naive.compare(one, number, CALL, given, call, named=False)

    async def scope(self, scope: Scope) -> None:
        error = EndError() if scope.fails else None
        with pytest.raises(EndError) if error is not None else contextlib.nullcontext():
            async with context.scope("scope") as components:
                owner = Owner({number: self.world.make(number) for number in scope.components})
                for made in owner.components.values():
                    components.add(made)
                self.naive.owners.append(owner)
                await self.steps(scope.steps)
                assert not self.world.ended
                if error is not None:
                    raise error
        self.check_ended(self.naive.owners.pop(), error)

    def check_ended(self, owner: Owner, error: EndError | None) -> None:
        """Assert that all that was opened for *owner*, and nothing else, ended in reverse order, with that error."""
        mine = [made for made in self.world.opened if made in owner.open]
        assert self.world.ended == [(made, error) for made in reversed(mine)]
        self.world.opened = [made for made in self.world.opened if made not in owner.open]
        self.world.ended = []


@given(graphs, programs)
@settings(max_examples=80, deadline=None)
def test_any_graph_gives_what_a_naive_resolver_gives(graph, program):
    """In any order of scopes, three times in a row; what fails makes nothing, what is opened ends once, in reverse."""
    asyncio.run(Play(graph).run(program))

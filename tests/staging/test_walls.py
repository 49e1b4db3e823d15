"""Any plugins, with walls and without, give what a naive resolver gives, and the check foresees what fails."""

from __future__ import annotations

import contextlib
import typing as t

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buvar import context, di, plugin

BASES = {0: [0], 1: [1], 2: [2, 1], 3: [3], 4: [4]}  # five types, of which 2 derives from 1
LIFETIMES = ("transient", "scoped", "singleton")
CALL, SCOPE, STAGE = range(3)
Layer = dict[tuple[int, str | None], "Made"]
#: what is registered and imported, in order, and where it builds
Adapters = list[tuple["Spec | Door", "Home"]]


class Need(t.NamedTuple):
    """A parameter, or a component: of which type, under which name, and whether one can do without."""

    number: int
    name: str | None = None
    is_optional: bool = False


@attrs.frozen(eq=False)
class Spec:
    """One adapter: which type it builds, what it needs, and how long that lives."""

    number: int
    needs: list[Need]
    lifetime: str = "transient"


@attrs.frozen(eq=False)
class Plugin:
    """One plugin: which later ones it loads, what it has and exports, and what is in a scope and above when it asks."""

    walled: bool
    loads: list[int]
    components: list[Need]
    registers: list[Spec]
    exports: list[int]
    scope: list[Need]
    above: list[Need]


def specs(number: int) -> st.SearchStrategy[Spec]:
    """Draw an adapter for type *number*: it needs smaller types, or it wraps another adapter for the same type."""
    smaller = range(min(BASES[number]))
    need = st.builds(Need, st.sampled_from(smaller or [number]), names, seldom)
    needs = st.lists(need, max_size=3 if smaller else 0, unique_by=lambda need: need.name)
    plain = st.builds(Spec, st.just(number), needs, st.sampled_from(LIFETIMES))
    wrapper = st.builds(Spec, st.just(number), st.just([Need(number, "a")]))
    return plain if number in BASES[2] else plain | plain | wrapper


numbers, names, seldom = st.sampled_from(range(5)), st.sampled_from("abc"), st.sampled_from([False] * 7 + [True])
some, walled = st.lists(numbers, max_size=3, unique=True), st.sampled_from([False, True, True])
components = st.lists(st.builds(Need, numbers, st.sampled_from([None, "a"])), max_size=2)
pool = st.shared(st.lists(st.one_of(*map(specs, BASES)), min_size=1, max_size=10))
registers = pool.flatmap(lambda specs: st.lists(st.sampled_from(specs), max_size=5))
plugins = st.builds(Plugin, walled, some, components, registers, some, components, components)


class Made:
    """A component, or what an adapter built of these parts, and in whose home."""

    def __init__(self, spec: Spec | None = None, *parts: t.Any) -> None:
        self.spec, self.parts, self.home, self.is_known = spec, parts, context.current_context().home, False


def file(layer: Layer, need: Need, item: Made) -> None:
    layer.update({(base, need.name): item for base in BASES[need.number]})


class Door(t.NamedTuple):
    """What leads to a type in another home."""

    home: Home
    number: int
    lifetime = "transient"


class Home:
    """What a plugin has behind its walls, by the rules; without an *outside*, what all share."""

    def __init__(self, owner: str | None = None, outside: Home | None = None) -> None:
        self.owner, self.outside = owner, outside
        self.own: Layer = {}
        self.imported: Layer = {} if outside else self.own
        self.registered: list[Spec | Door] = []
        self.imports: list[Spec | Door] = [] if outside else self.registered
        self.exports: list[int] = []
        self.given: list[Home] = []

    def inside(self) -> Adapters:
        return [(one, self) for one in (*self.imports, *self.registered)]

    def seen(self) -> Adapters:
        """Return the shared adapters too; one whose objects are kept builds them where all see it."""
        shared = self.outside.registered if self.outside else []
        return [(one, self if one.lifetime == "transient" else self.outside) for one in shared] + self.inside()

    def give(self, to: Home) -> None:
        for number in self.exports if to not in self.given else ():
            for (each, name), item in (self.imported | self.own).items():
                if each == number:
                    file(to.imported, Need(number, name), item)
            if any(number in BASES[one.number] for one, _ in self.inside()):
                to.imports.append(Door(self, number))
        self.given.append(to)


class Built(t.NamedTuple):
    """What an adapter builds in a home, of these parts, for what lives as long as that level."""

    spec: Spec
    home: Home
    level: int
    parts: list[t.Any]


class Naive:
    """The rules without decisions and plans: it tries all in turn, down to the ground, and knows what was made."""

    def __init__(self, singletons: dict[t.Any, Made], scope: Layer | None, above: Layer) -> None:
        self.kept: dict[str, t.Any] = {"scoped": None if scope is None else {}, "singleton": singletons}
        self.pushed = [above, scope or {}], [above if scope is None else scope], []  # what each level sees of it

    def decide(self, number: int, home: Home) -> t.Any:
        """Return what has to be found for a type; None where that is not to be had, or nobody is there to keep it."""
        with contextlib.suppress(LookupError):
            found = [self.choose(Need(number), home, CALL, frozenset())]
            for one in found:
                if isinstance(one, Built):
                    found += one.parts
                    if one.spec.lifetime == "scoped" and (one.level == STAGE or self.kept["scoped"] is None):
                        raise LookupError
            return found[0]
        return None

    def choose(self, need: Need, home: Home, level: int, way: frozenset[t.Any]) -> t.Any:
        """Try what is inside of the walls, then all; of each, components of that name, unnamed ones, adapters."""
        inner = [*self.pushed[level], home.own, home.imported]
        every = [*inner, home.outside.own] if home.outside else inner
        for layers, adapters in (inner, home.inside()), (every, home.seen()):
            for key in (need.number, need.name), (need.number, None):
                for layer in layers:
                    if key in layer:
                        return layer[key]
            for one, where in dict.fromkeys(reversed(adapters)):  # the last registered first
                with contextlib.suppress(LookupError):
                    if need.number in BASES[one.number]:
                        return self.enter(one, where, level, way)
        if need.is_optional:
            return None
        raise LookupError

    def enter(self, one: Spec | Door, home: Home, level: int, way: frozenset[t.Any]) -> t.Any:
        """Go through a door, or look for what an adapter needs, which never feeds itself."""
        level = max(level, LIFETIMES.index(one.lifetime))
        if (one, home, level) in way:
            raise LookupError
        way |= {(one, home, level)}
        if isinstance(one, Spec):
            return Built(one, home, level, [self.choose(need, home, level, way) for need in one.needs])
        return self.choose(Need(one.number), one.home, level, way)

    def compare(self, found: t.Any, expected: t.Any, made: dict[t.Any, Made]) -> None:
        """Assert that *found* is as expected; *made* is what was made for the same call, or for what is kept."""
        if not isinstance(expected, Built):
            assert found is expected
            return
        keeper, key = self.kept.get(expected.spec.lifetime, made), expected[:3]
        if key in keeper:
            assert found is keeper[key]
            return
        assert found.spec is expected.spec
        assert (found.home.owner if found.home.outside else None) == expected.home.owner
        assert not found.is_known
        keeper[key], found.is_known = found, True
        below = made if keeper is made else {}
        for part, one in zip(found.parts, expected.parts, strict=True):
            self.compare(part, one, below)


class World:
    """The real plugins, and their homes by the rules, which are settled in the order in which the loader loads."""

    def __init__(self, found: list[Plugin]) -> None:
        self.plugins = found
        self.types: list[type[Made]] = []
        for number, (_, *base) in BASES.items():
            self.types.append(type(f"T{number}", (self.types[base[0]] if base else Made,), {}))
        self.adapters = {spec: self.adapter(spec) for each in found for spec in each.registers}
        self.singletons: dict[t.Any, Made] = {}
        self.shared = Home()
        self.homes: dict[int, Home] = {}
        self.prepares: dict[int, t.Any] = {}
        for number in range(len(found)):
            self.settle(number)

    def adapter(self, spec: Spec) -> t.Any:
        written = "".join(f", {need.name}: types[{need.number}]{' = None' * need.is_optional}" for need in spec.needs)
        passed = "".join(f", {need.name}" for need in spec.needs)
        built = f"types[{spec.number}]"
        space: dict[str, t.Any] = {"types": self.types, "spec": spec}
        exec(f"def adapter({'*' * bool(written)}{written}) -> {built}: return {built}(spec{passed})", space)
        return space["adapter"]

    def settle(self, number: int) -> None:
        """Settle a plugin after those that it loads."""
        if number in self.homes:
            return
        each, passed = self.plugins[number], set()
        home = self.homes[number] = Home(f"{__name__}:plugin{number}", self.shared) if each.walled else self.shared
        loads = [other for other in each.loads if number < other < len(self.plugins)]
        for other in loads:
            self.settle(other)
            if self.plugins[other].walled:
                self.homes[other].give(home)
                passed.update(self.homes[other].exports)
        items = [(need, self.types[need.number]()) for need in each.components]
        for need, item in items:
            file(home.own, need, item)
        home.registered += each.registers
        own = {base for one in (*each.components, *each.registers) for base in BASES[one.number]}
        provided = own.union(*(BASES[key] for key in passed))
        taken = {key for other in self.homes.values() for key in other.exports} - (passed - own)
        if each.walled:  # one plugin exports a key, others may pass it on
            home.exports = [key for key in each.exports if key in provided - taken]
        self.prepares[number] = self.prepare(number, home, items, [self.prepares[other] for other in loads])

    def prepare(self, number: int, home: Home, items: list[tuple[Need, Made]], loads: list[t.Any]) -> t.Any:
        async def prepare(load: plugin.Loader):
            await load(*loads)
            for need, item in items:
                context.add(item, name=need.name)
            for spec in self.plugins[number].registers:
                di.register(self.adapters[spec], lifetime=spec.lifetime)
            return [self.ask(self.plugins[number], home, has_scope=has_scope) for has_scope in (False, True)]

        prepare.__qualname__ = f"plugin{number}"
        walls = plugin.exports(*(self.types[key] for key in home.exports))
        return walls(prepare) if home.outside else prepare

    async def ask(self, each: Plugin, home: Home, *, has_scope: bool) -> None:
        async with context.scope("ask") if has_scope else contextlib.nullcontext():
            scope = self.push(each.scope) if has_scope else None
            with context.child():
                naive = Naive(self.singletons, scope, self.push(each.above))
                for number, tp in enumerate(self.types):
                    await ask_for(tp, naive.decide(number, home), naive)

    def push(self, components: list[Need]) -> Layer:
        layer: Layer = {}
        for need in components:
            file(layer, need, context.add(self.types[need.number](), name=need.name))
        return layer


async def ask_for(tp: type[Made], expected: t.Any, naive: Naive) -> None:
    """Ask step by step, compiled, by the plan, once more, and without await."""
    assert is_foreseen(tp) == (expected is None)
    for turn in range(5):
        with contextlib.nullcontext() if expected else pytest.raises(di.ResolveError):
            naive.compare(await di.nject(tp) if turn < 4 else di.nject_now(tp), expected, {})


def is_foreseen(tp: type[Made]) -> bool:
    """Say whether the check tells that a type is not to be had here; that several could build it is no failure."""
    with context.child() as components:
        di.require(tp, scope=False)  # no other one than there is
        try:
            di.check(di.buvar_adapters.get(), components)
        except ExceptionGroup as group:
            return any(hasattr(e, "__notes__") and not e.reason.startswith("ambiguous") for e in group.exceptions)
    return False


@given(st.lists(plugins, min_size=2, max_size=5))
@settings(max_examples=80, deadline=None)
def test_any_plugins_give_what_a_naive_resolver_gives(found):
    """Whoever asks: the same adapters build, at home, of the same parts; or both fail, and the check foresees that."""
    token = di.buvar_adapters.set(di.Adapters())
    world, stage = World(found), plugin.Stage()
    try:
        stage.loop.run_until_complete(stage.loader(*(world.prepares[number] for number in world.homes)))
        for error in filter(None, stage.run_tasks()):
            raise error
    finally:
        stage.run_teardown()
        di.buvar_adapters.reset(token)

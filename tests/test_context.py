import asyncio
import contextvars
import threading

import pytest

from buvar import context, errors
from buvar.components import Components, Layer


class Thing:
    pass


@pytest.fixture(autouse=True)
def own():
    """Each test has a context of its own."""
    token = context.buvar_context.set(Components())
    yield context.current_context()
    context.buvar_context.reset(token)


def in_thread(function):
    """Run function in a new thread and return its result."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    return results[0]


def test_what_is_added_is_found():
    """add, get and find work on the current context."""
    thing = context.add(Thing())
    named = context.add(Thing(), name="other")
    under = context.add(Thing(), "key")
    assert context.get(Thing) is thing
    assert context.get(Thing, name="other") is named
    assert context.get("key") is under
    assert context.get(str, default=None) is None
    assert context.find(Thing) == {None: thing, "other": named}
    with pytest.raises(errors.ComponentLookupError):
        context.get(str)


def test_the_place_of_an_addition_is_the_callers():
    """What is added through the context is listed with the line that called it."""
    context.add(Thing())
    (entry,) = context.current_context()
    assert entry.place.file == __file__


def test_a_usable_context_exists_in_every_thread(own):
    """A thread starts with the context that was there at import, and can add to and read from it."""
    key = object()

    def work():
        assert context.current_context() is not own
        with context.child():
            return context.add(Thing(), key), context.get(key)

    added, found = in_thread(work)
    assert added is found
    assert context.get(key, default=None) is None


def test_a_usable_context_exists_in_an_empty_contextvars_context():
    """So does every new contextvars.Context; the default is the same in all of them."""
    first = contextvars.Context().run(context.current_context)
    assert first is contextvars.Context().run(context.current_context)
    assert first is in_thread(context.current_context)


def test_child_is_current_inside_only(own):
    """What is added in a child is gone after it, and what is outside is seen in it."""
    outer = context.add(Thing())
    with context.child() as components:
        assert context.current_context() is components
        assert context.get(Thing) is outer
        inner = context.add(Thing())
        assert context.get(Thing) is inner
    assert context.current_context() is own
    assert context.get(Thing) is outer


def test_a_child_ends_with_an_error_too(own):
    """An error passes, and the context is back."""
    with pytest.raises(ValueError, match="x"), context.child():
        raise ValueError("x")
    assert context.current_context() is own


def test_children_nest_and_take_layers():
    """Children stand on each other; layers that are given are used instead of a fresh one."""
    layer = Layer()
    with context.child() as one:
        assert one.stack[1:] == one.pop().stack
        with context.child(layer) as two:
            assert two.stack == (layer, *one.stack)
            thing = context.add(Thing())
    assert Components(layer).get(Thing) is thing


async def test_a_scope_is_a_layer_with_an_end(own):
    """What is added in a scope is gone after it, also when an error ends it."""
    async with context.scope("request") as components:
        assert context.current_context() is components
        context.add(Thing())
    assert context.get(Thing, default=None) is None
    with pytest.raises(ValueError, match="x"):
        async with context.scope("request"):
            raise ValueError("x")
    assert context.current_context() is own


def test_push_and_pop_do_not_change_what_is_current(own):
    """push and pop return stacks, and leave the current one."""
    pushed = context.push()
    pushed.add(Thing())
    assert context.current_context() is own
    assert context.get(Thing, default=None) is None
    with context.child():
        context.add(Thing())
        assert context.pop().get(Thing, default=None) is None


def test_run_calls_a_function_with_other_components(own):
    """A function decorated by run() sees the given components, gets its arguments and leaves nothing behind."""
    components = Components()

    @context.run(components)
    def work(*args, **kwargs):
        """Its doc."""
        context.buvar_context.set(Components())
        return args, kwargs

    @context.run(components)
    def current():
        return context.current_context()

    assert work(1, a=2) == ((1,), {"a": 2})
    assert work.__doc__ == "Its doc."
    assert current() is components
    assert context.current_context() is own


def test_run_passes_errors(own):
    """An error of the function passes, and the context is back."""

    @context.run(Components())
    def fail():
        raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        fail()
    assert context.current_context() is own


async def test_tasks_share_a_layer_without_the_factory():
    """Without the stacking factory, what a task adds is seen by who started it."""

    async def work():
        return context.add(Thing())

    assert await asyncio.create_task(work()) is context.get(Thing)


async def test_tasks_have_their_own_layer_with_the_factory(own):
    """With the stacking factory, a task sees what is there and keeps to itself what it adds, until reset."""
    outer = context.add(Thing())

    async def work():
        assert context.get(Thing) is outer
        inner = context.add(Thing())
        await asyncio.sleep(0)
        assert context.get(Thing) is inner
        return len(context.current_context().stack)

    factory = context.set_task_factory()
    try:
        assert isinstance(factory, context.StackingTaskFactory)
        assert await asyncio.gather(*[asyncio.create_task(work()) for _ in range(3)]) == [2, 2, 2]
        assert context.get(Thing) is outer
        assert context.current_context() is own
    finally:
        factory.reset()
    assert asyncio.get_running_loop().get_task_factory() is None


async def test_a_tasks_given_context_is_not_changed():
    """A contextvars.Context that is given for a task is neither ignored nor changed."""
    given = contextvars.copy_context()
    components = Components()
    given.run(context.buvar_context.set, components)

    async def work():
        return context.current_context()

    factory = context.set_task_factory()
    try:
        seen = await asyncio.create_task(work(), context=given, name="named")
    finally:
        factory.reset()
    assert seen.pop().stack == components.stack
    assert given.run(context.current_context) is components


async def test_the_factory_stands_on_the_one_before():
    """The factory that a loop had makes the tasks still, and is back after reset."""
    loop, made = asyncio.get_running_loop(), []

    def before(loop, coro, **kwargs):
        made.append(coro)
        return asyncio.Task(coro, loop=loop, **kwargs)

    async def work():
        return len(context.current_context().stack)

    loop.set_task_factory(before)
    try:
        factory = context.set_task_factory(loop=loop)
        assert await asyncio.create_task(work()) == 2
        assert len(made) == 1
        factory.reset(loop=loop)
        assert loop.get_task_factory() is before
    finally:
        loop.set_task_factory(None)

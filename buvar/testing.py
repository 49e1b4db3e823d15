"""The pytest plugin: plugins under test are prepared before the test and torn down after it.

::

    @pytest.mark.buvar_plugins("buvar.config", "shop.users")
    async def test_users(buvar_config_source):
        assert context.get(Users)

The marker loads the plugins, and the test runs in their context: what they added, the test finds. So does every test
that asks for `buvar_load` or `buvar_plugin_context`. What the plugins yield is not run; the test may do so. With
pytest-asyncio the stage lives on the loop of the test (or of its async fixtures, if the test itself is not async);
without it, on a loop of its own.

No fixture works unasked, and nothing that a test does not use is imported for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import inspect
import typing as t

import pytest

if t.TYPE_CHECKING:
    import collections.abc as c

    from buvar import config, plugin
    from buvar.components import Components

P = t.ParamSpec("P")
R = t.TypeVar("R")

PLUGINS_MARK = "buvar_plugins"
_LOOP_SCOPES = ("function", "class", "module", "package", "session")


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and with pytest-asyncio the fixtures that know its loops."""
    config.addinivalue_line("markers", f"{PLUGINS_MARK}(*plugins): load the plugins and run the test in their context")
    if (asyncio_plugin := _asyncio_plugin(config)) is not None:
        config.pluginmanager.register(_loop_fixtures(asyncio_plugin), "buvar_loops")


@pytest.hookimpl
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Give a marked test the fixture that loads its plugins, after all those that it asks for itself."""
    if (
        isinstance(item, pytest.Function)
        and item.get_closest_marker(PLUGINS_MARK) is not None
        and "buvar_plugin_context" not in item.fixturenames
    ):
        # a new list: all parameter sets of a function have one in common, and may differ in their marks
        item.fixturenames = [*item.fixturenames, "buvar_plugin_context"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> c.Generator[None, t.Any, t.Any]:
    """Run the test in the context of its plugins, if it loads any; whoever runs it on a loop passes that on."""
    funcargs = getattr(item, "funcargs", {})
    if "buvar_load" not in funcargs and "buvar_plugin_context" not in funcargs:
        return (yield)
    with _at_home(funcargs.get("buvar_plugin_context") or funcargs["buvar_stage"].context):
        return (yield)


def _at_home(components: Components) -> contextlib.AbstractContextManager[None]:
    """Return a context manager: inside of its block *components* are current, and the adapters that go with them."""
    from buvar.di import buvar_adapters

    adapters = components.home.adapters or buvar_adapters.get()
    current: contextlib.AbstractContextManager[None] = adapters.current(components)
    return current


def wrap_in_buvar_plugin_context(context: Components, func: c.Callable[P, R]) -> c.Callable[P, R]:
    """Return *func*, a function or a coroutine function, so that it runs with *context* as the current context."""
    if not inspect.iscoroutinefunction(func):

        @functools.wraps(func)
        def plain(*args: P.args, **kwargs: P.kwargs) -> R:
            with _at_home(context):  # and in a context of its own, so that nothing that it sets stays
                return contextvars.copy_context().run(func, *args, **kwargs)

        return plain

    @functools.wraps(func)
    async def wrapper(*args: P.args, **kwargs: P.kwargs) -> t.Any:
        with _at_home(context):
            return await func(*args, **kwargs)

    return t.cast("c.Callable[P, R]", wrapper)


@pytest.fixture
def buvar_config_source() -> config.ConfigSource:
    """The configuration of the plugins under test: empty, to be filled (``merge``) or overridden."""
    from buvar import config

    return config.ConfigSource()


@pytest.fixture
def buvar_context(buvar_config_source: config.ConfigSource) -> Components:
    """The components that are passed to the stage; the configuration is one of them."""
    from buvar.components import Components

    components = Components()
    components.add(buvar_config_source)
    return components


@pytest.fixture
def buvar_stage_loop(request: pytest.FixtureRequest) -> c.Iterator[asyncio.AbstractEventLoop]:
    """The event loop of the stage: the one that runs the test."""
    name = _loop_fixture_for(request)
    if name is not None:
        yield request.getfixturevalue(name)
        return
    # with a factory the runner leaves alone what is the current loop of the thread
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        yield runner.get_loop()


@pytest.fixture
def buvar_stage(
    request: pytest.FixtureRequest, buvar_context: Components, buvar_stage_loop: asyncio.AbstractEventLoop
) -> c.Iterator[plugin.Stage]:
    """A stage on the loop of the test. It is torn down when the test is over, whatever came of it."""
    from buvar import plugin

    _set_up_before(request, "buvar_adapters_setup_contextvars")  # the stage has the adapters that are current now
    _set_up_overrides(request)  # what is overridden is so before plugins are loaded, and until they are torn down

    class NoSignals(plugin.Signals):
        """The signals stay pytest's: Ctrl-C ends the run."""

        handlers = ()

    stage = plugin.Stage(components=buvar_context, loop=buvar_stage_loop, signals=NoSignals)
    yield stage
    stage.cancel.set()  # a plugin that works on its own, or a task that the test started, learns of the end
    stage.run_teardown()


@pytest.fixture
def buvar_load(request: pytest.FixtureRequest, buvar_stage: plugin.Stage) -> plugin.Loader:
    """The loader of the stage, which has loaded the plugins of the closest marker; await it to load more of them."""
    mark = request.node.get_closest_marker(PLUGINS_MARK)
    if mark is not None and mark.args:
        buvar_stage.load(*mark.args)
    return buvar_stage.loader


@pytest.fixture
def buvar_plugin_context(buvar_stage: plugin.Stage, buvar_load: plugin.Loader) -> Components:
    """The context that the plugins share, with what they added."""
    return buvar_stage.context


@pytest.fixture
def buvar_adapters_setup_contextvars() -> c.Iterator[None]:
    """A fresh registry of adapters for this test; afterwards the former one is back."""
    from buvar import di

    token = di.buvar_adapters.set(di.Adapters())
    yield
    di.buvar_adapters.reset(token)


@pytest.fixture
def buvar_override(request: pytest.FixtureRequest) -> c.Iterator[c.Callable[..., t.Any]]:
    """``buvar_override(Key, fake, name=None)``: have *fake* injected for *Key* until the test is over; it returns it.

    It wins over components and adapters, before anything is built and after; see `di.override`. The last one is undone
    first, when the stage has been torn down.
    """
    from buvar import di

    _set_up_before(request, "buvar_adapters_setup_contextvars")
    with contextlib.ExitStack() as overrides:

        def override(key: t.Any, fake: R, name: t.Hashable = None) -> R:
            return t.cast("R", overrides.enter_context(di.override(key, fake, name=name)))

        yield override


@pytest.fixture
def reset_buvar_context() -> c.Iterator[None]:
    """A fresh current context for this test; afterwards the former one is back."""
    from buvar.components import Components
    from buvar.context import buvar_context as current

    token = current.set(Components())
    yield
    current.reset(token)


@pytest.fixture
def reset_config_sections() -> c.Iterator[None]:
    """Let this test define configuration classes for any section; afterwards the sections belong to whom they did."""
    from buvar import config

    former = config.Config.__buvar_config_sections__
    config.Config.__buvar_config_sections__ = {}
    yield
    config.Config.__buvar_config_sections__ = former


def _set_up_before(request: pytest.FixtureRequest, name: str) -> None:
    """Set up the fixture *name* first, if the test asks for it, in whatever order it does."""
    if name in request.fixturenames:
        request.getfixturevalue(name)


def _set_up_overrides(request: pytest.FixtureRequest) -> None:
    """Set up those fixtures of the test first that override, and need no stage, in whatever order it asks for them.

    One that takes the request, and not for its parameter, may ask by hand for the stage: it has its turn as usual.
    """
    info = getattr(request.node, "_fixtureinfo", None)
    definitions = {} if info is None else info.name2fixturedefs
    needs = {name: _needs(name, definitions) for name in request.fixturenames}
    override = {name for name, needed in needs.items() if "buvar_override" in needed and "buvar_stage" not in needed}
    by_hand = {
        name
        for name in override - {"buvar_override"}
        if any("request" in each.argnames and not each.params for each in definitions.get(name, ()))
    }
    for name in request.fixturenames:
        if name in override and by_hand.isdisjoint(needs[name]):
            request.getfixturevalue(name)


def _needs(name: str, definitions: c.Mapping[str, c.Sequence[pytest.FixtureDef[t.Any]]]) -> set[str]:
    """Return the fixture *name* and all those that it asks for, directly or not."""
    found, new = set(), {name}
    while new:
        found |= new
        new = {each for one in new for fixture in definitions.get(one, ()) for each in fixture.argnames} - found
    return found


def _asyncio_plugin(config: pytest.Config) -> t.Any:
    """Return pytest-asyncio if this run has it; it is not imported for our sake."""
    found = (config.pluginmanager.get_plugin(name) for name in ("asyncio", "pytest_asyncio.plugin"))
    return next((plugin for plugin in found if hasattr(plugin, "is_async_test")), None)


def _loop_fixture_for(request: pytest.FixtureRequest) -> str | None:
    """Return the fixture that gives the loop of this test (of its async fixtures, if it is not async itself)."""
    asyncio_plugin = _asyncio_plugin(request.config)
    if asyncio_plugin is None:
        return None
    if not asyncio_plugin.is_async_test(request.node):
        return _loop_fixture_name(None)
    mark = request.node.get_closest_marker("asyncio")
    # `scope` is the older word of pytest-asyncio for the same
    scope = mark.kwargs.get("loop_scope") or mark.kwargs.get("scope")
    return _loop_fixture_name(scope or request.config.getini("asyncio_default_test_loop_scope"))


def _loop_fixture_name(scope: str | None) -> str:
    return f"_buvar_{scope or 'fixture'}_loop"


def _loop_fixtures(asyncio_plugin: t.Any) -> object:
    """Return a pytest plugin that has, for each scope of loops, an async fixture that is the loop it runs on."""

    def loop_fixture(scope: str | None) -> t.Any:
        async def running_loop(_: object) -> asyncio.AbstractEventLoop:
            return asyncio.get_running_loop()

        return asyncio_plugin.fixture(loop_scope=scope, name=_loop_fixture_name(scope))(running_loop)

    return type("LoopFixtures", (), {f"{scope}_loop": loop_fixture(scope) for scope in (None, *_LOOP_SCOPES)})()

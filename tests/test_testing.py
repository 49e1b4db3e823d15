"""The pytest plugin is tested from outside: each test runs pytest in a process and a folder of its own.

Where nothing but what a fixture does is in question, the test asks for that fixture itself.
"""

import importlib.metadata
import os
import signal
import subprocess
import sys
import textwrap
import typing

import pytest

from buvar import context, di

INI = """
[pytest]
asyncio_mode = {mode}
asyncio_default_fixture_loop_scope = function
filterwarnings = error
"""
BARE_INI = """
[pytest]
filterwarnings = error
"""
# where buvar lies beside the tests and is not installed, pytest does not find its plugin by itself
INSTALLED = bool(importlib.metadata.entry_points(group="pytest11", name="buvar"))
OURS = ("-p", "buvar.testing")
ASYNCIO = ("-p", "pytest_asyncio.plugin")

pytestmark = pytest.mark.slow

MODES = ("auto", "strict")

PLUGIN = """
from buvar import context, plugin

events = []

async def prepare(teardown: plugin.Teardown):
    events.append("prepare")
    context.add("foobar")
    teardown.add(lambda: print("TORN DOWN", flush=True))
    yield never_run()
    yield
    print("FINISHED", context.get(str), flush=True)

async def other():
    context.add(42)

async def never_run():
    raise AssertionError("tasks are not run")
"""


@pytest.fixture
def inner(pytester, monkeypatch):
    """Run pytest over a file with this text: ``inner(text, *arguments, mode="auto")``; None: no pytest-asyncio.

    Only the plugins in question are loaded, all others take long to import; with *finds* pytest finds its plugins.
    """
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([os.fspath(pytester.path), *([] if INSTALLED else [root])]))
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    pytester.makepyfile(the_plugin=PLUGIN)

    def run(text, *arguments, mode="auto", finds=False):
        pytester.makeini(BARE_INI if mode is None else INI.format(mode=mode))
        pytester.makepyfile(test_inner=textwrap.dedent(text))
        if finds:
            plugins = () if INSTALLED else OURS
        else:
            monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
            plugins = OURS if mode is None else (*OURS, *ASYNCIO)
        return pytester.runpytest_subprocess("-W", "error", "--strict-markers", *plugins, *arguments)

    return run


# -- the test runs in the context of its plugins


@pytest.mark.parametrize("mode", MODES)
def test_an_async_test_runs_in_the_context_of_its_plugins(inner, mode):
    """What the marked plugins added, the test finds, on the loop of the stage; so does one test after another."""
    inner(
        """
        import asyncio
        import pytest
        from buvar import context, plugin

        @pytest.mark.asyncio
        @pytest.mark.buvar_plugins("the_plugin")
        async def test_context(buvar_stage, buvar_stage_loop):
            assert context.get(str) == "foobar"
            assert context.get(plugin.Cancel) is buvar_stage.cancel
            assert asyncio.get_running_loop() is buvar_stage.loop is buvar_stage_loop

        @pytest.mark.asyncio
        @pytest.mark.buvar_plugins("the_plugin", "the_plugin:other")
        async def test_another():
            assert context.get(int) == 42
            assert await asyncio.create_task(look()) == "foobar"

        async def look():
            return context.get(str)
        """,
        mode=mode,
    ).assert_outcomes(passed=2)


@pytest.mark.parametrize("mode", [*MODES, None])
def test_a_plain_test_runs_in_the_context_of_its_plugins(inner, mode):
    """A test that is not async needs no pytest-asyncio; the stage has a loop that it can use."""
    inner(
        """
        import pytest
        from buvar import context, plugin

        @pytest.mark.buvar_plugins("the_plugin")
        def test_context(buvar_stage):
            assert context.get(str) == "foobar"
            assert not buvar_stage.loop.is_running()

        @pytest.mark.buvar_plugins()
        def test_load(buvar_load, buvar_stage_loop):
            buvar_stage_loop.run_until_complete(buvar_load("the_plugin"))
            assert context.get(str) == "foobar"

        class TestMethods:
            @pytest.mark.buvar_plugins("the_plugin")
            def test_method(self, tmp_path):
                assert context.get(str) == "foobar"
        """,
        mode=mode,
    ).assert_outcomes(passed=3)


@pytest.mark.parametrize("mode", MODES)
def test_plugins_can_be_loaded_in_the_test(inner, mode):
    """`await buvar_load(…)` loads more plugins; the test finds what they add, with an empty marker or without one."""
    inner(
        """
        import pytest
        from buvar import context, plugin
        import the_plugin

        pytestmark = pytest.mark.asyncio

        @pytest.mark.buvar_plugins()
        async def test_marked(buvar_load):
            await buvar_load(the_plugin.prepare)
            assert context.get(str) == "foobar"
            assert context.get(plugin.Cancel)

        async def test_unmarked(buvar_load):
            await buvar_load("the_plugin")
            assert context.get(str) == "foobar"

        async def test_by_context(buvar_plugin_context, buvar_load):
            await buvar_load("the_plugin")
            assert context.current_context() is buvar_plugin_context
        """,
        mode=mode,
    ).assert_outcomes(passed=3)


@pytest.mark.parametrize("scope", ["function", "session"])
def test_the_stage_is_on_the_loop_of_the_test(inner, scope):
    """Whatever scope of loop the test asks pytest-asyncio for, by a marker or by default, the stage has it too."""
    inner(
        """
        import asyncio
        import pytest

        def make(scope):
            @pytest.mark.asyncio(loop_scope=scope)
            @pytest.mark.buvar_plugins("the_plugin")
            async def test_marked(self, buvar_stage):
                assert buvar_stage.loop is asyncio.get_running_loop()

            return test_marked

        class TestScopes:
            test_function, test_class, test_module, test_package, test_session = map(
                make, ["function", "class", "module", "package", "session"]
            )

            @pytest.mark.asyncio
            @pytest.mark.buvar_plugins("the_plugin")
            async def test_by_default(self, buvar_stage):
                assert buvar_stage.loop is asyncio.get_running_loop()
        """,
        "-o",
        f"asyncio_default_test_loop_scope={scope}",
        mode="strict",
    ).assert_outcomes(passed=6)


def test_async_fixtures_and_the_stage_share_a_loop(inner):
    """Also where the test itself is not async, what an async fixture makes belongs to the loop of the stage."""
    inner(
        """
        import asyncio
        import pytest
        from buvar import context

        @pytest.fixture
        async def made(buvar_load, buvar_stage):
            assert asyncio.get_running_loop() is buvar_stage.loop
            return asyncio.get_running_loop().create_future()

        @pytest.mark.buvar_plugins("the_plugin")
        def test_plain(made, buvar_stage):
            assert made.get_loop() is buvar_stage.loop

        @pytest.mark.buvar_plugins("the_plugin")
        async def test_async(made, buvar_stage):
            assert made.get_loop() is asyncio.get_running_loop()
        """
    ).assert_outcomes(passed=2)


def test_uvloop(inner, pytester):
    """With another kind of loop for the tests, the stage is on that one."""
    pytest.importorskip("uvloop")
    pytester.makeconftest(
        """
        import uvloop

        def pytest_asyncio_loop_factories(config, item):
            return {"uvloop": uvloop.new_event_loop}
        """
    )
    inner(
        """
        import asyncio
        import pytest
        import uvloop
        from buvar import context

        @pytest.mark.buvar_plugins("the_plugin")
        async def test_async(buvar_stage):
            assert isinstance(asyncio.get_running_loop(), uvloop.Loop)
            assert asyncio.get_running_loop() is buvar_stage.loop
            assert context.get(str) == "foobar"
        """
    ).assert_outcomes(passed=1)


def test_tests_run_in_parallel(inner):
    """The processes of pytest-xdist do not get in each other's way."""
    pytest.importorskip("xdist")
    inner(
        """
        import pytest
        from buvar import context

        @pytest.mark.asyncio
        @pytest.mark.parametrize("number", range(6))
        @pytest.mark.buvar_plugins("the_plugin")
        async def test_context(number):
            assert context.get(str) == "foobar"
        """,
        "-n",
        "2",
        finds=True,
    ).assert_outcomes(passed=6)


def test_hypothesis_tests_run_in_the_context(inner):
    """A property, async or not, runs in the context of the plugins with each of its examples."""
    inner(
        """
        import pytest
        from hypothesis import given, settings, strategies
        from buvar import context

        @pytest.mark.buvar_plugins("the_plugin")
        @settings(max_examples=5, deadline=None, database=None)
        @given(strategies.integers())
        async def test_async(number):
            assert context.get(str) == "foobar"

        @pytest.mark.buvar_plugins("the_plugin")
        @settings(max_examples=5, deadline=None, database=None)
        @given(strategies.integers())
        def test_plain(number):
            assert context.get(str) == "foobar"
        """,
        finds=True,
    ).assert_outcomes(passed=2)


# -- the marker


def test_the_closest_marker_counts(inner):
    """A marker on the test replaces that of the module, and one on a set of parameters is for that set alone.

    A marker of pytest that is called with one function takes it for the test; `with_args` does not.
    """
    inner(
        """
        import pytest
        import the_plugin
        from buvar import context

        @pytest.mark.buvar_plugins("the_plugin")
        class TestClosest:
            def test_class(self):
                assert context.get(str) == "foobar"

            @pytest.mark.buvar_plugins.with_args(the_plugin.other)
            def test_own(self):
                assert context.get(str, default=None) is None
                assert context.get(int) == 42

        marked = pytest.mark.buvar_plugins("the_plugin")

        @pytest.mark.parametrize("expected", [pytest.param("foobar", marks=marked), None])
        def test_either(expected):
            assert context.get(str, default=None) == expected
        """
    ).assert_outcomes(passed=4)


def test_the_marker_is_explained(inner):
    """`pytest --markers` and `--fixtures` tell what there is, and pytest finds the plugin where it is installed."""
    result = inner("", "--markers", finds=True)
    result.stdout.fnmatch_lines(["@pytest.mark.buvar_plugins(*plugins): *"])
    result = inner("", "--fixtures")
    result.stdout.fnmatch_lines(["buvar_load *"])


def test_a_marked_test_needs_no_fixture_of_its_own(inner):
    """Fixtures that the test asks for are set up before the plugins are loaded, so that they can prepare the ground."""
    inner(
        """
        import os
        import pytest
        from buvar import context, plugin

        async def prepare():
            context.add(os.environ["GROUND"])

        @pytest.fixture
        def ground(monkeypatch):
            monkeypatch.setenv("GROUND", "ready")

        @pytest.mark.buvar_plugins("test_inner")
        def test_ground(ground):
            assert context.get(str) == "ready"
        """
    ).assert_outcomes(passed=1)


# -- configuration and context


def test_the_configuration_is_a_component(inner):
    """What a test puts into buvar_config_source, the plugins find; both can be overridden."""
    inner(
        """
        import attrs
        import pytest
        from buvar import config, context

        @attrs.define
        class Shop(config.Config, section="shop"):
            name: str

        async def prepare(shop: Shop):
            context.add(shop.name)

        async def load_config(load: "plugin.Loader"):
            await load("buvar.config", prepare)

        from buvar import plugin

        @pytest.fixture
        def buvar_config_source():
            return config.ConfigSource({"shop": {"name": "overridden"}})

        @pytest.fixture
        def buvar_context(buvar_context):
            buvar_context.add(1.5)
            return buvar_context

        @pytest.mark.buvar_plugins("test_inner:load_config")
        async def test_config(buvar_config_source):
            assert context.get(str) == "overridden"
            assert context.get(float) == 1.5
            assert context.get(config.ConfigSource) is buvar_config_source
        """
    ).assert_outcomes(passed=1)


def test_fixtures_that_reset(inner):
    """Adapters, the current context and the sections of configuration are fresh in one test and back in the next."""
    inner(
        """
        import attrs
        import pytest
        from buvar import config, context, di

        class Thing: ...

        @attrs.define
        class First(config.Config, section="first"): ...

        def test_adapters(buvar_adapters_setup_contextvars):
            di.register(Thing)
            assert len(list(di.buvar_adapters.get())) == 1

        def test_adapters_are_back():
            assert Thing not in [each.implementation for each in di.buvar_adapters.get()]

        async def test_adapters_in_async_tests(buvar_adapters_setup_contextvars):
            di.register(Thing)
            assert isinstance(await di.nject(Thing), Thing)

        def test_context(reset_buvar_context):
            context.add("here")
            assert context.get(str) == "here"

        def test_context_is_back():
            assert context.get(str, default=None) is None

        def test_sections(reset_config_sections):
            @attrs.define
            class Other(config.Config, section="first"): ...

        def test_sections_are_back():
            with pytest.raises(config.ConfigError):
                class Other(config.Config, section="first"): ...
        """
    ).assert_outcomes(passed=7)


def test_what_a_test_adds_is_gone_in_the_next(inner):
    """Each test has a stage and a context of its own."""
    inner(
        """
        import pytest
        from buvar import context

        @pytest.mark.parametrize("number", range(2))
        @pytest.mark.buvar_plugins("the_plugin")
        async def test_add(number):
            assert context.get(bytes, default=None) is None
            context.add(b"added")

        def test_outside():
            assert context.get(bytes, default=None) is None
            assert context.get(str, default=None) is None
        """
    ).assert_outcomes(passed=3)


def test_functions_can_be_wrapped(inner):
    """wrap_in_buvar_plugin_context runs a function, async or not, in the context that it is given."""
    inner(
        """
        import pytest
        from buvar import context, testing

        def look(prefix, *, suffix):
            return prefix + context.get(str) + suffix

        async def look_async(prefix, *, suffix):
            return look(prefix, suffix=suffix)

        async def test_wrapped(buvar_stage, buvar_context):
            buvar_context.add("wrapped")
            for function in (look, look_async):
                wrapped = testing.wrap_in_buvar_plugin_context(buvar_context, function)
                assert wrapped.__name__ == function.__name__
                found = wrapped("<", suffix=">")
                assert (found if isinstance(found, str) else await found) == "<wrapped>"
            assert context.get(str, default=None) is None
        """
    ).assert_outcomes(passed=1)


# -- overrides


class Mailer:
    pass


class FakeMailer(Mailer):
    pass


class Shop:
    def __init__(self, mailer: Mailer):
        self.mailer = mailer


async def prepare_shop():
    di.register(Mailer)
    di.singleton(Shop)


@pytest.mark.parametrize("is_built", [False, True])
async def test_an_override_wins(buvar_override, buvar_load, buvar_adapters_setup_contextvars, is_built):
    """The fake is taken before anything is built and after, of adapters and components; the last one wins."""
    if is_built:
        await buvar_load(prepare_shop)
        assert type((await di.nject(Shop)).mailer) is Mailer
        context.add(Mailer())
    fake = buvar_override(Mailer, FakeMailer())
    if not is_built:
        await buvar_load(prepare_shop)
    assert (await di.nject(Shop)).mailer is fake
    assert await di.nject(Mailer, mailer=Mailer()) is fake
    last = buvar_override(Mailer, FakeMailer())
    assert (await di.nject(Shop)).mailer is last is not fake


async def test_an_override_may_be_for_one_name(buvar_override, buvar_load):
    """With a name, the fake stands in for the component of that name alone."""
    context.add(real := Mailer(), name="primary")
    fake = buvar_override(Mailer, FakeMailer(), "replica")
    assert await di.nject(typing.Annotated[Mailer, di.Name("replica")]) is fake
    assert await di.nject(typing.Annotated[Mailer, di.Name("primary")]) is real


def test_overrides_are_undone_in_any_case(inner):
    """They hold until the stage is torn down, and are gone in the next test, also after a failure."""
    result = inner(
        """
        import pytest
        from buvar import di, plugin

        @pytest.fixture
        def faked(buvar_override):
            buvar_override(str, "fake")

        def real() -> str:
            return "real"

        async def prepare(teardown: plugin.Teardown):
            async def told():
                print("AT TEARDOWN", await di.nject(str))

            di.register(real)
            teardown.add(told)

        @pytest.mark.buvar_plugins("test_inner")
        async def test_fails(buvar_stage, faked):
            assert await di.nject(str) == "real"

        @pytest.mark.buvar_plugins("test_inner")
        async def test_next():
            assert await di.nject(str) == "real"
        """,
        "-s",
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*AT TEARDOWN fake*", "*AT TEARDOWN real*"])


@pytest.mark.parametrize("mode", ["auto", None])
def test_fixtures_that_override_come_first(inner, mode):
    """A fixture that overrides acts before the plugins are loaded, wherever the test names it, unless it needs them."""
    inner(
        """
        import pytest
        from buvar import context, di, plugin
        from buvar.di import nject_now

        @pytest.fixture
        def fake(buvar_override):
            return buvar_override(str, "fake")

        @pytest.fixture
        def faked(fake):
            return fake

        @pytest.fixture
        def late(buvar_override, buvar_plugin_context):
            assert buvar_plugin_context.get(tuple) == ("real",)
            return buvar_override(str, "late")

        def real() -> str:
            return "real"

        async def prepare():
            di.register(real)
            context.add((await di.nject(str),))

        @pytest.mark.buvar_plugins("test_inner")
        def test_named_last(buvar_plugin_context, faked):
            assert buvar_plugin_context.get(tuple) == ("fake",)

        @pytest.mark.buvar_plugins("test_inner")
        @pytest.mark.usefixtures("fake")
        def test_used(buvar_plugin_context):
            assert buvar_plugin_context.get(tuple) == ("fake",)

        @pytest.mark.buvar_plugins("test_inner")
        def test_needs_the_plugins(buvar_plugin_context, late):
            assert (buvar_plugin_context.get(tuple), nject_now(str)) == (("real",), "late")

        @pytest.mark.buvar_plugins("test_inner")
        def test_no_override(buvar_plugin_context):
            assert buvar_plugin_context.get(tuple) == ("real",)

        class TestAsksByHand:
            @pytest.fixture
            def fake(self, request, buvar_override):
                assert request.getfixturevalue("buvar_plugin_context").get(tuple) == ("real",)
                return buvar_override(str, "fake")

            @pytest.mark.buvar_plugins("test_inner")
            def test_it(self, fake):
                assert nject_now(str) == "fake"
        """,
        mode=mode,
    ).assert_outcomes(passed=5)


# -- teardown


@pytest.mark.parametrize("mode", [*MODES, None])
def test_the_stage_is_torn_down_whatever_comes_of_the_test(inner, mode):
    """Teardown and suspended plugins run at the end of the test, on its loop; tasks that never ran warn of nothing."""
    marks, define = ("", "def") if mode is None else ("@pytest.mark.asyncio", "async def")
    result = inner(
        f"""
        import pytest

        pytestmark = pytest.mark.buvar_plugins("the_plugin")

        {marks}
        {define} test_passes():
            print("PASSES")

        {marks}
        {define} test_fails():
            print("FAILS")
            raise AssertionError
        """,
        "-s",
        mode=mode,
    )
    result.assert_outcomes(passed=1, failed=1)
    told = [word for word in str(result.stdout).split() if word.lstrip(".F") in {"PASSES", "AILS", "INISHED", "TORN"}]
    assert told[:6] == ["PASSES", "FINISHED", "TORN", "FAILS", "FINISHED", "TORN"]
    result.stdout.no_fnmatch_line("*never awaited*")
    result.stderr.no_fnmatch_line("*never awaited*")


def test_a_plugin_that_fails_is_an_error_of_the_set_up(inner):
    """The error is the plugin's own, with its note, and what was set up before is torn down."""
    result = inner(
        """
        import pytest

        async def failing():
            raise OSError("the database is away")

        @pytest.mark.buvar_plugins("the_plugin", "test_inner:failing")
        async def test_never_run():
            raise AssertionError("not run")
        """,
        "-s",
    )
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines_random(
        ["*OSError: the database is away*", "*while preparing plugin test_inner:failing*", "*TORN DOWN*"]
    )


def test_a_failed_teardown_is_an_error_of_the_test(inner):
    """It is reported after the result of the test itself."""
    result = inner(
        """
        import pytest
        from buvar import plugin

        async def clumsy(teardown: plugin.Teardown):
            def fails():
                raise OSError("cannot close")

            teardown.add(fails)

        @pytest.mark.buvar_plugins("test_inner:clumsy")
        async def test_fine(): ...
        """
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*cannot close*"])


def test_cancel_is_set_before_teardown(inner):
    """What a plugin or the test started and what waits for the end of the stage, learns of it."""
    result = inner(
        """
        import asyncio
        import pytest
        from buvar import context, plugin

        kept = []

        async def prepare(cancel: plugin.Cancel, teardown: plugin.Teardown):
            async def server():
                await cancel.wait()
                print("SERVER ENDED")

            kept.append(asyncio.create_task(server()))
            teardown.add(kept[0])

        @pytest.mark.buvar_plugins("test_inner")
        async def test_fine():
            assert not context.get(plugin.Cancel).is_set()
        """,
        "-s",
    )
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*SERVER ENDED*"])


def test_a_test_may_run_the_tasks_or_the_whole_stage(inner):
    """A plain test takes the stage through its phases itself; the tear-down afterwards finds nothing left to do."""
    inner(
        """
        import pytest
        from buvar import context, plugin

        async def prepare():
            async def task():
                return "result"

            yield task()

        def test_run(buvar_stage):
            assert buvar_stage.run(prepare) == ["result"]

        @pytest.mark.buvar_plugins("test_inner")
        def test_run_tasks(buvar_stage):
            assert buvar_stage.run_tasks() == ["result"]

        @pytest.mark.buvar_plugins("test_inner")
        async def test_run_in_async(buvar_load):
            assert await plugin.run(buvar_load.tasks, evt_cancel=context.get(plugin.Cancel)) == ["result"]
        """
    ).assert_outcomes(passed=3)


# -- an unrelated run


UNRELATED = """
import asyncio
import signal
import sys
import threading

def test_plain(request):
    assert [name for name in request.fixturenames if "buvar" in name] == []
    assert threading.active_count() == 1
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert asyncio._get_running_loop() is None

def test_modules():
    assert not {"aiohttp", "uvloop", "pytest_asyncio", "toml", "mock", "pytest_mock"} & set(sys.modules)
"""


def test_an_unrelated_run_is_unchanged(inner):
    """Nothing works unasked: no fixture, no signal handler, no thread, no optional package that is imported."""
    inner(UNRELATED, "-p", "buvar_aiohttp.testing", mode=None).assert_outcomes(passed=2)


def test_our_plugins_need_no_optional_package():
    """Both plugins can be imported where neither aiohttp nor pytest-asyncio is installed, and set nothing up."""
    code = """
    import sys, logging
    for name in ("aiohttp", "uvloop", "pytest_asyncio", "toml"):
        sys.modules[name] = None
    import structlog
    import buvar.testing, buvar_aiohttp.testing
    assert not structlog.is_configured()
    assert not logging.getLogger().handlers
    """
    done = subprocess.run([sys.executable, "-W", "error", "-c", textwrap.dedent(code)], check=False, timeout=50)
    assert done.returncode == 0


def test_signals_stay_pytests(inner):
    """While plugins are loaded, Ctrl-C still ends the run, and nothing else is taken over."""
    result = inner(
        """
        import asyncio
        import os
        import signal
        import pytest

        @pytest.mark.buvar_plugins("the_plugin")
        async def test_handlers(buvar_stage):
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL

        @pytest.mark.buvar_plugins("the_plugin")
        async def test_interrupted():
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(30)

        def test_never_run():
            print("NEVER RUN")
        """,
        "-s",
    )
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(["*KeyboardInterrupt*"])
    result.stdout.no_fnmatch_line("*NEVER RUN*")
    # the first and the interrupted one are torn down
    assert str(result.stdout).count("TORN DOWN") == 2
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buvar import Components, ConfigSource, context, errors, plugin
from buvar.plugins import flags

BOOLEAN = "a boolean (true or false; as text also yes, on, 1, no, off, 0)"
NEW = flags.Flag("new-checkout", help="Pay on one page")
OLD = flags.Flag("old_search", default=True)


def declare(*declared):
    """Return an open plugin that declares flags."""

    async def prepare():
        for each in declared:
            context.add(each)

    return prepare


def staged(use, *plugins, source=None, **values):
    """Run `use` in a task of a stage that has loaded the plugin and others, and return what it returns."""

    async def prepare(load: plugin.Loader):
        await load("buvar.plugins.flags", *plugins)

        async def task():
            return use()

        yield task()

    passed = Components()
    passed.add(ConfigSource({"flags": values} if values else {}, env_prefix="APP") if source is None else source)
    result, *_ = plugin.stage(prepare, components=passed)
    if isinstance(result, BaseException):
        raise result
    return result


def both():
    return flags.is_on("new-checkout"), flags.is_on(OLD)


def told(caught):
    """Return the lines of the one error of a check."""
    (error,) = caught.value.exceptions
    return str(error).splitlines()


def test_a_flag_is_what_it_was_declared_as():
    """Where nothing is configured each flag has its default, which is off if nothing is said."""
    assert staged(both, declare(NEW, OLD)) == (False, True)


def test_the_configuration_switches_flags():
    """The section has the names of the flags as keys, with dashes and all."""
    values = {"new-checkout": True, "old_search": "off"}
    assert staged(both, declare(NEW, OLD), **values) == (True, False)


def test_the_environment_and_options_switch_flags(monkeypatch, tmp_path):
    """As for all configuration, the environment wins over files, and an option over the environment."""
    path = tmp_path / "config.toml"
    path.write_text("[flags]\nnew-checkout = false\nold_search = true\n")
    monkeypatch.setenv("APP_FLAGS_NEW_CHECKOUT", "on")
    monkeypatch.setenv("APP_FLAGS_OLD_SEARCH", "yes")
    source = ConfigSource.read(path, env_prefix="APP")
    source.override("flags.old_search", "false")
    assert staged(both, declare(NEW, OLD), source=source) == (True, False)


def test_without_a_configuration_there_are_defaults():
    """A stage that has no ConfigSource has flags all the same."""

    async def prepare(load: plugin.Loader):
        await load("buvar.plugins.flags", declare(NEW, OLD))
        assert both() == (False, True)

    plugin.stage(prepare)


def test_nothing_declared_is_fine():
    """Where no flags are declared there are none."""
    assert staged(flags.load_flags) == {}


def test_what_is_wrong_stops_the_start(tmp_path):
    """Misspelt keys, with the nearest flag, and values that are no booleans are told at once, with file and line."""
    path = tmp_path / "config.toml"
    path.write_text('[flags]\nnew-chekout = true\nold_search = "ture"\n')
    with pytest.raises(ExceptionGroup) as caught:
        staged(both, declare(NEW, OLD), source=ConfigSource.read(path))
    assert told(caught) == [
        f"flags.old_search: expected {BOOLEAN}, got 'ture' ({path}:3)",
        f"flags.new-chekout: unknown key; did you mean 'new-checkout'? ({path}:2)",
    ]


@pytest.mark.parametrize("value", [1, 0, 1.0, None, [], {}, "ja", ""])
def test_a_value_is_a_boolean(value):
    """What is no boolean, and no text that stands for one, is an error."""
    with pytest.raises(ExceptionGroup) as caught:
        staged(both, declare(NEW, OLD), old_search=value)
    (line,) = told(caught)
    assert line.startswith("flags.old_search: expected a boolean")


def test_a_section_that_is_no_table_is_an_error():
    """A value in place of the section stops the start."""
    with pytest.raises(ExceptionGroup) as caught:
        staged(both, declare(NEW, OLD), source=ConfigSource({"flags": True}))
    assert told(caught) == ["flags: expected a table, got a boolean"]


def test_two_names_with_one_variable_are_an_error():
    """Names that differ in dashes alone would share an environment variable, which is told by both names."""
    with pytest.raises(ExceptionGroup) as caught:
        staged(both, declare(flags.Flag("a-b"), flags.Flag("a_b")))
    assert "a-b and a_b share the environment variable APP_FLAGS_A_B" in told(caught)[0]


def test_two_of_one_name_stop_the_start():
    """Where two walled plugins have flags of one name, that is told once, with both."""
    one, two = (plugin.exports()(declare(flags.Flag("new", default=default))) for default in (False, True))
    with pytest.raises(ExceptionGroup) as caught:
        staged(both, one, two)
    assert len(told(caught)) == 1
    assert "Flag 'new' is declared twice" in told(caught)[0]


def test_a_walled_plugin_declares_flags_too():
    """A flag of a walled plugin is switched and asked for as any other, inside and outside of the walls."""
    seen = []

    @plugin.exports()
    async def walled():
        context.add(NEW)

        async def task():
            seen.append(flags.is_on(NEW))

        yield task()

    assert staged(lambda: flags.is_on(NEW), walled, **{"new-checkout": True}) is True
    assert seen == [True]


@pytest.mark.parametrize(
    ("name", "hint"),
    [("new-chekout", "; did you mean 'new-checkout'?"), ("x", "; load the plugin that declares it, or add a Flag")],
)
def test_who_asks_for_what_nobody_declares_is_told(name, hint):
    """A flag that is not declared is an error, with the nearest; it is never taken for off."""
    with pytest.raises(errors.UndeclaredError) as caught:
        staged(lambda: flags.is_on(name), declare(NEW, OLD))
    assert str(caught.value) == f"no flag {name!r} is declared{hint}"
    assert isinstance(caught.value, LookupError)


def test_plugins_ask_while_they_prepare():
    """A plugin may load another one by a flag, though the section has flags of plugins that are loaded later."""
    loaded = []

    async def checkout():
        loaded.append(True)

    async def shop(load: plugin.Loader):
        context.add(NEW)
        if flags.is_on(NEW):
            await load(checkout)
        with pytest.raises(errors.UndeclaredError):
            flags.is_on(OLD)

    assert staged(both, shop, declare(OLD), **{"new-checkout": True, "old_search": False}) == (True, False)
    assert loaded == [True]


def test_a_wrong_value_is_told_while_plugins_prepare():
    """Who asks early is told what is wrong with the values, where only the unknown keys cannot be judged yet."""

    async def shop():
        context.add(NEW)
        flags.is_on(NEW)

    with pytest.raises(errors.ConfigError, match=r"^flags.new-checkout: expected a boolean .*, got 'ture'"):
        staged(both, shop, **{"new-checkout": "ture", "later": "true"})


def test_flags_are_read_once(monkeypatch):
    """What the environment becomes while the service runs changes nothing."""

    def use():
        monkeypatch.setenv("APP_FLAGS_NEW_CHECKOUT", "true")
        return flags.is_on(NEW)

    assert staged(use, declare(NEW)) is False


def test_a_flag_that_is_declared_late_is_found():
    """A task may declare a flag, and ask for it then."""

    def use():
        context.add(NEW)
        return flags.is_on(NEW)

    assert staged(use, declare(OLD)) is False


def test_an_override_is_for_a_block():
    """In the block the flag is what was said, the last one said, and afterwards it is what it was."""

    def use():
        seen = [both()]
        with flags.override(NEW), flags.override("old_search", False):
            seen.append(both())
            with flags.override(NEW, False):
                seen.append(both())
            seen.append(both())
        return [*seen, both()]

    assert staged(use, declare(NEW, OLD)) == [
        (False, True),
        (True, False),
        (False, False),
        (True, False),
        (False, True),
    ]


def test_an_override_is_undone_after_an_error():
    """A block that fails leaves the flag as it was."""

    def use():
        with pytest.raises(KeyError), flags.override(NEW):
            raise KeyError
        return flags.is_on(NEW)

    assert staged(use, declare(NEW)) is False


def test_only_what_is_declared_is_overridden():
    """A test that misspells a flag is told."""

    def use():
        with flags.override("new-chekout"):
            pass

    with pytest.raises(errors.UndeclaredError, match="did you mean 'new-checkout'"):
        staged(use, declare(NEW))


def test_without_the_plugin_there_are_no_flags():
    """Who asks where the plugin is not loaded is told."""
    with context.child(), pytest.raises(errors.ComponentLookupError, match="Flags in the context"):
        flags.is_on(NEW)


@pytest.mark.parametrize("name", ["a.b", "a b", "ä", "a\n", '"a"'])
def test_a_name_is_a_key(name):
    """A name that would need quotes in TOML is refused."""
    with pytest.raises(
        errors.DeclarationError, match="is a key of TOML; write it with letters of ASCII, digits, - and _"
    ):
        flags.Flag(name)


@pytest.mark.parametrize("default", [None, 1, "true"])
def test_a_default_is_a_boolean(default):
    """A default that is no boolean is refused."""
    with pytest.raises(errors.DeclarationError, match="the default of the Flag 'new' is True or False, not"):
        flags.Flag("new", default=default)


@settings(max_examples=30)
@given(st.dictionaries(st.from_regex(r"\A[A-Za-z0-9_-]{1,8}\Z"), st.tuples(st.booleans(), st.none() | st.booleans())))
def test_any_name_is_read_as_it_is_written(given_flags):
    """Whatever the names, keywords and numbers included: each flag has its own value, or else its default."""
    given_flags = {name.replace("_", "-").upper(): value for name, value in given_flags.items()}  # distinct variables
    values = {name: value for name, (_, value) in given_flags.items() if value is not None}
    with context.child() as components:
        components.add(ConfigSource({"flags": values}))
        for name, (default, _) in given_flags.items():
            components.add(flags.Flag(name, default=default))
        found = flags.Flags().load()
    assert found == {name: default if value is None else value for name, (default, value) in given_flags.items()}


SERVICE = """
from buvar import context, plugin
from buvar.plugins import flags

async def prepare(load: plugin.Loader):
    await load("buvar.config", "buvar.plugins.flags")
    context.add(flags.Flag("new-checkout", help="Pay on one page"))
"""


def test_the_commands_know_the_flags(forks, tmp_path):
    """The service is checked, and its configuration is shown and listed, with the flags as they are called."""
    (tmp_path / "flagged_shop.py").write_text(SERVICE)
    (tmp_path / "config.toml").write_text("[flags]\nnew-checkout = true\n")
    run = "import sys; from buvar.cli import main; sys.exit(main())"

    def buvar(*words):
        done = forks.run(run, *words, "flagged_shop", "-c", "config.toml", cwd=tmp_path)
        return done.returncode, done.stdout + done.stderr

    assert "nothing reads" not in "".join(buvar("check")[1])
    code, text = buvar("config", "show")
    assert code == 0
    assert "new-checkout = true" in text
    assert "APP_FLAGS_NEW_CHECKOUT" in buvar("config", "env")[1]
    template = buvar("config", "template")[1]
    assert "# Pay on one page" in template
    assert "new-checkout" in template

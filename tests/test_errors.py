import copy
import importlib
import inspect
import pickle

import pytest

from buvar import diagnostic, errors

EXAMPLES = [
    errors.ComponentLookupError(int),
    errors.ComponentLookupError("key", "name", [None, "other"]),
    errors.NameNotFoundError("a.b", "no module"),
    errors.PluginError("a.b", "it has no prepare"),
    errors.StageError("too late"),
    errors.StartTimeoutError(1.5, {"a.b": "File x"}),
    errors.SocketError("tcp://:80", "in use"),
    errors.SocketURIError("x://", "unknown scheme"),
    errors.AdapterError(len, "no return type", errors.Place("x.py", 3)),
    errors.ResolveError(int, "nothing provides it", ["int", "f(x)"], [errors.ResolveError(str, "neither")]),
    errors.ConfigError("wrong", errors.ConfigProblem("db.port", "is no number", "config.toml:3")),
    errors.ConversionError("an integer", "'x'"),
    errors.MissingFieldError("port"),
    errors.DottedNameError("a:"),
    errors.ExportError("shop.users", int, "it provides none"),
    errors.DeclarationError("two are called x", "two are called y"),
    errors.UndeclaredError("flag", "new"),
    errors.PermissionDenied("orders.read", "orders.write"),
    errors.LeaderError("sweep", "it is no awaitable"),
    errors.IdentityError("user 'shop'", "there is no such user"),
    errors.PidFileError("/run/shop.pid", "process 7 has it", 7),
    errors.ControlError("/run/x.sock", "no answer"),
    errors.NoServiceError("nobody is there"),
    errors.DiagnosticError(diagnostic.Diagnostic("BV901", "a check fails")),
]


def test_all_are_errors_of_buvar():
    """Every exception of the module descends from BuvarError, and is caught as such."""
    found = [item for _, item in inspect.getmembers(errors, inspect.isclass) if issubclass(item, BaseException)]
    assert all(issubclass(item, errors.BuvarError) for item in found)


def test_all_are_shown_here():
    """Every exception that is raised with fields stands among the examples of this test."""
    found = {item for _, item in inspect.getmembers(errors, inspect.isclass) if issubclass(item, Exception)}
    assert found - {type(error) for error in EXAMPLES} <= {errors.BuvarError, errors.UsageError}


def test_a_note_is_added_where_the_error_allows_it(rigid):
    """An error of whatever class is noted; one that allows no attributes stays as it is."""
    error, stiff = ValueError("x"), rigid("stiff")
    errors.note(error, "while testing")
    errors.note(stiff, "while testing")
    assert error.__notes__ == ["while testing"]
    assert not hasattr(stiff, "__notes__")


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_each_writes_a_sentence(error):
    """Each error has a text for people, that is not the repr of its arguments."""
    assert str(error)
    assert str(error) != str(error.args)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (EXAMPLES[0], LookupError),
        (EXAMPLES[2], ImportError),
        (EXAMPLES[3], ValueError),
        (EXAMPLES[4], RuntimeError),
        (EXAMPLES[5], TimeoutError),
        (EXAMPLES[6], OSError),
        (EXAMPLES[7], ValueError),
        (EXAMPLES[7], TypeError),
        (EXAMPLES[10], ValueError),
    ],
)
def test_each_is_the_builtin_that_says_the_same(error, kind):
    """Code that catches the built-in type goes on working."""
    assert isinstance(error, kind)


def test_what_was_not_found():
    """A look-up says what was wanted and what there is instead."""
    assert str(EXAMPLES[0]).startswith("no component int in the context; add one")
    assert str(EXAMPLES[1]) == "no component 'key' named 'name' in the context; there is unnamed, 'other'"


def test_resolve_errors_show_the_path_and_the_causes():
    """A resolve error shows who needed whom, and why each candidate failed, indented."""
    assert str(EXAMPLES[9]) == "int <- f(x): nothing provides it\n  str: neither"


def test_config_errors_show_all_problems():
    """A configuration error has a line for each problem, with its place where there is one."""
    error = EXAMPLES[10]
    assert str(error) == "wrong\ndb.port: is no number (config.toml:3)"
    assert [problem.path for problem in error.problems] == ["", "db.port"]


def test_an_adapter_error_points_to_a_line():
    """An adapter error names the callable and its place."""
    assert str(EXAMPLES[8]) == "len (x.py:3) cannot be an adapter: no return type"


def test_a_start_that_takes_too_long_names_who_is_stuck():
    """A start-up timeout names the plugins that still prepare, with their stacks."""
    assert str(EXAMPLES[5]) == "not started after 1.5 s, still preparing: a.b\na.b:\nFile x"


def test_a_syntax_error_points_into_its_file(tmp_path, monkeypatch):
    """What does not parse is told by its own line, not by that of the importer."""
    (tmp_path / "broken_syntax.py").write_text("import os\nasync def prepare(:\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SyntaxError) as caught:
        importlib.import_module("broken_syntax")
    assert errors.explain(caught.value).splitlines()[-1].startswith(f"at {tmp_path}/broken_syntax.py:2:")


@pytest.mark.parametrize("folder", ["site-packages", "dist-packages"])
def test_the_line_of_the_service_is_told_and_not_that_of_a_library(tmp_path, monkeypatch, folder):
    """A library that refuses what the service gave it is not where to look, unless there is no other place."""
    installed = tmp_path / folder
    installed.mkdir()
    (installed / f"a_library_{folder[:4]}.py").write_text("def add():\n    raise RuntimeError('never executed')\n")
    name = f"a_shop_{folder[:4]}"
    (tmp_path / f"{name}.py").write_text(f"from a_library_{folder[:4]} import add\ndef prepare():\n    add()\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend(installed)
    shop = importlib.import_module(name)
    with pytest.raises(RuntimeError) as caught:
        shop.prepare()
    assert errors.explain(caught.value).splitlines()[-1] == f"at {tmp_path / name}.py:3 in prepare"
    library = caught.value.with_traceback(caught.tb.tb_next.tb_next)
    assert errors.explain(library).splitlines()[-1] == f"at {installed}/a_library_{folder[:4]}.py:2 in add"


@pytest.mark.parametrize(("word", "answer"), [("prepar", "; did you mean 'prepare'?"), ("something else", "")])
def test_the_nearest_word_is_asked_for(word, answer):
    """A word that is nearly one of those that there are is asked for, and nothing else."""
    assert errors.did_you_mean(word, ["prepare", "teardown"]) == answer


@pytest.mark.parametrize(
    ("key", "name"), [(int, "int"), (errors.Step, "buvar.errors.Step"), ("key", "'key'"), (None, "None")]
)
def test_keys_have_names(key, name):
    """A key is named as a person knows it."""
    assert errors.describe(key) == name


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
def test_each_can_be_copied_and_pickled(error):
    """An error that crosses a process is the same there: type, text, fields and notes."""
    noted = copy.copy(error)
    noted.add_note("a note")
    crossed = pickle.loads(pickle.dumps(noted))
    assert type(crossed) is type(error)
    assert str(crossed) == str(noted)
    assert vars(crossed).keys() == vars(noted).keys()
    assert crossed.__notes__ == ["a note"]
    assert not hasattr(error, "__notes__")

import pathlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buvar import errors, names


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of a name that nothing else has, with modules good and broken; returns a function that writes more."""
    name = f"pkg_{tmp_path.name.replace('-', '_')}"

    def write(**files):
        for path, text in files.items():
            file = tmp_path / name / f"{path}.py"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return name

    monkeypatch.syspath_prepend(tmp_path)
    return write(
        __init__="",
        users="class Users:\n    def find(self): pass\n\nasync def prepare(): pass\n",
        broken="import there_is_no_such_module",
        raising="raise RuntimeError('at import')",
        inner="from . import broken",
        **{"sub/__init__": "", "sub/deep": "x = 1"},
    )


def test_a_module_and_its_attributes_are_found(package):
    """A dotted name leads to a module, a name after a colon to what is in it, at any depth."""
    module = names.resolve(f"{package}.users")
    assert pathlib.Path(module.__file__).name == "users.py"
    assert names.resolve(f"{package}.users:prepare") is module.prepare
    assert names.resolve(f"{package}.users:Users.find") is module.Users.find


@pytest.mark.parametrize(
    ("dotted", "start", "found"),
    [
        (".users", "{}", "{}.users"),
        (".deep", "{}.sub", "{}.sub.deep"),
        ("..users", "{}.sub", "{}.users"),
    ],
)
def test_a_leading_dot_starts_from_the_package(package, dotted, start, found):
    """A relative name is found from the given package."""
    assert names.resolve(dotted, start.format(package)).__name__ == found.format(package)


def test_a_relative_name_with_an_attribute(package):
    """A relative name may have an attribute, too."""
    assert names.resolve(".users:prepare", package).__name__ == "prepare"


def not_found(dotted, start=None):
    with pytest.raises(errors.NameNotFoundError) as caught:
        names.resolve(dotted, start)
    assert isinstance(caught.value, ModuleNotFoundError)
    assert isinstance(caught.value, errors.UsageError)
    assert caught.value.dotted == dotted
    return str(caught.value)


def test_a_missing_module_is_told_with_the_nearest(package):
    """A module that is not there is told by its name, with the one that was probably meant."""
    message = not_found(f"{package}.user")
    assert f"no module '{package}.user' in the package '{package}'" in message
    assert f"did you mean '{package}.users'?" in message


def test_a_missing_package_is_told():
    """A package that is not there is told as such, at any depth of the name."""
    assert "no module 'there_is_none' on the import path" in not_found("there_is_none.sub.deep")


def test_a_missing_attribute_is_told_with_the_nearest(package):
    """An attribute that is not there is told with the one that was probably meant."""
    message = not_found(f"{package}.users:prepar")
    assert f"'{package}.users' has no 'prepar'" in message
    assert "did you mean 'prepare'?" in message


def test_a_module_is_no_package(package):
    """To go on from a module as if it were a package is told as such."""
    assert f"'{package}.users' is a module, not a package, and holds no" in not_found(f"{package}.users.x")


def test_a_dot_in_place_of_a_colon_is_told(package):
    """A function that is asked for as if it were a module is told with the name that it has."""
    told = f"'{package}.users' is a module, not a package; write '{package}.users:prepare'"
    assert told in not_found(f"{package}.users.prepare")
    (pathlib.Path(names.resolve(package).__file__).parent / "sub" / "__init__.py").write_text("def find(): ...")
    assert f"'find' in '{package}.sub' is no module; write '{package}.sub:find'" in not_found(f"{package}.sub.find")


@pytest.mark.parametrize(
    ("dotted", "missing"),
    [
        ("there_is_none.sub:x", "there_is_none"),
        ("{}.user:Users", "{}.user"),
        (".user", "{}.user"),
        ("{}.users.x", "{}.users.x"),
        ("{}.users:x", None),
        ("{}.users.prepare", None),
        ("...users", None),
    ],
)
def test_the_module_that_does_not_exist_is_a_fact(package, dotted, missing):
    """The error has the name of the module that is missing, and None where it is something else that is."""
    with pytest.raises(errors.NameNotFoundError) as caught:
        names.resolve(dotted.format(package), package)
    assert caught.value.missing == (missing and missing.format(package))


def test_what_a_package_misses_of_itself_is_its_own_error(package):
    """A package that imports a module of its own that is not there is broken, also for who asks for that module."""
    (pathlib.Path(names.resolve(package).__file__).parent / "sub" / "__init__.py").write_text("from .deeper import x")
    with pytest.raises(ModuleNotFoundError) as caught:
        names.resolve(f"{package}.sub.deeper")
    assert not isinstance(caught.value, errors.NameNotFoundError)
    assert caught.value.__notes__ == [f"while importing '{package}.sub.deeper'"]


def test_a_relative_name_needs_a_package():
    """A relative name without a package to start from says so."""
    assert "a relative name needs a package" in not_found(".users")


def test_out_of_the_package(package):
    """More dots than there are packages lead out of it."""
    assert "leads out of the package" in not_found("...users", package)


@pytest.mark.parametrize("module", ["broken", "inner"])
def test_found_but_failed_inside(package, module):
    """A module that is there and imports something that is not keeps its own error, with a note about the name."""
    with pytest.raises(ModuleNotFoundError) as caught:
        names.resolve(f"{package}.{module}")
    assert not isinstance(caught.value, errors.NameNotFoundError)
    assert caught.value.name == "there_is_no_such_module"
    assert caught.value.__notes__ == [f"while importing '{package}.{module}'"]


def test_found_but_raising(package):
    """A module that raises keeps its error, with a note about the name."""
    with pytest.raises(RuntimeError, match="at import") as caught:
        names.resolve(f"{package}.raising")
    assert caught.value.__notes__ == [f"while importing '{package}.raising'"]


@pytest.mark.parametrize("dotted", ["", ".", "..", ":attribute", ".:attribute", "module:", "a:b:c"])
def test_what_is_no_name_is_refused(dotted):
    """What cannot be a dotted name is a ValueError that says how one is written."""
    with pytest.raises(ValueError, match=r"write 'package\.module:attribute'"):
        names.resolve(dotted, "package")


@given(st.text())
def test_any_text_is_answered_clearly(dotted):
    """Whatever is asked for leads to an object, or to one of the two errors."""
    try:
        names.resolve(f"buvar.names{dotted}")
    except (errors.NameNotFoundError, ValueError) as error:
        assert str(error)


def test_the_name_of_an_object_leads_back():
    """fqdn() gives the name that resolve() takes."""
    for found in (names, names.resolve, errors.Place.__str__, errors.Place):
        assert names.resolve(names.fqdn(found)) is found
    assert names.fqdn(names) == "buvar.names"
    assert names.fqdn(names.resolve) == "buvar.names:resolve"

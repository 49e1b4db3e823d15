"""The face of the house: all that it promises is there, and nothing is imported before it is asked for."""

import subprocess
import sys

import pytest

NAMES = "Cancel ComponentLookupError Components ConfigSource Teardown run stage".split()
ROOMS = "components config context di errors fork log names plugin".split()
BACK_ROOMS = "ever scopes staging".split()


def fresh(code):
    """Return what *code* prints in an interpreter that has imported nothing yet."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_face_alone_imports_nothing():
    """Whoever imports buvar, as for its version, has none of its rooms, and none of what those need."""
    code = "import sys, buvar; print(buvar.__version__); print([m for m in sys.modules if m.startswith(WHAT)])"
    version, imported = fresh(f"WHAT = ('buvar.', 'attr', 'structlog', 'asyncio', 'cattrs')\n{code}").splitlines()
    assert version[0].isdigit()
    assert imported == "[]"


@pytest.mark.parametrize("name", [*NAMES, *ROOMS, *BACK_ROOMS])
def test_a_name_is_there_when_it_is_asked_for(name):
    """In a fresh interpreter it is an attribute, is the same one each time, and can be imported from the face."""
    assert (
        fresh(f"import buvar; x = buvar.{name}; from buvar import {name}; print(x is {name} is buvar.{name})") == "True"
    )


def test_a_name_is_that_of_its_room():
    """What the face hands on is the very thing that its room has."""
    import buvar
    from buvar import components, config, errors, plugin

    rooms = (components, config, errors, plugin)
    assert [name for name in NAMES if not any(getattr(buvar, name) is getattr(r, name, None) for r in rooms)] == []


def test_all_can_be_imported_at_once():
    """``from buvar import *`` gives the names and the rooms, and dir() lists them before any was asked for."""
    assert fresh("import buvar; print(*(n for n in dir(buvar) if n in buvar.__all__))").split() == sorted(NAMES + ROOMS)
    given = fresh("from buvar import *; print(*(n for n in dir() if not n.startswith('_')))").split()
    assert given == sorted(NAMES + ROOMS)


def test_a_name_that_there_is_not_is_told_as_of_any_module():
    """It is an AttributeError that knows the name, and an ImportError for an import."""
    import buvar

    with pytest.raises(AttributeError, match="module 'buvar' has no attribute 'stag'") as caught:
        buvar.stag
    assert (caught.value.name, caught.value.obj) == ("stag", buvar)
    with pytest.raises(ImportError, match="cannot import name 'stag'"):
        from buvar import stag  # noqa: F401


def test_what_the_face_has_can_be_pickled():
    """Classes and functions of the face go through pickle, by the name of their room, into a fresh process."""
    code = (
        "import buvar, pickle; print(pickle.dumps([buvar.Components, buvar.stage, buvar.ComponentLookupError]).hex())"
    )
    loaded = "import pickle; print(*(x.__name__ for x in pickle.loads(bytes.fromhex('{}'))))"
    assert fresh(loaded.format(fresh(code))) == "Components stage ComponentLookupError"

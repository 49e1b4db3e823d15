"""Whatever the classes, and whatever is configured: no error but ours, no secret in any text, no input changed."""

import contextlib
import copy
import dataclasses
import datetime as dt
import enum
import json
import os
import pathlib
import tempfile
import tomllib
import traceback
import typing as t
from unittest import mock

import attrs
import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from buvar import config
from buvar.config import ConfigError, ConfigSource, describe, effective, template, toml, unread
from buvar.errors import Place

SECRET = "s3cr3t"
NUMBER = 20_202_020_202  # a secret too


class Level(enum.Enum):
    LOW = "low"
    TOP = 3


scalar_types = st.sampled_from(
    [int, str, bool, float, pathlib.Path, bytes, dt.date, dt.datetime, Level, t.Literal["a", 1, True], t.Any]
)


@st.composite
def plain_types(draw):
    """Annotations without classes."""
    one, two = draw(scalar_types), draw(scalar_types)
    shapes = [one, one, list[one], dict[str, one], tuple[one, two], tuple[one, ...], t.Optional[one], one | two]
    shapes += [list[list[one]], dict[str, list[one]], list[one] | dict[str, two], set[one]]
    return draw(st.sampled_from([*shapes, *([one | list[two]] if one is not t.Any else [])]))


def around(cls, other):
    """Return annotations with classes."""
    return [cls, cls, t.Optional[cls], list[cls], dict[str, cls], tuple[cls, ...], cls | other, dict[str, list[cls]]]


def refuse(instance, attribute, value):
    raise ValueError(f"{value!r} is no good", attribute)


def tell_all(self):
    raise RuntimeError(f"cannot do\n{vars_of(self)}")


def vars_of(value):
    """Return all that an instance holds, secrets included."""
    if describe.has(type(value)):
        return {field.key: vars_of(getattr(value, field.key)) for field in describe.fields(type(value))}
    if isinstance(value, dict):
        return {key: vars_of(each) for key, each in value.items()}
    return [vars_of(each) for each in value] if isinstance(value, list | tuple | set) else value


@st.composite
def classes(draw, depth=2):
    """attrs classes and dataclasses, with fields that are required or not, secret or not, nested or not."""
    fields = {}
    for name in draw(st.lists(st.sampled_from(["a", "b_c", "c", "key", "token"]), max_size=3, unique=True)):
        if depth and draw(st.booleans()):
            hint = draw(st.sampled_from(around(draw(classes(depth - 1)), draw(classes(0)))))
        else:
            hint = draw(plain_types())
        fields[name] = hint, draw(st.booleans()), draw(st.sampled_from([False, False, True]))
    spiteful = not draw(st.integers(0, 4))
    return (attrs_class if draw(st.booleans()) else data_class)(fields, spiteful)


def attrs_class(fields, spiteful):
    made = {}
    for name, (hint, required, secret) in fields.items():
        default = {} if required else {"default": SECRET if secret else None}
        hidden = {"repr": False, "metadata": {"secret": True}} if secret else {}
        made[name] = attrs.field(type=hint, validator=refuse if spiteful else None, **default, **hidden)
    return attrs.make_class("A", made, frozen=True, kw_only=True)


def data_class(fields, spiteful):
    made = []
    for name, (hint, required, secret) in fields.items():
        default = {} if required else {"default": SECRET if secret else None}
        hidden = {"repr": False, "metadata": {"secret": True}} if secret else {}
        made.append((name, hint, dataclasses.field(**default, **hidden)))
    namespace = {"__post_init__": tell_all} if spiteful else {}
    return dataclasses.make_dataclass("D", made, namespace=namespace, kw_only=True)


# what is configured

texts = st.sampled_from(
    ["", "x", "5", "1.5", "true", "a,b", "low", "2020-01-01", "a\nb", "[1, 2]", '{"a": 1}', "[", "é"]
)
leaves = st.one_of(texts, st.integers(-9, 9), st.booleans(), st.floats(-1, 1), st.dates(), st.datetimes())
secret_leaves = st.sampled_from(
    [SECRET, f"{SECRET}-1", f"x\n'{SECRET}\"", f"['{SECRET}']", f'{{"x": "{SECRET}"', NUMBER, f"0{NUMBER}"]
)
# no names of fields: a secret in a field that is none is not told as one
keys = st.sampled_from(["q", "d", "toke", "ke", "x y", "z\n"])


def junk(leaf):
    return st.recursive(
        leaf, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(keys, inner, max_size=2), max_leaves=3
    )


@st.composite
def configured(draw, hint, secret=False):
    """A value for an annotation: one that fits more or less, or none; all of it secret where a secret may be."""
    if secret or not draw(st.integers(0, 6)):
        return draw(junk(secret_leaves if secret or describe.holds_secrets(hint) else leaves))
    member = draw(st.sampled_from(describe.members(hint)))
    inner = [each for each in t.get_args(member) if each is not ...] or [t.Any]
    origin = describe.origin(member)
    if describe.has(member):
        return draw(tables(member))
    if origin in {list, tuple, set}:
        return [draw(configured(each)) for each in (inner if draw(st.booleans()) else inner[:1])]
    if origin is dict:
        return {draw(keys): draw(configured(inner[-1])) for _ in range(draw(st.integers(0, 2)))}
    return draw(leaves)


@st.composite
def tables(draw, cls):
    """A table for a class, with keys that may be missing, misspelt, or unknown."""
    table = {}
    for field in describe.fields(cls):
        key = draw(st.sampled_from([field.key] * 6 + [f"{field.key}s", f"x{field.key}"]))
        if draw(st.integers(0, 4)):
            table[key] = draw(configured(field.type, field.secret))
    if not draw(st.integers(0, 5)):
        table[draw(keys)] = draw(junk(secret_leaves if describe.has_secrets(cls) else leaves))
    return table


@st.composite
def worlds(draw):
    """A class, documents for it, variables and options."""
    cls = draw(classes())
    section = draw(st.sampled_from(["s", "s", None]))
    documents = []
    for _ in range(draw(st.integers(0, 2))):
        table = draw(tables(cls) if draw(st.integers(0, 9)) else configured(cls, describe.has_secrets(cls)))
        if section is None and not isinstance(table, dict):
            continue
        documents.append(table if section is None else {draw(st.sampled_from(["s", "s", "s", "t"])): table})
    environ, options = {}, []
    with contextlib.suppress(ConfigError):
        for variable in describe.variables(cls, ("APP", *([section] if section else []))):
            is_secret = variable.field.secret or describe.holds_secrets(variable.field.type)
            if not draw(st.integers(0, 2)):
                name = variable.name + draw(st.sampled_from(["", "", "", "X"]))
                environ[name] = draw(said(is_secret)), variable.from_file
            if not variable.from_file and not draw(st.integers(0, 2)):
                path = [*([section] if section else []), *variable.path, *draw(st.sampled_from([[], [], [], ["q"]]))]
                options.append((".".join(path), draw(said(is_secret))))
    hypothesis.event(f"secrets: {describe.has_secrets(cls)}")
    return cls, section, documents, environ, options


def said(is_secret):
    """Return what a variable or an option may say: text, or JSON, or nearly so."""
    leaf = secret_leaves if is_secret else leaves
    broken = junk(leaf).map(lambda value: json.dumps(value, default=str)[:-1])
    return leaf.map(str) | junk(leaf).map(lambda value: json.dumps(value, default=str)) | broken


# what comes of it


@contextlib.contextmanager
def given_environment(environ, folder):
    """Set variables; what is meant to be in a file is written to one, but for that of a file that is not there."""
    names = {name: value for name, value in os.environ.items() if not name.startswith("APP")}
    for number, (name, (text, from_file)) in enumerate(environ.items()):
        path = pathlib.Path(folder, str(number))
        if from_file and number % 3:
            path.write_text(text)
        names[name] = str(path) if from_file else text
    with mock.patch.dict(os.environ, names, clear=True):
        yield


def attempt(function, texts, *, in_root=False):
    """Return what a function gives; an error of ours is checked, and its text collected; there is to be no other."""
    try:
        result = function()
    except ConfigError as error:
        assert error.problems
        for problem in error.problems:
            assert len(str(problem).splitlines()) == 1
            assert problem.path or problem.code == "BV104" or in_root
        chain, each = [], error
        while each is not None:
            chain += [repr(each), str(each), repr(vars(each)), *getattr(each, "__notes__", ())]
            each = each.__cause__ or each.__context__
        texts += [*chain, "".join(traceback.format_exception(error)), repr(error.problems)]
        return None
    return result


def read(folder, documents):
    """Return a source of files where TOML can say what is configured, and of dicts otherwise."""
    paths = []
    for number, document in enumerate(documents):
        path = pathlib.Path(folder, f"{number}.toml")
        path.write_text("\n".join(f"{toml.key(key)} = {toml.value(value)}" for key, value in document.items()))
        paths.append(path)
    return ConfigSource.read(*paths, env_prefix="APP")


def tell(source):
    """Return all texts that tell of a source: what counts, the template, and what nobody reads."""
    yield repr(source)
    for section in effective.sections(source):
        yield repr(section)
        for setting in section.settings:
            yield json.dumps(setting.value, default=str)
            yield "" if setting.value is None else toml.value(setting.value)
            assert isinstance(setting.origin, str | Place)
    text = template.write(source.claims)
    tomllib.loads(text)
    yield text
    yield from map(str, unread.look(source))


@given(worlds())
@hypothesis.settings(
    max_examples=100,
    # shrinking takes minutes here
    phases=[hypothesis.Phase.explicit, hypothesis.Phase.reuse, hypothesis.Phase.generate],
    suppress_health_check=[hypothesis.HealthCheck.too_slow, hypothesis.HealthCheck.data_too_large],
)
def test_whatever_is_configured_is_loaded_or_told(world):
    """Any classes, documents, variables and options give an instance or a ConfigError, and never show a secret."""
    cls, section, documents, environ, options = world
    before, shown = copy.deepcopy(documents), []
    with tempfile.TemporaryDirectory() as folder, given_environment(environ, folder):
        for made in (lambda: ConfigSource(*documents, env_prefix="APP"), lambda: read(folder, documents)):
            source = attempt(made, shown)
            if source is None:
                continue
            for path, text in options:
                attempt(lambda path=path, text=text, source=source: source.override(path, text), shown)
            values = copy.deepcopy(dict(source))
            loaded = attempt(lambda source=source: source.load(cls, section), shown, in_root=section is None)
            assert loaded is None or isinstance(loaded, cls)
            shown += [repr(loaded), *(attempt(lambda source=source: [*tell(source)], shown, in_root=True) or ())]
            assert dict(source) == values
    assert documents == before
    assert not [text for text in shown if SECRET in text or str(NUMBER) in text]


tables_only = st.dictionaries(keys, junk(leaves), max_size=3)
settings = st.lists(st.tuples(keys.filter(str.isalpha), leaves.map(str)), max_size=2)


def merged(*documents, options=()):
    """Return a source, or None where documents do not fit together."""
    try:
        source = ConfigSource(*documents)
        for path, text in options:
            source.override(path, text)
    except ConfigError:
        return None
    return source


@given(tables_only, tables_only, tables_only, settings)
def test_merges_are_associative(a, b, c, options):
    """In whatever pairs sources are merged, with options too, the values are the same, and nothing given changes."""
    before = copy.deepcopy((a, b, c))
    first, last = merged(a, b), merged(b, c, options=options)
    if first is not None and last is not None:
        left, right = merged(first, c, options=options), merged(a, last)
        assert left == right
        if left is not None and options:
            path = tuple(options[0][0].split("."))
            assert left.origin(*path) == right.origin(*path) == f"--set {options[0][0]}"
    assert (a, b, c) == before


@given(st.text(st.sampled_from("[]{}='\"#\n\r\t\\ab1.,-_é\0\ud800"), max_size=30) | st.binary(max_size=20))
def test_any_file_is_read_or_told(text):
    """Whatever a file holds, it is read, or told with its name, and the place where there is one."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "c.toml")
        path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
        try:
            source = ConfigSource.read(path)
        except ConfigError as error:
            (problem,) = error.problems
            assert problem.code == "BV104"
            assert isinstance(problem.origin, Place)
            assert problem.origin.file == str(path)
            assert 1 <= problem.origin.line <= text.count(b"\n" if isinstance(text, bytes) else "\n") + 1
            assert len(str(problem).splitlines()) == 1
        else:
            assert list(source.paths) == [str(path)]


@given(st.text(max_size=8), st.text(max_size=8))
def test_any_option_is_taken_or_told(path, text):
    """Whatever an option is called and says, it is set under its keys, or told without what it says."""
    source = ConfigSource()
    try:
        source.override(path, f"{SECRET}{text}")
    except ConfigError as error:
        assert SECRET not in str(error)
        assert not source
        assert [len(str(problem).splitlines()) for problem in error.problems] == [1]
    else:
        assert len(source) == 1
        source.origin(*source)


class Picky:
    """A type with a hook that raises what it is given."""


@pytest.fixture(scope="module")
def picky():
    def structure(value, _):
        raise KeyError(value)

    config.relaxed_converter.register_structure_hook(Picky, structure)


@pytest.mark.usefixtures("picky")
@given(st.one_of(secret_leaves, junk(secret_leaves)))
def test_hooks_of_users_show_no_secret(value):
    """What a hook raises for a secret field is withheld, whatever it is."""

    @attrs.frozen
    class Holder:
        picky: Picky = config.secret_var()  # noqa: RUF009 - a field, not a value
        many: list[Picky] = config.secret_var(None)  # noqa: RUF009 - a field, not a value

    shown = []
    attempt(lambda: ConfigSource({"h": {"picky": value, "many": [value]}}).load(Holder, "h"), shown)
    assert shown
    assert not [text for text in shown if SECRET in text or str(NUMBER) in text]

"""What is read from callables: names, annotations, places."""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import inspect
import sys
import textwrap
import typing as t

import attrs
import pytest

from buvar import di, errors
from buvar.components import missing
from buvar.di import signature


class Mailer: ...


class Clock: ...


@dataclasses.dataclass
class Letter:
    mailer: Mailer
    clock: Clock | None = None


@attrs.define
class Parcel:
    _mailer: Mailer
    clock: Clock


class Sender:
    def __init__(self, mailer: Mailer, /, clock: Clock, *rest: int, late: bool = False, **more: str) -> None: ...

    def method(self, mailer: Mailer) -> Letter: ...

    @staticmethod
    def static(mailer: Mailer) -> Letter: ...

    def __call__(self, clock: Clock) -> Letter: ...


def load(tmp_path, name: str, text: str) -> t.Any:
    """Import a module from a file of its own."""
    path = tmp_path / f"{name}.py"
    path.write_text(textwrap.dedent(text))
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def module(tmp_path):
    names: list[str] = []

    def make(name: str, text: str) -> t.Any:
        names.append(name)
        return load(tmp_path, name, text)

    yield make
    for name in names:
        del sys.modules[name]


def needs(implementation: t.Any) -> dict[str | None, t.Any]:
    return {one.name: one.form.tp for one in signature.parameters(implementation, {})}


def test_each_kind_of_callable_says_what_it_needs():
    """The parameters of functions, methods, classes, partials and instances are read, without self and stars."""
    assert needs(Letter) == {"mailer": Mailer, "clock": t.Optional[Clock]}
    assert needs(Parcel) == {"mailer": Mailer, "clock": Clock}
    assert needs(Sender) == {"mailer": Mailer, "clock": Clock, "late": bool}
    assert needs(Sender(Mailer(), Clock()).method) == {"mailer": Mailer}
    assert needs(Sender.static) == {"mailer": Mailer}
    assert needs(Sender.__dict__["static"]) == {"mailer": Mailer}
    assert needs(Sender(Mailer(), Clock())) == {"clock": Clock}


def test_a_partial_needs_what_it_leaves_open():
    """What a partial fixes by position or by keyword is not looked for."""
    assert needs(functools.partial(Letter, Mailer())) == {"clock": t.Optional[Clock]}
    assert needs(functools.partial(Sender, clock=Clock())) == {"mailer": Mailer, "late": bool}
    assert signature.returned(functools.partial(functools.partial(Letter), clock=None)) is Letter


def test_only_what_has_to_be_is_passed_by_keyword():
    """A keyword-only parameter is known as one."""
    assert [one.keyword_only for one in signature.parameters(Sender, {})] == [False, False, True]


def by_inspect(callable_: t.Any) -> list[tuple[str, t.Any, bool]]:
    skipped = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    found = [one for one in inspect.signature(callable_).parameters.values() if one.kind not in skipped]
    return [(one.name, one.default, one.kind is inspect.Parameter.KEYWORD_ONLY) for one in found]


class Plain: ...


class Inherits(Sender): ...


class OnlyStars:
    def __init__(*args: t.Any, late: bool = False) -> None: ...


class Made:
    def __new__(cls, mailer: Mailer, *, clock: Clock) -> Made:
        return super().__new__(cls)

    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None: ...


class Tells(Sender):
    __signature__ = inspect.Signature([inspect.Parameter("clock", inspect.Parameter.POSITIONAL_OR_KEYWORD)])


class Wraps:
    @functools.wraps(Sender.__init__)
    def __init__(self, *args: t.Any, **kwargs: t.Any) -> None: ...


def many(a: int, b: int = 1, /, c: int = 2, *d: int, e: int, f: int = 3, **g: int) -> Letter: ...


def keywords(*, a: int = 1, b: int) -> Letter: ...


@functools.wraps(many)
def wrapper(*args: t.Any) -> Letter: ...


@pytest.mark.parametrize(
    "implementation",
    [Plain, Letter, Parcel, Sender, Inherits, OnlyStars, Made, Tells, Wraps, many, keywords, wrapper],
)
def test_what_is_read_is_what_inspect_tells(implementation):
    """Plain functions and classes are read without inspect, and to the same end."""
    empty = inspect.Parameter.empty
    read = [
        (one.name, empty if one.default is missing else one.default, one.keyword_only)
        for one in signature.parameters(implementation, {})
    ]
    assert read == by_inspect(implementation)


def test_annotated_is_unwrapped_and_its_metadata_kept():
    """The type counts for the search, what stands beside it is kept aside."""

    def build(mailer: t.Annotated[Mailer, "fast", 3]) -> Letter: ...

    (need,) = signature.parameters(build, {})
    assert (need.form.tp, need.metadata) == (Mailer, ("fast", 3))


def test_no_annotation_any_and_object_say_nothing():
    """A parameter without a telling type has no key to be found by."""

    def build(a, b: t.Any, c: object, d: t.TypeVar("T")) -> Letter: ...

    assert [one.form.keys for one in signature.parameters(build, {})] == [(), (), (), ()]


def test_strings_mean_what_they_mean_where_the_callable_stands(module):
    """A string annotation is read in the module of the callable, whatever another module has of that name."""
    other = module(
        "di_other_module",
        """
        from __future__ import annotations
        class Mailer: ...
        class Letter: ...
        def build(mailer: Mailer) -> Letter: ...
        """,
    )
    assert needs(other.build) == {"mailer": other.Mailer}
    assert signature.returned(other.build) is other.Letter


@pytest.mark.parametrize("decorator", ["@dataclasses.dataclass", "@attrs.define", "@attrs.define(slots=False)"])
def test_a_field_means_what_it_means_where_it_was_written(module, decorator):
    """The generated __init__ of a subclass in another module reads inherited fields in the module of the base."""
    base = module(
        "di_base_module",
        f"""
        from __future__ import annotations
        import attrs, dataclasses
        class Only: ...
        class Mailer: ...
        {decorator}
        class Base:
            only: Only
            mailer: Mailer
        """,
    )
    sub = module(
        "di_sub_module",
        f"""
        from __future__ import annotations
        import attrs, dataclasses
        import di_base_module
        class Mailer: ...
        class Clock: ...
        {decorator}
        class Sub(di_base_module.Base):
            clock: Clock
        """,
    )
    assert needs(sub.Sub) == {"only": base.Only, "mailer": base.Mailer, "clock": sub.Clock}


def test_an_inherited_init_is_read_in_its_own_module(module):
    """A hand-written __init__ of a base names what its module names."""
    base = module(
        "di_base_module",
        """
        from __future__ import annotations
        class Mailer: ...
        class Base:
            def __init__(self, mailer: Mailer): ...
        """,
    )

    class Sub(base.Base): ...

    assert needs(Sub) == {"mailer": base.Mailer}


def test_a_decorated_function_is_read_behind_its_decorator(module):
    """functools.wraps leads to the function that was decorated, and to its module."""
    other = module(
        "di_wrapped_module",
        """
        from __future__ import annotations
        class Mailer: ...
        def build(mailer: Mailer) -> Mailer: ...
        """,
    )

    @functools.wraps(other.build)
    def wrapper(*args, **kwargs):
        return other.build(*args, **kwargs)

    assert needs(wrapper) == {"mailer": other.Mailer}
    assert signature.returned(wrapper) is other.Mailer


def test_names_of_a_closure_and_of_a_nested_class_are_known():
    """A string annotation may name what the function closes over, and classes around and inside of a method."""

    class Local:
        class Inner: ...

        def __init__(self, other: Local | None = None) -> None: ...

        @classmethod
        def build(cls, inner: Inner) -> Local: ...

    def closing(x: "Local") -> t.Optional["Local"]:
        return Local()

    assert needs(closing) == {"x": Local}
    assert signature.returned(closing) == t.Optional[Local]
    assert needs(Local) == {"other": t.Optional[Local]}
    assert needs(Local.build) == {"inner": Local.Inner}
    assert signature.returned(Local.build) is Local


def test_a_name_that_is_defined_later_is_found_at_first_use():
    """Parameters are read when they are needed, not at registration."""
    adapters = di.Adapters()
    adapters.register(needs_later)
    globals()["Later"] = type("Later", (), {})
    try:
        (adapter,) = adapters
        assert adapter.parameters[0].form.tp is globals()["Later"]
    finally:
        del globals()["Later"]


def needs_later(later: Later) -> Letter: ...  # noqa: F821


def misspelt(mailer: Mialer) -> Letter: ...  # noqa: F821


def misspelt_attribute(mailer: errors.BuvarEror) -> Letter: ...


async def test_a_misspelt_annotation_is_named_with_place_and_nearest_name():
    """An annotation that means nothing is an AdapterError, whatever default there is."""
    adapters = di.Adapters()
    adapters.register(misspelt)
    with pytest.raises(di.AdapterError) as caught:
        await adapters.nject(Letter)
    message = str(caught.value)
    assert "misspelt" in message
    assert "'Mialer'" in message
    assert "did you mean 'Mailer'?" in message
    assert f"{__file__}:{misspelt.__code__.co_firstlineno}" in message
    assert isinstance(caught.value.__cause__, NameError)


def test_a_misspelt_attribute_is_named_with_the_nearest():
    """What a module does not have is told like what does not exist."""
    with pytest.raises(di.AdapterError, match="did you mean 'BuvarError'"):
        needs(misspelt_attribute)


def test_a_misspelt_return_is_refused_at_registration():
    """What an adapter returns is read when it is registered."""

    def build() -> Leter: ...  # noqa: F821

    with pytest.raises(di.AdapterError, match=r"what it returns is annotated 'Leter'.*did you mean 'Letter'"):
        di.Adapters().register(build)


def test_what_is_no_annotation_is_told():
    """A string that is no expression is an AdapterError with the reason."""

    def build(x: "Mailer[") -> Letter: ...  # noqa: F722

    with pytest.raises(di.AdapterError, match=r"its parameter 'x' is annotated .*cannot be read"):
        needs(build)


def test_places_point_at_the_definition():
    """Functions, methods, classes, instances and partials stand somewhere; built-ins do not."""
    line = Sender.method.__code__.co_firstlineno
    assert signature.place_of(Sender(Mailer(), Clock()).method) == errors.Place(__file__, line)
    assert signature.place_of(functools.partial(misspelt)).line == misspelt.__code__.co_firstlineno
    assert signature.place_of(Sender).file == __file__
    assert signature.place_of(Sender).line == Sender.__init__.__code__.co_firstlineno - 1
    assert signature.place_of(Sender(Mailer(), Clock())).line == Sender.__call__.__code__.co_firstlineno
    assert signature.place_of(dict) is None
    assert signature.place_of(len) is None


def test_labels_are_short():
    """A label is the name without the path of functions around it."""

    def local() -> Letter: ...

    assert signature.label(local) == "local"
    assert signature.label(Sender) == "Sender"
    assert signature.label(Sender(Mailer(), Clock()).method) == "Sender.method"
    assert signature.label(functools.partial(local)) == "local"
    assert signature.label(Sender(Mailer(), Clock())) == "Sender"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the syntax of Python 3.12")
@pytest.mark.parametrize("future", ["", "from __future__ import annotations"])
async def test_type_parameters_and_aliases_are_known(module, future):
    """Names between square brackets, bounds and ``type`` statements are read, also from strings."""
    new = module(
        "di_new_syntax",
        f"""
        {future}
        class Foo:
            @classmethod
            def adapt[C: Foo](cls: type[C]) -> C:
                return cls()
        class Bar(Foo): ...
        type Alias = Foo
        class Box[T]:
            def __init__(self, item: T, foo: Alias): ...
        def build[T: Foo](item: T) -> list[Alias]: ...
        """,
    )
    adapters = di.Adapters()
    adapters.register(new.Foo.adapt, new.build)
    assert type(await adapters.nject(new.Bar)) is new.Bar
    assert needs(new.build) == {"item": new.Foo}
    assert len(adapters.lookup(list[new.Foo])) == 1
    assert len(adapters.lookup(new.Alias)) == 1
    assert [need.form.tp for need in di.Adapter.of(new.Box[new.Bar]).parameters] == [new.Bar, new.Foo]

"""Declarations as components: each under its own name, none in place of another."""

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from buvar import Components, context, errors
from buvar.components import Layer
from buvar.declaration import Declaration


@attrs.frozen
class Item(Declaration):
    url: str = "/"


class Mixin:
    pass


@attrs.frozen
class Special(Item, Mixin):
    pass


@attrs.frozen
class Other(Declaration):
    pass


def test_each_is_filed_under_its_own_name():
    """Several of one kind stand side by side, and each is found by its name."""
    stack = Components()
    one, two = stack.add(Item("one")), stack.add(Item("two"))
    assert stack.find(Item) == {"one": one, "two": two}
    assert stack.get(Item, name="two") is two
    assert stack.get(Item, default=None) is None, "none of them is the one without a name"


def test_one_is_found_as_any_kind_that_it_is():
    """It is filed under its class and the bases of it that are declarations, and under nothing else."""
    stack = Components()
    special = stack.add(Special("one"))
    assert stack.find(Special) == stack.find(Item) == {"one": special}
    assert [stack.find(key) for key in (Declaration, Mixin, object)] == [{}, {}, {}]


def test_kinds_do_not_meet():
    """Declarations of two kinds may have the same name."""
    stack = Components()
    stack.add(Item("one"))
    stack.add(Other("one"))
    assert stack.find(Item).keys() == stack.find(Other).keys() == {"one"}


def test_the_same_object_may_be_added_again():
    """What stands there already is not added once more: the first place is the one that is told."""
    stack, item = Components(), Item("one")
    stack.add(item)
    line = next(stack.entries()).place.line
    assert stack.add(item) is item
    assert [entry.place.line for entry in stack.entries()] == [line]


@pytest.mark.parametrize("second", [Item("one"), Item("one", "/other"), Special("one")])
def test_another_of_that_name_is_an_error(second):
    """Two of one kind and one name in one layer, equal or not, are an error that names both places."""
    stack = Components(owner="shop.users")
    first = stack.add(Item("one"))
    with pytest.raises(errors.DeclarationError) as caught:
        stack.add(second)
    line = next(stack.entries()).place.line
    assert str(caught.value) == (
        f"{__name__}.Item 'one' is declared twice: by shop.users ({__file__}:{line}) and by shop.users "
        f"({__file__}:{line + 2}); rename one of them"
    )
    assert stack.find(Item) == {"one": first}


def test_a_layer_above_may_have_another_one():
    """One in a layer above hides that of the same name below, as with any component."""
    stack = Components()
    below, above = Item("one"), Item("one", "/above")
    stack.add(below)
    pushed = stack.push()
    pushed.add(above)
    assert (pushed.find(Item), stack.find(Item)) == ({"one": above}, {"one": below})


async def test_in_a_scope_it_is_the_same():
    """A scope, which lists nothing, files declarations by name, and refuses a second one without a place for it."""
    async with context.scope("request"):
        context.add(Item("one"))
        context.current_context().add(Item("two"))
        assert context.find(Item).keys() == {"one", "two"}
        with pytest.raises(errors.DeclarationError, match="twice: outside of plugins and outside of plugins; rename"):
            context.add(Item("one"))


def test_an_explicit_kind_is_taken():
    """One may be filed as what it is beside its class, and is not found by its class then."""
    stack = Components()
    special = stack.add(Special("one"), Item)
    assert (stack.find(Item), stack.find(Special)) == ({"one": special}, {})
    assert stack.add(special) is special
    assert stack.find(Special) == {"one": special}


def test_any_other_key_is_as_for_all_components():
    """Under a key that is no kind of declaration it is a component like any other."""
    stack = Components()
    stack.add(Item("one"), "menu")
    last = stack.add(Item("two"), "menu")
    assert stack.find("menu") == {None: last}


@pytest.mark.parametrize(
    ("item", "options", "message"),
    [
        (Item("one"), {"name": "two"}, "Item 'one' has a name of its own; add it without name='two'"),
        (5, {"namespace": Item}, "Item is a kind of declaration, and 5 is none; add one that is"),
        (5, {"namespace": Item, "name": "five"}, "Item is a kind of declaration, and 5 is none; add one that is"),
    ],
)
def test_wrong_use_is_told(item, options, message):
    """Another name, and what is no declaration, are refused."""
    with pytest.raises(errors.DeclarationError, match=message):
        Components().add(item, **options)


@pytest.mark.parametrize("name", ["", None, 5, b"one"])
def test_a_name_is_a_text(name):
    """A name that is none is refused where the declaration is made, which an exit code of 2 goes with."""
    with pytest.raises(
        errors.DeclarationError, match=r"^the name of this Item has to be a text that is not empty"
    ) as caught:
        Item(name)
    assert errors.exit_code(caught.value) == errors.EXIT_USAGE


def test_its_own_name_may_be_given():
    """The name that it has may be said once more."""
    stack = Components()
    item = stack.add(Item("one"), name="one")
    assert stack.find(Item) == {"one": item}


@given(st.lists(st.tuples(st.sampled_from([Item, Special, Other]), st.sampled_from("abc"))))
def test_all_are_found_or_refused(added):
    """Whatever is added: what was not refused is found by its name, and what was would have hidden another one."""
    stack = Components(Layer())
    kept = []
    for kind, name in added:
        item = kind(name)
        clashes = any(each.name == name and (isinstance(each, Item) == isinstance(item, Item)) for each in kept)
        try:
            stack.add(item)
        except errors.DeclarationError:
            assert clashes
        else:
            assert not clashes
            kept.append(item)
    for kind in (Item, Special, Other):
        assert stack.find(kind) == {each.name: each for each in kept if isinstance(each, kind)}

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from buvar import components, errors
from buvar.components import Components


class Base:
    pass


class Left(Base):
    pass


class Right(Base):
    pass


class Both(Left, Right):
    pass


@attrs.frozen
class Value:
    number: int


def test_an_item_is_found_by_its_type_and_its_bases():
    """An item is found by its own type and by every base of it, object included."""
    stack, item = Components(), Both()
    assert stack.add(item) is item
    for key in (Both, Left, Right, Base, object):
        assert stack.get(key) is item


def test_an_item_is_not_found_by_a_subclass():
    """An item of a base class does not answer for a subclass."""
    stack = Components()
    stack.add(Base())
    with pytest.raises(errors.ComponentLookupError):
        stack.get(Left)


def test_the_last_added_wins():
    """Of two items under one key, the last added is found."""
    stack = Components()
    stack.add(Left())
    right = stack.add(Right())
    assert stack.get(Base) is right
    assert isinstance(stack.get(Left), Left)


@pytest.mark.parametrize("key", ["db", ("a", 1), 5, frozenset({1})])
def test_any_hashable_is_a_key(key):
    """An item may be filed under any hashable, and is then not found by its type."""
    stack = Components()
    item = stack.add(Base(), key)
    assert stack.get(key) is item
    assert stack.get(Base, default=None) is None


def test_a_class_as_key_stands_for_its_bases():
    """An item filed under a class is found by the bases of that class, whatever its own type is."""
    stack = Components()
    stack.add("text", Left)
    assert stack.get(Base) == "text"
    assert stack.get(str, default=None) is None


def test_names_tell_items_of_one_type_apart():
    """Items of one type are told apart by names, and a named item does not answer for the unnamed one."""
    stack = Components()
    one, two = stack.add(Left(), name="one"), stack.add(Left(), name=2)
    assert stack.get(Left, name="one") is one
    assert stack.get(Base, name=2) is two
    assert stack.get(Left, default=None) is None


def test_a_class_is_refused():
    """A class is no component, and the message says what to add; so in a scope too, and when its class was a key."""
    Components().add("an item", type)
    for stack in (Components(), Components().push_scope()):
        for key in (None, Base):
            with pytest.raises(ValueError, match=r"test_components\.Base is a class; .* add Base\("):
                stack.add(Base, key)


def test_what_is_not_there_is_said_with_what_is():
    """The error has the key, the name and the names that there are, and says so."""
    stack = Components()
    stack.add(Base(), name="replica")
    stack.push().add(Base())
    with pytest.raises(LookupError) as caught:
        stack.get(Base, name="primary")
    assert (caught.value.key, caught.value.name, caught.value.names) == (Base, "primary", ("replica",))
    assert "'primary'" in str(caught.value)
    assert "'replica'" in str(caught.value)


@pytest.mark.parametrize("default", [None, False, 0, "x", Base()])
def test_any_default_is_returned(default):
    """A default is returned as it is, None and false values too."""
    assert Components().get(Base, default=default) is default
    assert Components().get(Base, name="x", default=default) is default


@pytest.mark.parametrize("item", [None, False, 0, ""])
def test_a_false_item_is_an_item(item):
    """An item that is false, or None, is found like any other."""
    stack = Components()
    stack.add(item, "key")
    assert stack.push().get("key") is item
    assert stack.get("key", default="other") is item


def test_a_pushed_layer_shows_and_hides_but_never_changes():
    """What is added above hides what is below, which stays as it was and is found again without the layer."""
    below = Components()
    old = below.add(Base())
    above = below.push()
    assert above.get(Base) is old
    new = above.add(Base())
    other = above.add(Left(), name="left")
    assert above.get(Base) is new
    assert above.get(Base, name="left") is other
    assert below.get(Base) is old
    assert below.get(Base, name="left", default=None) is None
    assert above.pop().get(Base) is old


def test_layers_can_be_shared():
    """A layer that is pushed onto another stack is the same layer there."""
    one = Components()
    two = Components().push(*one.stack)
    item = two.add(Base())
    assert one.get(Base) is item


def test_pop_of_the_last_layer_leaves_a_fresh_one():
    """Without its last layer a stack is empty, and can be used."""
    stack = Components()
    stack.add(Base())
    empty = stack.pop()
    assert Base not in empty
    empty.add(Left())
    assert Left in empty
    assert Left not in stack


def test_find_merges_the_layers():
    """find() gives all items of a key by name, the inner ones first, the unnamed one under None."""
    stack = Components()
    stack.add(Value(1))
    stack.add(Value(2), name="two")
    above = stack.push()
    above.add(Value(3))
    above.add(Value(4), name="four")
    assert above.find(Value) == {None: Value(3), "two": Value(2), "four": Value(4)}
    assert stack.find(Value) == {None: Value(1), "two": Value(2)}
    assert above.find("nothing") == {}


def test_what_find_returns_is_a_copy():
    """Changing what find() returned changes no component."""
    stack = Components()
    stack.add(Value(1), name="a")
    stack.find(Value).clear()
    assert stack.find(Value) == {"a": Value(1)}


def test_all_can_be_listed():
    """Listing tells each item once, with key, name, owner and the line that added it."""
    stack = Components(owner="shop.users")
    stack.add(Value(1))
    above = stack.push()
    above.add(Value(2), "key", name="n")
    above.add(Value(3), "key", name="n")
    entries = list(above)
    assert [(entry.item, entry.key, entry.name, entry.owner) for entry in entries] == [
        (Value(3), "key", "n", "shop.users"),
        (Value(1), Value, None, "shop.users"),
    ]
    assert entries[1].place.file == __file__
    assert entries[1].place.line < entries[0].place.line
    assert repr(above) == "<Components: 2 in 2 layers>"
    assert "key" in above
    assert Base not in above


def test_missing_is_false_and_says_its_name():
    """The stand-in for no default is false and shows as what it is."""
    assert not components.missing
    assert repr(components.missing) == "missing"


# -- against a model: layers are lists of (key, name, item), searched from the end

keys = st.sampled_from([object, Base, Left, Right, Both, "text", 1])
names = st.sampled_from([None, "a", "b"])
adds = st.tuples(
    st.just("add"), st.sampled_from([Base, Left, Right, Both]), st.sampled_from([None, Left, "text", 1]), names
)
moves = st.tuples(st.sampled_from(["push", "pop"]))


def model_matches(filed, key):
    return key in filed.__mro__ if isinstance(filed, type) else key == filed


def model_get(layers, key, name):
    for layer in reversed(layers):
        for filed, filed_name, item in reversed(layer):
            if filed_name == name and model_matches(filed, key):
                return item
    return None


@given(st.lists(adds | moves, max_size=12), st.lists(st.tuples(keys, names), min_size=1, max_size=6))
def test_it_behaves_like_layers_of_lists(steps, questions):
    """Whatever is added, pushed and popped, get and find answer as a search through lists of all additions does."""
    stack, layers = Components(), [[]]
    for step, *args in steps:
        if step == "add":
            kind, namespace, name = args
            item = stack.add(kind(), namespace, name=name)
            layers[-1].append((kind if namespace is None else namespace, name, item))
        elif step == "push":
            stack = stack.push()
            layers.append([])
        else:
            stack = stack.pop()
            layers = layers[:-1] or [[]]
    for key, name in questions:
        assert stack.get(key, name=name, default=None) is model_get(layers, key, name)
        found = {name: model_get(layers, key, name) for name in (None, "a", "b")}
        assert stack.find(key) == {name: item for name, item in found.items() if item is not None}
        assert (key in stack) == any(item is not None for item in found.values())


def test_a_scope_pushed_with_an_item_has_it_under_its_key_only():
    """push_scope() makes a layer with one item, under one key, not under its bases, and does not list it."""
    below = Components(owner="plugin")
    item = Left()
    stack = below.push_scope(Base, item)
    assert stack.get(Base) is item
    assert stack.get(Left, default=None) is None
    assert list(stack) == []
    assert stack.push().get(Base) is item
    assert stack.owner == "plugin"
    assert below.get(Base, default=None) is None
    assert len(stack.stack) == 2
    assert stack.pop().get(Base, default=None) is None


@pytest.mark.parametrize("key", ["x", Base])
def test_none_hides_what_is_below_it(key):
    """None, filed under a key, is found in place of what a layer below has, whoever filed it in a shared layer."""
    below = Components()
    below.add(Base(), key)
    above = below.push()
    assert above.get(key) is not None
    Components(*above.stack).add(None, key)
    assert above.get(key) is None
    assert above.push().get(key) is None


def test_a_layer_is_the_same_before_and_after_it_is_asked_for():
    """What is added to a pushed stack, before or after somebody looked at its layers, is in the one layer."""
    stack = Components().push()
    above = stack.push().push()
    stack.add(1, "before")
    layer = above.stack[2]
    stack.add(2, "after")
    stack.add(3, "named", name="x")
    assert above.stack[2] == layer == stack.stack[0]
    assert [entry.item for entry in above] == [1, 2, 3]
    assert above.get("named", name="x") == 3


def test_a_stack_may_be_as_high_as_it_likes():
    """Thousands of layers are pushed, listed and searched."""
    stack = Components()
    stack.add(1, "deep")
    for _ in range(2000):
        stack = stack.push()
    assert stack.get("deep") == 1
    assert len(stack.stack) == 2001


def test_a_dict_is_no_layer():
    """Who makes a stack of dicts, as upstream's were, is told what to do."""
    with pytest.raises(TypeError, match="a dict is none: add its items"):
        Components({str: {None: "text"}})
    with pytest.raises(TypeError, match="a dict is none: add its items"):
        Components().push({})

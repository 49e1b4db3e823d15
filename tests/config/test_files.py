"""TOML files: what is wrong with them, and the line of each value."""

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buvar import config
from buvar.config import files
from buvar.errors import Place


def problem_of(path):
    with pytest.raises(config.ConfigError) as caught:
        config.ConfigSource.read(path)
    (problem,) = caught.value.problems
    return problem


def test_a_missing_file_is_named(tmp_path):
    """A file that is not there is named, with what to do."""
    path = tmp_path / "none.toml"
    problem = problem_of(path)
    assert problem.origin == str(path)
    assert str(problem) == f"there is no such configuration file; create it, or correct the path ({path})"


def test_an_unreadable_file_is_named(tmp_path):
    """What cannot be read is named, with the reason."""
    assert str(problem_of(tmp_path)) == (
        f"the configuration file cannot be read: Is a directory; correct the path or its rights ({tmp_path})"
    )


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("a = 1\nb = \n", 2, 5),
        ("a = 1\nb == 2", 2, 4),
        ("[a\n", 1, 3),
        ("a = 1\n\n\n[b]\nx = 'open", 5, 10),
        ('a = """\n\nnever closed\n', 4, 1),
        ("a = 1\na = 2\n", 2, 6),
    ],
)
def test_what_does_not_parse_has_line_and_column(tmp_path, text, line, column):
    """TOML that does not parse is told with its line and column."""
    path = tmp_path / "bad.toml"
    path.write_text(text)
    problem = problem_of(path)
    assert problem.origin == Place(str(path), line, column)
    assert str(problem).endswith(f"({path}:{line}:{column})")
    assert problem.message.startswith("does not parse as TOML: ")


@pytest.mark.parametrize("text", ["a = " + "[" * 100_000, "a = " + "1" * 10_000])
def test_what_overtaxes_the_parser_is_an_error_of_ours(tmp_path, text):
    """Absurd nesting and absurd numbers are errors of the file, not of the program."""
    path = tmp_path / "absurd.toml"
    path.write_text(text)
    assert problem_of(path).message.startswith("is no TOML that can be read")


def test_text_that_is_not_utf8_has_a_line(tmp_path):
    """A file in another encoding is told with the line of the first byte that is wrong."""
    path = tmp_path / "latin.toml"
    path.write_bytes(b'a = 1\nb = "\xe4"\n')
    assert problem_of(path).origin == Place(str(path), 2)


def test_a_byte_order_mark_is_no_error(tmp_path):
    """What editors put before the text is not part of it."""
    path = tmp_path / "bom.toml"
    path.write_bytes(b"\xef\xbb\xbfa = 1\r\nb = 2\r\n")
    source = config.ConfigSource.read(path)
    assert source == {"a": 1, "b": 2}
    assert source.origin("b") == Place(str(path), 2)


def test_all_files_are_told_at_once(tmp_path):
    """Of several bad files each has its problem in the one error."""
    with pytest.raises(config.ConfigError) as caught:
        config.ConfigSource.read(tmp_path / "a.toml", tmp_path / "b.toml")
    assert [problem.origin for problem in caught.value.problems] == [str(tmp_path / "a.toml"), str(tmp_path / "b.toml")]


DOCUMENT = '''\
# a = 0
title = "x" # [title]
"quoted.key" = 1
dotted.one.two = 3

text = """
[not.a.table]
also = "not"  \\""" still
""""
raw = \'\'\'
[no]
\'\'\'
array = [
  1, # ] no end
  "]",
  {inner = "}"},
]
inline = {a = {b = [1, 2]}, c = 'x'}

[table]
key = 1979-05-27T07:32:00Z
[table.sub]
key = "[[servers]]"

[[servers]]
host = "a"
[servers.limits]
cpu = 1
[[servers.disks]]
size = 1
[[servers.disks]]
size = 2

[[servers]]
host = "b"
[[servers.disks]]
size = 3
[deep.er.est]
'''


def test_each_value_has_its_line():
    """Strings, arrays, comments, dotted keys and arrays of tables do not confuse the lines."""
    lines = files.locate(DOCUMENT)
    text = DOCUMENT.splitlines()

    def line(path):
        return text[lines[path] - 1].strip()

    assert line(("title",)).startswith("title")
    assert line(("quoted.key",)).startswith('"quoted.key"')
    assert line(("dotted", "one", "two")) == "dotted.one.two = 3"
    assert line(("text",)) == 'text = """'
    assert line(("raw",)) == "raw = '''"
    assert line(("array", 2, "inner")) == "array = ["
    assert line(("inline", "a", "b", 1)).startswith("inline")
    assert line(("table",)) == "[table]"
    assert line(("table", "sub", "key")) == 'key = "[[servers]]"'
    assert line(("servers", 1, "host")) == 'host = "b"'
    assert line(("servers", 0, "limits", "cpu")) == "cpu = 1"
    assert line(("servers", 0, "disks", 1, "size")) == "size = 2"
    assert line(("servers", 1, "disks", 0, "size")) == "size = 3"
    assert line(("servers", 1)) == "[[servers]]"
    assert lines["servers", 1] > lines["servers", 0, "disks", 1, "size"]
    assert line(("deep", "er")) == "[deep.er.est]"


def test_a_document_that_cannot_be_cut_has_no_lines():
    """Rather no line than a wrong one."""
    assert files.locate("a = ") == {}


keys = st.text("abc.# ]\"'é", min_size=1, max_size=3)
scalars = st.one_of(st.integers(), st.booleans(), st.text("ab[]{}#'\"\\\n= ", max_size=8))
inline = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3),
    max_leaves=5,
)


def quoted(text):
    escaped = "".join(f"\\u{ord(letter):04x}" if letter in '"\\\n' else letter for letter in text)
    return f'"{escaped}"'


def written(draw, value, *, in_table=False):
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        if draw(st.booleans()) and not in_table:
            return '"""\n' + value.replace("\\", "\\\\").replace('"', '\\"') + '"""'
        if not set(value) & set("'\n"):
            return f"'{value}'"
        return quoted(value)
    if isinstance(value, list):
        gap = "" if in_table else draw(st.sampled_from(["", "\n", " # ] [ {\n"]))
        return f"[{gap}" + f",{gap}".join(written(draw, item, in_table=in_table) for item in value) + f"{gap}]"
    return "{" + ", ".join(f"{quoted(k)} = {written(draw, v, in_table=True)}" for k, v in value.items()) + "}"


@st.composite
def documents(draw):
    """A document, and the lines on which its statements begin, by their paths."""
    lines, text, seen = {}, "", set()
    counts = {}
    table = ()

    def say(statement):
        nonlocal text
        text += draw(st.sampled_from(["", "\n", "# [c]\n", "\r\n"]))
        line = text.count("\n") + 1
        text += statement + draw(st.sampled_from(["\n", " # c\n", "\r\n"]))
        return line

    for key, value in draw(st.lists(st.tuples(keys, inline), max_size=6)):
        kind = draw(st.sampled_from(["key", "key", "table", "array"]))
        if kind == "table" and (key,) not in seen:
            table = (key,)
            seen.add(table)
            lines[table] = say(f"[{quoted(key)}]")
        elif kind == "array" and ((key,) not in seen or (key,) in counts):
            counts[key,] = counts.get((key,), -1) + 1
            seen.add((key,))
            table = (key, counts[key,])
            lines[table] = say(f"[[ {quoted(key)} ]]")
        elif (*table, key) not in seen and (table or (key,) not in seen):
            seen.add((*table, key))
            lines[*table, key] = say(f"{quoted(key)} = {written(draw, value)}")
    return text, lines


@given(documents())
def test_no_line_is_ever_wrong(document):
    """Whatever a valid document holds, each statement has the line on which it begins."""
    text, expected = document
    tomllib.loads(text)
    found = files.locate(text)
    assert {path: found.get(path) for path in expected} == expected

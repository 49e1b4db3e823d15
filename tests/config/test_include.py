"""Files that include others: which are read, in which order, and what is wrong with them."""

import json
import os
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buvar.config import ConfigError, ConfigSource
from buvar.config import include as including


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write files into the folder in which the test runs."""
    monkeypatch.chdir(tmp_path)

    def write(**files):
        for name, text in files.items():
            path = tmp_path / f"{name.replace('__', '/')}.toml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    return write


def include(*names):
    return f"[buvar]\ninclude = {json.dumps(names)}\n"


def said(*paths):
    """Return the files that were read, and their values without what they include."""
    source = ConfigSource.read(*paths)
    source.pop("buvar", None)
    return list(source.paths), dict(source)


def problems(*paths):
    with pytest.raises(ConfigError) as caught:
        ConfigSource.read(*paths)
    assert {problem.code for problem in caught.value.problems} == {"BV104"}
    return [str(problem) for problem in caught.value.problems]


def test_an_included_file_is_weaker(write):
    """What a file says itself wins over what it includes, and the last one included over those before it."""
    write(main=include("one.toml", "two.toml") + "[x]\na = 0\n", one="[x]\na = 1\nb = 1\nc = 1\n", two="x = {b = 2}\n")
    assert said("main.toml") == (["one.toml", "two.toml", "main.toml"], {"x": {"a": 0, "b": 2, "c": 1}})


def test_names_start_from_the_folder_of_the_file(write, tmp_path):
    """A relative name means a file beside the one that includes it, wherever the process runs; an absolute one too."""
    write(conf__main=include("sub/a.toml", f"{tmp_path}/b.toml"), conf__sub__a=include("../c.toml"))
    write(b="b = 1", conf__c="c = 1")
    found = ["conf/sub/../c.toml", "conf/sub/a.toml", f"{tmp_path}/b.toml", "conf/main.toml"]
    assert said("conf/main.toml") == (found, {"b": 1, "c": 1})


def test_wildcards_are_sorted(write):
    """A name with wildcards means all that match in the order of their names, but for hidden ones."""
    write(main=include("conf.d/*.toml"), conf__d="")
    write(**{"conf.d__20-b": "x = 20", "conf.d__10-a": "x = 10\ny = 10", "conf.d__.hidden": "x = 0"})
    assert said("main.toml") == (["conf.d/10-a.toml", "conf.d/20-b.toml", "main.toml"], {"x": 20, "y": 10})


def test_wildcards_reach_into_folders(write):
    """Two stars mean all folders below."""
    write(main=include("conf/**/*.toml"), conf__a="a = 1", conf__b__c__d="d = 1")
    assert said("main.toml")[1] == {"a": 1, "d": 1}


def test_wildcards_may_match_nothing(write):
    """A folder for what may be added is empty at first, or not there."""
    write(main=include("conf.d/*.toml", "[x]*.toml") + "[x]\n")
    assert said("main.toml") == (["main.toml"], {"x": {}})


def test_wildcards_leave_out_the_file_itself(write):
    """A file that includes all of its folder does not mean itself."""
    write(main=include("*.toml"), other="x = 1")
    assert said("main.toml") == (["other.toml", "main.toml"], {"x": 1})


def test_a_file_with_the_name_of_wildcards_is_meant(write):
    """A file that is really called so is included."""
    write(**{"main": include("a[1].toml"), "a[1]": "x = 1", "a1": "x = 2"})
    assert said("main.toml") == (["a[1].toml", "main.toml"], {"x": 1})


def test_a_folder_with_wildcards_in_its_name(write):
    """What the folder is called has no meaning."""
    write(**{"[x]__main": include("*.toml"), "[x]__a": "x = 1"})
    assert said("[x]/main.toml") == (["[x]/a.toml", "[x]/main.toml"], {"x": 1})


def test_a_file_that_several_include_is_read_once(write):
    """It is weaker than all that include it: what the first of them says is not undone by the second."""
    write(base="x = 'base'\ny = 'base'", a=include("base.toml") + "[t]", b=include("base.toml"))
    write(main=include("conf.d/*.toml"), **{"conf.d__a": 'x = "a"\n' + include("../base.toml")})
    write(**{"conf.d__b": 'y = "b"\n' + include("../base.toml")})
    found = ["conf.d/../base.toml", "conf.d/a.toml", "conf.d/b.toml", "main.toml"]
    assert said("main.toml") == (found, {"x": "a", "y": "b"})
    assert said("a.toml", "b.toml")[0] == ["base.toml", "a.toml", "b.toml"]


def test_a_file_that_is_named_again_is_stronger(write):
    """Who names a file last, though another one includes it, wants it to win."""
    write(base="x = 'base'", a="x = 'a'\n" + include("base.toml"))
    assert said("a.toml", "base.toml") == (["base.toml", "a.toml", "base.toml"], {"x": "base"})


@pytest.mark.parametrize("name", ["main.toml", "./main.toml", "other/../main.toml", "link.toml"])
def test_a_file_that_includes_itself_is_told(write, name):
    """Whatever it is called, also by a link, a file cannot include itself."""
    write(main=f"\n{include(name)}", other__x="")
    os.symlink("main.toml", "link.toml")
    expected = f"buvar.include: {name} includes itself; remove it from one of the files (main.toml:3)"
    assert problems("main.toml") == [expected]


def test_a_circle_of_files_is_told(write):
    """Files that include each other are told once, at the entry that closes the circle."""
    write(a=include("b.toml"), b=include("c.toml"), c=f"# c\n{include('x.toml', 'a.toml')}", x="")
    assert problems("a.toml") == ["buvar.include: a.toml includes itself; remove it from one of the files (c.toml:3)"]


def test_too_deep_is_told(write):
    """An absurd depth is told, and not by Python."""
    write(**{f"f{number}": include(f"f{number + 1}.toml") for number in range(30)}, f30="")
    assert problems("f0.toml") == [
        f"buvar.include: files include one another {including.DEEPEST} deep; name them with -c (f19.toml:2)"
    ]


def test_all_that_is_wrong_is_told_at_once(write):
    """What is not there, does not parse, is no name or no file is told with file and line, in the order of reading."""
    write(main=include("none.toml", "bad.toml", "", "a\0", "folder", "good.toml"), bad="x = ", good=include("no.toml"))
    os.mkdir("folder")
    assert problems("main.toml", "missing.toml") == [
        "buvar.include: there is no file none.toml; create it, or correct the name (main.toml:2)",
        "does not parse as TOML: Invalid value (bad.toml:1:5)",
        "buvar.include: '' is no name of a file (main.toml:2)",
        "buvar.include: 'a\\x00' is no name of a file (main.toml:2)",
        "the configuration file cannot be read: Is a directory; correct the path or its rights (folder)",
        "buvar.include: there is no file no.toml; create it, or correct the name (good.toml:2)",
        "there is no such configuration file; create it, or correct the path (missing.toml)",
    ]


def test_the_line_is_that_of_the_entry(write):
    """A list over several lines is told by the line on which it begins, since no other is known for sure."""
    write(main="\n[buvar]\n# c\ninclude = [\n  'a.toml',\n]\n")
    assert problems("main.toml") == [
        "buvar.include: there is no file a.toml; create it, or correct the name (main.toml:4)"
    ]


@pytest.mark.parametrize("value", ["'a.toml'", "[1]", "{a = 1}", "[['a.toml']]", "true"])
def test_only_a_list_of_names_includes(write, value):
    """What is no list of names is told, with its line."""
    write(main=f"[buvar]\n\ninclude = {value}\n")
    assert problems("main.toml") == ["buvar.include: expected a list of file names (main.toml:3)"]


def test_what_is_no_table_includes_nothing(write):
    """Where [buvar] is no table, who reads it tells that."""
    write(main="buvar = 5\n")
    assert ConfigSource.read("main.toml") == {"buvar": 5}


def test_a_dangling_link_is_not_there(write):
    """A link that leads nowhere is told like a file that is not there."""
    write(main=include("link.toml"))
    os.symlink("nowhere.toml", "link.toml")
    assert problems("main.toml") == [
        "buvar.include: there is no file link.toml; create it, or correct the name (main.toml:2)"
    ]


names = st.sampled_from(
    ["a.toml", "b.toml", "c.toml", "*.toml", "sub/*", "sub/d.toml", "../x.toml", "", "\0", "[", "**"]
)
graphs = st.fixed_dictionaries(dict.fromkeys(["a.toml", "b.toml", "c.toml", "sub/d.toml"], st.lists(names, max_size=3)))


@given(graphs, st.lists(st.sampled_from(["a.toml", "b.toml"]), min_size=1, max_size=2))
def test_any_files_that_include_any_are_read_or_told(tmp_path_factory, graph, paths):
    """Whatever includes what: all is read, each file after those that it includes, or all that is wrong is told."""
    folder = tmp_path_factory.mktemp("include")
    (folder / "sub").mkdir()
    for name, included in graph.items():
        quoted = [f'"{each}"' if each != "\0" else r'"\u0000"' for each in included]
        (folder / name).write_text(f"[buvar]\ninclude = [{', '.join(quoted)}]\n")
    try:
        found = including.read(folder / path for path in paths)
    except ConfigError as error:
        assert all("\n" not in str(problem) and problem.origin for problem in error.problems)
    else:
        order = [os.path.realpath(each.file) for each in found]
        assert {str(folder / path) for path in paths} <= set(order)
        for document in found:
            for name in tomllib.loads(document.text)["buvar"]["include"]:
                path = os.path.realpath(os.path.join(os.path.dirname(document.file), name))
                if os.path.isfile(path):
                    assert order.index(path) < order.index(os.path.realpath(document.file))

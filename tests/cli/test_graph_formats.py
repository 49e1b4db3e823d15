"""What ``buvar graph`` writes for other programs is well-formed, whatever plugins, types and errors are called."""

import html.parser
import json
import re
import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buvar import di, errors
from buvar.cli import diagrams, drawing, page, tree
from buvar.di import picture as injection
from buvar.staging.picture import Load, Picture, PluginNode

pytestmark = pytest.mark.slow

NASTY = [
    '"',
    "\\",
    "</script>",
    "<!--",
    "&quot;",
    "&#34;",
    "#34;",
    "\n",
    "\r",
    "\0",
    "\u2028",
    "`",
    "]]",
    "{{data}}",
    "end",
    "ü",
    "\N{SNOWMAN}",
]
names = st.lists(st.one_of(st.sampled_from(NASTY), st.text(max_size=5)), min_size=1, max_size=5).map("".join)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@st.composite
def pictures(draw):
    """Return a picture of some plugins, of which each has a component, an adapter, and a root that lacks something."""
    number = draw(st.integers(1, 4))
    states = st.sampled_from(["prepared", "failed", "missing", "unfinished"])
    plugins, adapters, components, roots, edges = [], [], [], [], []
    for at in range(1, number + 1):
        name = draw(names)
        state = draw(states)
        exports = draw(st.none() | st.lists(names, max_size=2).map(tuple))
        place = errors.Place(draw(names), 7)
        adapters.append(
            injection.AdapterNode(f"a{at}", draw(names), draw(names), draw(names), "plain", "scoped", name, place)
        )
        components.append(injection.ComponentNode(f"c{at}", draw(names), draw(st.none() | names), name, place))
        roots.append(injection.RootNode(f"r{at}", draw(names), name, place, draw(st.none() | names)))
        edges.append(injection.Edge(f"a{at}", draw(names), draw(names), f"c{at}", "component"))
        edges.append(injection.Edge(f"r{at}", None, draw(names), None, "missing", draw(names)))
        error = None if state == "prepared" else draw(names)
        gifts = {"adapters": (f"a{at}",), "components": (f"c{at}",), "roots": (f"r{at}",)}
        plugins.append(PluginNode(f"p{at}", name, state, draw(st.none() | names), place, None, exports, error, **gifts))
    gives = st.lists(names, max_size=2).map(tuple)
    loads = []
    for at in range(1, number + 1):
        loader = draw(st.none() | st.sampled_from([f"p{earlier}" for earlier in range(1, at)] or [None]))
        loads.append(Load(loader, f"p{at}", "first", draw(gives)))
    ids = st.sampled_from([each.id for each in plugins])
    pairs = draw(st.lists(st.tuples(ids, ids), max_size=6, unique=True))
    loads += [Load(loader, each, draw(st.sampled_from(["again", "circle"])), draw(gives)) for loader, each in pairs]
    found = injection.Graph(tuple(adapters), tuple(components), tuple(roots), tuple(edges))
    return Picture(tuple(plugins), tuple(loads), ((draw(names), draw(names)),), 1.0, found)


whats = st.sampled_from(["plugins", "injection", "all"])

LABEL = r'"(?:[\w ,.()\'\[\]-]|#\d+;|<br/>)*"'
MERMAID = re.compile(
    rf"[pacrm]\d+(?:\[{LABEL}\]|\[\[{LABEL}\]\]|\(\[{LABEL}\]\)|\{{\{{{LABEL}\}}\}})(?::::\w+)?"  # a box
    rf"|[par]\d+ (?:-->|-\.->)(?:\|{LABEL}\|)? [pacm]\d+"  # an arrow
    rf"|subgraph sp\d+\[{LABEL}\]|end"
    r"|classDef \w+ [\w#:,-]+|linkStyle \d+(?:,\d+)* stroke:#c00"
)


@given(pictures(), whats)
@settings(max_examples=30, deadline=None)
def test_mermaid_is_well_formed(picture, what):
    """Each line is a box, an arrow, a frame or a style, and a label has nothing that could end it."""
    head, *lines = diagrams.mermaid(picture, what).splitlines()
    assert head == "graph LR"
    assert [line for line in lines if not MERMAID.fullmatch(line.strip())] == []
    assert lines.count("  end") == sum("subgraph" in line for line in lines)


STRING = r'"(?:[^"\\]|\\.)*"'
DOT = re.compile(
    rf"(?:[pacrm]\d+(?: -> [pacm]\d+)?|node|edge)(?: \[\w+=(?:{STRING}|[\w.]+)(?:, \w+=(?:{STRING}|[\w.]+))*\])?"
    r"|rankdir=LR|color=gray|subgraph cluster_p\d+ \{|\}"
)


@given(pictures(), whats)
@settings(max_examples=30, deadline=None)
def test_dot_is_well_formed(picture, what):
    """Each line is a node, an edge, a frame or an attribute, and a string ends where it should."""
    head, *lines, end = diagrams.dot(picture, what).split("\n")
    assert (head, end) == ("digraph service {", "}")
    assert [line for line in lines if not DOT.fullmatch(line.strip())] == []
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize(
    ("name", "label"),
    [('a "b"', r"a \"b\""), ("a\\n", r"a\\n"), ("&lt;", "&amp;lt;"), ("a\tb", r"a\\tb"), ("ü", "ü")],
)
def test_a_name_in_dot(name, label):
    """Quotes, backslashes, entities and control characters stand for themselves."""
    node = PluginNode("p1", name, "missing", None, None, None)
    text = diagrams.dot(Picture((node,), (), (), 0.0, di.Graph((), (), (), ())), "plugins")
    assert f'p1 [label="{label}"' in text


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
@pytest.mark.parametrize("what", ["plugins", "injection", "all"])
def test_graphviz_takes_dot(what):
    """Graphviz reads it, and has a node for each name."""
    nodes = [PluginNode(f"p{at}", each, "prepared", None, None, None) for at, each in enumerate(NASTY, 1)]
    loads = (Load("p1", "p2", "first"), Load("p2", "p1", "circle"), Load("p1", "p3", "again", ('"x"',)))
    adapter = injection.AdapterNode("a1", '"A"', "A", "\\", "plain", "scoped", None, None)
    found = di.Graph((adapter,), (), (), (injection.Edge("a1", "b", "</b>", None, "missing", "why"),))
    text = diagrams.dot(Picture(tuple(nodes), loads, (), 0.0, found), what)
    done = subprocess.run(["dot", "-Tplain"], input=text.encode(), capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    expected = {"plugins": len(NASTY), "injection": 2, "all": len(NASTY) + 2}[what]
    assert done.stdout.decode().count("\nnode ") == expected


class Reader(html.parser.HTMLParser):
    """Reads a page: its elements, and the text in each."""

    def __init__(self, text):
        super().__init__()
        self.elements = []
        self.texts = {}
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        tag, attributes = self.elements[-1] if self.elements else ("", {})
        key = attributes.get("id") or tag
        self.texts[key] = self.texts.get(key, "") + data


def page_of(picture, text="a text"):
    return page.html(drawing.document(picture), text)


@given(pictures())
@settings(max_examples=30, deadline=None)
def test_names_cannot_break_out_of_the_page(picture):
    """The page has the same elements whatever names hold, and the document in it is what it was."""
    text = page_of(picture, tree.text(picture, "all", 100))
    read = Reader(text)
    assert [tag for tag, _ in read.elements] == [tag for tag, _ in Reader(page_of(EMPTY)).elements]
    assert json.loads(read.texts["data"]) == json.loads(json.dumps(drawing.document(picture)))
    assert "<!--" not in text


EMPTY = Picture((), (), (), 0.0, di.Graph((), (), (), ()))


def test_the_page_needs_nothing_else():
    """It has no reference to another file or to the network, and forbids the browser to look for any."""
    text = page_of(EMPTY)
    read = Reader(text)
    assert [
        (tag, name) for tag, found in read.elements for name in found if name in {"src", "href", "data", "action"}
    ] == []
    assert not any(tag in {"link", "img", "iframe", "object", "embed", "base"} for tag, _ in read.elements)
    assert re.findall(r"(?i)url\((?!#)|@import|\bfetch\(|XMLHttpRequest|WebSocket|importScripts", text) == []
    assert set(re.findall(r"https?://[^\s\"'<>]+", text)) == {"http://www.w3.org/2000/svg"}  # a name, never loaded
    (policy,) = (found["content"] for tag, found in read.elements if found.get("http-equiv"))
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


def test_the_page_can_be_read_without_scripts():
    """Who runs no scripts reads the text."""
    read = Reader(page_of(EMPTY, "├─ <b> & {{data}}"))
    assert read.texts["pre"].rstrip() == "├─ <b> & {{data}}"


SHOWN = Picture(
    plugins=(
        PluginNode("p1", "shop", "failed", "Sells.", None, None, None, "E: </script>", "p3", 0.0, 0.5, 0.1),
        PluginNode("p2", "shop.users", "prepared", None, errors.Place("u", 3), "p1", ("shop.Users",), adapters=("a1",)),
        PluginNode("p3", 'shop:"<b>&\u2028', "failed", None, None, "p1", (), "ValueError: <i>no</i>"),
        PluginNode("p4", "shop.nowhere", "missing", None, None, "p1", error="not found"),
    ),
    loads=(
        Load(None, "p1", "first"),
        Load("p1", "p2", "first", ("shop.Users",)),
        Load("p1", "p3", "first"),
        Load("p1", "p4", "first"),
        Load("p2", "p3", "again"),
        Load("p3", "p1", "circle"),
    ),
    circles=(("shop", "shop.users", "shop"),),
    seconds=0.5,
    injection=di.Graph(
        (injection.AdapterNode("a1", "Users", "shop.Users", "make_users", "plain", "singleton", "shop.users", None),),
        (injection.ComponentNode("c1", "shop.Database", "main", None, None),),
        (injection.RootNode("r1", "shop.handler", "shop", None),),
        (
            injection.Edge("r1", "users", "shop.Users", "a1", "adapter"),
            injection.Edge("a1", "database", "shop.Database", "c1", "component"),
            injection.Edge("a1", "retries", "int", None, "default"),
            injection.Edge("a1", "mailer", "shop.Mailer", None, "missing", "nothing provides it"),
        ),
    ),
)  # fmt: skip


@pytest.fixture
def browse(tmp_path):
    """Open the page in a browser, and return the elements that its scripts have made."""
    if CHROMIUM is None:
        pytest.skip("no chromium is installed")

    def browse(picture, address="", script=""):
        path = tmp_path / "graph.html"
        text = page_of(picture).replace("</body>", f"<script>{script}</script></body>")
        path.write_text(text, "utf-8", "backslashreplace")
        done = subprocess.run(
            [
                *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
                *(f"--user-data-dir={tmp_path}/profile", "--virtual-time-budget=3000", "--window-size=1200,800"),
                *("--enable-logging=stderr", "--v=0", "--dump-dom", f"file://{path}{address}"),
            ],
            capture_output=True,
            timeout=50,
            check=True,
        )
        console = [line for line in done.stderr.decode().splitlines() if "CONSOLE" in line]
        assert console == []
        # the scripts and the data are in it as well, and what is made of them is what counts
        return Reader(re.sub(r"(?s)<script.*?</script>|<noscript.*?</noscript>", "", done.stdout.decode()))

    return browse


def labels(read):
    return [found["aria-label"] for tag, found in read.elements if found.get("role") == "button" and "data-id" in found]


@pytest.mark.slow
def test_a_browser_draws_the_plugins(browse):
    """Each plugin is a box with its name and state, each load a line with an arrow, and the console is silent."""
    read = browse(SHOWN)
    assert labels(read) == [
        "plugin shop, failed",
        "plugin shop.users, 0.0 ms",
        'plugin shop:"<b>&\u2028, failed',
        "plugin shop.nowhere, not found",
    ]
    lines = [
        set(found["class"].split()) for _, found in read.elements if (found.get("class") or "").startswith("line ")
    ]
    assert sorted(kind for kinds in lines if "ends" in kinds for kind in kinds - {"line", "ends"}) == [
        *("again", "back", "bad", "first", "first", "first"),
    ]
    assert "4 plugins, loaded in 500 ms, 2 with walls" in read.texts["summary"]


@pytest.mark.slow
def test_a_browser_shows_what_is_chosen(browse):
    """The address chooses a plugin, and its details are shown; what it holds stays text."""
    read = browse(SHOWN, "#plugins/p3")
    assert [found["data-id"] for _, found in read.elements if "chosen" in (found.get("class") or "").split()] == ["p3"]
    assert any("ValueError: <i>no</i>" in text for text in read.texts.values())
    assert not any(tag in {"b", "i"} for tag, _ in read.elements)


@pytest.mark.slow
def test_a_browser_draws_the_injection(browse):
    """Of an adapter it is drawn what it takes and who takes it, and what is missing."""
    assert labels(browse(SHOWN, "#injection/a1")) == [
        "adapter Users, singleton",
        "component Database “main”, component",
        "root handler, required",
        "missing Mailer, missing",
    ]


@pytest.mark.slow
def test_a_browser_draws_load_times(browse):
    """There is a bar for each plugin that was loaded, the slowest first."""
    read = browse(SHOWN, "#times")
    rows = [
        found["title"]
        for tag, found in read.elements
        if (found.get("class") or "").split()[:1] == ["row"] and tag == "button"
    ]
    assert rows == ["shop", "shop.users", 'shop:"<b>&\u2028']


@pytest.mark.slow
def test_keys_walk_along_the_lines(browse):
    """Arrow keys go from who loads to what is loaded and back; Escape chooses nothing."""
    script = """
        const press = (key) => document.activeElement.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
        const seen = [];
        document.querySelector("[data-id=p1]").focus();
        for (const key of ["Enter", "ArrowRight", "ArrowLeft", "Escape"]) { press(key); seen.push(location.hash); }
        document.body.dataset.seen = seen.join(" ");
    """
    read = browse(SHOWN, script=script)
    (seen,) = (found["data-seen"] for tag, found in read.elements if tag == "body")
    first, right, left, last = (each.removeprefix("#plugins").removeprefix("/") for each in seen.split())
    assert (first, left, last) == ("p1", "p1", "")
    assert right in {"p2", "p3", "p4"}


@pytest.mark.parametrize(
    "picture", [EMPTY, Picture(SHOWN.plugins[3:], (Load(None, "p4", "first"),), (), 0.0, EMPTY.injection)]
)
@pytest.mark.slow
@pytest.mark.parametrize("tab", ["plugins", "times", "injection"])
def test_a_browser_copes_with_little(browse, picture, tab):
    """A service without plugins, or with none that is there, is a page too."""
    browse(picture, f"#{tab}")

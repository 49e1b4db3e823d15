"""The house has floors (see DESIGN in CONTRIBUTING): imports go down, never up, and never in a circle."""

import ast
import importlib.util
import pathlib
import sys

import attrs
import pytest

pytestmark = pytest.mark.slow

FLOORS = {
    "errors": 1,
    "words": 1,
    "log": 1,
    "names": 2,
    "declaration": 2,
    "ever": 2,
    "diagnostic": 2,
    "routes": 2,
    "components": 2,
    "scopes": 2,
    "context": 3,
    "di": 4,
    "config": 5,
    "staging": 5,
    "forking": 5,
    "plugin": 6,
    "fork": 6,
    "testing": 6,
    "plugins": 6,
    "page": 6,
    "cli": 7,
    "__main__": 7,
    "buvar": 7,
    "buvar_aiohttp": 7,
}
FACE = "buvar"
# plugins of which the second is the ground that the first stands on
PAIRS: set[tuple[str, str]] = set()
FOREIGN = {"attr", "attrs", "cattrs", "click", "structlog"}
# what a room may import beside that, since who uses the room has it
FOREIGN_OF = {
    "testing": {"pytest"},
    "cli": {"rich", "uvloop", "watchfiles"},
    "buvar_aiohttp": {
        "aiohttp",
        "aiosignal",
        "frozenlist",
        "msgspec",
        "multidict",
        "prometheus_client",
        "pytest",
        "yarl",
    },
}
CONTEXT_VARS = {"buvar_context", "buvar_adapters"}
FULL_ROOM = 400

HOUSE = pathlib.Path(importlib.util.find_spec("buvar").origin).parent.parent
TESTS = pathlib.Path(__file__).parent


@attrs.frozen
class Module:
    """A module of the house, the modules of the house that it imports, and the foreign packages."""

    name: str
    tree: ast.Module
    lines: int
    imports: frozenset[str] = frozenset()
    foreign: frozenset[str] = frozenset()

    @property
    def room(self):
        first, *rest = self.name.split(".")
        return rest[0] if first == FACE and rest else first


def read(root):
    """Return the modules of the packages buvar and buvar_* under root, by name."""
    packages = [path for path in sorted(root.glob("buvar*")) if (path / "__init__.py").exists()]
    files = [file for package in packages for file in sorted(package.rglob("*.py"))]
    names = {file: module_name(root, file) for file in files}
    known = set(names.values())
    return {name: parse(name, file, known) for file, name in names.items()}


def module_name(root, file):
    parts = file.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def parse(name, file, known):
    text = file.read_text()
    tree = ast.parse(text)
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]
    targets = {target for node in ast.walk(tree) for target in imported(node, package, known)}
    ours = frozenset(target for target in targets if is_ours(target))
    foreign = frozenset(target.partition(".")[0] for target in targets - ours)
    return Module(name, tree, len(text.splitlines()), ours - {name}, foreign)


def is_ours(target):
    return target.partition(".")[0].startswith("buvar")


def imported(node, package, known):
    """Return what an import statement imports: the module where the name is one, or else the module that holds it."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            start = package.split(".")[: len(package.split(".")) - node.level + 1]
            base = ".".join([*start, *filter(None, [node.module])])
        for alias in node.names:
            inner = f"{base}.{alias.name}"
            if not (base == FACE and alias.name.startswith("__")):
                yield inner if inner in known else base


def room_of(name):
    return Module(name, ast.Module([], []), 0).room


def upward(modules):
    """Imports from a floor to a higher one, and rooms that have no floor."""
    for module in modules.values():
        if module.room not in FLOORS:
            yield f"{module.name} is in no room"
        for target in module.imports:
            if FLOORS.get(room_of(target), 99) > FLOORS.get(module.room, 0):
                yield f"{module.name} imports {target}, which is above"


def faces(modules):
    """Imports of the face inside of the house."""
    return [f"{module.name} imports the face" for module in modules.values() if FACE in module.imports]


def circles(edges):
    """Return the circles in a graph, each as the path that closes it."""
    found, done = [], set()

    def visit(node, path):
        if node in path:
            found.append(" -> ".join([*path[path.index(node) :], node]))
        elif node not in done:
            for target in sorted(edges.get(node, ())):
                visit(target, [*path, node])
            done.add(node)

    for node in sorted(edges):
        visit(node, [])
    return found


def module_circles(modules):
    return circles({name: module.imports for name, module in modules.items()})


def room_circles(modules):
    edges = {}
    for module in modules.values():
        edges.setdefault(module.room, set()).update({room_of(target) for target in module.imports} - {module.room})
    return circles(edges)


def neighbours(modules):
    """Plugins that import another plugin, and siblings that import each other."""
    for module in modules.values():
        for target in module.imports:
            one, other = neighbour(module.name), neighbour(target)
            if one and other and one[0] == other[0] and one != other and (one[1], other[1]) not in PAIRS:
                yield f"{module.name} imports its neighbour {target}"


def neighbour(name):
    parts = name.split(".")
    if parts[:2] == ["buvar", "plugins"] and len(parts) > 2:
        return "plugin", parts[2]
    return ("sibling", parts[0]) if parts[0] != FACE else None


def strangers(modules):
    """Imports of packages that the distribution does not require."""
    for module in modules.values():
        allowed = FOREIGN | FOREIGN_OF.get(module.room, set()) | sys.stdlib_module_names
        for name in sorted(module.foreign - allowed):
            yield f"{module.name} imports {name}"


def full_rooms(modules):
    return [f"{module.name}: {module.lines} lines" for module in modules.values() if module.lines > FULL_ROOM]


def state(modules):
    """Module-level context variables beside the known ones, and `global` statements."""
    for module in modules.values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Global):
                yield f"{module.name}:{node.lineno} global {', '.join(node.names)}"
        for node in module.tree.body:
            if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Call):
                target = ast.unparse(node.targets[0] if isinstance(node, ast.Assign) else node.target)
                if ast.unparse(node.value.func).endswith("ContextVar") and target not in CONTEXT_VARS:
                    yield f"{module.name}:{node.lineno} {target} is a context variable"


def silent_tests(root):
    """Tests that do not say what is true."""
    for file in sorted(root.rglob("test_*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                if not ast.get_docstring(node):
                    yield f"{file.name}:{node.lineno} {node.name}"


CHECKS = [upward, faces, module_circles, room_circles, neighbours, strangers, full_rooms, state]


@pytest.fixture(scope="module")
def house():
    return read(HOUSE)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_house_keeps_its_law(house, check):
    """No module of the house breaks this rule."""
    assert list(check(house)) == []


def test_the_house_is_read(house):
    """The check sees the modules, and the imports that they certainly have."""
    assert "buvar.errors" in house["buvar.components"].imports
    assert "attrs" in house["buvar.errors"].foreign
    assert {module.room for module in house.values()} <= set(FLOORS)


def test_every_test_says_what_is_true():
    """Every test has a sentence that says what is true."""
    assert list(silent_tests(TESTS)) == []


@pytest.fixture
def bad(tmp_path):
    """Return a function that reads a tree of files like the house."""

    def build(**files):
        for name, text in {"buvar/__init__": "", "buvar_aiohttp/__init__": "", **files}.items():
            path = tmp_path / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return read(tmp_path)

    return build


@pytest.mark.parametrize(
    "text",
    [
        "import buvar.context",
        "from buvar import context",
        "from buvar.context import add",
        "from . import context",
        "from .context import add",
        "def f():\n    from . import context",
        "if t.TYPE_CHECKING:\n    from .context import add",
    ],
)
def test_an_import_upward_is_found(bad, text):
    """However it is written, and wherever it stands, an import from below to above is found."""
    modules = bad(**{"buvar/components": text, "buvar/context": ""})
    assert list(upward(modules)) == ["buvar.components imports buvar.context, which is above"]


def test_an_unknown_room_is_found(bad):
    """A new room needs a floor."""
    assert list(upward(bad(**{"buvar/attic": ""}))) == ["buvar.attic is in no room"]


@pytest.mark.parametrize("text", ["import buvar", "from buvar import Components", "from . import Components"])
def test_an_import_of_the_face_is_found(bad, text):
    """A name that only buvar/__init__.py holds is imported from the face; its version is no such name."""
    assert faces(bad(**{"buvar/fork": text})) == ["buvar.fork imports the face"]
    assert faces(bad(**{"buvar/fork": "from buvar import __version__"})) == []


def test_circles_are_found(bad):
    """A circle inside of a room, and one between rooms of the same floor, are found."""
    inside = bad(**{"buvar/di/__init__": "", "buvar/di/a": "from . import b", "buvar/di/b": "from .a import x"})
    assert module_circles(inside) == ["buvar.di.a -> buvar.di.b -> buvar.di.a"]
    assert room_circles(inside) == []
    between = bad(
        **{"buvar/staging/__init__": "", "buvar/staging/a": "import buvar.config.a", "buvar/staging/b": ""},
        **{"buvar/config/__init__": "", "buvar/config/a": "", "buvar/config/b": "import buvar.staging.b"},
    )
    assert "buvar.staging" not in "".join(module_circles(between))
    assert room_circles(between) == ["config -> staging -> config"]


def test_neighbours_are_found(bad):
    """A plugin that imports another plugin, and siblings that import each other, are found."""
    files = {"buvar/plugins/__init__": "", "buvar/plugins/a": "from . import b", "buvar/plugins/b": "from . import c"}
    modules = bad(
        **files, **{"buvar_x/__init__": "import buvar_aiohttp", "buvar/plugins/c/__init__": "from .d import x"}
    )
    assert sorted(neighbours(modules)) == [
        "buvar.plugins.a imports its neighbour buvar.plugins.b",
        "buvar.plugins.b imports its neighbour buvar.plugins.c",
        "buvar_x imports its neighbour buvar_aiohttp",
    ]


def test_a_stranger_is_found(bad):
    """A package that is not required is found, but not where it is at home."""
    modules = bad(**{"buvar/fork": "import aiohttp", "buvar_aiohttp/json": "import aiohttp.web, attrs, json"})
    assert list(strangers(modules)) == ["buvar.fork imports aiohttp"]


def test_a_full_room_is_found(bad):
    """A file of more than 400 lines is found."""
    assert full_rooms(bad(**{"buvar/fork": "x\n" * 401, "buvar/errors": "x\n" * 400})) == ["buvar.fork: 401 lines"]


def test_state_is_found(bad):
    """A context variable too many and a global statement are found."""
    text = "x: object = contextvars.ContextVar('x')\nbuvar_context = ContextVar('y')\ndef f():\n    global z"
    assert sorted(state(bad(**{"buvar/fork": text}))) == [
        "buvar.fork:1 x is a context variable",
        "buvar.fork:4 global z",
    ]


def test_a_silent_test_is_found(tmp_path):
    """A test without a sentence is found."""
    (tmp_path / "test_x.py").write_text("async def test_a(): pass\ndef test_b():\n    'b is true.'\n")
    assert list(silent_tests(tmp_path)) == ["test_x.py:1 test_a"]

"""``buvar init``: write a small service that runs."""

from __future__ import annotations

import contextlib
import importlib.util
import keyword
import os
import pathlib
import re
import string
import sys
import typing as t
from importlib import resources

import click

from buvar import __version__

if t.TYPE_CHECKING:
    import collections.abc as c
    from importlib.resources.abc import Traversable

SUFFIX: t.Final = ".tmpl"
#: what a name has to be, so that it names a distribution too, and a module once its dashes are underscores
NAME: t.Final = re.compile(r"[A-Za-z]([A-Za-z0-9_-]*[A-Za-z0-9])?")
#: what the service itself imports, installed here or not
NEEDED: t.Final = frozenset({"aiohttp", "attrs", "buvar", "buvar_aiohttp", "pytest", "structlog", "uvloop"})
#: what the service is made to run with
SERVER: t.Final = ("aiohttp", "uvloop")


@click.command("init")
@click.argument("name")
@click.option("--here", is_flag=True, help="Write into the current folder, in place of a new one that is called NAME.")
def command(name: str, here: bool) -> None:
    """Write a small service that runs, to begin with.

    NAME is what the service is called, as in my-shop: a new folder gets that name, and the Python package in it too,
    with underscores for dashes. It serves HTTP, and comes with a configuration, tests, a Makefile and a README, for you
    to change. Nothing that is there already is overwritten.

    \b
    Examples:
      buvar init my-shop          writes ./my-shop/
      buvar init my-shop --here   writes into the current folder
    """
    package = _package(name)
    root = pathlib.Path() if here else pathlib.Path(name)
    files = {root / path: text for path, text in _fill(name, package)}
    if taken := _in_the_way(root, package, files):
        raise _refused("this is in the way, and nothing was written; move it, or choose another name:", taken)
    _write(files)
    click.echo(_next_steps(files, root))


def _package(name: str) -> str:
    """Return the name of the package. Raises `errors.UsageError` for a name that would make no good one."""
    from buvar import errors

    package = name.replace("-", "_")
    if NAME.fullmatch(name) is None:
        better = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-").lstrip("0123456789-")
        hint = f", as in {better}" if NAME.fullmatch(better) else ", as in my-shop"
        raise errors.UsageError(
            f"{name!r} cannot name a package; write letters, digits and dashes, a letter first{hint}"
        )
    if reason := _taken(package):
        raise errors.UsageError(
            f"a service cannot be called {name!r}: {reason}; choose another name, as {name}-service"
        )
    return package


def _taken(package: str) -> str | None:
    """Return why a service's package cannot have that name, if it cannot."""
    if keyword.iskeyword(package):
        return "that is a word of the language, which cannot be imported"
    if package in sys.stdlib_module_names:
        return "it would hide the module of that name in the standard library"
    if package in NEEDED:
        return "it would hide a package of that name that the service needs"
    if package == "tests":
        return "its tests are in a folder of that name"
    if place := _installed(package):
        return f"it would hide an installed module of that name ({place})"
    return None


def _installed(package: str) -> str | None:
    """Return where a module of that name is installed; it is not imported. What lies in this folder does not count."""
    spec = importlib.util.find_spec(package)
    if spec is None:
        return None
    here = pathlib.Path.cwd()
    places = [spec.origin] if spec.has_location and spec.origin else [*(spec.submodule_search_locations or ())]
    return next((each for each in places if here not in [*pathlib.Path(each).parents][:2]), None)


def _fill(name: str, package: str) -> c.Iterator[tuple[pathlib.PurePath, str]]:
    """Yield the path and the text of each file of the service."""
    names = {"name": name, "package": package, "PACKAGE": package.upper(), "version": __version__}
    renamed = {"package": package, "gitignore": ".gitignore"}
    for parts, template in _templates(resources.files("buvar.cli") / "template"):
        path = pathlib.PurePath(*(renamed.get(part, part) for part in parts))
        yield path, string.Template(template).substitute(names)


def _templates(folder: Traversable) -> c.Iterator[tuple[tuple[str, ...], str]]:
    for each in sorted(folder.iterdir(), key=lambda each: each.name):
        if each.is_dir():
            yield from (((each.name, *parts), text) for parts, text in _templates(each))
        elif each.name.endswith(SUFFIX):
            yield (each.name.removesuffix(SUFFIX),), each.read_text(encoding="utf-8")


def _in_the_way(root: pathlib.Path, package: str, files: c.Iterable[pathlib.Path]) -> list[pathlib.Path]:
    """Return what is there already: a folder with anything in it, or in the current one what would mix with ours."""
    if root != pathlib.Path():
        with contextlib.suppress(OSError):  # no folder, or none that can be read
            return [root] if any(root.iterdir()) else []
    wanted = [root / package, root / f"{package}.py", *files] if root == pathlib.Path() else [root]
    return [path for path in wanted if os.path.lexists(path)]


def _write(files: c.Mapping[pathlib.Path, str]) -> None:
    """Write all files, or none."""
    made: list[pathlib.Path] = []
    try:
        for path, text in files.items():
            for folder in reversed(path.parents):
                if not folder.is_dir():
                    folder.mkdir()
                    made.append(folder)
            with path.open("x", encoding="utf-8") as file:  # nobody's file, not even one that came just now
                made.append(path)
                file.write(text)
    except OSError as error:
        for path in reversed(made):
            with contextlib.suppress(OSError):
                path.rmdir() if path.is_dir() else path.unlink()
        raise _refused(f"{error.strerror}; nothing was written:", [error.filename or path]) from error


def _refused(reason: str, paths: c.Iterable[object]) -> Exception:
    from buvar import errors

    return errors.UsageError("\n".join([reason, *(f"  {path}" for path in paths)]))


def _next_steps(files: c.Collection[pathlib.Path], root: pathlib.Path) -> str:
    here = root == pathlib.Path()
    ready = all(importlib.util.find_spec(name) for name in SERVER)
    steps = [
        *([] if here else [(f"cd {root}", "")]),
        ("buvar run -c config.toml", "serves http://127.0.0.1:8080 until Ctrl-C")
        if ready
        else ("make run", "serves http://127.0.0.1:8080 until Ctrl-C, from an environment that it makes in .venv"),
        ("curl http://127.0.0.1:8080/hello/you", "asks it, from another shell"),
        ("make test", "runs the tests, from an environment that it makes in .venv"),
    ]
    lines = [f"  {step:38}{what}".rstrip() for step, what in steps]
    return "\n".join([f"wrote {len(files)} files into {'the current folder' if here else root}", "", *lines, ""])

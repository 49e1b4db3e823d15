"""What a shell may complete: names of modules, configuration files. Looks at folders; no code of a service is run."""

from __future__ import annotations

import os
import typing as t

if t.TYPE_CHECKING:
    import click
    from click.shell_completion import CompletionItem


def plugins(_: click.Context, __: click.Parameter, incomplete: str) -> list[str]:
    """Return the modules that begin so: those of the current folder, and after a dot those of any package.

    A package that is the only one is followed by its modules, so that a shell goes on from there.
    """
    if ":" in incomplete:  # what a module holds is known only by running it
        return []
    found = _modules(incomplete)
    if len(found) == 1 and found[0] != incomplete.rpartition(".")[0]:
        found += _modules(f"{found[0]}.")
    return found


def _modules(incomplete: str) -> list[str]:
    import pkgutil

    parent, dot, start = incomplete.rpartition(".")
    folders = _folders(parent.split(".")) if dot else [os.curdir]
    names = {each.name for each in pkgutil.iter_modules(folders) if each.name.startswith(start)}
    shown = {name for name in names if name.isidentifier() and (start or not name.startswith("_"))}
    return sorted(f"{parent}{dot}{name}" for name in shown)


def _folders(parts: list[str]) -> list[str]:
    """Return the folders of a package. Only the outermost is looked for as an import does: that runs no code."""
    import importlib.util

    if not all(parts):
        return []
    # an installation for developers is found by hooks of its own, not by the path
    here = [os.curdir] if os.path.isdir(parts[0]) else []  # noqa: PTH112 - pathlib takes longer to import
    try:
        spec = None if here else importlib.util.find_spec(parts[0])
    except (ImportError, ValueError):
        return []
    found = [] if spec is None else [*(spec.submodule_search_locations or ())]
    places = here or [os.path.dirname(each) for each in found]  # noqa: PTH120
    folders = (os.path.join(place, *parts) for place in places)  # noqa: PTH118
    return [folder for folder in folders if os.path.isdir(folder)][:1]  # noqa: PTH112


def toml_files(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Return the TOML files that begin so; where there are none, let the shell complete folders."""
    from click.shell_completion import CompletionItem

    folder, name = os.path.split(incomplete)
    try:
        names = sorted(os.listdir(os.path.expanduser(folder) or os.curdir))  # noqa: PTH111, PTH208
    except OSError:
        names = []
    found = [each for each in names if each.startswith(name) and each.endswith(".toml")]
    items = [CompletionItem(os.path.join(folder, each)) for each in found]  # noqa: PTH118
    return items or [CompletionItem(incomplete, type="dir")]

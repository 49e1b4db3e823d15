"""Dotted names: ``"package.module"``, ``"package.module:attribute"`` and ``".relative"`` to objects and back.

Not to be found and to be found but broken are two things: the first is `NameNotFoundError`, with the nearest name
that there is; the second is the error that the module itself raised, with a note that says which name led there.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import sys
import typing as t

from .errors import DottedNameError, NameNotFoundError, did_you_mean, note

if t.TYPE_CHECKING:
    import collections.abc as c


def resolve(dotted: str, package: str | None = None) -> t.Any:
    """Return the module or the attribute that *dotted* names; a leading dot is relative to *package*.

    Raises `NameNotFoundError` (an ImportError) when there is no such thing, `DottedNameError` (a ValueError) for what
    is no dotted name, and whatever the import itself raises.
    """
    module_name, colon, path = dotted.partition(":")
    if not module_name.strip(".") or ":" in path or (colon and not path):
        raise DottedNameError(dotted)
    module = _import(dotted, _absolute(dotted, module_name, package))
    found = module
    for attribute in path.split(".") if path else ():
        found = _attribute(dotted, found, attribute)
    return found


def _absolute(dotted: str, module_name: str, package: str | None) -> str:
    if not module_name.startswith("."):
        return module_name
    if not package:
        raise NameNotFoundError(dotted, "a relative name needs a package to start from; write the whole name")
    try:
        return importlib.util.resolve_name(module_name, package)
    except ImportError:
        raise NameNotFoundError(dotted, f"it leads out of the package {package!r}") from None


def _import(dotted: str, module_name: str) -> t.Any:
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is None or _is_inside(error.name, module_name):
            note(error, f"while importing {dotted!r}")
            raise
        if found := _instead(error.name):
            raise NameNotFoundError(dotted, found) from None
        raise NameNotFoundError(dotted, _why_missing(error.name), error.name) from None
    except BaseException as error:
        note(error, f"while importing {dotted!r}")
        raise


def _is_inside(missing: str, module_name: str) -> bool:
    """Tell whether a module is missing inside of what was found.

    Otherwise it is what was asked for, or a package on the way to it; what that one needs itself is inside of it.
    """
    parent = missing.rpartition(".")[0]
    return not f"{module_name}.".startswith(f"{missing}.") or bool(parent and parent not in sys.modules)


def _instead(module_name: str) -> str | None:
    """Tell of a function that is there under the name of a module: there is a dot where a colon was meant."""
    parent, _, last = module_name.rpartition(".")
    if not parent or not callable((found := vars(sys.modules[parent])).get(last)):
        return None
    why = f"{last!r} in {parent!r} is no module" if "__path__" in found else f"{parent!r} is a module, not a package"
    return f"{why}; write '{parent}:{last}'"


def _why_missing(module_name: str) -> str:
    parent, _, _ = module_name.rpartition(".")
    if parent and not hasattr(sys.modules.get(parent), "__path__"):
        return f"{parent!r} is a module, not a package, and holds no {module_name!r}"
    place = f"in the package {parent!r}" if parent else "on the import path"
    return f"no module {module_name!r} {place}{did_you_mean(module_name, _siblings(parent))}"


def _siblings(parent: str) -> c.Iterator[str]:
    paths = sys.modules[parent].__path__ if parent else None
    prefix = f"{parent}." if parent else ""
    for module in pkgutil.iter_modules(paths):
        yield f"{prefix}{module.name}"


def _attribute(dotted: str, holder: t.Any, attribute: str) -> t.Any:
    try:
        return getattr(holder, attribute)
    except AttributeError:
        name = getattr(holder, "__name__", repr(holder))
        reason = f"{name!r} has no {attribute!r}{did_you_mean(attribute, vars(holder))}"
        raise NameNotFoundError(dotted, reason) from None


def fqdn(target: t.Any) -> str:
    """Return the dotted name of a module, a function or a class: ``"package.module:attribute"``."""
    qualname = getattr(target, "__qualname__", None)
    if qualname is None:
        return str(getattr(target, "__name__", repr(target)))
    return f"{target.__module__}:{qualname}"

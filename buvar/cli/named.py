"""What the command line was given as plugins and is none: a file, or what only an installed distribution declares."""

from __future__ import annotations

import importlib.util
import pathlib
import sys
import typing as t

import click

from buvar import errors
from buvar.cli import settings
from buvar.staging import discovery

if t.TYPE_CHECKING:
    from buvar.config import ConfigSource

#: the file that `buvar init` writes
_USUAL: t.Final = "config.toml"


def require(found: settings.Settings, source: ConfigSource, what: str) -> None:
    """Have the modules of the current folder found, for the plugins of a service.

    Raises `errors.UsageError` where there are none, which begins with *what*, and for all that are no modules, but
    something else that is known.
    """
    if not (found.plugins or found.installed):
        raise _missing(what, source)
    settings.find_modules_here()
    if told := [text for plugin in found.plugins if (text := _mistaken(plugin))]:
        raise errors.UsageError("\n".join(told))


def _missing(what: str, source: ConfigSource) -> errors.UsageError:
    if not source.paths and pathlib.Path(_USUAL).is_file():
        context = click.get_current_context(silent=True)
        command = "buvar run" if context is None else context.command_path
        return errors.UsageError(f"{what}; {_USUAL} is here: {command} -c {_USUAL}")
    return errors.UsageError(f"{what}; name one, or set plugins = […] in the table [buvar]")


def _mistaken(plugin: str) -> str | None:
    """Return what to write in place of *plugin*, None where it may be a plugin or there is nothing to say."""
    module, colon, function = plugin.partition(":")
    path = pathlib.Path(module)
    if not (_is_file(path) or "/" in module) and _is_there(module):
        return None
    if path.suffix == ".toml":
        return f"{plugin!r} is a configuration file and no plugin; write -c {plugin}"
    if path.suffix == ".py" or "/" in module:
        return f"{plugin!r} is a path and no name of a module; write {_dotted(path)}{colon}{function}"
    if not colon and plugin in discovery.names_of(discovery.GROUP):
        advice = f"""allow it with --set {f'buvar.installed=["{plugin}"]'!r}"""
        return f"no module {plugin!r} is found, but an installed distribution declares a plugin of that name; {advice}"
    return None


def _is_there(module: str) -> bool:
    """Tell whether the package of a module is found, which is not imported for that, or the name tells nothing."""
    top = module.partition(".")[0]
    return not top or top in sys.modules or importlib.util.find_spec(top) is not None


def _is_file(path: pathlib.Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # what cannot be a path
        return False


def _dotted(path: pathlib.Path) -> str:
    """Return the name of the module in a file, as it is found from the current folder; what to write if that is not."""
    here = pathlib.Path.cwd()
    inside = path.relative_to(here) if path.is_relative_to(here) else path
    *packages, last = inside.parts or ("",)
    parts = packages if last == "__init__.py" else [*packages, last.removesuffix(".py")]
    return ".".join(parts) if parts and all(map(str.isidentifier, parts)) else "package.module"

"""buvar: an asyncio plugin runtime for services.

A room is imported when one of its names is first asked for, so that what needs but few of them starts fast.
"""

from __future__ import annotations

import typing as t

__version__ = "1.0.0.dev0"

if t.TYPE_CHECKING:
    from buvar import components as components
    from buvar import config as config
    from buvar import context as context
    from buvar import di as di
    from buvar import errors as errors
    from buvar import fork as fork
    from buvar import log as log
    from buvar import names as names
    from buvar import plugin as plugin
    from buvar.components import Components as Components
    from buvar.config import ConfigSource as ConfigSource
    from buvar.errors import ComponentLookupError as ComponentLookupError
    from buvar.plugin import Cancel as Cancel
    from buvar.plugin import Teardown as Teardown
    from buvar.plugin import run as run
    from buvar.plugin import stage as stage
else:  # unseen by type checkers, to whom a face that answers any name would hide misspelt ones
    import importlib
    import sys

    #: name -> the room that has it
    _HOMES = {
        "Cancel": "plugin",
        "ComponentLookupError": "errors",
        "Components": "components",
        "ConfigSource": "config",
        "Teardown": "plugin",
        "run": "plugin",
        "stage": "plugin",
    }
    _ROOMS = {"components", "config", "context", "di", "errors", "fork", "log", "names", "plugin"}
    #: rooms that nobody has to know, but that could always be had from here
    _BACK_ROOMS = {"ever", "scopes", "staging"}

    __all__ = [
        "Cancel",
        "ComponentLookupError",
        "Components",
        "ConfigSource",
        "Teardown",
        "components",
        "config",
        "context",
        "di",
        "errors",
        "fork",
        "log",
        "names",
        "plugin",
        "run",
        "stage",
    ]

    def __getattr__(name: str) -> object:
        if name in _HOMES:
            found = getattr(importlib.import_module(f"buvar.{_HOMES[name]}"), name)
        elif name in _ROOMS | _BACK_ROOMS:
            found = importlib.import_module(f"buvar.{name}")
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name, obj=sys.modules[__name__])
        return globals().setdefault(name, found)

    def __dir__() -> list[str]:
        return sorted({*__all__, *_BACK_ROOMS, *(name for name in globals() if name.startswith("__"))})

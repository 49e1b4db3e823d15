"""aiohttp for buvar: an application, a client session and a server that drops nothing when it stops.

``await load("buvar_aiohttp")`` gives an ``aiohttp.web.Application`` and a shared ``aiohttp.ClientSession`` as
components, and a task that serves the application where `AioHttpConfig` says.
"""

from __future__ import annotations

import importlib
import typing as t

from buvar import plugin

if t.TYPE_CHECKING:
    from .app import prepare_app as prepare_app
    from .app import prepare_client_session as prepare_client_session
    from .config import AioHttpConfig as AioHttpConfig
    from .server import prepare_server as prepare_server


async def prepare(load: plugin.Loader) -> None:
    """Load all there is: the configuration, the client session, the application and its server."""
    await load("buvar.config", ".app:prepare_client_session", ".server:prepare_server")


def __getattr__(name: str) -> t.Any:
    # imported when it is asked for: every run of pytest imports this package for its fixtures, and shall neither wait
    # for aiohttp nor need it
    rooms = {
        "AioHttpConfig": ".config",
        "prepare_app": ".app",
        "prepare_client_session": ".app",
        "prepare_server": ".server",
    }
    if name not in rooms:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name)
    return getattr(importlib.import_module(rooms[name], __name__), name)

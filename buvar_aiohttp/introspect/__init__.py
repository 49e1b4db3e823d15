"""A page that shows what a running service is made of, and what it does: ``await load("buvar_aiohttp.introspect")``.

Plugins, who loaded whom and how long that took, components, adapters, routes, tasks, health, configuration, workers.
There is none unless the section ``introspect`` says so; then it is at ``/_buvar``, for this machine alone.
"""

from __future__ import annotations

import typing as t

from buvar import context, di, plugin
from buvar.config import ConfigSource

from .config import IntrospectConfig as IntrospectConfig


async def prepare(load: plugin.Loader, signals: plugin.Signals, source: ConfigSource | None = None) -> None:
    """Add the routes of the page to the application, where `IntrospectConfig` enables it."""
    await load("buvar.config")
    found = await di.nject(IntrospectConfig)
    if not found.enabled:
        return
    await load("buvar_aiohttp.app:prepare_app", "buvar.plugins.health")
    from . import facts, pages  # only where there is a page

    stage = t.cast("plugin.Stage", signals.stage)
    pages.mount(found, facts.Facts(stage, context.current_context(), source))

"""Our pytest plugins, where they are not installed but lie beside us."""

from __future__ import annotations

import importlib.metadata

pytest_plugins = []

if not importlib.metadata.entry_points(group="pytest11", name="buvar"):
    pytest_plugins += ["buvar.testing", "buvar_aiohttp.testing"]

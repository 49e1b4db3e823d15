"""buvar: an asyncio plugin runtime for services."""

from __future__ import annotations

from buvar.components import Components as Components
from buvar.config import ConfigSource as ConfigSource
from buvar.errors import ComponentLookupError as ComponentLookupError
from buvar.plugin import Cancel as Cancel
from buvar.plugin import Teardown as Teardown
from buvar.plugin import run as run
from buvar.plugin import stage as stage

__version__ = "1.0.0.dev0"

"""The words that a plugin author uses.

A plugin is one async function, ``prepare``. Its annotated parameters are injected; it loads other plugins, adds
components, registers adapters, and returns or yields the tasks to run::

    async def prepare(load: plugin.Loader, teardown: plugin.Teardown):
        await load("buvar.config", ".database")
        session = await teardown.enter(aiohttp.ClientSession())
        context.add(Client(session))
        yield poll_forever()
        yield  # suspended until teardown
        await say_goodbye()
"""

from __future__ import annotations

from buvar.declaration import Declaration as Declaration
from buvar.diagnostic import Check as Check
from buvar.diagnostic import Diagnostic as Diagnostic
from buvar.diagnostic import Needs as Needs
from buvar.staging.declared import Declared as Declared
from buvar.staging.declared import declared as declared
from buvar.staging.exports import exports as exports
from buvar.staging.lead import Lead as Lead
from buvar.staging.lead import leader as leader
from buvar.staging.loader import Loader as Loader
from buvar.staging.loader import resolve_plugin_func as resolve_plugin_func
from buvar.staging.ready import Ready as Ready
from buvar.staging.signals import Signals as Signals
from buvar.staging.stage import Stage as Stage
from buvar.staging.stage import stage as stage
from buvar.staging.tasks import Cancel as Cancel
from buvar.staging.tasks import run as run
from buvar.staging.teardown import Teardown as Teardown

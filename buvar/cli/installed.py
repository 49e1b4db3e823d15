"""The plugin that loads what ``installed`` in the table ``[buvar]`` allows of the installed plugins.

Its walls have no door: as with plugins that are named in the configuration, what they export is shared with nobody.
"""

from __future__ import annotations

import attrs

from buvar import errors, plugin
from buvar.cli import settings
from buvar.components import Components
from buvar.config.source import ConfigSource, Loading
from buvar.staging import discovery

KEY = "installed"


@attrs.frozen
class Installed:
    """Which of the installed plugins are to be loaded: the names in *only*, or all with None."""

    only: tuple[str, ...] | None


@plugin.exports()
async def prepare(load: plugin.Loader, installed: Installed) -> None:
    """Load what is allowed, which is a component."""
    await load.installed(only=installed.only)


def plugins(found: settings.Settings, source: ConfigSource, components: Components) -> list[str]:
    """Return the plugins that the settings ask for, the installed ones first; what is allowed goes to *components*.

    Raises `errors.ConfigError` for names that no installed distribution declares, for those that several do, and where
    there is no plugin at all.
    """
    if not found.installed:
        return found.plugins
    only = None if isinstance(found.installed, bool) else tuple(found.installed)
    try:
        names = discovery.check(discovery.GROUP, only)
        if not names and not found.plugins:
            place = f"in the entry-point group {discovery.GROUP!r}"
            advice = "install one, or name one in plugins"
            raise errors.ConfigError(
                discovery.problem(f"no installed distribution declares a plugin {place}; {advice}")
            )
    except errors.ConfigError as error:
        raise _placed(error, source) from None
    components.add(Installed(only))
    return [__name__, *found.plugins]


def _placed(error: errors.ConfigError, source: ConfigSource) -> errors.ConfigError:
    """Return the error with the place that the setting comes from."""
    loading = Loading(source, settings.Settings, settings.SECTION)
    loading.run()
    origin = loading.origin((KEY,))
    path = f"{settings.SECTION}.{KEY}"
    return errors.ConfigError(*(attrs.evolve(each, path=path, origin=origin) for each in error.problems))

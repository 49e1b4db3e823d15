"""Configuration: dicts, files, the environment and the command line, merged and made into instances of classes.

As a plugin, it lets ``await di.nject(DbConfig)`` build any subclass of `Config` from the `ConfigSource` in the context.
"""

from __future__ import annotations

from buvar import context, di
from buvar.errors import ConfigError as ConfigError
from buvar.errors import ConfigProblem as ConfigProblem
from buvar.errors import ConversionError as ConversionError

from .describe import create_env_config as create_env_config
from .describe import generate_env_help as generate_env_help
from .describe import traverse_attrs as traverse_attrs
from .fields import bool_var as bool_var
from .fields import secret_var as secret_var
from .section import Config as Config
from .section import skip_section as skip_section
from .source import ConfigSource as ConfigSource
from .source import relaxed_converter as relaxed_converter
from .unread import CHECK as _CHECK

#: another name of `relaxed_converter`
converter = relaxed_converter


async def prepare() -> None:
    """Register the adapter that builds the subclasses of `Config`, and have the configuration looked after."""
    di.register(Config.adapt)
    context.add(_CHECK)

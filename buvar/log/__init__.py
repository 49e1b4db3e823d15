"""Logging: structlog set-up, the console on a terminal and one JSON object a line everywhere else.

The loggers of structlog and of the standard library go through the same chain and come out alike, on stderr. A log call
never raises and never writes half a line: whatever a value is, the line is valid JSON.

Loggers are not cached by structlog on first use: a logger that a module holds follows each `LogConfig.setup`, and
`structlog.testing.capture_logs` sees it. What is below the level costs one test.
"""

from __future__ import annotations

import collections.abc as c
import logging
import logging.config
import os
import sys
import threading
import typing as t

import attrs
import structlog
from structlog.processors import JSONRenderer

from . import chain, plain, streams, uncaught
from .plain import stringify_dict_keys as stringify_dict_keys
from .streams import StdioToLog as StdioToLog
from .uncaught import uncaught_exception as uncaught_exception

Merged = dict[str, t.Any]


def level_number(level: int | str) -> int:
    """Return the number of a *level*, which is a name in any case, or a number; raises ValueError for all else."""
    names = logging.getLevelNamesMapping()
    if isinstance(level, int):
        return int(level)
    if level.strip().isdecimal():
        return int(level)
    if level.strip().upper() not in names:
        known = ", ".join(name.lower() for name in sorted(names, key=lambda name: (names[name], name)))
        raise ValueError(f"{level!r} is no log level; write one of {known}, or a number")
    return names[level.strip().upper()]


def _check_level(_: object, __: object, level: int | str) -> None:
    level_number(level)


def _merge(base: Merged, over: c.Mapping[str, t.Any]) -> Merged:
    """Return *base* with *over* laid over it, dicts merged at any depth, all else replaced."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _merge(below, value) if isinstance(below, dict) and isinstance(value, c.Mapping) else value
    return merged


@attrs.frozen
class LogConfig:
    """What to log and how; nothing happens before `setup`.

    *tty*: for a person at a terminal, or else JSON; default: whether stderr is a terminal now.
    *level*: the lowest level to log, a name or a number; default: debug.
    *user_config*: laid over the dictionary that `logging.config.dictConfig` gets.
    *capture_warnings*: log what `warnings.warn` has to say. *redirect_print*: log what is printed.
    *json_renderer*: makes a line of an event when not on a terminal.

    Raises ValueError for a level that there is not.
    """

    tty: bool = attrs.field(factory=lambda: sys.stderr is not None and sys.stderr.isatty())
    level: int | str = attrs.field(default=logging.DEBUG, validator=_check_level)
    user_config: Merged | None = None
    capture_warnings: bool = True
    redirect_print: bool = False
    json_renderer: JSONRenderer = attrs.field(factory=lambda: JSONRenderer(serializer=plain.dumps))

    @property
    def processors(self) -> list[t.Any]:
        """The chain for the loggers of structlog."""
        own = [
            structlog.contextvars.merge_contextvars,
            chain.format_args,
            structlog.processors.StackInfoRenderer(),
            chain.stamp,
        ]
        return [*own, *self._exceptions, structlog.stdlib.ProcessorFormatter.wrap_for_formatter]

    @property
    def pre_chain(self) -> list[t.Any]:
        """The chain for the loggers of the standard library."""
        return [
            chain.merge_extra,
            structlog.contextvars.merge_contextvars,
            chain.show_stack,
            chain.stamp,
            *self._exceptions,
        ]

    @property
    def _exceptions(self) -> list[t.Any]:
        return [] if self.tty else [structlog.processors.format_exc_info]  # the console does that itself

    @property
    def renderer(self) -> chain.Renderer:
        """The last of both chains."""
        if not self.tty:
            return chain.Renderer(self.json_renderer)
        # never the renderer that shows local variables: they hold secrets
        show = structlog.dev.plain_traceback
        return chain.Renderer(
            structlog.dev.ConsoleRenderer(colors="NO_COLOR" not in os.environ, exception_formatter=show)
        )

    def _dict_config(self) -> Merged:
        structured = {
            "()": chain.Formatter,
            "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, self.renderer],
            "foreign_pre_chain": self.pre_chain,
        }
        config: Merged = {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"structured": structured},
            "handlers": {"default": {"class": f"{streams.__name__}.StderrHandler", "formatter": "structured"}},
            "loggers": {"": {"handlers": ["default"], "level": level_number(self.level), "propagate": True}},
        }
        return _merge(config, self.user_config or {})

    def setup(self) -> None:
        """Make it so for the whole process; a later call replaces what an earlier one did."""
        streams.redirect(to_log=False)  # first of all, so that no handler takes hold of the stand-in
        logging.config.dictConfig(self._dict_config())
        logging.captureWarnings(self.capture_warnings)
        structlog.configure(
            processors=self.processors,
            context_class=dict,
            logger_factory=structlog.stdlib.LoggerFactory(),
            wrapper_class=chain.Logger,
            cache_logger_on_first_use=False,
        )
        streams.redirect(to_log=self.redirect_print)
        sys.excepthook = uncaught.uncaught_exception
        threading.excepthook = uncaught.uncaught_in_thread
        sys.unraisablehook = uncaught.unraisable


def setup_logging(**kwargs: t.Any) -> None:
    """Set up logging with the fields of `LogConfig` as keywords."""
    LogConfig(**kwargs).setup()

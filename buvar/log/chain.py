"""The chain that every event passes, whichever logger it comes from, and its end: one rendered line."""

from __future__ import annotations

import collections.abc as c
import contextlib
import datetime as dt
import logging
import os
import typing as t

import attrs
import structlog

from .plain import dumps, plain

Event = c.MutableMapping[str, t.Any]

#: written by the chain; what the caller gave under these keys moves to ``extra_<key>``
RESERVED: t.Final = ("timestamp", "level", "logger")

_STANDARD: t.Final = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"})
_LEVELS: t.Final = {"warn": "warning", "exception": "error", "fatal": "critical", "notset": "debug"}
_NUMBERS: t.Final = {
    "notset": logging.NOTSET,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "exception": logging.ERROR,
}


def merge_extra(_: t.Any, __: str, event: Event) -> Event:
    """Keep what a standard-library call passed as ``extra=`` under its keys."""
    for key, value in vars(event["_record"]).items():
        if key not in _STANDARD:
            event[f"extra_{key}" if key in event else key] = value
    return event


def format_args(_: t.Any, __: str, event: Event) -> Event:
    """Format positional arguments into the event; those that do not fit stay beside it."""
    args = event.get("positional_args")
    if args:
        with contextlib.suppress(Exception):
            event["event"] %= args[0] if len(args) == 1 and isinstance(args[0], dict) else args
            del event["positional_args"]
    return event


def show_stack(_: t.Any, __: str, event: Event) -> Event:
    if "stack_info" in event:
        event["stack"] = event.pop("stack_info")
    return event


def stamp(logger: t.Any, method: str, event: Event) -> Event:
    """Say when, how grave, who and which process, and bring that to the front; the caller's *pid* stays."""
    for key in RESERVED:
        if key in event:
            event[f"extra_{key}"] = event.pop(key)
    record = event.get("_record")
    now = dt.datetime.now(dt.UTC) if record is None else dt.datetime.fromtimestamp(record.created, dt.UTC)
    head = {
        "timestamp": now.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "level": _LEVELS.get(method, method),
        "logger": getattr(logger, "name", None) if record is None else record.name,
        "event": event.pop("event", None),
    }
    return {**head, **event, "pid": event.get("pid", os.getpid())}


class Logger(structlog.stdlib.BoundLogger):
    """structlog's logger for the standard library, which looks at the level before it does anything."""

    def _proxy_to_logger(
        self, method_name: str, event: str | None = None, *event_args: t.Any, **event_kw: t.Any
    ) -> t.Any:
        if self._logger.isEnabledFor(_NUMBERS.get(method_name, logging.CRITICAL)):
            return super()._proxy_to_logger(method_name, event, *event_args, **event_kw)
        return None


@attrs.frozen
class Renderer:
    """Renders an event; one that *render* fails on goes to it in plain values, and at last becomes JSON."""

    render: c.Callable[[t.Any, str, t.Any], str | bytes]

    def __call__(self, logger: t.Any, name: str, event: Event) -> str:
        for attempt in (event, plain(event)):
            with contextlib.suppress(Exception):
                return _line(self.render(logger, name, dict(attempt)))
        return dumps(event)


def _line(rendered: str | bytes) -> str:
    return rendered.decode() if isinstance(rendered, bytes) else rendered


class Formatter(structlog.stdlib.ProcessorFormatter):
    """structlog's formatter, for which a record with the wrong arguments is a record still."""

    def format(self, record: logging.LogRecord) -> str:
        return super().format(_with_message(record))


def _with_message(record: logging.LogRecord) -> logging.LogRecord:
    """Return *record*, or one whose arguments stand beside the message when they do not go into it."""
    if isinstance(record.msg, dict) and hasattr(record, "_name"):
        return record  # structlog's
    try:
        message, extra = record.getMessage(), {}
    except Exception:
        message, extra = plain(record.msg), {"positional_args": record.args}
    return logging.makeLogRecord({**vars(record), "msg": str(message), "args": (), **extra})

"""What nobody caught is logged all the same."""

from __future__ import annotations

import logging
import sys
import threading
import types
import typing as t

import structlog


def uncaught_exception(
    kind: type[BaseException],
    error: BaseException,
    traceback: types.TracebackType | None,
    source: str = "sys.excepthook",
    **facts: t.Any,
) -> None:
    """Log an exception that ends the process (or with *facts* the thread); Ctrl-C is left to the interpreter."""
    log = structlog.get_logger(source)
    if issubclass(kind, KeyboardInterrupt) or not logging.getLogger(source).isEnabledFor(logging.CRITICAL):
        sys.__excepthook__(kind, error, traceback)
    else:
        log.critical("uncaught exception", exc_info=(kind, error, traceback), **facts)


def uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and not issubclass(args.exc_type, SystemExit):
        name = args.thread.name if args.thread is not None else None
        uncaught_exception(args.exc_type, args.exc_value, args.exc_traceback, "threading.excepthook", thread=name)


def unraisable(args: sys.UnraisableHookArgs) -> None:
    if args.exc_value is None:
        sys.__unraisablehook__(args)
        return
    exc_info = (args.exc_type, args.exc_value, args.exc_traceback)
    structlog.get_logger("sys.unraisablehook").error(
        args.err_msg or "exception ignored", object=args.object, exc_info=exc_info
    )

"""The table ``[buvar]`` of a configuration file: what is to run, and how."""

from __future__ import annotations

import pathlib
import sys
import typing as t

import attrs

from buvar import errors
from buvar.config import ConfigSource
from buvar.forking.health import Limits
from buvar.log import level_number

SECTION = "buvar"
ENV_PREFIX = "APP"


def _check_level(_: object, attribute: object, level: str) -> None:
    try:
        level_number(level)
    except ValueError as error:
        raise ValueError(str(error), attribute) from None  # as attrs' validators do: it tells which value is wrong


@attrs.frozen
class LogSettings:
    """How to log. *tty*: for people (true) or one JSON object a line (false); by default: is stderr a terminal?"""

    level: str = attrs.field(default="INFO", validator=_check_level)
    tty: bool | None = None


@attrs.frozen
class Timeouts:
    """How long things may take, in seconds.

    *start*: all plugins to prepare. *cancel*: tasks to finish once they are asked to. *teardown*: each thing to be torn
    down. *shutdown*: a worker to stop, before it is killed.
    """

    start: float = attrs.field(default=60.0, validator=attrs.validators.gt(0))
    cancel: float = attrs.field(default=60.0, validator=attrs.validators.ge(0))
    teardown: float = attrs.field(default=30.0, validator=attrs.validators.gt(0))
    shutdown: float = attrs.field(default=90.0, validator=attrs.validators.gt(0))


@attrs.frozen
class Settings:
    """What ``buvar run`` reads from ``[buvar]``.

    *workers*: how many processes, 0 for one for each usable CPU, 1 for no fork. *sockets*: the URIs to listen on.
    *backlog*: how many connections may wait to be accepted. *accept*: do workers take them from one queue, or has each
    slot its own? *limits*: which workers are given up, or replaced; see `buvar.fork.Limits`. *preload*: modules to
    import before the fork. *user*, *group*: who workers become. *pid_file*: a file for the pid of the service.
    *control*: the path of the control socket, or is there to be one where ``buvar status`` looks?
    *env_prefix*: what environment variables that override the configuration begin with.
    """

    plugins: list[str] = attrs.Factory(list)
    include: list[str] = attrs.Factory(list)
    workers: int = attrs.field(default=1, validator=attrs.validators.ge(0))
    sockets: list[str] = attrs.Factory(list)
    backlog: int = attrs.field(default=2048, validator=[attrs.validators.gt(0), attrs.validators.lt(2**31)])
    accept: t.Literal["shared", "slots"] = "shared"
    loop: t.Literal["asyncio", "uvloop"] = "asyncio"
    preload: list[str] = attrs.Factory(list)
    env_prefix: str = ENV_PREFIX
    user: str | None = None
    group: str | None = None
    pid_file: str | None = None
    control: str | bool = True
    log: LogSettings = LogSettings()
    timeouts: Timeouts = Timeouts()
    limits: Limits = attrs.Factory(Limits)


def read(files: t.Sequence[str], assignments: t.Sequence[str]) -> tuple[ConfigSource, Settings]:
    """Read configuration *files*, later ones over earlier ones, and ``key=value`` *assignments* over all.

    Raises `errors.ConfigError` for what cannot be read or does not fit.
    """
    source = ConfigSource.read(*files, env_prefix=ENV_PREFIX)
    table = source.get(SECTION)
    if isinstance(table, dict) and isinstance(prefix := table.get("env_prefix"), str):
        source = ConfigSource.read(*files, env_prefix=prefix)
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals or not all(key.split(".")):
            message = f"--set {assignment!r} is no assignment; write --set section.field=value"
            raise errors.ConfigError(errors.ConfigProblem("", message, code="BV111"))
        source.override(key, value)
    return source, source.load(Settings, SECTION)


def find_modules_here() -> None:
    """Have modules of the current folder found, before all others."""
    if not {"", here := str(pathlib.Path.cwd())} & set(sys.path):
        sys.path.insert(0, here)

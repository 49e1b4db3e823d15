"""The table ``[buvar]`` of a configuration file: what is to run, and how."""

from __future__ import annotations

import pathlib
import re
import sys
import typing as t

import attrs

from buvar import errors
from buvar.config import ConfigSource, describe
from buvar.forking.health import Limits
from buvar.log import level_number

SECTION = "buvar"
ENV_PREFIX = "APP"
_KEY: t.Final = re.compile(r"[\w.-]*")
_IN_FILES_ONLY: t.Final = {describe.IN_FILES_ONLY: True}


def _check_level(_: object, attribute: object, level: str) -> None:
    try:
        level_number(level)
    except ValueError as error:
        raise ValueError(str(error), attribute) from None  # as attrs' validators do: it tells which value is wrong


@attrs.frozen
class LogSettings:
    """How to log."""

    #: what is logged at least: DEBUG, INFO, WARNING, ERROR, CRITICAL
    level: str = attrs.field(default="INFO", validator=_check_level)
    #: for people (true), or one JSON object a line (false); by default: is stderr a terminal?
    tty: bool | None = None


@attrs.frozen
class Timeouts:
    """How long things may take, in seconds."""

    #: all plugins to prepare
    start: float = attrs.field(default=60.0, validator=attrs.validators.gt(0))
    #: tasks to finish once they are asked to
    cancel: float = attrs.field(default=60.0, validator=attrs.validators.ge(0))
    #: each thing to be torn down
    teardown: float = attrs.field(default=30.0, validator=attrs.validators.gt(0))
    #: a worker to stop, before it is killed
    shutdown: float = attrs.field(default=90.0, validator=attrs.validators.gt(0))


@attrs.frozen
class Settings:
    """What is to run, and how."""

    #: the plugins of the service: "package.module", "package.module:function"
    plugins: list[str] = attrs.Factory(list)
    #: plugins to load before these, by the names that installed distributions declare; true: all that there are
    installed: bool | list[str] = False
    #: files to read before this one, which is stronger; from its folder, also with wildcards
    include: list[str] = attrs.field(factory=list, metadata=_IN_FILES_ONLY)
    #: processes that serve: 0 is one for each usable CPU, 1 does not fork
    workers: int = attrs.field(default=1, validator=attrs.validators.ge(0))
    #: the URIs to listen on: "tcp://127.0.0.1:8080", "unix:///path", "fd://3"
    sockets: list[str] = attrs.Factory(list)
    #: how many connections may wait to be accepted
    backlog: int = attrs.field(default=2048, validator=[attrs.validators.gt(0), attrs.validators.lt(2**31)])
    #: do workers take connections from one queue ("shared"), or has each its own ("slots")?
    accept: t.Literal["shared", "slots"] = "shared"
    #: the event loop
    loop: t.Literal["asyncio", "uvloop"] = "asyncio"
    #: modules to import before the fork, so that workers share their memory
    preload: list[str] = attrs.Factory(list)
    #: what environment variables that override the configuration begin with
    env_prefix: str = attrs.field(default=ENV_PREFIX, metadata=_IN_FILES_ONLY)
    #: who workers become once the sockets are bound
    user: str | None = None
    #: the group that workers have then
    group: str | None = None
    #: a file for the pid of the service
    pid_file: str | None = None
    #: the path of the control socket, or is there to be one where `buvar status` looks?
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
    problems: list[errors.ConfigProblem] = []
    for assignment in assignments:
        try:
            _override(source, assignment)
        except errors.ConfigError as error:
            problems += error.problems
    if problems:
        raise errors.ConfigError(*problems)
    return source, source.load(Settings, SECTION)


def _override(source: ConfigSource, assignment: str) -> None:
    key, equals, value = assignment.partition("=")
    message = ""
    if not equals:
        # what follows the key may be a secret
        key = t.cast("re.Match[str]", _KEY.match(assignment))[0]
        message = f"--set {key} is no assignment; write --set section.field=value"
    elif key.strip() in {f"{SECTION}.include", f"{SECTION}.env_prefix"}:
        message = f"--set {key} comes too late: files say that, before options are looked at"
    if message:
        raise errors.ConfigError(errors.ConfigProblem("", message, code="BV111"))
    source.override(key, value)


def find_modules_here() -> None:
    """Have modules of the current folder found, before all others."""
    if not {"", here := str(pathlib.Path.cwd())} & set(sys.path):
        sys.path.insert(0, here)

"""Where control sockets are: in a folder that is its user's alone, each named by the pid of its supervisor.

| the first of these that there is       | for whom                                                  |
|----------------------------------------|-----------------------------------------------------------|
| ``$BUVAR_CONTROL_FOLDER/<pid>.sock``   | who says so; no other folder is looked into then          |
| ``$XDG_RUNTIME_DIR/buvar/<pid>.sock``  | whose own that folder is                                  |
| ``/run/buvar/<pid>.sock``              | root, where ``/run`` can be written to                    |
| ``<tmp>/buvar-<uid>/<pid>.sock``       | all others; ``<tmp>`` is ``$TMPDIR``, or the system's     |
"""

from __future__ import annotations

import os
import pathlib
import stat
import tempfile
import typing as t

from buvar.errors import SocketError

if t.TYPE_CHECKING:
    import collections.abc as c

SUFFIX: t.Final = ".sock"


def folders(environ: c.Mapping[str, str]) -> list[pathlib.Path]:
    """Return the folders that may hold control sockets of this user; a new one goes to the first."""
    if chosen := environ.get("BUVAR_CONTROL_FOLDER"):
        return [pathlib.Path(chosen).absolute()]
    uid = os.geteuid()
    found = []
    runtime = pathlib.Path(environ.get("XDG_RUNTIME_DIR", ""))
    if runtime.is_absolute() and _is_owner(runtime, uid):  # who became another user may have kept the variable
        found.append(runtime / "buvar")
    if uid == 0 and os.access("/run", os.W_OK):
        found.append(pathlib.Path("/run/buvar"))
    return [*found, pathlib.Path(environ.get("TMPDIR") or tempfile.gettempdir(), f"buvar-{uid}")]


def _is_owner(folder: pathlib.Path, uid: int) -> bool:
    try:
        return folder.stat().st_uid == uid
    except OSError:
        return False


def default_path(pid: int, environ: c.Mapping[str, str]) -> pathlib.Path:
    """Return where the supervisor *pid* has its control socket when nothing else is configured. Makes nothing."""
    return folders(environ)[0] / f"{pid}{SUFFIX}"


def make(folder: pathlib.Path) -> None:
    """Make a folder that only this user can enter, if there is none. Raises `errors.SocketError` if it is not safe."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        pass
    except OSError as error:
        raise SocketError(str(folder), f"the folder cannot be made ({error.strerror}); choose another path") from None
    if found := flaw(folder):
        raise SocketError(str(folder), found)


def flaw(folder: pathlib.Path) -> str:
    """Return why a folder is no place for control sockets of this user; an empty string when it is one."""
    try:
        found = folder.lstat()
    except OSError as error:
        return f"the folder cannot be looked at ({error.strerror})"
    if not stat.S_ISDIR(found.st_mode):  # lstat: a symbolic link is none, whoever made it
        return "it is no folder, or a link to one; remove it"
    if found.st_uid != os.geteuid():
        return f"the folder belongs to another user (uid {found.st_uid}); remove it, or choose another path"
    if mode := stat.S_IMODE(found.st_mode) & 0o077:
        return f"others may enter the folder (mode {stat.S_IMODE(found.st_mode):o}, {mode:o} too much); chmod 700 it"
    return ""

"""The pid file: tells others which process the supervisor is, and a second start that there is one already.

The file is there whole or not at all, with one line. It is written before anything is forked. A forked child
never removes it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import pathlib
import stat
import tempfile
import time
import typing as t

import attrs

from buvar.errors import PidFileError

#: how often, and after how many seconds, a file is looked at again that another start is just busy with
ATTEMPTS, PAUSE = 100, 0.01
#: seconds that a process must be younger than the file for its number to be a reused one; clocks are coarse
COARSE: t.Final = 2.0
#: more than any pid is long
LONG: t.Final = 32


class PidFile:
    """The file at *path*. ``with PidFile(path):`` it is there inside of the block."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        # the current folder may be another one at the end
        self.path = pathlib.Path(path).absolute()
        self._writer: int | None = None

    def __enter__(self) -> PidFile:
        self.write()
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()

    def write(self) -> None:
        """Put this process's number into the file, which others can read, in place of that of a process that is gone.

        Raises `errors.PidFileError` when another process is alive that has the file, when something else is in it, or
        when it cannot be written.
        """
        try:
            self._claim()
        except PidFileError:
            raise
        except (OSError, ValueError) as error:
            raise PidFileError(str(self.path), _why(error)) from None
        self._writer = os.getpid()

    def remove(self) -> None:
        """Remove the file if this very process wrote it, and is still the one that is in it. Raises nothing."""
        if self._writer != os.getpid():
            return
        self._writer = None
        with contextlib.suppress(OSError):  # it is gone already, or out of reach
            with self._opened() as file:
                ours = self._pid_in(file) == os.getpid()
            if ours:
                self.path.unlink()

    def _claim(self) -> None:
        for _ in range(ATTEMPTS):
            try:
                if self._is_ours():
                    return
            except FileNotFoundError:
                pass
            except BlockingIOError:
                time.sleep(PAUSE)
                continue
            with contextlib.suppress(FileExistsError):
                self._create()
                return
        raise PidFileError(str(self.path), "another process holds it locked; stop that one, or choose another path")

    def _create(self) -> None:
        """Make the file with all that is to be in it. Raises FileExistsError."""
        fd, name = tempfile.mkstemp(prefix=f".{self.path.name}.", dir=self.path.parent)
        draft = pathlib.Path(name)
        try:
            with os.fdopen(fd, "w", encoding="ascii") as file:
                file.write(f"{os.getpid()}\n")
            draft.chmod(0o644)
            self.path.hardlink_to(draft)  # unlike a rename, it replaces nothing
        finally:
            draft.unlink()

    def _is_ours(self) -> bool:
        """Tell whether our number is in the file that there is; remove it if the number is that of nobody."""
        with self._opened() as file:
            # of two that find it stale only one may remove it: the other one would remove what the first has written
            _lock(file)
            found = os.fstat(file.fileno())
            if not os.path.samestat(found, self.path.lstat()):
                return False
            pid = self._pid_in(file)
            if pid == os.getpid():
                return True
            if pid is not None and _alive(pid, found.st_mtime):
                reason = f"process {pid}{_name(pid)} has it; stop that one, or choose another path"
                raise PidFileError(str(self.path), reason, pid)
            self.path.unlink()
            return False

    def _opened(self) -> t.IO[bytes]:
        # a link would lead to a file of somebody else's choice, and a pipe would wait for a writer
        fd = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        if stat.S_ISREG(os.fstat(fd).st_mode):
            return os.fdopen(fd, "rb")
        os.close(fd)
        raise OSError(errno.ELOOP, "it is no plain file")

    def _pid_in(self, file: t.IO[bytes]) -> int | None:
        """Return the number in the file; None when it is empty, as after a loss of power."""
        text = file.read(LONG).strip(b"\0 \t\r\n")
        if not text:
            return None
        if text.isdigit() and 0 < int(text) < 2**31:
            return int(text)
        raise PidFileError(
            str(self.path), "there is something else in it than a pid; remove it, or choose another path"
        )


def _lock(file: t.IO[bytes]) -> None:
    """Lock the file until it is closed. Raises BlockingIOError; does nothing where the file system knows no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        pass


def _alive(pid: int, written: float) -> bool:
    """Tell whether the process lives that wrote its number at *written*, in seconds since the epoch."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it is somebody else's
    life = _life(pid)
    return life is None or (life.state not in {"Z", "X"} and life.born <= written + COARSE)


@attrs.frozen
class _Life:
    """The state of a process, as ``proc(5)`` has it, and its birth, in seconds since the epoch."""

    state: str
    born: float


def _life(pid: int) -> _Life | None:
    """Look a process up; None where that cannot be, as outside of Linux."""
    try:
        # its name, in brackets, may hold anything
        fields = pathlib.Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, IndexError, ValueError):
        return None
    return _Life(fields[0].decode(), time.time() - age)


def _name(pid: int) -> str:
    try:
        return f" ({pathlib.Path(f'/proc/{pid}/comm').read_text().strip()})"
    except OSError:
        return ""


def _why(error: OSError | ValueError) -> str:
    if not isinstance(error, OSError):
        return "no file can have such a name; choose another path"
    if error.errno == errno.ENOENT:
        return "its folder does not exist; make it, or choose another path"
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return "permission denied; choose a path that this user may write, as in a folder of its own below /run"
    if error.errno in {errno.ELOOP, errno.ENXIO}:
        return "there is something of that name that is no plain file; move it, or choose another path"
    return f"{error.strerror or error}"

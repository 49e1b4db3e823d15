"""The watcher of ``buvar run --reload``: a process that sends the supervisor HUP when the service's files have changed.

The library that watches files has threads of its own, and the supervisor has none, so that it can fork at any time:
hence a process. It is a child of the supervisor, and dies with it.

What counts is `PATTERNS`, the configuration files, and what `--reload-include` adds; hidden folders, and those of
`FOLDERS`, are left out.
"""

from __future__ import annotations

import contextlib
import fnmatch
import importlib.util
import os
import pathlib
import signal
import subprocess
import sys
import threading
import typing as t

import attrs
import click
import structlog

from buvar import errors
from buvar.forking import obituary, worker
from buvar.log import LogConfig

if t.TYPE_CHECKING:
    import collections.abc as c

log = structlog.get_logger("buvar.cli.watch")  # in the process that watches, __name__ is another

#: what a change is looked at for: code, compiled or not, and configuration
PATTERNS: t.Final = ("*.py", "*.pyx", "*.pyd", "*.so", "*.toml")
#: folders that hold no code of the service; hidden ones do not either
FOLDERS: t.Final = frozenset({"__pycache__", "node_modules", "site-packages"})
#: what editors and their checkers write beside a file; hidden files are not looked at either
TEMPORARY: t.Final = ("*~", "#*#", "flycheck_*", "flymake_*", "*_flymake.*")

#: milliseconds without a change that end a burst, and the longest that a burst is waited for
QUIET, BURST = 50, 300
#: milliseconds after which the watcher looks whether its supervisor is alive
TICK = 200
#: how many files a log line names
NAMED = 10

#: what a terminal, or the supervisor's group, is sent: the supervisor decides what becomes of it
IGNORED = frozenset({signal.SIGINT, *worker.HARMLESS})

MISSING = "--reload needs watchfiles, which is not installed; pip install 'buvar[cli]'"


# -- what the supervisor's process calls


@attrs.frozen
class Watcher:
    """A watcher that is a child of this process."""

    pid: int

    def is_alive(self) -> bool:
        """Tell whether it runs, as a child of this process. Reaps it if it does not."""
        try:
            return os.waitpid(self.pid, os.WNOHANG) == (0, 0)
        except ChildProcessError:
            return False

    def died(self, code: int) -> None:
        """Log that it was reaped, with what `os.waitstatus_to_exitcode` returned, though nobody had stopped it."""
        message = "watcher died, changed files are not noticed; send HUP to reload"
        log.error(message, watcher=self.pid, **obituary.ending(code))

    def close(self) -> None:
        """End it and wait for that, which takes no time; nothing happens when it is gone."""
        if self.is_alive():
            os.kill(self.pid, signal.SIGKILL)  # it has nothing to put in order
            os.waitpid(self.pid, 0)


def start(
    files: c.Iterable[str] = (),
    folders: c.Iterable[str] = (),
    include: c.Iterable[str] = (),
    *,
    level: str = "INFO",
    tty: bool = False,
) -> Watcher:
    """Watch for changes, and send this process HUP when there are any. Call it where HUP does no harm.

    Watched are the configuration *files*, the current folder and *folders*; looked at is what `PATTERNS` and the globs
    *include* match. *level* and *tty* say how to log.

    Raises `errors.UsageError` where watchfiles is not installed, or something to watch is not there.
    """
    command = _check(files, folders, include, level, tty)
    return Watcher(_spawn(command))


@contextlib.contextmanager
def watching(
    files: c.Iterable[str] = (),
    folders: c.Iterable[str] = (),
    include: c.Iterable[str] = (),
    *,
    level: str = "INFO",
    tty: bool = False,
    trial: bool = False,
) -> c.Iterator[dict[int, c.Callable[[int], None]]]:
    """Have a watcher inside of the block, see `start`; return what is to be called when a process, by its pid, ends.

    A *trial*, as of the command that a reload runs, sees whether that could be, and leaves the watching to its parent.
    """
    if trial:
        _check(files, folders, include, level, tty)
        yield {}
        return
    watcher = start(files, folders, include, level=level, tty=tty)
    try:
        yield {watcher.pid: watcher.died}
    finally:
        watcher.close()


def _check(
    files: c.Iterable[str], folders: c.Iterable[str], include: c.Iterable[str], level: str, tty: bool
) -> list[str]:
    """Return the command of the watcher, if there can be one."""
    if importlib.util.find_spec("watchfiles") is None:
        raise errors.UsageError(MISSING)
    return _command(files, [str(pathlib.Path.cwd()), *folders], include, level, tty)


def _command(
    files: c.Iterable[str], folders: c.Iterable[str], include: c.Iterable[str], level: str, tty: bool
) -> list[str]:
    here = pathlib.Path(__file__).parents[2]
    # a file of the service must not stand in for one of the standard library, unless we lie among them ourselves
    safe = () if here == pathlib.Path.cwd() else ("-P",)
    command = [sys.executable, *safe, "-m", __name__, f"--parent={os.getpid()}", f"--level={level}"]
    command += ["--tty"] if tty else []
    command += [f"--file={path}" for file in files for path in _both(file)]
    command += [f"--include={_glob(pattern)}" for pattern in include]
    return [*command, *(str(_folder(folder)) for folder in folders)]


def _both(file: str) -> list[pathlib.Path]:
    """Return where *file* is, and where it leads to when it is a link: either may change."""
    path = pathlib.Path(file)
    return sorted({path.parent.resolve() / path.name, path.resolve()})


def _folder(folder: str) -> pathlib.Path:
    path = pathlib.Path(folder).resolve()
    if not path.is_dir():
        raise errors.UsageError(f"cannot watch {folder}: there is no such folder; create it, or correct the path")
    return path


def _glob(pattern: str) -> str:
    if not pathlib.PurePath(pattern).name:
        raise errors.UsageError(f"--reload-include {pattern!r} matches nothing; write a glob, as in '*.html'")
    return pattern


def _spawn(command: list[str]) -> int:
    # blocked from its first instruction on, until it ignores them
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, IGNORED)
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603  # ourselves
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    process.returncode = 0  # the supervisor reaps it: no warning that it still runs, no look-out for it
    return process.pid


# -- the process that watches


@attrs.frozen
class Filter:
    """Tells which files count: *files*, and in *folders* those that a pattern matches."""

    files: frozenset[pathlib.Path]
    folders: tuple[pathlib.Path, ...]
    patterns: tuple[str, ...]

    def counts(self, path: pathlib.Path) -> bool:
        """Tell whether a change of this file is one of the service."""
        return path in self.files or (self._matches(path) and self._is_open(path.parent))

    def found_in(self, path: pathlib.Path) -> c.Iterator[pathlib.Path]:
        """Return the files that count in a new folder: there is no change for those that came with it, or at once."""
        if path.is_dir() and not path.is_symlink() and self._is_open(path):
            yield from (folder / name for folder, names in _walk(path) for name in names if self.counts(folder / name))

    def _matches(self, path: pathlib.Path) -> bool:
        if any(fnmatch.fnmatch(path.name, pattern) for pattern in TEMPORARY):
            return False
        hidden = path.name.startswith(".")  # matched where the pattern says so, as in a shell
        patterns = [each for each in self.patterns if not hidden or pathlib.PurePath(each).name.startswith(".")]
        return any(map(path.match, patterns))

    def _is_open(self, path: pathlib.Path) -> bool:
        # what lies above the folders that were named is of no account
        return any(not _left_out(path.relative_to(each).parts) for each in self.folders if path.is_relative_to(each))


def _left_out(parts: c.Iterable[str]) -> bool:
    return any(part.startswith(".") or part in FOLDERS for part in parts)


def _walk(top: pathlib.Path) -> c.Iterator[tuple[pathlib.Path, list[str]]]:
    for folder, folders, names in os.walk(top):
        folders[:] = [each for each in folders if not _left_out([each])]
        yield pathlib.Path(folder), names


@attrs.frozen
class Watch:
    """Watches for what *filter* lets through, on behalf of the supervisor with the pid *parent*."""

    parent: int
    filter: Filter

    def run(self) -> None:
        """Watch until the supervisor is gone, or until that is not possible any more."""
        folders = self.filter.folders
        outside = [file.parent for file in self.filter.files if not any(map(file.is_relative_to, folders))]
        if outside:
            # the folder, since an editor replaces the file; but not all that lies beneath
            threading.Thread(target=self._watch, args=(outside,), kwargs={"recursive": False}, daemon=True).start()
        self._watch(_outermost(folders), recursive=True)

    def _watch(self, folders: c.Iterable[pathlib.Path], *, recursive: bool) -> None:
        import watchfiles

        changes = watchfiles.watch(
            *folders,
            watch_filter=None,  # or it would not yield while there are but changes that do not count
            step=QUIET,
            debounce=BURST,
            rust_timeout=TICK,
            yield_on_timeout=True,
            recursive=recursive,
            ignore_permission_denied=True,
        )
        try:
            for number, changed in enumerate(changes):
                if os.getppid() != self.parent:
                    return
                if number == 0:
                    log.info("watching files", folders=sorted(map(str, folders)))
                self._tell({file for change, path in changed for file in self._files(change.name, pathlib.Path(path))})
        except (OSError, RuntimeError) as error:  # a limit of the system; what watchfiles raises is one or the other
            log.error("cannot watch files", error=str(error))

    def _files(self, change: str, path: pathlib.Path) -> c.Iterable[pathlib.Path]:
        if self.filter.counts(path):
            return [path]
        return self.filter.found_in(path) if change == "added" else ()

    def _tell(self, files: set[pathlib.Path]) -> None:
        if files:
            more = {"more": len(files) - NAMED} if len(files) > NAMED else {}
            log.info("files changed, reloading", files=[_short(file) for file in sorted(files)[:NAMED]], **more)
            os.kill(self.parent, signal.SIGHUP)


def _outermost(folders: c.Sequence[pathlib.Path]) -> list[pathlib.Path]:
    return sorted({each for each in folders if not set(each.parents) & set(folders)})


def _short(file: pathlib.Path) -> str:
    here = pathlib.Path.cwd()
    return str(file.relative_to(here) if file.is_relative_to(here) else file)


@click.command("watch")
@click.option("--parent", type=int, required=True, help="The pid of the supervisor.")
@click.option("--file", "files", multiple=True, help="A file that counts whatever its name.")
@click.option("--include", "patterns", multiple=True, help="Files that count besides, as a glob.")
@click.option("--level", default="INFO", help="The lowest level to log.")
@click.option("--tty", is_flag=True, help="Log for a person.")
@click.argument("folders", nargs=-1)
def command(
    parent: int, files: tuple[str, ...], patterns: tuple[str, ...], level: str, tty: bool, folders: tuple[str, ...]
) -> None:
    """Send the process PARENT, whose child this is, HUP when what counts in FOLDERS has changed."""
    for signum in IGNORED:
        signal.signal(signum, signal.SIG_IGN)
    worker.die_with(parent)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    # what it has to say of each change would be one more change, where the log is a file among those watched
    LogConfig(tty=tty, level=level, user_config={"loggers": {"watchfiles": {"level": "WARNING"}}}).setup()
    paths = Filter(frozenset(map(pathlib.Path, files)), tuple(map(pathlib.Path, folders)), (*PATTERNS, *patterns))
    try:
        Watch(parent, paths).run()
    except ModuleNotFoundError as error:
        if error.name != "watchfiles":
            raise
        click.echo(f"error: {MISSING}", err=True)
        sys.exit(errors.EXIT_USAGE)
    sys.exit(errors.EXIT_FAILED)  # its end is always too early


if __name__ == "__main__":
    command()

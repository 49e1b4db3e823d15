"""Interpreters to measure in: ours, and one with upstream's buvar; that has our import name, so it gets a venv."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import shutil
import subprocess
import sys
import typing as t

import attrs

if t.TYPE_CHECKING:
    import collections.abc as c

ROOT = pathlib.Path(__file__).resolve().parent.parent
BENCH = ROOT / ".bench"
#: the last release of upstream; what it needs at run time and does not name stands beside it
UPSTREAM = ("buvar==0.44.18", "buvar_aiohttp==0.5.3", "aiohttp", "uvloop", "cython", "setuptools<81")


def environment(*, ours: bool = True) -> dict[str, str]:
    """Return the environment for a measured process: ours finds this checkout, a peer must not."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if ours:
        env["PYTHONPATH"] = str(ROOT)
    return env


def upstream() -> str | None:
    """Return the interpreter of a venv with upstream's buvar, made when it is missing; None when it cannot be made."""
    return venv("upstream", "upstream's buvar", UPSTREAM)


def venv(name: str, what: str, requirements: c.Iterable[str], python: Python | None = None) -> str | None:
    """Return the interpreter of the venv *name*, made by *python* (default: ours) with *requirements* when missing.

    None when it cannot be made; then it is said that *what* is left out.
    """
    made_by = python or Python(sys.executable, sys.version_info[:2])
    home = BENCH / "{}-{}.{}".format(name, *made_by.version)
    found = home / "bin" / "python"
    done = home / "complete"
    if not done.exists():
        print(f"making {home.relative_to(ROOT)} with {what} …", file=sys.stderr)
        try:
            subprocess.run([made_by.path, "-m", "venv", "--clear", home], check=True)
            subprocess.run([found, "-m", "pip", "install", "--quiet", *requirements], check=True, timeout=170)
        except (subprocess.SubprocessError, OSError) as error:
            print(f"left out: {what}, it cannot be installed here: {error}", file=sys.stderr)
            return None
        done.touch()
    return str(found)


@attrs.frozen
class Python:
    """An interpreter on this machine."""

    path: str
    version: tuple[int, int]

    @classmethod
    def at_least(cls, *version: int) -> Python | None:
        """Return ours, if it is of *version* or newer, or else another one from the path that is; None without one."""
        if sys.version_info[:2] >= version:
            return cls(sys.executable, sys.version_info[:2])
        for minor in range(version[1], version[1] + 3):
            name = f"python{version[0]}.{minor}"
            # what is found may be no more than a shim that knows of none
            if (found := shutil.which(name)) and not subprocess.run([found, "-V"], capture_output=True).returncode:
                return cls(found, (version[0], minor))
        return None


def release(python: str, name: str) -> str:
    """Return the version of the distribution *name* that the interpreter *python* finds."""
    code = f"import importlib.metadata as m; print(m.version({name!r}))"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def installed(*names: str) -> list[str]:
    """Return those of *names* that can be imported here, and say what is left out."""
    found = [name for name in names if importlib.util.find_spec(name)]
    for name in sorted(set(names) - set(found)):
        print(f'left out: {name} is not installed, `pip install -e ".[bench]"` brings it', file=sys.stderr)
    return found

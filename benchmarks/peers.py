"""Interpreters to measure in: ours, and one with upstream's buvar; that has our import name, so it gets a venv."""

from __future__ import annotations

import importlib.util
import os
import pathlib
import subprocess
import sys

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
    home = BENCH / "upstream-{}.{}".format(*sys.version_info)
    python = home / "bin" / "python"
    done = home / "complete"
    if not done.exists():
        print(f"making {home.relative_to(ROOT)} with upstream's buvar …", file=sys.stderr)
        try:
            subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True)
            subprocess.run([python, "-m", "pip", "install", "--quiet", *UPSTREAM], check=True, timeout=170)
        except (subprocess.SubprocessError, OSError) as error:
            print(f"left out: upstream's buvar, it cannot be installed here: {error}", file=sys.stderr)
            return None
        done.touch()
    return str(python)


def installed(*names: str) -> list[str]:
    """Return those of *names* that can be imported here, and say what is left out."""
    found = [name for name in names if importlib.util.find_spec(name)]
    for name in sorted(set(names) - set(found)):
        print(f'left out: {name} is not installed, `pip install -e ".[bench]"` brings it', file=sys.stderr)
    return found

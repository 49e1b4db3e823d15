"""Configuration: microseconds to load fifty fields in five sections, and seconds of `buvar check` for 300 plugins."""

from __future__ import annotations

import functools
import pathlib
import subprocess
import sys
import tempfile
import time

from . import components, peers, rounds

SCRIPT = pathlib.Path(__file__).parent / "measured" / "config_load.py"
#: what is measured beside ours -> its argument for the script, and the package that it needs
PEERS = {
    "pydantic-settings": ("pydantic", "pydantic_settings"),
    "typed-settings": ("typed", "typed_settings"),
    "dynaconf": ("dynaconf", "dynaconf"),
}
TARGETS = {"by hand": "<= 1.50"}

PLUGINS = 300
PLUGIN = """
import attrs
from buvar import config, di, plugin

@attrs.frozen
class Plugin{number}Config(config.Config, section="plugin{number}"):
    host: str = "localhost"
    port: int = {number}

class Service{number}:
    def __init__(self, config: Plugin{number}Config):
        self.config = config

async def prepare(load: plugin.Loader):
    await load("buvar.config")
    di.register(Service{number})
    di.require(Service{number})
"""


def run(*, quick: bool, with_peers: bool) -> rounds.Table:
    """Measure loads in processes that take turns, then checks of a service that is made up."""
    effort = components.Effort(1, 2, 0.01) if quick else components.Effort(5, 20, 0.05)
    samples: dict[str, list[float]] = {}
    for _ in range(effort.pairs):
        for name, taken in loads(effort, with_peers=with_peers).items():
            samples.setdefault(name, []).append(min(taken))
    rows = rounds.compare("load", "us", samples, TARGETS)
    number = 10 if quick else PLUGINS
    rows.append(rounds.Row(f"check {number} plugins", "s", checks(number, 1 if quick else 5)))
    return rounds.Table("Configuration", rows)


def loads(effort: components.Effort, *, with_peers: bool) -> dict[str, list[float]]:
    """Return microseconds, in fresh processes, one for each way to load the same."""
    commands = {"buvar": (sys.executable, "buvar", True), "by hand": (sys.executable, "hand", True)}
    if with_peers:
        found = peers.installed(*(package for _, package in PEERS.values()))
        commands |= {name: (sys.executable, how, False) for name, (how, package) in PEERS.items() if package in found}
        if upstream := peers.upstream():
            commands["upstream buvar"] = (upstream, "buvar", False)
    running = {
        name: components.Measured(python, SCRIPT, how, ours=ours) for name, (python, how, ours) in commands.items()
    }
    try:
        samplers = {name: functools.partial(each, "load", effort.seconds) for name, each in running.items()}
        return rounds.interleave(samplers, effort.turns)
    finally:
        for each in running.values():
            each.__exit__()


def checks(number: int, turns: int) -> list[float]:
    """Return the seconds that `buvar check` takes, from exec to its end, for a service of *number* plugins."""
    with tempfile.TemporaryDirectory() as folder:
        for each in range(number):
            pathlib.Path(folder, f"plugin{each}.py").write_text(PLUGIN.replace("{number}", str(each)))
        names = [f"plugin{each}" for each in range(number)]
        return [check(folder, names) for _ in range(turns)]


def check(folder: str, plugins: list[str]) -> float:
    began = time.perf_counter()
    command = [sys.executable, "-m", "buvar", "check", *plugins]
    subprocess.run(command, cwd=folder, env=peers.environment(), check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began

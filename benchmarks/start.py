"""Start: milliseconds until a module is imported, and until a service gives its first answer."""

from __future__ import annotations

import functools
import subprocess
import sys
import time

from . import peers, rounds, servers

#: what is imported; the first is what an interpreter takes that imports nothing
IMPORTS = {
    "nothing": "pass",
    "aiohttp.web": "import aiohttp.web",
    "gunicorn": "import gunicorn.app.base",
    "uvicorn": "import uvicorn",
    "granian": "import granian",
}


def run(*, quick: bool, with_peers: bool) -> rounds.Table:
    """Measure imports, then first answers with two workers; everything in fresh processes, in turn."""
    rows = rounds.compare("import", "ms", rounds.interleave(imports(with_peers), 2 if quick else 20))
    rows += rounds.compare("exec to first answer", "ms", rounds.interleave(starts(with_peers), 1 if quick else 10))
    return rounds.Table("Start", rows)


def imports(with_peers: bool) -> dict[str, rounds.Sampler]:
    found: dict[str, rounds.Sampler] = {"buvar": functools.partial(milliseconds, "import buvar", ours=True)}
    if with_peers:
        missing = set(servers.MODULES) - set(peers.installed(*servers.MODULES))
        codes = {name: code for name, code in IMPORTS.items() if name not in missing}
        found |= {name: functools.partial(milliseconds, code) for name, code in codes.items()}
        if upstream := peers.upstream():
            found["upstream buvar"] = functools.partial(milliseconds, "import buvar", upstream)
    return found


def milliseconds(code: str, python: str = sys.executable, *, ours: bool = False) -> float:
    began = time.perf_counter()
    subprocess.run([python, "-c", code], env=peers.environment(ours=ours), cwd=servers.FOLDER, check=True)
    return (time.perf_counter() - began) * 1000


def starts(with_peers: bool) -> dict[str, rounds.Sampler]:
    found = servers.all_of(*(servers.PEERS if with_peers else ()))
    return {name: functools.partial(first_answer, server) for name, server in found.items()}


def first_answer(server: servers.Server) -> float:
    with server.running() as running:
        return running.seconds * 1000

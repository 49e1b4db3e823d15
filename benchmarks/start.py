"""Start: milliseconds until a module is imported, and until a service gives its first answer."""

from __future__ import annotations

import subprocess
import sys
import time

from . import peers, rounds, servers

#: what is imported, by the name in the table; each with the interpreter's own start, which is the same for all
IMPORTS = {
    "nothing": "pass",
    "gunicorn": "import gunicorn.app.base",
    "uvicorn": "import uvicorn",
    "aiohttp": "import aiohttp.web",
}


def run(*, quick: bool, with_peers: bool) -> rounds.Table:
    """Measure imports, then first answers with two workers; everything in fresh processes, in turn."""
    rows = rounds.compare("import", "ms", rounds.interleave(imports(with_peers), 2 if quick else 15))
    rows += rounds.compare("exec to first answer", "ms", rounds.interleave(starts(with_peers), 1 if quick else 9))
    return rounds.Table("Start", rows)


def imports(with_peers: bool) -> dict[str, rounds.Sampler]:
    found = {"buvar": "import buvar"}
    if with_peers:
        missing = {"gunicorn", "uvicorn"} - set(peers.installed("gunicorn", "uvicorn"))
        found.update({name: code for name, code in IMPORTS.items() if name not in missing})
    return {name: (lambda code=code: milliseconds(code)) for name, code in found.items()}


def milliseconds(code: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], env=peers.environment(), check=True)
    return (time.perf_counter() - began) * 1000


def starts(with_peers: bool) -> dict[str, rounds.Sampler]:
    names = ("bare aiohttp", "gunicorn", "uvicorn", "upstream buvar") if with_peers else ()
    return {name: (lambda server=server: first_answer(server)) for name, server in servers.all_of(*names).items()}


def first_answer(server: servers.Server) -> float:
    with server.running() as running:
        return running.seconds * 1000

"""Run the plugin with upstream's buvar, which has no command for it: ``upstream.py <port> <workers>``."""

from __future__ import annotations

import sys

import uvloop

from buvar import ConfigSource, fork, plugin
from buvar.components import Components


def main() -> None:
    port, workers = map(int, sys.argv[1:])
    components = Components()
    components.add(ConfigSource({"aiohttp": {"host": "127.0.0.1", "port": port}}))

    # fork.stage would give all workers the one loop of their parent, or find none
    def work() -> None:
        plugin.stage("plugin", components=components, loop=uvloop.new_event_loop())

    with fork.Sockets(f"tcp://127.0.0.1:{port}").bind() as sockets:
        for name, sock in sockets.items():
            components.add(sock, fork.Socket, name=name)
        fork.Fork(workers).run(work)


if __name__ == "__main__":
    main()

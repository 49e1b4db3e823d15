"""aiohttp by hand: bind, fork, serve. The least that can be written: nobody minds the workers but to end them.

``bare.py <port> <workers>``
"""

from __future__ import annotations

import os
import signal
import socket
import sys

import application
import uvloop
from aiohttp import web

BACKLOG = 2048


def serve(sock: socket.socket) -> None:
    web.run_app(
        application.make(), sock=sock, loop=uvloop.new_event_loop(), access_log=None, print=None, backlog=BACKLOG
    )


def main() -> None:
    port, workers = map(int, sys.argv[1:])
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", port))
    sock.listen(BACKLOG)
    children = []
    for _ in range(workers):
        child = os.fork()
        if not child:
            serve(sock)
            os._exit(0)
        children.append(child)

    def stop(*_: object) -> None:
        for child in children:
            os.kill(child, signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop)
    for child in children:
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()

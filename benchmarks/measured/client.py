"""A load generator for where wrk is not: ``client.py <port> <connections> <seconds> [FILE]`` prints requests a second.

Each connection sends its next request when the answer to the last one is complete. FILE has the requests that are made
in turn, as a list of texts in JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import pathlib
import re
import sys
import time
import typing as t

if t.TYPE_CHECKING:
    import collections.abc as c

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
END = b"\r\n\r\n"
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Client(asyncio.Protocol):
    """One connection; *answered* counts, and *failed* those that are not 200."""

    def __init__(self, requests: c.Iterator[bytes]) -> None:
        self.requests = requests
        self.answered = 0
        self.failed = 0
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # not to be asserted: uvloop's transports are none of asyncio's classes
        self.transport = t.cast("asyncio.Transport", transport)
        self.transport.write(next(self.requests))

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, ended, body = self.received.partition(END)
        if ended and len(body) >= int(found[1] if (found := LENGTH.search(head)) else 0):
            self.received = b""
            self.answered += 1
            self.failed += not head.startswith(b"HTTP/1.1 200 ")
            self.transport.write(next(self.requests))


async def load(port: int, connections: int, seconds: float, requests: c.Iterator[bytes]) -> float:
    loop = asyncio.get_running_loop()
    made = [await loop.create_connection(lambda: Client(requests), "127.0.0.1", port) for _ in range(connections)]
    clients = [client for _, client in made]
    before, began = sum(client.answered for client in clients), time.perf_counter()
    await asyncio.sleep(seconds)
    answered, took = sum(client.answered for client in clients) - before, time.perf_counter() - began
    for transport, _ in made:
        transport.close()
    failed = sum(client.failed for client in clients)
    if failed or not answered:
        sys.exit(f"{failed} of {answered} answers are not 200")
    return answered / took


def main() -> None:
    with contextlib.suppress(ImportError):
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    port, connections, seconds, *files = sys.argv[1:]
    requests = [text.encode() for file in files for text in json.loads(pathlib.Path(file).read_text())] or [REQUEST]
    print(asyncio.run(load(int(port), int(connections), float(seconds), itertools.cycle(requests))))


if __name__ == "__main__":
    main()

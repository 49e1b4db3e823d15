"""A load generator for where wrk is not: ``client.py <port> <connections> <seconds>`` prints requests a second.

Each connection sends its next request when the answer to the last one is complete.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
import typing as t

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
END = b"Hello, world"


class Client(asyncio.Protocol):
    """One connection; *answered* counts."""

    def __init__(self) -> None:
        self.answered = 0
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # not to be asserted: uvloop's transports are none of asyncio's classes
        self.transport = t.cast("asyncio.Transport", transport)
        self.transport.write(REQUEST)

    def data_received(self, data: bytes) -> None:
        self.received += data
        if self.received.endswith(END):
            self.received = b""
            self.answered += 1
            self.transport.write(REQUEST)


async def load(port: int, connections: int, seconds: float) -> float:
    loop = asyncio.get_running_loop()
    made = [await loop.create_connection(Client, "127.0.0.1", port) for _ in range(connections)]
    clients = [client for _, client in made]
    before, began = sum(client.answered for client in clients), time.perf_counter()
    await asyncio.sleep(seconds)
    answered, took = sum(client.answered for client in clients) - before, time.perf_counter() - began
    for transport, _ in made:
        transport.close()
    return answered / took


def main() -> None:
    with contextlib.suppress(ImportError):
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    port, connections, seconds = sys.argv[1:]
    print(asyncio.run(load(int(port), int(connections), float(seconds))))


if __name__ == "__main__":
    main()

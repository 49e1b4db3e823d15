"""Time look-ups of routes: ``router.py <shape> <number of routes>``, with what is asked for on stdin.

Answers each line ``<whose> <first|last|none>\t<seconds>`` with one line: the microseconds that a look-up takes, in a
loop of about so many seconds. aiohttp's router has to be awaited; ours is asked as our server asks it.
"""

from __future__ import annotations

import sys
import time
import typing as t

from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from buvar_aiohttp import routing

if t.TYPE_CHECKING:
    import collections.abc as c

#: how the routes are written, and what is asked for
SHAPES = {
    "text": ("/things{i}/all", "/things{i}/all"),
    "name": ("/things{i}/{id}", "/things{i}/7"),
    "shared name": ("/{tenant}/things{i}/{id}", "/acme/things{i}/7"),
    "pattern": (r"/{tenant:\w+}/things{i}/{id:\d+}", "/acme/things{i}/7"),
    "text before a name": ("/{tenant}/things{i}-{id}", "/acme/things{i}-7"),
    "text after a name": ("/{tenant}/{id}.v{i}", "/acme/7.v{i}"),
    "tail": ("/things{i}/{tail:.*}", "/things{i}/7/8"),
}


async def handle(request: web.Request) -> web.Response:
    return web.Response()


def filled(router: web.UrlDispatcher, shape: str, number: int) -> web.UrlDispatcher:
    for place in range(number):
        router.add_get(shape.replace("{i}", f"{place:05}"), handle)
    router.freeze()
    return router


def look_up(router: routing.Router, request: web.Request, times: int) -> None:
    for _ in range(times):
        router.look_up(request)


def resolve(router: web.UrlDispatcher, request: web.Request, times: int) -> None:
    async def ask() -> None:
        for _ in range(times):
            await router.resolve(request)

    try:
        ask().send(None)
    except StopIteration:
        return
    raise RuntimeError("the router waits for something")


def microseconds(ask: c.Callable[[int], None], seconds: float) -> float:
    times, took = 1, 0.0
    while took < seconds:
        times = max(times * 2, int(times * seconds / took)) if took > seconds / 100 else times * 4
        began = time.perf_counter()
        ask(times)
        took = time.perf_counter() - began
    return took / times * 1e6


def main() -> None:
    shape, number = sys.argv[1], int(sys.argv[2])
    routes, asked = SHAPES[shape]
    ours, theirs = routing.Router(), web.UrlDispatcher()
    filled(ours, routes, number)
    filled(theirs, routes, number)
    places = {"first": 0, "last": number - 1, "none": number}
    cases: dict[str, c.Callable[[int], None]] = {}
    for name, place in places.items():
        request = make_mocked_request("GET", asked.replace("{i}", f"{place:05}"))
        cases[f"buvar {name}"] = lambda times, request=request: look_up(ours, request, times)
        cases[f"aiohttp {name}"] = lambda times, request=request: resolve(theirs, request, times)
    for ask in cases.values():
        ask(10)  # what is done once only
    print(*cases, sep="\t", flush=True)
    for line in sys.stdin:
        case, seconds = line.rstrip("\n").split("\t")
        print(microseconds(cases[case], float(seconds)), flush=True)


if __name__ == "__main__":
    main()

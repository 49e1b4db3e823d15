"""What is asked in the HTTP benchmark: the workloads, who is asked, and what is aimed at."""

from __future__ import annotations

import json
import typing as t

import attrs

from .exchanges import TEXT, Exchange, Refused

OURS = "buvar"
BARE = "bare aiohttp"
#: ours with few and with many routes of every shape
FEW, MANY = 10, 10_000
#: what all servers answer alike
PATH = "/text"

ITEM: t.Final = {"id": 7, "name": "item 7", "price": 7.5, "limit": 5, "like": [8, 9, 10, 11, 12]}
ORDER: t.Final = {
    "id": 4711,
    "number": "A-2026-0815",
    "placed": "2026-05-17T09:30:00Z",
    "customer": "Ada Example",
    "email": "ada@example.org",
    "phone": "+49 30 1234567",
    "currency": "EUR",
    "total": 129.95,
    "discount": 0.05,
    "paid": True,
    "express": False,
    "priority": 2,
    "weight": 3.25,
    "note": "Please ring twice, and leave it with the neighbours if nobody opens.",
    "channel": "web",
    "voucher": None,
    "locale": "de_DE",
    "tags": ["garden", "gift", "spring"],
    "address": {"name": "Ada Example", "street": "Long Street 12", "city": "Berlin", "country": "DE"},
    "lines": [
        {"item": 7, "title": "Watering can", "amount": 1, "price": 24.95},
        {"item": 12, "title": "Seeds", "amount": 10, "price": 2.5},
        {"item": 31, "title": "Garden bench", "amount": 1, "price": 80.5},
    ],
}


@attrs.frozen
class Side:
    """Who is asked for what, in turn."""

    server: str
    asked: tuple[Exchange, ...]


@attrs.frozen
class Case:
    """A workload: *asked* of ours and of the peers, or else *ours* of what we set beside ourselves.

    *title* begins its row. *targets* are those of the rate beside each; *refused* is wrong input, asked before. Its
    instructions are *counted* unless its servers start too slowly for that.
    """

    title: str
    asked: tuple[Exchange, ...]
    targets: dict[str, str]
    refused: tuple[Refused, ...] = ()
    server: str = OURS
    alone: dict[str, Side] = attrs.field(factory=dict)
    counted: bool = True

    def sides(self, others: t.Iterable[str]) -> dict[str, Side]:
        """Return who is asked for what: ours first, then what it is set beside, of *others* or ours alone."""
        beside = self.alone or {name: Side(name, self.asked) for name in others}
        return {OURS: Side(self.server, self.asked), **beside}


def of_order(**changes: t.Any) -> bytes:
    return json.dumps({**ORDER, **changes}, separators=(",", ":")).encode()


def refused_order(body: bytes) -> Refused:
    return Refused("/orders", method="POST", body=body)


def last_routes(number: int) -> tuple[Exchange, ...]:
    """Return a request for the last route of each shape where there are so many in all; see ``served/http_routes``."""
    last = number // 5 - 1
    targets = {
        "static": f"/static/{last}/leaf",
        "tail": f"/tail{last}/x",
        "middle": f"/middle/x/leaf{last}",
        "tenant": f"/acme/things{last}/x",
        "pattern": f"/pattern{last}/x",
    }
    return tuple(Exchange(target, f"{shape} {last}", TEXT) for shape, target in targets.items())


HELLO: t.Final = (Exchange(PATH, "Hello, world", TEXT),)
CASES: t.Final = {
    "text": Case("text", HELLO, {BARE: ">= 0.97"}),
    "item": Case(
        "item",
        (Exchange("/items/7?limit=5", ITEM),),
        {BARE: ">= 0.85", **dict.fromkeys(("Starlette", "FastAPI", "Litestar", "bustan"), "> 1")},
        (Refused("/items/seven?limit=5"), Refused("/items/7?limit=five"), Refused("/items/7")),
    ),
    "order": Case(
        "order",
        (Exchange("/orders", ORDER, method="POST", body=of_order()),),
        dict.fromkeys(("FastAPI", "Litestar"), "> 1"),
        (
            refused_order(of_order()[:-1]),
            refused_order(of_order(id="4711x")),
            refused_order(of_order(placed="yesterday")),
            refused_order(of_order(channel="fax")),
            refused_order(of_order(lines=[{**ORDER["lines"][0], "amount": 0}])),
            refused_order(of_order(address={})),
        ),
    ),
    "around": Case(
        "text, five around",
        (attrs.evolve(HELLO[0], target="/around"),),
        {"none around": ">= 0.90"},
        alone={"none around": Side(OURS, HELLO)},
    ),
    "routes": Case(
        f"text, {MANY:,} routes",
        last_routes(MANY),
        {f"{FEW} routes": ">= 0.95"},
        server=f"{MANY:,} routes",
        alone={f"{FEW} routes": Side(f"{FEW} routes", last_routes(FEW))},
        counted=False,
    ),
}

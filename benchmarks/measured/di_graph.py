"""The objects that the injection benchmark builds: plain classes that know nothing of who builds them.

Annotations are no strings here: not everyone who is measured can read those.
"""

import collections.abc as c
import types
import typing as t

#: how many adapters are registered for a cold start
MANY: t.Final = 300


class One: ...


class Link6: ...


class Link5:
    def __init__(self, link: Link6) -> None:
        self.link = link


class Link4:
    def __init__(self, link: Link5) -> None:
        self.link = link


class Link3:
    def __init__(self, link: Link4) -> None:
        self.link = link


class Link2:
    def __init__(self, link: Link3) -> None:
        self.link = link


class Link1:
    def __init__(self, link: Link2) -> None:
        self.link = link


class Part0: ...


class Part1: ...


class Part2: ...


class Part3: ...


class Part4: ...


class Part5: ...


class Part6: ...


class Part7: ...


class Part8: ...


class Part9: ...


class Wide:
    def __init__(
        self,
        part0: Part0,
        part1: Part1,
        part2: Part2,
        part3: Part3,
        part4: Part4,
        part5: Part5,
        part6: Part6,
        part7: Part7,
        part8: Part8,
        part9: Part9,
    ) -> None:
        self.parts = (part0, part1, part2, part3, part4, part5, part6, part7, part8, part9)


class Bottom:
    def __init__(self, part: Part0) -> None:
        self.part = part


class Left:
    def __init__(self, bottom: Bottom, part: Part1) -> None:
        self.bottom = bottom
        self.part = part


class Right:
    def __init__(self, bottom: Bottom, part: Part2) -> None:
        self.bottom = bottom
        self.part = part


class Top:
    def __init__(self, left: Left, right: Right) -> None:
        self.left = left
        self.right = right


class Token:
    """Given by keyword, another one for each call."""

    def __init__(self, value: str = "token") -> None:
        self.value = value


class Keyed:
    def __init__(self, token: Token, one: One) -> None:
        self.token = token
        self.one = one


class Settings:
    """Made once."""


class Pool:
    """Made once."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings


class Request:
    """Comes from outside, one for each scope."""

    def __init__(self, path: str = "/") -> None:
        self.path = path


class Session:
    """One for each scope; it has to be closed."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.closed = False


async def open_session(pool: Pool) -> c.AsyncIterator[Session]:
    session = Session(pool)
    try:
        yield session
    finally:
        session.closed = True


class Identity:
    """One for each scope."""

    def __init__(self, request: Request) -> None:
        self.request = request


class Repository:
    """One for each scope."""

    def __init__(self, session: Session) -> None:
        self.session = session


class Service:
    """What a request is answered by."""

    def __init__(
        self, settings: Settings, pool: Pool, session: Session, identity: Identity, repository: Repository
    ) -> None:
        self.settings = settings
        self.pool = pool
        self.session = session
        self.identity = identity
        self.repository = repository


LINKS: t.Final = (Link1, Link2, Link3, Link4, Link5, Link6)
PARTS: t.Final = (Part0, Part1, Part2, Part3, Part4, Part5, Part6, Part7, Part8, Part9)
#: what is made anew each time
TRANSIENT: t.Final = (One, *LINKS, *PARTS, Wide, Left, Right, Top, Keyed, Service)


def many() -> tuple[type, ...]:
    """Return new classes; each but the first of three needs the one before it, and the last one is to be built."""
    made: list[type] = []
    for index in range(MANY):
        made.append(new(index, made[-1] if index % 3 else None))
    return tuple(made)


def new(index: int, needed: type | None) -> type:
    def alone(self: t.Any) -> None:
        self.ready = True

    def needing(self: t.Any, before: t.Any) -> None:
        self.before = before

    init: c.Callable[..., None] = alone if needed is None else needing
    init.__annotations__ = {"return": None} if needed is None else {"before": needed, "return": None}
    return types.new_class(f"Many{index}", exec_body=lambda body: body.update(__init__=init, __module__=__name__))

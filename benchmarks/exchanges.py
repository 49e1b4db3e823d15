"""Requests, with the answers that they must have: who does less work than was asked for is not measured."""

from __future__ import annotations

import http.client
import json
import typing as t

import attrs

if t.TYPE_CHECKING:
    import collections.abc as c

HOST = "127.0.0.1"
TEXT = "text/plain"
JSON = "application/json"
#: what bad input may be answered with; a path that does not fit may be none at all
REFUSALS: t.Final = frozenset({400, 404, 422})


class Wrong(Exception):
    """Answers that are not what was asked for, each on a line."""


@attrs.frozen
class Exchange:
    """A request, and its answer: 200 with a body of the *type*, text as it is written here, JSON of the same value."""

    target: str
    expected: t.Any = attrs.field(default=None, hash=False)  # JSON may be of a dict, which has none
    type: str = JSON
    method: str = "GET"
    body: bytes = b""

    @property
    def headers(self) -> dict[str, str]:
        return {"Content-Type": JSON} if self.body else {}

    @property
    def raw(self) -> bytes:
        """The request as it is written to a connection."""
        headers = {"Host": HOST, **self.headers, **({"Content-Length": len(self.body)} if self.body else {})}
        lines = [f"{self.method} {self.target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join((*lines, "", "")).encode() + self.body

    def wrong(self, answer: http.client.HTTPResponse) -> str:
        """Return what is wrong with an *answer*, or nothing."""
        body = answer.read()
        told = f"{self.method} {self.target} is answered {answer.status} {body[:200]!r}"
        kind = (answer.getheader("Content-Type") or "").partition(";")[0]
        if (answer.status, kind) != (200, self.type) or self.read(body) != self.expected:
            return f"{told} as {kind or 'nothing'}, not 200 {str(self.expected)[:200]!r} as {self.type}"
        if answer.will_close:
            return f"{self.method} {self.target} is answered as the last on its connection"
        return ""

    def read(self, body: bytes) -> t.Any:
        try:
            return json.loads(body) if self.type == JSON else body.decode()
        except ValueError:
            return None


@attrs.frozen
class Refused(Exchange):
    """A request with something wrong in it, which must be refused."""

    def wrong(self, answer: http.client.HTTPResponse) -> str:
        body = answer.read()
        if answer.status in REFUSALS:
            return ""
        return f"{self.method} {self.target} is answered {answer.status} {body[:200]!r}, though its input is wrong"


def verify(port: int, asked: c.Iterable[Exchange]) -> list[str]:
    """Return what is wrong with the answers of the server on *port*, to the second time of each request, too."""
    problems = []
    for each in asked:
        connection = http.client.HTTPConnection(HOST, port, timeout=20)
        try:
            for _ in range(2):
                connection.request(each.method, each.target, each.body or None, each.headers)
                if problem := each.wrong(connection.getresponse()):
                    problems.append(problem)
                    break
        except (OSError, http.client.HTTPException) as error:
            problems.append(f"{each.method} {each.target} is not answered: {error!r}")
        finally:
            connection.close()
    return problems


def script(asked: c.Iterable[Exchange]) -> str:
    """Return a script that has wrk make these requests in turn."""
    # what JSON writes of ASCII is what Lua reads
    made = ", ".join(
        "wrk.format({}, {}, {{{}}}, {})".format(
            json.dumps(each.method),
            json.dumps(each.target),
            ", ".join(f"[{json.dumps(name)}] = {json.dumps(value)}" for name, value in each.headers.items()),
            json.dumps(each.body.decode()) if each.body else "nil",
        )
        for each in asked
    )
    return f"""\
local requests, turn = {{}}, 0

function init(args)
  wrk.headers["Host"] = "{HOST}"
  requests = {{{made}}}
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end
"""

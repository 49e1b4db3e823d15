"""Errors are problem details: a client learns all about what it did wrong, and of our errors an id."""

import asyncio
import json

import attrs
import pytest
from aiohttp import web

from buvar import errors
from buvar_aiohttp import http


@http.get("/raise/{name}")
async def fail(name: str) -> None:
    raise RAISED[name]


SECRET = "a secret"
RAISED = {
    "bare": http.Problem(404),
    "detail": http.Problem(409, "it is paid", order=5, by={"name": "ada"}),
    "type": http.Problem(422, "no", type="https://example.org/paid", title="Paid", headers={"X-A": "1"}),
    "faults": http.Problem(400, errors=[http.Fault("body", "it is bad", path="$.a")]),
    "odd": http.Problem(499),
    "reserved": http.Problem(404, "a", instance="x"),
    "surrogate": http.Problem(400, "no \udcff"),
    "denied": errors.PermissionDenied("orders.write"),
    "conflict": web.HTTPConflict(),
    "reason": web.HTTPConflict(reason="Paid"),
    "text": web.HTTPConflict(text="own"),
    "json": web.HTTPBadRequest(text="{}", content_type="application/json"),
    "found": web.HTTPFound("/there"),
    "busy": http.Problem(503, "try later", headers={"Retry-After": "3"}),
    "error": ValueError(SECRET),
    "late": TimeoutError(SECRET),
    "unavailable": web.HTTPServiceUnavailable(headers={"Retry-After": "5"}),
    "group": ExceptionGroup(SECRET, [ValueError(SECRET)]),
}


async def test_documents(api):
    """The document has the members of RFC 9457, in its media type, and what else is given to the problem."""
    async with api(fail) as client:

        async def told(name):
            answer = await client.get(f"/raise/{name}")
            assert answer.type == "application/problem+json"
            assert answer.json["status"] == answer.status
            return answer.json

        assert await told("bare") == {"title": "Not Found", "status": 404}
        assert await told("detail") == {
            "title": "Conflict", "status": 409, "detail": "it is paid", "order": 5, "by": {"name": "ada"},
        }  # fmt: skip
        assert await told("type") == {
            "type": "https://example.org/paid", "title": "Paid", "status": 422, "detail": "no",
        }  # fmt: skip
        assert (await client.get("/raise/type")).headers["X-A"] == "1"
        assert (await told("faults"))["errors"] == [{"in": "body", "path": "$.a", "detail": "it is bad"}]
        assert await told("odd") == {"title": "Error", "status": 499}
        assert await told("reserved") == {"title": "Not Found", "status": 404, "detail": "a"}
        assert (await told("surrogate"))["detail"] == "no \udcff"
        assert client.events() == []


async def test_denied_permissions(api):
    """They are 403, and say what is missing."""
    async with api(fail) as client:
        answer = await client.get("/raise/denied")
        assert (answer.status, answer.type) == (403, "application/problem+json")
        assert answer.json["missing"] == ["orders.write"]
        assert client.events() == []


async def test_a_problem_that_is_alone_in_a_group(api):
    """A TaskGroup raises what one of its tasks does in a group: the answer is what was meant, and the log is silent."""

    async def work(status):
        raise http.Problem(status, "no") if status == 409 else errors.PermissionDenied("orders.read")

    @http.get("/{status}")
    async def handler(status: int):
        async with asyncio.TaskGroup() as group:
            group.create_task(work(status))

    async with api(handler) as client:
        for status in (409, 403):
            assert (await client.get(f"/{status}")).status == status
        assert client.events() == []


async def test_errors_of_aiohttp(api):
    """They are problems, with their headers, but for those that have a body of their own, and redirects."""
    async with api(fail) as client:
        answer = await client.get("/raise/conflict")
        assert (answer.status, answer.json) == (409, {"title": "Conflict", "status": 409})
        assert (await client.get("/raise/text")).text == "own"
        assert (await client.get("/raise/json")).type == "application/json; charset=utf-8"
        redirect = await client.get("/raise/found", allow_redirects=False)
        assert (redirect.status, redirect.headers["Location"]) == (302, "/there")
        answer = await client.get("/raise/unavailable")
        assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
        assert set(answer.json) == {"title", "status", "request_id"}


async def test_no_route(api):
    """404 says the path, 405 what is allowed; OPTIONS is answered, HEAD comes with GET."""
    async with api(fail) as client:
        answer = await client.get("/nowhere")
        assert answer.json == {"title": "Not Found", "status": 404, "detail": "there is nothing at /nowhere"}
        answer = await client.post("/raise/bare")
        assert (answer.status, answer.headers["Allow"]) == (405, "GET,HEAD")
        assert answer.json["detail"] == "POST is not allowed at /raise/bare"
        answer = await client.ask("OPTIONS", "/raise/bare")
        assert (answer.status, answer.headers["Allow"]) == (204, "GET,HEAD,OPTIONS")
        answer = await client.ask("HEAD", "/raise/bare")
        assert (answer.status, answer.body) == (404, b"")
        answer = await client.get("/" + "%3Cscript%3E")
        assert answer.type == "application/problem+json"


@pytest.mark.parametrize(("name", "status"), [("error", 500), ("late", 504), ("group", 500)])
async def test_our_errors_tell_nothing(api, name, status):
    """The client gets an id, the log one line with the same id, the error and where it was."""
    async with api(fail) as client:
        answer = await client.get(f"/raise/{name}")
        assert (answer.status, set(answer.json)) == (status, {"title", "status", "request_id"})
        assert SECRET not in answer.text + str(answer.headers)
        (line,) = client.events()
        assert line["request_id"] == answer.json["request_id"]
        assert (line["method"], line["path"], line["status"]) == ("GET", f"/raise/{name}", status)
        assert line["exc_info"] is RAISED[name]
        assert line["log_level"] == "error"
        assert (await client.get("/raise/bare")).status == 404


async def test_what_is_cancelled_inside_of_a_handler_is_an_error(api):
    """A handler that waits for what somebody cancelled has failed: its client is answered, and the log has a line."""

    @http.get("/")
    async def wait() -> None:
        inner = asyncio.ensure_future(asyncio.Event().wait())
        asyncio.get_running_loop().call_soon(inner.cancel)
        await inner

    async with api(wait) as client:
        answer = await client.get("/")
        assert answer.status == 500
        (line,) = client.events()
        assert line["request_id"] == answer.json["request_id"]
        assert isinstance(line["exc_info"].__cause__, asyncio.CancelledError)


async def test_a_problem_of_ours_says_what_it_says(api):
    """A problem of 500 and more is told as it is, with an id, which is a fresh one for each request, and a warning."""
    async with api(fail) as client:
        answers = [await client.get("/raise/busy") for _ in range(2)]
        assert [each.json["detail"] for each in answers] == ["try later"] * 2
        assert answers[0].headers["Retry-After"] == "3"
        ids = [each.json["request_id"] for each in answers]
        assert [each["request_id"] for each in client.events()] == ids
        assert len(set(ids)) == 2
        assert {each["log_level"] for each in client.events()} == {"warning"}
    assert RAISED["busy"].members == {}


@pytest.mark.parametrize("status", [200, 399, 600, 0, -1])
def test_only_errors_are_problems(status):
    """Another status is refused."""
    with pytest.raises(ValueError, match=f"between 400 and 599, not {status}"):
        http.Problem(status)


def test_a_problem_shows_what_it_says():
    """As a text it has the status, the detail and each fault."""
    problem = http.Problem(409, "no", errors=[http.Fault("query", "it is missing", "a")])
    assert str(problem) == "409 Conflict: no\n  query a: it is missing"


async def test_members_are_written_as_results_are(api):
    """Classes of data in a document are JSON; what is unknown is its text."""

    @attrs.frozen
    class Item:
        id: int

    class Unknown:
        def __str__(self):
            return "told"

    @http.get("/")
    async def handler() -> None:
        raise http.Problem(409, item=Item(1), other=Unknown())

    async with api(handler) as client:
        answer = await client.get("/")
        assert json.loads(answer.text) == {"title": "Conflict", "status": 409, "item": {"id": 1}, "other": "told"}

"""The service by HTTP, with one worker."""

from __future__ import annotations

import datetime as dt
import gzip
import json
import socket

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

URL = "https://example.org/a?b=c#d"
JSON = b"Content-Type: application/json\r\n"


def is_problem(answer, status):
    assert answer.status == status, answer
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert set(answer.json) - {"errors"} == {"title", "status", "detail"}
    assert answer.json["status"] == status
    assert answer.json["detail"]
    return answer.json["detail"]


def send(client, body, **headers):
    return client.request("POST", "/links", body, **{"Content_Type": "application/json", **headers})


def test_a_link_is_made(client):
    """A new link is answered with 201, its code, its short URL, and where it is told about."""
    answer = client.post(URL)
    code = answer.json["code"]
    assert answer.status == 201
    assert answer.json == {"code": code, "url": URL, "short": f"http://127.0.0.1:{client.port}/{code}"}
    assert len(code) == 7
    assert answer.headers["location"] == f"/links/{code}"
    assert answer.headers["content-type"].startswith("application/json")


def test_a_link_is_followed(client):
    """A short URL redirects to the very URL that was given, and asks not to be cached."""
    answer = client.get(f"/{client.add(URL)}")
    assert (answer.status, answer.headers["location"], answer.body) == (302, URL, b"")
    assert answer.headers["cache-control"] == "no-store"


def test_a_link_tells_its_hits(client):
    """Each redirect is a hit that the link tells of at once, while HEAD is none."""
    code = client.add(URL)
    for _ in range(3):
        client.get(f"/{code}")
    assert client.request("HEAD", f"/{code}").status == 302
    told = client.get(f"/links/{code}")
    assert told.status == 200
    created = dt.datetime.fromisoformat(told.json["created"])
    assert told.json == {"code": code, "url": URL, "hits": 3, "created": told.json["created"]}
    assert abs(dt.datetime.now(dt.UTC) - created) < dt.timedelta(minutes=5)


def test_the_same_url_has_many_codes(client):
    """A URL that is shortened twice gets two codes that count their own hits."""
    one, other = client.add(URL), client.add(URL)
    client.get(f"/{one}")
    assert one != other
    assert (client.hits(one), client.hits(other)) == (1, 0)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/nothing"), ("HEAD", "/nothing"), ("GET", "/links/nothing"), ("GET", "/a/b/c"),
        ("GET", "/favicon.ico"), ("GET", "/%00"),
        ("GET", "/%F0%9F%98%80"), ("GET", "/..%2F..%2Fetc%2Fpasswd"), ("GET", "/'%20OR%201=1--"),
        ("GET", "/" + "a" * 4000), ("POST", "/a/b/c"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_not_found(client, method, path):
    """A path that leads nowhere, an unknown code among them, is 404 with a problem body."""
    answer = client.request(method, path)
    assert answer.status == 404
    if method != "HEAD":
        is_problem(answer, 404)


def test_a_path_that_is_no_text_is_refused(client):
    """Escapes in a path that stand for half of a surrogate pair are 400."""
    assert "UTF-8" in is_problem(client.get("/links/%ED%A0%80"), 400)


@pytest.mark.parametrize(("method", "path"), [("POST", "/abc"), ("DELETE", "/links/abc"), ("PUT", "/links")])
def test_a_wrong_method_is_told_the_right_ones(client, method, path):
    """A method that is not there is 405, with those that are in Allow."""
    answer = client.request(method, path)
    is_problem(answer, 405)
    assert "GET" in answer.headers["allow"]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"nonsense", b"url=https://example.org", b'{"url": "https://example.org"',
        b'{"url": "https://example.org"} x', b"\xff\xfe", b"\x80", b"[" * 10000, b'{"url":' * 2000,
        b"1" * 5000, b'{"url": NaN, }',
    ],
)  # fmt: skip
def test_what_is_no_json_is_refused(client, body):
    """A body that is no JSON is 400 and says so."""
    assert "body" in is_problem(send(client, body), 400)


@pytest.mark.parametrize(
    "body",
    [b"[]", b"null", b"1", b'"https://example.org"', b"{}", b'{"Url": "https://example.org"}'],
)
def test_what_is_no_object_with_a_url_is_refused(client, body):
    """A body that is no object, or has no url, is 422 and says where."""
    answer = send(client, body)
    is_problem(answer, 422)
    assert [error["path"] for error in answer.json["errors"]] in (["$"], ["$.url"])


@pytest.mark.parametrize("url", [None, 1, True, [URL], {"url": URL}, "", "x", "ftp://example.org", "http://a/\r\nX: y"])
def test_what_is_no_url_is_refused(client, url):
    """A url that is no text or no http or https URL is 422 and says so."""
    assert "url" in is_problem(client.post(url), 422)


def test_half_a_character_is_refused(client):
    """A url with half of a surrogate pair, which JSON can spell and UTF-8 cannot, is 400."""
    is_problem(send(client, rb'{"url": "http://a/\ud800"}'), 400)


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "nonsense", ""])
def test_a_body_has_to_be_called_json(client, content_type):
    """A body that the request does not call JSON is 415: a page of another site could send it."""
    body = json.dumps({"url": URL})
    assert "application/json" in is_problem(send(client, body, Content_Type=content_type), 415)


def test_more_than_a_url_is_taken(client):
    """An object may have more than a url."""
    assert send(client, json.dumps({"url": URL, "more": 1})).status == 201


def test_a_large_body_is_refused(client):
    """A body that is longer than allowed is 413, also when its length is not announced, or when it is compressed."""
    large = json.dumps({"url": URL, "more": "x" * 20000}).encode()
    for body, headers in (
        (large, {}),
        (iter([large[:9000], large[9000:]]), {}),  # chunked
        (gzip.compress(large), {"Content_Encoding": "gzip"}),
    ):
        is_problem(send(client, body, **headers), 413)


def test_a_body_that_cannot_be_unpacked_is_refused(client):
    """A body that is not compressed as it says is 400."""
    is_problem(send(client, b"not gzip at all", Content_Encoding="gzip"), 400)


def test_the_service_tells_what_it_is(client):
    """The root says where the links are."""
    assert client.get("/").json == {"service": "links", "links": "/links"}


@pytest.mark.parametrize(
    ("query", "key"),
    [
        ("size=0", "size"), ("size=-1", "size"), ("size=51", "size"), ("size=x", "size"), ("size=", "size"),
        ("size=1.5", "size"), ("size=%D9%A1", "size"), ("size=1_0", "size"), ("size=+1", "size"),
        ("size=" + "9" * 5000, "size"), ("page=0", "page"), ("page=x", "page"), ("page=" + "9" * 20, "page"),
        ("after=", "after"), ("after=nothing", "after"),
        ("after=%00", "after"), ("page=1&page=2", "page"), ("page=1&after=x", "after"), ("limit=10", "limit"),
    ],
)  # fmt: skip
def test_a_page_that_is_none_is_refused(client, query, key):
    """A paging parameter that makes no sense is 422, and the answer names it."""
    assert key in is_problem(client.get(f"/links?{query}"), 422)


def test_a_query_that_is_no_text_is_refused(client):
    """Escapes in the query that are no UTF-8 are 400."""
    is_problem(client.get("/links?after=%ff"), 400)


def test_all_that_is_wrong_with_a_page_is_told(client):
    """Several parameters that make no sense are told at once, each by its name."""
    answer = client.get("/links?size=0&page=x&limit=1")
    is_problem(answer, 422)
    assert [(error["in"], error["name"]) for error in answer.json["errors"]] == [
        ("query", "size"),
        ("query", "page"),
        ("query", "limit"),
    ]


def test_pages_have_numbers(client):
    """Pages can be asked for by number; one beyond the last is empty."""
    codes = [client.add() for _ in range(5)][::-1]
    pages = [client.get(f"/links?size=2&page={page}").json for page in (1, 2)]
    assert [item["code"] for page in pages for item in page["items"]] == codes[:4]
    beyond = client.get("/links?size=2&page=1000000").json
    assert (beyond["items"], beyond["next"]) == ([], None)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(count=st.integers(0, 7), size=st.integers(1, 50), meanwhile=st.booleans())
def test_pages_have_each_link_once(client, count, size, meanwhile):
    """Following next gives each link once, the newest first, in pages of the size asked for, also if more are added."""
    fresh = [client.add() for _ in range(count)][::-1]
    seen, path = [], f"/links?size={size}"
    total = client.get(path).json["total"]
    while path:
        page = client.get(path).json
        seen.append([item["code"] for item in page["items"]])
        path = page["next"]
        if meanwhile:
            client.add()
    codes = [code for page in seen for code in page]
    assert codes[:count] == fresh
    assert len(codes) == len(set(codes)) == total
    assert {len(page) for page in seen[:-1]} <= {size}


def test_each_listed_link_has_its_hits(client):
    """The list tells the hits of each link as the link itself does."""
    code = client.add()
    client.get(f"/{code}")
    (item,) = client.get("/links?size=1").json["items"]
    assert item == client.get(f"/links/{code}").json
    assert item["hits"] == 1


def test_a_request_without_host_is_answered(one_service):
    """A client of HTTP/1.0 that sends no Host gets a link too."""
    body = json.dumps({"url": URL}).encode()
    with socket.create_connection(("127.0.0.1", one_service.port), timeout=10) as connection:
        connection.sendall(b"POST /links HTTP/1.0\r\n%sContent-Length: %d\r\n\r\n%s" % (JSON, len(body), body))
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert b" 201 " in answer.splitlines()[0]


def test_a_strange_host_does_no_harm(client):
    """A Host that is none does not keep the service from answering."""
    assert send(client, json.dumps({"url": URL}), Host="a:b:c/%").status == 201


def test_the_service_is_documented(client):
    """The document of the service has its routes, and a page shows it; no code can be in their way."""
    paths = client.get("/openapi.json").json["paths"]
    assert {"/links", "/links/{code}", "/{code}"} <= set(paths)
    assert client.get("/docs").status == 200


def test_the_service_tells_whether_it_is_ready(client):
    """The probe of readiness is answered, and looks at the database."""
    answer = client.get("/health/ready")
    assert (answer.status, answer.json["checks"]) == (200, {"database": True})

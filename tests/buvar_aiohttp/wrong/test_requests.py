"""Requests that are wrong get the right status and one problem, and the service goes on as if nothing had been."""

import json
import os

import pytest

JSON = "Content-Type: application/json"
FORM = "Content-Type: application/x-www-form-urlencoded"
MULTIPART = "Content-Type: multipart/form-data; boundary=b"
CHUNKED = "Transfer-Encoding: chunked"
GOOD = b'{"id":1,"items":[{"name":"tea","price":{"net":1.5}}]}'
MANY = 2000


def short(value):
    """Return the id of a case: what is sent may be long."""
    return repr(value)[:60] if isinstance(value, (str, bytes)) else None


def part(headers, content, end=b"\r\n--b--\r\n"):
    return b"--b\r\nContent-Disposition: form-data; " + headers + b"\r\n\r\n" + content + end


def faults(problem):
    return [(each["in"], each.get("path") or each.get("name")) for each in problem["errors"]]


# -- what is well-formed, and does not fit


@pytest.mark.parametrize(
    ("target", "headers", "expected"),
    [
        ("/items/x", (), [("path", "number")]),
        ("/items/1?size=x", (), [("query", "size")]),
        ("/items/1?size=101", (), [("query", "size")]),
        ("/items/1?size=1&size=2", (), [("query", "size")]),
        ("/items/1?sise=1", (), [("query", "sise")]),
        ("/items/1?size=", (), [("query", "size")]),
        ("/items/1?size=%00", (), [("query", "size")]),
        ("/items/" + "9" * 5000, (), [("path", "number")]),
        ("/items/1?x_token=1&X-Token=1", (), [("query", "x_token"), ("query", "X-Token")]),
        ("/items/1", ("X-Token: tea",), [("header", "X-Token")]),
        ("/items/1", ("X-Token: \udcff",), [("header", "X-Token")]),
        ("/names/1", ("X-Token: \udcff",), [("header", "X-Token")]),
        ("/items/1", ("Cookie: visits=tea",), [("cookie", "visits")]),
        ("/items/1", ("Cookie: visits=\udcff",), [("cookie", "visits")]),
        (
            "/items/x?size=y&z=1",
            ("X-Token: z", "Cookie: visits=q"),
            [("path", "number"), ("query", "size"), ("header", "X-Token"), ("cookie", "visits"), ("query", "z")],
        ),
    ],
    ids=short,
)
def test_parameters_that_do_not_fit(wrong, target, headers, expected):
    """All parameters that are wrong are told in one problem, 422, each with its source and its name."""
    answer = wrong.request(target, *headers)
    assert (answer.status, faults(answer.problem())) == (422, expected)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"[]", ["$"]),
        (b"null", ["$"]),
        (b"{}", ["$", "$"]),
        (b'{"id":"1","items":[]}', ["$.id"]),
        (b'{"id":1,"items":[{"name":"tea","price":{"net":"x"}}]}', ["$.items[0].price.net"]),
        (b'{"id":1,"items":[{"name":"a","price":{"net":-1,"x":1}}]}', ["$.items[0].price", "$.items[0].price.net"]),
        (b'{"id":1,"items":[{"name":1,"price":{"net":1}},{"name":"x"}]}', ["$.items[0].name", "$.items[1]"]),
        (b'{"id":1,"items":[{"name":"x","price":{"net":1},"tags":["a",2]}]}', ["$.items[0].tags[1]"]),
        (b'{"id":1,"items":[],"notes":{"a":1,"b":"x"}}', ["$.notes.b"]),
        (b'{"id":123456789012345678901234567890,"items":"x"}', ["$.items"]),
    ],
    ids=short,
)
def test_bodies_that_do_not_fit(wrong, body, expected):
    """What is wrong at any depth of a body is told with its JSON path, 422."""
    answer = wrong.request("/orders", JSON, method="POST", body=body)
    found = faults(answer.problem())
    assert (answer.status, sorted(found)) == (422, [("body", path) for path in expected])


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"nul", b'{"id":1,}', b'{"id":NaN}', b"\xff", b'{"id":"\xff"}', b'"\\ud800"', b"{}{}", b"\0",
        b"\xef\xbb\xbf{}", '{"id":1}'.encode("utf-16"), b"[" * 15_000, b'{"a":' * 3000, b"'", b'"\n"', b'{"id":1e400}',
    ],
    ids=short,
)  # fmt: skip
def test_bodies_that_are_no_json(wrong, body):
    """A body that is no JSON is answered 400, however it is broken."""
    answer = wrong.request("/orders", JSON, method="POST", body=body)
    assert answer.status == 400
    assert answer.problem()["detail"].startswith("the body is")


@pytest.mark.parametrize(
    ("target", "headers", "status"),
    [
        ("/orders", (), 415),
        ("/orders", ("Content-Type: text/plain",), 415),
        ("/orders", ("Content-Type: ;",), 415),
        ("/orders", (JSON, "Content-Encoding: gzip"), 400),
        ("/orders", (JSON, "Content-Encoding: tea"), 422),
        ("/forms", (), 415),
        ("/forms", (JSON,), 415),
        ("/forms", ("Content-Type: multipart/form-data",), 400),
        ("/forms", ("Content-Type: multipart/form-data; boundary=" + "b" * 200,), 400),
        ("/forms", (FORM + "; charset=tea",), 400),
        ("/forms", (MULTIPART,), 400),
        ("/files", (FORM,), 422),
        ("/small", (), 413),
    ],
    ids=short,
)
def test_bodies_of_another_kind(wrong, target, headers, status):
    """A body that is not what its headers say, or that the handler does not take, is a client's fault."""
    answer = wrong.request(target, *headers, method="POST", body=b'{"id":1,"tea":2}')
    assert answer.status == status
    answer.problem()


@pytest.mark.parametrize(
    ("target", "body", "status"),
    [
        ("/forms", part(b"name=number", b"1"), 200),
        ("/forms", part(b"name=number", b"x"), 422),
        ("/forms", part(b"name=number; filename=x", b"1"), 422),
        ("/forms", part(b"filename=x", b"1"), 400),
        ("/forms", part(b"name=number\r\nContent-Type: text/plain; charset=tea", b"1"), 400),
        ("/forms", part(b"name=number", b"\xff"), 400),
        ("/forms", part(b"name=number\r\nContent-Transfer-Encoding: tea", b"1"), 400),
        ("/forms", part(b"name=number\r\nContent-Transfer-Encoding: base64", b"*"), 422),
        ("/forms", part(b"name=number\r\nContent-Encoding: gzip", b"1"), 200),
        ("/forms", part(b"name=number\r\nContent-Encoding: tea", b"1"), 200),
        ("/forms", part(b"name=number\r\nContent-Length: x", b"1"), 200),
        ("/forms", part(b"name=number", b"1", end=b""), 400),
        ("/forms", part(b"name=number", b"1", end=b"\r\n--b"), 400),
        ("/forms", b"--b", 400),
        ("/forms", b"--b\r\n", 400),
        ("/forms", b"--b\r\n\xff: \0\r\n\r\n1\r\n--b--\r\n", 400),
        ("/forms", b"--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c--\r\n--b--\r\n", 400),
        ("/forms", part(b"name=number\r\nX: " + b"x" * 9000, b"1"), 400),
        ("/files", part(b'name=file; filename="a.png"\r\nContent-Type: image/png', b"x" * 1000), 200),
        ("/files", part(b'name=file; filename="a.png"\r\nContent-Type: image/png', b"x" * 1001), 422),
        ("/files", part(b'name=file; filename="a.png"\r\nContent-Type: text/\xff', b"x"), 422),
        ("/files", part(b'name="\xff"; filename="a.png"\r\nContent-Type: image/png', b"x"), 422),
        ("/files", part(b'name=file; filename="a.png"\r\nContent-Type: image/png', b"x" * 20_000), 413),
        ("/files", part(b'name=file; filename="a.png"', b"x"), 422),
        ("/files", part(b"name=file", b"x"), 422),
        ("/files", part(b'name=file; filename="a.png"\r\nContent-Type: image/png', b"x", end=b""), 400),
        ("/files", part(b'name=file; filename="../\0"\r\nContent-Type: image/png', b"x"), 400),
    ],
    ids=short,
)
def test_forms_that_are_broken(wrong, target, body, status):
    """Parts that are no parts, or lie about themselves, are a client's fault, and no file of an upload is left open."""
    answer = wrong.request(target, MULTIPART, method="POST", body=body)
    assert answer.status == status, answer
    if status != 200:
        answer.problem()


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/names/%", 400), ("/names/%z", 400), ("/names/%zz", 400), ("/names/a?q=%", 400), ("/names/%ff", 400),
        ("/names/a?q=%ff", 400), ("/names/%c3%28", 400), ("/names/%ed%a0%80", 400), ("/names/a?%ff=1", 400),
        ("/names/a%2fb", 200), ("/names/a%00b", 200), ("/names/%25", 200), ("/names/%25ff", 200), ("/names/", 404),
        ("/nothing%ff", 404), ("/nothing%", 404), ("//", 404), ("/%2e%2e/%2e%2e/etc/passwd", 404),
        ("/names/..%2f..%2fetc", 200), ("/shelves/1/..", 404), ("/names/a;b=c", 200), ("/names/a?q=1;q=2", 200),
        ("/names/a?q=1&q=2", 422), ("/names/a??", 422), ("/names/a?&&&", 200),
    ],
    ids=short,
)  # fmt: skip
def test_targets_that_are_encoded_badly(wrong, target, status):
    """Escapes that are none, or no UTF-8, are 400 where they reach a handler; nothing else happens."""
    answer = wrong.request(target)
    assert answer.status == status, answer
    if status != 200:
        answer.problem()


def test_what_is_odd_and_right_is_taken_as_it_is(wrong):
    """Control characters in a path, and Unicode in a header and in a query, reach the handler as they were sent."""
    answer = wrong.request("/names/a%00%0d%0ab?q=%F0%9F%8D%B5", "X-Token: ñ")
    assert json.loads(answer.body) == {"name": "a\0\r\nb", "q": "🍵", "token": "ñ"}


@pytest.mark.parametrize(
    ("method", "target", "status", "allowed"),
    [
        ("GET", "/orders", 405, {"POST"}), ("DELETE", "/items/1", 405, {"GET", "HEAD"}),
        ("TRACE", "/ping", 405, None), ("GET", "/guarded/x", 401, None),
        ("HEAD", "/items/x", 422, None), ("HEAD", "/nothing", 404, None), ("GET", "/talk", 426, None),
        ("POST", "/orders", 415, None), ("PUT", "/shelves/x", 415, None),
    ],
)  # fmt: skip
def test_methods_and_places_that_are_none(wrong, method, target, status, allowed):
    """A method that is not allowed is 405 with ``Allow``; a guard answers before the parameters are looked at."""
    answer = wrong.request(target, method=method, body=b"x" if method in {"PUT", "POST"} else None)
    assert answer.status == status
    if allowed is not None:
        assert set(answer.header("allow").replace(" ", "").split(",")) == allowed
    if method != "HEAD":
        answer.problem()


# -- what is too much


@pytest.mark.parametrize("target", ["/orders", "/bytes", "/plain"])
@pytest.mark.parametrize("is_chunked", [False, True])
def test_bodies_that_are_too_long(wrong, target, is_chunked):
    """A body that is longer than allowed is answered 413, where its length is told beforehand and where it is not."""
    body = b"[" + b"1," * 15_000 + b"1]"
    headers = [JSON]
    if is_chunked:
        headers.append(CHUNKED)
        body = b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in (body[:10_000], body[10_000:])) + b"0\r\n\r\n"
    answer = wrong.request(target, *headers, method="POST", body=body)
    assert answer.status == 413
    answer.problem()


def test_a_form_that_is_too_long(wrong):
    """A form is limited as any other body."""
    assert wrong.request("/forms", FORM, method="POST", body=b"tag=" + b"x" * 20_000).problem()["status"] == 413


@pytest.mark.parametrize(
    ("target", "headers"),
    [
        ("/names/" + "x" * 9000, ()),
        ("/names/" + "x" * 1_000_000, ()),
        ("/ping", ("X-A: " + "x" * 9000,)),
        ("/ping", ("X" * 9000 + ": x",)),
        ("/ping", tuple(f"X-{number}: x" for number in range(MANY))),
        ("/ping", ("Cookie: " + "a=b; " * 3000,)),
    ],
    ids=short,
)
def test_heads_that_are_too_long(wrong, target, headers):
    """A line, or a header, that is too long is answered 400, as are too many headers, and read no further."""
    answer = wrong.request(target, *headers)
    assert answer.status == 400
    assert answer.closes
    assert len(answer.problem()["detail"]) <= 200


# -- what is no HTTP, or could be read in two ways


@pytest.mark.parametrize(
    "data",
    [
        b"\r\n\r\nTEA\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /ping HTTP/3.0\r\nHost: test\r\n\r\n",
        b"GET /ping HTTP/1.x\r\nHost: test\r\n\r\n",
        b"TEA /ping HTTP/1.1\r\nHost: test\r\n\r\n",
        b"GET /pi ng HTTP/1.1\r\nHost: test\r\n\r\n",
        b"GET /ping\0 HTTP/1.1\r\nHost: test\r\n\r\n",
        b"GET /ping HTTP/1.1\r\nHost: test\r\nX-A: a\0b\r\n\r\n",
        b"GET /ping HTTP/1.1\r\nHost: test\r\nX-A: a\rX-B: b\r\n\r\n",
        b"GET /ping HTTP/1.1\r\nHost: test\r\nX-A\r\n\r\n",
        b"GET /ping HTTP/1.1\r\nHost: test\r\nX-A : a\r\n\r\n",
        b"GET /ping HTTP/1.1\r\nHost: test\r\n: a\r\n\r\n",
        b"GET /ping HTTP/1.1\r\nHost: test\r\n X-A: a\r\n\r\n",
        b"GET /ping HTTP/1.1\r\nHost: test\r\nX-\xff: a\r\n\r\n",
        b"GET /ping HTTP/1.1\r\nHost: test\r\nHost: other\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + b"x" * 506,
        b"\0" * 100,
        b"\xff" * 100,
        b"GET http://[/ping HTTP/1.1\r\nHost: test\r\n\r\n",
        b"GET http://test:99999/ping HTTP/1.1\r\nHost: test\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: test\r\n\r\n",
        b"POST /bytes HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"POST /bytes HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        b"POST /bytes HTTP/1.1\r\nHost: test\r\nContent-Length: 3, 3\r\n\r\nabc",
        b"POST /bytes HTTP/1.1\r\nHost: test\r\nContent-Length: +3\r\n\r\nabc",
        b"POST /bytes HTTP/1.1\r\nHost: test\r\nContent-Length: -3\r\n\r\nabc",
        b"POST /bytes HTTP/1.1\r\nHost: test\r\nContent-Length: 0x3\r\n\r\nabc",
        b"POST /bytes HTTP/1.1\r\nHost: test\r\nContent-Length: 99999999999999999999999\r\n\r\nabc",
        b"POST /bytes HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /bytes HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        b"POST /bytes HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: tea\r\n\r\n0\r\n\r\n",
        b"POST /bytes HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked, tea\r\n\r\n0\r\n\r\n",
        b"POST /bytes HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"POST /bytes HTTP/1.1\r\nHost: test" + b"\r\nTransfer-Encoding: chunked" * 2 + b"\r\n\r\n0\r\n\r\n",
    ],
    ids=short,
)
def test_what_is_no_http(wrong, data):
    """What is no HTTP, or two readers could read in two ways, is answered 400 once, and the connection is closed."""
    answer = wrong.send(data)
    assert answer.status == 400, answer
    assert answer.closes
    answer.problem()


@pytest.mark.parametrize(
    "chunks",
    [
        b"x\r\nabc\r\n0\r\n\r\n", b"-1\r\n", b"3\r\nabcd\r\n0\r\n\r\n", b"3\nabc\n0\n\n",
        b"fffffffffffffffff\r\nabc", b"0x3\r\nabc\r\n0\r\n\r\n", b"3;\0\r\nabc\r\n0\r\n\r\n", b"\r\n",
        b"3\r\nabc\r\n0\r\nX A: b\r\n\r\n",
    ],
)  # fmt: skip
@pytest.mark.parametrize("target", ["/bytes", "/orders", "/forms", "/pieces", "/plain", "/items/1", "/nothing"])
def test_chunks_that_are_none(wrong, target, chunks):
    """A chunk whose size is none ends the connection with one answer that says so, whoever would have read the body."""
    kind = FORM if target == "/forms" else JSON
    method = "GET" if target == "/items/1" else "POST"
    answer = wrong.request(target, kind, CHUNKED, method=method, body=chunks)
    assert answer.status == 400 or target in {"/items/1", "/nothing"}
    assert answer.closes
    if answer.status != 200:
        answer.problem()


def test_a_wrong_request_among_others(wrong):
    """Of requests that were sent at once each gets its answer, in order; what is no HTTP ends that."""
    good, bad = b"GET /ping HTTP/1.1\r\nHost: test\r\n\r\n", b"GET /items/x HTTP/1.1\r\nHost: test\r\n\r\n"
    assert [each.status for each in wrong.send(good + bad + good, 3)] == [200, 422, 200]
    body = b"POST /orders HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: 3\r\n\r\n{x}"
    assert [each.status for each in wrong.send(good + body + good, 3)] == [200, 400, 200]
    made = good.replace(b"/ping", b"/names/first") + b"TEA\r\n\r\n"
    assert wrong.send(made).problem()["status"] == 400
    assert not wrong.service.events("unit closed", path="/names/first")  # what is not answered was not begun
    with wrong.connect() as connection:
        connection.send(good)
        assert connection.answer().status == 200
        connection.send(b"GET /ping HTTP/1.1\r\nHost: test\r\nX A: b\r\n\r\n" + good)
        assert connection.answer().problem()["status"] == 400
        assert connection.rest() == b""


def test_a_body_that_nobody_reads_is_no_request(wrong):
    """What is left of a body that was not read is not taken for the next request."""
    hidden = b"GET /fail/error HTTP/1.1\r\nHost: test\r\n\r\n"
    for target, status in (("/items/1", 200), ("/nothing", 404), ("/guarded/1", 401)):
        assert wrong.request(target, body=hidden).status == status
    for target in ("/nothing", "/orders"):
        wrong.request(target, method="POST", body=hidden).problem()


# -- whom is believed


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("Host: evil", 421), ("Host: test.evil", 421), ("Host: test@evil", 400), ("Host: evil/test", 400),
        ("Host: test:80", 200), ("Host: test:x", 400), ("Host: ", 400), ("X-A: b", 400), ("Host: te\xffst", 400),
        ("Host: TEST.", 200), ("Host: test evil", 400), ("Host: [::1", 400),
    ],
)  # fmt: skip
def test_hosts_that_are_not_served(wrong, host, status):
    """A host that is not served is 421, what is none 400; nothing gets to a handler."""
    answer = wrong.send(f"GET /who HTTP/1.1\r\n{host}\r\nX-Forwarded-Host: test\r\n\r\n".encode("latin-1"))
    assert answer.status == status
    if status != 200:
        answer.problem()


def test_who_is_no_proxy_is_not_believed(wrong):
    """Headers of proxies say nothing when they come from anybody else."""
    spoofed = ("For: 10.1.1.1", "Proto: https", "Host: evil", "Port: 1", "Prefix: /evil")
    headers = [f"X-Forwarded-{each}" for each in spoofed]
    answer = wrong.request("/who", *headers, "Forwarded: for=10.1.1.1;host=evil;proto=https", "X-Real-IP: 10.1.1.1")
    assert json.loads(answer.body) == ["127.0.0.1", "http", "test"]


def test_a_whole_url_does_not_change_the_host(wrong):
    """A target that names another host than the header is refused: nobody is to choose between the two."""
    answer = wrong.request("http://evil/who")
    assert answer.problem()["status"] == 400
    assert b"evil" not in answer.body


# -- what a handler gives back


@pytest.mark.parametrize("kind", ["typed", "raw", "problem", "redirect", "cookie"])
@pytest.mark.parametrize("value", ["a%0d%0aX-Evil:1", "a%0aX-Evil:1", "a%0dX-Evil:1", "a%0d%0a%0d%0aHTTP/1.1 200 OK"])
def test_no_client_writes_headers(wrong, kind, value):
    """What a handler puts into a header of its response cannot end that header."""
    answer = wrong.request(f"/reflect?kind={kind}&value={value.replace(' ', '%20')}")
    assert not [name for name, _ in answer.headers if name == "x-evil"]
    if answer.status == 500:
        answer.problem()
        wrong.blame("/reflect")
    else:
        assert kind in {"redirect", "cookie"}


@pytest.mark.parametrize("name", ["X%0d%0aX-Evil:1", "X%20A", "X:A", "", "%00", "Content-Length", "Transfer-Encoding"])
def test_no_client_names_headers(wrong, name):
    """Nor can the name of a header be anything that ends it, or says where the body ends."""
    answer = wrong.request(f"/reflect?value=7&name={name}")
    assert not [name for name, _ in answer.headers if name == "x-evil"]
    if answer.status == 500:
        answer.problem()
        wrong.blame("/reflect")


# -- files


@pytest.fixture
def outside(wrong):
    """Files and links in and outside of the folder that is served."""
    (wrong.folder / "hidden.txt").write_text("hidden")
    (wrong.folder / "static2").mkdir(exist_ok=True)
    (wrong.folder / "static2" / "hidden.txt").write_text("hidden")
    links = {"out": wrong.folder / "hidden.txt", "up": wrong.folder, "loop": "loop", "gone": wrong.folder / "nothing"}
    for name, target in links.items():
        if not (path := wrong.folder / "static" / name).is_symlink():
            path.symlink_to(target)
    if not (fifo := wrong.folder / "static" / "fifo").exists():
        os.mkfifo(fifo)
    return wrong


@pytest.mark.parametrize(
    "path",
    [
        "../hidden.txt", "%2e%2e/hidden.txt", "..%2fhidden.txt", "%2e%2e%2fhidden.txt", "..%5chidden.txt",
        "....//hidden.txt", "./../hidden.txt", "x/../../hidden.txt", "%252e%252e%252fhidden.txt", "/etc/passwd",
        "%2fetc%2fpasswd", "//etc/passwd", "C:%5cWindows", "out", "up/hidden.txt", "loop", "gone", "..", "%2e%2e",
        "%00", "tea.txt%00", "%00/../../hidden.txt", "..%00/hidden.txt", "x" * 300, "x/" * 2500, "%ff", "%ff/..%2f..",
        "tea.txt/x", "..%c0%afhidden.txt", "%u002e%u002e/hidden.txt", "../static2/hidden.txt", "fifo",
        "..%2fstatic2%2fhidden.txt", "tea.txt/..%2f..%2fhidden.txt", "", "~root/.bashrc", "%zz",
    ],
    ids=short,
)  # fmt: skip
def test_nothing_outside_of_a_folder_is_served(outside, path):
    """However a path is written, static files are those of their folder."""
    answer = outside.request(f"/static/{path}")
    assert answer.status in {400, 403, 404}, answer
    answer.problem()


def test_files_are_served(outside):
    """What is in the folder is served, and what asks for impossible parts of it is refused."""
    assert outside.request("/static/tea.txt").body == b"tea"
    assert outside.request("/static/tea.txt", "Range: bytes=1-1").body == b"e"
    assert outside.request("/static/tea.txt", "Range: bytes=9-").status == 416
    assert outside.request("/static/tea.txt", "Range: tea").status == 416
    assert outside.request("/static/tea.txt", method="DELETE").problem()["status"] == 405


# -- HTTP/0.9 and 1.0


@pytest.mark.parametrize("end", [b"", b" HTTP/0.9", b" HTTP/1.0"])
def test_old_versions_of_http(wrong, end):
    """A request of an old version is answered, by a problem as it names no host, and the connection is closed."""
    answer = wrong.send(b"GET /ping" + end + b"\r\n\r\n")
    assert (answer.status, answer.closes) == (421, True)
    answer.problem()
    assert wrong.send(b"GET /ping HTTP/1.0\r\nHost: test\r\n\r\n").body == b"pong"


# -- Expect


def test_who_asks_before_it_sends_is_answered(wrong):
    """A body that is announced is asked for, and what is wrong with it is told; another expectation is 417."""
    for body, status in ((GOOD, 201), (b"{", 400), (b"{}", 422), (b"x" * 30_000, 413)):
        assert wrong.request("/orders", JSON, "Expect: 100-continue", method="POST", body=body).status == status
    answer = wrong.request("/orders", JSON, "Expect: tea", method="POST", body=GOOD)
    assert answer.status == 417
    answer.problem()

"""Socket URIs: each has one canonical form, and what is none is told in words."""

import pickle
import socket

import attrs
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from buvar.errors import SocketURIError, UsageError
from buvar.forking import uri


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("tcp://127.0.0.1:8080", "tcp://127.0.0.1:8080"),
        ("tcp://:8080", "tcp://0.0.0.0:8080"),
        ("tcp://:08080/", "tcp://0.0.0.0:8080"),
        ("TCP://LocalHost:80", "tcp://localhost:80"),
        ("tcp://bücher.example:80", "tcp://xn--bcher-kva.example:80"),
        ("tcp://[::]:80", "tcp://[::]:80"),
        ("tcp://[0:0:0:0:0:0:0:0]:80", "tcp://[::]:80"),
        ("tcp://[0::00:1]:80", "tcp://[::1]:80"),
        ("tcp://[FE80::1%eth0]:80", "tcp://[fe80::1%eth0]:80"),
        ("unix:///run/a.sock", "unix:///run/a.sock"),
        ("unix:/run/a.sock", "unix:///run/a.sock"),
        ("unix:///run/a.sock?mode=660", "unix:///run/a.sock"),
        ("unix:///run/a b%3F.sock", "unix:///run/a%20b%3F.sock"),
        ("unix:///run/%FF.sock", "unix:///run/%FF.sock"),
        ("fd://3", "fd://3"),
        ("fd://003", "fd://3"),
    ],
)
def test_a_uri_has_one_canonical_form(text, canonical):
    """Different spellings of one address have one canonical form."""
    assert str(uri.parse(text)) == canonical


def test_a_uri_has_its_parts():
    """Host and port, path and mode, or the descriptor are there to read, by upstream's names too."""
    tcp, unix, fd = uri.parse("tcp://[::1]:80"), uri.parse("unix:///a%20b?mode=0600"), uri.parse("fd://7")
    assert (tcp.scheme, tcp.host, tcp.port, tcp.family) == ("tcp", "::1", 80, socket.AF_INET6)
    assert (tcp.gethost(), tcp.getport(), unix.getpath()) == ("::1", 80, "/a b")
    assert (unix.scheme, unix.path, unix.mode, unix.family) == ("unix", "/a b", 0o600, socket.AF_UNIX)
    assert (fd.scheme, fd.fd) == ("fd", 7)
    assert uri.parse("tcp://:1").family == socket.AF_INET


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the scheme '' is not tcp, unix or fd"),
        ("localhost:80", "the scheme 'localhost' is not tcp, unix or fd"),
        ("http://localhost:80", "the scheme 'http' is not tcp, unix or fd"),
        ("tcp://localhost", "the port is missing"),
        ("tcp://localhost:", "the port is missing"),
        ("tcp://localhost:http", "'http'"),
        ("tcp://localhost:65536", "0-65535"),
        ("tcp://localhost:-1", "'-1'"),
        ("tcp://::1:80", "IPv6 in brackets"),
        ("tcp://[]:80", ""),
        ("tcp://[::1]", "the port is missing"),
        ("tcp://[::1]x:80", ""),
        ("tcp://x[::1]:80", ""),
        ("tcp://[127.0.0.1]:80", ""),
        ("tcp://[::1:80", ""),
        ("tcp://user@localhost:80", "nothing else"),
        ("tcp://localhost:80/path", "nothing else"),
        ("tcp://localhost:80?backlog=1", "nothing else"),
        ("tcp://a b:80", "no name or address of a host"),
        ("tcp://*:80", "no name or address of a host"),
        ("tcp://a..b:80", "label"),
        ("tcp://local\nhost:80", "control character"),
        ("unix://run/a.sock", "three slashes"),
        ("unix:///", "name a file"),
        ("unix:///run/", "name a file"),
        ("unix://", "three slashes"),
        ("unix:///a%00b", "NUL"),
        ("unix:///" + 107 * "a", "longer than 107 bytes"),
        ("unix:///" + 54 * "ä", "longer than 107 bytes"),
        ("unix:///a?mode=999", "mode=999 is no octal permission"),
        ("unix:///a?mode=", "no octal permission"),
        ("unix:///a?mode=1777", "no octal permission"),
        ("unix:///a?owner=me", "not 'owner'"),
        ("unix:///a#b", "'b'"),
        ("fd://", "is a number"),
        ("fd://x", "is a number"),
        ("fd://-1", "is a number"),
        ("fd://٣", ""),
        ("fd://3/4", "is a number"),
        ("fd://99999999999999999999", "as large as that"),
        (None, "no text"),
        (80, "no text"),
        (b"tcp://:80", "no text"),
    ],
)
def test_what_is_no_uri_is_told(text, reason):
    """The error repeats what was written and says what is wrong with it; it is a TypeError, as upstream raised."""
    with pytest.raises(SocketURIError) as caught:
        uri.parse(text)
    assert str(caught.value).startswith(f"{text!r} is no socket URI: ")
    assert reason in str(caught.value)
    assert caught.value.uri == text
    assert isinstance(caught.value, TypeError)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, UsageError)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


names = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?(\.[a-z0-9]{1,5})?", fullmatch=True)
hosts = st.one_of(st.just(""), names, st.ip_addresses(v=4).map(str), st.ip_addresses(v=6).map(lambda ip: f"[{ip}]"))
tcp_uris = st.builds("tcp://{}:{}".format, hosts, st.integers(0, 65535))
paths = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), min_size=1, max_size=20).map(
    lambda text: f"/{text.strip('/') or 'x'}"
)


@given(tcp_uris)
def test_a_tcp_uri_comes_back(text):
    """The canonical form of a tcp URI is parsed to the same URI."""
    parsed = uri.parse(text)
    assert uri.parse(str(parsed)) == parsed


@given(paths, st.none() | st.integers(0, 0o777))
def test_a_unix_uri_comes_back(path, mode):
    """The canonical form of a path is parsed to the same path, whatever is in it; the mode is no part of it."""
    made = uri.SocketURI("unix", path=path, mode=mode)
    assert uri.parse(str(made)) == attrs.evolve(made, mode=None)
    if mode is not None:
        assert uri.parse(f"{made}?mode={mode:o}") == made


@given(st.binary(min_size=1, max_size=50).filter(lambda name: b"\0" not in name and not name.endswith(b"/")))
def test_an_address_of_any_bytes_has_a_uri(name):
    """The path that the system knows a socket by need be no text in any encoding."""
    found = uri.of_address(socket.AF_UNIX, b"/" + name)
    assert uri.parse(str(found)) == found


def test_an_abstract_address_can_be_shown():
    """The address of a socket without a file, which only a service manager can pass, has a URI to show."""
    assert str(uri.of_address(socket.AF_UNIX, b"\0name")) == "unix://%00name"


SCHEMES = st.sampled_from(["tcp://", "tcp:", "unix://", "unix:", "fd://", "fd:", "TCP://[", "tcp://[::1]", ""])


@given(st.builds("{}{}".format, SCHEMES, st.text(max_size=30)))
@example("tcp://" + "a" * 70 + ":80")
@example("unix:///\ud800")
@example("fd://" + "9" * 5000)
def test_any_text_is_a_uri_or_a_socket_uri_error(text):
    """No text makes parsing fail in any other way, and what it gives has a canonical form."""
    try:
        parsed = uri.parse(text)
    except SocketURIError as error:
        assert str(error)
    else:
        assert attrs.evolve(parsed, mode=None) == uri.parse(str(parsed))

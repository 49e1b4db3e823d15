from __future__ import annotations

import string
import urllib.parse

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from examples.links import store, urls

GOOD = (
    "http://example.org",
    "https://example.org/a/b?c=d&e=%2F#f",
    "HTTP://EXAMPLE.ORG:8080/",
    "http://127.0.0.1:1/",
    "http://[::1]:8080/x",
    "https://user:secret@example.org/",
    "http://localhost",
    "http://example.org./",
    "http://under_score.example/{x}|y",
)

BAD = (
    "", " ", "x", "example.org", "/path", "//example.org", "http:", "http://", "http:///path", "http:example.org",
    "http://?x", "http://#x", "http://:80", "http://user@", "http://user@:80/", "http://example.org:port",
    "http://example.org:65536", "http://example.org:-1", "http://exa mple.org", "http://example..org", "http://.",
    "http://-a.org", "http://a-.org", f"http://{'a' * 64}.org", f"http://{'a.' * 127}org", "http://999.1.1.1",
    "http://1.2.3", "http://[::1", "http://::1/", "http://[fe80::g]/", "http://[]/", "http://%65xample.org",
    "javascript:alert(1)", "JavaScript:alert(1)", "ftp://example.org", "data:text/html,x", "file:///etc/passwd",
    "mailto:a@example.org", "blob:http://example.org", "http//example.org", "https;//example.org",
    "http://example.org/a b", "http://example.org/\r\nSet-Cookie: a=b", "http://example.org/\n", "\nhttp://example.org",
    "http://example.org/\t", "java\tscript:alert(1)", "http://example.org/\x00", "http://example.org/\x7f",
    "http://example.org/\x85", "http://example.org/\u2028", "http://example.org/\u202e", "http://example.org/\ud800",
    "http:\\\\example.org", "http://example.org\\@evil.org", "http://example.org/<script>", 'http://example.org/"',
    f"http://example.org/{'a' * 2048}", f"http://example.org/{'ü' * 1000}",
)  # fmt: skip


@pytest.mark.parametrize("text", GOOD)
def test_a_web_address_in_ascii_is_taken_as_it_is(text):
    """A http or https URL that is in ASCII is not changed by a character."""
    assert urls.web_address(text) == text


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_web_address_is_refused(text):
    """What is no http or https URL with a host is refused with a sentence."""
    with pytest.raises(urls.NotAWebAddress, match=r"\w+ \w+"):
        urls.web_address(text)


def test_a_web_address_beyond_ascii_is_encoded():
    """A URL with letters of other scripts is taken, in the form in which it goes over the wire."""
    assert urls.web_address("http://bücher.example/straße?q=ö") == "http://xn--bcher-kva.example/stra%C3%9Fe?q=%C3%B6"


def test_the_longest_url_is_taken():
    """A URL of exactly the length that is allowed is taken, one more character is too much."""
    assert urls.web_address("http://a.b/c", 12) == "http://a.b/c"
    with pytest.raises(urls.NotAWebAddress, match="longer than 11"):
        urls.web_address("http://a.b/c", 11)


@given(st.one_of(st.text(), st.text().map("http://example.org/{}".format), st.text().map("https://{}".format)))
@example("http://[v1.x]/")
@example("http://ſ.example/")
@example("http://℀.example/")
def test_what_is_taken_can_stand_in_a_header(text):
    """Any text is refused, or becomes a URL in printable ASCII with a host that is taken again unchanged."""
    try:
        url = urls.web_address(text)
    except urls.NotAWebAddress:
        return
    assert set(url) <= set(string.printable) - set(string.whitespace)
    assert urllib.parse.urlsplit(url).scheme in {"http", "https"}
    assert urllib.parse.urlsplit(url).hostname
    assert urls.web_address(url) == url


def test_codes_become_longer_when_they_are_taken():
    """Codes have the length that is asked for, and after a few collisions in a row one more letter."""
    codes = store.new_codes(4)
    lengths = [len(next(codes)) for _ in range(store.ATTEMPTS * 2)]
    assert lengths == [4] * store.ATTEMPTS + [5] * store.ATTEMPTS


def test_no_code_is_a_word_of_the_service():
    """No code can be a word that is a path of its own."""
    for word in ("links", "health", "metrics", "docs"):
        assert not set(word) <= set(store.ALPHABET)
    assert len(set(store.ALPHABET)) == len(store.ALPHABET)
    assert not set("0Oo1lI") & set(store.ALPHABET)

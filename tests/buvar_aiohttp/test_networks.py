"""Networks: which peers belong to them, and what is an address."""

from hypothesis import given
from hypothesis import strategies as st

from buvar_aiohttp import networks


@given(st.text())
def test_any_text_is_an_address_or_none(text):
    """Whatever stands in place of an address is one, or is told to be none."""
    found = networks.address_of(text)
    assert found is None or networks.address_of(str(found)) == found


def test_a_peer_is_known_by_its_address():
    """A peer is known by what its transport calls it, IPv4 written as IPv6 too."""
    found = networks.Networks.of(["10.0.0.0/8"])
    assert found.has_peer(("10.0.0.1", 80))
    assert found.has_peer(("::ffff:10.0.0.1", 80, 0, 0))
    assert not found.has_peer(("11.0.0.1", 80))
    assert not found.has_peer("")
    assert not found.has_peer(None)


def test_peers_on_unix_sockets_have_no_address():
    """Whoever connects to a unix socket belongs to networks with "unix", but not who has gone."""
    found = networks.Networks.of(["unix"])
    assert found.has_peer("")
    assert not found.has_peer(None)
    assert not found.has_peer(("127.0.0.1", 80))


def test_an_address_may_have_a_port_where_that_is_asked():
    """An address is found beside a port, and not where it has to be an address and nothing else."""
    assert str(networks.address_of("[2001:db8::1]:80")) == "2001:db8::1"
    assert str(networks.address_of("192.0.2.1:80")) == "192.0.2.1"
    assert networks.exactly("192.0.2.1:80") is None
    assert str(networks.exactly("::ffff:192.0.2.1")) == "192.0.2.1"

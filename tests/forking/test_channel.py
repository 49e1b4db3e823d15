"""The channel: messages arrive whole, nobody waits, and both sides learn of the other one's end."""

import json
import os
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buvar.forking.channel import Channel, pair


@pytest.fixture
def ends():
    """Both ends of a channel."""
    ours, theirs = map(Channel, pair())
    yield ours, theirs
    ours.close()
    theirs.close()


def test_messages_arrive_in_order(ends):
    """What one side says the other one reads, and there is nothing to wait for."""
    ours, theirs = ends
    assert list(ours.read()) == []
    assert theirs.send(ready=True)
    assert theirs.send(error="böse", exception="two\nlines")
    assert list(ours.read()) == [{"ready": True}, {"error": "böse", "exception": "two\nlines"}]
    assert ours.send(lead=True)
    assert list(theirs.read()) == [{"lead": True}]
    assert not ours.closed


@given(st.lists(st.text(st.characters(exclude_categories=("Cs",)))), st.integers(1, 50))
def test_messages_may_arrive_in_pieces(texts, size):
    """A message is read when it is whole, however the bytes of it come."""
    stream = b"".join(json.dumps({"error": text}).encode() + b"\n" for text in texts)
    ours, theirs = pair()
    with ours, theirs:
        channel, found = Channel(ours), []
        for start in range(0, len(stream), size):
            theirs.sendall(stream[start : start + size])
            found += channel.read()
        assert found == [{"error": text} for text in texts]


def test_half_a_message_is_none(ends):
    """Who dies while it speaks has said nothing; what it began to say is kept as it is."""
    ours, theirs = ends
    os.write(theirs.fileno(), b'{"ready": tr')
    theirs.close()
    assert list(ours.read()) == []
    assert ours.closed
    assert ours.unread == b'{"ready": tr'


@given(st.lists(st.binary().filter(lambda line: b"\n" not in line)))
def test_what_is_no_message_is_text(lines):
    """Whatever else comes is kept, line by line, and breaks nothing."""
    ours, theirs = pair()
    with ours, theirs:
        channel = Channel(ours)
        for line in lines:
            theirs.sendall(b"#" + line + b"\n")
            assert list(channel.read()) == []
        theirs.sendall(b"[1]\n{}\n")
        assert list(channel.read()) == [{}]
        assert channel.text == [*("#" + line.decode(errors="replace") for line in lines), "[1]"]


def test_descriptors_come_along(ends):
    """A socket that is sent is open on the other side, and no program that is started there inherits it."""
    ours, theirs = ends
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        theirs.send(fds=[listener.fileno()], listeners=["tcp://"])
        assert list(ours.read()) == [{"listeners": ["tcp://"]}]
        (fd,) = ours.fds
        with socket.socket(fileno=fd) as received:
            ours.fds = []
            assert received.getsockname() == listener.getsockname()
            assert not received.get_inheritable()


def test_descriptors_that_nobody_took_are_closed():
    """A channel that is closed leaves nothing open."""
    ours, theirs = map(Channel, pair())
    theirs.send(fds=[theirs.fileno()], listeners=[])
    assert len(list(ours.read())) == 1
    (fd,) = ours.fds
    ours.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)
    theirs.close()


def test_the_end_of_either_side_is_noticed(ends):
    """The end of file, or the error that the system tells of where something was left unread."""
    ours, theirs = ends
    theirs.send(ready=True)
    ours.close()
    assert list(theirs.read()) == []
    assert theirs.closed
    assert not theirs.send(ready=True)
    assert list(theirs.read()) == []


def test_a_side_that_does_not_read_holds_nobody(ends):
    """What does not fit is given up: at once, or after the time that the sender has."""
    ours, theirs = ends
    assert not ours.send(error="x" * 2**22)
    assert not theirs.send(error="x" * 2**22, patience=0.05)

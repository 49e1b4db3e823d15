"""The status document: made of what the supervisor knows and of the board, and the same at the other end."""

import json
import os
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from buvar.forking import status as states
from buvar.forking.board import Board, State, WorkerStatus

SUPERVISOR = states.SupervisorFacts(
    pid=1,
    version="1",
    command=["buvar", "run"],
    folder="/srv",
    started=1.5,
    generation=2,
    state=states.RUNNING,
    wanted=2,
    sockets=[states.SocketFacts(uri="tcp://:0", address="tcp://0.0.0.0:8080")],
)


def test_it_tells_what_the_board_has():
    """Each worker of the board is there, with spans in place of times, and its memory."""
    board = Board()
    row = board.take(0, 2)
    row.pid, row.requests, row.connections, row.leader = os.getpid(), 7, 3, True
    row.state = State.READY
    board.take(1, 1).pid = 2**30  # no process has that pid
    now = time.monotonic()
    found = states.status(SUPERVISOR, board, now + 10).document()
    board.close()
    assert found["supervisor"]["sockets"] == [{"uri": "tcp://:0", "address": "tcp://0.0.0.0:8080"}]
    first, second = found["workers"]
    assert (first["pid"], first["slot"], first["generation"], first["state"]) == (os.getpid(), 0, 2, "ready")
    assert (first["requests"], first["connections"], first["leader"]) == (7, 3, True)
    assert first["age"] >= 10 <= first["beat_age"]
    assert first["ready_after"] is not None
    assert first["memory"] is None or first["memory"] > 2**20
    assert (second["state"], second["ready_after"], second["memory"]) == ("booting", None, None)


numbers = st.floats(0, 1e12)
rows = st.builds(
    WorkerStatus,
    pid=st.integers(1, 2**22),
    slot=st.integers(0, 1023),
    generation=st.integers(1),
    state=st.sampled_from(["booting", "ready", "stopping"]),
    born=numbers,
    ready=st.none() | numbers,
    beat=numbers,
    requests=st.integers(0),
    connections=st.integers(0),
    leader=st.booleans(),
)
reloads = st.builds(
    states.LastReload,
    at=numbers,
    generation=st.integers(1),
    ok=st.booleans(),
    seconds=numbers,
    error=st.none() | st.text(),
)
supervisors = st.builds(
    states.SupervisorFacts,
    pid=st.integers(1),
    version=st.text(),
    command=st.lists(st.text()),
    folder=st.text(),
    started=numbers,
    generation=st.integers(1),
    state=st.sampled_from([states.RUNNING, states.RELOADING, states.STOPPING]),
    wanted=st.integers(0),
    sockets=st.lists(st.builds(states.SocketFacts, uri=st.text(), address=st.text())),
    restarts=st.integers(0),
    fork_server=st.none() | st.integers(1),
    last_reload=st.none() | reloads,
)


@settings(max_examples=60, deadline=None)
@given(supervisors, st.lists(rows), numbers, st.none() | st.integers(0))
def test_it_is_the_same_at_the_other_end(supervisor, board, now, memory):
    """What is read is what was written, no span is negative, and what a newer version adds is left out."""
    status = states.status(supervisor, board, now, lambda pid: memory)
    assert [each.pid for each in status.workers] == [each.pid for each in board]
    assert all(each.age >= 0 <= each.beat_age for each in status.workers)
    document = json.loads(json.dumps(status.document()))
    document["supervisor"]["news"] = document["news"] = 1
    assert states.read(document) == status


@pytest.mark.parametrize("document", [{}, {"supervisor": {}, "workers": []}, {"supervisor": None, "workers": 1}])
def test_what_is_no_status_is_told(document):
    """A document that lacks what has to be there is a ValueError."""
    with pytest.raises(ValueError, match="not the status of a service"):
        states.read(document)

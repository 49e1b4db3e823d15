"""What workers keep on the board for their siblings, who take connections from the same sockets."""

import os
import time

import pytest
import structlog.testing

from buvar.forking.board import CELLS, Board, Cell


@pytest.fixture
def board():
    made = Board()
    yield made
    made.close()


def take(board, slot, pid):
    row = board.take(slot, generation=1)
    row.pid = pid
    return row


def test_each_cell_has_a_place_of_its_own():
    """No two cells lie in one place, and all lie in the row."""
    places = [place for name, place in vars(Cell).items() if name.isupper()]
    assert len(set(places)) == len(places)
    assert set(places) < set(range(CELLS))


def test_what_one_process_writes_another_one_reads(board):
    """A forked process writes to its row; its parent reads that."""
    row = take(board, 0, 1)
    child = os.fork()
    if not child:
        row.connections, row.accepting = 7, 2
        os._exit(0)
    os.waitpid(child, 0)
    (status,) = board
    assert (status.connections, row.connections, row.accepting) == (7, 7, 2)


def test_others_are_all_but_oneself(board):
    """A worker gets the rows of the workers that there are beside it."""
    mine, *others = (take(board, slot, 100 + slot) for slot in range(3))
    assert [row.pid for row in board.others(mine)] == [101, 102]
    others[0].clear()
    assert [row.pid for row in board.others(mine)] == [102]


def test_who_accepts_has_sockets_and_a_beat(board):
    """A worker accepts connections when it has sockets to do so, and its loop has turned lately."""
    row = take(board, 0, 1)
    before = time.monotonic_ns()
    row.beat()
    assert not row.accepts(before)
    row.accepting = 1
    assert row.accepts(before)
    assert not row.accepts(time.monotonic_ns() + 1)


def test_a_beat_calls_back(board):
    """Who asked for it is called with each beat; one that fails is logged, and keeps nobody else from being called."""
    row = take(board, 0, 1)
    called = []
    row.on_beat(lambda: called.append(1) or 1 / 0)
    row.on_beat(lambda: called.append(2))
    before = row.beaten
    with structlog.testing.capture_logs() as logs:
        row.beat()
        row.beat()
    assert called == [1, 2, 1, 2]
    assert row.beaten > before
    assert [each["event"] for each in logs] == ["a callback of the beat failed"] * 2

"""The board: each worker's row, which all can read."""

import os
import time

import pytest

from buvar import fork
from buvar.forking import board as boards
from buvar.forking.board import Board, Fitness, State


@pytest.fixture
def board():
    """A board."""
    board = Board()
    yield board
    board.close()


def test_a_row_says_what_a_worker_is(board):
    """The listing has the facts of each row, by slot and age."""
    second, first = board.take(1, 1), board.take(0, 1)
    for pid, row in ((11, first), (12, second)):
        row.pid = pid
    first.state = State.READY
    first.requests, first.connections, first.leader = 7, 3, True
    one, two = board
    assert one == fork.WorkerStatus(
        pid=11, slot=0, generation=1, state="ready", born=one.born, ready=one.ready, beat=one.beat,
        requests=7, connections=3, leader=True,
    )  # fmt: skip
    assert one.born <= one.ready <= time.monotonic()
    assert (two.pid, two.state, two.ready, two.leader) == (12, "booting", None, False)


def test_a_beat_is_a_moment(board):
    """The time of the last beat moves on."""
    row = board.take(0, 1)
    before = row.beaten
    time.sleep(0.001)
    row.beat()
    assert before < row.beaten <= time.monotonic()


def test_a_row_is_used_again(board):
    """A row that was given back is empty, and is the next one that is taken."""
    row = board.take(3, 2)
    row.pid, row.requests = 7, 9
    row.clear()
    assert list(board) == []
    again = board.take(0, 3)
    assert (again.index, again.pid, again.requests) == (row.index, 0, 0)


def test_what_checks_said_goes_with_the_worker(board):
    """A new worker in the row of another one has not been asked, and has run no checks."""
    row = board.take(0, 1)
    assert (row.fitness, row.probed) == (Fitness.UNKNOWN, 0)
    row.fitness, row.probed = Fitness.UNFIT, 5
    assert (board.row(row.index).fitness, board.row(row.index).probed) == (Fitness.UNFIT, 5)
    row.clear()
    again = board.take(0, 1)
    assert (again.index, again.fitness, again.probed) == (row.index, Fitness.UNKNOWN, 0)


def test_a_board_is_full_once(board, monkeypatch):
    """More workers than rows cannot be."""
    monkeypatch.setattr(boards, "ROWS", 2)
    board.take(0, 1)
    board.take(1, 1)
    with pytest.raises(OSError, match="there are 2 workers already"):
        board.take(2, 1)


def test_a_forked_process_writes_to_the_same_board(board):
    """What a child notes its parent reads, also on a board that was made of the descriptor alone."""
    row = board.take(0, 1)
    row.pid = 1
    pid = os.fork()
    if not pid:
        Board(os.dup(board.fd)).row(row.index).requests = 42
        os._exit(0)
    os.waitpid(pid, 0)
    (status,) = board
    assert status.requests == 42

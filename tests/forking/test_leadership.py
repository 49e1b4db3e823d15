"""Whom the supervisor appoints to lead, and when."""

import os
import time

import pytest

from buvar.forking import channel, leadership
from buvar.forking.board import Board, State
from buvar.forking.slot import FIRST_PAUSE
from buvar.forking.worker import Report, Worker


class Crew(list):
    """Workers, none of which is a process of its own, and what the supervisor has said to each."""

    def __init__(self, board):
        self.board = board
        self.reports = {}

    def hire(self, slot=0, state=State.READY):
        ours, theirs = channel.pair()
        row = self.board.take(slot, 1)
        worker = Worker(os.getpid(), slot, 1, row, channel.Channel(ours), state=state)
        self.reports[worker] = Report(channel.Channel(theirs))
        self.append(worker)
        return worker

    def told(self, worker):
        return list(self.reports[worker].read())

    def close(self):
        for worker, report in self.reports.items():
            worker.channel.close()
            report._channel.close()


@pytest.fixture
def crew():
    board = Board()
    hired = Crew(board)
    yield hired
    hired.close()
    board.close()


def stays(worker):
    return True


def test_one_that_is_ready_leads(crew):
    """Of those that are ready the one of the lowest slot is told, once; nobody else is while it leads."""
    leads = leadership.Leadership(crew)
    booting, second, first = crew.hire(0, State.BOOTING), crew.hire(2), crew.hire(1)
    crew.hire(0, State.STOPPING)
    leads.appoint(stays)
    leads.appoint(stays)
    assert leads.leader is first
    assert first.row.status.leader
    assert crew.told(first) == [{"lead": True}]
    assert crew.told(second) == crew.told(booting) == []


def test_nobody_leads_where_nobody_is_ready(crew):
    """The first that gets ready does."""
    leads = leadership.Leadership(crew)
    worker = crew.hire(0, State.BOOTING)
    leads.appoint(stays)
    assert leads.leader is None
    worker.state = State.READY
    leads.appoint(stays)
    assert leads.leader is worker


def test_who_stays_leads_first(crew):
    """One that is about to be replaced leads only where there is no other."""
    leads = leadership.Leadership(crew)
    old, new = crew.hire(1), crew.hire(2)
    for expected in (new, old):
        leads.appoint(lambda each: each is new)
        assert leads.leader is expected
        leads.end(expected, failed=False)


def test_who_has_led_does_not_lead_again(crew):
    """It has said that it leads no more because it is on its way out."""
    leads = leadership.Leadership(crew)
    worker = crew.hire()
    leads.appoint(stays)
    leads.end(worker, failed=False)
    leads.appoint(stays)
    assert leads.leader is None
    assert not worker.row.status.leader
    assert crew.told(worker) == [{"lead": True}]


def test_the_end_of_another_worker_changes_nothing(crew):
    """Neither who leads, nor when the next one may, nor that the other one may lead."""
    leads = leadership.Leadership(crew)
    leader, other = crew.hire(0), crew.hire(1)
    leads.appoint(stays)
    for _ in range(5):
        leads.end(other, failed=True)
    assert leads.leader is leader
    assert not other.led
    assert leads.not_before == 0.0


def fail(leads, crew):
    leads.appoint(stays)
    worker = leads.leader
    leads.end(worker, failed=True)
    return max(0.0, leads.not_before - time.monotonic())


def test_leaders_that_fail_in_a_row_are_succeeded_in_pauses(crew, monkeypatch):
    """The first is succeeded at once, the following in growing pauses; one that did not fail ends the row."""
    leads = leadership.Leadership(crew)
    for slot in range(9):
        crew.hire(slot)
    assert fail(leads, crew) == 0.0
    assert fail(leads, crew) > 0.5 * FIRST_PAUSE
    leads.appoint(stays)
    assert leads.leader is None
    later = time.monotonic() + 100
    monkeypatch.setattr(leadership.time, "monotonic", lambda: later)
    leads.appoint(stays)
    leads.end(leads.leader, failed=False)
    assert fail(leads, crew) == 0.0


def test_a_leader_that_fails_late_is_succeeded_at_once(crew, monkeypatch):
    """Who has led for a while does not count as one in a row."""
    monkeypatch.setattr(leadership, "SETTLED", -1.0)
    leads = leadership.Leadership(crew)
    for slot in range(5):
        crew.hire(slot)
    assert [fail(leads, crew) for _ in range(5)] == 5 * [0.0]

"""Turns at the model are shared among visitors, and everybody who waits is told their place and the expected wait."""

from __future__ import annotations

import threading
import time

import pytest

from personal.concepts import Waiting
from personal.errors import ModelError
from personal.generate.fair_queue import PENDING_MAX, QUEUE_MAX, FairQueue
from personal.ui import render


class Line:
    """Questions of visitors in a queue, taken one after the other as their turns come."""

    def __init__(self, places=1):
        self.queue = FairQueue(places)
        self.waiting = {}
        self.running = []

    def ask(self, *names):
        for name in names:
            ticket = self.queue.join(name[0])
            self.waiting[name] = ticket, self.queue.wait(ticket, threading.Event())

    def place(self, name):
        return next(self.waiting[name][1]).place

    def begin(self):
        """Begin all turns that can begin now; return whose they are."""
        begun = []
        for _ in range(len(self.waiting)):
            for name, (ticket, waits) in list(self.waiting.items()):
                if next(waits, None) is None:
                    begun.append(name)
                    self.running.append((self.waiting.pop(name)[0], name))
                else:
                    self.waiting[name] = ticket, self.queue.wait(ticket, threading.Event())
        return begun

    def end(self):
        self.queue.leave(self.running.pop(0)[0])

    def served(self):
        """Serve everybody; return the order."""
        order = [name for _, name in self.running]
        while self.running or self.waiting:
            order += self.begin()
            self.end()
        return order


@pytest.fixture
def line():
    return Line()


def test_one_guest_with_many_questions_keeps_nobody_else_waiting_for_all_of_them(line):
    line.ask("a1")
    line.begin()
    line.ask("a2", "a3", "a4", "b1", "c1", "b2")
    assert line.served() == ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]


def test_questions_of_one_visitor_keep_their_order(line):
    line.ask("a1", "a2", "a3")
    assert line.served() == ["a1", "a2", "a3"]


def test_who_comes_later_joins_the_round_after_that_under_way(line):
    line.ask("a1", "a2", "b1", "b2")
    assert line.begin() == ["a1"]
    line.end()
    assert line.begin() == ["b1"]
    line.ask("c1")
    assert line.served() == ["b1", "a2", "b2", "c1"]


def test_newcomers_without_end_keep_nobody_waiting(line):
    line.ask("a1")
    line.begin()
    line.ask("a2")
    for number in range(10):
        line.ask(f"{chr(300 + number)}1")
        line.end()
        if "a2" in line.begin():
            break
    assert number == 1


def test_who_has_waited_has_no_worse_place_than_who_asks_again(line):
    line.ask("a1", "b1")
    line.begin()
    line.end()
    line.ask("a2")
    assert line.served() == ["b1", "a2"]


def test_places_move_up_when_somebody_leaves(line):
    line.ask("a1")
    line.begin()
    line.ask("b1", "c1", "b2")
    assert [line.place(name) for name in ("b1", "c1", "b2")] == [1, 2, 3]
    line.queue.leave(line.waiting.pop("b1")[0])
    assert [line.place(name) for name in ("c1", "b2")] == [1, 2]


def test_a_question_that_is_stopped_gives_its_place_up(line):
    stop = threading.Event()
    line.ask("a1")
    line.begin()
    ticket = line.queue.join("b")
    waits = line.queue.wait(ticket, stop)
    assert next(waits).place == 1
    stop.set()
    assert list(waits) == []
    assert ticket.started_at is None
    line.queue.leave(ticket)
    assert len(line.queue) == 1


def test_a_server_answers_as_many_at_once_as_it_has_places_for():
    line = Line(places=2)
    line.ask("a1", "a2", "a3", "b1")
    assert sorted(line.begin()) == ["a1", "b1"]
    line.end()
    assert line.begin() == ["a2"]


def test_work_that_needs_the_whole_model_waits_for_all_and_lets_nobody_overtake(line):
    line = Line(places=2)
    line.ask("a1")
    line.begin()
    switch = line.queue.join("switch", alone=True)
    waits = line.queue.wait(switch, threading.Event())
    assert next(waits).place == 1
    line.ask("b1")
    assert line.begin() == []
    line.end()
    assert next(waits, None) is None
    assert line.begin() == []
    line.queue.leave(switch)
    assert line.begin() == ["b1"]


def test_the_expected_wait_follows_from_how_long_answers_took(line, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    line.ask("a1")
    line.begin()
    line.ask("b1", "c1")
    assert next(line.waiting["b1"][1]) == Waiting(1, None)
    now[0] += 10
    line.end()
    assert line.begin() == ["b1"]
    now[0] += 4
    line.ask("d1")
    assert next(line.queue.wait(line.waiting["c1"][0], threading.Event())) == Waiting(1, 6.0)
    assert next(line.queue.wait(line.waiting["d1"][0], threading.Event())) == Waiting(2, 16.0)


def test_a_place_that_does_not_move_is_told_again_with_a_shorter_wait(line, monkeypatch):
    monkeypatch.setattr("personal.generate.fair_queue.TELL_EVERY_S", 0.05)
    line.ask("a1")
    line.begin()
    line.ask("b1")
    assert [line.place("b1"), line.place("b1")] == [1, 1]


def test_too_many_questions_of_one_visitor_are_refused_in_words(line):
    line.ask(*(f"a{i}" for i in range(PENDING_MAX)))
    with pytest.raises(ModelError, match=f"You have {PENDING_MAX} questions waiting"):
        line.queue.join("a")
    line.ask("b1")
    assert line.served()[1] == "b1"


def test_a_full_queue_is_said_in_words(line):
    line.ask(*(f"{chr(200 + i)}1" for i in range(QUEUE_MAX)))
    with pytest.raises(ModelError, match="questions are waiting"):
        line.queue.join("somebody else")


def test_nothing_is_kept_of_those_who_left(line):
    line.ask("a1", "b1", "c1", "a2")
    line.served()
    assert (len(line.queue), line.queue.last_round) == (0, {})
    line.ask("z1")
    line.begin()
    for number in range(1000):
        line.ask(f"{chr(300 + number)}1")
        line.end()
        line.begin()
    assert len(line.queue.last_round) <= 2


@pytest.mark.parametrize(
    ("waiting", "said"),
    [
        (Waiting(1), "You're next in line …"),
        (Waiting(1, 3.2), "You're next in line: a few seconds …"),
        (Waiting(3, 41.0), "You're number 3 in line: about 40 seconds …"),
        (Waiting(9, 200.0), "You're number 9 in line: about 3 minutes …"),
    ],
)
def test_a_place_and_its_wait_are_told_in_words(waiting, said):
    assert render.place(waiting) == said

"""The events of one visitor never use up what all others wait for; photos are looked at before answers go on."""

from __future__ import annotations

import asyncio
import threading
import time
from types import SimpleNamespace

import pytest
import torch

from personal import threads
from personal.ui.gradio_internals import SENT_MAX, UNDER_WAY_MAX, FairEvents
from personal.ui.sessions import COOKIE


@pytest.fixture
def events():
    queue = FairEvents(False, 40, 1, None, None, default_concurrency_limit=None)
    queue.active_jobs = [None] * 40
    queue.blocks = SimpleNamespace(fns={0: handler(0), 1: handler(1)})
    return queue


class Handler(SimpleNamespace):
    __hash__ = object.__hash__


def handler(number, limit="default"):
    return Handler(
        _id=number,
        fn=lambda: None,
        inputs=[],
        concurrency_id=str(number),
        concurrency_limit=limit,
        validator=None,
        batch=False,
        api_name="",
    )


def send(queue, visitor, fn=0, times=1):
    results = []
    for _ in range(times):
        request = SimpleNamespace(cookies={COOKIE: visitor} if visitor else {})
        body = SimpleNamespace(fn_index=fn, session_hash=f"page of {visitor}", event_id=None, data=[], event_data=None)
        results.append(asyncio.run(queue.push(body, request, None)))
    return results


def begin(queue):
    """Begin all events that can begin; return whose they are, in their order."""
    begun = []
    while (batch := queue.get_events()) and None in queue.active_jobs:
        queue.active_jobs[queue.active_jobs.index(None)] = batch[0]
        begun.append(batch[0][0].request.cookies[COOKIE])
    return begun


@pytest.fixture(autouse=True)
def found_by_number(monkeypatch):
    monkeypatch.setattr("gradio.route_utils.get_fn", lambda blocks, name, body: blocks.fns[body.fn_index])


def test_a_visitor_who_sends_much_is_overtaken_by_all_others(events):
    send(events, "loud", times=30)
    send(events, "quiet", fn=1)
    send(events, "shy")
    assert begin(events)[:4] == ["loud", "quiet", "shy", "loud"]


def test_one_visitor_has_so_many_events_under_way_and_no_more(events):
    send(events, "loud", times=30)
    assert len(begin(events)) == UNDER_WAY_MAX
    send(events, "quiet", times=2)
    assert begin(events) == ["quiet", "quiet"]
    events.active_jobs[0] = None
    assert begin(events) == ["loud"]


def test_pages_of_one_visitor_count_together(events):
    for page in range(30):
        request = SimpleNamespace(cookies={COOKIE: "loud"})
        body = SimpleNamespace(fn_index=0, session_hash=f"page {page}", event_id=None, data=[], event_data=None)
        asyncio.run(events.push(body, request, None))
    assert len(begin(events)) == UNDER_WAY_MAX


def test_who_sends_without_end_is_refused_in_words_and_others_are_not(events):
    results = send(events, "loud", times=SENT_MAX + 5)
    assert [done for done, *_ in results] == [True] * SENT_MAX + [False] * 5
    assert results[-1][1:] == ("That is too much at once. Wait a moment, then try again.", "error")
    assert send(events, "quiet")[0][0]


def test_nothing_is_written_down_of_who_did_what(events):
    send(events, "loud", times=30)
    assert len(events.event_analytics) <= 1


# -- photos before answers ---------------------------------------------------------------------------------------------


def test_photos_are_encoded_two_at_a_time_in_the_order_in_which_they_came():
    go, order, running = threading.Event(), [], set()

    def work(number):
        running.add(number)
        order.append(number)
        assert len(running) <= 2
        go.wait(10)
        time.sleep(0.05)
        assert len(running) <= 2
        running.remove(number)

    waiting = []
    for number in range(5):
        waiting.append(threading.Thread(target=threads.in_foreground, args=(lambda n=number: work(n),)))
        waiting[-1].start()
        while len(threads.foreground.looking) <= number:
            time.sleep(0.01)
    go.set()
    for thread in waiting:
        thread.join(10)
    assert all(abs(number - place) <= 1 for place, number in enumerate(order)), order


def test_a_look_is_computed_with_its_share_of_the_cores_and_an_answer_with_all(monkeypatch):
    monkeypatch.setattr(threads, "cores", lambda: 4)
    assert threads.in_foreground(torch.get_num_threads) == 2
    assert threads.in_thread(torch.get_num_threads) == 4


def test_a_look_waits_for_one_photo_that_is_learnt_and_not_for_all_that_others_add(monkeypatch):
    monkeypatch.setattr(threads, "SIDE_BY_SIDE", 1)
    go, order, waiting = threading.Event(), [], []

    def add(name, *, learning):
        work = threading.Thread(
            target=threads.in_foreground,
            args=(lambda: (go.wait(10), order.append(name)),),
            kwargs={"learning": learning},
        )
        work.start()
        waiting.append(work)
        foreground = threads.foreground
        while len(foreground.looking) + len(foreground.learning) < len(waiting):
            time.sleep(0.01)

    for number in range(4):
        add(f"learn {number}", learning=True)
    add("look 0", learning=False)
    add("look 1", learning=False)
    go.set()
    for work in waiting:
        work.join(10)
    assert order == ["learn 0", "look 0", "learn 1", "look 1", "learn 2", "learn 3"]


def test_an_answer_pauses_while_a_photo_is_looked_at_and_goes_on_after(monkeypatch):
    monkeypatch.setattr(threads, "PAUSE_S", 30)
    begun, go, passed = threading.Event(), threading.Event(), threading.Event()
    assert threads.give_way() < 1
    look = threading.Thread(target=threads.in_foreground, args=(lambda: (begun.set(), go.wait(10)),))
    look.start()
    begun.wait(10)
    answer = threading.Thread(target=lambda: (threads.give_way(), passed.set()))
    answer.start()
    assert not passed.wait(0.3)
    go.set()
    assert passed.wait(10)
    look.join(10)
    answer.join(10)


def test_an_answer_goes_on_though_photos_come_without_end(monkeypatch):
    monkeypatch.setattr(threads, "PAUSE_S", 0.05)
    go, begun = threading.Event(), threading.Event()
    look = threading.Thread(target=threads.in_foreground, args=(lambda: (begun.set(), go.wait(30)),))
    look.start()
    begun.wait(10)
    assert threads.give_way() >= 0.05
    assert look.is_alive()
    go.set()
    look.join(10)


def test_a_photo_that_cannot_be_encoded_makes_way_for_the_next():
    with pytest.raises(ZeroDivisionError):
        threads.in_foreground(lambda: 1 / 0)
    assert threads.in_foreground(lambda: "the next") == "the next"
    assert threads.give_way() < 1

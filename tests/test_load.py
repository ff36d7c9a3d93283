"""Visitors at the served app, as the load benchmark has them: places in the queue, and a short run of everything."""

from __future__ import annotations

import argparse
import asyncio

import pytest

from benchmarks.load import FAKE, FakeModel, Tally, Visitor, report, served
from benchmarks.page import Page

WAIT_S = 120


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PERSONAL_LLM_CONCURRENCY", "1")
        folder = tmp_path_factory.mktemp("load")
        options = argparse.Namespace(host="127.0.0.2", model=FAKE, log=folder / "app.log")
        with served(options, folder) as (address, _):
            yield address
        assert "Traceback" not in options.log.read_text()


@pytest.fixture
def held():
    """The model says nothing until it is let go."""
    FakeModel.go.clear()
    yield FakeModel.go
    FakeModel.go.set()


async def tab(visitor):
    """Open another page of a visitor, in a conversation of its own."""
    page = Page(visitor.client, visitor.check)
    await page.open()
    await page.fire("New", "click")
    return page


def ask(page, question):
    return asyncio.create_task(page.fire("ask", "submit", {"text": question, "files": []}))


async def shows(page, words, where="live"):
    """Wait until a page shows words."""
    for _ in range(WAIT_S * 20):
        if words in page.read(where):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{words!r} never came; instead: {page.read(where)!r}, {page.read('notice')!r}")


async def visiting(address, count):
    tally = Tally()
    visitors = [Visitor(number, address, tally, 0.1) for number in range(count)]
    for visitor in visitors:
        await visitor.arrive()
    return tally, visitors


def test_places_are_told_shared_among_guests_and_given_up_by_who_leaves(address, held):
    async def told():
        _, (greedy, modest) = await visiting(address, 2)
        pages, asking = [greedy.page], [ask(greedy.page, "One?")]
        await shows(greedy.page, "Thinking")
        for number, question in enumerate(["Two?", "Three?", "Four?"], start=1):
            pages.append(await tab(greedy))
            asking.append(ask(pages[-1], question))
            await shows(pages[-1], "You&#x27;re next in line" if number == 1 else f"number {number} in line")
        given_up = ask(modest.page, "And mine?")
        await shows(modest.page, "next in line")
        await shows(pages[1], "number 2 in line")
        await modest.page.close()
        given_up.cancel()
        await shows(pages[1], "next in line")
        await pages[2].fire("ask", "stop")
        await shows(pages[2], "Stopped.", "log")
        await shows(pages[3], "number 2 in line")
        held.set()
        await asyncio.gather(*(one for one in asking))
        for page in (pages[0], pages[1], pages[3]):
            await shows(page, "I was asked", "log")

    asyncio.run(asyncio.wait_for(told(), WAIT_S * 3))


def test_a_photo_is_looked_at_while_answers_are_waited_for(address, held):
    async def looked():
        tally, (busy, other) = await visiting(address, 2)
        asking = [ask(busy.page, "One?")]
        await shows(busy.page, "Thinking")
        await other.look()
        assert len(tally.looks) == 1
        held.set()
        await asyncio.gather(*asking)

    asyncio.run(asyncio.wait_for(looked(), WAIT_S * 2))


def test_more_questions_than_a_guest_may_have_are_refused_in_words_and_leave_nothing_behind(address, held):
    async def refused():
        _, (guest,) = await visiting(address, 1)
        page, asking = guest.page, []
        for number in range(9):
            await page.fire("New", "click")
            asking.append(ask(page, f"Question {number}?"))
            await asyncio.wait([asking[-1]], timeout=0.5)
        await shows(page, "You have 8 questions waiting", "notice")
        assert "Question 8?" not in page.read("log")
        held.set()
        await asyncio.gather(*asking)

    asyncio.run(asyncio.wait_for(refused(), WAIT_S * 3))


def test_visitors_who_do_everything_lose_nothing_and_see_nothing_of_one_another(address):
    async def everything():
        tally, visitors = await visiting(address, 3)
        for visitor in visitors:
            visitor.think_s = 0.01
        acts = ("add", "look", "ask", "edit", "reload", "add", "forget", "export")
        await asyncio.gather(*(in_turn(visitor, acts) for visitor in visitors))
        return tally

    async def in_turn(visitor, acts):
        for act in acts:
            await getattr(visitor, act)()

    tally = asyncio.run(asyncio.wait_for(everything(), WAIT_S * 3))
    found = report(argparse.Namespace(model=FAKE, visitors=3, users=0, hog=0), tally, {}, 1.0)
    assert (found["leaks"], found["lost"], found["server_errors"], found["failures"]) == (0, 0, 0, 0), found
    assert (found["answers"], found["writes"]) == (3, 12)


def test_the_benchmark_notices_what_it_looks_for():
    tally = Tally()
    one, two = Visitor(1, "http://127.0.0.2", tally, 1), Visitor(2, "http://127.0.0.2", tally, 1)
    picture = f'data-picture="{"a" * 64}?side=320"'
    one.check(200, f"{one.secret} {picture}")
    assert not tally.leaks
    two.check(500, f"{one.secret} {picture}")
    assert len(tally.leaks) == 2
    assert tally.server_errors
    two.check(200, f"{two.secret} and v01x0123456789, which nobody has")
    assert len(tally.leaks) == 2

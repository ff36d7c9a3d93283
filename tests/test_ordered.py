"""Screens reach a page in the order in which they were drawn, and each once."""

from __future__ import annotations

import asyncio

import gradio as gr
import pytest
from gradio import processing_utils
from gradio.state_holder import SessionState

from personal.ui.ordered import OrderedBlocks


@pytest.fixture
def page():
    with OrderedBlocks(analytics_enabled=False) as page:
        shown, other = gr.HTML(), gr.HTML()
        page.load(lambda: {shown: "older"}, None, [shown, other])
        page.load(lambda: {shown: "newer"}, None, [shown, other])

        def grows():
            yield {shown: "one"}
            yield {shown: "one and two"}

        page.load(grows, None, [shown, other])
    return page


@pytest.fixture
def slow(monkeypatch):
    """Sending the older screen takes longer than drawing and sending the newer one."""
    move = processing_utils.async_move_files_to_cache

    async def late(data, *arguments, **more):
        if "older" in str(data):
            await asyncio.sleep(0.2)
        return await move(data, *arguments, **more)

    monkeypatch.setattr(processing_utils, "async_move_files_to_cache", late)


def arrivals(page, states):
    """Run the first two handlers side by side and return what arrived, in order."""
    arrived = []

    async def run(number, state):
        output = await page.process_api(number, [], state=state, session_hash="page")
        arrived.append(output["data"][0])

    async def both():
        await asyncio.gather(run(0, states[0]), run(1, states[1]))

    asyncio.run(both())
    return arrived


def test_an_older_screen_never_arrives_after_a_newer_one(page, slow):
    state = SessionState(page)
    assert arrivals(page, [state, state]) == ["older", "newer"]


def test_pages_do_not_wait_for_one_another(page, slow):
    assert arrivals(page, [SessionState(page), SessionState(page)]) == ["newer", "older"]


def test_a_generator_draws_nothing_again_when_it_ends(page):
    state, sent, iterator = SessionState(page), [], None

    async def run():
        nonlocal iterator
        while True:
            output = await page.process_api(
                2, [], state=state, iterator=iterator, session_hash="page", event_id="event", simple_format=True
            )
            sent.append(output["data"])
            iterator = output["iterator"]
            if not output["is_generating"]:
                return

    asyncio.run(run())
    assert [data[0] for data in sent] == ["one", "one and two", gr.skip()]
    assert sent[-1] == [gr.skip(), gr.skip()]

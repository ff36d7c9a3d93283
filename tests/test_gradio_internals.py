"""What is changed of Gradio: updates reach a page in the order in which they were made, and only what changed."""

from __future__ import annotations

import ast
import asyncio
from pathlib import Path

import gradio as gr
import pytest
from gradio.state_holder import SessionState

from personal.ui import gradio_internals
from personal.ui.gradio_internals import VERSION, PageBlocks

ROOT = Path(__file__).parents[1]


def test_what_gradio_keeps_to_itself_was_read_in_the_version_that_is_installed():
    assert gr.__version__ == VERSION, "Read personal/ui/gradio_internals.py against the new version's code, then rename"
    assert f"gradio=={VERSION}\n" in (ROOT / "requirements.txt").read_text(encoding="utf-8")


def test_one_module_alone_takes_from_gradio_what_it_does_not_offer():
    offered = {"gradio", "gradio.blocks"}  # Block is the type of every component
    takes = set()
    for path in (ROOT / "personal").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else names
            takes |= {path.name for name in names if name.split(".")[0] == "gradio" and name not in offered}
            if isinstance(node, ast.ImportFrom) and node.module == "gradio" and path.name != "gradio_internals.py":
                takes.add(path.name)
    assert takes == {"gradio_internals.py"}


@pytest.fixture
def page():
    with PageBlocks(analytics_enabled=False) as page:
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
    move = gradio_internals.async_move_files_to_cache

    async def late(data, *arguments, **more):
        if "older" in str(data):
            await asyncio.sleep(0.2)
        return await move(data, *arguments, **more)

    monkeypatch.setattr(gradio_internals, "async_move_files_to_cache", late)


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


def sent(page, number):
    """Run a generator and return what each step sends."""
    state, steps, iterator = SessionState(page), [], None

    async def run():
        nonlocal iterator
        while not steps or iterator is not None:
            output = await page.process_api(
                number, [], state=state, iterator=iterator, session_hash="page", event_id="event", simple_format=True
            )
            steps.append(output["data"])
            iterator = output["iterator"] if output["is_generating"] else None

    asyncio.run(run())
    return steps


def test_a_generator_draws_nothing_again_when_it_ends(page):
    steps = sent(page, 2)
    assert [data[0] for data in steps] == ["one", "one and two", gr.skip()]
    assert steps[-1] == [gr.skip(), gr.skip()]


def test_a_generator_that_draws_nothing_leaves_everything_as_it_is():
    """An emptied field would lose what is typed in it."""
    with PageBlocks(analytics_enabled=False) as page:
        fields = [gr.Textbox(), gr.HTML()]

        def draws():
            yield from ()

        page.load(draws, None, fields)
    assert sent(page, 0)[-1] == [gr.skip(), gr.skip()]


def test_a_text_that_a_generator_draws_again_is_not_sent_again():
    with PageBlocks(analytics_enabled=False) as page:
        shown, other = gr.HTML(), gr.HTML()

        def draws():
            yield {shown: "the same", other: "one"}
            yield {other: "two"}
            yield {shown: "the same", other: "three"}
            yield {shown: "another"}

        page.load(draws, None, [shown, other])
    steps = sent(page, 0)
    drawn = [data[0] if isinstance(data[0], str) else None for data in steps]
    assert drawn == ["the same", None, None, "another", None]
    assert [data[1] for data in steps[:3]] == ["one", "two", "three"]

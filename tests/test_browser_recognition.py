"""Corrections that last, look-alikes and fingerprints in a real browser, on the embedded default."""

from __future__ import annotations

from contextlib import suppress

import pytest
from PIL import Image
from playwright.sync_api import TimeoutError, expect

from tests.test_browser import SAMPLES, card, chromium, create, samples, served, tab, upload, visit  # noqa: F401

pytestmark = pytest.mark.browser

FIRST = samples()["concepts"][0]
VIEWS = [SAMPLES / file for file in FIRST["views"]]
SCENE = SAMPLES / next(p for p in samples()["photos"] if FIRST["name"] in p["concepts"])["file"]
STRANGERS = SAMPLES / next(p for p in samples()["photos"] if FIRST["name"] not in p["concepts"])["file"]
"""Taken for the first sample, where that alone is known."""


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    data = tmp_path_factory.mktemp("recognition") / "data"
    with served(data, PERSONAL_THRESHOLD="0.7", GRADIO_SERVER_NAME="0.0.0.0") as address:
        yield address


@pytest.fixture
def page(app, chromium):  # noqa: F811
    """A guest's page, whose library is empty."""
    page = visit(chromium.new_context(viewport={"width": 1440, "height": 1000}), app)
    yield page
    page.context.close()


def open_card(page, name):
    tab(page, "Concepts")
    card(page, name).click()
    page.locator("#editor h2", has_text=name).wait_for()


def drop_anew(page, file, number=0):
    """Drop a photo into a conversation of its own; the browser takes a file once, its copies again."""
    tab(page, "Chat")
    for _ in range(3):  # a tab that is still being drawn may undo a click on the screen
        page.locator(".talks").get_by_role("button", name="New").click()
        with suppress(TimeoutError):
            page.locator("#panel", has_text="Add a photo").wait_for(timeout=10_000)
            break
    page.locator("#ask input[type=file]").first.set_input_files(
        {"name": f"{number}{file.name}", "mimeType": "image/jpeg", "buffer": file.read_bytes()}
    )
    page.locator("#panel .stage").wait_for()


def turn_down(page, name):
    match = page.locator("#panel .match", has=page.locator("b", has_text=name))
    match.locator(".menu summary").click()
    match.get_by_role("button", name=f"This isn't {name}").click()
    page.locator("#toast", has_text=f"Got it – that's not {name}.").wait_for()
    expect(page.locator("#panel .box", has_text=name)).to_have_count(0)


def undo(page):
    page.locator("#toast").get_by_role("button", name="Undo").click()


def test_not_bo_lasts_and_can_be_undone(page):
    create(page, "bo", *VIEWS)
    drop_anew(page, STRANGERS)
    bo = page.locator("#panel .box", has_text="bo")
    bo.wait_for()
    page.locator("#panel .why summary").first.click()
    assert "similarity" in page.locator("#panel .why p").first.inner_text()

    # Turned down and taken back at once.
    turn_down(page, "bo")
    undo(page)
    page.locator("#toast", has_text="this may be bo").wait_for()
    bo.wait_for()
    open_card(page, "bo")
    expect(page.locator("#negatives")).to_be_hidden()

    # Turned down for good: over a reload, and in another conversation. Other parts of the photo may need it too.
    tab(page, "Chat")
    turn_down(page, "bo")
    page.reload()
    page.locator("#panel .stage").wait_for(timeout=60_000)
    page.wait_for_timeout(1000)  # a page that was just loaded is drawn twice
    times = 1
    drop_anew(page, STRANGERS)
    while bo.count() and times < 4:
        turn_down(page, "bo")
        times += 1
        drop_anew(page, STRANGERS, times)
    page.locator("#panel .none").wait_for()
    drop_anew(page, SCENE)
    bo.wait_for()

    # It stands with the concept, and its cross takes it back, which can be undone too.
    open_card(page, "bo")
    row = page.locator("#negatives figure")
    expect(row).to_have_count(times)
    assert "Not bo" in page.locator("#negatives h3").inner_text()
    row.first.locator(".cross").click()
    page.locator("#toast", has_text="This may be bo from now on.").wait_for()
    expect(row).to_have_count(times - 1)
    undo(page)
    expect(row).to_have_count(times)
    for left in reversed(range(times)):
        row.first.locator(".cross").click()
        expect(row).to_have_count(left)
    expect(page.locator("#negatives")).to_be_hidden()
    drop_anew(page, STRANGERS)
    bo.wait_for()


def test_look_alikes_are_told_on_their_cards_and_shown_side_by_side(page, tmp_path):
    create(page, "bo", *VIEWS[:2])
    Image.radial_gradient("L").resize((400, 300)).convert("RGB").save(tmp_path / "hole.png")
    create(page, "hole", tmp_path / "hole.png")
    create(page, "butin", VIEWS[2])
    for name, like in (("bo", "butin"), ("butin", "bo")):
        expect(card(page, name).locator(".alike")).to_have_text(f"Looks like {like}")
    assert page.locator("#cards .alike").count() == 2

    page.locator("#cards .alike", has_text="Looks like bo").click()
    pair = page.locator("#look-alike .pair")
    pair.wait_for()
    assert pair.locator("figcaption").all_inner_texts() == ["butin", "bo"]
    assert "Add a photo of butin from another angle" in page.locator("#look-alike").inner_text()

    # It is told after a reload, and no more once the other is forgotten.
    page.reload()
    tab(page, "Concepts")
    page.locator("#cards .alike", has_text="Looks like butin").wait_for(timeout=60_000)
    open_card(page, "butin")
    page.locator("#forget").click()
    expect(page.locator("#cards .alike")).to_have_count(0)


def test_what_tells_a_concept_apart_is_typed_and_saved(page):
    tab(page, "Concepts")
    page.locator("#new").click()
    upload(page, "#files", VIEWS[0])
    page.locator("#new-photos img").wait_for()
    page.locator("#new-name textarea, #new-name input").fill("bo")
    page.locator("#new-marks textarea").fill("white tip of the tail\n\nred collar")
    page.locator("#create").click()
    card(page, "bo").wait_for()

    open_card(page, "bo")
    marks = page.get_by_label("Distinguishing features of bo")
    expect(marks).to_have_value("white tip of the tail\nred collar")
    marks.fill("torn left ear")
    page.locator("#keep").click()
    page.locator("#toast", has_text="bo is saved").wait_for()
    page.reload()
    open_card(page, "bo")
    expect(marks).to_have_value("torn left ear")


def test_words_typed_while_photos_arrive_are_kept(page):
    words = page.locator("#ask textarea")
    typed = ""
    for number, files in enumerate([[SCENE], [VIEWS[0]], VIEWS[1:]]):
        words.focus()
        words.press("Control+End")
        upload(page, "#ask", *files)
        words.press_sequentially(f"{number} abcdefghijklmnopqrstuvwxyz ", delay=4)
        typed += f"{number} abcdefghijklmnopqrstuvwxyz "
        expect(page.locator("#drafts .draft")).to_have_count((1, 2, 4)[number])
        expect(words).to_have_value(typed)
    assert page.locator("#notice .problem").count() == 0

    # Sent while a photo is on its way: it goes with the question.
    words.fill("")
    page.locator(".talks").get_by_role("button", name="New").click()
    expect(page.locator("#drafts .draft")).to_have_count(0)
    network = page.context.new_cdp_session(page)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": SCENE.stat().st_size / 2}
    network.send("Network.enable")
    network.send("Network.emulateNetworkConditions", slow)
    upload(page, "#ask", SCENE)
    words.press_sequentially("who is it", delay=0)
    words.press("Enter")
    page.locator("#ask.waiting").wait_for()
    expect(page.locator("#log .shots:has(+ .said.you)", has=page.locator("img"))).to_have_count(1)
    expect(words).to_have_value("")
    expect(page.locator("#drafts .draft")).to_have_count(0)


def test_every_toast_is_seen_for_its_time_and_lies_above_the_field(app, chromium):  # noqa: F811
    page = visit(chromium.new_context(viewport={"width": 390, "height": 844}), app)
    for file in (SCENE, STRANGERS):
        upload(page, "#ask", file)
        page.locator("#drafts .draft").wait_for()
        page.locator("#open-chats").click()
        page.locator("#chats li:has([aria-current]) summary").click()
        page.locator("#chats").get_by_role("button", name="Delete", exact=True).click()
        page.locator("#drafts .draft").wait_for(state="detached")
        page.locator("#toast", has_text="was deleted").wait_for()
        begun = page.evaluate("(toast => [toast.begun, toast.begun = true][0])(document.querySelector('.toast'))")
        assert not begun, "an element that stays goes out at the first one's end"
        toast, field = (page.locator(name).bounding_box() for name in ("#toast", "#ask"))
        assert toast["y"] + toast["height"] <= field["y"]
    page.context.close()


def test_a_maybe_is_asked_about_and_yes_makes_it_sure_and_no_ends_it(tmp_path, chromium):  # noqa: F811
    with served(tmp_path / "data") as address:
        page = visit(chromium.new_context(viewport={"width": 1440, "height": 1000}), address)
        create(page, "bo", *VIEWS)
        drop_anew(page, STRANGERS)
        asked, match = page.locator("#panel .match.maybe"), page.locator("#panel .match")
        expect(asked).to_have_count(1)
        expect(asked.locator(".who b")).to_have_text("Is this bo?")
        expect(page.locator("#panel .box")).to_have_text("bo?")

        # No: it is gone, after a reload too, until that is undone.
        asked.locator(".ask").get_by_role("button", name="Not bo").click()
        expect(match).to_have_count(0)
        expect(page.locator("#panel .box")).to_have_count(0)
        undo(page)
        expect(asked).to_have_count(1)

        # Yes: it is said from now on, here and after a reload.
        asked.locator(".ask").get_by_role("button", name="Is bo").click()
        expect(asked).to_have_count(0)
        expect(match.locator(".who b")).to_have_text("bo")
        expect(page.locator("#panel .box")).to_have_text("bo")
        page.reload()
        page.locator("#panel .stage").wait_for(timeout=60_000)
        expect(match.locator(".who b")).to_have_text("bo")
        page.context.close()

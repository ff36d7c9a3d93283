"""The Concepts tab in a real browser: a newcomer's own dog, what can be dragged onto the cards, and the review."""

from __future__ import annotations

import pytest

from tests.test_browser import (  # noqa: F401
    SAMPLES,
    card,
    chromium,
    create,
    guests,
    samples,
    tab,
    upload,
    visit,
)
from tests.test_browser_recognition import STRANGERS, VIEWS

pytestmark = pytest.mark.browser
COUNT = "window.clicked = 0; addEventListener('click', (event) => { window.clicked += event.isTrusted; }, true);"
DESK = {"viewport": {"width": 1440, "height": 1000}}


def drag(page, where, *paths):
    """Drag files and folders from the desktop onto a part of the page, as a hand does."""
    area = page.locator(where).bounding_box()
    at = {"x": area["x"] + area["width"] / 2, "y": area["y"] + 60}
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    devtools = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        devtools.send("Input.dispatchDragEvent", {"type": kind, **at, "data": data})


def choose(page, button, *files):
    with page.expect_file_chooser() as opened:
        button.click()
    opened.value.set_files([str(file) for file in files])


def test_a_newcomers_own_dog_is_called_by_its_name_after_five_clicks(guests, chromium, shared_data):  # noqa: F811
    first, *others, asked = sorted((shared_data / "dreambooth" / "dog").glob("*.jpg"))
    context = chromium.new_context(**DESK)
    context.add_init_script(COUNT)
    page = visit(context, guests[0])
    page.locator("#log [data-act=first]").click()
    choose(page, page.locator("#files button").first, first, *others[:2])
    page.locator("#new-photos img").nth(2).wait_for()
    page.locator("#new-name textarea, #new-name input").fill("Rex")
    page.locator("#create").click()
    card(page, "Rex").wait_for()
    tab(page, "Chat")
    choose(page, page.locator("#ask [data-testid=upload-button]"), asked)
    page.locator("#panel .match .who b", has_text="Rex").wait_for()
    assert page.evaluate("window.clicked") <= 5
    context.close()


def test_folders_and_photos_are_dragged_onto_the_cards_and_what_is_typed_outlives_other_cards(
    guests,  # noqa: F811
    chromium,  # noqa: F811
    tmp_path,
):
    for sample in samples()["concepts"][:2]:
        folder = tmp_path / "pets" / sample["name"]
        folder.mkdir(parents=True)
        for file in sample["views"]:
            (folder / file).write_bytes((SAMPLES / file).read_bytes())
        (folder / "notes.txt").write_text("no photo")
    page = visit(chromium.new_context(**DESK), guests[0])
    tab(page, "Concepts")

    # Folders of photos: one concept each, after a look at what they would be.
    drag(page, "#cards .empty", tmp_path / "pets")
    page.locator("#preview td", has_text="new, 3 photos").nth(1).wait_for()
    page.locator("#apply").click()
    card(page, "bo").wait_for()
    card(page, "sunny-cup").wait_for()
    assert page.locator("#cards .card", has_text="sample").count() == 2
    page.wait_for_function("[...document.querySelectorAll('#cards .card img')].every((one) => one.naturalWidth > 50)")

    # A photo opens the form with it, and a name that is taken is told at the field, which has the focus.
    drag(page, "#cards", SAMPLES / samples()["concepts"][2]["views"][0])
    page.locator("#new-photos img").wait_for()
    page.locator("#new-name textarea, #new-name input").fill("BO")
    page.locator("#create").click()
    page.locator("#new-name-check [role=alert]", has_text="already exists").wait_for()
    page.wait_for_function("document.activeElement.closest('#new-name')")
    page.locator("#creator").get_by_role("button", name="Close").click()

    # What is typed into one card is there again after another was opened.
    card(page, "bo").click()
    page.locator("#edit-info textarea").fill("Typed, not saved.")
    card(page, "sunny-cup").click()
    page.wait_for_function("document.querySelector('#edit-name input, #edit-name textarea').value === 'sunny-cup'")
    page.locator("#cards .card", has_text="Unsaved changes").click()
    page.wait_for_function("document.querySelector('#edit-info textarea').value === 'Typed, not saved.'")
    page.locator("#edit-unsaved [data-act=discard]").click()
    page.wait_for_function("document.querySelector('#edit-info textarea').value === ''")

    # Both are deleted with one undo.
    page.locator("#select").click()
    page.locator("#cards [data-act=pick-all]").click()
    page.locator("#cards .card[aria-pressed=true]").nth(1).wait_for()
    page.locator("#cards [data-act=forget-picked]").click()
    page.locator("#cards .empty").wait_for()
    page.locator("#toast").get_by_role("button", name="Undo").click()
    card(page, "bo").wait_for()
    card(page, "sunny-cup").wait_for()
    page.context.close()


def test_the_review_is_answered_by_the_keyboard_and_taken_back(guests, chromium):  # noqa: F811
    page = visit(chromium.new_context(**DESK), guests[0])
    create(page, "bo", *VIEWS)
    page.locator("#review-begin").click()
    page.locator("#review", has_text="Add photos in Chat").wait_for()
    tab(page, "Chat")
    upload(page, "#ask", STRANGERS)
    page.locator("#panel .match.maybe").wait_for()
    tab(page, "Concepts")
    page.locator("#review-begin", has_text="Review 1").click()
    question, done = page.locator("#review", has_text="Is this bo?"), page.locator("#review .empty")
    for key, undo in (("n", "u"), ("ArrowRight", "u"), ("s", "")):
        question.wait_for()
        page.keyboard.press(key)
        done.wait_for()
        if undo:
            page.locator("#toast [data-act=undo]").wait_for()
            page.keyboard.press(undo)
    page.locator("#review [data-act=unskip]").click()
    page.locator("#review [data-answer=yes]").wait_for()
    assert page.locator("#toast [data-act=undo]").count()
    answered = "document.querySelector('#review [data-answer=yes]').click()"
    assert page.evaluate(f"{answered}; document.querySelector('#toast [data-act=undo]')") is None  # of what came before
    page.locator("#toast", has_text="Photo added to bo.").wait_for()
    page.locator("#cards .card", has_text="4 photos").wait_for()
    page.context.close()

"""The whole story with the keyboard alone: samples, questions, a name confirmed, a concept added, and taken back."""

from __future__ import annotations

import pytest
from playwright.sync_api import TimeoutError, expect

from tests.test_browser import SAMPLES, app, card, chromium, visit  # noqa: F401

pytestmark = pytest.mark.browser
MOST = 80
"""Presses of Tab within which everything of a screen is reached."""


def go_to(page, selector, key="Tab"):
    """Press Tab until what has the focus matches."""
    for _ in range(MOST):
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
        page.keyboard.press(key)
    raise AssertionError(f"{selector} is not reached; the focus is on {focus(page)}")


def choose(page, file, tries=3):
    """Choose a file in the form's own dialog, again if the form was drawn anew between two keys."""
    for number in range(tries):
        go_to(page, "#files button")
        try:
            with page.expect_file_chooser(timeout=10_000) as chooser:
                page.keyboard.press("Enter")
            return chooser.value.set_files(str(file))
        except TimeoutError:
            if number == tries - 1:
                raise


def focus(page):
    return page.evaluate("document.activeElement.outerHTML.slice(0, 200)")


def has_focus(page, selector):
    page.wait_for_function("selector => document.activeElement.matches(selector)", arg=selector)


def test_everything_is_done_with_the_keyboard_and_the_focus_stays_where_it_was(app, chromium):  # noqa: F811
    page = visit(chromium.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce"), app)
    press, answers = page.keyboard.press, page.locator("#log .said.it")

    # Samples, then a question about the photo that waits; "/" leads to the field from anywhere.
    go_to(page, "#log [data-act=samples]")
    press("Enter")
    page.locator("#drafts figcaption [data-concept]").first.wait_for(timeout=60_000)
    press("/")
    page.keyboard.type("Where is @b")
    page.locator("#mentions [aria-selected=true]", has_text="bo").wait_for()
    press("Enter")
    press("Enter")
    expect(answers).to_have_count(1)
    expect(answers.first).to_contain_text("on the left")
    has_focus(page, "#ask textarea")

    # A name is confirmed where it stands, and that is taken back; the focus stays on it.
    yes = "#log .names .yes[data-concept]"
    go_to(page, yes, "Shift+Tab")
    page.keyboard.press("Enter")
    pressed = page.locator("#log .yes[aria-pressed=true]")
    expect(pressed).to_have_count(1)
    has_focus(page, f"{yes}[aria-pressed=true]")
    press("Control+z")
    expect(pressed).to_have_count(0)
    has_focus(page, yes)

    # A photo is opened large and left again.
    go_to(page, "#log .shot", "Shift+Tab")
    press("Enter")
    page.locator(".beside.large .stage").wait_for()
    has_focus(page, ".large [data-act=close]")
    for _ in range(30):  # the focus does not leave what is open
        press("Tab")
        assert page.evaluate(
            "document.activeElement === document.body || Boolean(document.activeElement.closest('.large'))"
        )
    press("Escape")
    has_focus(page, "#log .shot")

    # The model in the header: its list opens and closes where it is.
    go_to(page, "#header summary", "Shift+Tab")
    press("Enter")
    page.locator("#header .models li").first.wait_for()
    press("Escape")
    has_focus(page, "#header summary")

    # Another tab: a concept is added and opened.
    go_to(page, "[role=tab][data-tab-id=concepts]")
    press("Enter")
    page.locator("#cards .card").first.wait_for()
    go_to(page, "#new")
    press("Enter")
    page.locator("#files button").wait_for()
    choose(page, SAMPLES / "beach.jpg")
    page.locator("#new-photos img").wait_for()
    go_to(page, "#new-name :is(input, textarea)")
    page.keyboard.type("shore")
    go_to(page, "#create")
    press("Enter")
    card(page, "shore").wait_for()
    go_to(page, "#cards .card", "Shift+Tab")
    press("Enter")
    page.locator("#edit-info textarea").wait_for()

    # Back in the chat everything is where it was.
    go_to(page, "[role=tab][data-tab-id=chat]", "Shift+Tab")
    press("Enter")
    page.locator("#log .said.it").first.wait_for()
    press("/")
    has_focus(page, "#ask textarea")
    page.context.close()

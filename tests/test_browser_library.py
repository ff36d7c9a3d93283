"""The Library tab in a real browser: a folder, a search, a photo that opens in the chat; and a guest."""

from __future__ import annotations

import shutil

import pytest

from tests.test_browser import SAMPLES, card, chromium, guests, served, tab, visit  # noqa: F401

pytestmark = pytest.mark.browser


def test_a_folder_is_added_searched_by_name_and_a_photo_opens_in_the_chat(tmp_path, chromium):  # noqa: F811
    folder = tmp_path / "photos"
    shutil.copytree(SAMPLES, folder, ignore=shutil.ignore_patterns("*.json"))
    with served(tmp_path / "data") as address:
        page = visit(chromium.new_context(viewport={"width": 1440, "height": 1000}), address)
        tab(page, "Concepts")
        page.get_by_role("button", name="Try it with samples").locator("visible=true").click()
        card(page, "bo").wait_for()
        tab(page, "Library")
        page.locator("#photos .empty", has_text="Add a folder").wait_for()
        page.locator("#folder-path :is(input, textarea)").fill(str(folder))
        page.locator("#add-folder").click()
        page.locator("#scan-progress progress").wait_for()
        page.locator("#scan", has_text="Scan").wait_for(timeout=120_000)
        page.locator("#photos .photos img[src]").first.wait_for()
        every = page.locator("#photos .photos li").count()
        assert every == len(list(folder.glob("**/*.*")))

        search = page.locator("#find-photos :is(input, textarea)")
        search.fill("<bo>")
        search.press("Enter")
        page.locator("#photos .sum", has_text=f"of {every} photos").wait_for()
        found = page.locator("#photos .photos li")
        assert 0 < found.count() < every
        assert found.locator(".who", has_text="bo").count() == found.count()
        found.first.locator("button").click()
        page.locator("#panel .stage img[src]").wait_for()
        page.locator("#panel", has_text="bo").wait_for()

        narrow = visit(chromium.new_context(viewport={"width": 390, "height": 800}), address)
        tab(narrow, "Library")
        narrow.locator("#photos .photos img[src]").first.wait_for()
        assert narrow.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_guest_is_told_that_folders_are_the_owners(chromium, guests):  # noqa: F811
    page = visit(chromium.new_context(), guests[0])
    tab(page, "Library")
    page.locator("#photos .empty", has_text="only its owner can add").wait_for()
    assert not page.locator("#add-folder, #find-photos").locator("visible=true").count()

"""The Evaluate tab in a real browser: a confused pair, stopping, and a guest with nothing to check yet."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from personal.images import read_photo
from personal.settings import Settings
from tests.test_browser import SAMPLES, chromium, create, samples, served, tab, visit  # noqa: F401

pytestmark = pytest.mark.browser


def library(data_dir, **concepts):
    """Put concepts on the disk: the app learns their photos when it starts."""
    from personal import compose

    with compose.library(Settings(data_dir=data_dir)) as made:
        for name, files in concepts.items():
            made.add("local", name, [read_photo(file) for file in files], "", "", ())


def views(concept):
    return [SAMPLES / file for file in concept["views"]]


def flipped(file):
    """Another photo of the same: the mirror image."""
    out = io.BytesIO()
    Image.open(file).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(out, "PNG")
    return out.getvalue()


def check(page):
    tab(page, "Evaluate")
    page.locator("#check:not([disabled])").click()
    page.locator("#check-result .sum").wait_for()
    return page.locator("#check-result")


def test_a_pair_that_is_confused_is_shown_and_leads_to_the_concept(tmp_path, chromium):  # noqa: F811
    first, second = (views(concept) for concept in samples()["concepts"][:2])
    stray = [*first[:2], second[0]]  # one photo of the second among those of the first
    library(tmp_path / "data", bo=stray, butin=[flipped(second[0]), *second[1:]], lone=[flipped(first[0])])
    before = {path: path.read_bytes() for path in (tmp_path / "data" / "owners").rglob("*") if path.is_file()}
    with served(tmp_path / "data") as address:
        page = visit(chromium.new_context(viewport={"width": 1440, "height": 1000}), address)
        shown = check(page)
        assert " wrong one" in shown.locator(".sum").inner_text()
        pair = shown.locator(".pairs li", has_text="bo is taken for butin")
        assert pair.locator("img").count() == 2
        assert shown.locator(".confusion td.wrong").count() >= 1
        assert shown.locator(".singles", has_text="lone").is_visible()
        for word in ("embedding", "vector", "cosine"):
            assert word not in page.locator(".evaluate").inner_text().lower()
        assert page.locator("#check").is_visible()
        after = {path: path.read_bytes() for path in (tmp_path / "data" / "owners").rglob("*") if path.is_file()}
        assert after == before

        pair.get_by_role("button").click()
        page.locator("#editor #edit-name").wait_for()
        assert page.locator("#edit-name input, #edit-name textarea").input_value() == "bo"

        tab(page, "Evaluate")
        assert page.locator("#check-result .sum").is_visible()
        tab(page, "Concepts")
        page.locator("#forget").click()
        page.locator("#toast .toast").wait_for()
        tab(page, "Evaluate")
        page.locator("#check-result .sum").wait_for(state="detached")

        narrow = visit(chromium.new_context(viewport={"width": 390, "height": 800}), address)
        tab(narrow, "Concepts")
        narrow.locator("#cards .card", has_text="butin").click()
        narrow.locator("#edit-name input, #edit-name textarea").fill("butin" + "o" * 59)
        narrow.locator("#keep").click()
        narrow.locator("#toast", has_text="is saved").wait_for()
        check(narrow)
        assert narrow.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_guest_without_two_concepts_is_told_what_to_do_and_sees_nobody_elses(tmp_path, chromium):  # noqa: F811
    library(tmp_path / "data", **{concept["name"]: views(concept) for concept in samples()["concepts"][:2]})
    with served(tmp_path / "data", GRADIO_SERVER_NAME="0.0.0.0") as address:
        page = visit(chromium.new_context(), address)
        tab(page, "Evaluate")
        page.locator("#check-hint", has_text="No concepts yet").wait_for()
        assert page.locator("#check").is_disabled()
        page.locator("#check-hint button").click()
        page.locator("#creator #files").wait_for()
        create(page, "bo", views(samples()["concepts"][0])[0])
        tab(page, "Evaluate")
        page.locator("#check-hint", has_text="bo is all there is").wait_for()
        create(page, "butin", views(samples()["concepts"][1])[0])
        tab(page, "Evaluate")
        page.locator("#check-hint", has_text="one photo only").wait_for()
        assert page.locator("#check").is_disabled()


def test_a_check_is_stopped_and_tells_what_it_saw(tmp_path, chromium, shared_data):  # noqa: F811
    folders = [shared_data / "dreambooth" / name for name in ("cat", "dog", "clock", "can", "backpack", "candle")]
    library(tmp_path / "data", **{folder.name: sorted(folder.glob("*.jpg")) for folder in folders})
    with served(tmp_path / "data") as address:
        page = visit(chromium.new_context(), address)
        tab(page, "Evaluate")
        page.locator("#check:not([disabled])").click()
        page.locator("#check-progress", has_text="1 of").wait_for()
        tab(page, "Chat")
        page.keyboard.press("Escape")  # ends what is being written here, and not a check in another tab
        page.reload()
        tab(page, "Evaluate")
        page.locator("#check-progress", has_text=" of ").wait_for()
        page.locator("#check-stop").click()
        page.locator("#check-result .note", has_text="Stopped after").wait_for()
        page.locator("#check:not([disabled])").wait_for()
        assert not page.locator("#check-stop").is_visible()

"""The tick for faces in a real browser: it can be set and taken away, and is not offered where faces are off."""

from __future__ import annotations

import json
import time
from pathlib import Path

import matplotlib
import pytest
from playwright.sync_api import expect

from tests.test_browser import chromium, create, served, tab, upload, visit  # noqa: F401

PORTRAIT = Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg"
pytestmark = pytest.mark.browser


def ticks(data: Path) -> list[bool]:
    found = data.glob("owners/*/concepts/*/concept.json")
    return [json.loads(path.read_text()).get("by_face", False) for path in found]


def test_a_person_is_ticked_known_by_the_face_and_unticked(tmp_path, chromium):  # noqa: F811
    pytest.importorskip("dlib")
    with served(tmp_path / "data") as address:
        page = visit(chromium.new_context(viewport={"width": 1440, "height": 1000}), address)
        create(page, "grace", PORTRAIT)
        assert ticks(tmp_path / "data") == [False]
        page.locator("#cards .card", has_text="grace").click()
        tick = page.locator("#edit-by-face input")
        expect(tick).to_have_count(0)  # not offered before it is said to be a person
        kind = page.locator("#edit-kind input")
        kind.fill("person")
        kind.press("Enter")
        assert not tick.is_checked()
        tick.check()
        page.locator("#keep").click()
        page.locator("#toast", has_text="grace is saved").wait_for(timeout=120_000)
        assert ticks(tmp_path / "data") == [True]
        tab(page, "Chat")
        upload(page, "#ask", PORTRAIT)
        page.locator("#panel .box", has_text="grace").wait_for()
        page.get_by_role("button", name="Who is here?").click()
        used = page.locator("#log .said.it details.used").last
        used.locator("summary").click()
        used.get_by_text("seen by the face").wait_for()
        tab(page, "Concepts")
        page.locator("#cards .card", has_text="grace").click()
        assert tick.is_checked()
        tick.uncheck()
        page.locator("#keep").click()
        deadline = time.monotonic() + 60  # the toast may still be the one from before
        while ticks(tmp_path / "data") != [False] and time.monotonic() < deadline:
            time.sleep(0.2)
        assert ticks(tmp_path / "data") == [False]


def test_the_tick_is_not_offered_where_faces_are_not_looked_at(tmp_path, chromium):  # noqa: F811
    with served(tmp_path / "data", PERSONAL_FACES="off") as address:
        page = visit(chromium.new_context(viewport={"width": 1440, "height": 1000}), address)
        create(page, "grace", PORTRAIT)
        page.locator("#cards .card", has_text="grace").click()
        page.locator("#edit-name textarea, #edit-name input").wait_for()
        assert page.get_by_label("Recognise this person by the face").count() == 0
        page.locator("#keep").click()
        page.locator("#toast", has_text="grace is saved").wait_for()

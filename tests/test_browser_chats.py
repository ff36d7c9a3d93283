"""Conversations are there tomorrow: one story in a real browser, over a restart of the app."""

from __future__ import annotations

import zipfile

import pytest

from tests.test_browser import SAMPLES, ask, chromium, create, everything, samples, served, tab, upload, visit  # noqa: F401
from tests.test_browser_access import violations

pytestmark = pytest.mark.browser
BO = samples()["concepts"][0]
SCENE = next(photo["file"] for photo in samples()["photos"] if BO["name"] in photo["concepts"])


def listed(page, title):
    return page.locator("#chats li", has=page.locator("b", has_text=title))


def menu(page, title):
    """Open what can be done with a chat."""
    listed(page, title).locator("summary").click()
    return listed(page, title).locator(".menu")


def begin(page):
    """Start a chat, and return once the thread is empty."""
    page.locator("#new-chat").click()
    page.locator("#log .empty").wait_for()


def test_conversations_are_there_tomorrow(tmp_path, chromium):  # noqa: F811
    from playwright.sync_api import expect

    context = chromium.new_context(viewport={"width": 1440, "height": 900}, accept_downloads=True)
    with served(tmp_path / "data") as address:
        page = visit(context, address)
        create(page, "bo", *[SAMPLES / file for file in BO["views"]])
        tab(page, "Chat")
        upload(page, "#ask", SAMPLES / SCENE)
        page.locator("#panel .stage").wait_for()
        ask(page, "Who is here?")
        page.locator("#log .names .yes").first.click()
        expect(page.locator("#log .names .yes").first).to_have_attribute("aria-pressed", "true")
        page.locator("#log").get_by_role("button", name="Bad answer").click()
        page.locator("#log .remark input").fill("There is more to say.")
        page.locator("#log .remark button").click()
        page.locator("#toast", has_text="Saved with the answer.").wait_for()

        begin(page)
        ask(page, "What can you do?")
        menu(page, "What can you do?").locator("input").fill("About the app")
        page.locator("#chats li:has([aria-current]) form button").click()
        listed(page, "About the app").wait_for()

        page.locator("#temporary-chat").click()
        page.locator("#chat-note", has_text="nothing of it is kept on disk").wait_for()
        ask(page, "Is there any zanzibar?")
        expect(listed(page, "zanzibar")).to_contain_text("Temporary")
        page.close()
    assert b"zanzibar" not in everything(tmp_path / "data")

    with served(tmp_path / "data") as address:  # the app was killed, and is started again
        page = visit(context, address)
        page.locator("#log .said.you", has_text="What can you do?").wait_for()  # the one asked last is shown
        expect(page.locator("#chats li")).to_have_count(2)
        listed(page, "Who is here?").locator("button").first.click()
        expect(page.locator("#log .shot img[src]")).to_have_count(1)
        expect(page.locator("#log .shot .box", has_text="bo").first).to_be_visible()
        expect(page.locator("#log .names .yes").first).to_have_attribute("aria-pressed", "true")
        expect(page.locator("#log .said.it .chip", has_text="bo").first).to_be_visible()
        expect(page.locator("#log .remark input")).to_have_value("There is more to say.")
        other = visit(chromium.new_context(), address)  # another browser on the same machine
        listed(other, "Who is here?").locator("button").first.click()
        ask(other, "What can you do?")
        other.context.close()
        tab(page, "Settings")
        tab(page, "Chat")
        expect(page.locator("#log .said.you")).to_have_count(2)

        search = page.locator("#find-chat input, #find-chat textarea")
        search.fill("recognise your people")
        expect(page.locator("#chats li")).to_have_count(2)
        search.fill("about THE app")
        expect(page.locator("#chats li")).to_have_count(1)
        search.fill("zanzibar")
        page.locator("#chats", has_text="No matches.").wait_for()
        search.fill("")
        expect(page.locator("#chats li")).to_have_count(2)

        with page.expect_download() as download:
            menu(page, "Who is here?").get_by_role("button", name="Export").click()
        download.value.save_as(tmp_path / "chat.zip")
        with zipfile.ZipFile(tmp_path / "chat.zip") as archive:
            assert {"conversation.md", "conversation.json", "photos/1.jpg"} <= set(archive.namelist())
            assert "There is more to say." in archive.read("conversation.md").decode()

        menu(page, "About the app").get_by_role("button", name="Delete").click()
        expect(listed(page, "About the app")).to_have_count(0)
        page.locator("#toast").get_by_role("button", name="Undo").click()
        listed(page, "About the app").wait_for()
        assert violations(page) == []

        phone = chromium.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
        narrow = visit(phone, address)
        expect(narrow.locator("#sidebar")).to_be_hidden()
        narrow.locator("#open-chats").tap()
        listed(narrow, "Who is here?").wait_for()
        assert violations(narrow) == []
        narrow.keyboard.press("Escape")
        expect(narrow.locator("#sidebar")).to_be_hidden()
        expect(narrow.locator("#open-chats")).to_be_focused()
        narrow.keyboard.press("Enter")
        listed(narrow, "Who is here?").locator("button").first.tap()
        expect(narrow.locator("#sidebar")).to_be_hidden()
        narrow.locator("#log .said.you", has_text="Who is here?").wait_for()
        assert narrow.evaluate("document.documentElement.scrollWidth") <= 390
        phone.close()
        context.close()

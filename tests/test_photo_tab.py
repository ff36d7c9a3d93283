"""The Library tab's handlers: folders, scans, searching, filters, and opening a photo."""

from __future__ import annotations

import asyncio
import re
import time

import pytest
from starlette.requests import Request

from personal.settings import Settings
from personal.ui.pictures import Pictures
from personal.ui.render import photo_library as render
from personal.ui.sessions import Visitor
from tests.conftest import BLUE, GREEN, RED, open_assistant, picture
from tests.test_bad_input import Browser, event
from tests.test_photo_library import write

ME = "local"


@pytest.fixture
def folder(tmp_path):
    for name, colour in (("red", RED), ("green", GREEN), ("blue", BLUE)):
        write(tmp_path / "photos" / f"{name}.png", colour)
    return tmp_path / "photos"


@pytest.fixture
def browser(tmp_path):
    with open_assistant(tmp_path / "data") as assistant:
        assistant.remember(ME, "bo", [picture(RED, dot=9)], "dog")
        made = Browser(assistant, tmp_path / "data")
        made.tab = made.page.photos
        yield made
        made.context.scans.stop()
        waited(made)


def waited(browser):
    """Wait for the end of the scan."""
    until = time.monotonic() + 60
    while browser.context.scans.of(ME):
        assert time.monotonic() < until
        time.sleep(0.01)


def scanned(browser, folder):
    shown = browser.tab.add_folder(str(folder), browser.request)
    waited(browser)
    return shown


def grid(browser, shown):
    """The photos that are shown, by the names of their files, and what stands above."""
    html = shown[browser.tab.grid]
    return re.findall(r'title="(\w+)\.png"', html), re.search(r'role="status">([^<]*)', html)[1]


def everything(browser):
    return browser.tab.draw(browser.session)


def test_without_a_folder_the_tab_says_what_it_is_for(browser):
    shown = everything(browser)
    assert "Add a folder of photos" in shown[browser.tab.grid]
    assert shown[browser.tab.bar].visible is False
    assert shown[browser.tab.place].open is True


def test_a_folder_that_is_added_is_scanned_and_its_photos_are_shown(browser, folder):
    shown = scanned(browser, folder)
    assert shown[browser.tab.path] == ""
    assert str(folder) in shown[browser.tab.folders]
    assert grid(browser, browser.tab.follow(browser.request)) == (["blue", "green", "red"], "3 photos")
    assert browser.tab.follow(browser.request)[browser.tab.timer].active is False
    assert browser.tab.grid not in browser.tab.follow(browser.request)  # nothing has changed since


@pytest.mark.parametrize("path", ["", "  ", "/no/such/folder", "photos\0", "x" * 5000])
def test_a_folder_that_is_none_is_refused_in_words(browser, path):
    browser.fails(browser.tab, browser.tab.add_folder, path)


def test_photos_are_searched_and_filtered(browser, folder):
    scanned(browser, folder)
    assert grid(browser, browser.tab.find("bo", browser.request)) == (["red"], "1 of 3 photos")
    assert grid(browser, browser.tab.find("bo, blue", browser.request))[1].startswith("Nothing found.")
    assert grid(browser, browser.tab.clear("", browser.request))[1] == "3 photos"
    (bo,) = browser.context.assistant.concepts(ME)
    chosen = event(act="filter", concept=bo.id)
    assert grid(browser, browser.tab.filter(chosen, browser.request)) == (["red"], "1 of 3 photos")
    shown = browser.tab.filter(chosen, browser.request)
    assert grid(browser, shown) == (["blue", "green"], "2 of 3 photos")
    assert "must not be there" in shown[browser.tab.filters]
    assert grid(browser, browser.tab.filter(chosen, browser.request))[1] == "3 photos"


def test_a_photo_opens_in_a_chat_of_its_own_with_its_findings(browser, folder):
    scanned(browser, folder)
    (row,) = browser.context.photos.search(ME, "bo").photos
    shown = browser.tab.on_grid(event(act="photo", photo=row.sha256), browser.request)
    assert [tabs.selected for part, tabs in shown.items() if part.__class__.__name__ == "Tabs"] == ["chat"]
    talk = browser.session.conversation
    assert [photo.sha256 for photo in talk.photos] == [row.sha256]
    assert [one.name for one in talk.findings[row.sha256].concepts] == ["bo"]
    for odd in ("0" * 64, "", "../../etc/passwd", None):
        browser.fails(browser.tab, browser.tab.on_grid, event(act="photo", photo=odd))


def test_a_scan_is_paused_and_goes_on(browser, folder, monkeypatch):
    retriever = browser.context.assistant.retriever
    describe = retriever.describe
    monkeypatch.setattr(retriever, "describe", lambda photo: (time.sleep(0.3), describe(photo))[1])
    for number in range(20):
        write(folder / f"{number}.png", (number * 10, 90, 90))
    browser.tab.add_folder(str(folder), browser.request)
    shown = browser.tab.scan(browser.request)
    assert shown[browser.tab.again].interactive is False
    waited(browser)
    paused = browser.tab.follow(browser.request)
    assert "Paused" in paused[browser.tab.progress]
    assert paused[browser.tab.again].value == "Scan"
    browser.tab.wake(browser.session)
    assert browser.context.scans.of(ME) is None  # who paused is left alone
    monkeypatch.setattr(retriever, "describe", describe)
    browser.tab.scan(browser.request)
    waited(browser)
    assert len(browser.context.photos.all(ME)) == 23


def test_what_is_new_is_found_when_the_tab_is_opened_again(browser, folder):
    scanned(browser, folder)
    write(folder / "grey.png", (128, 128, 128))
    browser.page.redraw(browser.tab)(browser.request)
    waited(browser)
    assert len(browser.context.photos.all(ME)) == 4


def test_dates_are_switched_on_and_a_folder_is_removed(browser, folder):
    scanned(browser, folder)
    (kept,) = browser.context.photos.store(ME).folders()
    assert "Dates and places: not read" in everything(browser)[browser.tab.folders]
    shown = browser.tab.on_folders(event(act="exif", folder=kept.id), browser.request)
    assert "Dates and places: read" in shown[browser.tab.folders]
    waited(browser)
    browser.tab.on_folders(event(act="remove", folder="7"), browser.request)
    assert len(browser.context.photos.all(ME)) == 3
    shown = browser.tab.on_folders(event(act="remove", folder=str(kept.id)), browser.request)
    assert "Add a folder of photos" in shown[browser.tab.grid]
    assert len(list(folder.iterdir())) == 3


def test_erasing_everything_erases_the_library_too(browser, folder):
    scanned(browser, folder)
    browser.context.sessions.erase(ME, browser.context.assistant.erase)
    assert "Add a folder of photos" in everything(browser)[browser.tab.grid]
    assert not browser.context.photos.store(ME).exists


def test_who_is_not_the_owner_of_the_machine_is_told_and_adds_nothing(browser, folder, monkeypatch):
    monkeypatch.setattr(Settings, "shared", property(lambda settings: True))
    shown = everything(browser)
    assert "only its owner can add" in shown[browser.tab.grid]
    assert shown[browser.tab.place]["visible"] is False
    for handler, argument in (
        (browser.tab.add_folder, [str(folder)]),
        (browser.tab.on_folders, [event(act="remove", folder=1)]),
        (browser.tab.scan, []),
    ):
        assert "its owner only" in browser.fails(browser.tab, handler, *argument)
    assert not browser.context.photos.store(ME).exists


def test_file_names_and_names_do_nothing_in_the_page(browser, tmp_path):
    evil = "<img src=x onerror=alert(1)>'\""
    folder = tmp_path / evil
    write(folder / f"{evil}.png", RED)
    (folder / "<b>broken.jpg").write_bytes(b"no photo")
    shown = scanned(browser, folder)
    shown = everything(browser)
    for part in (browser.tab.grid, browser.tab.folders, browser.tab.filters):
        assert "<img src=x" not in shown[part]
        assert "<b>broken" not in shown[part]
    assert "&lt;b&gt;broken" in shown[browser.tab.folders]


def test_many_photos_are_shown_page_by_page(browser, folder):
    scanned(browser, folder)
    rows = list(browser.context.photos.all(ME)) * 100
    first, last = (render.grid(rows, [], page, "300 photos") for page in (0, 99))
    assert (first.count("<li>"), last.count("<li>")) == (120, 60)
    assert "Page 1 of 3" in first
    assert "Page 3 of 3" in last
    assert re.search(r"Next.*</button>", last)
    assert "disabled" in last


def sent(browser, visitor, sha256):
    """What the door of pictures answers a visitor who asks for a thumbnail."""
    scope = {
        "type": "http", "method": "GET", "headers": [], "query_string": b"side=320", "path_params": {"sha256": sha256},
        "visitor": visitor,
    }  # fmt: skip
    return asyncio.run(Pictures(browser.context).send(Request(scope)))


def test_a_thumbnail_is_sent_to_its_owner_alone(browser, folder):
    scanned(browser, folder)
    (row,) = browser.context.photos.search(ME, "bo").photos
    mine = sent(browser, browser.session.visitor, row.sha256)
    assert (mine.status_code, mine.headers["cache-control"]) == (200, "no-store")
    assert mine.body == browser.context.photos.store(ME).thumbnail(row.sha256)
    assert sent(browser, Visitor("visitor-0123456789abcdef01234567"), row.sha256).status_code == 404
    assert sent(browser, None, row.sha256).status_code == 404
    browser.context.photos.remove(ME, folder)
    assert sent(browser, browser.session.visitor, row.sha256).status_code == 404

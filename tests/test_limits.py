"""Limits: what is too long or too much is refused in words before any work on it, and nothing of it is held."""

from __future__ import annotations

import struct
import time
import zipfile
from pathlib import Path

import pytest

from personal.errors import ConceptError, ImportExportError
from personal.remember import archive, import_export, names
from personal.ui.chat import photos
from personal.ui.concepts import new, tab
from tests.conftest import RED, open_assistant, picture
from tests.test_bad_input import Browser, png

MILLIONS = 5_000_000
ME = "local"


@pytest.fixture
def browser(tmp_path):
    with open_assistant(tmp_path / "data") as assistant:
        assistant.remember(ME, "bo", [picture(RED)])
        yield Browser(assistant, tmp_path / "data")


@pytest.fixture
def dropped(tmp_path):
    """Uploads that are all different."""

    def drop(count):
        files = []
        for number in range(count):
            files.append(tmp_path / f"{number}" / "photo.png")
            files[-1].parent.mkdir()
            files[-1].write_bytes(png(colour=(number * 2, 90, 250 - number * 2)))
        return [str(file) for file in files]

    return drop


@pytest.mark.parametrize("sign", ["a", "ﷺ", "<", "\u0301", " ", "\u200d", "\U0001f3f4"])
@pytest.mark.parametrize(
    "clean", [names.clean_name, names.clean_category, names.clean_info, lambda text: names.clean_attributes([text])]
)
def test_an_endless_text_is_refused_without_being_read_through(clean, sign):
    text = sign * MILLIONS
    began = time.process_time()
    with pytest.raises(ConceptError, match=str(MILLIONS)):
        clean(text)
    assert time.process_time() - began < 0.1


def test_endless_attributes_are_refused_without_being_read_through():
    began = time.process_time()
    with pytest.raises(ConceptError, match=f"at most 12 attributes, this would be {MILLIONS}"):
        names.clean_attributes(["a"] * MILLIONS)
    assert time.process_time() - began < 0.5


def test_white_space_around_a_text_and_marks_that_combine_do_not_count():
    assert names.clean_name("  bo" + " " * 300) == "bo"
    assert names.clean_name("e\u0301" * 64) == "é" * 64
    assert names.clean_category(" dog\n") == "dog"
    assert names.clean_attributes(["", " "] * 20 + ["a red collar"]) == ("a red collar",)


def test_a_name_of_millions_of_letters_is_answered_in_words_at_once_by_every_handler(browser):
    name = "a" * MILLIONS
    began = time.process_time()
    shown = browser.concepts.new.validate(name, browser.request)
    assert "Keep it under 65 characters" in shown[browser.concepts.new.check]
    *_, screen = browser.concepts.new.remember(name, None, "", "", False, browser.request)
    assert "Keep it under 65 characters" in screen[browser.concepts.new.check]
    screen = browser.concepts.draw_found(name, browser.request)
    assert len(browser.session.search) <= tab.SEARCH_MAX
    *_, screen = browser.chat.asking.ask(name, browser.request)
    assert "4,000" in screen[browser.chat.notice]
    assert time.process_time() - began < 2
    assert browser.session.conversation.entries == []


def test_so_many_photos_can_wait_for_one_question_and_the_others_are_not_kept(browser, dropped):
    files = dropped(photos.DRAFT_PHOTOS + 3)
    *_, screen = browser.chat.composer.receive(files, browser.request)
    assert f"{photos.DRAFT_PHOTOS} photos are the most" in screen[browser.chat.notice]
    assert len(browser.session.conversation.draft) == photos.DRAFT_PHOTOS
    assert not [file for file in files if Path(file).exists()]


def test_so_many_bytes_can_wait_for_one_question(browser, dropped, monkeypatch):
    monkeypatch.setattr(photos, "DRAFT_BYTES", 1000)
    *_, screen = browser.chat.composer.receive(dropped(4), browser.request)
    waiting = browser.session.conversation.draft
    assert 0 < sum(len(photo.jpeg) for photo in waiting[:-1]) < 1000 or len(waiting) == 1
    assert len(waiting) < 4
    assert "the most" in screen[browser.chat.notice]


def test_so_many_photos_make_a_concept_and_the_others_are_not_even_opened(browser, dropped, monkeypatch):
    opened = []
    take = browser.context.take
    monkeypatch.setattr(browser.context, "take", lambda upload: opened.append(upload) or take(upload))
    screen = browser.concepts.new.receive(dropped(new.PHOTOS_AT_ONCE + 5), browser.request)
    assert len(opened) == len(browser.session.new_photos) == new.PHOTOS_AT_ONCE
    assert "the most at once" in screen[browser.concepts.new.photos_check]


@pytest.fixture(scope="module")
def crowded(tmp_path_factory):
    """A zip of 70,000 entries, more than its directory's plain form can count."""
    path = tmp_path_factory.mktemp("zip") / "crowded.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(70_000):
            archive.writestr(f"bo/{number}", b"")
    return path


def test_a_zip_of_too_many_entries_is_refused_before_its_directory_is_read(crowded, monkeypatch):
    monkeypatch.setattr(archive.zipfile, "ZipFile", None)
    with pytest.raises(ImportExportError, match="70000 entries; 20000 are the most"):
        import_export.read(crowded)


def test_a_zip_that_lies_about_its_entries_is_refused_as_well(crowded, tmp_path, monkeypatch):
    data = bytearray(crowded.read_bytes())
    end = data.rfind(b"PK\6\6")
    struct.pack_into("<QQ", data, end + 24, 1, 1)
    (tmp_path / "liar.zip").write_bytes(data)
    monkeypatch.setattr(archive, "ENTRY_BYTES", 100)
    monkeypatch.setattr(archive.zipfile, "ZipFile", None)
    with pytest.raises(ImportExportError, match="are the most"):
        import_export.read(tmp_path / "liar.zip")


def test_a_guest_may_bring_less_than_the_owner_of_the_machine(tmp_path, monkeypatch):
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as file:
        for number in range(3):
            file.writestr(f"bo/{number}.png", png(colour=(number * 80, 9, 9)))
    assert len(import_export.read(path, guest=True)[0].photos) == 3
    monkeypatch.setattr(archive, "GUEST_ENTRIES", 2)
    with pytest.raises(ImportExportError, match="2 are the most"):
        import_export.read(path, guest=True)
    monkeypatch.setattr(archive, "GUEST_ENTRIES", 3)
    monkeypatch.setattr(archive, "GUEST_TOTAL", 100)
    with pytest.raises(ImportExportError, match="unpacks to more"):
        import_export.read(path, guest=True)
    assert len(import_export.read(path)[0].photos) == 3

"""Folders of photos: what a scan reads, what it leaves alone, and what a search in words finds."""

from __future__ import annotations

import shutil
import sqlite3
import time
from contextlib import closing
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from personal import settings
from personal.concepts import ConceptEdit
from personal.errors import PersonalError
from personal.labels import Classifier
from personal.photo_library.library import PhotoLibrary
from tests.conftest import BLUE, GREEN, GREY, RED, picture

ME = "local"
TODAY = date(2026, 6, 10)


def write(path: Path, colour, *, dot=None, taken="", gps=None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", (64, 64), colour)
    if dot is not None:
        image.putpixel((dot, 1), (0, 0, 0))
    exif = Image.Exif()
    if taken:
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = taken
    if gps:
        exif.get_ifd(ExifTags.IFD.GPSInfo).update(gps)
    image.save(path, exif=exif)
    return path


@pytest.fixture
def folder(tmp_path) -> Path:
    """Three photos, one of them below, and what is none."""
    write(tmp_path / "photos" / "red.png", RED)
    write(tmp_path / "photos" / "below" / "green.png", GREEN)
    write(tmp_path / "photos" / "blue.png", BLUE)
    (tmp_path / "photos" / "notes.txt").write_text("no photo")
    write(tmp_path / "photos" / ".hidden" / "grey.png", GREY)
    return tmp_path / "photos"


@pytest.fixture
def library(tmp_path, assistant, folder):
    made = PhotoLibrary(settings.load({}, data_dir=tmp_path / "data", encoder="mean-colour"), assistant)
    made.add(ME, folder)
    return made


def scan(library, stop=None) -> list[str]:
    return [f"{step.text} {step.done}/{step.total}" for step in library.scan(ME, stop)]


def names(rows) -> list[str]:
    return [row.path.name for row in rows]


def everything(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {str(p): (p.read_bytes(), p.stat().st_mtime_ns) for p in sorted(folder.rglob("*")) if p.is_file()}


# -- scanning ----------------------------------------------------------------------------------------------------------


def test_a_scan_reads_the_photos_in_place_and_changes_none(library, folder, tmp_path):
    before = everything(folder)
    assert scan(library)[-1] == "Reading photos 3/3"
    assert sorted(names(library.all(ME))) == ["blue.png", "green.png", "red.png"]
    assert everything(folder) == before
    copies = {data for data, _ in before.values()}
    assert [p for p in (tmp_path / "data").rglob("*") if p.is_file() and p.read_bytes() in copies] == []


def test_a_second_scan_reads_only_what_is_new_changed_or_gone(library, folder):
    scan(library)
    assert scan(library) == ["Looking for photos 0/0"]
    write(folder / "grey.png", GREY)
    write(folder / "red.png", RED, dot=3)
    (folder / "blue.png").unlink()
    assert scan(library)[-1] == "Reading photos 2/2"
    assert sorted(names(library.all(ME))) == ["green.png", "grey.png", "red.png"]
    assert library.store(ME).counts().photos == 3


def test_a_photo_that_was_moved_or_copied_is_one_photo_and_is_not_looked_at_again(
    library, assistant, folder, monkeypatch
):
    scan(library)
    looked = []
    monkeypatch.setattr(assistant.retriever, "describe", lambda photo: looked.append(photo))
    shutil.move(folder / "red.png", folder / "below" / "moved.png")
    shutil.copy(folder / "blue.png", folder / "copy.png")
    scan(library)
    assert sorted(names(library.all(ME))) == ["blue.png", "green.png", "moved.png"]
    assert looked == []


def test_a_file_that_cannot_be_read_is_listed_and_harms_no_other(library, folder):
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff broken")
    (folder / "empty.png").touch()
    scan(library)
    errors = dict(library.store(ME).errors())
    assert {Path(path).name for path in errors} == {"broken.jpg", "empty.png"}
    assert "0 bytes" in errors[str(folder / "empty.png")]
    assert len(library.all(ME)) == 3
    assert scan(library) == ["Looking for photos 0/0"]  # it is not tried again until it changes
    write(folder / "broken.jpg", GREY)
    scan(library)
    assert {Path(path).name for path, _ in library.store(ME).errors()} == {"empty.png"}


def test_a_scan_that_is_paused_goes_on_where_it_was(library, folder):
    class AfterOne:
        asked = 0

        def is_set(self):
            self.asked += 1
            return self.asked > 1

    scan(library, AfterOne())
    first = len(library.all(ME))
    assert 0 < first < 3
    assert scan(library)[1] == f"Reading photos 0/{3 - first}"
    assert len(library.all(ME)) == 3


def test_a_folder_that_is_not_there_now_keeps_its_photos(library, folder, tmp_path):
    scan(library)
    folder.rename(tmp_path / "unplugged")
    scan(library)
    assert len(library.all(ME)) == 3
    assert names(library.search(ME, "red").photos) == ["red.png"]
    with pytest.raises(PersonalError, match="has changed or is gone"):
        library.photo(ME, library.all(ME)[0].sha256)


def test_names_are_found_when_concepts_come_change_and_go(library, assistant, folder):
    scan(library)
    bo = assistant.remember(ME, "bo", [picture(RED, dot=5)])
    assert library.status(ME, assistant.concepts(ME))[1] == 3
    assert scan(library)[-1] == "Recognising again 3/3"
    assert names(library.search(ME, "<bo>").photos) == ["red.png"]
    assistant.revise(ME, bo.id, ConceptEdit(name="rex", info="renamed"))
    assert scan(library) == ["Looking for photos 0/0"]  # a name is not what recognition goes by
    assert names(library.search(ME, "rex").photos) == ["red.png"]
    assistant.forget(ME, bo.id)
    assert library.all(ME)[0].known(assistant.concepts(ME)) == []
    assert names(library.search(ME, "rex").photos) == []
    library.forget_erased()
    assert any(row.findings for row in library.all(ME))  # the trash may bring it back
    assistant.library.empty_trash(ME)
    library.forget_erased()
    assert bo.id.encode() not in library.store(ME).path.read_bytes()


def test_folders_that_make_no_sense_are_refused(library, folder, tmp_path):
    for path, words in [
        (tmp_path / "nowhere", "There is no folder"),
        (folder / "red.png", "There is no folder"),
        (folder / "below", "is in the library already"),
        (tmp_path, "the app's own data"),
        (tmp_path / "data" / "owners", "the app's own data"),
        (Path("a\0b"), "cannot be used"),
    ]:
        with pytest.raises(PersonalError, match=words):
            library.add(ME, path)
    assert [one.path for one in library.store(ME).folders()] == [folder]


def test_removing_a_folder_removes_what_is_known_of_its_photos_and_nothing_else(library, folder, tmp_path):
    other = write(tmp_path / "other" / "grey.png", GREY)
    shutil.copy(folder / "red.png", other.parent / "again.png")
    library.add(ME, other.parent)
    scan(library)
    before = everything(folder)
    library.remove(ME, folder)
    assert sorted(names(library.all(ME))) == ["again.png", "grey.png"]
    assert everything(folder) == before
    with pytest.raises(PersonalError, match="not in the library"):
        library.remove(ME, folder)


def test_dates_and_places_are_read_only_where_that_is_switched_on(library, folder, tmp_path):
    gps = {1: "N", 2: (47.0, 30.0, 0.0), 3: "W", 4: (8.0, 15.0, 0.0)}
    write(folder / "dated.jpg", GREY, taken="2025:05:03 10:11:12", gps=gps)
    scan(library)
    assert all(row.exif.taken is None and row.exif.latitude is None for row in library.all(ME))
    found = library.search(ME, "last May", today=TODAY)
    assert found.photos == ()
    assert "switched on" in found.note
    library.add(ME, folder, exif=True)
    assert library.add(ME, folder).exif
    scan(library)
    (row,) = library.search(ME, "last May", today=date(2026, 3, 1)).photos
    assert (row.path.name, row.exif.taken) == ("dated.jpg", "2025-05-03T10:11:12")
    assert (row.exif.latitude, row.exif.longitude) == (47.5, -8.25)
    assert library.search(ME, "last May", today=TODAY).photos == ()
    library.add(ME, folder, exif=False)
    assert all(row.exif.taken is None for row in library.all(ME))
    data = (tmp_path / "data" / "owners" / ME / "photos" / "photos.sqlite").read_bytes()
    assert b"2025-05-03" not in data


def test_erasing_everything_leaves_no_byte_and_a_scan_that_goes_on_writes_none(library, assistant, tmp_path):
    steps = library.scan(ME)
    next(steps), next(steps), next(steps)
    assert len(library.all(ME)) == 1
    assistant.erase(ME)
    with pytest.raises(PersonalError):
        list(steps)
    assert not (tmp_path / "data" / "owners" / ME / "photos").exists()
    assert library.all(ME) == []


def test_one_owner_sees_nothing_of_another(library, tmp_path):
    scan(library)
    assert library.all("user-other") == []
    assert library.search("user-other", "red").photos == ()
    with pytest.raises(PersonalError):
        library.photo("user-other", library.all(ME)[0].sha256)


def test_people_are_likely_where_several_words_for_them_are_half_likely():
    odds = np.array([0.3 / 0.7, 0.3 / 0.7, 0.9 / 0.1], np.float32)
    nothing = np.zeros((3, 2), np.float32)
    classifier = Classifier(("cat",), {}, nothing[:1], nothing[:1, 0], ("man", "boy", "grass"), nothing, np.log(odds))
    assert classifier.any_of(nothing[0], {"man", "boy", "queen"}) == pytest.approx(0.51, abs=1e-3)
    assert classifier.any_of(nothing[0], {"queen"}) == 0


# -- searching ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def named(library, assistant, folder):
    """<bo> is red, <rex> is green; one photo is half and half."""
    both = Image.new("RGB", (128, 64), RED)
    both.paste(GREEN, (64, 0, 128, 64))
    both.save(folder / "both.png")
    assistant.remember(ME, "bo", [picture(RED)], category="dog")
    assistant.remember(ME, "rex", [picture(GREEN)], category="cat")
    scan(library)
    return library


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("<bo>", {"red.png", "both.png"}),
        ("show me all my photos of bo", {"red.png", "both.png"}),
        ("bo and rex", {"both.png"}),
        ("bo, rex", {"both.png"}),
        ("bo or rex", {"red.png", "both.png", "green.png"}),
        ("bo without rex", {"red.png"}),
        ("rex but not bo", {"green.png"}),
        ("without bo or rex", {"blue.png"}),
        ("without bo", {"blue.png", "green.png"}),
    ],
)
def test_names_and_how_they_are_joined_are_read_out_of_a_search(named, words, found):
    assert set(names(named.search(ME, words).photos)) == found


def test_filters_that_are_chosen_count_beside_the_words(named, assistant):
    bo, rex = assistant.concepts(ME)
    assert set(names(named.search(ME, "", shown=[bo.id]).photos)) == {"red.png", "both.png"}
    assert names(named.search(ME, "", shown=[bo.id], absent=[rex.id]).photos) == ["red.png"]
    assert set(names(named.search(ME, "").photos)) == {"red.png", "both.png", "green.png", "blue.png"}


def test_where_nothing_fits_the_nearest_are_offered_as_such(named):
    found = named.search(ME, "bo and rex, blue")
    assert found.photos == ()
    assert names(found.nearest) == ["both.png"]
    found = named.search(ME, "<nobody> red")
    assert names(found.photos + found.nearest)[0] == "red.png"


def test_hostile_words_are_words(named):
    for words in ("'; DROP TABLE photos; --", "<bo", "<>", "%", "\0", "<" * 500, "bo " * 400, "🐕" * 100, "()[]*+?{}"):
        named.search(ME, words)
    assert len(named.all(ME)) == 4


def test_another_start_finds_what_was_scanned(named, assistant, tmp_path):
    again = PhotoLibrary(settings.load({}, data_dir=tmp_path / "data"), assistant)
    assert names(again.search(ME, "bo and rex").photos) == ["both.png"]


def test_searching_ten_thousand_photos_takes_less_than_a_third_of_a_second(named):
    store, rows = named.store(ME), []
    (folder,) = store.folders()
    with closing(sqlite3.connect(store.path)) as db, db:
        template = db.execute(
            "SELECT width, height, gallery, labels, vector, thumbnail FROM photos WHERE id = 3"
        ).fetchone()
        for number in range(10_000):
            db.execute(
                "INSERT INTO photos (id, sha256, width, height, gallery, labels, vector, thumbnail)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (100 + number, f"{number:064x}", *template),
            )
            rows.append((f"/photos/{number}.jpg", folder.id, 1, 1, 100 + number, ""))
        db.executemany("INSERT INTO files (path, folder, size, modified, photo, error) VALUES (?, ?, ?, ?, ?, ?)", rows)
        db.execute("UPDATE revision SET number = number + 1")
    named.search(ME, "red")
    began = time.process_time()
    assert len(named.search(ME, "red without people").photos) > 5000
    assert time.process_time() - began < 0.3

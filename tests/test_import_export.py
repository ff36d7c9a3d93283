"""What is exported comes back the same; what comes from elsewhere is taken in whole, in part, or refused in words."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import sys
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from pathlib import Path

import pillow_heif
import pytest
from PIL import Image

from personal import cli, compose
from personal.concepts import Concept, ConceptEdit, Photo
from personal.errors import ImportExportError, StoreError
from personal.images import read_photo
from personal.remember import archive, import_export, import_reader
from personal.remember.library import Library
from personal.settings import Settings
from personal.ui import render
from tests.conftest import open_assistant

ME = "local"


def picture(seed: int, size: int = 32, form: str = "JPEG") -> bytes:
    pixels = hashlib.shake_256(str(seed).encode()).digest(size * size * 3)
    stream = BytesIO()
    Image.frombytes("RGB", (size, size), pixels).save(stream, form)
    return stream.getvalue()


def photo(seed: int) -> Photo:
    return read_photo(picture(seed))


def zipped(path: Path, files: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as target:
        for name, data in files.items():
            target.writestr(name, data)
    return path


def unpacked(folder: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


class Keeper:
    """An Assistant without vectors."""

    def __init__(self, library: Library) -> None:
        self.library = library

    def concepts(self, owner: str) -> list[Concept]:
        return self.library.concepts(owner)

    def remember(self, owner: str, name: str, photos: Sequence[Photo], category: str = "", info: str = "") -> Concept:
        old = self.library.lookup(owner, name)
        if old is None:
            return self.library.add(owner, name, photos, category, info)
        return self.library.revise(owner, old.id, ConceptEdit(category=category or None, info=info or None, add=photos))

    def revise(self, owner: str, concept_id: str, edit: ConceptEdit) -> Concept:
        return self.library.revise(owner, concept_id, edit)


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Library]:
    with Library(tmp_path / "home") as library:
        yield library


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Library]:
    with Library(tmp_path / "other") as library:
        yield library


def bring(library: Library, source: Path) -> list[str]:
    """Import, and return what the plan had said."""
    arrived = import_export.read(source)
    changes = import_export.plan(library, ME, arrived)
    steps = list(import_export.apply(Keeper(library), ME, arrived))
    assert steps[-1].done == steps[-1].total == sum(c.kind in {"new", "adds"} for c in changes)
    return [f"{change.name}: {change.words}" for change in changes]


def essence(library: Library) -> list[tuple[object, ...]]:
    return sorted(
        (
            c.name,
            c.category,
            c.info,
            c.avatar,
            c.attributes,
            *(tuple(v.sha256 for v in s) for s in (c.views, c.negatives)),
        )
        for c in library.concepts(ME)
    )


def fill(library: Library) -> None:
    bo = library.add(ME, "bo", [photo(1), photo(2)], "dog", "<bo> is\n“good” ✨")
    library.revise(
        ME,
        bo.id,
        ConceptEdit(
            avatar=photo(2).sha256, add_negatives=[photo(8), photo(7)], attributes=["red “collar”", "one ear up"]
        ),
    )
    library.add(ME, "北京 👩‍👩‍👧", [photo(3)], "", "")


# -- our zip ---------------------------------------------------------------------------------------------------------


def test_what_is_exported_comes_back_the_same(library: Library, other: Library, tmp_path: Path) -> None:
    fill(library)
    import_export.export(library, ME, tmp_path / "all.zip")
    assert bring(other, tmp_path / "all.zip") == ["bo: new, 2 photos", "北京 👩‍👩‍👧: new, 1 photo"]
    assert essence(other) == essence(library)
    assert bring(other, tmp_path / "all.zip") == ["bo: unchanged", "北京 👩‍👩‍👧: unchanged"]
    assert essence(other) == essence(library)


def test_an_export_is_the_same_bytes_each_time_to_a_file_and_to_a_stream(library: Library, tmp_path: Path) -> None:
    fill(library)
    import_export.export(library, ME, tmp_path / "a.zip")
    stream = BytesIO()
    import_export.export(library, ME, stream)
    assert (tmp_path / "a.zip").read_bytes() == stream.getvalue()
    assert not list(tmp_path.glob("*.tmp"))


def test_an_unpacked_or_repacked_export_is_one_too(library: Library, other: Library, tmp_path: Path) -> None:
    fill(library)
    import_export.export(library, ME, tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as packed:
        files = {f"backup/{name}": packed.read(name) for name in packed.namelist()}
    bring(other, unpacked(tmp_path / "x", files) / "backup")
    assert essence(other) == essence(library)
    other.erase(ME)
    bring(other, zipped(tmp_path / "again.zip", files))
    assert essence(other) == essence(library)


def test_an_export_that_cannot_be_written_leaves_nothing(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(library)
    with pytest.raises(ImportExportError, match="cannot be written"):
        import_export.export(library, ME, tmp_path / "nowhere" / "all.zip")
    (tmp_path / "old.zip").write_bytes(b"old")
    with monkeypatch.context() as patch:
        patch.setattr(library, "concepts", lambda owner: (_ for _ in ()).throw(StoreError("gone")))
        with pytest.raises(StoreError):
            import_export.export(library, ME, tmp_path / "old.zip")
    assert (tmp_path / "old.zip").read_bytes() == b"old"
    assert [path.name for path in tmp_path.glob("*.tmp")] == []


def test_negatives_that_cannot_be_read_are_left_out_and_of_too_many_the_newest_come_in(tmp_path: Path) -> None:
    record = {**GOOD, "negatives": ["gone", "rot", "../../x", "a", *map(str, range(30))]}
    files = {f"concepts/1/negatives/{i}.jpg": picture(100 + i) for i in range(30)}
    files |= {"concepts/1/negatives/rot.jpg": b"rot", "concepts/1/negatives/a.jpg": picture(1)}
    manifest = {"manifest.json": b'{"format": "personal", "version": 1}', "concepts/1/views/a.jpg": picture(1)}
    path = zipped(tmp_path / "x.zip", {**manifest, **files, "concepts/1/concept.json": json.dumps(record).encode()})
    [bo] = import_export.read(path)
    assert bo.negatives == tuple(photo(100 + i) for i in range(6, 30))
    record["negatives"] = record["negatives"][:6]
    path = zipped(tmp_path / "y.zip", {**manifest, **files, "concepts/1/concept.json": json.dumps(record).encode()})
    [bo] = import_export.read(path)
    assert bo.negatives == (photo(100), photo(101))
    assert len(bo.problems) == 3


def test_an_existing_concept_gains_views_and_only_what_it_lacks(
    library: Library, other: Library, tmp_path: Path
) -> None:
    fill(library)
    import_export.export(library, ME, tmp_path / "all.zip")
    other.add(ME, "Bo", [photo(2)], "", "my own words")
    assert (
        bring(other, tmp_path / "all.zip")[0]
        == "Bo: adds 1 photo, adds its category, adds its attributes, adds 2 negatives"
    )
    bo = other.find(ME, "bo")
    assert (bo.name, bo.category, bo.info, len(bo.views)) == ("Bo", "dog", "my own words", 2)
    assert bo.attributes == ("red “collar”", "one ear up")
    assert [view.sha256 for view in bo.negatives] == [photo(8).sha256, photo(7).sha256]
    assert bring(other, tmp_path / "all.zip")[0] == "Bo: unchanged"


def test_an_import_beyond_a_hundred_photos_is_refused_for_that_concept_alone(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.add(ME, "bo", [photo(1)], "", "")
    monkeypatch.setattr(import_export, "MAX_VIEWS", 2)
    files = {"bo/2.jpg": picture(2), "bo/3.jpg": picture(3), "rex/4.jpg": picture(4)}
    said = bring(library, zipped(tmp_path / "in.zip", files))
    assert said == ["bo: refused: it would have more than 2 photos", "rex: new, 1 photo"]
    assert len(library.find(ME, "bo").views) == 1


# -- RAP's database --------------------------------------------------------------------------------------------------


def rap(**records: object) -> bytes:
    return json.dumps({"concept_dict": {f"<{k}>": v for k, v in records.items()}, "path_to_concept": {}}).encode()


@pytest.mark.parametrize(
    "where", ["db/bo.png", "./db/bo.png", "bo.png", "C:\\data\\db\\bo.png", "/home/somebody/db/bo.png"]
)
def test_raps_database_comes_in_from_a_folder_its_json_or_a_zip(library: Library, tmp_path: Path, where: str) -> None:
    record = {"name": "bo", "image": where, "info": "<bo> is a Shiba Inu.", "category": "dog"}
    files = {"db/database.json": rap(bo=record), "db/bo.png": picture(1, form="PNG")}
    folder = unpacked(tmp_path / "x", files) / "db"
    for source in (folder, folder / "database.json", zipped(tmp_path / "db.zip", files)):
        [bo] = import_export.read(source)
        assert (bo.name, bo.category, bo.info, len(bo.photos)) == ("bo", "dog", "<bo> is a Shiba Inu.", 1)
    assert bring(library, folder) == ["bo: new, 1 photo"]


def test_raps_database_knows_neither_negatives_nor_attributes(tmp_path: Path) -> None:
    record = {"name": "bo", "image": "bo.jpg", "attributes": "any", "negatives": 3}
    [bo] = import_export.read(unpacked(tmp_path / "db", {"database.json": rap(bo=record), "bo.jpg": picture(1)}))
    assert (bo.name, bo.attributes, bo.negatives, bo.problems) == ("bo", (), (), ())


@pytest.mark.data
def test_raps_own_example_database_comes_in_whole(library: Library, shared_data: Path) -> None:
    folder = shared_data / "rap" / "example_database"
    said = bring(library, folder)
    database = json.loads((folder / "database.json").read_text("utf-8"))["concept_dict"]
    assert len(said) == len(database) == 10
    for record in database.values():
        concept = library.find(ME, record["name"])
        assert (concept.info, concept.category) == (record["info"], record["category"])
        assert f"<{concept.name}>" in concept.info


def test_a_photo_outside_the_database_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(picture(1, form="PNG"))
    for image in ("../secret.png", str(tmp_path / "secret.png")):
        folder = unpacked(tmp_path / "db", {"database.json": rap(bo={"image": image})})
        with pytest.raises(ImportExportError, match="None of its photos"):
            import_export.read(folder)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"3",
        b"{}",
        b'{"concept_dict": []}',
        b'{"concept_dict": {"<bo>": 3}}',
        b'{"concept_dict": {"<bo>": {"image": 3}}}',
        b'{"concept_dict": {"<bo>": {"image": [3]}}}',
        b'{"concept_dict": {"<bo>": {"image": "bo.jpg", "name": 3}}}',
        b'{"concept_dict": {"<bo>": {"image": "bo.jpg", "info": 3}}}',
        b'{"concept_dict": {"<bo>": {"image": "bo.jpg", "name": "a<b"}}}',
        b'{"concept_dict": {"<bo>": {}}}',
        b'{"concept_dict": {}}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
)
def test_a_database_of_the_wrong_shape_is_refused_in_words(tmp_path: Path, text: bytes) -> None:
    folder = unpacked(tmp_path / "db", {"database.json": text, "bo.jpg": picture(1)})
    with pytest.raises(ImportExportError):
        import_export.read(folder)


# -- folders ---------------------------------------------------------------------------------------------------------

FOLDERS = {
    "bo/1.jpg": picture(1),
    "bo/more/2.PNG": picture(2, form="PNG"),
    "rex/1.webp": picture(3, form="WEBP"),
    "rex/notes.txt": b"notes",
    "stray.jpg": picture(4),
    "__MACOSX/bo/._1.jpg": b"junk",
    "bo/.DS_Store": b"junk",
    "rex/inner.zip": b"PK",
}


def test_a_folder_of_folders_is_a_concept_each_named_by_folder(library: Library, tmp_path: Path) -> None:
    for source in (unpacked(tmp_path / "x", FOLDERS), zipped(tmp_path / "x.zip", FOLDERS)):
        arrived = import_export.read(source)
        assert [(c.name, len(c.photos)) for c in arrived] == [("bo", 2), ("rex", 1)]
        notes = " ".join(arrived[0].problems)
        assert all(name in notes for name in ("rex/notes.txt", "stray.jpg", "rex/inner.zip"))
        assert "DS_Store" not in notes
    assert bring(library, tmp_path / "x") == ["bo: new, 2 photos", "rex: new, 1 photo"]


def test_a_zip_of_a_folder_of_folders_is_one_too(tmp_path: Path) -> None:
    files = {f"my pets/{name}": data for name, data in FOLDERS.items() if name.startswith(("bo", "rex"))}
    assert [c.name for c in import_export.read(zipped(tmp_path / "x.zip", files))] == ["bo", "rex"]


def test_a_damaged_photo_is_left_out_and_listed_and_the_others_come_in(library: Library, tmp_path: Path) -> None:
    files = {
        "bo/1.jpg": picture(1),
        "bo/2.jpg": b"no picture",
        "rex/1.jpg": b"",
        "a<b/1.jpg": picture(2),
        "Bo/3.jpg": picture(3),
    }
    said = dict(line.split(": ", 1) for line in bring(library, zipped(tmp_path / "x.zip", files)))
    assert said["rex"].startswith("refused: None of its photos")
    assert said["a<b"].startswith("refused: A name cannot hold")
    assert sorted(words for name, words in said.items() if name.lower() == "bo") == [
        "new, 1 photo",
        "refused: Its name is there twice. Rename one.",
    ]
    assert len(library.concepts(ME)) == 1


def test_a_photo_torn_inside_a_zip_is_left_out_and_listed(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", {"bo/1.jpg": picture(1), "bo/2.jpg": picture(2)})
    data = bytearray(path.read_bytes())
    data[data.index(picture(2)) + 700] ^= 0xFF
    path.write_bytes(data)
    [bo] = import_export.read(path)
    assert len(bo.photos) == 1
    assert "bo/2.jpg was left out" in bo.problems[0]


def test_the_limits_of_the_settings_hold(tmp_path: Path) -> None:
    path = zipped(tmp_path / "x.zip", {"bo/1.jpg": picture(1), "bo/2.jpg": picture(2, 256)})
    [bo] = import_export.read(path, Settings(max_bytes=20_000))
    assert len(bo.photos) == 1
    assert "bo/2.jpg" in bo.problems[0]


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_links_out_of_a_folder_are_not_followed(tmp_path: Path) -> None:
    unpacked(tmp_path / "outside", {"secret.jpg": picture(9), "dir/also.jpg": picture(8)})
    folder = unpacked(tmp_path / "in", {"bo/1.jpg": picture(1)})
    (folder / "bo" / "2.jpg").symlink_to(tmp_path / "outside" / "secret.jpg")
    (folder / "rex").symlink_to(tmp_path / "outside" / "dir")
    (folder / "bo" / "3.jpg").symlink_to(folder / "bo" / "nowhere.jpg")
    (folder / "bo" / "loop").symlink_to(folder)
    [bo] = import_export.read(folder)
    assert bo.photos == (photo(1),)
    assert all(name in " ".join(bo.problems) for name in ("bo/2.jpg", "rex", "bo/3.jpg", "bo/loop"))


# -- hostile and foreign archives ------------------------------------------------------------------------------------


def _raw(path: Path, name: str) -> Path:
    """A zip whose entry is called `name` whatever zipfile thinks of it."""
    zipped(path, {"bo/1.jpg": picture(1), "X" * len(name): picture(2)})
    path.write_bytes(path.read_bytes().replace(b"X" * len(name), name.encode()))
    return path


def _link(path: Path) -> Path:
    info = zipfile.ZipInfo("bo/link.jpg")
    info.create_system, info.external_attr = 3, 0o120777 << 16
    with zipfile.ZipFile(path, "w") as target:
        target.writestr("bo/1.jpg", picture(1))
        target.writestr(info, "/etc/passwd")
    return path


def _encrypted(path: Path) -> Path:
    data = bytearray(zipped(path, {"bo/1.jpg": picture(1)}).read_bytes())
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(data)
    return path


def _truncated(path: Path) -> Path:
    data = zipped(path, {"bo/1.jpg": picture(1)}).read_bytes()
    path.write_bytes(data[: len(data) // 2])
    return path


def _twice(path: Path) -> Path:
    zipped(path, {"bo/1.jpg": picture(1), "bo/2.jpg": picture(2)})
    path.write_bytes(path.read_bytes().replace(b"bo/2.jpg", b"bo/1.jpg"))
    return path


def _lying(path: Path) -> Path:
    """Its directory understates the size: 10 bytes for a picture."""
    data = bytearray(zipped(path, {"bo/1.jpg": picture(1)}).read_bytes())
    data[data.index(b"PK\x01\x02") + 24 :][:4] = b""
    start = data.index(b"PK\x01\x02") + 24
    data[start : start + 4] = struct.pack("<I", 10)
    path.write_bytes(data)
    return path


def _bytes(data: bytes) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        path.write_bytes(data)
        return path

    return make


def _files(files: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Callable[[Path], Path]:
    return lambda path: zipped(path, files, compression)


def _ours(record: object, manifest: object = None) -> Callable[[Path], Path]:
    return _files(
        {
            "manifest.json": json.dumps(manifest or {"format": "personal", "version": 1}).encode(),
            "concepts/1/concept.json": json.dumps(record).encode(),
            "concepts/1/views/a.jpg": picture(1),
        }
    )


GOOD = {"name": "bo", "category": "", "info": "", "avatar": "a", "views": ["a"]}

HOSTILE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "parent": (lambda p: _raw(p, "../../evil.jpg"), "leads out"),
    "parent within": (lambda p: _raw(p, "bo/../../evil.jpg"), "leads out"),
    "absolute": (lambda p: _raw(p, "/etc/evil.jpg"), "leads out"),
    "drive": (lambda p: _raw(p, "C:/evil.jpg"), "leads out"),
    "backslashes": (lambda p: _raw(p, "bo\\..\\evil.jpg"), "leads out"),
    "link": (_link, "leads out"),
    "encrypted": (_encrypted, "encrypted"),
    "truncated": (_truncated, "no .zip, or a damaged one"),
    "a name twice": (_twice, "twice"),
    "lying size": (_lying, "None of its photos"),
    "empty file": (_bytes(b""), "no .zip"),
    "text": (_bytes(b"hello"), "no .zip"),
    "a picture": (_bytes(picture(1)), "no .zip"),
    "only the end": (_bytes(b"PK\x05\x06" + b"\0" * 18), "no concepts"),
    "bomb": (_files({"bo/1.jpg": b"\0" * 5_000_000}, zipfile.ZIP_DEFLATED), "unpacks to far more"),
    "bomb of json": (_files({"manifest.json": b" " * 5_000_000}, zipfile.ZIP_DEFLATED), "unpacks to far more"),
    "huge manifest": (_files({"manifest.json": b" " * (import_reader.MAX_JSON + 1)}), "larger than"),
    "no photos": (_files({"docs/readme.txt": b"hi", "src/main.py": b"pass"}), "no concepts"),
    "only stray photos": (_files({"1.jpg": picture(1)}), "no concepts"),
    "nested zip": (_files({"bo/inner.zip": b"PK\x03\x04"}), "no concepts"),
    "foreign manifest": (_ours(GOOD, {"manifest_version": 3}), "not Personal's"),
    "manifest that is a list": (_ours(GOOD, [1]), "not of a form"),
    "newer": (_ours(GOOD, {"format": "personal", "version": 2}), "newer version"),
    "version of text": (_ours(GOOD, {"format": "personal", "version": "1"}), "not Personal's"),
    "concept that is a list": (_ours([1]), "not of a form"),
    "views of numbers": (_ours({**GOOD, "views": [1]}), "list of views"),
    "views missing": (_ours({"name": "bo"}), "list of views"),
    "negatives of numbers": (_ours({**GOOD, "negatives": [1]}), "list of views"),
    "attributes that are text": (_ours({**GOOD, "attributes": "red"}), "list of short phrases"),
    "attribute of two lines": (_ours({**GOOD, "attributes": ["a\nb"]}), "one line"),
    "views that are not there": (_ours({**GOOD, "views": ["../../../x"]}), "None of its photos"),
    "name of a number": (_ours({**GOOD, "name": 7}), "must be text"),
    "name missing": (_ours({"views": ["a"]}), "must be text"),
    "name that deceives": (_ours({**GOOD, "name": "b\u202eo"}), "invisible"),
    "info too long": (_ours({**GOOD, "info": "x" * 4001}), "under 4001"),
    "info that is an object": (_ours({**GOOD, "info": {"a": 1}}), "must be text"),
    "category of two lines": (_ours({**GOOD, "category": "a\nb"}), "one line"),
    "no concept": (_files({"manifest.json": b'{"format": "personal", "version": 1}'}), "no concepts"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_or_foreign_archive_is_refused_in_words_and_nothing_changes(tmp_path: Path, case: str) -> None:
    make, words = HOSTILE[case]
    (tmp_path / "in").mkdir()
    path = make(tmp_path / "in" / "x.zip")
    with pytest.raises(ImportExportError, match=words):
        import_export.read(path)
    assert [p.name for p in tmp_path.rglob("*")] == ["in", "x.zip"]


def test_a_good_zip_of_ours_is_taken(tmp_path: Path) -> None:
    """The counterpart of the refusals above: their common ground is sound."""
    [bo] = import_export.read(_ours(GOOD)(tmp_path / "x.zip"))
    assert (bo.name, len(bo.photos), bo.avatar) == ("bo", 1, bo.photos[0].sha256)


def test_too_many_entries_or_bytes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = zipped(tmp_path / "x.zip", {f"bo/{i}.jpg": picture(i) for i in range(5)})
    folder = unpacked(tmp_path / "x", {f"bo/{i}.jpg": picture(i) for i in range(5)})
    monkeypatch.setattr(archive, "MAX_ENTRIES", 4)
    for source, words in ((path, "4 are the most"), (folder, "more than 4 files")):
        with pytest.raises(ImportExportError, match=words):
            import_export.read(source)
    monkeypatch.setattr(archive, "MAX_ENTRIES", 5)
    monkeypatch.setattr(archive, "MAX_TOTAL", 1000)
    for source in (path, folder):
        with pytest.raises(ImportExportError, match="GB"):
            import_export.read(source)


def test_a_source_that_is_not_there_is_told(tmp_path: Path) -> None:
    for name in ("nowhere.zip", "nowhere", "database.json"):
        with pytest.raises(ImportExportError, match="not there"):
            import_export.read(tmp_path / name)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImportExportError, match="no concepts"):
        import_export.read(tmp_path / "empty")


# -- what people's zips and folders are like ---------------------------------------------------------------------------


def packed(path: Path, files: dict[bytes, bytes], flags: int = 0, extra: dict[bytes, bytes] | None = None) -> Path:
    """A zip made byte by byte: names as they are given, and only the flags that are given (APPNOTE.TXT, 4.3)."""
    body, directory = b"", b""
    for name, data in files.items():
        more = (extra or {}).get(name, b"")
        what = struct.pack(
            "<HHHHHIIIHH", 20, flags, 0, 0, 33, zlib.crc32(data), len(data), len(data), len(name), len(more)
        )
        directory += (
            b"PK\1\2" + struct.pack("<H", 20) + what + struct.pack("<HHHII", 0, 0, 0, 0, len(body)) + name + more
        )
        body += b"PK\3\4" + what + name + more + data
    end = struct.pack("<HHHHIIH", 0, 0, len(files), len(files), len(directory), len(body), 0)
    path.write_bytes(body + directory + b"PK\5\6" + end)
    return path


@pytest.mark.parametrize("name", ["小白", "Zoë", "Бобик", "モチ", "🐶 Rex", "Mu\u0308sli"])
def test_names_in_utf_8_without_the_flag_are_read_as_they_are(tmp_path: Path, name: str) -> None:
    [concept] = import_export.read(packed(tmp_path / "x.zip", {f"{name}/1.jpg".encode(): picture(1)}))
    assert concept.name == unicodedata.normalize("NFC", name)
    assert concept.problems == ()


@pytest.mark.parametrize(
    ("name", "codec", "called"),
    [
        ("小白", "gbk", "GBK"),
        ("咪咪和旺财", "gbk", "GBK"),
        ("モチ", "cp932", "Shift-JIS"),
        ("たま ちゃん", "cp932", "Shift-JIS"),
        ("ソラ表", "cp932", "Shift-JIS"),
        ("東京", "cp932", "Shift-JIS"),
        ("Zoë", "cp437", "code page 437"),
        ("Müsli", "cp437", "code page 437"),
        ("Café Olé", "cp437", "code page 437"),
        ("Бобик", "cp866", "code page 866"),
        ("我的小黑", "cp950", "Big5"),
        ("강아지", "euc-kr", "EUC-KR"),
        ("우리 집 고양이", "euc-kr", "EUC-KR"),
        ("콩이", "euc-kr", "EUC-KR"),
        ("멍멍이", "cp949", "EUC-KR"),
        ("狗", "gbk", "GBK"),
        ("大黄和花花", "gbk", "GBK"),
        ("点点", "gbk", "GBK"),
    ],
)
def test_names_in_another_encoding_are_guessed_with_a_warning(
    tmp_path: Path, name: str, codec: str, called: str
) -> None:
    files = {f"{name}/1.jpg".encode(codec): picture(1), b"rex/1.jpg": picture(2)}
    arrived = import_export.read(packed(tmp_path / "x.zip", files))
    assert {concept.name for concept in arrived} == {name, "rex"}
    [warning] = [note for concept in arrived for note in concept.problems]
    assert f"were read as {called}. Check them." in warning


def test_a_name_given_again_in_utf_8_needs_no_guess(tmp_path: Path) -> None:
    raw, name = "小白/1.jpg".encode("gbk"), "小白/1.jpg".encode()
    field = struct.pack("<BI", 1, zlib.crc32(raw)) + name
    extra = {raw: struct.pack("<HH", 0x7075, len(field)) + field}
    [concept] = import_export.read(packed(tmp_path / "x.zip", {raw: picture(1)}, extra=extra))
    assert (concept.name, concept.problems) == ("小白", ())


@pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="its file names are always Unicode")
def test_a_folder_unpacked_with_garbled_names_is_read_too(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path / "in") + b"/" + "小白".encode("gbk")
    os.makedirs(folder)
    with open(folder + b"/1.jpg", "wb") as file:
        file.write(picture(1))
    [concept] = import_export.read(tmp_path / "in")
    assert concept.name == "小白"


def test_backslashes_separate_as_slashes_do(tmp_path: Path) -> None:
    files = {
        b"pets\\": b"",
        b"pets\\bo\\1.jpg": picture(1),
        b"pets\\bo\\more\\2.jpg": picture(2),
        b"pets\\rex\\1.jpg": picture(3),
    }
    arrived = import_export.read(packed(tmp_path / "x.zip", files))
    assert [(c.name, len(c.photos), c.problems) for c in arrived] == [("bo", 2, ()), ("rex", 1, ())]


def test_an_export_repacked_with_backslashes_is_one_too(library: Library, other: Library, tmp_path: Path) -> None:
    fill(library)
    import_export.export(library, ME, tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as source:
        files = {f"backup\\{name}".replace("/", "\\").encode(): source.read(name) for name in source.namelist()}
    bring(other, packed(tmp_path / "again.zip", files))
    assert essence(other) == essence(library)


@pytest.mark.parametrize(
    "name",
    [
        "..\\evil.jpg",
        "bo\\..\\..\\evil.jpg",
        "bo/..\\evil.jpg",
        "\\evil\\1.jpg",
        "\\\\server\\share\\1.jpg",
        "C:\\evil\\1.jpg",
        "c:evil\\1.jpg",
        "C:/evil/1.jpg",
        "/etc/evil/1.jpg",
        "bo/1.jpg\0/../evil.jpg",
    ],
)
@pytest.mark.parametrize("flags", [0, 0x800])
def test_no_separator_leads_out_of_a_zip(tmp_path: Path, name: str, flags: int) -> None:
    path = packed(tmp_path / "x.zip", {b"bo/1.jpg": picture(1), name.encode(): picture(2)}, flags)
    with pytest.raises(ImportExportError, match="leads out"):
        import_export.read(path)
    assert [p.name for p in tmp_path.rglob("*")] == ["x.zip"]


def test_a_file_that_is_there_with_either_separator_is_there_twice(tmp_path: Path) -> None:
    with pytest.raises(ImportExportError, match="twice"):
        import_export.read(packed(tmp_path / "x.zip", {b"bo/1.jpg": picture(1), b"bo\\1.jpg": picture(2)}))


@pytest.mark.parametrize(
    "name", ["1.jfif", "1.jpe", "1.hif", "1.mpo", "1.JFIF", "photo", "IMG_0001", "photo.dat", "1.jpg.download"]
)
@pytest.mark.parametrize("form", ["JPEG", "HEIF", "PNG", "WEBP", "AVIF", "BMP", "GIF", "TIFF"])
def test_photos_are_read_by_content_whatever_they_are_called(tmp_path: Path, name: str, form: str) -> None:
    pillow_heif.register_heif_opener()
    files = {f"bo/{name}": picture(1, form=form), "bo/notes.txt": b"BMW and II and MM", "bo/README": b"text"}
    for source in (unpacked(tmp_path / "x", files), zipped(tmp_path / "x.zip", files)):
        [bo] = import_export.read(source)
        assert len(bo.photos) == 1
        assert sorted(note.split()[0] for note in bo.problems) == ["bo/README", "bo/notes.txt"]


HIDDEN = [
    ".git",
    ".thumbnails",
    "$RECYCLE.BIN",
    "@eaDir",
    "#recycle",
    "Recycler",
    "Recycle Bin",
    "Papierkorb",
    "Corbeille",
    "FOUND.000",
    "Network Trash Folder",
    "Temporary Items",
    ".Trash-1000",
    "Thumbnails",
    "__MACOSX",
    "System Volume Information",
]


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("above", ["", "bo/", "pets/bo/"])
def test_a_systems_own_folder_is_no_concept_at_any_depth_and_is_said(tmp_path: Path, hidden: str, above: str) -> None:
    root = "pets/" if above.startswith("pets") else ""
    files = {
        f"{root}bo/1.jpg": picture(1),
        f"{root}rex/1.jpg": picture(2),
        f"{above}{hidden}/1.jpg": picture(3),
        f"{above}{hidden}/deep/2.jpg": picture(4),
    }
    for source in (unpacked(tmp_path / "x", files), zipped(tmp_path / "x.zip", files)):
        arrived = import_export.read(source)
        assert [(c.name, len(c.photos)) for c in arrived] == [("bo", 1), ("rex", 1)]
        assert arrived[0].problems == (f"{above}{hidden} was skipped: such folders hold no concepts.",)


def test_what_file_managers_leave_is_passed_over_in_silence(tmp_path: Path) -> None:
    junk = [
        "__MACOSX/bo/._1.jpg",
        "bo/.DS_Store",
        "bo/Thumbs.db",
        "DESKTOP.INI",
        "bo/._1.jpg",
        ".DS_Store",
        "bo/~$notes.docx",
    ]
    files = {"bo/1.jpg": picture(1)} | dict.fromkeys(junk, b"junk")
    for source in (unpacked(tmp_path / "x", files), zipped(tmp_path / "x.zip", files)):
        [bo] = import_export.read(source)
        assert (len(bo.photos), bo.problems) == (1, ())


def test_everything_else_that_is_left_out_is_said_in_every_form(tmp_path: Path) -> None:
    database = rap(bo={"name": "bo", "image": "bo.jpg", "info": "", "category": ""})
    files = {"database.json": database, "bo.jpg": picture(1), "stray.jpg": picture(2), "notes.txt": b"hi"}
    [bo] = import_export.read(zipped(tmp_path / "rap.zip", files))
    assert {note.split()[0] for note in bo.problems} == {"stray.jpg", "notes.txt"}
    many = {f"bo/{i}.txt": b"text" for i in range(30)} | {"bo/1.jpg": picture(1)}
    [bo] = import_export.read(zipped(tmp_path / "many.zip", many))
    assert [note.split(",")[0] for note in bo.problems] == ["30 files in bo"]
    with pytest.raises(ImportExportError, match=r"no concepts in x\.zip.*notes\.txt is no photo"):
        import_export.read(zipped(tmp_path / "x.zip", {"notes.txt": b"hi"}))


def test_the_shell_says_what_was_left_out_as_the_page_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(compose, "build", lambda knobs, *, holder="": open_assistant(knobs.data_dir))
    source = unpacked(
        tmp_path / "in", {"bo/1.jpg": picture(1), "bo/2.jpg": b"no picture", "bo/a.txt": b"", "Thumbnails/1.jpg": b"x"}
    )
    left_out = {"bo/2.jpg", "bo/a.txt", "Thumbnails"}
    assert cli.main(["--data-dir", str(tmp_path / "a"), "import", str(source), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["changes"] == [{"name": "bo", "change": "new, 1 photo"}]
    assert {note.split()[0] for note in said["notes"]} == left_out
    assert cli.main(["--data-dir", str(tmp_path / "b"), "import", str(source)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "<bo>\tnew, 1 photo"
    assert {line.split()[1] for line in lines[1:]} == left_out
    preview = render.import_preview([("bo", "new, 1 photo")], said["notes"])
    assert all(name in preview for name in left_out)


def test_a_file_managers_file_in_the_library_is_no_fault(tmp_path: Path) -> None:
    with Library(tmp_path) as library:
        bo = library.add(ME, "bo", [photo(1)])
        folder = library.path(ME, bo.id, bo.avatar).parents[1]
    for place in (tmp_path, folder.parents[2], folder.parents[1], folder.parent, folder, folder / "views"):
        for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._bo"):
            (place / name).write_bytes(b"junk")
    with Library(tmp_path) as library:
        assert library.problems() == []
        assert [c.name for c in library.concepts(ME)] == ["bo"]
        library.restore(ME, library.forget(ME, bo.id))
        assert library.problems() == []
        library.forget(ME, bo.id)
        library.empty_trash(ME)
        assert not folder.exists()


def test_what_is_odd_about_a_photo_that_came_in_is_said_too(tmp_path: Path) -> None:
    files = {"bo/1.jpg": picture(1, 64)[:-2], "bo/2.dng": b"II*\0\x10\0\0\0CR\2\0" + bytes(99), "bo/3.jpg": picture(3)}
    [bo] = import_export.read(zipped(tmp_path / "x.zip", files))
    assert len(bo.photos) == 2
    assert [note.split(":")[0] for note in bo.problems] == ["bo/1.jpg", "bo/2.dng was left out"]
    assert "no end marker" in bo.problems[0]
    assert "export it as JPEG" in bo.problems[1]

"""Concepts on disk: confirmed is kept, refused changes nothing, forgotten can be undone, erased is gone."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from personal.concepts import ConceptEdit, Photo, Preferences
from personal.errors import ConceptError, StoreError
from personal.folding import folded
from personal.remember import disk
from personal.remember.library import Library
from personal.remember.names import clean_attributes, clean_category, clean_info, clean_name
from personal.remember.record import MAX_NEGATIVES

ME = "local"


def photo(seed: int, size: int = 32) -> Photo:
    pixels = hashlib.shake_256(str(seed).encode()).digest(size * size * 3)
    stream = BytesIO()
    Image.frombytes("RGB", (size, size), pixels).save(stream, "JPEG")
    return Photo(stream.getvalue(), hashlib.sha256(stream.getvalue()).hexdigest(), size, size)


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def library(home: Path) -> Iterator[Library]:
    with Library(home) as library:
        yield library


# -- remembering -----------------------------------------------------------------------------------------------------


def test_a_restart_remembers_everything(home: Path) -> None:
    with Library(home) as library:
        bo = library.add(ME, "<bo>", [photo(1), photo(2)], "dog", "<bo> likes\nlong walks ✨ & <image>")
        library.prefer(ME, Preferences(0.4, 7))
    with Library(home) as library:
        assert library.concepts(ME) == [bo]
        assert library.find(ME, "Bo") == library.get(ME, bo.id) == bo
        assert bo.name == "bo"
        assert bo.avatar == photo(1).sha256
        assert library.photo(ME, bo.id, photo(2).sha256) == photo(2)
        assert library.preferences(ME) == Preferences(0.4, 7)
        assert library.owners() == [ME]


def test_the_disk_is_readable_without_the_app(library: Library, home: Path) -> None:
    bo = library.add(ME, "bo", [photo(1)], "dog", "a good dog")
    folder = home / "owners" / ME / "concepts" / bo.id
    record = json.loads((folder / "concept.json").read_text("utf-8"))
    assert (record["name"], record["category"], record["info"]) == ("bo", "dog", "a good dog")
    assert (folder / "views" / f"{photo(1).sha256}.jpg").read_bytes() == photo(1).jpeg
    assert json.loads((home / "library.json").read_text()) == {"schema": 2, "id": library.id}
    assert library.path(ME, bo.id, photo(1).sha256) == folder / "views" / f"{photo(1).sha256}.jpg"


def test_nothing_a_person_wrote_is_in_a_path(library: Library, home: Path) -> None:
    library.add(ME, "../../etc/passwd", [photo(1)], "../x", "..")
    library.forget(ME, library.add(ME, "nul:con", [photo(2)], "", "").id)
    assert not [path for path in home.rglob("*") if "passwd" in path.name or "nul" in path.name]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
def test_only_the_user_can_read_the_files(library: Library, home: Path) -> None:
    library.add(ME, "bo", [photo(1)], "", "")
    for path in [home, *home.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_the_same_photo_twice_is_one_view(library: Library) -> None:
    bo = library.add(ME, "bo", [photo(1), photo(1)], "", "")
    assert len(bo.views) == 1
    assert library.revise(ME, bo.id, ConceptEdit(add=[photo(1)])) == bo


def test_concepts_come_oldest_first_then_by_name(library: Library) -> None:
    names = ["zoe", "adam", "mia"]
    for i, name in enumerate(names):
        library.add(ME, name, [photo(i)], "", "")
    listed = library.concepts(ME)
    assert listed == sorted(listed, key=lambda c: (c.created, c.name))
    assert {c.name for c in listed} == set(names)


def test_a_concept_without_photos_or_with_too_many_is_refused(library: Library, home: Path) -> None:
    before = files(home)
    with pytest.raises(ConceptError, match="at least one photo"):
        library.add(ME, "bo", [], "", "")
    with pytest.raises(ConceptError, match="at most 100"):
        library.add(ME, "bo", [photo(i, 8) for i in range(101)], "", "")
    assert files(home) == before


def test_owners_never_meet(library: Library) -> None:
    bo = library.add("anna", "bo", [photo(1)], "", "")
    assert library.concepts("bert") == []
    with pytest.raises(ConceptError):
        library.get("bert", bo.id)
    library.add("bert", "bo", [photo(2)], "", "")
    library.erase("bert")
    assert library.concepts("anna") == [bo]


@pytest.mark.parametrize("owner", ["", "..", "a/b", "A", "a" * 65, "ä", "a\n"])
def test_an_owner_that_could_leave_the_folder_is_refused(library: Library, owner: str) -> None:
    with pytest.raises(StoreError, match="owner"):
        library.add(owner, "bo", [photo(1)], "", "")


# -- names -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("  bo ", "bo"),
        ("<bo>", "bo"),
        (" < bo > ", "bo"),
        ("Chùa Thiên Mụ", "Chùa Thiên Mụ"),
        ("Zoe\u0308", "Zoë"),
        ("北京", "北京"),
        ("محمد", "محمد"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("👩‍👩‍👧‍👦", "👩‍👩‍👧‍👦"),
        ("❤️", "❤️"),
        ("🏴󠁧󠁢󠁥󠁮󠁧󠁿", "🏴󠁧󠁢󠁥󠁮󠁧󠁿"),
        ("क्षि", "क्षि"),
        ("!?", "!?"),
        ("x" * 64, "x" * 64),
        ("<" + "x" * 64 + ">", "x" * 64),
        ("a & b's", "a & b's"),
    ],
)
def test_names_of_any_script_are_kept(written: str, stored: str) -> None:
    assert clean_name(written) == stored


@pytest.mark.parametrize(
    "name",
    [
        "",
        "   ",
        "<>",
        "< >",
        "<<bo>>",
        "b<o",
        "bo>",
        "＜bo",
        "b\no",
        "b\to",
        "b\0o",
        "b\x7fo",
        "b\u2028o",
        "b\u202eo",
        "b\u200bo",
        "b\u2066o",
        "b\u00ado",
        "\ufeffbo",
        "b\ud800o",
        "\u200d",
        "\ufe0f",
        "\u3164",
        "b\u2800o",
        "\u0301",
        "b\U000e0041o",
        "b\ufffeo",
        "x" * 65,
        7,
        None,
    ],
)
def test_names_that_deceive_or_are_none_are_refused(library: Library, home: Path, name: str) -> None:
    before = files(home)
    with pytest.raises(ConceptError, match=r"name|Shorten"):
        library.add(ME, name, [photo(1)], "", "")
    assert files(home) == before


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("bo", "Bo"),
        ("bo", "<BO>"),
        ("straße", "STRASSE"),
        ("Zoë", "Zoe\u0308"),
        ("bo", "ｂｏ"),
        ("bo", "b\u200do"),
        ("a b", "a  b"),
    ],
)
def test_a_name_is_taken_whatever_its_case_width_or_joiners(library: Library, one: str, other: str) -> None:
    first = library.add(ME, one, [photo(1)], "", "")
    second = library.add(ME, "other", [photo(2)], "", "")
    assert folded(clean_name(one)) == folded(clean_name(other))
    with pytest.raises(ConceptError, match="already exists"):
        library.add(ME, other, [photo(3)], "", "")
    with pytest.raises(ConceptError, match="already exists"):
        library.revise(ME, second.id, ConceptEdit(name=other))
    assert library.lookup(ME, other) == first
    assert len(library.concepts(ME)) == 2


def test_a_concept_may_change_the_case_of_its_own_name(library: Library) -> None:
    bo = library.add(ME, "bo", [photo(1)], "", "")
    assert library.revise(ME, bo.id, ConceptEdit(name="Bo")).name == "Bo"
    library.revise(ME, bo.id, ConceptEdit(name="rex"))
    assert library.lookup(ME, "bo") is None
    library.add(ME, "bo", [photo(2)], "", "")


def test_a_name_nobody_has_is_told_with_what_was_perhaps_meant(library: Library) -> None:
    library.add(ME, "butin", [photo(1)], "", "")
    with pytest.raises(ConceptError, match="Did you mean <butin>"):
        library.find(ME, "buttin")


def test_info_holds_anything_but_what_is_no_text() -> None:
    assert clean_info("<|im_end|>\r\n\t<image> \u202e 👩‍👩‍👧") == "<|im_end|>\r\n\t<image> \u202e 👩‍👩‍👧"
    for bad in ("a\0b", "a\ud800", "x" * 4001, 3):
        with pytest.raises(ConceptError):
            clean_info(bad)


def test_a_category_is_one_short_line() -> None:
    assert clean_category("  plush toy ") == "plush toy"
    assert clean_category("") == ""
    for bad in ("a\nb", "x" * 65, None, "a\ud800"):
        with pytest.raises(ConceptError):
            clean_category(bad)


def test_attributes_are_a_few_short_lines() -> None:
    assert clean_attributes(["  red collar ", "", "Red  collar", "one ear up 🐕"]) == ("Red  collar", "one ear up 🐕")
    assert clean_attributes(()) == ()
    for bad in ("red", None, {"a": 1}, ["a\nb"], ["a\0"], ["\ud800"], ["x" * 121], [3], [str(i) for i in range(13)]):
        with pytest.raises(ConceptError):
            clean_attributes(bad)


# -- revising --------------------------------------------------------------------------------------------------------


def test_an_edit_changes_what_is_given_and_leaves_the_rest(library: Library, home: Path) -> None:
    bo = library.add(ME, "bo", [photo(1), photo(2)], "dog", "old")
    new = library.revise(ME, bo.id, ConceptEdit(info="new", add=[photo(3)], remove=[photo(1).sha256]))
    assert (new.id, new.name, new.category, new.info, new.created) == (bo.id, "bo", "dog", "new", bo.created)
    assert [v.sha256 for v in new.views] == [photo(2).sha256, photo(3).sha256]
    assert new.avatar == photo(2).sha256
    assert {p.stem for p in home.rglob("*.jpg")} == {photo(2).sha256, photo(3).sha256}
    assert library.revise(ME, bo.id, ConceptEdit(avatar=photo(3).sha256)).avatar == photo(3).sha256
    assert Library(home, read_only=True).concepts(ME) == library.concepts(ME)


def test_an_edit_that_is_refused_changes_nothing(library: Library, home: Path) -> None:
    bo = library.add(ME, "bo", [photo(1)], "", "")
    before = files(home)
    for wrong in (
        {"remove": [photo(1).sha256]},
        {"remove": [photo(9).sha256]},
        {"avatar": photo(9).sha256},
        {"name": "", "add": [photo(2)]},
        {"info": "\0", "add": [photo(2)]},
        {"add": [photo(i, 8) for i in range(10, 110)]},
    ):
        with pytest.raises(ConceptError):
            library.revise(ME, bo.id, ConceptEdit(**wrong))
    assert library.get(ME, bo.id) == bo
    assert files(home) == before


def test_all_photos_can_be_replaced_in_one_edit_but_the_last_not_removed(library: Library) -> None:
    bo = library.add(ME, "bo", [photo(1)], "", "")
    assert library.revise(ME, bo.id, ConceptEdit(add=[photo(2)], remove=[photo(1).sha256])).avatar == photo(2).sha256
    with pytest.raises(ConceptError, match="forget the concept instead"):
        library.revise(ME, bo.id, ConceptEdit(remove=[photo(2).sha256]))
    same = library.revise(ME, bo.id, ConceptEdit(add=[photo(2)], remove=[photo(2).sha256]))
    assert library.photo(ME, bo.id, same.avatar) == photo(2)


def test_a_damaged_photo_is_told(library: Library) -> None:
    bo = library.add(ME, "bo", [photo(1)], "", "")
    library.path(ME, bo.id, bo.avatar).write_bytes(b"rot")
    with pytest.raises(StoreError, match="damaged"):
        library.photo(ME, bo.id, bo.avatar)


@pytest.mark.parametrize(
    ("number", "words"), [(errno.ENOSPC, "full"), (errno.EACCES, "permissions"), (errno.EIO, "disk")]
)
def test_a_failing_disk_is_told_and_nothing_is_half_written(
    library: Library, home: Path, monkeypatch: pytest.MonkeyPatch, number: int, words: str
) -> None:
    bo = library.add(ME, "bo", [photo(1)], "dog", "")
    before = files(home)

    def fail(path: Path, value: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(disk, "write_json", fail)
        with pytest.raises(StoreError, match=words):
            library.add(ME, "rex", [photo(2)], "", "")
        with pytest.raises(StoreError, match=words):
            library.revise(ME, bo.id, ConceptEdit(name="bob", add=[photo(3)], remove=[photo(1).sha256]))
    assert library.concepts(ME) == [bo]
    assert files(home) == before


# -- what it is not, and what it is known by -------------------------------------------------------------------------


def shas(pictures) -> list[str]:
    return [picture.sha256 for picture in pictures]


def test_negatives_and_attributes_are_remembered_beside_the_views(home: Path) -> None:
    with Library(home) as library:
        bo = library.add(ME, "bo", [photo(1)], "dog", "", ["one ear up"])
        bo = library.revise(
            ME, bo.id, ConceptEdit(add_negatives=[photo(3), photo(2), photo(3)], attributes=[" red collar "])
        )
        assert library.revise(ME, bo.id, ConceptEdit(add_negatives=[photo(2)])) == bo
    with Library(home) as library:
        assert library.concepts(ME) == [bo]
        assert (shas(bo.views), shas(bo.negatives)) == ([photo(1).sha256], [photo(3).sha256, photo(2).sha256])
        assert bo.attributes == ("red collar",)
        assert library.photo(ME, bo.id, photo(2).sha256) == photo(2)
        folder = home / "owners" / ME / "concepts" / bo.id
        assert library.path(ME, bo.id, photo(2).sha256) == folder / "negatives" / f"{photo(2).sha256}.jpg"
        after = library.revise(ME, bo.id, ConceptEdit(remove_negatives=[photo(3).sha256], attributes=[]))
        assert (shas(after.negatives), after.attributes) == ([photo(2).sha256], ())
        assert shas(after.views) == shas(bo.views)
        assert [p.stem for p in (folder / "negatives").iterdir()] == [photo(2).sha256]
        with pytest.raises(ConceptError, match="no longer there"):
            library.revise(ME, bo.id, ConceptEdit(remove_negatives=[photo(3).sha256]))
        with pytest.raises(ConceptError, match="no longer there"):
            library.photo(ME, bo.id, photo(3).sha256)


def test_of_too_many_negatives_the_oldest_go(library: Library, home: Path) -> None:
    bo = library.add(ME, "bo", [photo(1)])
    for seed in range(100, 100 + MAX_NEGATIVES):
        library.revise(ME, bo.id, ConceptEdit(add_negatives=[photo(seed, 8)]))
    bo = library.revise(ME, bo.id, ConceptEdit(add_negatives=[photo(200, 8), photo(201, 8)]))
    newest = [photo(seed, 8).sha256 for seed in (*range(102, 100 + MAX_NEGATIVES), 200, 201)]
    assert shas(bo.negatives) == newest
    assert {p.stem for p in home.rglob("negatives/*.jpg")} == set(newest)


def test_a_photo_is_a_view_or_a_negative_and_the_last_word_counts(library: Library, home: Path) -> None:
    bo = library.add(ME, "bo", [photo(1)])
    before = files(home)
    for wrong in ({"add_negatives": [photo(1)]}, {"add": [photo(2)], "add_negatives": [photo(2)]}):
        with pytest.raises(ConceptError, match="photos of <bo> itself"):
            library.revise(ME, bo.id, ConceptEdit(**wrong))
    assert files(home) == before
    library.revise(ME, bo.id, ConceptEdit(add_negatives=[photo(2)]))
    bo = library.revise(ME, bo.id, ConceptEdit(add=[photo(2)]))
    assert (shas(bo.views), bo.negatives) == ([photo(1).sha256, photo(2).sha256], ())
    assert {p.parent.name for p in home.rglob("*.jpg")} == {"views"}
    bo = library.revise(ME, bo.id, ConceptEdit(remove=[photo(2).sha256], add_negatives=[photo(2)]))
    assert (shas(bo.views), shas(bo.negatives)) == ([photo(1).sha256], [photo(2).sha256])
    assert library.photo(ME, bo.id, photo(2).sha256) == photo(2)


def test_negatives_go_to_the_trash_come_back_and_are_erased_with_their_concept(library: Library, home: Path) -> None:
    bo = library.add(ME, "bo", [photo(1)], attributes=["SECRET mark"])
    bo = library.revise(ME, bo.id, ConceptEdit(add_negatives=[photo(2)]))
    assert library.restore(ME, library.forget(ME, bo.id)) == bo
    assert library.photo(ME, bo.id, photo(2).sha256) == photo(2)
    library.forget(ME, bo.id)
    library.empty_trash(ME)
    assert not list(home.rglob("*.jpg"))
    assert not any(b"SECRET" in data for data in files(home).values())


def test_a_negative_that_cannot_be_written_changes_nothing(
    library: Library, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bo = library.revise(ME, library.add(ME, "bo", [photo(1)]).id, ConceptEdit(add_negatives=[photo(2)]))
    before = files(home)

    def fail(path: Path, value: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(disk, "write_json", fail)
        with pytest.raises(StoreError, match="full"):
            library.revise(ME, bo.id, ConceptEdit(add_negatives=[photo(3)], remove_negatives=[photo(2).sha256]))
    assert library.concepts(ME) == [bo]
    assert files(home) == before


def test_start_up_removes_negatives_that_were_never_confirmed(home: Path) -> None:
    with Library(home) as library:
        bo = library.revise(ME, library.add(ME, "bo", [photo(1)]).id, ConceptEdit(add_negatives=[photo(2)]))
        folder = home / "owners" / ME / "concepts" / bo.id
    (folder / "negatives" / f"{photo(3).sha256}.jpg").write_bytes(photo(3).jpeg)
    (folder / "negatives" / f"{photo(4).sha256}.jpg.tmp").write_bytes(b"half")
    (folder / "negatives" / f"{photo(1).sha256}.jpg").write_bytes(photo(1).jpeg)
    with Library(home) as library:
        assert library.concepts(ME) == [bo]
        assert [p.name for p in (folder / "negatives").iterdir()] == [f"{photo(2).sha256}.jpg"]
        (folder / "negatives" / f"{photo(2).sha256}.jpg").unlink()
        assert "1 of its 2 photos are missing" in library.problems()[0]


def test_a_library_of_an_older_version_is_read_and_becomes_one_of_this(home: Path) -> None:
    with Library(home) as library:
        bo = library.add(ME, "bo", [photo(1)], "dog", "info")
    path = home / "owners" / ME / "concepts" / bo.id / "concept.json"
    old = {key: value for key, value in json.loads(path.read_text()).items() if key not in {"negatives", "attributes"}}
    path.write_text(json.dumps({**old, "schema": 1}))
    (home / "library.json").write_text('{"schema": 1}')
    with Library(home, read_only=True) as library:
        assert library.concepts(ME) == [bo]
    assert json.loads((home / "library.json").read_text()) == {"schema": 1}
    with Library(home) as library:
        assert library.concepts(ME) == [bo]
        assert json.loads((home / "library.json").read_text())["schema"] == 2
        assert json.loads(path.read_text())["schema"] == 1
        library.revise(ME, bo.id, ConceptEdit(add_negatives=[photo(2)]))
        assert json.loads(path.read_text())["schema"] == 2


def test_the_shell_shows_attributes_and_how_many_negatives(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from personal import cli

    with Library(home) as library:
        bo = library.add(ME, "bo", [photo(1)], "dog", "info", ["one ear up"])
        library.revise(ME, bo.id, ConceptEdit(add_negatives=[photo(2), photo(3)]))
    assert cli.main(["--data-dir", str(home), "show", "bo", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["attributes"], shown["negatives"], shown["views"], len(shown["files"])) == (["one ear up"], 2, 1, 1)
    assert cli.main(["--data-dir", str(home), "show", "bo"]) == 0
    assert "one ear up" in capsys.readouterr().out


# -- forgetting ------------------------------------------------------------------------------------------------------


def test_a_forgotten_concept_is_gone_and_can_be_brought_back(library: Library, home: Path) -> None:
    bo = library.add(ME, "bo", [photo(1)], "dog", "info")
    token = library.forget(ME, bo.id)
    assert library.concepts(ME) == []
    assert library.lookup(ME, "bo") is None
    [item] = library.trash(ME)
    assert (item.token, item.concept) == (token, bo)
    assert abs(item.forgotten_at - os.path.getctime(home / "owners" / ME / "trash" / token)) < 5
    assert library.restore(ME, token) == bo
    assert library.trash(ME) == []
    assert library.find(ME, "bo") == bo
    with pytest.raises(ConceptError, match="no longer be brought back"):
        library.restore(ME, token)


def test_a_forgotten_concept_whose_name_was_taken_comes_back_under_another(library: Library) -> None:
    bo = library.add(ME, "bo", [photo(1)], "", "")
    token = library.forget(ME, bo.id)
    library.add(ME, "Bo", [photo(2)], "", "")
    library.add(ME, "bo-2", [photo(3)], "", "")
    back = library.restore(ME, token)
    assert (back.id, back.name) == (bo.id, "bo-3")
    assert library.find(ME, "bo-3") == back


@pytest.mark.parametrize("token", ["", "..", "../concepts", "0" * 32, "x"])
def test_a_token_that_is_none_brings_nothing_back(library: Library, token: str) -> None:
    library.forget(ME, library.add(ME, "bo", [photo(1)], "", "").id)
    with pytest.raises(ConceptError):
        library.restore(ME, token)
    assert len(library.trash(ME)) == 1


def test_emptying_the_trash_erases_only_what_is_old_enough(library: Library, home: Path) -> None:
    library.forget(ME, library.add(ME, "bo", [photo(1)], "", "SECRET").id)
    library.empty_trash(ME, 3600)
    assert len(library.trash(ME)) == 1
    library.empty_trash(ME)
    assert library.trash(ME) == []
    assert not [path for path in home.rglob("*.jpg")]
    assert not any(b"SECRET" in data for data in files(home).values())


def test_erasing_an_owner_leaves_nothing_of_it(library: Library, home: Path) -> None:
    library.add(ME, "bo", [photo(1)], "", "")
    library.forget(ME, library.add(ME, "rex", [photo(2)], "", "").id)
    library.prefer(ME, Preferences(0.5))
    library.erase(ME)
    assert library.owners() == []
    assert library.concepts(ME) == []
    assert library.preferences(ME) == Preferences()
    assert set(files(home)) == {"library.json", "lock", "holder.json"}
    library.erase(ME)
    library.add(ME, "bo", [photo(1)], "", "")
    assert len(library.concepts(ME)) == 1


@pytest.mark.parametrize(
    "wishes", [Preferences(2.0), Preferences(float("nan")), Preferences(top_k=0), Preferences(top_k=21)]
)
def test_wishes_that_make_no_sense_are_refused(library: Library, wishes: Preferences) -> None:
    with pytest.raises(ConceptError):
        library.prefer(ME, wishes)
    assert library.preferences(ME) == Preferences()


# -- after a crash, and after other people's hands ---------------------------------------------------------------------


def test_start_up_removes_what_an_interrupted_write_left(home: Path) -> None:
    with Library(home) as library:
        bo = library.add(ME, "bo", [photo(1)], "", "")
        clean = {k: v for k, v in files(home).items() if k not in {"lock", "holder.json"}}
    concepts = home / "owners" / ME / "concepts"
    (concepts / ("a" * 32) / "views").mkdir(parents=True)
    (concepts / ("a" * 32) / "views" / f"{photo(2).sha256}.jpg").write_bytes(photo(2).jpeg)
    (concepts / bo.id / "views" / f"{photo(3).sha256}.jpg").write_bytes(photo(3).jpeg)
    (concepts / bo.id / "views" / f"{photo(4).sha256}.jpg.tmp").write_bytes(b"half")
    (concepts / bo.id / "concept.json.tmp").write_bytes(b"{")
    (home / "owners" / ME / "preferences.json.tmp").write_bytes(b"{")
    (home / "gone" / "x" / "concepts").mkdir(parents=True)
    (home / "gone" / "x" / "concepts" / "f").write_bytes(b"SECRET")
    with Library(home, read_only=True) as library:
        assert library.concepts(ME) == [bo]
        assert (home / "gone" / "x").exists()
    with Library(home) as library:
        assert library.concepts(ME) == [bo]
        assert {k: v for k, v in files(home).items() if k not in {"lock", "holder.json"}} == clean


def _no_json(folder: Path) -> None:
    (folder / "concept.json").write_text("{")


def _empty(folder: Path) -> None:
    (folder / "concept.json").write_text("")


def _other_shape(folder: Path) -> None:
    (folder / "concept.json").write_text('[{"name": 3}]')


def _not_utf8(folder: Path) -> None:
    (folder / "concept.json").write_bytes(b"\xff\xfe\x00")


def _photo_lost(folder: Path) -> None:
    next((folder / "views").iterdir()).unlink()


def _edited(**change: object):
    def harm(folder: Path) -> None:
        record = json.loads((folder / "concept.json").read_text())
        (folder / "concept.json").write_text(json.dumps({**record, **change}))

    harm.__name__ = "_".join(["edited", *change])
    return harm


@pytest.mark.parametrize(
    "harm",
    [
        _no_json,
        _empty,
        _other_shape,
        _not_utf8,
        _photo_lost,
        _edited(name="REX"),
        _edited(name="a<b"),
        _edited(info=None),
        _edited(views=[]),
        _edited(views=7),
        _edited(views=[{"sha256": "../../x", "width": 1, "height": 1}]),
        _edited(avatar="x"),
        _edited(id="../x"),
        _edited(schema=3),
        _edited(schema="2"),
        _edited(attributes="red"),
        _edited(attributes=["a\nb"]),
        _edited(attributes=None),
        _edited(negatives=None),
        _edited(negatives=[{"sha256": "0" * 64, "width": 1, "height": 1}]),
        _edited(created="yesterday"),
    ],
    ids=lambda harm: harm.__name__,
)
def test_a_damaged_concept_is_skipped_and_told_but_never_deleted(home: Path, harm) -> None:
    with Library(home) as library:
        rex = library.add(ME, "rex", [photo(1)], "", "")
        bo = library.add(ME, "bo", [photo(2)], "", "")
    folder = home / "owners" / ME / "concepts" / bo.id
    harm(folder)
    before = files(folder)
    with Library(home) as library:
        kept = library.concepts(ME)
        assert len(kept) == 1
        assert rex in kept or harm.__name__ == "edited_name"
        [problem] = library.problems()
        assert "skipped" in problem
        assert files(folder) == before


def test_damaged_preferences_count_as_none_and_are_told(home: Path) -> None:
    with Library(home) as library:
        library.prefer(ME, Preferences(0.5))
        (home / "owners" / ME / "preferences.json").write_text('{"threshold": "high"}')
        assert library.preferences(ME) == Preferences()
        assert "preferences.json" in library.problems()[0]


def test_a_library_of_a_newer_version_is_refused_and_left_alone(home: Path) -> None:
    with Library(home) as library:
        library.add(ME, "bo", [photo(1)], "", "")
    (home / "library.json").write_text('{"schema": 3}')
    before = files(home)
    for read_only in (False, True):
        with pytest.raises(StoreError, match="newer version"):
            Library(home, read_only=read_only)
    assert {k: v for k, v in files(home).items() if k != "holder.json"} == {
        k: v for k, v in before.items() if k != "holder.json"
    }


def test_a_data_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="file"):
        Library(tmp_path / "file" / "home")


# -- one process at a time -------------------------------------------------------------------------------------------


def test_a_second_opening_names_the_holder_and_may_only_read(home: Path, library: Library) -> None:
    bo = library.add(ME, "bo", [photo(1)], "", "")
    with pytest.raises(StoreError, match=rf"in use by process {os.getpid()} \(the app\)"):
        Library(home, holder="the shell")
    with Library(home, read_only=True) as reader:
        assert reader.concepts(ME) == [bo]
        for write in (
            lambda: reader.add(ME, "rex", [photo(2)], "", ""),
            lambda: reader.forget(ME, bo.id),
            lambda: reader.erase(ME),
        ):
            with pytest.raises(StoreError, match="reading only"):
                write()


def test_another_process_is_named_and_its_death_frees_the_folder(home: Path) -> None:
    code = (
        "from personal.remember.library import Library; from pathlib import Path; "
        f"library = Library(Path({str(home)!r}), holder='another'); print('held', flush=True); input()"
    )
    other = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert other.stdout is not None
    assert other.stdout.readline().strip() == b"held"
    with pytest.raises(StoreError, match=rf"process {other.pid} \(another\)"):
        Library(home)
    other.kill()
    other.communicate()
    Library(home).close()


def test_a_read_only_library_makes_nothing(home: Path) -> None:
    with Library(home, read_only=True) as library:
        assert library.concepts(ME) == []
        assert library.owners() == []
        assert library.problems() == []
    assert not home.exists()


def test_after_closing_nothing_is_written(home: Path) -> None:
    library = Library(home)
    library.close()
    library.close()
    with pytest.raises(StoreError):
        library.add(ME, "bo", [photo(1)], "", "")


def test_threads_may_add_and_read_at_once(library: Library) -> None:
    def work(k: int) -> None:
        for i in range(5):
            library.add(ME, f"c{k}-{i}", [photo(10 * k + i)], "", "")
            library.concepts(ME)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(6)))
    assert {c.name for c in library.concepts(ME)} == {f"c{k}-{i}" for k in range(6) for i in range(5)}


def test_a_concept_is_parsed_once_however_often_it_is_asked_for(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from personal.remember import record

    with Library(home) as library:
        library.add(ME, "bo", [photo(1)], "", "")
    with Library(home) as library:
        reads: list[str] = []
        read = record.read
        monkeypatch.setattr(record, "read", lambda folder, cid: reads.append(cid) or read(folder, cid))
        for _ in range(3):
            library.concepts(ME)
            library.find(ME, "bo")
        library.add(ME, "rex", [photo(2)], "", "")
        assert len(library.concepts(ME)) == 2
        assert len(reads) == 1


# -- what is wrong on the disk -----------------------------------------------------------------------------------------


def test_folders_of_an_existing_data_folder_are_shut_for_others(tmp_path):
    folder = tmp_path / "data"
    with Library(folder) as library:
        library.add(ME, "bo", [photo(1)])
    (folder / "index" / "store-1").mkdir(parents=True)
    every = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
    for path in every:
        path.chmod(0o755)
    with Library(folder) as library:
        assert [concept.name for concept in library.concepts(ME)] == ["bo"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in every} == {0o700}


def test_a_folder_that_holds_more_than_the_library_stays_open_to_others(tmp_path):
    (tmp_path / "somebody's").mkdir(mode=0o755)
    tmp_path.chmod(0o755)
    Library(tmp_path).close()
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path, tmp_path / "somebody's")} == {0o755}
    assert stat.S_IMODE((tmp_path / "library.json").stat().st_mode) == 0o600


def test_what_is_damaged_is_logged_and_listed_when_it_is_read(tmp_path, caplog):
    with Library(tmp_path) as library:
        bo = library.add(ME, "bo", [photo(1)])
        cup = library.add(ME, "cup", [photo(2)])
        broken = library.path(ME, bo.id, bo.avatar).parents[1] / "concept.json"
        library.path(ME, cup.id, cup.avatar).write_bytes(b"not a picture")
    broken.write_text("{", encoding="utf-8")
    with Library(tmp_path) as library:
        assert [concept.name for concept in library.concepts(ME)] == ["cup"]
        (words,) = library.damaged(ME)
        assert bo.id in words
        assert words in caplog.text
        for _ in range(2):
            with pytest.raises(StoreError, match="<cup> is damaged"):
                library.photo(ME, cup.id, cup.avatar)
        path = str(library.path(ME, cup.id, cup.avatar))
        assert caplog.text.count(path) == 1
    assert "cup" not in caplog.text

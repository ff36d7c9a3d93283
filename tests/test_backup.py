"""Backups: taken while concepts change, whole or not at all, and put back elsewhere for another encoder."""

from __future__ import annotations

import json
import threading
import warnings
import zipfile
from types import SimpleNamespace

import numpy as np
import pytest

from personal import cli
from personal.concepts import ConceptEdit, Preferences, Turn
from personal.conversations import Conversation, Entry
from personal.errors import ImportExportError, PersonalError, StoreError
from personal.remember.backup import MANIFEST, back_up, restore
from personal.remember.library import Library
from personal.remember.users import Users
from tests import conftest
from tests.conftest import BLUE, GREEN, RED, open_assistant, picture

ME, ANNA, GUEST = "local", "user-0a1b", "visitor-0a1b"


@pytest.fixture
def kept(tmp_path):
    """A library of the machine's owner, a user and a guest, with all that can be kept."""
    with open_assistant(tmp_path / "data") as assistant:
        bo = assistant.remember(ME, "bo", [picture(RED), picture(RED, dot=1)], "dog", "Loves the beach.")
        assistant.disown(ME, bo.id, picture(BLUE), (0.0, 0.0, 1.0, 1.0))
        gone = assistant.remember(ME, "gone", [picture(GREEN)])
        assistant.forget(ME, gone.id)
        assistant.library.prefer(ME, Preferences(top_k=7))
        for owner in (ANNA, GUEST):
            assistant.remember(owner, "mia", [picture(GREEN)])
        talk = Conversation(entries=[Entry(Turn("Who is here?", (picture(RED),)))])
        assistant.library.conversations(ANNA).save(talk)
        Users(tmp_path / "data").add("anna", "correct horse")
        yield assistant


def everything(library, owner):
    concepts = [(one.name, one.info, one.views, one.negatives, one.avatar) for one in library.concepts(owner)]
    return concepts, [talk.words for talk in library.conversations(owner).all()], library.preferences(owner)


def test_a_backup_brings_everything_that_lasts_to_another_folder_and_no_guest_or_trash(kept, tmp_path):
    made = back_up(kept.library, tmp_path / "all.zip")
    assert (made.owners, made.concepts, made.conversations) == (2, 2, 1)
    assert (tmp_path / "all.zip").stat().st_mode & 0o077 == 0
    assert restore(tmp_path / "all.zip", tmp_path / "new") == made
    with open_assistant(tmp_path / "new") as there:
        for owner in (ME, ANNA):
            assert everything(there.library, owner) == everything(kept.library, owner)
        assert there.library.owners() == [ME, ANNA]
        assert there.library.trash(ME) == []
        assert there.library.id != kept.library.id, "both may share an index server"
        assert there.look(ME, picture(RED)).matches[0].concept.name == "bo"
    assert Users(tmp_path / "new").check("anna", "correct horse")


def test_another_encoder_knows_what_was_restored(kept, tmp_path, monkeypatch):
    back_up(kept.library, tmp_path / "all.zip")
    restore(tmp_path / "all.zip", tmp_path / "new")

    class Reversed(conftest.MeanColour):
        id = "reversed"

        def embed(self, images):
            return np.ascontiguousarray(super().embed(images)[:, ::-1])

    monkeypatch.setattr(conftest, "MeanColour", Reversed)
    with open_assistant(tmp_path / "new") as there:
        assert there.index.count(ME) == 3
        assert there.look(ANNA, picture(GREEN)).matches[0].concept.name == "mia"


def test_what_changes_while_a_backup_is_taken_is_in_it_as_it_was_at_one_moment(kept, tmp_path):
    (bo,) = kept.concepts(ME)
    stop, failed = threading.Event(), []

    def change():
        number = 0
        while not stop.is_set():
            number += 1
            edit = ConceptEdit(info=f"{number}", add=[picture(RED, dot=number % 60)])
            try:
                changed = kept.revise(ME, bo.id, edit)
                kept.revise(ME, bo.id, ConceptEdit(remove=[changed.views[0].sha256]))
                other = kept.remember(ME, "other", [picture(BLUE, dot=number % 60)])
                kept.forget(ME, other.id)
            except PersonalError as error:
                failed.append(error)

    worker = threading.Thread(target=change, daemon=True)
    worker.start()
    try:
        for number in range(4):
            with Library(tmp_path / "data", read_only=True) as reader:
                back_up(reader, tmp_path / f"{number}.zip")
    finally:
        stop.set()
        worker.join()
    assert failed == []
    for number in range(4):
        restore(tmp_path / f"{number}.zip", tmp_path / f"new{number}")
        with Library(tmp_path / f"new{number}") as library:
            assert library.problems() == []
            for concept in library.concepts(ME):
                for view in (*concept.views, *concept.negatives):
                    assert library.photo(ME, concept.id, view.sha256)


def test_a_backup_is_not_put_over_a_library_nor_beside_a_running_app(kept, tmp_path):
    back_up(kept.library, tmp_path / "all.zip")
    with pytest.raises(StoreError, match="in use by process"):
        restore(tmp_path / "all.zip", tmp_path / "data")
    with open_assistant(tmp_path / "other") as other:
        other.remember(ME, "bo", [picture(RED)])
    with pytest.raises(StoreError, match="holds a library already"):
        restore(tmp_path / "all.zip", tmp_path / "other")


def rewritten(source, target, change):
    """A backup with another content: `change` gets name → bytes."""
    with zipfile.ZipFile(source) as archive:
        content = [(entry.filename, archive.read(entry)) for entry in archive.infolist()]
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in change(content):
            with warnings.catch_warnings(action="ignore"):  # of a name that comes twice
                archive.writestr(name, data)


def damaged(content):
    return [(name, data[:-1] if name.endswith(".jpg") else data) for name, data in content]


HEX = "a" * 64


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (damaged, "a photo in it is not what it was"),
        (lambda c: [*c, ("../evil.txt", b"")], "no part of a backup"),
        (lambda c: [*c, ("/etc/evil.json", b"")], "no part of a backup"),
        (lambda c: [*c, ("owners/local/concepts/../../../evil.json", b"")], "no part of a backup"),
        (lambda c: [*c, ("owners/local\n/preferences.json", b"")], "no part of a backup"),
        (lambda c: [*c, (f"owners/visitor-1/concepts/ab/views/{HEX}.jpg", b"")], "no part of a backup"),
        (lambda c: [*c, ("sign-ins.json", b"{}")], "no part of a backup"),
        (lambda c: [*c, ("owners/local/preferences.json", b" " * (2**24 + 1))], "twice|too large"),
        (lambda c: c[1:], "no backup of this app"),
        (lambda c: [(MANIFEST, b"[]"), *c[1:]], "no backup of this app"),
        (lambda c: [(MANIFEST, json.dumps({"format": "personal", "version": 1}).encode()), *c[1:]], "no backup of"),
        (lambda c: [(MANIFEST, c[0][1].replace(b'"version": 1', b'"version": 2')), *c[1:]], "newer version"),
    ],
)
def test_what_is_no_backup_is_refused_in_words_and_nothing_is_in_place(kept, tmp_path, change, words):
    back_up(kept.library, tmp_path / "all.zip")
    rewritten(tmp_path / "all.zip", tmp_path / "odd.zip", change)
    with pytest.raises(ImportExportError, match=words):
        restore(tmp_path / "odd.zip", tmp_path / "new")
    left = {path.name for path in (tmp_path / "new").rglob("*")}
    assert left <= {"lock", "holder.json", "gone"}
    assert not list(tmp_path.rglob("evil*"))
    restore(tmp_path / "all.zip", tmp_path / "new")


@pytest.mark.parametrize("size", [0, 10, 500])
def test_half_a_backup_is_refused(kept, tmp_path, size):
    back_up(kept.library, tmp_path / "all.zip")
    (tmp_path / "half.zip").write_bytes((tmp_path / "all.zip").read_bytes()[:size])
    with pytest.raises(ImportExportError, match="no backup"):
        restore(tmp_path / "half.zip", tmp_path / "new")


def test_a_backup_that_cannot_be_written_or_has_no_room_leaves_nothing(kept, tmp_path, monkeypatch):
    with pytest.raises(ImportExportError, match="cannot be written"):
        back_up(kept.library, tmp_path / "nowhere" / "all.zip")
    back_up(kept.library, tmp_path / "all.zip")
    assert not list(tmp_path.glob("*.tmp"))
    monkeypatch.setattr("personal.remember.backup.shutil.disk_usage", lambda place: SimpleNamespace(free=100))
    with pytest.raises(ImportExportError, match="not enough room"):
        restore(tmp_path / "all.zip", tmp_path / "new")


def test_the_shell_backs_up_and_restores(kept, tmp_path, capsys):
    file = str(tmp_path / "all.zip")
    assert cli.main(["backup", file, "--data-dir", str(tmp_path / "data"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["concepts"] == 2
    assert cli.main(["restore", file, "--data-dir", str(tmp_path / "new")]) == 0
    assert "holds 2 concepts and 1 chats of 2 owners" in capsys.readouterr().out
    assert cli.main(["restore", str(tmp_path / "none.zip"), "--data-dir", str(tmp_path / "new2")]) == 1
    assert "There is no file" in capsys.readouterr().err

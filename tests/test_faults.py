"""What goes wrong around the app while it runs: the index is deleted, the disk is full, files are damaged."""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import sqlite3
import subprocess
import zipfile
from contextlib import suppress

import pytest
from chromadb.errors import InternalError

from personal import cli
from personal.concepts import ConceptEdit
from personal.errors import StoreError
from personal.remember import import_export
from personal.remember.chroma import ADVICE, Folder
from tests.conftest import BLUE, GREEN, RED, open_assistant, picture
from tests.test_bad_input import Browser, event, state

ME = "local"


# -- the index ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("need", ["look", "add", "rename", "restore", "look-alikes"])
def test_an_index_that_is_deleted_under_the_app_is_built_anew_on_the_next_need(tmp_path, need):
    red, green = picture(RED), picture(GREEN)
    with open_assistant(tmp_path / "data") as assistant:
        bo = assistant.remember(ME, "bo", [red])
        assistant.remember("guest", "mia", [green])
        token = assistant.forget(ME, assistant.remember(ME, "cup", [picture(BLUE)]).id)
        shutil.rmtree(tmp_path / "data" / "index")
        if need == "add":
            assistant.remember(ME, "leaf", [green])
        elif need == "rename":
            assistant.revise(ME, bo.id, ConceptEdit(name="bobby"))
        elif need == "restore":
            assistant.restore(ME, token)
        elif need == "look-alikes":
            assert assistant.look_alikes(ME) == []
        (match,) = assistant.look(ME, red).matches
        assert match.concept.id == bo.id
        assert match.similarity > 0.999
        assert len(assistant.index.views(ME)) == len(assistant.concepts(ME))
        assert [match.concept.name for match in assistant.look("guest", green).matches] == ["mia"]
    assert list((tmp_path / "data" / "index").rglob("chroma.sqlite3"))
    with open_assistant(tmp_path / "data") as assistant:
        assert list(assistant.reindex(ME)) == []
        assert len(assistant.index.views(ME)) == len(assistant.concepts(ME))


def test_the_button_that_the_advice_names_is_there_and_mends_a_broken_index(tmp_path):
    with open_assistant(tmp_path / "data") as assistant:
        assistant.remember(ME, "bo", [picture(RED)])
        page = Browser(assistant, tmp_path / "data")
        (database,) = (tmp_path / "data" / "index").rglob("chroma.sqlite3")
        with sqlite3.connect(database) as damaged:
            damaged.execute("DROP TABLE embeddings")
        (named,) = re.findall("“(.+)”", ADVICE)
        (button,) = [c for c in page.blocks.blocks.values() if getattr(c, "value", None) == named]
        (handler,) = [f.fn for f in page.blocks.fns.values() if (button._id, "click") in f.targets]
        *_, shown = handler(page.request)
        assert page.settings.notice not in shown
        assert [match.concept.name for match in assistant.look(ME, picture(RED)).matches] == ["bo"]
    with open_assistant(tmp_path / "data") as assistant:
        assert list(assistant.reindex(ME)) == []


# -- the disk is full --------------------------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path):
    """A disk of its own of 4 MB, and what fills it."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)]
    if os.name == "nt" or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a small disk can be mounted by root on Linux only")

    def fill(leave=0):
        (folder / "filling").write_bytes(b"")
        with (folder / "filling").open("ab", 0) as filling:
            try:
                while True:
                    filling.write(b"0" * 4096)
            except OSError:
                os.truncate(filling.fileno(), max(0, filling.tell() - leave))

    try:
        yield folder, fill
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def found(assistant, *colours):
    return [[match.concept.name for match in assistant.look(ME, picture(colour)).matches] for colour in colours]


@pytest.mark.parametrize("leave", [0, 4096, 12 * 4096, 24 * 4096])
def test_what_does_not_fit_on_the_disk_is_refused_in_words_and_nothing_is_half_there(small, leave):
    folder, fill = small
    with open_assistant(folder / "data") as assistant:
        bo = assistant.remember(ME, "bo", [picture(RED)], info="A dog.")
        before = state(folder / "data")
        large = [picture(BLUE, size=(700, 700), dot=dot) for dot in range(40)]
        noise = [picture(GREEN, dot=dot) for dot in range(60)]
        fill(leave)
        for write in (
            lambda: assistant.remember(ME, "cup", large + noise),
            lambda: assistant.revise(ME, bo.id, ConceptEdit(name="bobby", add=large + noise[:50], add_negatives=[])),
        ):
            with pytest.raises(StoreError, match="is full"):
                write()
            assert state(folder / "data") == before
            assert found(assistant, RED, BLUE) == [["bo"], []]
        (folder / "filling").unlink()
        assistant.remember(ME, "cup", [picture(BLUE)])
        assert found(assistant, RED, BLUE) == [["bo"], ["cup"]]
    with open_assistant(folder / "data") as assistant:
        assert assistant.library.problems() == []
        assert len(assistant.index.views(ME)) == 2


def test_a_concept_that_is_indexed_on_a_full_disk_is_taken_back(tmp_path, monkeypatch):
    with open_assistant(tmp_path / "data") as assistant:
        bo = assistant.remember(ME, "bo", [picture(RED)])
        before = state(tmp_path / "data")
        full = InternalError("error returned from database: (code: 13) database or disk is full")
        with monkeypatch.context() as patch:
            patch.setattr(Folder, "upsert", lambda *_: (_ for _ in ()).throw(full))
            for write in (
                lambda: assistant.remember(ME, "cup", [picture(BLUE)]),
                lambda: assistant.revise(ME, bo.id, ConceptEdit(add=[picture(BLUE)])),
                lambda: assistant.disown(ME, bo.id, picture(BLUE), (0.0, 0.0, 1.0, 1.0)),
            ):
                with pytest.raises(StoreError, match=r"disk that holds .* is full"):
                    write()
                assert {name for name in state(tmp_path / "data")} == set(before)
                assert found(assistant, RED, BLUE) == [["bo"], []]
                assert [concept.name for concept in assistant.concepts(ME)] == ["bo"]


def test_a_concept_can_be_forgotten_and_everything_erased_on_a_full_disk(small):
    folder, fill = small
    with open_assistant(folder / "data") as assistant:
        bo, _ = (assistant.remember(ME, name, [picture(c)]) for name, c in (("bo", RED), ("cup", BLUE)))
        fill()
        assistant.forget(ME, bo.id)
        assert found(assistant, RED, BLUE) == [[], ["cup"]]
        (folder / "filling").unlink()
        assistant.sweep()
        assert len(assistant.index.views(ME)) == 1
        fill()
        with suppress(StoreError):  # vectors may need room to go: the photos have gone first
            assistant.erase(ME)
        assert assistant.concepts(ME) == []
        assert not list((folder / "data").rglob("*.jpg"))
        (folder / "filling").unlink()
        assistant.erase(ME)
        assert assistant.index.views(ME) == set()


# -- damage ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def damaged(tmp_path):
    """A library of which a concept, a photo and a concept's only photo are damaged; the rest is whole."""
    folder = tmp_path / "data"
    with open_assistant(folder) as assistant:
        for name, colour in (("bo", RED), ("cup", BLUE), ("mia", GREEN)):
            assistant.remember(ME, name, [picture(colour), picture(colour, dot=5)])
        lost = assistant.remember(ME, "lost", [picture((90, 10, 160))])
        library = assistant.library
        cup, mia = (library.lookup(ME, name) for name in ("cup", "mia"))
        library.path(ME, cup.id, cup.avatar).write_bytes(b"not a picture")
        library.path(ME, lost.id, lost.avatar).write_bytes(b"")
        (library.path(ME, mia.id, mia.avatar).parents[1] / "concept.json").write_text("{", encoding="utf-8")
    return folder, mia.id


def test_damage_is_told_in_the_concepts_tab_and_does_not_keep_the_rest_from_an_export(damaged):
    folder, mia = damaged
    with open_assistant(folder) as assistant:
        page = Browser(assistant, folder)
        assert mia in page.concepts.draw(page.session)[page.concepts.damage]
        shown = page.concepts.transfer.export(page.request)
        said = shown[page.concepts.notice]
        assert all(words in said for words in ("1 photo of", "cup", "lost", mia))
        assert shown[page.concepts.transfer.link]
        stream = io.BytesIO()
        left_out = import_export.export(assistant.library, ME, stream)
        assert len(left_out) == 3
        with zipfile.ZipFile(stream) as archive:
            (folder.parent / "out.zip").write_bytes(stream.getvalue())
            views = [name for name in archive.namelist() if name.endswith(".jpg")]
            for name in views:
                assert hashlib.sha256(archive.read(name)).hexdigest() in name
        assert len(views) == 3
    from personal.settings import Settings

    incoming = import_export.read(folder.parent / "out.zip", Settings())
    assert {(one.name, len(one.photos)) for one in incoming} == {("bo", 2), ("cup", 1)}


def test_the_shell_exports_what_is_whole_and_says_what_is_not(damaged, capsys):
    folder, mia = damaged
    assert cli.main(["--data-dir", str(folder), "export", str(folder.parent / "out.zip")]) == 0
    shown = capsys.readouterr()
    assert "cup" in shown.err
    assert mia in shown.err
    assert "out.zip" in shown.out


def test_a_card_whose_photo_is_damaged_says_so_and_the_photo_can_be_removed(damaged):
    folder, _ = damaged
    with open_assistant(folder) as assistant:
        page = Browser(assistant, folder)
        assert "damaged" in page.concepts.draw(page.session)[page.concepts.cards]
        cup = assistant.library.lookup(ME, "cup")
        page.session.open_concept = cup.id
        page.concepts.editor.on_views(event(act="remove", photo=cup.avatar), page.request)
        assert len(assistant.library.lookup(ME, "cup").views) == 1

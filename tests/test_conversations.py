"""Conversations on disk: what was said is there after a restart, a kill and damage elsewhere; erased bytes are gone."""

from __future__ import annotations

import json
import multiprocessing
import os
import stat
import time
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from personal.compose import LOCAL
from personal.concepts import Answer, Concept, Look, Match, Photo, PhotoFindings, Statement, Turn, View
from personal.conversations import Conversation, Entry
from personal.errors import PersonalError, StoreError
from personal.remember import conversation_export, conversation_record
from personal.remember.library import Library
from personal.ui.history import OPEN, History, Kept
from personal.ui.render import prose
from personal.ui.sessions import Sessions
from tests.conftest import RED, picture

ME = "local"
BO = Concept("b" * 32, "bo", "dog", "A dog.", (View("0" * 64, 9, 9),), "0" * 64, "", "")
MIA = Concept("c" * 32, "mia", "cat", "", (View("1" * 64, 9, 9),), "1" * 64, "", "")
TODAY = {BO.id: BO, MIA.id: MIA}
SAID = "Where is my dog hiding, Bärbel-Änne 🐕?"


def talk_about(*photos: Photo, question: str = SAID, concept: Concept = BO) -> Conversation:
    """A conversation with everything in it that is kept."""
    first = photos[0]
    seen = Match(concept, "seen", 0.91, (0.1, 0.2, 0.6, 0.9), "0" * 64, first.sha256, 0.97, evidence_box=(0, 0, 1, 1))
    doubtful = Match(concept, "seen", 0.5, (0.0, 0.0, 0.1, 0.1), confirmed=False, certainty="maybe")
    found = PhotoFindings(first, (seen,), frozenset({MIA.id}))
    statement = Statement("<bo> is in this photo.", "recognition", (concept,))
    look = Look((PhotoFindings(first, (seen, doubtful)),), (Match(concept, "named"),), 0.25, statement)
    answer = Answer("There: <bo>, behind the *shed*.", look, "a model", 7, 0.5, 1.5)
    entry = Entry(Turn(question, (first,), answer=answer.text), answer, rating="down", remark="No shed here.")
    failed = Entry(Turn("And now?"), error="The server did not answer.")
    return Conversation(
        entries=[entry, failed],
        draft=list(photos[1:]),
        findings={first.sha256: found},
        confirmed={(first.sha256, concept.id)},
        colours={concept.id: 0},
        active=first.sha256,
        name="Hide and seek",
    )


def same(one: Conversation, other: Conversation) -> bool:
    return conversation_record.as_json(one) == conversation_record.as_json(other)


@pytest.fixture
def library(tmp_path):
    with Library(tmp_path / "data") as made:
        yield made


@pytest.fixture
def store(library):
    return library.conversations(ME)


def everything(folder: Path) -> bytes:
    return b"\0".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


# -- the store ---------------------------------------------------------------------------------------------------------


def test_a_conversation_is_there_after_a_restart_with_all_that_was_in_it(tmp_path):
    first, second = picture(RED), picture(RED, dot=3)
    talk = talk_about(first, second)
    with Library(tmp_path) as library:
        library.conversations(ME).save(talk)
    with Library(tmp_path) as library:
        store = library.conversations(ME)
        (kept,) = store.all()
        assert (kept.title, kept.cover, "barbel" in kept.words) == ("Hide and seek", View(first.sha256, 64, 64), True)
        back = store.load(talk.id, TODAY)
        without_mia = store.load(talk.id, {BO.id: BO})
    assert same(back, talk)
    assert back.photos == [first, second]
    assert back.entries[0].answer.look.photos[0].denied[0].concept == BO
    assert (back.of(first).rejected, without_mia.of(first).rejected) == ({MIA.id}, frozenset())
    assert back.entries[1].error == "The server did not answer."


def test_what_is_kept_is_for_its_owner_alone_and_readable_without_the_app(tmp_path, store):
    talk = talk_about(picture(RED))
    store.save(talk)
    folder = tmp_path / "data" / "owners" / ME / "conversations" / talk.id
    for path in (folder, *folder.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    record = json.loads((folder / "conversation.json").read_text(encoding="utf-8"))
    assert record["entries"][0]["question"] == SAID
    assert (folder / "photos" / f"{talk.photos[0].sha256}.jpg").read_bytes() == talk.photos[0].jpeg


def test_a_photo_that_was_taken_out_again_leaves_no_bytes(tmp_path, store):
    stays, goes = picture(RED), picture((9, 80, 200), dot=7)
    talk = talk_about(stays, goes)
    store.save(talk)
    assert goes.jpeg in everything(tmp_path)
    talk.draft.clear()
    store.save(talk)
    assert goes.jpeg not in everything(tmp_path)
    assert stays.jpeg in everything(tmp_path)


def test_a_deleted_conversation_comes_back_until_its_bytes_are_erased(tmp_path, library, store):
    talk, photo = talk_about(picture(RED)), picture(RED)
    store.save(talk)
    token = store.delete(talk.id)
    assert store.all() == []
    store.restore(talk.id, token)
    assert same(store.load(talk.id, TODAY), talk)
    token = store.delete(talk.id)
    library.empty_trash(ME)
    held = everything(tmp_path)
    assert photo.jpeg not in held
    assert SAID.encode() not in held
    with pytest.raises(StoreError, match="time is over"):
        store.restore(talk.id, token)


def test_erasing_an_owner_erases_conversations_and_none_that_is_being_written_comes_back(tmp_path, library):
    kept = Kept(lambda: library)
    history, talk = History(kept), talk_about(picture(RED))
    history.add(talk)
    kept.erase()
    library.erase(ME)
    kept.erased()
    history.keep(talk)  # an answer ends a moment later
    assert SAID.encode() not in everything(tmp_path)
    assert history.all() == []


def test_erasing_everything_erases_the_chats_of_all_browsers_of_the_owner(tmp_path, library):
    sessions = Sessions(shared=False, grace_s=60, erase=library.erase, keep=lambda owner: Kept(lambda: library, owner))
    one, other = (sessions.known(sessions.new()) for _ in range(2))
    one.history.add(talk_about(picture(RED)))
    temporary = other.history.begin_temporary()
    temporary.entries.append(Entry(Turn(SAID)))
    sessions.erase(LOCAL, library.erase)
    assert (one.history.all(), other.history.all(), other.history.live()) == ([], [], [])
    assert SAID.encode() not in everything(tmp_path)
    one.history.keep(temporary)
    assert one.history.all() == []


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"{",
        b"[]",
        b'{"schema": 1}',
        b"\xff\xfe",
        b"[" * 100_000,
        {"schema": 99},
        {"id": "x"},
        {"name": 3},
        {"created": "yesterday"},
        {"photos": [{"sha256": "../../../etc/passwd", "width": 1, "height": 1}]},
        {"entries": [{}]},
        {"entries": "hello"},
        {"findings": [{"photo": "f" * 64, "matches": [], "rejected": []}]},
        {"draft": ["f" * 64]},
        {"colours": [1]},
    ],
)
def test_a_damaged_conversation_is_passed_over_with_a_word_and_the_others_are_there(tmp_path, store, damage):
    talk, other = talk_about(picture(RED)), talk_about(picture((1, 99, 2)), question="Another?")
    store.save(talk)
    store.save(other)
    file = tmp_path / "data" / "owners" / ME / "conversations" / talk.id / "conversation.json"
    file.write_bytes(
        damage if isinstance(damage, bytes) else json.dumps({**json.loads(file.read_bytes()), **damage}).encode()
    )
    store.close()
    assert [kept.id for kept in store.all()] == [other.id]
    (word,) = Library(tmp_path / "data", read_only=True).problems()
    assert str(file.parent) in word
    assert "Mend its conversation.json, or remove the folder." in word
    assert file.exists()  # it is left for its owner to mend


def test_a_photo_that_is_missing_or_damaged_is_told(tmp_path, store):
    talk, other = talk_about(picture(RED)), talk_about(picture((1, 99, 2)))
    for one in (talk, other):
        store.save(one)
    place = tmp_path / "data" / "owners" / ME / "conversations"
    (place / talk.id / "photos" / f"{talk.photos[0].sha256}.jpg").unlink()
    (place / other.id / "photos" / f"{other.photos[0].sha256}.jpg").write_bytes(b"no photo")
    store.close()
    assert [kept.id for kept in store.all()] == [other.id]
    with pytest.raises(StoreError, match="damaged"):
        store.load(other.id, {})
    (word,) = Library(tmp_path / "data", read_only=True).problems()
    assert "1 of its 1 photos are missing" in word


def test_what_an_interrupted_save_left_is_removed(tmp_path, store):
    talk = talk_about(picture(RED))
    store.save(talk)
    place = tmp_path / "data" / "owners" / ME / "conversations"
    orphan, unconfirmed = place / talk.id / "photos" / f"{'e' * 64}.jpg", place / ("d" * 32) / "photos"
    orphan.write_bytes(b"left")
    (place / talk.id / "conversation.json.tmp").write_bytes(b"half")
    unconfirmed.mkdir(parents=True)
    (unconfirmed / f"{'e' * 64}.jpg").write_bytes(b"left")
    store.close()
    assert len(store.all()) == 1
    assert sorted(path.name for path in place.rglob("*")) == sorted(
        [talk.id, "photos", "conversation.json", f"{talk.photos[0].sha256}.jpg"]
    )


def test_a_limit_that_is_reached_is_told_and_changes_nothing(tmp_path):
    from contextlib import nullcontext

    from personal.remember.conversations import ConversationStore

    talks = [talk_about(picture((10, 10, shade))) for shade in (10, 60, 110)]
    store = ConversationStore(tmp_path, nullcontext, max_conversations=2)
    for talk in talks[:2]:
        store.save(talk)
    with pytest.raises(StoreError, match=r"2 chats are kept, the most. Delete some to keep this one."):
        store.save(talks[2])
    talks[0].name = "One that is there still changes"
    store.save(talks[0])
    assert {kept.id for kept in store.all()} == {talk.id for talk in talks[:2]}
    small = ConversationStore(tmp_path / "small", nullcontext, max_bytes=10)
    with pytest.raises(StoreError, match=r"fill .* the most"):
        small.save(talks[2])
    assert everything(tmp_path / "small") == b""


def write(folder: str, log: str) -> None:
    """Save conversations without end; what is confirmed is logged, durably."""
    with Library(Path(folder)) as library, open(log, "a", encoding="utf-8") as out:
        store = library.conversations(ME)
        for step in range(100_000):
            talk = talk_about(picture((step % 250, 20, 20)), picture((20, step % 250, 20)))
            for number in range(3):
                talk.entries.append(Entry(Turn(f"Question {number}")))
                store.save(talk)
                out.write(json.dumps([talk.id, len(talk.entries)]) + "\n")
                out.flush()
                os.fsync(out.fileno())


def test_a_killed_process_loses_nothing_that_was_saved(tmp_path):
    spawn = multiprocessing.get_context("spawn")
    for run in range(4):
        log = tmp_path / f"log-{run}"
        writer = spawn.Process(target=write, args=(str(tmp_path / "data"), str(log)))
        writer.start()
        deadline = time.monotonic() + 120
        while (not log.exists() or log.stat().st_size < 300 + 97 * run) and time.monotonic() < deadline:
            time.sleep(0.003)
        writer.kill()
        writer.join()
        with Library(tmp_path / "data") as library:
            store = library.conversations(ME)
            there = {kept.id for kept in store.all()}
            lines = log.read_text(encoding="utf-8").splitlines()
            confirmed = dict(json.loads(line) for line in lines if line.endswith("]"))
            assert confirmed
            assert confirmed.keys() <= there
            for one, entries in confirmed.items():
                assert len(store.load(one, {BO.id: BO}).entries) >= entries
            assert library.problems() == []


# -- concepts that change ----------------------------------------------------------------------------------------------


def test_answers_follow_a_concept_that_is_renamed_and_keep_the_text_of_one_that_is_forgotten(store):
    talk = talk_about(picture(RED))
    store.save(talk)
    bobby = Concept(BO.id, "bobby", "dog", "", BO.views, BO.avatar, "", "")
    for now, expected in (({BO.id: bobby}, "bobby</span>"), ({}, 'class="gone" dir="auto">bo</span>')):
        back = store.load(talk.id, now)
        answer = back.entries[0].answer
        html = prose(answer.text, now, back.colours, [match.concept for match in answer.look.matches])
        assert expected in html
    assert answer.look.statement.concepts[0].info == ""


def test_what_was_known_of_a_concept_leaves_the_disk_once_it_is_erased(tmp_path, library, monkeypatch):
    photo = picture(RED)
    bo = library.add(ME, "bo", [photo])
    kept = Kept(lambda: library)
    shown, other = talk_about(photo, concept=bo), talk_about(photo, concept=bo)
    history = History(kept)
    monkeypatch.setattr("personal.ui.history.OPEN", 1)
    history.add(other)
    del other
    history.add(shown)
    assert kept.live() == [shown]  # one is in use, one is not
    kept.forget()
    files = list((tmp_path / "data").rglob("conversation.json"))
    written = [file.stat().st_mtime_ns for file in files]
    Kept(lambda: library).forget()  # as after a restart
    assert [file.stat().st_mtime_ns for file in files] == written  # nothing was forgotten
    token = library.forget(ME, bo.id)
    kept.forget()
    held = everything(tmp_path / "data" / "owners" / ME / "conversations")
    assert held.count(b'"similarity"') == 6  # it can be brought back
    library.restore(ME, token)
    library.forget(ME, bo.id)
    library.empty_trash(ME)
    kept.forget()
    held = everything(tmp_path / "data" / "owners" / ME / "conversations")
    assert b'"similarity"' not in held
    assert held.count(b"There: <bo>") == 2
    assert shown.confirmed == set()


# -- visitors ----------------------------------------------------------------------------------------------------------


def test_two_browsers_of_the_owner_share_what_is_kept_and_lose_nothing(library):
    kept = Kept(lambda: library)
    one, other = History(kept), History(kept)
    talk = one.blank()
    talk.entries.append(Entry(Turn("From the one")))
    one.keep(talk)
    same_talk = other.get(talk.id)
    assert same_talk is talk
    same_talk.entries.append(Entry(Turn("From the other")))
    other.keep(same_talk)
    kept.erased()
    fresh = History(Kept(lambda: library))
    assert [entry.turn.question for entry in fresh.get(talk.id).entries] == ["From the one", "From the other"]
    assert one.blank() is not other.blank()


def test_only_conversations_in_use_are_in_memory(library):
    kept = Kept(lambda: library)
    history = History(kept)
    for shade in range(OPEN + 3):
        history.add(talk_about(picture((shade * 9, 40, 40))))
    assert len(history.live()) == OPEN
    assert len(history.all()) == OPEN + 3
    assert all(history.photo(one.cover.sha256) for one in history.all())
    assert len(history.live()) == OPEN


def test_a_temporary_chat_and_what_guests_say_leave_nothing_on_disk(tmp_path, library):
    history = History(Kept(lambda: library))
    talk = history.begin_temporary()
    talk.entries.append(Entry(Turn(SAID, (picture(RED),))))
    history.keep(talk)
    guest = History()
    guest.add(talk_about(picture(RED)))
    assert [one.temporary for one in history.all()] == [True]
    assert len(guest.all()) == 1
    held = everything(tmp_path)
    assert SAID.encode() not in held
    assert picture(RED).jpeg not in held


def test_a_deleted_conversation_comes_back_wherever_it_lives(library):
    for history in (History(Kept(lambda: library)), History()):
        talk = talk_about(picture(RED))
        history.add(talk)
        back = history.delete(talk.id)
        assert history.get(talk.id) is None
        history.keep(talk)  # another tab still shows it
        assert history.all() == []
        back()
        assert history.get(talk.id) is talk
        assert len(history.all()) == 1
        with pytest.raises(PersonalError):
            history.delete("f" * 32)


def test_one_that_the_disk_does_not_take_stays_in_memory_and_says_why(library, monkeypatch):
    history, talk = History(Kept(lambda: library)), talk_about(picture(RED))
    with monkeypatch.context() as full:
        full.setattr("personal.remember.disk.write", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left")))
        history.add(talk)
    assert "full" in history.problem
    assert history.get(talk.id) is talk
    assert len(history.all()) == 1
    history.keep(talk)
    assert history.problem == ""
    assert History(Kept(lambda: library)).get(talk.id)


def test_a_search_finds_any_part_of_what_was_said_as_names_are_found(library):
    history = History(Kept(lambda: library))
    history.add(talk_about(picture(RED)))
    history.add(Conversation(entries=[Entry(Turn("Something else"))]))
    for typed, found in (("BARBEL", 1), ("behind the", 1), ("hide AND", 1), ("nowhere", 0), ("", 2)):
        assert len(history.all(typed)) == found, typed


# -- export ------------------------------------------------------------------------------------------------------------


def test_an_export_is_read_anywhere(store):
    first, second = picture(RED), picture(RED, dot=3)
    talk = talk_about(first, second)
    stream = BytesIO()
    conversation_export.export(talk, stream)
    with zipfile.ZipFile(stream) as archive:
        assert archive.namelist() == ["conversation.md", "conversation.json", "photos/1.jpg", "photos/2.jpg"]
        assert archive.read("photos/1.jpg") == first.jpeg
        text, record = archive.read("conversation.md").decode(), json.loads(archive.read("conversation.json"))
    assert text.startswith("# Hide and seek\n")
    assert "![Photo](photos/1.jpg)" in text
    assert "There: **bo**, behind the *shed*." in text
    assert "**bo** is in this photo. _(from recognition)_" in text
    assert "> 👎 No shed here." in text
    assert "_The server did not answer._" in text
    assert record["entries"][0]["remark"] == "No shed here."
    assert record["photos"][1]["file"] == "photos/2.jpg"

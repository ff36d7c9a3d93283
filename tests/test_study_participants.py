"""A participant's way: every step survives a restart, nothing before consent, withdrawal leaves a count."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from personal.errors import PersonalError, StoreError
from personal.study.log import ParticipantLog
from personal.study.progress import progress
from personal.study.responses import ResponseError
from personal.study.store import PASSERS_BY, is_participant, new_identifier
from tests.conftest import RED, picture
from tests.studies import SMALL, Clock, answer, finish, open_store, responses_for, take_step

ROOT = Path(__file__).parents[1]


def link(name: str) -> dict[str, str]:
    return {"PROLIFIC_PID": name, "STUDY_ID": "s", "SESSION_ID": "t"}


def bytes_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_the_whole_way_ends_at_a_completion_code(tmp_path):
    store = open_store(tmp_path / "pets")
    participant = store.arrive(link("a"))
    finish(participant)
    assert participant.status == "finished"
    assert participant.fraction == 1
    assert len(participant.ending.code) == 16
    assert [step.kind for step in participant.steps] == [
        "consent", "eligibility", "tutorial", "task", "questionnaire", "task", "questionnaire", "task",
        "questionnaire", "task", "questionnaire", "debrief",
    ]  # fmt: skip


def test_every_step_is_resumed_after_a_restart_and_by_another_browser(tmp_path):
    for _ in range(100):
        participant = open_store(tmp_path / "pets").arrive(link("a"))
        at, order = participant.step.id, participant.order
        again = open_store(tmp_path / "pets").arrive({**link("a"), "SESSION_ID": "other"})
        assert (again.step.id, again.order, again.id) == (at, order, participant.id)
        if again.step.kind == "debrief":
            break
        take_step(again)
    assert again.status == "finished"


def test_nothing_is_written_before_consent(tmp_path):
    store = open_store(tmp_path / "pets")
    before = sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*"))
    participant = store.arrive(link("secret-name"))
    participant.enter("consent")
    for act in (
        lambda: participant.submit("eligibility", {"adult": "Yes"}),
        lambda: participant.done("tutorial"),
        lambda: participant.turn("part1.task.talk", "q", (), {"": answer()}),
        lambda: participant.log("tutorial", "error", text="x"),
    ):
        with pytest.raises(PersonalError):
            act()
    assert sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*")) == before
    assert participant.status == "new"
    assert store.participants() == []


def test_what_is_sent_twice_counts_once(tmp_path):
    participant = open_store(tmp_path / "pets").arrive(link("a"))
    participant.consent()
    participant.consent()
    participant.submit("eligibility", {"adult": "Yes"})
    participant.submit("eligibility", {"adult": "No"})  # the back button
    participant.done("tutorial")
    participant.done("tutorial")
    assert participant.step.id == "part1.task.talk"
    assert Counter(record["event"] for record in participant.records) == {"consented": 1, "done": 3, "responses": 1}


def test_no_step_can_be_skipped(tmp_path):
    participant = open_store(tmp_path / "pets").arrive(link("a"))
    participant.consent()
    for step in ("tutorial", "part1.task.talk", "debrief"):
        with pytest.raises(PersonalError, match="comes later"):
            participant.done(step)
    with pytest.raises(PersonalError, match="no such page"):
        participant.done("part9.task.talk")
    with pytest.raises(PersonalError, match="answer the questions"):
        participant.done("eligibility")
    with pytest.raises(PersonalError, match="not over yet"):
        _ = participant.ending


def test_a_task_is_left_once_enough_was_asked_voted_and_time_has_passed(tmp_path):
    text = SMALL.replace("minimum_turns: 2", "minimum_turns: 2\n    minimum_seconds: 60")
    clock = Clock()
    participant = open_store(tmp_path / "pets", text, clock=clock).arrive(link("a"))
    for _ in range(3):
        take_step(participant)
    step = participant.step.id
    participant.enter(step)
    assert participant.missing(step) == "Please ask 2 more questions."
    participant.turn(step, "q", (), {"": answer()})
    with pytest.raises(PersonalError, match="1 more question\\."):
        participant.done(step)
    participant.turn(step, "q", (), {"": answer()})
    clock.sleep(20)
    participant = open_store(tmp_path / "pets", clock=clock).arrive(link("a"))
    assert participant.missing(step) == "Please go on for 40 more seconds."
    clock.sleep(41)
    participant.done(step)
    assert participant.step.kind == "questionnaire"


def test_a_comparison_is_blind_and_its_vote_names_the_winner(tmp_path):
    store = open_store(tmp_path / "pets")
    sides = Counter()
    for number in range(24):
        participant = store.arrive(link(str(number)))
        while participant.step.id != "compare.which":
            take_step(participant)
        step = participant.step
        sides[step.sides] += 1
        turn = participant.turn(step.id, "q", (), {"left": answer("L"), "right": answer("R")})
        assert participant.missing(step.id) == "Please say which answer is better."
        with pytest.raises(PersonalError):
            participant.vote(step.id, turn, "with_memory")
        participant.vote(step.id, turn, "right", "because")
        participant.vote(step.id, turn, "left")
        (vote,) = participant.votes(step.id).values()
        assert vote["winner"] == step.sides[1]
        assert [one["condition"] for one in participant.turns(step.id)[0]["answers"]] == list(step.sides)
        for condition in store.study.conditions:
            assert all(condition.id not in one.id for one in participant.steps)
    assert min(sides.values()) >= 6  # both sides occur


def test_who_is_not_eligible_ends_at_once_and_takes_no_place_in_the_square(tmp_path):
    store = open_store(tmp_path / "pets")
    for number in range(6):
        out = store.arrive(link(f"out{number}"))
        out.consent()
        out.submit("eligibility", {"adult": "No"})
        assert out.status == "screened_out"
        assert out.ending.code is None
        out.submit("tutorial", {})
        out.done("tutorial")
    orders = Counter()
    for number in range(6):
        participant = store.arrive(link(str(number)))
        participant.consent()
        orders[participant.order] += 1
    assert set(orders.values()) == {1}
    assert b"No" not in (store.folder / "participants" / f"{out.id}.jsonl").read_bytes()


def test_orders_are_balanced_when_all_arrive_at_once(tmp_path):
    store = open_store(tmp_path / "pets")
    barrier = threading.Barrier(30)

    def come(number: int) -> tuple[str, ...]:
        barrier.wait(20)
        participant = store.arrive(link(str(number)))
        participant.consent()
        return participant.order

    with ThreadPoolExecutor(30) as pool:
        orders = Counter(pool.map(come, range(30)))
    assert sorted(orders.values()) == [5] * 6


def test_one_link_in_many_windows_is_one_participant(tmp_path):
    store = open_store(tmp_path / "pets")

    def come(_: int) -> str:
        participant = store.arrive(link("same"))
        participant.consent()
        participant.submit("eligibility", {"adult": "Yes"})
        participant.done("tutorial")
        return participant.id

    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(come, range(16)))) == 1
    (participant,) = store.participants()
    assert Counter(one["event"] for one in participant.records)["consented"] == 1
    assert participant.step.id == "part1.task.talk"


def test_made_up_links_fill_no_memory_and_who_was_forgotten_arrives_again(tmp_path):
    store = open_store(tmp_path / "pets")
    first = store.arrive(link("first"))
    taken = store.arrive(link("taken"))
    taken.consent()
    for number in range(2 * PASSERS_BY):
        store.arrive(link(f"made-up-{number}"))
    held = [store.participant(store.recorder.hashed(f"participant/made-up-{n}")) for n in range(2 * PASSERS_BY)]
    assert len([one for one in held if one]) == PASSERS_BY
    assert store.arrive(link("taken")) is taken
    with pytest.raises(PersonalError, match="reload"):
        first.consent()
    again = store.arrive(link("first"))
    again.consent()
    assert again.status == "active"


def test_withdrawing_erases_every_byte_and_leaves_a_count(tmp_path):
    erased: list[str] = []
    text = SMALL + "log: {text: text, photos: kept}\n"
    store = open_store(tmp_path / "pets", text, erase=erased.append)
    stays, goes = store.arrive(link("stays")), store.arrive(link("goes-by-this-name"))
    for participant in (stays, goes):
        participant.consent(keep_photos=True)
        finish_with = f"my secret {participant.id}"
        participant.submit("eligibility", {"adult": "Yes"})
        participant.done("tutorial")
        participant.turn(participant.step.id, finish_with, (picture(RED),), {"": answer()})
        store.keep(participant, picture(RED))
    assert b"goes-by-this-name" in bytes_of(store.folder)
    store.withdraw(goes)
    left = bytes_of(store.folder)
    assert b"goes-by-this-name" not in left
    assert goes.id.encode() not in left
    assert b"my secret" in left
    assert f"my secret {goes.id}".encode() not in left
    assert not list(store.folder.rglob(f"*{goes.id}*"))
    assert stays.id.encode() in left
    assert erased == goes.owners
    assert (store.withdrawn, goes.status) == (1, "withdrawn")
    goes.submit("eligibility", {"adult": "Yes"})  # a page that is still open
    with pytest.raises(PersonalError):
        goes.turn("part1.task.talk", "q", (), {"": answer()})
    again = open_store(tmp_path / "pets")
    assert [one.id for one in again.participants()] == [stays.id]
    assert again.withdrawn == 1
    assert again.arrive(link("goes-by-this-name")).status == "new"


def test_a_withdrawal_that_was_cut_short_is_completed_at_the_next_start(tmp_path):
    store = open_store(tmp_path / "pets")
    participant = store.arrive(link("a"))
    participant.consent()
    os.truncate(store.folder / "participants" / f"{participant.id}.jsonl", 0)
    again = open_store(tmp_path / "pets")
    assert (again.withdrawn, again.participants()) == (1, [])


def test_concepts_that_cannot_be_erased_keep_the_records_for_another_try(tmp_path):
    def erase(_: str) -> None:
        raise StoreError("The disk is full.")

    store = open_store(tmp_path / "pets", erase=erase)
    participant = store.arrive(link("a"))
    participant.consent()
    with pytest.raises(StoreError):
        store.withdraw(participant)
    assert store.withdrawn == 0
    assert participant.status == "active"


def test_a_line_that_a_crash_cut_short_is_dropped_and_the_rest_kept(tmp_path):
    log = ParticipantLog(tmp_path / "p" / "a.jsonl")
    log.append({"event": "one", "text": "ä"})
    with log.path.open("ab") as file:
        file.write(b'{"event": "two", "te')
    assert log.read() == [{"event": "one", "text": "ä"}]
    log.append({"event": "three"})
    assert [record["event"] for record in ParticipantLog(log.path).read()] == ["one", "three"]


KILLED = """
import sys, threading
sys.path.insert(0, {root!r})
from pathlib import Path
from tests.studies import answer, open_store, take_step
store = open_store(Path({folder!r}))
participant = store.arrive({{"PROLIFIC_PID": sys.argv[1]}})
while participant.step.kind != "task":
    take_step(participant)
while True:
    number = participant.turn(participant.step.id, "q", (), {{"": answer()}})
    print(number, flush=True)
"""


def test_a_server_that_is_killed_has_lost_nothing_that_it_confirmed(tmp_path):
    folder = tmp_path / "pets"
    open_store(folder)
    code = KILLED.format(root=str(ROOT), folder=str(folder))
    for kill in range(3):
        process = subprocess.Popen([sys.executable, "-c", code, "a"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        confirmed = [int(process.stdout.readline()) for _ in range(20)]
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().split("\n")[:-1]  # what it confirmed until then
        confirmed += [int(number) for number in rest]
        process.wait()
        turns = open_store(folder).arrive(link("a")).turns("part1.task.talk")
        assert len(turns) - confirmed[-1] in (0, 1), kill
        assert [turn["turn"] for turn in turns] == list(range(1, len(turns) + 1))


def test_lengths_alone_keep_no_word_and_no_name(tmp_path):
    store = open_store(tmp_path / "pets")
    participant = store.arrive(link("a"))
    for _ in range(3):
        take_step(participant)
    participant.turn(participant.step.id, "Where is Waldemar?", (picture(RED),), {"": answer("On the roof.")})
    participant.log(participant.step.id, "concept", name="Waldemar", views=2)
    participant.log(participant.step.id, "edit", text="Waldemar now")
    kept = bytes_of(store.folder / "participants")
    assert b"aldemar" not in kept
    assert b"roof" not in kept
    assert picture(RED).sha256.encode() not in kept
    (turn,) = participant.turns(participant.step.id)
    assert turn["question"] == {"characters": 18, "words": 3}
    assert len(turn["photos"]) == 1


def test_photos_leave_no_trace_where_the_study_says_never_and_are_kept_with_consent_only(tmp_path):
    never = open_store(tmp_path / "never", SMALL + "log: {photos: never}\n")
    one = never.arrive(link("a"))
    one.consent(keep_photos=True)
    never.keep(one, picture(RED))
    assert not one.keeps_photos
    kept = open_store(tmp_path / "kept", SMALL + "log: {photos: kept}\n")
    for name, agrees in (("yes", True), ("no", False)):
        participant = kept.arrive(link(name))
        participant.consent(keep_photos=agrees)
        kept.keep(participant, picture(RED))
        assert (kept.folder / "photos" / participant.id).exists() == agrees
    for _ in range(2):
        take_step(one)
    one.turn(one.step.id, "q", (picture(RED),), {"": answer()})
    assert one.turns(one.step.id)[0]["photos"] == []


def test_identifiers_are_hashed_where_the_study_says_so(tmp_path):
    store = open_store(tmp_path / "pets", SMALL + "log: {identifiers: hashed}\n")
    participant = store.arrive(link("prolific-name"))
    participant.consent()
    assert b"prolific-name" not in bytes_of(store.folder)
    assert set(participant.records[0]["identifiers"]) == {"PROLIFIC_PID", "STUDY_ID", "SESSION_ID"}


def test_the_first_record_holds_order_versions_settings_and_seed(tmp_path):
    store = open_store(tmp_path / "pets", versions=lambda: {"app": "1.2.3"})
    participant = store.arrive(link("a"))
    participant.consent()
    first = participant.records[0]
    assert first["versions"] == {"app": "1.2.3"}
    assert first["conditions"]["without_memory"]["memory"] is False
    assert first["seed"] == 0
    assert sorted(first["order"]) == ["strict", "with_memory", "without_memory"]


def test_nobody_is_let_into_a_study_that_does_not_run_and_who_is_in_goes_on_while_it_is_paused(tmp_path):
    store = open_store(tmp_path / "pets", status="draft")
    with pytest.raises(PersonalError, match="not begun"):
        store.arrive(link("a"))
    store.change("running")
    inside = store.arrive(link("a"))
    inside.consent()
    waiting = store.arrive(link("b"))
    store.change("paused")
    with pytest.raises(PersonalError, match="paused"):
        store.arrive(link("c"))
    with pytest.raises(PersonalError, match="paused"):
        waiting.consent()
    assert store.arrive(link("a")) is inside
    inside.submit("eligibility", {"adult": "Yes"})
    store.change("closed")
    with pytest.raises(PersonalError, match="over"):
        store.arrive(link("a"))
    with pytest.raises(PersonalError):
        store.change("running")
    assert open_store(tmp_path / "pets").status == "closed"


def test_a_preview_counts_for_nothing_and_goes_when_the_study_starts(tmp_path):
    erased: list[str] = []
    store = open_store(tmp_path / "pets", status="draft", erase=erased.append)
    preview = store.arrive(link("me"), preview=True)
    finish(preview)
    assert preview.status == "finished"
    assert store.participants() == []
    store.change("running")
    assert erased == preview.owners
    assert not (store.folder / "previews").exists()


def test_a_study_that_runs_cannot_be_changed(tmp_path):
    store = open_store(tmp_path / "pets", status="draft")
    store.revise(SMALL.replace("A small study", "Another"))
    assert open_store(tmp_path / "pets", status="draft").study.title == "Another"
    with pytest.raises(PersonalError, match="line 1"):
        store.revise("title: ''\n")
    assert store.study.title == "Another"
    store.change("running")
    with pytest.raises(PersonalError, match="cannot be changed"):
        store.revise(SMALL)


def test_purging_erases_all_participants(tmp_path):
    erased: list[str] = []
    clock = Clock()
    store = open_store(tmp_path / "pets", clock=clock, erase=erased.append)
    for name in "ab":
        finish(store.arrive(link(name)))
    assert not store.expired
    clock.sleep(5 * 366 * 86400)
    assert store.expired
    store.purge()
    assert len(erased) == 2
    assert open_store(tmp_path / "pets", clock=clock).participants() == []


def test_own_concepts_can_be_registered_anew_in_every_part(tmp_path):
    text = SMALL.replace("kind: samples", "kind: own\n  minimum: 2\n  when: each_condition")
    store = open_store(tmp_path / "pets", text)
    participant = store.arrive(link("a"))
    for _ in range(3):
        take_step(participant)
    owners = []
    while participant.step.kind != "debrief":
        if participant.step.kind == "concepts":
            owners.append(participant.owner)
            assert participant.missing(participant.step.id) == "Please add 2 more."
        take_step(participant)
    assert owners == participant.owners
    assert len(set(owners)) == 3
    assert all(is_participant(owner) for owner in owners)


def test_links_without_an_identifier_are_refused_in_words_and_a_name_can_be_made(tmp_path):
    store = open_store(tmp_path / "pets")
    for query in ({}, {"PROLIFIC_PID": "  "}, {"participant": "a"}):
        with pytest.raises(PersonalError, match="PROLIFIC_PID is missing"):
            store.arrive(query)
    assert store.arrive(link(new_identifier())).id != store.arrive(link(new_identifier())).id


def test_answers_that_are_missing_are_told_by_item_and_nothing_is_recorded(tmp_path):
    participant = open_store(tmp_path / "pets").arrive(link("a"))
    while participant.step.kind != "questionnaire":
        take_step(participant)
    count = len(participant.records)
    with pytest.raises(ResponseError) as refused:
        participant.submit(participant.step.id, {**responses_for(participant.step), "sus3": 9, "sus4": None})
    assert set(refused.value.items) == {"sus3", "sus4"}
    assert len(participant.records) == count


def test_a_full_disk_leaves_the_participant_where_they_were(tmp_path, monkeypatch):
    participant = open_store(tmp_path / "pets").arrive(link("a"))
    participant.consent()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match="full"):
        participant.submit("eligibility", {"adult": "Yes"})
    monkeypatch.undo()
    again = open_store(tmp_path / "pets").arrive(link("a"))
    assert again.step.id == participant.step.id == "eligibility"
    assert len(again.records) == len(participant.records)


def test_progress_tells_who_is_where_and_how_long_steps_take(tmp_path):
    clock = Clock()
    store = open_store(tmp_path / "pets", clock=clock)
    finish(store.arrive(link("done")))
    half = store.arrive(link("half"))
    for _ in range(2):
        take_step(half)
    half.enter("tutorial")
    clock.sleep(30)
    half.log("tutorial", "error", text="The photo could not be read.")
    out = store.arrive(link("out"))
    out.consent()
    out.submit("eligibility", {"adult": "No"})
    half.done("tutorial")
    told = progress(store)
    assert told.by_status == {"finished": 1, "active": 1, "screened_out": 1}
    assert told.standing == {"part1.task.talk": 1}
    assert told.seconds["tutorial"] == 15  # the median of 0 and 30
    assert [one["step"] for one in told.errors] == ["tutorial"]
    assert sum(told.orders.values()) == 2

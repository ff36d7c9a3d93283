"""A run that is cut short goes on where it stopped, and gives what an unbroken one gives."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from itertools import product
from pathlib import Path

import pytest
from PIL import Image

from personal.data.photos import Photos
from personal.errors import ModelError, PersonalError
from personal.evaluate import asking, caption, choice, named_captions, recognition
from personal.evaluate.__main__ import main
from personal.evaluate.asking import ask, register
from personal.evaluate.journal import Journal
from personal.evaluate.layouts.identified import read_folder
from tests.conftest import BLUE, GREY, RED, Scripted, open_assistant, picture

COLOURS = {"cherry": (220, 20, 20), "leaf": (20, 190, 30), "night": (5, 5, 5)}


def reply(text):
    return lambda: {"answer": text}


def never():
    pytest.fail("what is known was asked again")


def test_what_was_answered_is_not_asked_again(tmp_path):
    path = tmp_path / "out.partial.jsonl"
    with Journal(path, {"model": "one"}) as journal:
        assert journal.recall({"question": "Who?"}, reply("Bo, 渡辺.")) == {"answer": "Bo, 渡辺."}
        assert journal.recall({"question": "Who?"}, never) == {"answer": "Bo, 渡辺."}
    with Journal(path, {"model": "one"}) as journal:
        assert journal.known == 1
        assert journal.recall({"question": "Who?"}, never) == {"answer": "Bo, 渡辺."}
        assert journal.recall({"question": "Where?"}, reply("There.")) == {"answer": "There."}
        journal.remove()
    assert not path.exists()


def test_an_answer_is_on_the_disk_as_soon_as_it_is_there(tmp_path):
    path = tmp_path / "out.partial.jsonl"
    with Journal(path) as journal:
        for number in range(3):
            journal.recall({"question": number}, reply(str(number)))
            assert len(path.read_bytes().splitlines()) == number + 2


@pytest.mark.parametrize("kept", [1, 20, -30, -2, -1])
def test_wherever_a_kill_tore_the_file_it_goes_on(tmp_path, kept):
    path = tmp_path / "out.partial.jsonl"
    with Journal(path, {"model": "one"}) as journal:
        for number in range(5):
            journal.recall({"question": number}, reply(str(number)))
    whole = path.read_bytes()
    path.write_bytes(whole[:kept])
    with Journal(path, {"model": "one"}) as journal:
        assert journal.known == (0 if kept > 0 else 4)
        for number in range(5):
            assert journal.recall({"question": number}, reply(str(number))) == {"answer": str(number)}
    assert path.read_bytes() == whole


def test_a_damaged_line_costs_its_own_answer_alone(tmp_path):
    path = tmp_path / "out.partial.jsonl"
    with Journal(path) as journal:
        for number in range(3):
            journal.recall({"question": number}, reply(str(number)))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], b'{"asked": \xff\x00\n', *lines[3:]]))
    with Journal(path) as journal:
        assert journal.known == 2
        assert journal.recall({"question": 1}, reply("again")) == {"answer": "again"}


def test_answers_of_other_settings_are_neither_mixed_nor_lost(tmp_path):
    path = tmp_path / "out.partial.jsonl"
    with Journal(path, {"model": "one", "top_k": 4}) as journal:
        journal.recall({"question": "Who?"}, reply("Bo."))
    before = path.read_bytes()
    with pytest.raises(PersonalError, match=r"1 answers of a run with other settings \(model one, now") as caught:
        Journal(path, {"model": "two", "top_k": 4})
    assert "delete" in str(caught.value)
    assert path.read_bytes() == before


def test_two_runs_do_not_write_to_one_file(tmp_path):
    path = tmp_path / "out.partial.jsonl"
    with Journal(path) as journal:
        with pytest.raises(PersonalError, match="another run"):
            Journal(path)
        journal.recall({"question": 1}, reply("kept"))
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    with Journal(path) as journal:
        assert journal.known == 1


@pytest.mark.parametrize("content", ['{"image": "a.png"}\n', "a diary\n", "[1]\n"])
def test_a_file_of_somebody_elses_is_left_alone(tmp_path, content):
    path = tmp_path / "out.partial.jsonl"
    path.write_text(content)
    with pytest.raises(PersonalError, match="no journal"):
        Journal(path)
    assert path.read_text() == content


def test_the_same_question_is_another_one_where_other_things_are_known(tmp_path):
    with open_assistant(tmp_path / "data", Scripted(("So.",))) as assistant, Journal() as journal:
        asked = assistant.generator.asked

        def count(**options):
            ask(assistant, "somebody", "Who is it?", picture(RED), journal=journal, **options)
            return len(asked)

        register(assistant, "somebody", {"bo": [picture(RED)]})
        assert [count(), count()] == [1, 1]
        assert count(names=False) == 2
        assert count(memory=False) == 3
        assistant.remember("somebody", "bo", [picture(RED, dot=3)])
        assert [count(), count(memory=False)] == [4, 4]
        assistant.remember("somebody", "bo", [], info="a cherry")
        assert [count(), count(memory=False)] == [5, 5]


# -- each protocol, cut short ----------------------------------------------------------------------------------------


class Mortal(Scripted):
    """Says how often it was asked what, and dies at a question."""

    def __init__(self, dies_at=None):
        super().__init__()
        self.dies_at = dies_at

    def stream(self, messages, **options):
        if len(self.asked) == self.dies_at:
            raise ModelError("killed")
        text = "".join(part.get("text", "") for part in messages[-1]["content"])
        self.words = ("Yes, " if len(text) % 2 else "No, ", f"A <cherry> of {len(text)}.")
        yield from super().stream(messages, **options)


@pytest.fixture
def folder(tmp_path):
    for name, colour in COLOURS.items():
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(3):
            Image.new("RGB", (64, 64), tuple(c + 2 * i for c in colour)).save(tmp_path / "photos" / name / f"{i}.png")
    rows = [{"image": f"{i}.png", "captions": [f"A dog and {i} cats."], "split": "test"} for i in range(6)]
    for i in range(6):
        Image.new("RGB", (64, 64), (40 * i, 90, 90)).save(tmp_path / "photos" / f"{i}.png")
    (tmp_path / "photos" / "captions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path / "photos"


def ask_pairs(assistant, folder, journal):
    return recognition.recognition(assistant, read_folder(folder, 2), references=2, seeds=2, journal=journal)


def ask_captions(assistant, folder, journal):
    others = [("grey.png", picture(GREY))]
    options = {"references": 1, "seeds": 2, "unregistered": 1, "strangers": others, "journal": journal}
    return named_captions.named_captions(assistant, read_folder(folder, 2), **options)


def ask_choices(assistant, folder, journal):
    assistant.remember(choice.OWNER, "bo", [picture(BLUE)], info="a blue thing")
    questions = [choice.Question("bo", f"{i}.png", f"Is sks {i}?", "Yes", "No", "B", picture(RED)) for i in range(3)]
    return choice.choice(assistant, questions, journal=journal)


def ask_plain(assistant, folder, journal):
    pytest.importorskip("pycocoevalcap")
    photos = Photos(folder)
    report = caption.plain(assistant, photos, photos.rows, journal=journal)
    named = caption.with_names(assistant.generator, photos, photos.rows, count=2, journal=journal)
    report.answers += named.answers
    return report


@pytest.mark.parametrize("run", [ask_pairs, ask_captions, ask_choices, ask_plain])
def test_a_protocol_that_is_cut_short_asks_the_rest_alone_and_reports_the_same(tmp_path, folder, run, monkeypatch):
    monkeypatch.setattr(asking, "BATCH", 2)
    whole = Mortal()
    with open_assistant(tmp_path / "whole", whole) as assistant:
        unbroken = run(assistant, folder, Journal())
    path = tmp_path / "out.partial.jsonl"
    first, second = Mortal(dies_at=len(whole.asked) // 2), Mortal()
    with (
        open_assistant(tmp_path / "first", first) as assistant,
        Journal(path) as journal,
        pytest.raises(ModelError, match="killed"),
    ):
        run(assistant, folder, journal)
    with open_assistant(tmp_path / "second", second) as assistant, Journal(path) as journal:
        resumed = run(assistant, folder, journal)
    assert 0 <= len(first.asked) + len(second.asked) - len(whole.asked) < 2
    assert resumed == unbroken
    assert json.dumps(resumed.answers) == json.dumps(unbroken.answers)


# -- the real thing, killed ------------------------------------------------------------------------------------------

ROOT = Path(__file__).parents[1]
QUESTIONS = 8
"""Asked in both orders, with and without what is known of the concept: 32 in all."""


@pytest.fixture
def questions(tmp_path):
    """RAP's form of database with two concepts, and questions about them."""
    database = tmp_path / "database"
    database.mkdir()
    known = {"bo": ("brown", "a brown dog that sleeps on desks"), "mo": ("blue", "a blue cup with a handle")}
    records = {}
    for name, (colour, info) in known.items():
        Image.new("RGB", (64, 64), colour).save(database / f"{name}.png")
        records[f"<{name}>"] = {"name": name, "image": f"{name}.png", "info": f"<{name}> is {info}.", "category": ""}
    (database / "database.json").write_text(json.dumps({"concept_dict": records, "path_to_concept": {}}))
    options = product(("a dog", "brown"), ("green", "asleep"))
    asked = {f"{a}-{b}": {"question": "Is sks", "option": {"A": a, "B": b}, "correct_answer": "A"} for a, b in options}
    path = tmp_path / "questions.json"
    path.write_text(json.dumps(dict.fromkeys(known, asked)))
    return ["choice", str(path), "--database", str(database), "--json"]


def answers(journal):
    """How many a journal on disk holds whole."""
    rows = journal.read_bytes().splitlines(keepends=True)[1:] if journal.exists() else []
    return sum(len(json.loads(row)["replies"]) for row in rows if row.endswith(b"\n"))


@pytest.mark.model
def test_a_run_that_was_killed_and_resumed_gives_the_table_of_an_unbroken_run(tmp_path, questions, monkeypatch, capsys):
    monkeypatch.setenv("PERSONAL_MAX_NEW_TOKENS", "1")
    out = tmp_path / "out.json"
    journal = out.with_suffix(".partial.jsonl")
    command = [sys.executable, "-m", "personal.evaluate", *questions, str(out)]
    killed = subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    patience = time.monotonic() + 240
    while answers(journal) < 2 * QUESTIONS:
        assert killed.poll() is None, killed.communicate()
        assert time.monotonic() < patience
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert not out.exists()
    answered = answers(journal)
    assert 2 * QUESTIONS <= answered < 4 * QUESTIONS

    assert main([*questions, str(out)]) == 0
    table, told = capsys.readouterr()
    assert f" {answered} answers are there already" in told
    assert main([*questions, str(tmp_path / "unbroken.json")]) == 0
    assert capsys.readouterr().out == table
    for suffix in (".json", ".md"):
        assert out.with_suffix(suffix).read_text() == (tmp_path / "unbroken.json").with_suffix(suffix).read_text()
    assert len(json.loads(out.read_text())["answers"]) == 4 * QUESTIONS
    assert list(tmp_path.glob("*.partial.jsonl")) == []
    assert list(tmp_path.glob("*.tmp")) == []

"""Two-option questions: how they are read, asked and counted, and the command on RAP's form of database."""

from __future__ import annotations

import json
import re

import pytest
from PIL import Image

from personal.data.templates import two_options
from personal.errors import PersonalError
from personal.evaluate import choice
from personal.evaluate.__main__ import main
from personal.evaluate.choice import OWNER, WITH_INFO, WITHOUT_INFO, WITHOUT_PHOTO
from tests.conftest import BLUE, RED, Scripted, open_assistant, picture

QUESTIONS = {
    "bo": {
        "0": {"question": "What is sks's coat?", "option": {"A": "Brown", "B": "White"}, "correct_answer": "A"},
        "1": {"question": "Is sks at desks?", "option": {"A": "On desks", "B": "On grass"}, "correct_answer": "A"},
    },
    "mo": {"0": {"question": "Is sks a cup?", "option": {"A": "A plate", "B": "A cup"}, "correct_answer": "B"}},
    "stranger": {"0": {"question": "Who is sks?", "option": {"A": "A", "B": "B"}, "correct_answer": "A"}},
}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "questions.json"
    path.write_text(json.dumps(QUESTIONS), encoding="utf-8")
    return path


class Informed(Scripted):
    """Chooses the option that what it was told of the concept mentions, else A."""

    def stream(self, messages, **options):
        text = "".join(part.get("text", "") for part in messages[-1]["content"])
        told = " ".join(re.findall("Info: (.*)", text)).lower()
        choices = dict(re.findall(r"^([AB])\. (.*)$", text, re.MULTILINE))
        self.words = (next((key for key, option in choices.items() if option.lower() in told), "A"),)
        yield from super().stream(messages, **options)


@pytest.mark.parametrize(
    ("reply", "read"),
    [
        ("A", "A"),
        ("B.", "B"),
        ("(b)", "B"),
        ("The answer is B.", "B"),
        ("Answer: B", "B"),
        ("A dog", "B"),
        ("a dog.", "B"),
        ("Black cat", "A"),
        ("Both", None),
        ("A collar of blue leather", None),
        ("A bird is beside it, so the answer is B.", "B"),
        ("A) Black", "A"),
        ("I choose A", "A"),
        ("It must be B here", "B"),
        ("It is a dog.", None),
        ("Neither A nor B.", None),
        ("A and B are both wrong", None),
        ("Neither is sure, but the answer is B.", "B"),
        ("", None),
    ],
)
def test_a_reply_is_a_letter_that_stands_alone_or_an_options_text(reply, read):
    assert choice.letter(reply, "Black cat.", "A dog") == read


def test_both_published_forms_are_read_and_bad_ones_refused_in_words(tmp_path, file):
    first, *_ = choice.read_questions(file)
    assert (first.concept, first.a, first.right, first.file) == ("bo", "Brown", "A", None)
    visual = {"question": "Is sks red?", "options": {"A": "Yes", "B": "No"}, "correct_answer": "B"}
    file.write_text(json.dumps({"bo": {"./yollava-data/test/bo/3.png": visual}}))
    assert choice.read_questions(file)[0].file.endswith("3.png")
    for bad in (
        "[]",
        "{}",
        "nothing",
        '{"bo": {"0": {}}}',
        '{"bo": []}',
        json.dumps({"bo": {"0": {**visual, "correct_answer": "C"}}}),
    ):
        file.write_text(bad)
        with pytest.raises(PersonalError, match="two-option"):
            choice.read_questions(file)


def test_photos_are_found_by_concept_and_number_and_others_noted(tmp_path, file):
    record = {"question": "Is sks red?", "options": {"A": "Yes", "B": "No"}, "correct_answer": "B"}
    file.write_text(json.dumps({"bo": {f"./test/bo/{n}.png": record for n in (1, 11, 2)}}))
    (tmp_path / "bo").mkdir()
    Image.new("RGB", (64, 64), "red").save(tmp_path / "bo" / "1.jpg")
    (tmp_path / "bo" / "11.png").write_bytes(b"nothing")
    found, notes = choice.with_photos(choice.read_questions(file), tmp_path)
    assert [question.photo is not None for question in found] == [True]
    assert [note.split()[0] for note in notes] == ["bo/11", "bo/2"]


def test_who_knows_the_info_is_right_and_without_it_as_good_as_always_saying_a(tmp_path, file):
    generator = Informed()
    with open_assistant(tmp_path / "data", generator) as assistant:
        assistant.remember(OWNER, "bo", [picture(RED)], info="<bo> has a brown coat and sleeps on desks.")
        assistant.remember(OWNER, "mo", [picture(BLUE)], info="a cup with a handle")
        report = choice.choice(assistant, choice.read_questions(file))
    figures = report.figures
    assert (figures[WITH_INFO], figures[WITHOUT_INFO], figures["gained_by_info"]) == (1, 0.5, 0.5)
    assert (figures["always_a"], figures["share_of_a"], figures["neither_with_info"], figures["questions"]) == (
        0.5,
        0.5,
        0,
        3,
    )
    assert figures["always_a_published"] == pytest.approx(2 / 3, abs=1e-4)
    assert WITHOUT_PHOTO not in figures
    assert len(report.answers) == 3 * 2 * 2
    assert report.notes == ["1 concepts are not in the database: stranger."]
    asked = [message[-1]["content"][-1]["text"] for message in generator.asked]
    for a, b in (("On desks", "On grass"), ("On grass", "On desks")):
        assert sum(text.endswith(two_options("Is <bo> at desks?", a, b)) for text in asked) == 2


def test_questions_about_photos_are_also_asked_without_them(tmp_path, file):
    generator = Scripted(("B",))
    question = choice.Question("bo", "bo/1.png", "Is sks red?", "Yes", "No", "B", picture(RED))
    with open_assistant(tmp_path / "data", generator) as assistant:
        assistant.remember(OWNER, "bo", [picture(RED, dot=2)])
        figures = choice.choice(assistant, [question]).figures
        with pytest.raises(PersonalError, match="none of the database"):
            choice.choice(assistant, choice.read_questions(file)[2:])
    assert (figures[WITH_INFO], figures[WITHOUT_PHOTO]) == (0.5, 0.5)
    shown = [sum(p["type"] == "image" and not p["avatar"] for p in m[-1]["content"]) for m in generator.asked]
    assert sorted(shown) == [0, 0, 1, 1, 1, 1]


@pytest.mark.model
def test_the_command_asks_about_raps_database_in_both_orders(tmp_path, file, monkeypatch, capsys):
    monkeypatch.setenv("PERSONAL_MAX_NEW_TOKENS", "3")
    file.write_text(json.dumps({"bo": {"0": QUESTIONS["bo"]["0"]}, "stranger": QUESTIONS["stranger"]}))
    database = tmp_path / "database"
    database.mkdir()
    Image.new("RGB", (64, 64), "brown").save(database / "bo.png")
    record = {"name": "bo", "image": "example_database/bo.png", "info": "<bo> is a brown dog.", "category": "dog"}
    (database / "database.json").write_text(json.dumps({"concept_dict": {"<bo>": record}, "path_to_concept": {}}))
    out = tmp_path / "out.json"
    assert main(["choice", str(file), "--database", str(database), "--json", str(out)]) == 0
    found = json.loads(out.read_text(encoding="utf-8"))
    assert found["questions"] == 1
    assert found["always_a"] == 0.5
    assert [(a["condition"], a["swapped"]) for a in found["answers"]] == [
        (WITH_INFO, False),
        (WITHOUT_INFO, False),
        (WITH_INFO, True),
        (WITHOUT_INFO, True),
    ]
    assert found["answers"][0]["question"] == "What is <bo>'s coat?"
    shown = capsys.readouterr()
    assert "always_a" in shown.out
    assert "stranger" in shown.err

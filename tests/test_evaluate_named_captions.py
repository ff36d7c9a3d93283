"""Captions of registered concepts and "is <name> in this photo?": how answers are counted, and the commands."""

from __future__ import annotations

import json
import re

import pytest
from PIL import Image, ImageDraw

from personal.data.templates import CAPTION_REQUEST
from personal.errors import PersonalError
from personal.evaluate import named_captions, recognition
from personal.evaluate.__main__ import main
from personal.evaluate.layouts.identified import read_folder
from personal.evaluate.named_captions import REGISTERED, STRANGERS, UNREGISTERED
from tests.conftest import GREY, Scripted, open_assistant, picture

COLOURS = {"cherry": (220, 20, 20), "leaf": (20, 190, 30), "sea_1": (20, 30, 210), "night": (5, 5, 5)}


@pytest.fixture
def folder(tmp_path):
    for name, colour in COLOURS.items():
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(3):
            Image.new("RGB", (64, 64), tuple(c + 2 * i for c in colour)).save(tmp_path / "photos" / name / f"{i}.png")
    return tmp_path / "photos"


class Namer(Scripted):
    """Says the names of all whom retrieval found, and yes where it was told of anybody."""

    def stream(self, messages, **options):
        said = "".join(part.get("text", "") for part in messages[-1]["content"])
        found = re.findall(r"Name: (<[^<>]+>)", said)
        if "in this photo?" in said:
            self.words = (f"Yes, {found[0]} is." if found else "No.",)
        else:
            self.words = (" and ".join(found) or "Nobody.",)
        yield from super().stream(messages, **options)


def asked(source, concept, *named, photo=None):
    return {"source": source, "photo": photo or f"{concept}.png", "concept": concept, "named": list(named)}


def test_names_count_as_defined():
    report = named_captions.score(
        [
            asked(REGISTERED, "bo", "bo", photo="1"),  # right
            asked(REGISTERED, "bo", "bo", "mo", photo="2"),  # right, and a wrong name beside it
            asked(REGISTERED, "mo", "xi", photo="3"),  # wrong
            asked(REGISTERED, "mo", photo="4"),  # silence
            asked(UNREGISTERED, "yu"),
            asked(UNREGISTERED, "yu", "bo", "mo"),
            asked(STRANGERS, "", photo="5"),
            asked(STRANGERS, "", "bo", photo="6"),
            asked(STRANGERS, "", photo="7"),
        ]
    )
    figures = report.figures
    assert figures["recall"] == 0.5
    assert figures["precision"] == 0.5
    assert figures["f1"] == 0.5
    assert figures["false_names"] == 0.4
    assert figures["false_names_unregistered"] == 0.5
    assert figures["false_names_strangers"] == pytest.approx(1 / 3, abs=1e-4)
    assert (figures["captions"], figures["captions_without"], figures["captions_strangers"]) == (4, 5, 3)
    assert report.intervals["f1"][0] < 0.5 < report.intervals["f1"][1]


def test_a_wrong_name_beside_the_right_one_costs_precision():
    clean = named_captions.score([asked(REGISTERED, "bo", "bo")]).figures
    beside = named_captions.score([asked(REGISTERED, "bo", "bo", "mo")]).figures
    assert (clean["precision"], beside["precision"]) == (1, 0.5)
    assert clean["f1"] > beside["f1"]


def test_who_names_nobody_has_no_precision_and_no_f1():
    figures = named_captions.score([asked(REGISTERED, "bo")]).figures
    assert (figures["recall"], figures["precision"], figures["f1"]) == (0, None, 0)
    assert figures["false_names"] is None


def test_who_says_what_retrieval_finds_is_right_and_silent_about_strangers(tmp_path, folder):
    generator = Namer()
    with open_assistant(tmp_path / "data", generator) as assistant:
        report = named_captions.named_captions(
            assistant,
            read_folder(folder, 2),
            references=2,
            seeds=2,
            unregistered=1,
            strangers=[("grey.png", picture(GREY)), ("too.png", picture(GREY, dot=3))],
        )
    assert (report.figures["f1"], report.figures["false_names"]) == (1, 0)
    assert (report.figures["captions"], report.figures["captions_unregistered"]) == (6, 2)
    assert sorted(a["photo"] for a in report.answers if a["source"] == STRANGERS) == ["grey.png", "too.png"]
    assert {a["photo"].split("/")[0] for a in report.answers if a["source"] == REGISTERED} <= set(COLOURS)
    questions = [message[-1]["content"][-1]["text"] for message in generator.asked]
    assert all(CAPTION_REQUEST in question for question in questions)
    assert not any(name in question.split("]")[-1] for question in questions for name in COLOURS)


def test_who_always_says_one_name_is_false_wherever_it_does_not_belong(tmp_path, folder):
    with open_assistant(tmp_path / "data", Scripted(("I see <cherry>.",))) as assistant:
        report = named_captions.named_captions(assistant, read_folder(folder, 2), references=2, seeds=1)
        with pytest.raises(PersonalError, match="unregistered"):
            named_captions.named_captions(assistant, read_folder(folder, 2), references=2, seeds=1, unregistered=4)
    assert (report.figures["recall"], report.figures["precision"]) == (0.25, 0.25)


def test_a_name_without_its_brackets_is_no_mention(tmp_path, folder):
    with open_assistant(tmp_path / "data", Scripted(("A cherry, a <leaf >, <Night>.",))) as assistant:
        report = named_captions.named_captions(assistant, read_folder(folder, 2), references=2, seeds=1)
    assert report.figures["recall"] == 0
    assert all(answer["named"] == [] for answer in report.answers)


# -- recognition -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("Yes, <bo> is in the photo.", True),
        ("yes", True),
        ('"No", I think.', False),
        ("NO!", False),
        ("<bo>? Yes.", None),
        ("Not sure.", None),
        ("Yesterday.", None),
        ("Nothing.", None),
        ("", None),
        ("…", None),
    ],
)
def test_only_the_first_word_says_yes_or_no(text, meant):
    assert recognition.yes_or_no(text) is meant


def test_neither_yes_nor_no_is_wrong_and_both_kinds_of_pairs_weigh_the_same():
    pairs = [(True, "Yes."), (True, "Maybe."), (False, "No."), (False, "No."), (False, "Yes."), (False, "A dog.")]
    answers = [{"photo": str(i), "there": there, "answer": text} for i, (there, text) in enumerate(pairs)]
    report = recognition.score(answers)
    figures = report.figures
    assert (figures["positive"], figures["negative"], figures["weighted"]) == (0.5, 0.5, 0.5)
    assert (figures["neither"], figures["questions"]) == (2, 6)
    assert [answer["right"] for answer in report.answers] == [True, False, True, True, False, False]


def test_who_always_says_yes_is_right_in_half_of_the_cases_by_weight(tmp_path, folder):
    with open_assistant(tmp_path / "data", Scripted(("Yes.",))) as assistant:
        figures = recognition.recognition(assistant, read_folder(folder, 2), references=2, seeds=2).figures
    assert (figures["positive"], figures["negative"], figures["weighted"]) == (1, 0, 0.5)
    assert figures["questions"] == 2 * 4 * 4


def test_without_names_only_what_is_seen_is_told_of(tmp_path, folder):
    with open_assistant(tmp_path / "data", Namer()) as assistant:
        photos = read_folder(folder, 2)
        looked_up = recognition.recognition(assistant, photos, references=2, seeds=1)
        assistant.erase("seed-0")
        seen = recognition.recognition(assistant, photos, references=2, seeds=1, names=False)
    assert looked_up.figures["negative"] == 0  # every name that is asked about is looked up, and so told of
    assert {a["answer"] for a in looked_up.answers if a["there"]} == {a["answer"] for a in seen.answers if a["there"]}
    assert all(a["answer"].startswith(f"Yes, <{a['photo'].split('/')[0]}>") for a in seen.answers)


# -- the commands ----------------------------------------------------------------------------------------------------


@pytest.fixture
def drawn(tmp_path):
    """Two concepts of two drawn photos each, and a captioned photo of neither."""
    for name, colour in (("ball_1", "red"), ("box-2", "blue")):
        (tmp_path / "concepts" / name).mkdir(parents=True)
        for i in range(2):
            image = Image.new("RGB", (96, 80), "white")
            draw = ImageDraw.Draw(image)
            (draw.ellipse if colour == "red" else draw.rectangle)((20 + i, 10, 70, 60 + i), fill=colour)
            image.save(tmp_path / "concepts" / name / f"{i}.png")
    (tmp_path / "captions").mkdir()
    Image.new("RGB", (80, 80), "green").save(tmp_path / "captions" / "grass.png")
    row = {"image": "grass.png", "captions": ["Green grass."], "split": "test"}
    (tmp_path / "captions" / "captions.jsonl").write_text(json.dumps(row))
    return tmp_path


@pytest.mark.model
def test_the_command_captions_registered_concepts_and_strangers(drawn, monkeypatch, capsys):
    monkeypatch.setenv("PERSONAL_MAX_NEW_TOKENS", "8")
    monkeypatch.chdir(drawn)
    arguments = ["caption", "concepts", "--references", "1", "--strangers", "captions", "--limit", "5"]
    assert main([*arguments, "--json", "out.json"]) == 0
    record = json.loads((drawn / "out.json").read_text(encoding="utf-8"))
    assert (record["captions"], record["captions_strangers"]) == (2, 1)
    assert 0 <= record["f1"] <= 1
    assert 0 <= record["false_names"] <= 1
    assert [answer["photo"].split("/")[0] for answer in record["answers"]] == ["ball_1", "box-2", "grass.png"]
    assert all(isinstance(answer["answer"], str) for answer in record["answers"])
    assert (record["settings"]["references"], record["settings"]["model"]) == (1, "personal-tiny")
    shown = capsys.readouterr()
    assert "f1" in shown.out
    assert "captions, seed 0" in shown.err


@pytest.mark.model
def test_the_command_asks_about_every_photo_and_concept(drawn, monkeypatch, capsys):
    monkeypatch.setenv("PERSONAL_MAX_NEW_TOKENS", "4")
    monkeypatch.chdir(drawn)
    assert main(["recognition", "concepts", "--references", "1", "--no-names", "--json", "out.json"]) == 0
    record = json.loads((drawn / "out.json").read_text(encoding="utf-8"))
    assert record["questions"] == 4
    assert sum(answer["there"] for answer in record["answers"]) == 2
    assert record["weighted"] == pytest.approx((record["positive"] + record["negative"]) / 2)
    assert record["settings"]["no_names"] is True
    assert "weighted" in capsys.readouterr().out

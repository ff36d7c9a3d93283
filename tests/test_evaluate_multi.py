"""Photos with several concepts: how names and boxes count, and the protocol on layouts and on drawn mosaics."""

from __future__ import annotations

import io
import json
import re
from unittest.mock import Mock

import pytest
from PIL import Image, ImageDraw

from personal.errors import PersonalError
from personal.evaluate import multi
from personal.evaluate.asking import register
from personal.evaluate.baselines import Rap, WholePhoto
from personal.evaluate.journal import Journal
from personal.evaluate.layouts import read, usable
from personal.evaluate.mistakes import draw_sheet
from personal.evaluate.multi import CAPTION, FOUND, Item, iou, score
from personal.images import read_photo
from tests.conftest import GREY, Scripted, open_assistant, picture

RED, GREEN, BLUE = (230, 10, 10), (10, 220, 10), (10, 10, 230)
COLOURS = {"cherry": RED, "leaf": GREEN, "sea": BLUE}
LEFT, RIGHT = (0, 0, 0.5, 1), (0.5, 0, 1, 1)


class Namer(Scripted):
    """Says the names of all whom retrieval found."""

    def stream(self, messages, **options):
        said = "".join(part.get("text", "") for part in messages[-1]["content"])
        self.words = (" and ".join(re.findall(r"Name: (<[^<>]+>)", said)) or "Nobody.",)
        yield from super().stream(messages, **options)


def paint(path, *colours, size=(128, 64)):
    """Save a photo of one colour, or of two side by side."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mosaic(*colours, size=size).save(path)
    return path


def mosaic(*colours, size=(128, 64)):
    image = Image.new("RGB", size, colours[0])
    if len(colours) > 1:
        ImageDraw.Draw(image).rectangle((size[0] // 2, 0, *size), fill=colours[1])
    return image


def photo(*colours):
    stream = io.BytesIO()
    mosaic(*colours).save(stream, "PNG")
    return read_photo(stream.getvalue())


@pytest.fixture
def root(tmp_path):
    """MC-LLaVA's layout: two scenarios, of which only one has all of its concepts in the photo."""
    part = tmp_path / "data" / "two_concept"
    for name, colour in COLOURS.items():
        paint(part / "concept" / "train" / name / "0.png", colour)
        paint(part / "concept" / "test" / name / "0.png", tuple(c + 5 for c in colour))
    paint(part / "multi" / "cherry_leaf" / "0.png", RED, GREEN)
    paint(part / "multi" / "leaf_sea" / "0.png", GREEN, BLUE)
    return tmp_path / "data"


def found(concepts, named, photo="1", others=(), task=FOUND, **more):
    row = {"task": task, "photo": photo, "concepts": list(concepts), "named": list(named), "others": list(others)}
    return {**row, **more}


def test_an_item_counts_for_the_fraction_named_and_a_wrong_name_for_precision():
    report = score(
        [
            found("ab", "ab", "1", iou={"a": 0.5, "b": 1.0}),
            found("abc", "ax", "2", iou={"a": 0.3}),
            found("abcd", "", "3"),
            found("ab", "abc", "4", others="c"),
            found("", "", "5"),
            found("", "a", "6"),
        ]
    )
    figures = report.figures
    assert figures["named"] == round((1 + 1 / 3 + 0 + 1) / 4, 4)
    assert figures["all_named"] == 0.5
    assert figures["recall"] == round(5 / 11, 4)
    assert figures["precision"] == round(5 / 6, 4)
    assert figures["f1"] == round(2 * 5 / (11 + 6), 4)
    assert figures["too_many"] == 0.25
    assert (figures["f1_of_2"], figures["f1_of_3"], figures["f1_of_4"]) == (1, 0.4, 0)
    assert figures["iou"] == 0.6
    assert figures["false_names"] == 0.5
    assert (figures["items"], figures["items_without"]) == (4, 2)
    assert report.intervals["named"][0] < figures["named"] < report.intervals["named"][1]
    assert "caption_named" not in figures


def test_captions_count_apart_and_who_names_nobody_has_no_precision():
    figures = score([found("ab", "ab"), found("ab", "", task=CAPTION), found("", "", "2", task=CAPTION)]).figures
    assert figures["named"] == 1
    assert (figures["caption_named"], figures["caption_f1"], figures["caption_precision"]) == (0, 0, None)
    assert (figures["caption_false_names"], figures["items"], figures["items_without"]) == (0, 1, 0)


@pytest.mark.parametrize(
    ("a", "b", "shared"),
    [
        (LEFT, LEFT, 1),
        (LEFT, RIGHT, 0),
        ((0, 0, 1, 1), LEFT, 0.5),
        ((0, 0, 0.5, 0.5), (0.25, 0, 0.75, 0.5), 1 / 3),
        ((0.2, 0.2, 0.2, 0.2), (0.2, 0.2, 0.2, 0.2), 0),
        ((0, 0, 0.1, 0.1), (0.5, 0.5, 0.6, 0.6), 0),
    ],
)
def test_boxes_overlap_by_their_intersection_over_their_union(a, b, shared):
    assert iou(a, b) == iou(b, a) == pytest.approx(shared)


def test_drawn_mosaics_are_tried_with_boxes_and_backgrounds_with_none(tmp_path):
    items = [
        Item(photo(RED, GREEN), {"cherry": LEFT, "leaf": RIGHT}, file="mosaic"),
        Item(photo(BLUE, GREEN), {"sea": LEFT, "leaf": None}, file="half known"),
        Item(picture(GREY, size=(128, 64)), {}, file="background"),
    ]
    with open_assistant(tmp_path / "data", Namer()) as assistant:
        register(assistant, "me", {name: [photo(colour)] for name, colour in COLOURS.items()})
        answers = list(multi.measure_items(assistant, "me", items, threshold=0.9))
        strict = score(multi.measure_items(assistant, "me", items, threshold=1.5, captions=False)).figures
    report = score(answers)
    figures = report.figures
    assert (figures["named"], figures["all_named"], figures["f1"], figures["too_many"]) == (1, 1, 1, 0)
    assert (figures["caption_f1"], figures["top_n_f1"]) == (1, 1)
    assert (figures["false_names"], figures["caption_false_names"], figures["items_without"]) == (0, 0, 1)
    boxes = {(a["photo"], name) for a in answers if a["task"] == FOUND for name in a["iou"]}
    assert boxes == {("mosaic", "cherry"), ("mosaic", "leaf"), ("half known", "sea")}
    assert 0.4 < figures["iou"] <= 1
    assert (strict["f1"], strict["top_n_f1"]) == (0, 1)
    assert "caption_f1" not in strict
    assert "top_n_false_names" not in figures
    json.dumps(report.answers)


def test_the_photos_of_a_layout_are_tried_with_everybody_registered_or_those_who_belong(tmp_path, root):
    dataset = usable(read(root), 1)
    with open_assistant(tmp_path / "library", Namer()) as assistant:
        everybody = multi.multi(assistant, dataset, references=1)
        assert [concept.name for concept in assistant.concepts("seed-0-0")] == list(COLOURS)
        assistant.erase("seed-0-0")
        together = multi.multi(assistant, dataset, references=1, together=True, captions=False)
        assert [concept.name for concept in assistant.concepts("seed-0-0")] == ["cherry", "leaf"]
        assert [concept.name for concept in assistant.concepts("seed-0-1")] == ["leaf", "sea"]
    assert (everybody.figures["items"], everybody.figures["f1"], everybody.figures["caption_f1"]) == (2, 1, 1)
    assert (together.figures["items"], together.figures["f1"]) == (2, 1)
    assert {a["photo"] for a in everybody.answers} == {
        "two_concept/multi/cherry_leaf/0.png",
        "two_concept/multi/leaf_sea/0.png",
    }
    assert everybody.mistakes == []


def test_who_is_not_there_is_a_mistake_that_can_be_shown(tmp_path, root):
    (root / "two_concept" / "multi" / "cherry_leaf" / "position.json").write_text(
        json.dumps({"0.png": {"cherry": "left", "leaf": None}})
    )
    with open_assistant(tmp_path / "library", Namer()) as assistant:
        report = multi.multi(assistant, usable(read(root), 1), references=1, least=1, captions=False)
    assert report.figures["items"] == 5
    assert report.figures["too_many"] == 0.2
    (mistake,) = report.mistakes
    assert (set(mistake.answer.split(", ")), mistake.expected) == ({"cherry", "leaf"}, "cherry")
    assert {name for _, name in mistake.boxes} == {"cherry", "leaf"}
    draw_sheet(report.mistakes, tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert min(sheet.size) > 200


def test_what_was_looked_at_and_captioned_is_in_the_journal_and_not_done_again(tmp_path, root):
    dataset = usable(read(root), 1)
    asked, reports = [], []
    for run in range(2):
        generator = Namer()
        with (
            open_assistant(tmp_path / f"library{run}", generator) as assistant,
            Journal(tmp_path / "out.partial.jsonl") as journal,
        ):
            assistant.look = Mock(side_effect=assistant.look)
            baselines = [Rap(assistant.retriever)]
            reports.append(multi.multi(assistant, dataset, references=1, baselines=baselines, journal=journal))
            asked.append((len(generator.asked), assistant.look.call_count))
    assert asked == [(2, 4), (0, 0)]
    assert reports[0] == reports[1]


def test_other_retrievers_are_tried_on_the_same_photos_and_always_name_somebody(tmp_path, root):
    with open_assistant(tmp_path / "library", Namer()) as assistant:
        compared = [WholePhoto(assistant.retriever), Rap(assistant.retriever)]
        dataset = usable(read(root), 1)
        report = multi.multi(assistant, dataset, references=1, least=1, captions=False, baselines=compared)
    whole, rap = (report.baselines[name].figures for name in ("whole_photo", "rap"))
    assert whole["items"] == rap["items"] == report.figures["items"] == 5
    assert (whole["f1_of_1"], whole["f1_of_2"]) == (1, pytest.approx(2 / 3, abs=1e-3))
    assert (rap["f1_of_2"], rap["top_n_f1"]) == (1, 1)
    assert rap["precision"] == pytest.approx(7 / 10)  # two names for photos of one concept too
    assert all("by" not in answer for answer in report.answers)


def test_a_photo_with_several_fours_is_looked_at_and_captioned_once(tmp_path):
    both = photo(RED, GREEN)
    items = [Item(both, {"cherry": None}, frozenset({"leaf"})), Item(both, {"leaf": None}, frozenset({"cherry"}))]
    generator = Namer()
    with open_assistant(tmp_path / "data", generator) as assistant:
        register(assistant, "me", {name: [photo(colour)] for name, colour in COLOURS.items()})
        figures = score(multi.measure_items(assistant, "me", items)).figures
    assert len(generator.asked) == 1
    assert (figures["named"], figures["precision"], figures["too_many"]) == (1, 1, 0)
    assert (figures["caption_named"], figures["caption_precision"]) == (1, 1)


def test_a_dataset_without_photos_of_several_is_refused(tmp_path):
    for name, colour in COLOURS.items():
        for i in range(2):
            paint(tmp_path / "photos" / name / f"{i}.png", tuple(c + i for c in colour))
    with open_assistant(tmp_path / "data") as assistant, pytest.raises(PersonalError, match="MC-LLaVA"):
        multi.multi(assistant, usable(read(tmp_path / "photos"), 1), references=1)

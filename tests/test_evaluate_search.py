"""Search by caption, and by name and context: ranks, how both are combined, and the embedded encoder."""

from __future__ import annotations

import json
from unittest.mock import Mock

import numpy as np
import pytest
from PIL import Image, ImageDraw

from personal import settings
from personal.data.ranks import ranks_of_own
from personal.errors import PersonalError
from personal.evaluate.__main__ import main
from personal.evaluate.journal import Journal
from personal.evaluate.layouts import read, usable
from personal.evaluate.search import CONCEPT, TEXT, OpenClipTowers, in_library, ranks_of_right, standardise
from personal.images import open_photo
from tests.conftest import open_assistant


def test_the_rank_is_how_many_photos_come_before_a_captions_own():
    images = np.eye(3, dtype=np.float32)
    texts = np.array([[0.9, 0.5, 0.1], [0.9, 0.5, 0.1], [0.9, 0.5, 0.1]], np.float32)
    assert ranks_of_own(images, texts, [0, 1, 2]).tolist() == [0, 1, 2]


def test_an_encoder_that_tells_nothing_apart_finds_nothing_by_that():
    images = np.ones((21, 1), np.float32)
    assert ranks_of_own(images, np.ones((1, 1), np.float32), [0]).tolist() == [10]


@pytest.mark.model
def test_the_command_ranks_the_photos_of_the_test_split(tmp_path, capsys):
    rows = []
    for colour in ("red", "green", "blue"):
        Image.new("RGB", (80, 64), colour).save(tmp_path / f"{colour}.png")
        rows.append({"image": f"{colour}.png", "captions": [f"It is {colour}.", f"All {colour}."], "split": "test"})
    (tmp_path / "torn.png").write_bytes(b"nothing")
    rows.append({"image": "torn.png", "captions": ["Torn."], "split": "test"})
    (tmp_path / "captions.jsonl").write_text("\n".join(map(json.dumps, rows)))
    out = tmp_path / "out.json"
    assert main(["search", str(tmp_path), "--json", str(out)]) == 0
    found = json.loads(out.read_text(encoding="utf-8"))
    assert (found["photos"], found["queries"]) == (3, 6)
    assert found["recall@5"] == found["recall@10"] == 1
    assert 0 <= found["recall@1"] <= 1
    assert {answer["rank"] for answer in found["answers"]} <= {1, 1.5, 2, 2.5, 3}
    assert found["notes"][0].startswith("torn.png")
    assert "recall@1" in capsys.readouterr().out
    table = out.with_suffix(".md").read_text(encoding="utf-8")
    assert table.startswith("# Search by caption")
    assert "context" not in table
    assert not out.with_suffix(".partial.jsonl").exists()


# -- by name and context ----------------------------------------------------------------------------------------------

THINGS = {"cherry": (230, 10, 10), "leaf": (10, 220, 10)}
PLACES = {"sea": (10, 10, 230), "night": (5, 5, 5), "snow": (250, 250, 250), "sand": (230, 200, 120)}


class Halves:
    """Knows a photo by the colour of its right half and a text by the place it names: a text side never wrong."""

    def __init__(self):
        self.read = []

    def photo(self, photo):
        image = np.asarray(open_photo(photo), np.float32)
        return self._unit(image[:, -8:].mean(axis=(0, 1)))[None]

    def texts(self, texts):
        self.read += texts
        return np.stack([self._unit(next((c for p, c in PLACES.items() if p in text), (128,) * 3)) for text in texts])

    def _unit(self, colour):
        vector = np.append(np.asarray(colour, np.float32) - 127.5, 8).astype(np.float32)
        return vector / np.linalg.norm(vector)


def scene(path, left, right):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new("RGB", (128, 64), left)
    ImageDraw.Draw(image).rectangle((64, 0, 128, 64), fill=right)
    image.save(path)


@pytest.fixture
def library(tmp_path):
    """ConCon-Chi's layout: every thing at every place, and a search for each."""
    root = tmp_path / "concon"
    train, test = [], []
    for number, (name, colour) in enumerate(THINGS.items()):
        scene(root / "data" / "images" / f"{name}.png", colour, colour)
        train.append({"LABEL": "*", "CONCEPTS": [number], "GTS": [f"{name}.png"], "ADDITIONAL GTS": [], "KIND": "a"})
        for place, other in PLACES.items():
            file = f"{name}_{place}.png"
            scene(root / "data" / "images" / file, colour, other)
            row = {"LABEL": f"a * by the {place}", "CONCEPTS": [number], "GTS": [file], "ADDITIONAL GTS": []}
            test.append({**row, "KIND": "a"})
    record = {"concepts": [{"name": name, "coarse": "toy" if name == "leaf" else ""} for name in THINGS]}
    (root / "data" / "annotations").mkdir()
    for split, data in (("train", train), ("test", test)):
        (root / "data" / "annotations" / f"{split}.json").write_text(json.dumps({**record, "data": data}))
    return root


def test_name_and_context_find_together_what_neither_finds_alone(assistant, library):
    towers = Halves()
    report = in_library(assistant, towers, usable(read(library), 1), references=1)
    assert (report.figures["recall@1"], report.figures["map"]) == (1, 1)
    assert report.baselines[TEXT].figures["recall@1"] < 0.8
    assert report.baselines[CONCEPT].figures["recall@1"] < 0.8
    assert report.baselines[TEXT].figures["map"] < 1
    assert (report.figures["photos"], report.figures["queries"]) == (8, 8)
    assert "a thing by the sea" in towers.read
    assert "a toy by the sea" in towers.read
    assert report.intervals["map"] == (1, 1)
    assert report.answers[0]["ranks"]["both"] == [1]
    assert [concept.name for concept in assistant.concepts("seed-0")] == ["cherry", "leaf"]


def test_what_was_seen_before_the_run_was_cut_short_is_not_looked_at_again(tmp_path, library):
    dataset = usable(read(library), 1)
    reports, looked = [], []
    for run in range(2):
        towers = Halves()
        with open_assistant(tmp_path / f"run{run}") as assistant, Journal(tmp_path / "out.partial.jsonl") as journal:
            towers.photo = Mock(side_effect=towers.photo)
            assistant.rank = Mock(side_effect=assistant.rank)
            reports.append(in_library(assistant, towers, dataset, references=1, journal=journal))
            looked.append((towers.photo.call_count, assistant.rank.call_count))
    assert looked == [(8, 8), (0, 0)]
    assert reports[0] == reports[1]


def test_of_several_concepts_the_photo_that_has_them_all_comes_first(assistant, library):
    file = library / "data" / "annotations" / "test.json"
    record = json.loads(file.read_text())
    scene(library / "data" / "images" / "both.png", THINGS["cherry"], THINGS["leaf"])
    row = {"LABEL": "* beside *", "CONCEPTS": [0, 1], "GTS": ["both.png"], "ADDITIONAL GTS": [], "KIND": "a"}
    file.write_text(json.dumps({**record, "data": [*record["data"], row]}))
    towers = Halves()
    report = in_library(assistant, towers, usable(read(library), 1), references=1)
    assert report.answers[-1]["concepts"] == ["cherry", "leaf"]
    assert report.answers[-1]["ranks"][CONCEPT] == [1]
    assert "thing beside toy" in towers.read


def test_only_what_is_not_a_reference_is_searched_where_the_layout_has_no_split(assistant, tmp_path):
    for name, colour in THINGS.items():
        for place, other in PLACES.items():
            scene(tmp_path / "my" / name / f"{place}.png", colour, other)
        captions = {f"{place}.png": [f"{name} by the {place}."] for place in PLACES}
        (tmp_path / "my" / name / "captions.json").write_text(json.dumps(captions))
    report = in_library(assistant, Halves(), usable(read(tmp_path / "my"), 2), references=2, seeds=2)
    assert (report.figures["photos"], report.figures["queries"]) == (4, 8)
    asked = {(answer["seed"], answer["query"], *answer["concepts"]) for answer in report.answers}
    assert len(asked) == 8
    assert report.figures["recall@5"] == 1


def test_right_photos_rank_behind_wrong_ones_only_and_ties_count_half():
    assert ranks_of_right(np.array([0.9, 0.8, 0.7]), np.array([True, False, True])) == [1, 3]
    assert ranks_of_right(np.array([0.5, 0.5, 0.5]), np.array([False, True, False])) == [2]
    assert ranks_of_right(np.array([0.1, 0.9, 0.9]), np.array([False, True, True])) == [1, 2]


def test_values_are_brought_to_one_scale_and_equal_ones_say_nothing():
    values = standardise(np.array([1.0, 2.0, 3.0]))
    assert (values.mean(), values.std()) == (pytest.approx(0), pytest.approx(1))
    assert standardise(np.full(4, 0.7)).tolist() == [0, 0, 0, 0]


def test_a_dataset_without_searches_is_refused(assistant, tmp_path):
    for name, colour in THINGS.items():
        for place, other in PLACES.items():
            scene(tmp_path / "plain" / name / f"{place}.png", colour, other)
    with pytest.raises(PersonalError, match="ConCon-Chi"):
        in_library(assistant, Halves(), usable(read(tmp_path / "plain"), 1), references=1)


@pytest.mark.model
def test_the_embedded_encoders_own_text_side_searches_a_library(assistant, library):
    report = in_library(assistant, OpenClipTowers(settings.load()), usable(read(library), 1), references=1)
    assert report.figures["queries"] == 8
    assert report.figures["recall@10"] == 1
    assert report.figures["recall@1"] is not None
    assert report.baselines[TEXT].figures["map"] > 0

"""Identification on a folder: the figures, what is left out, and the command."""

from __future__ import annotations

import io
import json
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from personal.errors import PersonalError
from personal.evaluate.__main__ import main
from personal.evaluate.baselines import Majority, Rap, WholePhoto
from personal.evaluate.confusion import as_table, draw_confusion
from personal.evaluate.identify import UNNAMED, QueryResult, auroc, draw, figures, identify, measured
from personal.evaluate.layouts.identified import read_folder
from personal.images import open_photo, read_photo
from personal.retrieve.regions import Regions, crops
from tests.conftest import MeanColour, picture

COLOURS = {"cherry": (220, 20, 20), "leaf": (20, 190, 30), "sea": (20, 30, 210), "night": (5, 5, 5)}


def save(path, colour):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (64, 64), colour).save(path)


@pytest.fixture
def folder(tmp_path):
    home = tmp_path / "photos"
    for name, colour in COLOURS.items():
        for i in range(4):
            save(home / name / f"{i}.png", tuple(c + 2 * i for c in colour))
    (home / "notes.txt").write_text("not a concept")
    return home


def test_photos_that_tell_apart_are_all_identified(assistant, folder):
    result = identify(assistant, read_folder(folder, 2), references=2, seeds=3, unregistered=1)
    report = result.report
    assert report["top1"] == 1
    assert report["auroc"] == 1
    assert 0 <= report["f1"] <= 1
    assert (report["concepts"], report["references"], report["seeds"], report["queries"]) == (4, 2, 3, 24)
    assert [row["seed"] for row in report["per_seed"]] == [0, 1, 2]
    assert sum(result.confusion.values()) == 24


def test_without_strangers_auroc_and_f1_are_null(assistant, folder):
    report = identify(assistant, read_folder(folder, 1), references=1, seeds=1).report
    assert report["auroc"] is None
    assert report["f1"] is None
    assert report["per_seed"][0]["f1"] is None


def test_references_are_never_asked_about_and_a_seed_always_draws_the_same(folder):
    photos = read_folder(folder, 2)
    chosen, queries = draw(photos, 2, 1, 7)
    again, _ = draw(photos, 2, 1, 7)
    assert chosen == again
    assert len(chosen) == 3
    assert len(queries) == 4
    for name, views in chosen.items():
        assert len(views) == 2
        assert not {v.sha256 for v in views} & {q.sha256 for q in queries[name]}


def test_the_figures_count_as_defined():
    seen = [
        QueryResult("bo", True, "bo", 0.9),  # right name
        QueryResult("bo", True, "mo", 0.8),  # wrong name
        QueryResult("mo", True, "mo", 0.4, certainty="maybe"),  # no name, though highest is right
        QueryResult("xi", False, "mo", 0.7),  # a stranger named
        QueryResult("xi", False, "bo", 0.1, certainty="silent"),  # a stranger passed over
    ]
    row = figures(seen, open_set=True)
    assert row["top1"] == pytest.approx(2 / 3)
    assert row["f1"] == pytest.approx(2 * 1 / (3 + 3)), "three names said, three photos of those known"
    assert row["auroc"] == pytest.approx(5 / 6)


def share_above(positive, negative, *weights):
    arrays = [np.asarray(values, float) for values in (positive, negative)]
    return auroc(*arrays, *(np.atleast_2d(w) for w in weights or (np.ones(len(a)) for a in arrays))).tolist()


def test_auroc_counts_ties_half():
    assert share_above([1, 2], [0]) == [1]
    assert share_above([1], [1]) == [0.5]
    assert share_above([0, 1], [1, 2]) == [0.125]


def test_a_query_that_is_drawn_twice_counts_twice():
    assert share_above([0, 1], [1], [[1, 1], [0, 2], [3, 1]], [[1], [1], [5]]) == [0.25, 0.5, 0.125]


def test_photos_asked_about_in_many_seeds_make_nothing_surer():
    def row(right):
        return [
            QueryResult("bo", True, "bo" if i < right else "mo", 0.5, photo=picture((9, 9, 9), dot=i))
            for i in range(20)
        ]

    once, often = (measured([row(15)] * seeds, open_set=False) for seeds in (1, 50))
    assert once["top1"] == often["top1"] == 0.75
    assert once["intervals"]["top1"] == often["intervals"]["top1"]
    low, high = once["intervals"]["top1"]
    assert 0.5 <= low < 0.7 < 0.8 < high <= 0.95
    sure = measured([row(20)], open_set=False)
    assert sure["intervals"]["top1"] == (1, 1)
    assert (sure["auroc"], sure["f1"], sure["top2"]) == (None, None, None)


@pytest.mark.filterwarnings("error")
def test_what_there_is_no_query_for_has_no_figure():
    known = [QueryResult("bo", True, "bo", 0.9), QueryResult("mo", True, "bo", 0.8)]
    report = measured([known, known], open_set=True)
    assert (report["top1"], report["auroc"], report["top2"]) == (0.5, None, None)
    assert set(report["intervals"]) == {"top1", "f1"}
    assert measured([[QueryResult("xi", False, "bo", 0.9)]], open_set=True)["top1"] is None
    json.dumps(report, allow_nan=False)


def test_a_seed_in_which_nobody_ranked_second_leaves_the_others_theirs():
    with_second = [QueryResult("bo", True, "mo", 0.9, "bo"), QueryResult("mo", True, "mo", 0.8, "bo")]
    without = [QueryResult("bo", True, "bo", 0.9), QueryResult("mo", True, "mo", 0.8)]
    for seeds in ([with_second, without], [without, with_second]):
        report = measured(seeds, open_set=False)
        assert report["top2"] == 1
        assert report["intervals"]["top2"] == (1, 1)


def test_baselines_are_measured_on_the_same_photos_without_a_threshold(assistant, folder):
    compared = [WholePhoto(assistant.retriever), Rap(assistant.retriever), Majority()]
    photos = read_folder(folder, 2)
    report = identify(assistant, photos, references=2, seeds=3, unregistered=1, baselines=compared).report
    assert list(report["baselines"]) == ["whole_photo", "rap", "majority"]
    for name, row in report["baselines"].items():
        assert row["queries"] == report["queries"] == 24
        assert row["top1"] == (1 if name != "majority" else pytest.approx(1 / 3))
        assert row["auroc"] == (1 if name != "majority" else 0.5)
        assert set(row["intervals"]) >= {"top1", "auroc", "f1"}
    # whoever always names somebody is wrong about each of the two strangers' photos
    assert report["baselines"]["rap"]["f1"] == pytest.approx(2 * 6 / (8 + 6))


def ranked(way, chosen, photo):
    way.register(0, chosen)
    return way.rank(photo)


class Splits:
    """Gives the vectors of photos and of their windows by mean colour."""

    def embed(self, photos):
        return [MeanColour().embed([open_photo(photo)]) for photo in photos]

    def regions(self, photo):
        boxes, pieces = crops(open_photo(photo))
        return Regions(boxes, MeanColour().embed(pieces))


def test_raps_retriever_finds_in_a_crop_what_the_whole_photo_hides():
    canvas = Image.new("RGB", (128, 64), (40, 60, 200))
    canvas.paste((220, 30, 30), (0, 0, 48, 64))
    stream = io.BytesIO()
    canvas.save(stream, "PNG")
    photo = read_photo(stream.getvalue())
    chosen = {"cherry": [picture((220, 30, 30))], "dusk": [picture((90, 60, 150))]}
    whole, crops = (ranked(way, chosen, photo) for way in (WholePhoto(Splits()), Rap(Splits())))
    assert (whole.name, whole.second) == ("dusk", "cherry")
    assert (crops.name, crops.second) == ("cherry", "dusk")
    assert crops.similarity > whole.similarity
    assert crops.box[0] == 0
    assert crops.box[2] <= 0.5


def test_a_name_that_is_not_sure_is_not_said(assistant, folder, monkeypatch):
    photos = read_folder(folder, 1)
    before = identify(assistant, photos, references=1, seeds=1, unregistered=1)
    assistant.erase("seed-0")
    rank = assistant.retriever.rank
    monkeypatch.setattr(
        assistant.retriever, "rank", lambda *a, **o: [replace(m, certainty="maybe") for m in rank(*a, **o)]
    )
    after = identify(assistant, photos, references=1, seeds=1, unregistered=1)
    assert before.report["f1"] > 0
    assert after.report["f1"] == 0
    assert {said for _, said in after.confusion} == {"—"}
    assert after.report["open_set"]["sure"]["missed"]["rate"] == 1
    assert after.report["open_set"]["sure_or_maybe"]["missed"]["rate"] < 1


def test_mistakes_say_what_was_said_and_what_is_right(assistant, folder):
    for i in range(4):  # a leaf that looks like the sea
        save(folder / "leaf" / f"{i}.png", tuple(c + 2 * i + 1 for c in COLOURS["sea"]))
    mistakes = identify(assistant, read_folder(folder, 2), references=2, seeds=4, unregistered=1).mistakes
    assert mistakes
    assert {m.question for m in mistakes} == {"Who is it?"}
    for mistake in mistakes:
        assert mistake.answer != mistake.expected
        assert mistake.similarity >= assistant.retriever.threshold or mistake.answer.startswith("nobody")
        assert mistake.photo.jpeg


def test_unusable_photos_and_small_concepts_are_left_out_with_a_note(folder):
    (folder / "cherry" / "broken.jpg").write_bytes(b"\xff\xd8\xffnot a picture")
    save(folder / "cherry" / "twin.png", COLOURS["cherry"])
    save(folder / "lone" / "0.png", "white")
    found = read_folder(folder, 3)
    assert sorted(found.photos) == sorted(COLOURS)
    assert len(found.photos["cherry"]) == 4
    assert [note.split(" left out")[0] for note in found.notes] == ["cherry/broken.jpg", "cherry/twin.png", "lone"]


@pytest.mark.parametrize("references", [4, 100])
def test_more_references_than_photos_are_refused(folder, references):
    with pytest.raises(PersonalError, match="Fewer references"):
        read_folder(folder, references)


def test_leaving_everybody_unregistered_is_refused(assistant, folder):
    with pytest.raises(PersonalError, match="unregistered"):
        identify(assistant, read_folder(folder, 1), unregistered=4)


def test_names_that_are_nobodys_photos_count_in_the_picture_too():
    rows, columns, shares = as_table(Counter({("a", "a"): 5, ("a", "c"): 5, ("b", "b"): 9, ("b", UNNAMED): 1}))
    assert (rows, columns) == (["a", "b"], ["a", "b", "c", UNNAMED])
    assert shares.tolist() == [[50, 0, 50, 0], [0, 90, 0, 10]]


def test_the_picture_takes_any_name(tmp_path):
    out = tmp_path / "table.png"
    draw_confusion(Counter({("$x_1$", UNNAMED): 1, ("a" * 60, "$x_1$"): 2}), "a title", out)
    with Image.open(out) as image:
        assert min(image.size) > 200


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["guess"],
        ["identify"],
        ["identify", "x"],
        ["identify", "x", "--json", "o", "--references", "0"],
        ["identify", "x", "--json", "o", "--seeds", "many"],
        ["identify", "x", "--json", "o", "--unregistered", "-1"],
    ],
)
def test_wrong_usage_exits_with_2(arguments):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


def test_a_folder_that_cannot_serve_exits_with_1_and_writes_nothing(tmp_path, folder, capsys):
    out = tmp_path / "out.json"
    save(tmp_path / "single" / "bo" / "0.png", "red")
    save(tmp_path / "single" / "bo" / "1.png", "blue")
    for place in (tmp_path / "missing", tmp_path / "single", folder / "notes.txt"):
        assert main(["identify", str(place), "--json", str(out)]) == 1
        assert str(place) in capsys.readouterr().err
    assert main(["identify", str(folder), "--json", str(tmp_path / "no" / "out.json")]) == 1
    assert main(["identify", str(folder), "--json", str(tmp_path)]) == 1
    assert main(["identify", str(folder), "--json", str(tmp_path / "out.png")]) == 1
    assert main(["identify", str(folder), "--json", "/dev/null"]) == 1
    assert not out.exists()


@pytest.mark.model
@pytest.mark.data
def test_the_command_identifies_real_subjects_and_draws_the_picture(shared_data, tmp_path, capsys):
    home = tmp_path / "photos"
    home.mkdir()
    for name in ("backpack", "cat", "clock", "dog", "rc_car", "robot_toy"):
        (home / name).symlink_to(shared_data / "dreambooth" / name)
    out = tmp_path / "out.json"
    arguments = ["--data-dir", str(tmp_path / "unused"), "identify", str(home), "--seeds", "3", "--unregistered", "2"]
    assert main([*arguments, "--no-baselines", "--json", str(out)]) == 0
    report = json.loads(out.read_text())
    assert report["top1"] >= 0.9
    assert report["auroc"] >= 0.9
    assert report["f1"] >= 0.8
    assert len(report["per_seed"]) == report["seeds"] == 3
    with Image.open(out.with_suffix(".png")) as picture:
        assert picture.format == "PNG"
    low, high = report["intervals"]["top1"]
    assert 0 < low <= report["top1"] <= high <= 1
    assert report["baselines"]["majority"]["auroc"] == 0.5
    assert "RAP's retriever" in out.with_suffix(".md").read_text(encoding="utf-8")
    assert "top1" in capsys.readouterr().out
    assert not (tmp_path / "unused").exists()

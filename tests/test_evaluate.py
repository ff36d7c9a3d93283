"""What the protocols share: figures with intervals, registering, reading, and refusing what cannot serve."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from PIL import Image

from personal.data.photos import Photos
from personal.errors import PersonalError
from personal.evaluate import run
from personal.evaluate.__main__ import main
from personal.evaluate.asking import ask, register
from personal.evaluate.captioned import photos_of_test_split, read_captioned
from personal.evaluate.report import Report
from tests.conftest import BLUE, RED, picture


def test_a_share_lies_within_its_interval():
    report = Report()
    report.measure("half", range(100), [[i % 2, 1] for i in range(100)])
    low, high = report.intervals["half"]
    assert report.figures["half"] == 0.5
    assert 0.35 < low < 0.45 < 0.55 < high < 0.65


def test_what_never_fails_is_sure_and_what_never_happened_has_no_figure():
    report = Report()
    report.measure("all", range(9), [[1, 1]] * 9)
    report.measure("none", [], [])
    report.measure("undefined", range(3), [[0, 0]] * 3)
    assert report.figures == {"all": 1.0, "none": None, "undefined": None}
    assert report.intervals == {"all": (1.0, 1.0)}


def test_answers_that_hang_together_are_less_sure_than_as_many_apart():
    counts = [[i < 50, 1] for i in range(100)]
    report = Report()
    report.measure("apart", range(100), counts)
    report.measure("together", [i // 25 for i in range(100)], counts)

    def width(name):
        return report.intervals[name][1] - report.intervals[name][0]

    assert report.figures["apart"] == report.figures["together"] == 0.5
    assert width("together") > 2 * width("apart")


def test_the_table_shows_every_figure():
    report = Report({"a": 0.5, "b": None, "c": 7}, {"a": (0.25, 0.75)})
    lines = [line.split() for line in report.table().splitlines()]
    assert lines == [["a", "0.5000", "[0.2500,", "0.7500]"], ["b", "-"], ["c", "7"]]


def test_a_name_that_two_folders_share_is_refused(assistant):
    with pytest.raises(PersonalError, match="rename"):
        register(assistant, "somebody", {"Bo": [picture(RED)], "bo": [picture(BLUE)]})


def test_without_memory_nothing_is_retrieved_and_without_names_nothing_is_looked_up(assistant, generator):
    register(assistant, "somebody", {"bo": [picture(RED)]})
    for options in ({}, {"names": False}, {"memory": False}):
        assert ask(assistant, "somebody", "Who is <bo>?", **options) == "It is <bo>."
    told = ["Name: <bo>" in json.dumps(asked, default=str) for asked in generator.asked]
    assert told == [True, False, False]


def captions(folder, rows):
    folder.mkdir(exist_ok=True)
    (folder / "captions.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return folder


def test_only_captioned_photos_of_the_test_split_are_asked_about(tmp_path):
    rows = [{"image": f"{i}.png", "captions": ["A dog."], "split": "test"} for i in range(3)]
    rows += [{"image": "bare.png", "captions": [], "split": "test"}, {"image": "learnt.png", "captions": ["A cat."]}]
    photos = Photos(captions(tmp_path, rows))
    assert [row.image for row in photos_of_test_split(photos)] == ["0.png", "1.png", "2.png"]
    assert [row.image for row in photos_of_test_split(photos, 2)] == ["0.png", "1.png"]
    with pytest.raises(PersonalError, match="split"):
        photos_of_test_split(Photos(captions(tmp_path, rows[-1:])))


def test_a_damaged_or_missing_photo_gives_a_note(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"nothing")
    Image.new("RGB", (64, 64), "red").save(tmp_path / "whole.png")
    names = ("broken.png", "absent.png", "whole.png")
    photos = Photos(captions(tmp_path, [{"image": n, "captions": ["A."], "split": "test"} for n in names]))
    notes = []
    found = [read_captioned(photos, row, notes) is not None for row in photos.rows]
    assert found == [False, False, True]
    assert [note.split()[0] for note in notes] == ["broken.png", "absent.png"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["caption", "missing"], "not a folder"),
        (["caption", "captions", "--strangers", "captions"], "--strangers"),
        (["caption", "captions", "--unregistered", "1"], "--unregistered"),
        (["caption", "concepts", "--names"], "--names"),
        (["caption", "captions"], "test"),
        (["caption", "concepts", "--references", "5"], "Fewer references"),
        (["caption", "concepts", "--references", "1", "--strangers", "concepts"], "captions.jsonl"),
        (["recognition", "missing"], "not a folder"),
        (["recognition", "concepts", "--references", "9"], "Fewer references"),
        (["choice", "missing.json", "--database", "concepts"], "two-option"),
        (["choice", "captions/captions.jsonl", "--database", "concepts"], "two-option"),
        (["choice", "visual.json", "--database", "concepts"], "--photos"),
        (["choice", "visual.json", "--database", "concepts", "--photos", "concepts"], "none of the photos"),
        (["choice", "text.json", "--database", "missing"], "missing"),
        (["search", "concepts"], "captions.jsonl"),
        (["search", "captions"], "test"),
        (["multi", "concepts"], "MC-LLaVA"),
        (["multi", "missing"], "not a folder"),
        (["identify", "missing"], "not a folder"),
    ],
)
def test_what_cannot_serve_is_refused_in_words_before_any_model_is_opened(
    tmp_path, monkeypatch, capsys, arguments, words
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("personal.compose.build", lambda *_, **__: pytest.fail("a model was opened"))
    captions(tmp_path / "captions", [{"image": "a.png", "captions": ["A dog."]}])
    for name in ("bo", "mo"):
        (tmp_path / "concepts" / name).mkdir(parents=True)
        for i in range(2):
            Image.new("RGB", (64, 64), (50 * i, 9, ord(name[0]))).save(tmp_path / "concepts" / name / f"{i}.png")
    question = {"question": "What is sks?", "option": {"A": "A dog", "B": "A cat"}, "correct_answer": "A"}
    (tmp_path / "text.json").write_text(json.dumps({"bo": {"0": question}}))
    (tmp_path / "visual.json").write_text(json.dumps({"bo": {"./test/bo/7.png": question}}))
    assert main([*arguments, "--json", "out.json"]) == 1
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out.json").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ["caption", "x", "--json", "o", "--names", "0"],
        ["caption", "x", "--json", "o", "--limit", "0"],
        ["recognition", "x"],
        ["choice", "x", "--json", "o"],
        ["search", "x", "--json", "o", "--limit", "few"],
    ],
)
def test_wrong_usage_exits_with_2(arguments):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2


@pytest.mark.parametrize("row", [{"image": 5, "captions": ["A dog."]}, {"image": "a.png", "captions": "A dog."}, [1]])
def test_a_line_of_captions_that_is_none_is_told(tmp_path, row):
    (tmp_path / "captions.jsonl").write_text(json.dumps(row), encoding="utf-8")
    with pytest.raises(PersonalError, match=r"captions\.jsonl"):
        Photos(tmp_path)


def test_an_archive_that_is_none_is_told(tmp_path):
    (tmp_path / "captions.jsonl").write_text(json.dumps({"image": "a.png", "captions": []}), encoding="utf-8")
    (tmp_path / "images.tar").write_text("<html>404</html>")
    with pytest.raises(PersonalError, match=r"images\.tar"):
        Photos(tmp_path)


def test_what_killed_evaluations_left_behind_is_erased(tmp_path, monkeypatch):
    monkeypatch.setattr(run.tempfile, "gettempdir", lambda: str(tmp_path))
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    folders = [tmp_path / f"{run.LIBRARY}{pid}-x" for pid in (gone.pid, os.getpid())]
    for folder in (*folders, tmp_path / "personal-else"):
        (folder / "views").mkdir(parents=True)
    run.erase_left_libraries()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([folders[1].name, "personal-else"])

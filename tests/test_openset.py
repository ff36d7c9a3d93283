"""What a stranger is called: open-set figures."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from personal.errors import PersonalError
from personal.evaluate.identify import Folder, draw, identify
from personal.evaluate.layouts.identified import read_folder, read_kinds
from personal.evaluate.openset import (
    Decided,
    by_kind,
    calibration_error,
    draw_trade_off,
    equal_error_rate,
    figures,
    scores,
    trade_off,
)
from tests.conftest import picture


def decided(registered, right, score, certainty="sure", kind="dog", photo=None):
    return Decided(photo or (registered, right, score, certainty), kind, registered, right, score, certainty, score)


def test_rates_count_strangers_that_get_a_name_and_own_that_do_not_get_theirs():
    seen = [
        decided(True, True, 0.9),
        decided(True, True, 0.5, "maybe"),
        decided(True, True, 0.1, "silent"),
        decided(True, False, 0.8),
        decided(False, False, 0.7),
        decided(False, False, 0.4, "maybe"),
        decided(False, False, 0.2, "silent"),
        decided(False, False, 0.1, "silent"),
    ]
    report = figures(seen)
    assert report["sure"]["false_names"]["rate"] == 0.25
    assert report["sure"]["missed"]["rate"] == 0.75
    assert report["sure"]["wrong"]["rate"] == 0.25
    assert report["sure_or_maybe"]["false_names"]["rate"] == 0.5
    assert report["sure_or_maybe"]["missed"]["rate"] == 0.5
    low, high = report["sure"]["missed"]["interval"]
    assert 0 <= low <= 0.75 <= high <= 1
    json.dumps(report, allow_nan=False)


def test_errors_are_equal_where_the_trade_off_crosses():
    own, strangers = np.array([0.9, 0.8, 0.7, 0.3]), np.array([0.4, 0.2, 0.1, 0.1])
    assert equal_error_rate(own, strangers) == 0.25
    assert equal_error_rate(own[:3], strangers) == 0
    assert equal_error_rate(own, strangers[:0]) is None
    thresholds, missed, named = trade_off(own, strangers)
    assert (np.diff(thresholds) > 0).all()
    assert (np.diff(missed) >= 0).all()
    assert (np.diff(named) <= 0).all()
    assert named[-1] == 0


def test_another_concepts_name_is_a_miss_at_every_threshold():
    own, strangers = scores([decided(True, False, 0.99), decided(True, True, 0.6), decided(False, False, 0.1)])
    assert own.tolist() == [-np.inf, 0.6]
    assert equal_error_rate(own, strangers) == 0.25
    assert trade_off(own, strangers)[1].min() == 0.5


def test_what_is_right_as_often_as_it_says_is_calibrated():
    probability = np.repeat([0.1, 0.9], [10, 10])
    right = np.array([True] + [False] * 9 + [True] * 9 + [False])
    assert calibration_error(probability, right) == pytest.approx(0, abs=1e-3)
    assert calibration_error(probability, ~right) == pytest.approx(0.8, abs=1e-3)
    assert calibration_error(np.ones(3), np.ones(3, bool)) == 0


def test_kinds_are_told_apart():
    report = by_kind([decided(True, True, 0.9, kind="mug"), decided(False, False, 0.9, kind="dog")])
    assert report["mug"]["sure"]["missed"]["rate"] == 0
    assert report["dog"]["sure"]["false_names"]["rate"] == 1
    assert report["mug"]["equal_error_rate"] is None


def test_a_quarter_of_each_kind_that_has_several_stays_unregistered():
    photos = {f"{kind}{i}": [picture((9 * i, 9, 9), dot=j) for j in range(2)] for kind in "ab" for i in range(4)}
    photos["lone"] = [picture((1, 1, 1), dot=j) for j in range(2)]
    folder = Folder(photos, kinds={name: name[0] for name in photos})
    for seed in range(5):
        chosen, queries = draw(folder, 1, 0, seed, same_kinds=True)
        assert sorted(name[0] for name in photos.keys() - chosen.keys()) == ["a", "b"]
        assert "lone" in chosen
        assert queries.keys() == photos.keys()


@pytest.fixture
def folder(tmp_path):
    for name, colour in {"cherry": (220, 20, 20), "rose": (220, 60, 60), "sea": (20, 30, 210)}.items():
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(4):
            Image.new("RGB", (64, 64), tuple(c + 2 * i for c in colour)).save(tmp_path / "photos" / name / f"{i}.png")
    return tmp_path / "photos"


def test_strangers_of_registered_kinds_are_measured_where_a_file_tells_the_kinds(assistant, folder, tmp_path):
    with pytest.raises(PersonalError, match="categories"):
        identify(assistant, read_folder(folder, 1), same_kinds=True)
    (folder / "categories.json").write_text('{"cherry": "red", "rose": "red", "sea": "blue"}')
    result = identify(assistant, read_folder(folder, 1), references=1, seeds=2, same_kinds=True)
    assert result.report["open_set"]["by_kind"].keys() == {"red", "blue"}
    assert result.report["sure_false_names"] == result.report["open_set"]["sure"]["false_names"]["rate"]
    draw_trade_off({"all": result.decided}, "a $title$", tmp_path / "det.png")
    with Image.open(tmp_path / "det.png") as image:
        assert min(image.size) > 200


def test_kinds_may_stand_in_either_form_and_a_file_of_another_is_refused_in_words(tmp_path):
    assert read_kinds(tmp_path) == {}
    (tmp_path / "concepts.json").write_text('{"bo": {"category": "dog", "photos": 8}}')
    assert read_kinds(tmp_path) == {"bo": "dog"}
    (tmp_path / "categories.json").write_text('["dog"]')
    with pytest.raises(PersonalError, match="each concept's kind"):
        read_kinds(tmp_path)

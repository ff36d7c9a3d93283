"""What a classifier says of a photo: grouped, in everyday words, as sure as it is, on one line."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from personal import labels
from personal.labels import Classifier, Label, Labels
from personal.tiny import imagenet

NAMES = ("teapot", "beagle dog", "pug dog", "vase")
PLAIN = Classifier(NAMES, {1: "dog", 2: "dog"}, np.eye(4, dtype=np.float32), np.zeros(4, np.float32))


def scores(*shares: float) -> np.ndarray:
    """A pooled map for which PLAIN gives these probabilities."""
    return np.log(np.array(shares, np.float32))


def test_a_sure_class_is_named_with_its_probability():
    found = PLAIN.labels(scores(0.9, 0.02, 0.02, 0.06))
    assert [label.name for label in found.classes] == ["teapot"]
    assert found.classes[0].probability == pytest.approx(0.9, abs=1e-3)
    assert found.prompt_line() == "Labels: teapot (sure)."


def test_classes_of_a_kind_are_summed_and_the_kind_is_said_where_none_stands_out():
    found = PLAIN.labels(scores(0.15, 0.4, 0.4, 0.05))
    assert found.classes[0] == Label("beagle dog", "dog", pytest.approx(0.8, abs=1e-3))
    torn = PLAIN.labels(scores(0.2, 0.39, 0.41, 0.0001))
    assert torn.classes[0].group == "dog"
    three = Classifier(
        ("a dog", "b dog", "c dog"), {0: "dog", 1: "dog", 2: "dog"}, np.eye(3, dtype=np.float32), np.zeros(3)
    )
    assert three.labels(scores(0.34, 0.33, 0.33)).prompt_line() == "Labels: dog (sure)."


def test_what_is_less_sure_says_so_and_what_is_unlikely_is_left_out():
    assert PLAIN.labels(scores(0.5, 0.001, 0.001, 0.3)).prompt_line() == "Labels: teapot; vase (perhaps)."
    assert Labels().prompt_line() == ""


def test_words_are_said_from_their_threshold_on_the_likeliest_first():
    weight, bias = np.zeros((3, 4), np.float32), np.array([2.0, -3.0, 0.5], np.float32)
    known = replace(PLAIN, words=("kitchen", "horse", "table"), word_weight=weight, word_bias=bias)
    assert known.labels(scores(0.9, 0.02, 0.02, 0.06)).prompt_line() == "Labels: teapot (sure). Words: kitchen, table."


def test_a_classifier_is_read_as_it_was_written(tmp_path):
    known = replace(
        PLAIN, words=("kitchen",), word_weight=np.ones((1, 4), np.float32), word_bias=np.zeros(1, np.float32)
    )
    labels.write(tmp_path, known)
    read = labels.read(tmp_path)
    assert read is not None
    assert (read.names, read.groups, read.words) == (known.names, known.groups, known.words)
    pooled = scores(0.5, 0.2, 0.2, 0.1)
    assert read.labels(pooled).prompt_line() == known.labels(pooled).prompt_line()
    assert labels.read(tmp_path / "elsewhere") is None


def test_every_class_has_a_name_and_groups_do_not_overlap():
    names, groups = imagenet.class_names(), imagenet.class_groups()
    assert len(names) == 1000
    assert all(name == name.lower() and "," not in name for name in names)
    assert names[849] == "teapot"
    assert names[263] == "pembroke dog"
    assert groups[263] == "dog"
    places = [
        place
        for text in imagenet.GROUPS.values()
        for part in text.split()
        for place in range(int(part.split("-")[0]), int(part.split("-")[-1]) + 1)
    ]
    assert len(places) == len(set(places)) == len(groups)

"""Words of photos are learnt by ridge regression; what training photos are told is no surer than what new ones are."""

from __future__ import annotations

import numpy as np
import pytest

from personal.data.photos import CaptionedPhoto
from personal.labels import Classifier
from personal.learn import word_classifier


def photos(count=60):
    kitchens = [
        CaptionedPhoto(f"k{i}", "train", ("A kitchen with two cups.",), ("wall",), "kitchen") for i in range(count // 2)
    ]
    return kitchens + [CaptionedPhoto(f"d{i}", "train", ("A dog runs on the grass.",)) for i in range(count // 2)]


def maps(count=60, channels=8):
    random = np.random.default_rng(0)
    found = random.normal(0, 0.3, (count, channels)).astype(np.float32)
    found[: count // 2, 0] += 1
    found[count // 2 :, 1] += 1
    return found


def test_the_vocabulary_leaves_out_what_is_rare_tells_nothing_or_is_everywhere():
    words = word_classifier.vocabulary([*photos(), CaptionedPhoto("x", "train", ("A giraffe.",))])
    assert {"kitchen", "dog", "grass", "cups"} <= set(words)
    assert not {"wall", "the", "giraffe", "with"} & set(words)


def test_a_plural_counts_for_its_singular_where_both_are_said():
    both = [CaptionedPhoto(str(i), "train", ("A cup.",) if i % 2 else ("Some cups.",)) for i in range(40)]
    assert word_classifier.vocabulary(both) == ["cup"]
    assert word_classifier.targets(both, ["cup"]).all()


def test_words_are_likely_where_they_belong_also_on_photos_not_learnt_from():
    known, pooled = photos(), maps()
    words = word_classifier.vocabulary(known)
    weight, bias, alone = word_classifier.fit(pooled, word_classifier.targets(known, words))
    fresh = maps(60)[::-1].copy()
    scores = fresh @ weight.T + bias
    dog, kitchen = words.index("dog"), words.index("kitchen")
    assert (scores[:30, dog] > 0).mean() > 0.9  # the first of these are dogs
    assert (scores[30:, kitchen] > 0).mean() > 0.9
    assert alone.shape == (60, len(words))


def test_leave_one_out_is_what_leaving_one_out_gives(monkeypatch):
    monkeypatch.setattr(word_classifier, "RIDGES", (10.0,))
    pooled, wanted = maps(20), (np.arange(20) < 10).astype(np.float32)[:, None]
    monkeypatch.setattr(word_classifier, "calibrate", lambda scores, _: (np.ones(1), np.zeros(1)))
    _, _, left_out = word_classifier.fit(pooled, wanted)
    mean, deviation = pooled.mean(0), pooled.std(0) + 1e-3
    x = np.concatenate([(pooled - mean) / deviation, np.ones((20, 1), np.float32)], 1).astype(np.float64)
    penalty = np.diag([10.0] * 8 + [1e-3])
    for left in (0, 7, 19):
        rest = np.arange(20) != left
        weight = np.linalg.solve(x[rest].T @ x[rest] + penalty, x[rest].T @ wanted[rest])
        assert left_out[left, 0] == pytest.approx((x[left] @ weight)[0], abs=1e-3)


def test_calibrated_scores_are_right_as_often_as_they_say():
    random = np.random.default_rng(1)
    scores = random.normal(0, 1, (4000, 1)).astype(np.float32)
    truth = 1 / (1 + np.exp(-(2 * scores - 1)))
    wanted = (random.random((4000, 1)) < truth).astype(np.float32)
    slope, offset = word_classifier.calibrate(scores, wanted)
    assert slope[0] == pytest.approx(2, abs=0.25)
    assert offset[0] == pytest.approx(-1, abs=0.2)


class Pooled:
    """Pooled maps by picture, as `FeatureCache` gives them."""

    def __init__(self, images, pooled):
        self._maps = dict(zip(images, pooled, strict=True))

    def pooled(self, picture):
        return self._maps[picture[0]]


def test_a_run_keeps_the_lines_that_it_began_with(tmp_path):
    known = photos()
    features = Pooled([photo.image for photo in known], maps())
    classifier = Classifier(("dog", "cup"), {}, np.zeros((2, 8), np.float32), np.array([4.0, 0.0], np.float32))
    rows = [{"image": photo.image} for photo in known[5:]] + [{"image": None}]
    held_out = [{"image": photo.image} for photo in known[:5]]
    folder = type("Folder", (), {"rows": known})()
    first = word_classifier.prepare_lines(tmp_path / "run", classifier, folder, features, rows, held_out)
    assert set(first) == {photo.image for photo in known}
    assert "kitchen" in first["k3"]
    assert "dog" in first["d3"]
    assert word_classifier.prepare_lines(tmp_path / "run", classifier, folder, features, rows[:3], []) == first

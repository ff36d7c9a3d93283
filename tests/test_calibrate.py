"""From similarity to probability."""

from __future__ import annotations

import numpy as np
import pytest

from personal.concepts import IndexedView
from personal.doctor import checks
from personal.retrieve.calibrate import Calibration, Decision, fit, of_library, platt
from personal.retrieve.config import CONFIG
from personal.settings import Settings


def test_the_curve_is_found_again_in_what_it_made():
    random = np.random.default_rng(0)
    truth = platt(30.0, 0.7)
    similarity = random.uniform(0.4, 1.0, 4000)
    right = random.uniform(size=4000) < [truth.probability(s) for s in similarity]
    found = fit(similarity[right], similarity[~right])
    assert found.similarity_at(0.5) == pytest.approx(0.7, abs=0.02)
    assert found.similarity == pytest.approx(30, rel=0.2)


def test_similarities_that_nothing_divides_wrongly_still_give_a_finite_curve():
    found = fit(np.linspace(0.8, 0.9, 10), np.linspace(0.1, 0.3, 10))
    assert 0.3 < found.similarity_at(0.5) < 0.8
    assert found.probability(0.9) > 0.95
    assert found.probability(0.1) < 0.05


def test_similarities_that_overlap_give_a_middle_among_them():
    for seed in range(40):
        random = np.random.default_rng(seed)
        wrong, right = random.normal(0.6, 0.12, 8 + 50 * seed), random.normal(0.6 + 0.005 * seed, 0.09, 8 + seed)
        assert 0.4 < fit(right, wrong).similarity_at(0.5) < 0.9


def test_too_few_pairs_give_no_curve():
    assert fit([0.9] * 7, [0.1] * 100) is None
    assert of_library([]) is None


def test_probability_rises_and_stays_within_bounds():
    curve = platt(35, 0.75)
    values = [curve.probability(s) for s in (-1, 0.5, 0.75, 0.8, 1)]
    assert values == sorted(values)
    assert values[2] == pytest.approx(0.5)
    assert 0 <= values[0] < values[-1] <= 1


def test_margin_and_references_weigh_as_they_are_told_to():
    curve = Calibration(20, 10, -1, -16)
    assert curve.probability(0.8, 0.1, 1) > curve.probability(0.8, 0.0, 1) == 0.5
    assert curve.probability(0.8, 0.0, 3) < 0.5
    assert curve.probability(curve.similarity_at(0.7, 0.05, 2), 0.05, 2) == pytest.approx(0.7)


def test_a_library_is_learnt_from_view_against_view():
    def picture(name, angle):
        return IndexedView(name, False, np.array([[np.cos(angle), np.sin(angle)]], np.float32))

    known = [[picture(f"{c}-{i}", c + 0.1 * i) for i in range(3)] for c in range(4)]
    found = of_library(known)
    assert found.probability(np.cos(0.1)) > 0.5 > found.probability(np.cos(1.0))


@pytest.mark.parametrize("sure", [0.3, CONFIG.sure, 0.9])
def test_a_maybe_moves_with_the_confidence_and_no_bar_leaves_one_out(sure):
    decision = Decision(Calibration(19, 17, -0.7, -18), 0.77, sure, True, CONFIG)
    assert 0 < decision.maybe < decision.sure
    assert sure != CONFIG.sure or decision.maybe == pytest.approx(CONFIG.maybe)
    for references, bar in zip((1, 3), decision.bars((1, 3)), strict=True):
        for margin in (0.0, CONFIG.margin_cap):
            assert decision.judge(bar - 0.001, margin, references)[1] == "silent"
        assert decision.judge(bar + 0.001, CONFIG.margin_cap, references)[1] == "maybe"


def test_a_higher_confidence_asks_more_of_faces_and_a_threshold_as_much_as_it_always_did():
    def strictness(threshold, sure, by_probability):
        return Decision(platt(35, 0.8), threshold, sure, by_probability, CONFIG).strictness(0.77)

    assert strictness(0.77, CONFIG.sure, True) == 0
    assert strictness(0.77, 0.3, True) < 0 < strictness(0.77, 0.9, True) < CONFIG.face_strictness
    assert strictness(1.0, CONFIG.sure, False) == pytest.approx(1)


def test_the_doctor_tells_of_an_encoder_without_a_calibration(tmp_path):
    def told(**changes):
        known = Settings(data_dir=tmp_path, cache_dir=tmp_path, **changes)
        return next(row["detail"] for row in checks(known) if row["name"] == "recognition")

    assert "matches have probabilities" in told()
    assert "ViT-B-16-SigLIP2-256/webli has neither" in told(encoder="ViT-B-16-SigLIP2-256/webli")

"""From similarity to probability."""

from __future__ import annotations

import numpy as np
import pytest

from personal.concepts import Stored
from personal.retrieve.calibrate import Calibration, fit, of_library, platt


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
        return Stored(name, False, np.array([[np.cos(angle), np.sin(angle)]], np.float32))

    known = [[picture(f"{c}-{i}", c + 0.1 * i) for i in range(3)] for c in range(4)]
    found = of_library(known)
    assert found.probability(np.cos(0.1)) > 0.5 > found.probability(np.cos(1.0))

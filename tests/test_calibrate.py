"""From similarity to probability."""

from __future__ import annotations

import numpy as np
import pytest

from personal.concepts import Stored
from personal.retrieve.calibrate import Calibration, fit, of_concept, of_library


def test_the_curve_is_found_again_in_what_it_made():
    random = np.random.default_rng(0)
    truth = Calibration(30.0, 0.7)
    similarity = random.uniform(0.4, 1.0, 4000)
    right = random.uniform(size=4000) < [truth.probability(s) for s in similarity]
    found = fit(similarity[right], similarity[~right])
    assert found.middle == pytest.approx(0.7, abs=0.02)
    assert found.slope == pytest.approx(30, rel=0.2)


def test_similarities_that_nothing_divides_wrongly_still_give_a_finite_curve():
    found = fit(np.linspace(0.8, 0.9, 10), np.linspace(0.1, 0.3, 10))
    assert 0.3 < found.middle < 0.8
    assert found.probability(0.9) > 0.95
    assert found.probability(0.1) < 0.05


def test_similarities_that_overlap_give_a_middle_among_them():
    for seed in range(40):
        random = np.random.default_rng(seed)
        wrong, right = random.normal(0.6, 0.12, 8 + 50 * seed), random.normal(0.6 + 0.005 * seed, 0.09, 8 + seed)
        assert 0.4 < fit(right, wrong).middle < 0.9


def test_too_few_pairs_give_no_curve():
    assert fit([0.9] * 7, [0.1] * 100) is None
    assert of_library([]) is None


def test_probability_rises_and_stays_within_bounds():
    curve = Calibration(35, 0.75)
    values = [curve.probability(s) for s in (-1, 0.5, 0.75, 0.8, 1)]
    assert values == sorted(values)
    assert values[2] == 0.5
    assert 0 <= values[0] < values[-1] <= 1


def test_negatives_of_a_concept_make_it_surer_only_further_up_and_never_far():
    curve = Calibration(35, 0.75)
    stricter = of_concept(curve, [], [0.8, 0.82])
    looser = of_concept(curve, [0.72, 0.7, 0.71], [])
    assert looser.middle < curve.middle < stricter.middle < 0.9
    assert of_concept(curve, [], []) == curve


def test_a_library_is_learnt_from_view_against_view():
    def picture(name, angle):
        return Stored(name, False, np.array([[np.cos(angle), np.sin(angle)]], np.float32))

    known = [[picture(f"{c}-{i}", c + 0.1 * i) for i in range(3)] for c in range(4)]
    found = of_library(known)
    assert found.probability(np.cos(0.1)) > 0.5 > found.probability(np.cos(1.0))

"""What was learnt on top of an encoder's features."""

from __future__ import annotations

import numpy as np
import pytest

from personal.retrieve.head import CONTEXT, GRID, Head, _around, read


def head(**more):
    random = np.random.default_rng(0)
    cohort = random.normal(size=(50, 4)).astype(np.float32)
    cohort /= np.linalg.norm(cohort, axis=1, keepdims=True)
    return Head(random.normal(size=(6, 4)).astype(np.float32), cohort, **more)


def test_projected_vectors_have_unit_length_and_do_not_depend_on_scale():
    pooled = np.random.default_rng(1).uniform(0, 1, (3, 6)).astype(np.float32)
    vectors = head().project(pooled)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(vectors, head().project(7 * pooled), atol=1e-5)


def test_what_lies_among_strangers_is_more_common_than_what_lies_apart():
    known = head()
    among = known.cohort.mean(axis=0, keepdims=True)
    among /= np.linalg.norm(among)
    assert known.cohort_score(among)[0] > known.cohort_score(-among)[0] - 1e-6
    assert head(cohort_mean=0.5).cohort_score(among)[0] == pytest.approx(known.cohort_score(among)[0] - 0.5)


def test_reading_around_a_box_is_bilinear_channel_by_channel_and_nothing_lies_outside():
    rows, columns = np.mgrid[:20, :20]
    features = np.stack([columns, rows], axis=2).astype(np.float32)
    read_in = _around(features, np.array([[0.4, 0.4, 0.6, 0.6]], np.float32)).reshape(2, GRID, GRID)
    steps = ((np.arange(GRID) + 0.5) / GRID - 0.5) * CONTEXT * 0.2 * 20 + 9.5
    np.testing.assert_allclose(read_in[0], np.tile(steps, (GRID, 1)), atol=1e-3)
    np.testing.assert_allclose(read_in[1], np.tile(steps, (GRID, 1)).T, atol=1e-3)
    corner = _around(np.ones((20, 20, 1), np.float32), np.array([[0, 0, 0.2, 0.2]], np.float32)).reshape(GRID, GRID)
    assert corner[0, 0] == 0
    assert corner[-1, -1] == pytest.approx(1)


def test_without_a_regressor_boxes_stay_as_they_are():
    boxes = np.array([[0.1, 0.1, 0.5, 0.5]], np.float32)
    np.testing.assert_array_equal(head().regress_boxes(np.zeros((8, 8, 6), np.float32), boxes), boxes)


def test_a_folder_without_the_file_has_no_head(tmp_path):
    assert read(tmp_path) is None

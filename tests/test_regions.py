"""Where to look: windows, and vectors pooled over them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from personal.retrieve.regions import areas, centre, crops, cut, pairwise_iou, pool, pool_box, pool_whole, windows


@pytest.mark.parametrize(("columns", "rows"), [(16, 16), (32, 16), (16, 32), (21, 16), (1, 1), (3, 1), (32, 2)])
def test_windows_lie_inside_begin_with_the_whole_and_never_repeat(columns, rows):
    found = windows(columns, rows)
    assert found[0] == (0, 0, columns, rows)
    assert len(set(found)) == len(found)
    assert all(0 <= x0 < x1 <= columns and 0 <= y0 < y1 <= rows for x0, y0, x1, y1 in found)


def test_windows_are_squares_that_together_reach_every_corner():
    squares = windows(32, 16)[1:]
    assert {x1 - x0 for x0, y0, x1, y1 in squares} == {16, 12, 8, 6, 4}
    assert all(x1 - x0 == y1 - y0 for x0, y0, x1, y1 in squares)
    for side in (16, 12, 8, 6, 4):
        reached = np.zeros((16, 32), bool)
        for x0, y0, x1, y1 in squares:
            if x1 - x0 == side:
                reached[y0:y1, x0:x1] = True
        assert reached.all()


def test_pooling_by_cumulative_sums_equals_the_generalised_mean_of_each_window():
    dense = np.random.default_rng(0).uniform(0, 6, (6, 9, 5)).astype(np.float32)
    regions = pool(dense)
    for (x0, y0, x1, y1), vector in zip(windows(9, 6), regions.vectors, strict=True):
        mean = (dense[y0:y1, x0:x1].astype(float) ** 4).mean((0, 1)) ** 0.25
        np.testing.assert_allclose(vector, mean / np.linalg.norm(mean), atol=1e-5)


def test_negative_and_empty_features_give_unit_or_finite_vectors():
    vectors = pool(np.full((4, 4, 3), -1, np.float32)).vectors
    assert np.isfinite(vectors).all()


def test_the_whole_is_the_first_region_and_a_box_pools_the_cells_it_touches():
    dense = np.random.default_rng(1).uniform(0, 6, (4, 8, 3)).astype(np.float32)
    np.testing.assert_allclose(pool_whole(dense)[0], pool(dense).vectors[0], atol=1e-6)
    np.testing.assert_allclose(pool_box(dense, (0.5, 0, 1, 1)), pool_whole(dense[:, 4:]), atol=1e-6)
    np.testing.assert_allclose(pool_box(dense, (0.51, 0.3, 0.52, 0.31)), pool_whole(dense[1:2, 4:5]), atol=1e-6)
    assert np.isfinite(pool_box(dense, (1, 1, 1, 1))).all()


def test_coverage_is_intersection_over_union():
    overlap = pairwise_iou(((0, 0, 1, 1), (0, 0, 0.5, 1), (0.5, 0, 1, 1), (0.25, 0, 0.75, 1)))
    np.testing.assert_allclose(np.diag(overlap), 1)
    assert overlap[0, 1] == pytest.approx(0.5)
    assert overlap[1, 2] == 0
    assert overlap[1, 3] == pytest.approx(1 / 3)


def test_crops_show_what_their_boxes_say():
    image = Image.new("RGB", (200, 100), "red")
    image.paste("blue", (100, 0, 200, 100))
    boxes, pieces = crops(image)
    assert boxes[0] == (0, 0, 1, 1)
    assert pieces[0].size == (200, 100)
    right = boxes.index((0.5, 0, 1, 1))
    assert pieces[right].getpixel((50, 50)) == (0, 0, 255)
    assert cut(image, (1, 1, 1, 1)).size == (1, 1)


def test_areas_are_shares_of_the_photo_and_the_middle_is_a_square_of_pixels():
    np.testing.assert_allclose(areas(((0, 0, 1, 1), (0, 0, 0.5, 0.5))), [1, 0.25])
    x0, y0, x1, y1 = centre(400, 200)
    assert ((x1 - x0) * 400, (y1 - y0) * 200) == pytest.approx((100, 100))
    assert (x0 + x1, y0 + y1) == pytest.approx((1, 1))

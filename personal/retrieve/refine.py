"""Draw boxes around what was assigned: wider as long as they stay like the concept, then closer by regression.

Knows neither concepts nor photos: arrays, a gallery, and the encoder's map of the photo.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from personal.concepts import Box
from personal.retrieve.assign import Assignment
from personal.retrieve.config import RecognitionConfig
from personal.retrieve.regions import Regions, areas, intersection_area, pool_box
from personal.retrieve.score import Gallery, score

Array = NDArray[np.float32]


class BoxRegressor(Protocol):
    """What refining asks of an encoder."""

    def project(self, pooled: Array) -> Array: ...
    def regress_boxes(self, dense: Array, boxes: Array) -> Array: ...


def expand_boxes(
    similarity: Array, boxes: Sequence[Box], assigned: Sequence[Assignment], config: RecognitionConfig
) -> list[int]:
    """Return the largest region around each assigned one that is nearly as similar and holds no other's centre.

    What is most like a dog is its face, but the dog is meant. `similarity` is (regions, concepts), `boxes` are the
    regions; the first, the whole photo, is never chosen.
    """
    own, size = [boxes[region] for region, _ in assigned], areas(boxes)
    around = intersection_area(own, boxes) >= config.around * areas(own)[:, None]
    corners, centres = np.array(boxes), np.array([[(x0 + x1) / 2, (y0 + y1) / 2] for x0, y0, x1, y1 in own])[:, None]
    holds = ((corners[:, :2] < centres) & (centres < corners[:, 2:])).all(axis=2)
    found = []
    for i, (region, concept) in enumerate(assigned):
        like = similarity[:, concept]
        fit = around[i] & (like >= like[region] - config.wider) & (like >= similarity.max(axis=1))
        fit &= ~np.delete(holds, i, axis=0).any(axis=0)
        fit[0], fit[region] = False, True
        found.append(int(max(np.flatnonzero(fit), key=lambda one: (size[one], like[one]))))
    return found


def refine_boxes(
    similarity: Array,
    boxes: Sequence[Box],
    assigned: Sequence[Assignment],
    dense: Array,
    gallery: Gallery,
    regressor: BoxRegressor,
    config: RecognitionConfig,
) -> list[Box]:
    """Return a box for each assignment: wider, then regressed where what it holds stays like the concept."""
    wide = expand_boxes(similarity, boxes, assigned, config)
    drawn = [boxes[region] for region in wide]
    tight = [_as_box(box) for box in regressor.regress_boxes(dense, np.asarray(drawn, np.float32))]
    pooled = Regions(tuple(tight), regressor.project(pool_box(dense, *tight)))
    closer = score(pooled, gallery, config).similarity
    return [
        tight[i] if closer[i, concept] >= similarity[wide[i], concept] - config.tighter else drawn[i]
        for i, (_, concept) in enumerate(assigned)
    ]


def _as_box(sides: Array) -> Box:
    x0, y0, x1, y1 = (float(side) for side in sides)
    return x0, y0, x1, y1

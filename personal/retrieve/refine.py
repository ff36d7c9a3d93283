"""Draw boxes around what was assigned: wider as long as they stay like the concept, then closer by regression.

Knows neither concepts nor photos: arrays, and the encoder's map of the photo.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from personal.concepts import Box
from personal.retrieve.assign import Assignment
from personal.retrieve.config import RecognitionConfig
from personal.retrieve.regions import areas, intersection_area

Array = NDArray[np.float32]


class BoxRegressor(Protocol):
    """What refining asks of an encoder."""

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
    regressor: BoxRegressor,
    config: RecognitionConfig,
) -> list[Box]:
    """Return a box for each assignment: wider, then regressed."""
    wide = [boxes[region] for region in expand_boxes(similarity, boxes, assigned, config)]
    return [as_box(sides) for sides in regressor.regress_boxes(dense, np.asarray(wide, np.float32))]


def as_box(sides: Array) -> Box:
    """Return four sides as plain numbers."""
    x0, y0, x1, y1 = (float(side) for side in sides)
    return x0, y0, x1, y1

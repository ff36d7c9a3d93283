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
    assigned: list[Assignment],
    dense: Array,
    gallery: Gallery,
    regressor: BoxRegressor,
    config: RecognitionConfig,
) -> tuple[list[Assignment], list[Box]]:
    """Return the assignments that stand, and a box for each.

    A part of a thing may look more like its look-alike than the whole does. So an assignment falls where its box is a
    part of another's, or that of it, and looks more like that one, unless its own region looked much more so.
    """
    wide = expand_boxes(similarity, boxes, assigned, config)
    drawn = [boxes[region] for region in wide]
    tight = [_as_box(box) for box in regressor.regress_boxes(dense, np.asarray(drawn, np.float32))]
    concepts = [concept for _, concept in assigned]
    pooled = Regions(tuple(tight), regressor.project(pool_box(dense, *tight)))
    closer = score(pooled, gallery, config).similarity[:, concepts]
    claimed = similarity[wide][:, concepts]
    evidence = np.array([similarity[one] for one in assigned])
    for i in range(len(assigned)):
        if closer[i, i] >= claimed[i, i] - config.tighter:
            drawn[i], claimed[i] = tight[i], closer[i]
    size = areas(drawn)
    parts = intersection_area(drawn, drawn) > config.part * np.minimum.outer(size, size)
    kept = list(range(len(assigned)))
    for i in range(len(assigned)):
        stronger = parts[i] & (claimed[i] > claimed[i, i]) & (evidence > evidence[i] - config.weaker)
        if stronger[kept].any():
            kept.remove(i)
    return [assigned[i] for i in kept], [drawn[i] for i in kept]


def _as_box(sides: Array) -> Box:
    x0, y0, x1, y1 = (float(side) for side in sides)
    return x0, y0, x1, y1

"""Share a photo's regions out among concepts: non-maximum suppression, then one region for each concept.

Arrays and numbers only.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Assignment = tuple[int, int]
"""A region and the concept that it shows, by their places."""


def assign_greedily(similarity: Array, overlapping: NDArray[np.bool_], threshold: float | Array) -> list[Assignment]:
    """Assign regions to concepts, the most similar pair first, as long as it reaches the threshold.

    `similarity` is (regions, concepts), -inf where unknown; `overlapping[r]` marks the regions that an assignment of
    `r` takes; `threshold` is one for all or (concepts,). A region speaks for its most similar concept only, so that a
    look-alike gains nothing from it.
    """
    best = similarity.max(axis=1, keepdims=True)
    left = np.where((similarity >= best) & (similarity >= threshold), similarity, -np.inf)
    found: list[Assignment] = []
    while left.max() > -np.inf:
        region, concept = divmod(int(left.argmax()), left.shape[1])
        found.append((region, concept))
        left[:, concept] = -np.inf
        left[overlapping[region]] = -np.inf
    return found


def assign_parts_first(similarity: Array, overlapping: NDArray[np.bool_], threshold: float | Array) -> list[Assignment]:
    """Assign the windows of a photo; the whole of it, which is first, takes part only where they tell one concept.

    The whole holds what its windows hold, so it would take two concepts' regions for one of them.
    """
    if not similarity.size:
        return []
    taken, parts = overlapping.copy(), similarity.copy()
    taken[:, 0], parts[0] = True, -np.inf
    found = assign_greedily(parts, taken, threshold)
    return found if len(found) > 1 else assign_greedily(similarity, taken, threshold)

"""Pairs of concepts that are easily confused: their most similar views are close, by exact comparison."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from heapq import nlargest

import numpy as np
import numpy.typing as npt

from personal.concepts import IndexedView

Array = npt.NDArray[np.float32]
ConfusablePair = tuple[float, tuple[str, str], tuple[str, str]]
"""A similarity (cosine), and of each of two concepts the id and the view that it was found in."""

ROWS = 256
"""Vectors that are compared with all others at a time, about."""
MAX_PAIRS = 100
"""Pairs returned at most: nobody reads more."""


def confusable_pairs(stored: Mapping[str, Sequence[IndexedView]], at_least: float) -> list[ConfusablePair]:
    """Return the pairs of concepts whose best similarity over views is `at_least` that, at most MAX_PAIRS, best first.

    Negatives take no part. Memory grows with the number of vectors, time with its square.
    """
    views = {cid: shown for cid, some in stored.items() if (shown := [one for one in some if not one.negative])}
    if len(views) < 2:
        return []
    ids = list(views)
    blocks = [np.concatenate([one.vectors for one in views[cid]]) for cid in ids]
    names = [[one.view for one in views[cid] for _ in one.vectors] for cid in ids]
    found = []
    for _, i, j in nlargest(MAX_PAIRS, _close(blocks, at_least)):
        similarity = blocks[i] @ blocks[j].T
        row, column = divmod(int(similarity.argmax()), similarity.shape[1])
        found.append((float(similarity[row, column]), (ids[i], names[i][row]), (ids[j], names[j][column])))
    return sorted(found, reverse=True)


def _close(blocks: Sequence[Array], at_least: float) -> Iterator[tuple[float, int, int]]:
    """Yield (similarity, i, j), i < j, of blocks of vectors that come as close as `at_least`."""
    every = np.concatenate(blocks)
    starts = np.cumsum([0, *map(len, blocks)])
    first = 0
    while first < len(blocks):
        last = max(first + 1, int(np.searchsorted(starts, starts[first] + ROWS, "right")) - 1)
        similarity = every[starts[first] : starts[last]] @ every.T
        best = np.maximum.reduceat(similarity, starts[:-1], axis=1)
        best = np.maximum.reduceat(best, starts[first:last] - starts[first], axis=0)
        for i, j in np.argwhere(best >= at_least):
            if first + i < j:
                yield float(best[i, j]), int(first + i), int(j)
        first = last

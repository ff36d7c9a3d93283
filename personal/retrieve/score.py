"""Similarity of regions to concepts, from all that is remembered of each: its views, and what it is not.

Arrays and numbers only: knows neither photos nor the index.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from personal.concepts import Stored
from personal.retrieve.regions import Regions, areas

Array = NDArray[np.float32]

COMMON = 0.45
"""How much of a view's likeness to strangers is held against it in a tiny region, where chance has most to choose."""


@dataclass(frozen=True)
class Scores:
    """`similarity` (regions, concepts), -inf where nothing is known; `views` names the best view of each."""

    similarity: Array
    views: tuple[tuple[str, ...], ...]
    places: NDArray[np.int64]

    def view(self, region: int, concept: int) -> str:
        """Name the view of a concept that is most like a region."""
        return self.views[concept][self.places[region, concept]] if self.views[concept] else ""

    def joined(self, others: Scores) -> Scores:
        """Put more regions below these."""
        return Scores(
            np.concatenate([self.similarity, others.similarity]),
            self.views,
            np.concatenate([self.places, others.places]),
        )


def table(known: Sequence[Sequence[Stored]]) -> Array:
    """Put all vectors of all pictures of some concepts below one another."""
    stored = [one.vectors for concept in known for one in concept]
    return np.concatenate(stored) if stored else np.zeros((0, 0), np.float32)


def score(regions: Regions, known: Sequence[Sequence[Stored]], common: Array) -> Scores:
    """Compare regions with what is stored of each concept; `common` tells how common each row of its `table` is.

    A view's similarity is that of its best vector, less a part of how common that is, the more the smaller the region;
    a concept's is its best view's, so that one more view never hides what the others show. Where one of its negatives
    is nearer than every view, the region is not the concept.
    """
    vectors = regions.vectors
    similarity = np.full((len(vectors), len(known)), -np.inf, np.float32)
    places = np.zeros(similarity.shape, np.int64)
    stored = [one for concept in known for one in concept]
    if not stored or not len(vectors):
        return Scores(similarity, tuple(() for _ in known), places)
    starts = np.cumsum([0, *(len(one.vectors) for one in stored[:-1])])
    held_against = COMMON * (1 - areas(regions.boxes).astype(np.float32))[:, None] * common
    every = np.maximum.reduceat(vectors @ table(known).T - held_against, starts, axis=1)
    first = 0
    for column, concept in enumerate(known):
        of_concept = every[:, first : first + len(concept)]
        first += len(concept)
        negative = np.array([one.negative for one in concept], bool)
        if negative.all():
            continue
        views = of_concept[:, ~negative]
        best = views.max(axis=1)
        similarity[:, column] = best
        places[:, column] = views.argmax(axis=1)
        if negative.any():
            similarity[of_concept[:, negative].max(axis=1) > best, column] = -np.inf
    names = tuple(tuple(one.view for one in concept if not one.negative) for concept in known)
    return Scores(similarity, names, places)

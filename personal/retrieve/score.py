"""Similarity of regions to concepts, from all that is remembered of each: its views, and what it is not.

Arrays and numbers only: knows neither photos nor the index.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from personal.concepts import Stored
from personal.retrieve.regions import Regions, areas

Array = NDArray[np.float32]

COMMON = 0.45
"""How much of a view's likeness to strangers is held against it in a tiny region, where chance has most to choose."""
RIVAL, BELOW = 0.1, 1e-3
"""Concepts so little less like a region than the one most like it are its rivals, or only twice as far from being the
same picture: what is a view itself has none. A rival not preferred stays so much below the one that is."""
RIDGE = 0.4
"""What is added to the variance of vectors within a concept in each direction, in units of its mean."""


@dataclass(frozen=True)
class Known:
    """What is stored of some concepts, made ready to be compared with regions by `prepare`.

    `vectors` are all vectors of all pictures below one another, `common` tells how common each is. `weights`
    (dimension, n) and `offsets` (n,) are linear discriminants: of every concept, then of what each concept in
    `mistaken` was mistaken for.
    """

    stored: tuple[Sequence[Stored], ...]
    vectors: Array
    common: Array
    weights: Array
    offsets: Array
    mistaken: tuple[int, ...]


@dataclass(frozen=True)
class Scores:
    """`similarity` (regions, concepts), -inf where nothing is known; `views` names the best view of each.

    `silent` (regions,) marks those that speak for nobody: what they are most like, they are known not to be.
    """

    similarity: Array
    views: tuple[tuple[str, ...], ...]
    places: NDArray[np.int64]
    silent: NDArray[np.bool_]

    def view(self, region: int, concept: int) -> str:
        """Name the view of a concept that is most like a region."""
        return self.views[concept][self.places[region, concept]] if self.views[concept] else ""

    def joined(self, others: Scores) -> Scores:
        """Put more regions below these."""
        return Scores(
            np.concatenate([self.similarity, others.similarity]),
            self.views,
            np.concatenate([self.places, others.places]),
            np.concatenate([self.silent, others.silent]),
        )


def prepare(stored: Sequence[Sequence[Stored]], common: Callable[[Array], Array] | None = None) -> Known:
    """Make ready what is stored of each concept; `common` tells how common vectors look, where anybody knows.

    The discriminants are linear (Fisher, 1936; drawn to a sphere as by Friedman, 1989): the means of the concepts'
    vectors, and of what they were mistaken for, in a space where vectors of one concept vary alike in all directions.
    How they vary is learnt from all of `stored`, with RIDGE since those are few.
    """
    pictures = [one.vectors for concept in stored for one in concept]
    every = np.concatenate(pictures) if pictures else np.zeros((0, 0), np.float32)
    usual = common(every) if common and len(every) else np.zeros(len(every), np.float32)
    views = [[one.vectors for one in concept if not one.negative] for concept in stored]
    negatives = [[one.vectors for one in concept if one.negative] for concept in stored]
    mistaken = tuple(i for i, of_concept in enumerate(negatives) if of_concept)
    groups = [np.concatenate(group) if group else every[:0] for group in [*views, *(negatives[i] for i in mistaken)]]
    if len(groups) < 2:  # there is nothing to tell apart
        nothing = np.zeros((every.shape[1], len(groups)), np.float32)
        return Known(tuple(stored), every, usual, nothing, nothing.sum(axis=0), mistaken)
    means = np.array([group.mean(axis=0) if len(group) else np.zeros(every.shape[1]) for group in groups], np.float64)
    apart = np.concatenate([group - mean for group, mean in zip(groups, means, strict=True)][: len(stored)])
    within = apart.T @ apart / max(1, len(apart) - sum(map(bool, views)))
    within += np.eye(len(within)) * max(1e-6, RIDGE * within.trace() / max(1, len(within)))
    weights = np.linalg.solve(within, means.T)
    offsets = -(means * weights.T).sum(axis=1) / 2
    return Known(tuple(stored), every, usual, weights.astype(np.float32), offsets.astype(np.float32), mistaken)


def score(regions: Regions, known: Known) -> Scores:
    """Compare regions with what is known of concepts.

    A view's similarity is that of its best vector, less a part of how common that is, the more the smaller the region;
    a concept's is its best view's, so that one more view never hides what the others show. Among rivals for a region
    the linear discriminant decides, which weighs what tells the two apart, and not all that they share: the others
    stay below the one that it prefers. Where one of its negatives is nearer than every view, or is a
    rival that the discriminant prefers, the region is not the concept; nor is it then another that is less like it.
    """
    vectors = regions.vectors
    similarity = np.full((len(vectors), len(known.stored)), -np.inf, np.float32)
    places = np.zeros(similarity.shape, np.int64)
    pictures = [one for concept in known.stored for one in concept]
    if not pictures or not len(vectors):
        return Scores(similarity, tuple(() for _ in known.stored), places, np.zeros(len(vectors), bool))
    starts = np.cumsum([0, *(len(one.vectors) for one in pictures[:-1])])
    held_against = COMMON * (1 - areas(regions.boxes).astype(np.float32))[:, None] * known.common
    every = np.maximum.reduceat(vectors @ known.vectors.T - held_against, starts, axis=1)
    likely = vectors @ known.weights + known.offsets
    denied = np.zeros(similarity.shape, bool)
    first = 0
    for column, concept in enumerate(known.stored):
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
            likelier = likely[:, len(known.stored) + known.mistaken.index(column)] > likely[:, column]
            nearest = of_concept[:, negative].max(axis=1)
            denied[:, column] = (nearest > best) | (likelier & (nearest >= _rivals_from(best)))
    names = tuple(tuple(one.view for one in concept if not one.negative) for concept in known.stored)
    similarity = _decided(similarity, likely)
    silent = denied[np.arange(len(vectors)), similarity.argmax(axis=1)]
    return Scores(np.where(denied, -np.inf, similarity).astype(np.float32), names, places, silent)


def _rivals_from(best: Array) -> Array:
    """Tell from which similarity on something rivals what is so similar."""
    return np.asarray(best - np.clip(2 * (1 - best), 0, RIVAL), np.float32)


def _decided(similarity: Array, likely: Array) -> Array:
    """Keep the rivals for each region below the one that is likeliest among them."""
    rivals = similarity >= _rivals_from(similarity.max(axis=1, keepdims=True))
    preferred = np.where(rivals, likely[:, : similarity.shape[1]], -np.inf).argmax(axis=1)[:, None]
    most = np.take_along_axis(similarity, preferred, axis=1)
    others = rivals & (np.arange(similarity.shape[1]) != preferred)
    return np.where(others, np.minimum(similarity, most - np.float32(BELOW)), similarity)

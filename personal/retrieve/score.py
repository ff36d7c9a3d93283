"""Similarity of regions to concepts, from all that is remembered of each: its views, and its negative examples.

Arrays and numbers only: knows neither photos nor the index.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from personal.concepts import IndexedView
from personal.retrieve.config import CONFIG, RecognitionConfig
from personal.retrieve.regions import Regions, areas

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Gallery:
    """The stored views of some concepts, made ready to be compared with regions by `build_gallery`.

    `vectors` are all vectors of all pictures below one another, `cohort_score` their similarity to the cohort.
    `weights` (dimension, n) and `offsets` (n,) are linear discriminants: of every concept, then of the negative
    examples of each concept in `mistaken`.
    """

    stored: tuple[Sequence[IndexedView], ...]
    vectors: Array
    cohort_score: Array
    weights: Array
    offsets: Array
    mistaken: tuple[int, ...]

    def references(self, concept: int) -> int:
        """Return how many views of a concept there are."""
        return sum(not one.negative for one in self.stored[concept])


@dataclass(frozen=True)
class ScoredRegions:
    """`similarity` and `negative` (regions, concepts): to a concept's best view and to its nearest negative example.

    Both are -inf where there is none. `views` names each concept's views, `places` the best of them; `rejected`
    (regions,) marks regions that are assigned to nobody: they are known not to be what they resemble most.
    """

    similarity: Array
    negative: Array
    views: tuple[tuple[str, ...], ...]
    places: NDArray[np.int64]
    rejected: NDArray[np.bool_]

    def view(self, region: int, concept: int) -> str:
        """Return the view of a concept that is most similar to a region."""
        return self.views[concept][self.places[region, concept]] if self.views[concept] else ""

    def margin(self, region: int, concept: int, most: float) -> float:
        """Return how far all else lies below a concept in a region, 0 to `most`: other concepts, its own negatives."""
        others = np.delete(self.similarity[region], concept)
        next_best = max(float(others.max(initial=-np.inf)), float(self.negative[region, concept]))
        return float(np.clip(self.similarity[region, concept] - next_best, 0, most))

    def joined(self, others: ScoredRegions) -> ScoredRegions:
        """Return these with more regions below them."""
        return ScoredRegions(
            np.concatenate([self.similarity, others.similarity]),
            np.concatenate([self.negative, others.negative]),
            self.views,
            np.concatenate([self.places, others.places]),
            np.concatenate([self.rejected, others.rejected]),
        )


def build_gallery(
    stored: Sequence[Sequence[IndexedView]],
    cohort_score: Callable[[Array], Array] | None = None,
    config: RecognitionConfig = CONFIG,
) -> Gallery:
    """Build the gallery of some concepts' pictures; `cohort_score` maps vectors to their similarity to a cohort.

    The discriminants are linear (Fisher, 1936; shrunk to a sphere as by Friedman, 1989): the means of the concepts'
    vectors, and of their negative examples, in a space where vectors of one concept vary alike in all directions.
    """
    pictures = [one.vectors for concept in stored for one in concept]
    every = np.concatenate(pictures) if pictures else np.zeros((0, 0), np.float32)
    cohort = cohort_score(every) if cohort_score and len(every) else np.zeros(len(every), np.float32)
    views = [[one.vectors for one in concept if not one.negative] for concept in stored]
    negatives = [[one.vectors for one in concept if one.negative] for concept in stored]
    mistaken = tuple(i for i, of_concept in enumerate(negatives) if of_concept)
    groups = [np.concatenate(group) if group else every[:0] for group in [*views, *(negatives[i] for i in mistaken)]]
    if len(groups) < 2:  # there is nothing to tell apart
        zeros = np.zeros((every.shape[1], len(groups)), np.float32)
        return Gallery(tuple(stored), every, cohort, zeros, zeros.sum(axis=0), mistaken)
    means = np.array([group.mean(axis=0) if len(group) else np.zeros(every.shape[1]) for group in groups], np.float64)
    apart = np.concatenate([group - mean for group, mean in zip(groups, means, strict=True)][: len(stored)])
    within = apart.T @ apart / max(1, len(apart) - sum(map(bool, views)))
    within += np.eye(len(within)) * max(1e-6, config.ridge * within.trace() / max(1, len(within)))
    weights = np.linalg.solve(within, means.T)
    offsets = -(means * weights.T).sum(axis=1) / 2
    return Gallery(tuple(stored), every, cohort, weights.astype(np.float32), offsets.astype(np.float32), mistaken)


def score(regions: Regions, gallery: Gallery, config: RecognitionConfig = CONFIG) -> ScoredRegions:
    """Compare regions with a gallery.

    A view's similarity is that of its best vector, less a part of its cohort score, the more the smaller the region; a
    concept's is its best view's, so that one more view never hides what the others show. Among confusers for a region
    the linear discriminant decides: the others stay below the one that it prefers. Where a negative example is nearer
    than every view, or is a confuser that the discriminant prefers, the region is rejected for all concepts.
    """
    vectors = regions.vectors
    similarity = np.full((len(vectors), len(gallery.stored)), -np.inf, np.float32)
    negatives, places = similarity.copy(), np.zeros(similarity.shape, np.int64)
    pictures = [one for concept in gallery.stored for one in concept]
    if not pictures or not len(vectors):
        none = np.zeros(len(vectors), bool)
        return ScoredRegions(similarity, negatives, tuple(() for _ in gallery.stored), places, none)
    starts = np.cumsum([0, *(len(one.vectors) for one in pictures[:-1])])
    held_against = config.cohort * (1 - areas(regions.boxes).astype(np.float32))[:, None] * gallery.cohort_score
    every = np.maximum.reduceat(vectors @ gallery.vectors.T - held_against, starts, axis=1)
    likely = vectors @ gallery.weights + gallery.offsets
    denied = np.zeros(similarity.shape, bool)
    first = 0
    for column, concept in enumerate(gallery.stored):
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
            likelier = likely[:, len(gallery.stored) + gallery.mistaken.index(column)] > likely[:, column]
            negatives[:, column] = nearest = of_concept[:, negative].max(axis=1)
            denied[:, column] = (nearest > best) | (likelier & (nearest >= _confusers_from(best, config)))
    names = tuple(tuple(one.view for one in concept if not one.negative) for concept in gallery.stored)
    similarity = _decided(similarity, likely, config)
    rejected = denied[np.arange(len(vectors)), similarity.argmax(axis=1)]
    similarity = np.where(denied, -np.inf, similarity).astype(np.float32)
    return ScoredRegions(similarity, negatives, names, places, rejected)


def _confusers_from(best: Array, config: RecognitionConfig) -> Array:
    """Return the similarity from which something is a confuser; near 1, where a view itself is seen, nothing is."""
    return np.asarray(best - np.clip(2 * (1 - best), 0, config.confuser), np.float32)


def _decided(similarity: Array, likely: Array, config: RecognitionConfig) -> Array:
    """Keep the confusers for each region below the one that is likeliest among them."""
    confusers = similarity >= _confusers_from(similarity.max(axis=1, keepdims=True), config)
    preferred = np.where(confusers, likely[:, : similarity.shape[1]], -np.inf).argmax(axis=1)[:, None]
    most = np.take_along_axis(similarity, preferred, axis=1)
    others = confusers & (np.arange(similarity.shape[1]) != preferred)
    return np.where(others, np.minimum(similarity, most - np.float32(config.below)), similarity)

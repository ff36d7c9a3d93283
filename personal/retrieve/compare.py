"""A photo against an owner's gallery: features → scores, with a second pass over a finer map where doubts were left.

Says how similar regions are to concepts, and not whose name is said.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from personal.concepts import Box, Concept, Hit, IndexedView, Photo
from personal.retrieve.assign import Assignment, assign_parts_first
from personal.retrieve.config import RecognitionConfig
from personal.retrieve.features import Encoder, FeatureExtractor, PhotoFeatures
from personal.retrieve.regions import Regions, pairwise_iou
from personal.retrieve.score import Gallery, ScoredRegions, build_gallery, score

Array = NDArray[np.float32]


class Index(Protocol):
    """What comparing asks of an index (`personal.remember.index`)."""

    def query(self, owner: str, vectors: Array, k: int, *, negatives: bool = True) -> list[list[Hit]]: ...
    def vectors(self, owner: str, concept_ids: Iterable[str]) -> dict[str, list[IndexedView]]: ...


@dataclass(frozen=True)
class ScoredPhoto:
    """A photo's regions, scored against the concepts of a gallery; `penalty` is the gallery size penalty, cosine."""

    features: PhotoFeatures
    concepts: tuple[Concept, ...]
    gallery: Gallery
    scores: ScoredRegions
    penalty: float

    def assign(self, threshold: float | Array, config: RecognitionConfig) -> list[Assignment]:
        """Assign regions to concepts from a similarity on, one for all concepts or (concepts,)."""
        similarity = np.where(self.scores.rejected[:, None], -np.inf, self.scores.similarity)
        overlapping = pairwise_iou(self.features.regions.boxes) > config.nms_iou
        return assign_parts_first(similarity, overlapping, np.asarray(threshold + self.penalty, np.float32))


class Comparer:
    """Scores photos against what an index holds of an owner."""

    def __init__(self, encoder: Encoder, index: Index, extractor: FeatureExtractor, config: RecognitionConfig) -> None:
        self._encoder = encoder
        self._index = index
        self._extractor = extractor
        self._config = config

    def compare(
        self,
        owner: str,
        photo: Photo,
        concepts: Sequence[Concept],
        threshold: float,
        box: Box | None = None,
        without: Set[str] = frozenset(),
    ) -> ScoredPhoto:
        """Score the regions of a photo, or one box of it; add those of a finer map where concepts are in doubt.

        Views in `without` do not count. Raises ImageError, StoreError, and ModelError where a detector fails.
        """
        if box is None:
            features = self._extractor.of_photo(photo, (concept.category for concept in concepts))
        else:
            features = self._extractor.of_box(photo, box)
        near = self._prefilter(owner, features.regions, concepts)
        indexed = self._index.vectors(owner, [concept.id for concept in near])
        counted = [[one for one in indexed[concept.id] if one.view not in without] for concept in near]
        gallery = build_gallery(counted, self._encoder.cohort_score, self._config)
        scores = score(features.regions, gallery, self._config)
        first = ScoredPhoto(features, tuple(near), gallery, scores, self._penalty(len(concepts), threshold))
        if box is not None or features.dense is None or not self._needs_second_pass(first, threshold):
            return first
        fine = self._extractor.of_photo(photo, fine=True).regions
        more = Regions(fine.boxes[1:], fine.vectors[1:])
        return replace(first, features=features.joined(more), scores=scores.joined(score(more, gallery, self._config)))

    def _penalty(self, concepts: int, threshold: float) -> float:
        """Return by how much the threshold rises in a gallery of so many concepts, cosine."""
        config = self._config
        penalty = config.gallery_size_penalty * math.log(max(1.0, concepts / config.gallery_size))
        return min(penalty, config.gallery_size_most * max(0.0, 1 - threshold))

    def _needs_second_pass(self, photo: ScoredPhoto, threshold: float) -> bool:
        """Return whether a concept that got no region is nearly above the threshold somewhere."""
        assigned = {concept for _, concept in photo.assign(threshold, self._config)}
        best = photo.scores.similarity.max(axis=0, initial=-np.inf)
        near = best > threshold + photo.penalty - self._config.second_pass
        return any(near[concept] for concept in range(len(best)) if concept not in assigned)

    def _prefilter(self, owner: str, regions: Regions, concepts: Sequence[Concept]) -> Sequence[Concept]:
        """Leave out of a large library the concepts of which nothing is near any region."""
        most = self._config.exhaustive
        if len(concepts) <= most and sum(len(concept.views) for concept in concepts) <= most:
            return concepts
        asked = regions.vectors[:: -(-len(regions.vectors) // self._config.lookups)]
        hits = self._index.query(owner, asked, self._config.neighbours, negatives=False)
        near = {hit.concept_id for some in hits for hit in some}
        return [concept for concept in concepts if concept.id in near]

"""Photos and questions → Matches: regions of the photo against the owner's views, and names in the question.

Is given the encoder and the index. The pipeline: features → scores → assignment → boxes → calibration → faces, with a
second pass over a finer map where the first left doubts. Holds the features of the photos seen last, so that looking,
ranking and asking about one photo encode it once.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from personal.concepts import Box, Concept, Hit, IndexedView, Match, Photo
from personal.images import open_photo
from personal.retrieve.assign import Assignment, assign_parts_first
from personal.retrieve.calibrate import Calibration, Decision, of_library
from personal.retrieve.config import CONFIG, RecognitionConfig
from personal.retrieve.names import bracketed, find_names
from personal.retrieve.recent import Recent
from personal.retrieve.refine import refine_boxes
from personal.retrieve.regions import SMALL, Regions, crops, cut, pairwise_iou, pool, pool_box
from personal.retrieve.score import Gallery, ScoredRegions, build_gallery, score

if TYPE_CHECKING:
    from PIL.Image import Image

Array = NDArray[np.float32]


class Encoder(Protocol):
    """What a retriever asks of an encoder (`personal.retrieve.encoder`)."""

    @property
    def threshold(self) -> float: ...
    @property
    def dimension(self) -> int: ...
    @property
    def calibration(self) -> Calibration | None: ...
    def embed(self, images: Sequence[Image]) -> Array: ...
    def embed_reference(self, image: Image) -> Array: ...
    def dense(self, image: Image, *, fine: bool = False) -> Array | None: ...
    def project(self, pooled: Array) -> Array: ...
    def common(self, vectors: Array) -> Array: ...
    def regress_boxes(self, dense: Array, boxes: Array) -> Array: ...


class Proposal(Protocol):
    """Where a detector thinks that something is."""

    @property
    def box(self) -> Box: ...


class Detector(Protocol):
    """What a retriever asks of a detector (`personal.retrieve.detector`)."""

    def propose(self, image: Image, categories: Sequence[str]) -> Sequence[Proposal]: ...
    def clear(self) -> None: ...


class People(Protocol):
    """What a retriever asks of who is known by the face (`personal.retrieve.people`)."""

    def fuse_faces(
        self,
        owner: str,
        photo: Photo,
        concepts: Sequence[Concept],
        matches: Sequence[Match],
        strictness: float,
        without: Set[str] = frozenset(),
    ) -> list[Match]: ...
    def clear(self) -> None: ...


class Index(Protocol):
    """What a retriever asks of the index (`personal.remember.index`)."""

    def query(self, owner: str, vectors: Array, limit: int, *, negatives: bool = True) -> list[list[Hit]]: ...
    def vectors(self, owner: str, concept_ids: Iterable[str]) -> dict[str, list[IndexedView]]: ...


@dataclass(frozen=True)
class PhotoFeatures:
    """The regions of a photo, and the map that they were pooled from, where there is one."""

    regions: Regions
    dense: Array | None


@dataclass(frozen=True)
class Compared:
    """A photo's regions, scored against the concepts of a gallery; `penalty` is the gallery size penalty, cosine."""

    features: PhotoFeatures
    concepts: tuple[Concept, ...]
    gallery: Gallery
    scores: ScoredRegions
    penalty: float

    def assigned(self, threshold: float | Array, config: RecognitionConfig) -> list[Assignment]:
        """Assign regions to concepts from a similarity on, one for all concepts or (concepts,)."""
        similarity = np.where(self.scores.rejected[:, None], -np.inf, self.scores.similarity)
        overlapping = pairwise_iou(self.features.regions.boxes) > config.nms_iou
        return assign_parts_first(similarity, overlapping, np.asarray(threshold + self.penalty, np.float32))


class Retriever:
    """Which concepts a photo or question concerns.

    `cache_size` is how many photos' vectors are held at most; `clear` drops them.
    """

    def __init__(
        self,
        encoder: Encoder,
        index: Index,
        *,
        detector: Detector | None = None,
        people: People | None = None,
        config: RecognitionConfig = CONFIG,
    ) -> None:
        self._encoder = encoder
        self._index = index
        self._detector = detector
        self._people = people
        self._config = config
        self._calibrations: dict[str, Calibration] = {}
        self._views: Recent[Array] = Recent(config.cached_photos)
        self._seen: Recent[PhotoFeatures] = Recent(2 * config.cached_photos)

    @property
    def threshold(self) -> float:
        """The similarity, -1..1, from which a name is said where nothing tells its probability."""
        return self._encoder.threshold

    @property
    def confidence(self) -> float:
        """The probability, 0..1, from which a name is said."""
        return self._config.sure

    @property
    def alike(self) -> float:
        """The similarity, -1..1, from which views of two concepts are hard to tell apart."""
        return self.threshold + self._config.confusable

    @property
    def cache_size(self) -> int:
        """How many photos' vectors are held at most."""
        return self._views.size

    @cache_size.setter
    def cache_size(self, size: int) -> None:
        self._views.size, self._seen.size = size, 2 * size

    def clear(self, owner: str) -> None:
        """Drop everything held of photos seen, and what was learnt from an owner's."""
        self._views.clear()
        self._seen.clear()
        self._calibrations.pop(owner, None)
        if self._detector:
            self._detector.clear()
        if self._people:
            self._people.clear()

    def embed(self, photos: Sequence[Photo]) -> list[Array]:
        """Return what is remembered of each photo as a reference, (n, dimension): the whole of it first.

        Raises ImageError.
        """
        found = []
        for photo in photos:
            held = self._views.get(photo.sha256)
            if held is None:
                held = self._encoder.embed_reference(open_photo(photo))
                self._views.put(photo.sha256, held)
            found.append(held)
        return found

    def regions(self, photo: Photo) -> Regions:
        """Return a photo's regions as a first pass sees them, the whole of it first; a detector is not asked."""
        return self._look_at(photo).regions

    def calibrated(self, owner: str) -> bool:
        """Return whether matches have a probability: the encoder's calibration, or one learnt from the library."""
        return self._calibration(owner) is not None

    def look(
        self,
        owner: str,
        photo: Photo,
        concepts: Sequence[Concept],
        *,
        top_k: int,
        threshold: float | None = None,
        confidence: float | None = None,
        rejected: Set[str] = frozenset(),
    ) -> list[Match]:
        """Find the concepts in a photo, the most similar first: one match each, at most `top_k`.

        A match is sure from the probability `confidence` on (`self.confidence` by default), and a maybe down to where
        the odds are as much worse as the defaults' are. With `threshold` (-1..1), or where nothing tells a probability,
        every match from that similarity on is sure. Of people who are known by the face, faces in the photo have the
        last word. Concepts whose id is in `rejected` are not considered. Raises ImageError, StoreError, and ModelError
        where the detector fails; so does `rank`.
        """
        concepts = [concept for concept in concepts if concept.id not in rejected]
        if not concepts:
            return []
        decision = self._decision(owner, threshold, confidence)
        compared = self._compare(owner, photo, concepts, decision.threshold)
        references = [compared.gallery.references(column) for column in range(len(compared.concepts))]
        assigned = compared.assigned(decision.bars(references), self._config)
        regions, dense = compared.features.regions.boxes, compared.features.dense
        boxes = [regions[region] for region, _ in assigned]
        if dense is not None and assigned:
            assigned, boxes = refine_boxes(
                compared.scores.similarity, regions, assigned, dense, compared.gallery, self._encoder, self._config
            )
        found = [
            replace(self._match(compared, one, photo, decision), box=box)
            for one, box in zip(assigned, boxes, strict=True)
        ]
        found = sorted((match for match in found if match.certainty != "silent"), key=lambda match: not match.said)
        return self._fuse_faces(owner, photo, concepts, found, decision)[:top_k]

    def rank(
        self,
        owner: str,
        photo: Photo,
        concepts: Sequence[Concept],
        box: Box | None = None,
        *,
        without: Set[str] = frozenset(),
        threshold: float | None = None,
        confidence: float | None = None,
        faces: bool = False,
    ) -> list[Match]:
        """Rank the concepts by their best similarity over regions, best first; of a large library the nearest alone.

        With `box` that part of the photo alone is compared; `without` are views that do not count. Nobody is left out
        for want of similarity, and regions may be shared. With `faces` they have the last word, as in `look`.
        """
        if not concepts:
            return []
        decision = self._decision(owner, threshold, confidence)
        compared = self._compare(owner, photo, concepts, self.threshold, box, without)
        similarity = compared.scores.similarity
        best, highest = similarity.argmax(axis=0), similarity.max(axis=0)
        ranked = [
            self._match(compared, (int(best[column]), int(column)), photo, decision)
            for column in np.argsort(-highest, kind="stable")
            if highest[column] > -np.inf
        ]
        return self._fuse_faces(owner, photo, concepts, ranked, decision, without) if faces else ranked

    def calibrate(self, owner: str, concepts: Sequence[Concept]) -> None:
        """Learn from an owner's views what similarity means, where the encoder does not know it."""
        if self._encoder.calibration is None:
            some = [concept.id for concept in concepts if len(concept.views) > 1][: self._config.library_concepts]
            learnt = of_library(list(self._index.vectors(owner, some).values()))
            self._calibrations.pop(owner, None)
            self._calibrations |= {owner: learnt} if learnt else {}

    def named(self, question: str, concepts: Sequence[Concept]) -> list[Match]:
        """Find the concepts named in a question, in the order in which they are named (`personal.retrieve.names`)."""
        return [Match(concepts[i], "named") for i in find_names(question, [concept.name for concept in concepts])]

    def bracketed(self, question: str, concepts: Sequence[Concept]) -> str:
        """Write the names that a question holds as `<name>`."""
        return bracketed(question, [concept.name for concept in concepts])

    def _calibration(self, owner: str) -> Calibration | None:
        return self._encoder.calibration or self._calibrations.get(owner)

    def _decision(self, owner: str, threshold: float | None, confidence: float | None) -> Decision:
        calibration = self._calibration(owner) if threshold is None else None
        at_least = self.threshold if threshold is None else threshold
        sure = self._config.sure if confidence is None else confidence
        return Decision(self._calibration(owner), at_least, sure, calibration is not None, self._config)

    def _fuse_faces(
        self,
        owner: str,
        photo: Photo,
        concepts: Sequence[Concept],
        found: list[Match],
        decision: Decision,
        without: Set[str] = frozenset(),
    ) -> list[Match]:
        """Give faces in a photo the last word."""
        if not self._people:
            return found
        return self._people.fuse_faces(owner, photo, concepts, found, decision.strictness(self.threshold), without)

    def _compare(
        self,
        owner: str,
        photo: Photo,
        concepts: Sequence[Concept],
        threshold: float,
        box: Box | None = None,
        without: Set[str] = frozenset(),
    ) -> Compared:
        """Score the regions of a photo, or one box of it; add those of a finer map where concepts are in doubt."""
        features = self._look_at(photo, concepts) if box is None else self._look_at_box(photo, box)
        near = self._prefilter(owner, features, concepts)
        stored = self._index.vectors(owner, [concept.id for concept in near])
        counted = [[one for one in stored[concept.id] if one.view not in without] for concept in near]
        gallery = build_gallery(counted, self._encoder.common, self._config)
        penalty = self._config.gallery_size_penalty * math.log(max(1.0, len(concepts) / self._config.gallery_size))
        penalty = min(penalty, self._config.gallery_size_most * max(0.0, 1 - threshold))
        scores = score(features.regions, gallery, self._config)
        first = Compared(features, tuple(near), gallery, scores, penalty)
        if box is not None or features.dense is None or not self._needs_second_pass(first, threshold):
            return first
        finer = self._look_at(photo, fine=True).regions
        more = Regions(finer.boxes[1:], finer.vectors[1:])
        both = Regions(features.regions.boxes + more.boxes, np.concatenate([features.regions.vectors, more.vectors]))
        scores = scores.joined(score(more, gallery, self._config))
        return replace(first, features=replace(features, regions=both), scores=scores)

    def _needs_second_pass(self, compared: Compared, threshold: float) -> bool:
        """Return whether a concept that got no region is nearly above the threshold somewhere."""
        assigned = {concept for _, concept in compared.assigned(threshold, self._config)}
        best = compared.scores.similarity.max(axis=0, initial=-np.inf)
        near = best > threshold + compared.penalty - self._config.second_pass
        return any(near[concept] for concept in range(len(best)) if concept not in assigned)

    def _match(self, compared: Compared, assigned: Assignment, photo: Photo, decision: Decision) -> Match:
        """Make a match with its probability, where that can be told, and its certainty."""
        region, column = assigned
        similarity = float(compared.scores.similarity[region, column])
        margin = compared.scores.margin(region, column, self._config.margin_cap)
        references = compared.gallery.references(column)
        probability, certainty = decision.judge(similarity - compared.penalty, margin, references)
        box = compared.features.regions.boxes[region]
        return Match(
            compared.concepts[column],
            "seen",
            min(1.0, similarity),  # resembling the cohort less than usual adds a little
            box,
            compared.scores.view(region, column),
            photo.sha256,
            probability=probability,
            certainty=certainty,
            evidence_box=box,
        )

    def _prefilter(self, owner: str, features: PhotoFeatures, concepts: Sequence[Concept]) -> Sequence[Concept]:
        """Leave out of a large library the concepts of which nothing is near any region."""
        most = self._config.exhaustive
        if len(concepts) <= most and sum(len(concept.views) for concept in concepts) <= most:
            return concepts
        vectors = features.regions.vectors
        asked = vectors[:: -(-len(vectors) // self._config.lookups)]
        hits = self._index.query(owner, asked, self._config.neighbours, negatives=False)
        near = {hit.concept_id for some in hits for hit in some}
        return [concept for concept in concepts if concept.id in near]

    def _look_at(self, photo: Photo, concepts: Sequence[Concept] = (), *, fine: bool = False) -> PhotoFeatures:
        categories = [c for c, _ in Counter(c.category for c in concepts).most_common()] if self._detector else []
        key = "\0".join([photo.sha256, "fine" if fine else "", *categories])
        held = self._seen.get(key)
        if held is None:
            image = open_photo(photo)
            found = self._detector.propose(image, categories) if self._detector and categories else []
            held = self._encode(image, [one.box for one in found], fine=fine)
            self._seen.put(key, held)
        return held

    def _encode(self, image: Image, boxes: Sequence[Box], *, fine: bool) -> PhotoFeatures:
        """Encode a photo's windows and more boxes: pooled from one map where there is one, else crop by crop."""
        dense = self._encoder.dense(image, fine=fine)
        if dense is None:
            places, pieces = crops(image)
            vectors = self._encoder.embed([*pieces, *(cut(image, box) for box in boxes)])
            return PhotoFeatures(Regions((*places, *boxes), vectors), None)
        pooled = pool(dense, SMALL) if fine else pool(dense)
        vectors = np.concatenate([pooled.vectors, pool_box(dense, *boxes)]) if boxes else pooled.vectors
        regions = Regions((*pooled.boxes, *boxes), self._encoder.project(vectors))
        return PhotoFeatures(regions, None if fine else dense.astype(np.float16))

    def _look_at_box(self, photo: Photo, box: Box) -> PhotoFeatures:
        image = open_photo(photo)
        dense = self._encoder.dense(image)
        vectors = self._encoder.embed([cut(image, box)]) if dense is None else pool_box(dense, box)
        return PhotoFeatures(Regions((box,), vectors if dense is None else self._encoder.project(vectors)), None)

"""Photos and questions → Matches: which of an owner's concepts a photo shows, and which a question names.

Is given the encoder and the index. The pipeline: features → scores (`compare`) → assignment → boxes → calibration →
faces.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from personal.concepts import WHOLE, Box, Concept, Match, Photo
from personal.images import open_photo
from personal.recent import Recent
from personal.retrieve.assign import Assignment
from personal.retrieve.calibrate import Calibration, Decision, of_library
from personal.retrieve.compare import Comparer, Index, ScoredPhoto
from personal.retrieve.config import CONFIG, RecognitionConfig
from personal.retrieve.features import Detector, Encoder, FeatureExtractor
from personal.retrieve.names import bracketed, find_names
from personal.retrieve.refine import as_box, refine_boxes
from personal.retrieve.regions import Regions

Array = NDArray[np.float32]

SUBJECT_STEPS = 2
"""Box regressions from the whole photo to its subject: the first finds it, the second closes in on it."""
MAX_SUBJECTS = 4096
"""Photos whose subject's box is held."""


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
        self.encoder = encoder
        self.index = index
        self._people = people
        self._config = config
        self._extractor = FeatureExtractor(encoder, detector, config.cached_photos)
        self._comparer = Comparer(encoder, index, self._extractor, config)
        self._calibrations: dict[str, Calibration] = {}
        self._subjects: Recent[str, Box] = Recent(MAX_SUBJECTS)

    @property
    def threshold(self) -> float:
        """The similarity, -1..1, from which a name is said where nothing tells its probability."""
        return self.encoder.threshold

    @property
    def text_thresholds(self) -> tuple[float, float]:
        """The cosines from which a photo may be what a text says, and from which a text alone finds anything."""
        return self.encoder.text_thresholds

    @property
    def confidence(self) -> float:
        """The probability, 0..1, from which a name is said."""
        return self._config.sure

    @property
    def confusable_threshold(self) -> float:
        """The similarity, -1..1, from which views of two concepts are hard to tell apart."""
        return self.threshold + self._config.confusable

    @property
    def cache_size(self) -> int:
        """How many photos' vectors are held at most."""
        return self._extractor.size

    @cache_size.setter
    def cache_size(self, size: int) -> None:
        self._extractor.size = size

    def clear(self, owner: str) -> None:
        """Drop everything held of photos seen, and what was learnt from an owner's."""
        self._extractor.clear()
        self._subjects.clear()
        self._calibrations.pop(owner, None)
        if self._people:
            self._people.clear()

    def embed(self, photos: Sequence[Photo]) -> list[Array]:
        """Return what is remembered of each photo as a reference, (n, dimension): the whole of it first.

        Raises ImageError.
        """
        return [self._extractor.of_reference(photo) for photo in photos]

    def encode_ahead(self, references: Sequence[Photo], photos: Sequence[Photo]) -> None:
        """Encode references, and photos in both passes, so that they are looked at soon without waiting.

        They are held as what was seen last is. Raises ImageError.
        """
        self.embed(references)
        for photo in photos:
            for fine in (False, True):
                self._extractor.of_photo(photo, fine=fine)

    def regions(self, photo: Photo) -> Regions:
        """Return a photo's regions as a first pass sees them, the whole of it first; a detector is not asked."""
        return self._extractor.of_photo(photo).regions

    def subject(self, photo: Photo) -> Box:
        """Return the box around what a photo shows foremost; all of it where the encoder gives no map."""
        held = self._subjects.get(photo.sha256)
        if held is None:
            dense, box = self.encoder.dense(open_photo(photo)), np.asarray([WHOLE], np.float32)
            for _ in range(0 if dense is None else SUBJECT_STEPS):
                box = self.encoder.regress_boxes(np.asarray(dense, np.float32), box)
            held = as_box(box[0])
            self._subjects.put(photo.sha256, held)
        return held

    def describe(self, photo: Photo) -> tuple[Array, Array | None]:
        """Return a photo's vector in the space that it shares with texts, and its pooled map, where there is one.

        Raises ImageError.
        """
        return self.encoder.describe(open_photo(photo))

    def embed_texts(self, texts: Sequence[str]) -> Array:
        """Return texts' vectors in the space that they share with photos, (n, dimension), unit length."""
        return self.encoder.embed_texts(texts)

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
        compared = self._comparer.compare(owner, photo, concepts, decision.threshold)
        references = [compared.gallery.references(column) for column in range(len(compared.concepts))]
        assigned = compared.assign(decision.bars(references), self._config)
        regions, dense = compared.features.regions.boxes, compared.features.dense
        boxes = [regions[region] for region, _ in assigned]
        if dense is not None and assigned:
            boxes = refine_boxes(compared.scores.similarity, regions, assigned, dense, self.encoder, self._config)
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
        compared = self._comparer.compare(owner, photo, concepts, self.threshold, box, without)
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
        if self.encoder.calibration is None:
            some = [concept.id for concept in concepts if len(concept.views) > 1][: self._config.library_concepts]
            learnt = of_library(list(self.index.vectors(owner, some).values()))
            self._calibrations.pop(owner, None)
            self._calibrations |= {owner: learnt} if learnt else {}

    def named(self, question: str, concepts: Sequence[Concept]) -> list[Match]:
        """Find the concepts named in a question, in the order in which they are named (`personal.retrieve.names`)."""
        return [Match(concepts[i], "named") for i in find_names(question, [concept.name for concept in concepts])]

    def bracketed(self, question: str, concepts: Sequence[Concept]) -> str:
        """Write the names that a question holds as `<name>`."""
        return bracketed(question, [concept.name for concept in concepts])

    def _calibration(self, owner: str) -> Calibration | None:
        return self.encoder.calibration or self._calibrations.get(owner)

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

    def _match(self, compared: ScoredPhoto, assigned: Assignment, photo: Photo, decision: Decision) -> Match:
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

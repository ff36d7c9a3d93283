"""Photos and questions → Matches: regions of the photo against the owner's views, and names in the question.

Is given the encoder and the index. Looks once at every photo, and closer where the first look left doubts. Holds what
was seen in the photos looked at last, so that looking, ranking and asking about one photo encode it once.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from personal.concepts import Box, Concept, Hit, Match, Photo, Stored
from personal.images import open_photo
from personal.retrieve.calibrate import Calibration, of_concept, of_library, own_and_others
from personal.retrieve.names import bracketed, find_names
from personal.retrieve.recent import Recent
from personal.retrieve.regions import SMALL, Regions, areas, coverage, crops, cut, pool, pool_box, shared
from personal.retrieve.score import Known, Scores, prepare, score

if TYPE_CHECKING:
    from PIL.Image import Image

Array = NDArray[np.float32]

OVERLAP = 0.3
"""Regions that share more than this (intersection over union) with a claimed one cannot be claimed by another."""
DOUBT = 0.1
"""A photo is looked at more closely where an unclaimed concept is at most this much below the threshold."""
WIDER, SLACK = 0.03, 0.2
"""Similarity that a claim may lose by being drawn wider, and then by being drawn closer."""
AROUND, PART, WEAKER = 0.9, 0.25, 0.04
"""A region is around another of which it holds so much; a box is a part of another in which more than so much lies; to
a claim that was so much weaker none falls."""
CROWD, FITTED_WITH = 0.024, 20
"""So much more similarity is asked each time that there are e times the concepts that thresholds are fitted with: the
more there are, the more often one of them looks like something by chance."""
ROOM = 0.5
"""How much of what lies between the threshold and 1 is asked more at most, so that a name can still be said."""
ALIKE = 0.08
"""So much above the threshold, views of two concepts are hard to tell apart: of DreamBooth's subjects two pairs are, at
.87 and .90, all others are below .79."""
FEW = 400
"""Views up to which all of an owner's concepts are compared with every region."""
ASKED, NEIGHBOURS = 32, 8
"""Beyond that: regions that are looked up in the index, and vectors that each of them finds."""
CACHED_PHOTOS = 32
SEVERAL, LEARNT_FROM = 2, 100
"""Views beyond which a concept's own say how sure a match is; concepts that a library is learnt from at most."""


class Encoder(Protocol):
    """What a retriever asks of an encoder (`personal.retrieve.encoder`)."""

    @property
    def threshold(self) -> float: ...
    @property
    def dimension(self) -> int: ...
    @property
    def calibration(self) -> Calibration | None: ...
    def embed(self, images: Sequence[Image]) -> Array: ...
    def remember(self, image: Image) -> Array: ...
    def dense(self, image: Image, *, fine: bool = False) -> Array | None: ...
    def project(self, pooled: Array) -> Array: ...
    def common(self, vectors: Array) -> Array: ...
    def tighten(self, dense: Array, boxes: Array) -> Array: ...


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

    def settle(
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
    def vectors(self, owner: str, concept_ids: Iterable[str]) -> dict[str, list[Stored]]: ...


@dataclass(frozen=True)
class Seen:
    """A photo as it was looked at: its regions, and the map they were pooled from, where there is one."""

    regions: Regions
    dense: Array | None


@dataclass(frozen=True)
class Compared:
    """A photo's regions beside the concepts that they were compared with, and what is stored of those.

    `corrected` are the curves of those concepts of which negatives are known, by their place. `raised`, (concepts,), is
    how much more than the threshold is asked of each; `thresholds` are both together.
    """

    seen: Seen
    concepts: tuple[Concept, ...]
    known: Known
    corrected: Mapping[int, Calibration]
    threshold: float
    raised: Array
    scores: Scores

    @property
    def thresholds(self) -> Array:
        return self.threshold + self.raised


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
        cache_size: int = CACHED_PHOTOS,
    ) -> None:
        self._encoder = encoder
        self._index = index
        self._detector = detector
        self._people = people
        self._calibrations: dict[str, Calibration] = {}
        self._views: Recent[Array] = Recent(cache_size)
        self._seen: Recent[Seen] = Recent(2 * cache_size)

    @property
    def threshold(self) -> float:
        """The similarity, -1..1, from which the encoder's makers would say a name."""
        return self._encoder.threshold

    @property
    def alike(self) -> float:
        """The similarity, -1..1, from which views of two concepts are hard to tell apart."""
        return self.threshold + ALIKE

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
                held = self._encoder.remember(open_photo(photo))
                self._views.put(photo.sha256, held)
            found.append(held)
        return found

    def regions(self, photo: Photo) -> Regions:
        """Return a photo's regions as a first look sees them, the whole of it first; a detector is not asked."""
        return self._look_at(photo).regions

    def look(
        self,
        owner: str,
        photo: Photo,
        concepts: Sequence[Concept],
        *,
        threshold: float,
        top_k: int,
        rejected: Set[str] = frozenset(),
    ) -> list[Match]:
        """Find the concepts in a photo, best first: one match each, similarity at least `threshold`, at most `top_k`.

        Regions are shared out by `claim`. The whole photo takes part only where its windows do not tell two concepts
        apart, since it holds what they hold. Of people who are known by the face, faces in the photo have the last
        word. Concepts whose id is in `rejected` are not considered; those of which negatives are known must be more
        like themselves. Raises ImageError, StoreError, and ModelError where the detector fails; so does `rank`.
        """
        if rejected:
            concepts = [concept for concept in concepts if concept.id not in rejected]
        if not concepts:
            return []
        compared = self._compare(owner, photo, concepts, threshold)
        claims, boxes = self._drawn(compared, _shared_out(compared))
        found = [
            replace(self._sure(owner, compared, region, concept, photo), box=box)
            for (region, concept), box in zip(claims, boxes, strict=True)
        ]
        return self._settled(owner, photo, concepts, found, threshold)[:top_k]

    def rank(
        self,
        owner: str,
        photo: Photo,
        concepts: Sequence[Concept],
        box: Box | None = None,
        *,
        without: Set[str] = frozenset(),
        threshold: float | None = None,
    ) -> list[Match]:
        """Rank the concepts by their best similarity over regions, best first; of a large library the nearest alone.

        With `box` that part of the photo alone is compared; `without` are views that do not count. Nobody is left out
        for want of similarity, and regions may be shared. With `threshold` faces have the last word, as in `look`.
        """
        if not concepts:
            return []
        compared = self._compare(owner, photo, concepts, self.threshold, box, without)
        similarity = compared.scores.similarity
        best, highest = similarity.argmax(axis=0), similarity.max(axis=0)
        order = [column for column in np.argsort(-highest, kind="stable") if highest[column] > -np.inf]
        ranked = [_match(compared, int(best[column]), int(column), photo) for column in order]
        return ranked if threshold is None else self._settled(owner, photo, concepts, ranked, threshold, without)

    def calibrate(self, owner: str, concepts: Sequence[Concept]) -> None:
        """Learn from an owner's views what similarity means, where the encoder does not know it."""
        if self._encoder.calibration is None:
            some = [concept.id for concept in concepts if len(concept.views) > 1][:LEARNT_FROM]
            learnt = of_library(list(self._index.vectors(owner, some).values()))
            self._calibrations.pop(owner, None)
            self._calibrations |= {owner: learnt} if learnt else {}

    def named(self, question: str, concepts: Sequence[Concept]) -> list[Match]:
        """Find the concepts named in a question, in the order in which they are named (`personal.retrieve.names`)."""
        return [Match(concepts[i], "named") for i in find_names(question, [concept.name for concept in concepts])]

    def bracketed(self, question: str, concepts: Sequence[Concept]) -> str:
        """Write the names that a question holds as `<name>`."""
        return bracketed(question, [concept.name for concept in concepts])

    def _settled(
        self,
        owner: str,
        photo: Photo,
        concepts: Sequence[Concept],
        found: list[Match],
        threshold: float,
        without: Set[str] = frozenset(),
    ) -> list[Match]:
        """Let the faces in a photo have their say, as strict as `threshold` is beside the encoder's own."""
        if not self._people:
            return found
        strictness = (threshold - self.threshold) / (1 - self.threshold)
        return self._people.settle(owner, photo, concepts, found, strictness, without)

    def _compare(
        self,
        owner: str,
        photo: Photo,
        concepts: Sequence[Concept],
        threshold: float,
        box: Box | None = None,
        without: Set[str] = frozenset(),
    ) -> Compared:
        """Compare the regions of a photo, or one box of it, with the concepts; look closer where that leaves doubts."""
        seen = self._look_at(photo, concepts) if box is None else self._look_at_box(photo, box)
        near = self._near(owner, seen, concepts)
        stored = self._index.vectors(owner, [concept.id for concept in near])
        counted = [[one for one in stored[concept.id] if one.view not in without] for concept in near]
        known = prepare(counted, self._encoder.common)
        curve = self._curve(owner)
        corrected = self._corrected(curve, counted)
        raised = np.full(len(near), CROWD * math.log(max(1.0, len(concepts) / FITTED_WITH)), np.float32)
        for column, own in corrected.items():
            raised[column] += max(0.0, own.middle - curve.middle) if curve else 0.0
        raised = np.minimum(raised, np.float32(ROOM * (1 - threshold)))
        scores = score(seen.regions, known)
        first = Compared(seen, tuple(near), known, corrected, threshold, raised, scores)
        if box is not None or seen.dense is None or not _in_doubt(first):
            return first
        closer = self._look_at(photo, closer=True).regions
        both = Regions(
            seen.regions.boxes + closer.boxes[1:], np.concatenate([seen.regions.vectors, closer.vectors[1:]])
        )
        more = score(Regions(closer.boxes[1:], closer.vectors[1:]), known)
        return replace(first, seen=replace(seen, regions=both), scores=first.scores.joined(more))

    def _sure(self, owner: str, compared: Compared, region: int, column: int, photo: Photo) -> Match:
        """Make a match that tells its probability, by the encoder's or the owner's curve and by what is known of it."""
        match = _match(compared, region, column, photo)
        curve = self._curve(owner)
        if curve is None:
            return match
        if column in compared.corrected:
            curve = compared.corrected[column]
        elif len(compared.known.stored[column]) > SEVERAL:
            curve = of_concept(curve, *own_and_others(compared.known.stored, column))
        return replace(match, probability=curve.probability(match.similarity or 0.0))

    def _curve(self, owner: str) -> Calibration | None:
        """Return the curve that holds for all of an owner's concepts, where there is one."""
        return self._encoder.calibration or self._calibrations.get(owner)

    def _corrected(self, curve: Calibration | None, stored: Sequence[Sequence[Stored]]) -> dict[int, Calibration]:
        """Learn the curves of the concepts of which negatives are known."""
        if curve is None:
            return {}
        columns = [i for i, of_one in enumerate(stored) if any(one.negative for one in of_one)]
        return {i: of_concept(curve, *own_and_others(stored, i)) for i in columns}

    def _near(self, owner: str, seen: Seen, concepts: Sequence[Concept]) -> Sequence[Concept]:
        """Leave out of a large library the concepts of which nothing is near any region."""
        if len(concepts) <= FEW and sum(len(concept.views) for concept in concepts) <= FEW:
            return concepts
        vectors = seen.regions.vectors
        asked = vectors[:: -(-len(vectors) // ASKED)]
        hits = (hit for hits in self._index.query(owner, asked, NEIGHBOURS, negatives=False) for hit in hits)
        near = {hit.concept_id for hit in hits}
        return [concept for concept in concepts if concept.id in near]

    def _drawn(self, compared: Compared, claims: list[tuple[int, int]]) -> tuple[list[tuple[int, int]], list[Box]]:
        """Draw boxes around what is claimed: wider first, then closer, as long as they stay like the concept.

        A part of a thing may look more like its look-alike than the whole does. So a claim falls where its box is a
        part of another's, or that of it, and looks more like that one, unless its own region looked much more so.
        """
        regions, similarity, dense = compared.seen.regions, compared.scores.similarity, compared.seen.dense
        if dense is None or not claims:
            return claims, [regions.boxes[region] for region, _ in claims]
        wide = widen(similarity, regions.boxes, claims)
        boxes = [regions.boxes[region] for region in wide]
        tight = [_as_box(box) for box in self._encoder.tighten(dense, np.asarray(boxes, np.float32))]
        held = Regions(tuple(tight), self._encoder.project(pool_box(dense, *tight)))
        concepts = [concept for _, concept in claims]
        closer = score(held, compared.known).similarity[:, concepts]
        claimed = similarity[wide][:, concepts]
        strong = np.array([similarity[claim] for claim in claims])
        for i in range(len(claims)):
            if closer[i, i] >= claimed[i, i] - SLACK:
                boxes[i], claimed[i] = tight[i], closer[i]
        size = areas(boxes)
        parts = shared(boxes, boxes) > PART * np.minimum.outer(size, size)
        kept = list(range(len(claims)))
        for i in range(len(claims)):
            stronger = parts[i] & (claimed[i] > claimed[i, i]) & (strong > strong[i] - WEAKER)
            if stronger[kept].any():
                kept.remove(i)
        return [claims[i] for i in kept], [boxes[i] for i in kept]

    def _look_at(self, photo: Photo, concepts: Sequence[Concept] = (), *, closer: bool = False) -> Seen:
        categories = [c for c, _ in Counter(c.category for c in concepts).most_common()] if self._detector else []
        key = "\0".join([photo.sha256, "closer" if closer else "", *categories])
        held = self._seen.get(key)
        if held is None:
            image = open_photo(photo)
            found = self._detector.propose(image, categories) if self._detector and categories else []
            held = self._encode(image, [one.box for one in found], closer=closer)
            self._seen.put(key, held)
        return held

    def _encode(self, image: Image, boxes: Sequence[Box], *, closer: bool) -> Seen:
        """Encode a photo's windows and more boxes: pooled from one map where there is one, else crop by crop."""
        dense = self._encoder.dense(image, fine=closer)
        if dense is None:
            places, pieces = crops(image)
            vectors = self._encoder.embed([*pieces, *(cut(image, box) for box in boxes)])
            return Seen(Regions((*places, *boxes), vectors), None)
        pooled = pool(dense, SMALL) if closer else pool(dense)
        vectors = np.concatenate([pooled.vectors, pool_box(dense, *boxes)]) if boxes else pooled.vectors
        regions = Regions((*pooled.boxes, *boxes), self._encoder.project(vectors))
        return Seen(regions, None if closer else dense.astype(np.float16))

    def _look_at_box(self, photo: Photo, box: Box) -> Seen:
        image = open_photo(photo)
        dense = self._encoder.dense(image)
        if dense is None:
            return Seen(Regions((box,), self._encoder.embed([cut(image, box)])), None)
        return Seen(Regions((box,), self._encoder.project(pool_box(dense, box))), None)


def _match(compared: Compared, region: int, column: int, photo: Photo) -> Match:
    similarity = min(1.0, float(compared.scores.similarity[region, column]))  # looking like no stranger adds a little
    box = compared.seen.regions.boxes[region]
    view = compared.scores.view(region, column)
    raised = float(compared.raised[column])
    return Match(compared.concepts[column], "seen", similarity, box, view, photo.sha256, raised=raised, core=box)


def _shared_out(compared: Compared) -> list[tuple[int, int]]:
    """Share the regions out, the whole photo only where its parts tell less than two concepts."""
    similarity = np.where(compared.scores.silent[:, None], -np.inf, compared.scores.similarity)
    if not similarity.size:
        return []
    taken = coverage(compared.seen.regions.boxes) > OVERLAP
    taken[:, 0] = True
    parts = similarity.copy()
    parts[0] = -np.inf
    claims = claim(parts, taken, compared.thresholds)
    return claims if len(claims) > 1 else claim(similarity, taken, compared.thresholds)


def _in_doubt(compared: Compared) -> bool:
    """Tell whether a concept that got no region is nearly above its threshold somewhere."""
    claimed = {concept for _, concept in _shared_out(compared)}
    best = compared.scores.similarity.max(axis=0, initial=-np.inf)
    near = best > compared.thresholds - DOUBT
    return any(near[concept] for concept in range(len(best)) if concept not in claimed)


def _as_box(sides: Array) -> Box:
    x0, y0, x1, y1 = (float(side) for side in sides)
    return x0, y0, x1, y1


def claim(similarity: Array, taken: NDArray[np.bool_], threshold: float | Array) -> list[tuple[int, int]]:
    """Share regions out among concepts: (region, concept) pairs, best first, one for each concept.

    `similarity` is (regions, concepts), -inf where unknown; `taken[r]` marks the regions that a claim on `r` takes. The
    most similar pair goes first, as long as it reaches `threshold`, which is one for all or (concepts,). A region
    speaks for its most similar concept only, so that a look-alike gains nothing from it.
    """
    best = similarity.max(axis=1, keepdims=True)
    left = np.where((similarity >= best) & (similarity >= threshold), similarity, -np.inf)
    claims: list[tuple[int, int]] = []
    while left.max() > -np.inf:
        region, concept = divmod(int(left.argmax()), left.shape[1])
        claims.append((region, concept))
        left[:, concept] = -np.inf
        left[taken[region]] = -np.inf
    return claims


def widen(similarity: Array, boxes: Sequence[Box], claims: Sequence[tuple[int, int]]) -> list[int]:
    """Find the largest region around each claimed one that is nearly as like the concept, and holds no other claim.

    What is most like a dog is its face, but the dog is meant. `similarity` and `claims` are those of `claim`, `boxes`
    the regions, the whole photo first: that is no such region.
    """
    own, size = [boxes[region] for region, _ in claims], areas(boxes)
    around = shared(own, boxes) >= AROUND * areas(own)[:, None]
    corners, middles = np.array(boxes), np.array([[(x0 + x1) / 2, (y0 + y1) / 2] for x0, y0, x1, y1 in own])[:, None]
    holds = ((corners[:, :2] < middles) & (middles < corners[:, 2:])).all(axis=2)
    found = []
    for i, (region, concept) in enumerate(claims):
        like = similarity[:, concept]
        fit = around[i] & (like >= like[region] - WIDER) & (like >= similarity.max(axis=1))
        fit &= ~np.delete(holds, i, axis=0).any(axis=0)
        fit[0], fit[region] = False, True
        found.append(int(max(np.flatnonzero(fit), key=lambda one: (size[one], like[one]))))
    return found

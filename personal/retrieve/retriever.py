"""Photos and questions → Matches: regions of the photo against the owner's views, and names in the question.

Is given the encoder and the index. Holds the regions of the photos seen last, so that looking, ranking and asking
about one photo encode it once.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from personal.concepts import WHOLE, Box, Concept, Hit, Match, Photo
from personal.images import open_photo
from personal.retrieve.names import bracketed, find_names
from personal.retrieve.recent import Recent
from personal.retrieve.regions import Regions, coverage, crops, cut, pool, pool_box

if TYPE_CHECKING:
    from PIL.Image import Image

Array = NDArray[np.float32]

OVERLAP = 0.3
"""Regions that share more than this (intersection over union) with a claimed one cannot be claimed by another."""
NEIGHBOURS = 16
"""Views that are asked of the index for a region: its best concept is all that counts, the rest is slack."""
CACHED_PHOTOS = 32


class Encoder(Protocol):
    """What a retriever asks of an encoder (`personal.retrieve.encoder`)."""

    @property
    def threshold(self) -> float: ...
    @property
    def dimension(self) -> int: ...
    def embed(self, images: Sequence[Image]) -> Array: ...
    def dense(self, image: Image) -> Array | None: ...


class Index(Protocol):
    """What a retriever asks of the index (`personal.remember.index`)."""

    def query(self, owner: str, vectors: Array, limit: int) -> list[list[Hit]]: ...


class Retriever:
    """Which concepts a photo or question concerns.

    `cache_size` is how many photos' vectors are held at most; `clear` drops them.
    """

    def __init__(self, encoder: Encoder, index: Index, *, cache_size: int = CACHED_PHOTOS) -> None:
        self._encoder = encoder
        self._index = index
        self._views: Recent[Array] = Recent(cache_size)
        self._regions: Recent[Regions] = Recent(cache_size)

    @property
    def threshold(self) -> float:
        """The similarity, -1..1, from which the encoder's makers would say a name."""
        return self._encoder.threshold

    @property
    def cache_size(self) -> int:
        """How many photos' vectors are held at most."""
        return self._regions.size

    @cache_size.setter
    def cache_size(self, size: int) -> None:
        self._views.size = self._regions.size = size

    def clear(self) -> None:
        """Drop everything held of photos seen."""
        self._views.clear()
        self._regions.clear()

    def embed(self, photos: Sequence[Photo]) -> Array:
        """Return the vectors (n, dimension) of whole photos, as the index stores them for views."""
        if not photos:
            return np.zeros((0, self._encoder.dimension), np.float32)
        held = {photo.sha256: self._views.get(photo.sha256) for photo in photos}
        new = {photo.sha256: photo for photo in photos if held[photo.sha256] is None}
        for sha256, vector in zip(new, self._encoder.embed([open_photo(p) for p in new.values()]), strict=True):
            self._views.put(sha256, vector)
            held[sha256] = vector
        return np.stack([vector for photo in photos if (vector := held[photo.sha256]) is not None])

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
        apart, since it holds what they hold. Concepts whose id is in `rejected` are not considered.
        """
        turned_down = sum(len(concept.views) for concept in concepts if concept.id in rejected)
        concepts = [concept for concept in concepts if concept.id not in rejected]
        if not concepts:
            return []
        regions = self._look_at(photo)
        similarity, views = self._compare(owner, regions.vectors, concepts, NEIGHBOURS + turned_down)
        taken = coverage(regions.boxes) > OVERLAP
        taken[:, 0] = True
        parts = similarity.copy()
        parts[0] = -np.inf
        claims = claim(parts, taken, threshold)
        if len(claims) < 2:
            claims = claim(similarity, taken, threshold)
        return [
            Match(concepts[i], "seen", float(similarity[r, i]), regions.boxes[r], views[r][i], photo.sha256)
            for r, i in claims[:top_k]
        ]

    def rank(self, owner: str, photo: Photo, concepts: Sequence[Concept], box: Box | None = None) -> list[Match]:
        """Rank every concept that has a view in the index by its best similarity over views and regions, best first.

        With `box` that part of the photo alone is compared. There is no threshold, and regions may be shared.
        """
        if not concepts:
            return []
        regions = self._look_at(photo) if box is None else self._look_at_box(photo, box)
        every = sum(len(concept.views) for concept in concepts)
        similarity, views = self._compare(owner, regions.vectors, concepts, every)
        best = similarity.argmax(axis=0)
        matches = [
            Match(concept, "seen", float(similarity[row, column]), regions.boxes[row], views[row][column], photo.sha256)
            for column, (concept, row) in enumerate(zip(concepts, best, strict=True))
            if similarity[row, column] > -np.inf
        ]
        return sorted(matches, key=lambda match: -(match.similarity or 0.0))

    def named(self, question: str, concepts: Sequence[Concept]) -> list[Match]:
        """Find the concepts named in a question, in the order in which they are named (`personal.retrieve.names`)."""
        return [Match(concepts[i], "named") for i in find_names(question, [concept.name for concept in concepts])]

    def bracketed(self, question: str, concepts: Sequence[Concept]) -> str:
        """Write the names that a question holds as `<name>`."""
        return bracketed(question, [concept.name for concept in concepts])

    def _look_at(self, photo: Photo) -> Regions:
        held = self._regions.get(photo.sha256)
        if held is None:
            image = open_photo(photo)
            dense = self._encoder.dense(image)
            if dense is not None:
                held = pool(dense)
                self._views.put(photo.sha256, held.vectors[0])
            else:
                boxes, pieces = crops(image)
                held = Regions(boxes, self._encoder.embed(pieces))
            self._regions.put(photo.sha256, held)
        return held

    def _look_at_box(self, photo: Photo, box: Box) -> Regions:
        if box == WHOLE:
            return Regions((WHOLE,), self.embed([photo]))
        image = open_photo(photo)
        dense = self._encoder.dense(image)
        vectors = self._encoder.embed([cut(image, box)]) if dense is None else pool_box(dense, box)
        return Regions((box,), vectors)

    def _compare(
        self, owner: str, vectors: Array, concepts: Sequence[Concept], limit: int
    ) -> tuple[Array, list[list[str]]]:
        """Return for each region and concept the best similarity over the concept's views, and which view it was.

        Where no view of a concept is among the `limit` nearest of a region, the similarity is -inf.
        """
        place = {concept.id: column for column, concept in enumerate(concepts)}
        similarity = np.full((len(vectors), len(concepts)), -np.inf, np.float32)
        views = [[""] * len(concepts) for _ in vectors]
        for row, hits in enumerate(self._index.query(owner, vectors, limit)):
            for hit in hits:
                column = place.get(hit.concept_id)
                if column is not None and hit.similarity > similarity[row, column]:
                    similarity[row, column] = hit.similarity
                    views[row][column] = hit.view
        return similarity, views


def claim(similarity: Array, taken: NDArray[np.bool_], threshold: float) -> list[tuple[int, int]]:
    """Share regions out among concepts: (region, concept) pairs, best first, one for each concept.

    `similarity` is (regions, concepts), -inf where unknown; `taken[r]` marks the regions that a claim on `r` takes. The
    most similar pair goes first, as long as it reaches `threshold`. A region speaks for its most similar concept only,
    so that a look-alike gains nothing from it.
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

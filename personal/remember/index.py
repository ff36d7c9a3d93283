"""Index: per picture of a concept its vectors, rebuilt from the library at any time. What both kinds of it share.

`personal.remember.local_index` keeps it in a folder, `personal.remember.server_index` on a Chroma server. It holds
nothing that a person wrote. Similarity is cosine.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from heapq import nlargest
from typing import Any

import numpy as np
import numpy.typing as npt

from personal.concepts import Entry, Hit, IndexedView, Key
from personal.remember.confusable_pairs import MAX_PAIRS, ConfusablePair, confusable_pairs

Vector = npt.NDArray[np.float32]

SCHEMA = 4
"""Version of the form in which vectors are stored; those of another are rebuilt from the photos."""

EXACT = 6000
"""Vectors up to which confusable pairs are found by comparing all with all, in about a second."""
NEIGHBOURS = 8
"""Vectors of other concepts that are looked up for each view of a larger index."""
CONCEPTS = 20
"""Concepts that are looked up together."""


class Index(ABC):
    """Vectors of one encoder and `kind`, for each owner apart. Every method raises StoreError where storing fails."""

    def __init__(self, encoder_id: str, dimension: int, kind: str) -> None:
        self.encoder_id = encoder_id
        self.dimension = dimension
        self.kind = kind

    @abstractmethod
    def close(self) -> None:
        """Let go of the store. Closing twice is harmless."""

    @abstractmethod
    def views(self, owner: str) -> set[Key]:
        """Return the pictures that are indexed."""

    @abstractmethod
    def count(self, owner: str) -> int:
        """Return the number of vectors."""

    @abstractmethod
    def vectors(self, owner: str, concept_ids: Iterable[str]) -> dict[str, list[IndexedView]]:
        """Return the pictures of some concepts, views first; an empty list for one without any."""

    @abstractmethod
    def query(self, owner: str, vectors: Vector, limit: int, *, negatives: bool = True) -> list[list[Hit]]:
        """Return for each of `vectors`, (n, dimension), the `limit` most similar vectors, best first.

        A picture comes as often as vectors of it are near. Without `negatives` only vectors of views come.
        """

    @abstractmethod
    def put(self, owner: str, entries: Sequence[Entry]) -> None:
        """Index pictures; all vectors of one that is there are replaced. An array (dimension,) counts as one vector."""

    @abstractmethod
    def drop(self, owner: str, keys: Iterable[Key]) -> None:
        """Delete pictures from the index; those that are not there are skipped."""

    @abstractmethod
    def erase(self, owner: str) -> None:
        """Delete everything of an owner and this kind, of every encoder, down to the bytes on disk."""

    @abstractmethod
    def drop_stale(self, owner: str) -> None:
        """Delete what another encoder or an older schema left of an owner."""

    @abstractmethod
    def ping(self) -> None:
        """Return if the store is there. Raises StoreError if it is not."""

    @abstractmethod
    def reset(self) -> None:
        """Start anew with an empty index, for all owners."""

    def look_alikes(self, owner: str, concept_ids: Sequence[str], at_least: float) -> list[ConfusablePair]:
        """Return the pairs of these concepts whose most similar views are `at_least` that similar, best first.

        At most MAX_PAIRS. Beyond EXACT vectors the first vector of each view is looked up: approximate, and slow, about
        a millisecond or two a view.
        """
        if self.count(owner) <= EXACT:
            return confusable_pairs(self.vectors(owner, concept_ids), at_least)
        known, found = set(concept_ids), dict[tuple[str, str], ConfusablePair]()
        for start in range(0, len(concept_ids), CONCEPTS):
            for pair in self._similar_pairs(owner, concept_ids[start : start + CONCEPTS]):
                similarity, (one, _), (other, _) = pair
                if similarity >= at_least and {one, other} <= known and pair > found.get((one, other), (-2.0,)):
                    found[one, other] = pair
        return nlargest(MAX_PAIRS, found.values())

    def _similar_pairs(self, owner: str, concept_ids: Sequence[str]) -> Iterator[ConfusablePair]:
        """Yield each view of these concepts with each view of another concept that is near it."""
        stored = self.vectors(owner, concept_ids)
        views = [(concept_id, one) for concept_id, every in stored.items() for one in every if not one.negative]
        if not views:
            return
        limit = max(sum(len(one.vectors) for one in every) for every in stored.values()) + NEIGHBOURS
        nearest = self.query(owner, np.stack([one.vectors[0] for _, one in views]), limit)
        for (concept_id, view), hits in zip(views, nearest, strict=True):
            for hit in hits:
                if not hit.negative and hit.concept_id != concept_id:
                    one, other = sorted([(concept_id, view.view), (hit.concept_id, hit.view)])
                    yield hit.similarity, one, other

    def _pictures(self, entries: Sequence[Entry]) -> Mapping[Key, Vector]:
        """Return the checked vectors of entries; of one that comes twice the last."""
        pictures = {(one.concept_id, one.view, one.negative): self._checked(one.vectors) for one in entries}
        if not all(map(len, pictures.values())):
            raise ValueError("expected at least one vector of each picture")
        return pictures

    def _checked(self, vectors: Any) -> Vector:
        array: Vector = np.atleast_2d(np.asarray(vectors, dtype=np.float32))
        if array.ndim != 2 or array.shape[-1] != self.dimension or not np.isfinite(array).all():
            raise ValueError(f"expected finite vectors of {self.dimension} dimensions, got {array.shape}")
        return array


def digest(*parts: object) -> str:
    """Return 32 hex digits for some texts and numbers: names that tell nobody what they stand for."""
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:32]

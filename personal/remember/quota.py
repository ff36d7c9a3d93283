"""Quota: how much each owner may keep, where others can reach the app. The machine's owner may keep what fits."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from personal.concepts import Concept
from personal.errors import ConceptError
from personal.owners import LOCAL


@dataclass(frozen=True, slots=True)
class Quota:
    """The most that an owner may have: concepts, photos of them (negative examples included), bytes. 0: no limit."""

    concepts: int = 0
    photos: int = 0
    bytes: int = 0

    def check(
        self, owner: str, concepts: Iterable[Concept], before: Concept | None, after: Concept, used: Callable[[], int]
    ) -> None:
        """Raise ConceptError where `after`, in place of `before` or new, would be too much; less is never refused.

        `used` returns the bytes of the owner's concepts with what comes.
        """
        if owner == LOCAL:
            return
        kept = list(concepts)
        if self.concepts and before is None and len(kept) >= self.concepts:
            raise ConceptError(f"You have {len(kept)} concepts, the most here. Delete one to add another.")
        grows = photos(after) - (photos(before) if before else 0)
        if grows <= 0:
            return
        there = sum(map(photos, kept))
        if self.photos and there + grows > self.photos:
            raise ConceptError(
                f"Your concepts have {there} photos, and {self.photos} are the most here. Remove some, or add fewer."
            )
        if self.bytes and used() > self.bytes:
            raise ConceptError(
                f"Your photos would take more than {size(self.bytes)}, the most here. Remove some first."
            )


def size(count: int) -> str:
    """Return bytes in words."""
    return f"{count / 2**20:,.0f} MB" if count >= 2**20 else f"{count / 2**10:,.0f} KB"


def photos(concept: Concept) -> int:
    """Return how many photos a concept keeps."""
    return len(concept.views) + len(concept.negatives)

"""Which of an owner's concepts a photo or a question concerns; no language model is asked."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any

from personal.assistant.memory import Memory
from personal.concepts import Box, Concept, Look, LookAlike, Match, Photo, PhotoFindings, Preferences

log = logging.getLogger(__name__)


class Recognition(Memory):
    """A memory that is searched. `threshold` and `top_k` are defaults for owners who never set their own."""

    def __init__(self, *parts: Any, threshold: float | None = None, top_k: int = 4, **more: Any) -> None:
        super().__init__(*parts, **more)
        self.threshold = threshold
        """The similarity from which a name is said, if the settings give one: it takes the place of confidence."""
        self._top_k = top_k

    @property
    def default_confidence(self) -> float:
        """The probability from which a name is said unless the owner wishes otherwise."""
        return self.retriever.confidence

    def preferences(self, owner: str) -> Preferences:
        """Return when a name is said to an owner; what they never set comes from the settings and the retriever.

        A threshold is there if the owner or the settings have set one, and the owner wishes no confidence.
        """
        wishes = self.library.preferences(owner)
        threshold = self.threshold if wishes.threshold is None and wishes.confidence is None else wishes.threshold
        return Preferences(threshold, wishes.top_k or self._top_k, wishes.confidence or self.default_confidence)

    def look(
        self,
        owner: str,
        photo: Photo | None,
        question: str = "",
        *,
        threshold: float | None = None,
        top_k: int | None = None,
        names: bool = True,
        before: PhotoFindings | None = None,
    ) -> Look:
        """Find which of the owner's concepts a photo and a question concern.

        With `threshold` (-1..1) every match from that similarity on is sure. Without, and for `top_k` (from 1), the
        owner's preferences count. `before` are earlier findings of the photo, whose rejections and verdicts hold. What
        was seen comes first, best first, then what was only named. Raises ImageError, StoreError, and ModelError if a
        detector fails.
        """
        began = time.perf_counter()
        self.indexing.keep_up(owner)
        concepts = self.library.concepts(owner)
        photos: tuple[PhotoFindings, ...] = ()
        if photo is not None:
            photos = (self.search(owner, before or PhotoFindings(photo), concepts, threshold, top_k),)
        seen = {match.concept.id for found in photos for match in found.matches}
        named = self.retriever.named(question, concepts) if names and question else []
        named = [match for match in named if match.concept.id not in seen]
        look = Look(photos, tuple(named), time.perf_counter() - began)
        log.info("Looked.", extra={"look_s": round(look.seconds, 3), "matches": len(look.matches)})
        return look

    def search(
        self,
        owner: str,
        before: PhotoFindings,
        concepts: Sequence[Concept],
        threshold: float | None = None,
        top_k: int | None = None,
        confidence: float | None = None,
    ) -> PhotoFindings:
        """Search the photo of earlier findings for concepts. The options are those of `look`.

        `confidence` (0..1) takes the place of the owner's wishes, also of their threshold.
        """
        wishes = self.preferences(owner)
        found: Sequence[Match] = ()
        if concepts:
            found = self.retriever.look(
                owner,
                before.photo,
                concepts,
                top_k=top_k or wishes.top_k or self._top_k,
                threshold=wishes.threshold if threshold is None and confidence is None else threshold,
                confidence=confidence or wishes.confidence,
                rejected=before.rejected,
            )
        return before.found_again(found)

    def rank(self, owner: str, photo: Photo, box: Box | None = None) -> list[Match]:
        """Rank all concepts by their similarity to a photo (or to one box of it), whatever the threshold.

        Raises as `look` does.
        """
        self.indexing.keep_up(owner)
        return self.retriever.rank(owner, photo, self.library.concepts(owner), box)

    def look_alikes(self, owner: str) -> list[LookAlike]:
        """List the pairs of an owner's concepts that are hard to tell apart, the worst first. Raises StoreError."""
        self.indexing.keep_up(owner)
        concepts = {concept.id: concept for concept in self.library.concepts(owner)}
        pairs = self.index.look_alikes(owner, list(concepts), self.retriever.confusable_threshold)
        return [
            LookAlike(concepts[one], concepts[other], one_view, other_view, similarity)
            for similarity, (one, one_view), (other, other_view) in pairs
        ]

"""Which of an owner's concepts are hard to tell apart, found once for their present photos."""

from __future__ import annotations

from dataclasses import dataclass

from personal.concepts import Concept, View
from personal.ui import render
from personal.ui.context import AppContext
from personal.ui.sessions import Session

SHOWN = 3
"""Confusable concepts that are shown beside an open one, at most."""


@dataclass(frozen=True)
class Pairs:
    """The confusable pairs among an owner's `views`, by concept id. No words that anybody wrote are kept here.

    `pairs` are a concept's id, the other's, and their most similar views, most similar first, each pair both ways.
    """

    views: dict[str, tuple[View, ...]]
    pairs: list[tuple[str, str, str, str]]


class ConfusablePairs:
    """The pairs of every owner who is visiting."""

    def __init__(self, context: AppContext) -> None:
        self._context = context
        self._of_owner: dict[str, Pairs] = {}

    def update(self, session: Session) -> bool:
        """Find the pairs again if the owner's photos have changed, and return whether they had."""
        owner, concepts = session.owner, self._context.assistant.concepts(session.owner)
        views = {concept.id: concept.views for concept in concepts}
        if owner in self._of_owner and self._of_owner[owner].views == views:
            return False
        found = self._context.assistant.look_alikes(owner)
        kept = {known: pairs for known, pairs in self._of_owner.items() if self._context.sessions.has(known)}
        both = [(p.first.id, p.second.id, p.first_view, p.second_view) for p in found]
        both = [way for a, b, v, w in both for way in ((a, b, v, w), (b, a, w, v))]
        self._of_owner = {**kept, owner: Pairs(views, both)}
        return True

    def of(self, owner: str, concept: Concept) -> list[tuple[Concept, str, str]]:
        """List what a concept was last found hard to tell from, with the most similar view of each, worst first."""
        if owner not in self._of_owner:
            return []
        known = {c.id: c for c in self._context.assistant.concepts(owner)}
        pairs = self._of_owner[owner].pairs
        return [(known[b], view, other) for a, b, view, other in pairs if a == concept.id and b in known]

    def draw(self, session: Session, concept: Concept) -> str:
        """Return the pairs of an open concept as HTML."""
        picture = self._context.picture
        return render.look_alikes(
            concept,
            [
                (other, picture(session, concept.id, mine), picture(session, other.id, theirs))
                for other, mine, theirs in self.of(session.owner, concept)[:SHOWN]
            ],
        )

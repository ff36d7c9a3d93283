"""Leave-one-out over a user's own concepts: which of them are confused?

Every view of a concept that has another one is asked about as if it were new, that view itself not counting. Nothing is
written: the library and its index stay as they are.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Literal

from personal.concepts import Concept, Match, Photo, Progress
from personal.errors import PersonalError

if TYPE_CHECKING:
    from personal.assistant import Assistant

Outcome = Literal["right", "wrong", "silent"]
OUTCOMES: tuple[Outcome, ...] = ("right", "wrong", "silent")
"""What name a photo may get: its own, another's, none."""


@dataclass(frozen=True)
class Tried:
    """A view that was asked about: the concept whose it is, what ranked first, and that concept's own rank.

    `own` is None where nothing is left of the concept to compare with.
    """

    concept: Concept
    photo: Photo
    best: Match
    own: Match | None

    @property
    def outcome(self) -> Outcome:
        """Tell whether the right name would be said, a wrong one, or none."""
        if not self.best.said:
            return "silent"
        return "right" if self.best.concept.id == self.concept.id else "wrong"


@dataclass(frozen=True)
class Checked:
    """What came of a check: every view that was tried, and who needs another photo to be checked at all.

    `total` is how many views there were to try: more than `tried` where it was stopped, or where files are damaged.
    """

    tried: tuple[Tried, ...]
    single: tuple[Concept, ...]
    total: int
    stopped: bool = False

    def count(self, outcome: Outcome) -> int:
        """Count the views with one outcome."""
        return sum(one.outcome == outcome for one in self.tried)

    @property
    def confusion(self) -> Counter[tuple[str, str | None]]:
        """Count (id of the concept, id of the one that was said or None) over all views."""
        return Counter((one.concept.id, None if one.outcome == "silent" else one.best.concept.id) for one in self.tried)

    @property
    def mistaken(self) -> list[tuple[Tried, int]]:
        """List who was taken for whom or not recognised: the surest view of each pair, and how many there are.

        Wrong names come first, the most frequent and then the surest; views that were not recognised last.
        """
        pairs: dict[tuple[str, str | None], list[Tried]] = {}
        for one in self.tried:
            if one.outcome != "right":
                said = one.best.concept.id if one.outcome == "wrong" else None
                pairs.setdefault((one.concept.id, said), []).append(one)
        found = [(max(some, key=_surely), len(some)) for some in pairs.values()]
        return sorted(found, key=lambda pair: (pair[0].outcome != "wrong", -pair[1], -_surely(pair[0])))


def check(assistant: Assistant, owner: str, *, stop: threading.Event | None = None) -> Iterator[Progress | Checked]:
    """Try an owner's views one by one, as sure as they wish; the last thing yielded is what came of it.

    The first views of all concepts come first, so that a check which is stopped tells something of each. A view that
    cannot be read, or that was forgotten meanwhile, is passed over.
    """
    wishes = assistant.preferences(owner)
    concepts = assistant.concepts(owner)
    several = [concept for concept in concepts if len(concept.views) > 1]
    rounds = zip_longest(*([(concept, view.sha256) for view in concept.views] for concept in several))
    views = [one for some in rounds for one in some if one is not None]
    tried: list[Tried] = []
    halted = False
    for done, (concept, view) in enumerate(views):
        halted = stop is not None and stop.is_set()
        if halted:
            break
        yield Progress("Looking at your photos, each as if it were new", done, len(views))
        try:
            photo = assistant.library.photo(owner, concept.id, view)
            ranked = assistant.retriever.rank(
                owner,
                photo,
                assistant.concepts(owner),
                without={view},
                threshold=wishes.threshold,
                confidence=wishes.confidence,
                faces=True,
            )
        except PersonalError:  # damaged, or forgotten meanwhile: the Concepts tab and `doctor` tell of it
            continue
        if ranked:
            own = next((match for match in ranked if match.concept.id == concept.id), None)
            tried.append(Tried(concept, photo, ranked[0], own))
    single = tuple(concept for concept in concepts if len(concept.views) == 1)
    yield Checked(tuple(tried), single, len(views), halted)


def _surely(one: Tried) -> float:
    return one.best.similarity or 0.0

"""Leave-one-out test of a user's own concepts: which of them are confused?

Every view of a concept with several is matched as if it were new, without that view in the gallery. Nothing is written.
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
"""Whether a view gets its own concept's name, another's, or none."""


@dataclass(frozen=True)
class CheckedView:
    """A view of a concept with the best match and the match of its own concept, None if that has no other view."""

    concept: Concept
    photo: Photo
    best: Match
    own: Match | None

    @property
    def outcome(self) -> Outcome:
        """Whether the right name would be said, a wrong one, or none."""
        if not self.best.said:
            return "silent"
        return "right" if self.best.concept.id == self.concept.id else "wrong"


@dataclass(frozen=True)
class CheckResult:
    """The checked views, and the concepts with a `single` view, which cannot be checked.

    `total` counts the views to check: more than were checked if it was stopped or files are damaged.
    """

    views: tuple[CheckedView, ...]
    single: tuple[Concept, ...]
    total: int
    stopped: bool = False

    def count(self, outcome: Outcome) -> int:
        """Count the views with an outcome."""
        return sum(one.outcome == outcome for one in self.views)

    @property
    def confusion(self) -> Counter[tuple[str, str | None]]:
        """Count (id of the concept, id of the one that was said or None) over all views."""
        return Counter((one.concept.id, None if one.outcome == "silent" else one.best.concept.id) for one in self.views)

    @property
    def mistakes(self) -> list[tuple[CheckedView, int]]:
        """Confused and unrecognised concepts: the view of highest similarity for each pair, and how many there are.

        Wrong names come first, by number and similarity, unrecognised views last.
        """
        pairs: dict[tuple[str, str | None], list[CheckedView]] = {}
        for one in self.views:
            if one.outcome != "right":
                said = one.best.concept.id if one.outcome == "wrong" else None
                pairs.setdefault((one.concept.id, said), []).append(one)
        found = [(max(some, key=_similarity), len(some)) for some in pairs.values()]
        return sorted(found, key=lambda pair: (pair[0].outcome != "wrong", -pair[1], -_similarity(pair[0])))


def check(assistant: Assistant, owner: str, *, stop: threading.Event | None = None) -> Iterator[Progress | CheckResult]:
    """Check an owner's views one by one with their preferences; the last thing yielded is the result.

    The first views of all concepts come first, so that a stopped check tells something about each. Views that cannot be
    read or were forgotten meanwhile are skipped.
    """
    preferences = assistant.preferences(owner)
    concepts = assistant.concepts(owner)
    several = [concept for concept in concepts if len(concept.views) > 1]
    rounds = zip_longest(*([(concept, view.sha256) for view in concept.views] for concept in several))
    views = [one for some in rounds for one in some if one is not None]
    checked: list[CheckedView] = []
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
                threshold=preferences.threshold,
                confidence=preferences.confidence,
                faces=True,
            )
        except PersonalError:  # damaged, or forgotten meanwhile: the Concepts tab and `doctor` tell of it
            continue
        if ranked:
            own = next((match for match in ranked if match.concept.id == concept.id), None)
            checked.append(CheckedView(concept, photo, ranked[0], own))
    single = tuple(concept for concept in concepts if len(concept.views) == 1)
    yield CheckResult(tuple(checked), single, len(views), halted)


def _similarity(one: CheckedView) -> float:
    return one.best.similarity or 0.0

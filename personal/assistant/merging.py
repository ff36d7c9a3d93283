"""Two concepts that are one: what the kept one becomes, and what takes that back. Pure functions over values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from personal.concepts import Concept, ConceptEdit, Photo, View


@dataclass(frozen=True, slots=True)
class Merge:
    """A merge as `unmerge` needs it: the kept concept before and after, and the token that restores the other.

    `lost` are negatives of the kept one that the merge dropped.
    """

    before: Concept
    after: Concept
    other: Concept
    token: str
    lost: tuple[Photo, ...] = ()


def joined(kept: Concept, other: Concept, read: Callable[[View], Photo]) -> ConceptEdit:
    """Return the edit that gives a concept all that another has; `read` reads a picture of the other.

    The kept one's name and cover stay, and its category if it has one. A negative of one that is a view of the other
    is a view.
    """
    views = {view.sha256 for view in (*kept.views, *other.views)}
    known = {view.sha256 for view in (*kept.views, *kept.negatives)}
    notes = other.info.replace(other.tag, kept.tag)
    return ConceptEdit(
        category=kept.category or other.category,
        info=kept.info if notes in kept.info else "\n".join(filter(None, (kept.info, notes))),
        add=[read(view) for view in other.views if view not in kept.views],
        add_negatives=[read(view) for view in other.negatives if view.sha256 not in views | known],
        attributes=(*kept.attributes, *other.attributes),
        by_face=True if other.by_face else None,
    )


def parted(merge: Merge, now: Concept) -> ConceptEdit:
    """Return the edit that takes a merge back; `now` is the kept concept as it is."""
    before, after = merge.before, merge.after
    own = {view.sha256 for view in (*before.views, *before.negatives)}
    gained = {view.sha256 for view in (*after.views, *after.negatives)} - own
    gained |= {view.sha256 for view in after.views if view in before.negatives}
    return ConceptEdit(
        category=before.category,
        info=before.info,
        remove=[view.sha256 for view in now.views if view.sha256 in gained],
        add_negatives=merge.lost,
        remove_negatives=[view.sha256 for view in now.negatives if view.sha256 in gained],
        attributes=before.attributes,
        by_face=before.by_face,
    )

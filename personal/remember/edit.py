"""Edit: what a concept becomes by a change, computed from values alone; every refusal is a ConceptError."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from personal.concepts import Concept, ConceptEdit, Photo, View
from personal.errors import ConceptError
from personal.remember.names import clean_attributes, clean_category, clean_info, clean_name
from personal.remember.record import MAX_NEGATIVES, MAX_VIEWS


def edited(old: Concept, edit: ConceptEdit) -> Concept:
    """Return a concept with what is given changed, and the rest as it was. Views are removed before others are added.

    A negative that becomes a view is a negative no more; a view does not become a negative. Of more than MAX_NEGATIVES
    negatives the oldest are dropped.
    """
    views = _changed(old.views, edit.add, edit.remove)
    check_count(views)
    hashes = [view.sha256 for view in views]
    if not set(hashes).isdisjoint(photo.sha256 for photo in edit.add_negatives):
        raise ConceptError(f"This is one of the photos of {old.tag} itself. Remove it there first.")
    negatives = _changed(old.negatives, edit.add_negatives, edit.remove_negatives)
    if edit.avatar is not None and edit.avatar not in hashes:
        raise ConceptError("The avatar must be one of the concept's photos. Choose another.")
    return replace(
        old,
        name=old.name if edit.name is None else clean_name(edit.name),
        category=old.category if edit.category is None else clean_category(edit.category),
        info=old.info if edit.info is None else clean_info(edit.info),
        views=views,
        avatar=edit.avatar or (old.avatar if old.avatar in hashes else hashes[0]),
        negatives=tuple(view for view in negatives if view.sha256 not in hashes)[-MAX_NEGATIVES:],
        attributes=old.attributes if edit.attributes is None else clean_attributes(edit.attributes),
        by_face=old.by_face if edit.by_face is None else edit.by_face,
    )


def views_of(photos: Sequence[Photo]) -> tuple[View, ...]:
    """Return the views that photos make; the same photo twice is one."""
    return tuple({photo.sha256: View(photo.sha256, photo.width, photo.height) for photo in photos}.values())


def check_count(views: Sequence[View]) -> None:
    """Raise ConceptError where a concept would have no view, or more than MAX_VIEWS."""
    if not views:
        raise ConceptError("A concept needs at least one photo. To remove the last one, forget the concept instead.")
    if len(views) > MAX_VIEWS:
        raise ConceptError(f"A concept has at most {MAX_VIEWS} photos, this would be {len(views)}. Leave some out.")


def _changed(old: Sequence[View], add: Sequence[Photo], remove: Sequence[str]) -> tuple[View, ...]:
    """Remove pictures, then add others; those that are there keep their place."""
    if not {view.sha256 for view in old}.issuperset(remove):
        raise ConceptError("A photo to be removed is no longer there. Reload to see what is.")
    kept = tuple(view for view in old if view.sha256 not in set(remove))
    return kept + tuple(view for view in views_of(add) if view not in kept)

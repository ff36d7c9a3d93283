"""Corrections of what was recognised in a photo: learn a view, remember what is not, and take either back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from personal.concepts import WHOLE, Box, Concept, ConceptEdit, Photo, View
from personal.conversations import Conversation
from personal.crops import crop
from personal.ui import render
from personal.ui.chat.photos import Photos
from personal.ui.context import AppContext
from personal.ui.sessions import Session

CROP_MARGIN = 0.06
"""Margin around a box that becomes a view, in parts of its width and height."""


class Corrections:
    """Each changes the library and the conversation, sets the session's undo, and returns what to say."""

    def __init__(self, context: AppContext, photos: Photos) -> None:
        self._context = context
        self._photos = photos

    def disown(self, session: Session, talk: Conversation, photo: Photo, concept: Concept) -> str:
        """Reject a concept in a photo of a conversation, and remember that what its box shows is something else.

        Returns the toast, "" if there is nothing to take back. Raises PersonalError if nothing can be learnt from it.
        """
        match = next((m for m in talk.of(photo).matches if m.concept.id == concept.id), None)
        talk.reject(photo, concept.id)
        if match is None or match.box is None:
            return ""
        if match.by_face:  # nothing is learnt of faces that are not one's own
            session.undo = lambda: self._own(session, talk, photo, concept, concept)
            return render.toast(f"In this conversation, this is not {concept.name}.", undo=True)
        held = self._held(session, concept, concept.negatives)
        after = self._context.assistant.disown(session.owner, concept.id, photo, match.evidence_box or match.box)
        session.undo = lambda: self._own(session, talk, photo, concept, after, held)
        return render.toast(f"Got it – that's not {concept.name}.", undo=True)

    def _own(
        self,
        session: Session,
        talk: Conversation,
        photo: Photo,
        before: Concept,
        after: Concept,
        held: Sequence[Photo] = (),
    ) -> str:
        """Take "Not …" back: the negative goes, and one that made room for it is there again."""
        talk.accept(photo, before.id)
        fresh = [view.sha256 for view in after.negatives if view not in before.negatives]
        kept = {view.sha256 for view in after.negatives}
        self._context.assistant.revise(
            session.owner,
            before.id,
            ConceptEdit(
                remove_negatives=fresh,
                add_negatives=[picture for picture in held if picture.sha256 not in kept],
            ),
        )
        self._photos.look(session, talk, photo)
        session.history.keep(talk)
        return f"Undone. This may be {before.name}."

    def _held(self, session: Session, concept: Concept, views: Iterable[View]) -> list[Photo]:
        """Read views or negatives that an undo may bring back; those that are damaged cannot come back."""
        found = (self._context.picture(session, concept.id, view.sha256) for view in views)
        return [photo for photo in found if photo]

    def remember(self, session: Session, photo: Photo, name: str, box: Box) -> str:
        """Make a new concept of a part of a photo, and return the toast."""
        concept = self._context.assistant.remember(session.owner, name, [_cut(photo, box)])
        session.undo = lambda: self._forget(session, concept)
        self._photos.show(session, session.conversation, photo)
        return render.toast(f"Added {concept.name}.", undo=True)

    def _forget(self, session: Session, concept: Concept) -> str:
        self._context.assistant.forget(session.owner, concept.id)
        self._photos.look_again(session)
        return f"Removed {concept.name}."

    def add_view(self, session: Session, talk: Conversation, photo: Photo, concept: Concept, box: Box) -> str:
        """Learn a part of a conversation's photo as a view of a concept, and return the toast."""
        view, talk.marked = _cut(photo, box), None
        if view.sha256 in {known.sha256 for known in concept.views}:
            talk.confirmed.add((photo.sha256, concept.id))
            self._photos.look(session, talk, photo)
            return render.toast(f"{concept.name} has this photo already.")
        was_not = self._held(session, concept, [one for one in concept.negatives if one.sha256 == view.sha256])
        was_rejected = concept.id in talk.of(photo).rejected
        talk.accept(photo, concept.id)
        self._context.assistant.revise(session.owner, concept.id, ConceptEdit(add=[view]))
        talk.confirmed.add((photo.sha256, concept.id))
        session.undo = lambda: self._remove_view(session, talk, photo, concept, view, was_not, rejected=was_rejected)
        self._photos.look(session, talk, photo)
        return render.toast(f"Photo added to {concept.name}.", undo=True)

    def _remove_view(
        self,
        session: Session,
        talk: Conversation,
        photo: Photo,
        concept: Concept,
        view: Photo,
        was_not: Sequence[Photo],
        *,
        rejected: bool,
    ) -> str:
        edit = ConceptEdit(remove=[view.sha256], add_negatives=was_not)
        self._context.assistant.revise(session.owner, concept.id, edit)
        talk.confirmed.discard((photo.sha256, concept.id))
        if rejected:
            talk.reject(photo, concept.id)
        self._photos.look(session, talk, photo)
        session.history.keep(talk)
        return f"Photo removed from {concept.name}."


def _cut(photo: Photo, box: Box) -> Photo:
    return photo if box == WHOLE else crop(photo, box, CROP_MARGIN)

"""What is recognised in a photo, beside the conversation about it; here it is corrected, and what is unknown named.

Its state is the conversation's. Handlers return all that the Chat tab shows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import gradio as gr

from personal.concepts import WHOLE, Box, Concept, ConceptEdit, Photo, View
from personal.crops import crop
from personal.errors import PersonalError
from personal.ui import render
from personal.ui.chat.photos import Photos
from personal.ui.concepts import Concepts
from personal.ui.context import AppContext, Updates, html, show_errors
from personal.ui.sessions import Conversation, Session

CROP_MARGIN = 0.06
NEAREST = 6
"""Concepts that are offered for a marked part of a photo, those most like it."""


class Panel:
    """The panel's components and handlers.

    `draw` draws the whole tab; `again` answers the last question again, if it is about a photo.
    """

    def __init__(
        self,
        context: AppContext,
        concepts: Concepts,
        photos: Photos,
        draw: Callable[[Session], Updates],
        again: Callable[[Session, Conversation, Photo], Iterator[Updates]],
    ) -> None:
        self._context = context
        self._concepts = concepts
        self._photos = photos
        self._draw = draw
        self._again = again

    def build(self, notice: gr.HTML) -> None:
        """Make the components; problems are told in `notice`."""
        self.notice = notice
        self.photo = html(elem_id="panel")
        with gr.Column(visible=False, elem_id="namer") as self.namer:
            self.name = gr.Textbox(label="This is …", placeholder="A name, new or known", max_length=80, elem_id="name")
            self.nearest = html(elem_id="nearest")
            with gr.Row():
                self.save = gr.Button("Remember", variant="primary", size="sm")
                self.cancel = gr.Button("Cancel", size="sm")
        self.drawn = [self.photo, self.namer]
        """What `draw` may return."""
        self.fields = [self.name, self.nearest]

    def wire(self, tabs: gr.Tabs, quiet: dict[str, Any], clicks: dict[str, Any]) -> None:
        """Connect the handlers; `tabs` is what "Open" switches."""
        self._tabs = tabs
        self.photo.select(self.on_click, None, **clicks)
        self.nearest.select(self.on_click, None, **clicks)
        self.save.click(self.remember, self.name, **quiet)
        self.name.submit(self.remember, self.name, **quiet)
        self.cancel.click(self.unmark, None, **quiet)

    def draw(self, session: Session, talk: Conversation, concepts: dict[str, Concept]) -> Updates:
        """The photo with its boxes and matches, and whether a part of it is being named."""
        assistant = self._context.assistant
        found = talk.findings.get(talk.active or "")
        if found:
            talk.found(found.up_to_date(concepts))
        matches = talk.findings[found.photo.sha256].matches if found else ()
        shown = render.panel(
            talk,
            {m.concept.id: self._context.picture(session, m.concept.id, m.concept.avatar) for m in matches},
            {m.view: self._context.picture(session, m.concept.id, m.view) for m in matches if m.view},
            wishes=assistant.preferences(session.owner),
            any_concepts=bool(concepts),
        )
        return {self.photo: shown, self.namer: gr.Column(visible=talk.marked is not None)}

    @show_errors
    def on_click(self, event: gr.EventData, request: gr.Request) -> Iterator[Updates]:
        """A box, a corner or a match's menu was clicked."""
        session = self._context.session(request)
        talk, data = session.conversation, event._data
        photo = talk.photo(talk.active)
        name, concept_id = data.get("act"), str(data.get("concept") or "")
        if photo is None:
            return
        if name == "mark":
            talk.marked = _box_of(data.get("box"))
            ranked = self._context.assistant.rank(session.owner, photo, talk.marked)[:NEAREST]
            known = [(m.concept, self._context.picture(session, m.concept.id, m.concept.avatar)) for m in ranked]
            yield {**self._draw(session), self.name: "", self.nearest: render.nearest(known, talk.marked)}
            return
        concept = self._context.assistant.library.get(session.owner, concept_id)
        if name == "open":
            session.open(concept.id)
            yield {self._tabs: gr.Tabs(selected="concepts"), **self._concepts.draw(session)}
        elif name == "is":
            yield self._add_view(session, photo, concept, _box_of(data.get("box")))
        elif name == "not":
            said = self._disown(session, talk, photo, concept)
            self._photos.show(session, talk, photo)
            yield {**self._draw(session), self.notice: "", **said}
            yield from self._again(session, talk, photo)

    def _disown(self, session: Session, talk: Conversation, photo: Photo, concept: Concept) -> Updates:
        """Turn a concept down in this photo, and remember that what its box shows is something else."""
        match = next((m for m in talk.of(photo).matches if m.concept.id == concept.id), None)
        talk.reject(photo, concept.id)
        if match is None or match.box is None:
            return {}
        if match.by_face:  # nothing is learnt of faces that are not one's own
            session.undo = lambda: self._own(session, talk, photo, concept, concept)
            said = f"In this conversation, this is not {concept.name}."
            return {self._context.toast: render.toast(said, undo=True)}
        held = self._held(session, concept, concept.negatives)
        try:
            after = self._context.assistant.disown(session.owner, concept.id, photo, match.evidence_box or match.box)
        except PersonalError as error:
            return {self.notice: render.problem(str(error))}
        session.undo = lambda: self._own(session, talk, photo, concept, after, held)
        said = f"I will remember that this is not {concept.name}."
        return {self._context.toast: render.toast(said, undo=True)}

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
        self._photos.look_again(session)
        return f"Taken back: this may be {before.name}."

    def _held(self, session: Session, concept: Concept, views: Iterable[View]) -> list[Photo]:
        """Read views or negatives that an undo may bring back; those that are damaged cannot come back."""
        found = (self._context.picture(session, concept.id, view.sha256) for view in views)
        return [photo for photo in found if photo]

    # -- "This is …" -------------------------------------------------------------------------------------------------

    @show_errors
    def remember(self, name: str | None, request: gr.Request) -> Updates:
        """Give the marked part of the photo a name: a new concept, or one view more of a known one."""
        session = self._context.session(request)
        talk, assistant = session.conversation, self._context.assistant
        photo = talk.photo(talk.active)
        if photo is None or talk.marked is None:
            return {}
        known = assistant.library.lookup(session.owner, name or "")
        if known:
            return self._add_view(session, photo, known, talk.marked)
        concept = assistant.remember(session.owner, name or "", [_cut(photo, talk.marked)])
        session.undo = lambda: self._unremember(session, concept)
        self._photos.show(session, talk, photo)
        return {
            **self._draw(session),
            self.notice: "",
            self._context.toast: render.toast(f"{concept.name} is remembered.", undo=True),
        }

    def _add_view(self, session: Session, photo: Photo, concept: Concept, box: Box) -> Updates:
        view = _cut(photo, box)
        if view.sha256 in {known.sha256 for known in concept.views}:
            self._photos.show(session, session.conversation, photo)
            return {**self._draw(session), self._context.toast: render.toast(f"{concept.name} has this photo already.")}
        was_not = self._held(session, concept, [one for one in concept.negatives if one.sha256 == view.sha256])
        was_rejected = concept.id in session.conversation.of(photo).rejected
        session.conversation.accept(photo, concept.id)
        self._context.assistant.revise(session.owner, concept.id, ConceptEdit(add=[view]))
        session.undo = lambda: self._unview(session, photo, concept, view, was_not, rejected=was_rejected)
        self._photos.show(session, session.conversation, photo)
        return {
            **self._draw(session),
            self.notice: "",
            self._context.toast: render.toast(f"This view was added to {concept.name}.", undo=True),
        }

    def _unremember(self, session: Session, concept: Concept) -> str:
        self._context.assistant.forget(session.owner, concept.id)
        self._photos.look_again(session)
        return f"{concept.name} is forgotten again."

    def _unview(
        self, session: Session, photo: Photo, concept: Concept, view: Photo, was_not: Sequence[Photo], *, rejected: bool
    ) -> str:
        edit = ConceptEdit(remove=[view.sha256], add_negatives=was_not)
        self._context.assistant.revise(session.owner, concept.id, edit)
        if rejected:
            session.conversation.reject(photo, concept.id)
        self._photos.look_again(session)
        return f"The view was taken from {concept.name} again."

    @show_errors
    def unmark(self, request: gr.Request) -> Updates:
        """Give up naming."""
        session = self._context.session(request)
        session.conversation.marked = None
        return self._draw(session)


def _cut(photo: Photo, box: Box) -> Photo:
    return photo if box == WHOLE else crop(photo, box, CROP_MARGIN)


def _box_of(text: Any) -> Box:
    """Read a box that the page sent; anything else than a box is the whole photo."""
    try:
        x0, y0, x1, y1 = (min(1.0, max(0.0, float(v))) for v in json.loads(str(text)))
    except (ValueError, TypeError):
        return WHOLE
    return (x0, y0, x1, y1) if x1 - x0 > 0.01 and y1 - y0 > 0.01 else WHOLE

"""What is recognised in a photo, beside the conversation about it; here it is corrected, and what is unknown named.

Its state is the conversation's. Handlers return all that the Chat tab shows.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from personal.concepts import WHOLE, Box, Concept, Photo
from personal.conversations import Conversation
from personal.errors import PersonalError
from personal.ui import render
from personal.ui.chat.corrections import Corrections
from personal.ui.chat.photos import Photos
from personal.ui.concepts import Concepts
from personal.ui.context import AppContext, Updates, html, show_errors
from personal.ui.sessions import Session

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
        self._corrections = Corrections(context, photos)
        self._draw = draw
        self._again = again

    def build(self, notice: gr.HTML) -> None:
        """Make the components; problems are told in `notice`."""
        self.notice = notice
        self.photo = html(elem_id="panel")
        with gr.Column(visible=False, elem_id="namer") as self.namer:
            self.name = gr.Textbox(label="Name", placeholder="New or existing name", max_length=64, elem_id="name")
            self.nearest = html(elem_id="nearest")
            with gr.Row():
                self.save = gr.Button("Save", variant="primary", size="sm")
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
        """Do what was clicked: a box, a corner or a match's menu."""
        yield from self.click(self._context.session(request), event._data)

    def click(self, session: Session, data: dict[str, Any]) -> Iterator[Updates]:
        """Do what was clicked at a photo, in the panel or in the thread."""
        talk, act = session.conversation, data.get("act")
        if data.get("photo"):
            talk.activate(str(data["photo"]))
        photo = talk.photo(talk.active)
        if photo is None:
            return
        if act == "mark":
            talk.marked = _box_of(data.get("box"))
            ranked = self._context.assistant.rank(session.owner, photo, talk.marked)[:NEAREST]
            known = [(m.concept, self._context.picture(session, m.concept.id, m.concept.avatar)) for m in ranked]
            yield {**self._draw(session), self.name: "", self.nearest: render.nearest(known, talk.marked)}
            return
        concept = self._context.assistant.library.get(session.owner, str(data.get("concept") or ""))
        if act == "open":
            session.open(concept.id)
            yield {self._tabs: gr.Tabs(selected="concepts"), **self._concepts.draw(session)}
        elif act == "is":
            asked = concept.id in {match.concept.id for match in talk.of(photo).unsure}
            toast = self._corrections.add_view(session, talk, photo, concept, _box_of(data.get("box")))
            yield {**self._draw(session), self.notice: "", self._context.toast: toast}
            if asked:  # an answer that was not sure of it is given again
                yield from self._again(session, talk, photo)
        elif act == "not":
            yield self._deny(session, photo, concept)
            yield from self._again(session, talk, photo)

    def _deny(self, session: Session, photo: Photo, concept: Concept) -> Updates:
        said: Updates
        try:
            toast = self._corrections.disown(session, session.conversation, photo, concept)
            said = {self._context.toast: toast} if toast else {}
        except PersonalError as error:
            said = {self.notice: render.problem(str(error))}
        self._photos.show(session, session.conversation, photo)
        return {**self._draw(session), self.notice: "", **said}

    # -- "This is …" -------------------------------------------------------------------------------------------------

    @show_errors
    def remember(self, name: str | None, request: gr.Request) -> Updates:
        """Give the marked part of the photo a name: a new concept, or one view more of a known one."""
        session = self._context.session(request)
        talk = session.conversation
        photo = talk.photo(talk.active)
        if photo is None or talk.marked is None:
            return {}
        known = self._context.assistant.library.lookup(session.owner, name or "")
        if known:
            toast = self._corrections.add_view(session, talk, photo, known, talk.marked)
        else:
            toast = self._corrections.remember(session, photo, name or "", talk.marked)
        return {**self._draw(session), self.notice: "", self._context.toast: toast}

    @show_errors
    def unmark(self, request: gr.Request) -> Updates:
        """Give up naming."""
        session = self._context.session(request)
        session.conversation.marked = None
        return self._draw(session)


def _box_of(text: Any) -> Box:
    """Read a box that the page sent; anything else than a box is the whole photo."""
    try:
        x0, y0, x1, y1 = (min(1.0, max(0.0, float(v))) for v in json.loads(str(text)))
    except (ValueError, TypeError):
        return WHOLE
    return (x0, y0, x1, y1) if x1 - x0 > 0.01 and y1 - y0 > 0.01 else WHOLE

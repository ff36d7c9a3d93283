"""The composer: the field for a question, and the photos that go with it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from personal.conversations import Conversation
from personal.ui import render
from personal.ui.chat.photos import Photos
from personal.ui.context import AppContext, Updates, html, show_errors
from personal.ui.sessions import Session


class Composer:
    """The components and handlers; `draw_all` draws the whole tab."""

    def __init__(self, context: AppContext, photos: Photos, draw_all: Callable[[Session], Updates]) -> None:
        self._context = context
        self._photos = photos
        self._draw_all = draw_all

    def build(self) -> None:
        """Make the components."""
        self.notice = html(elem_id="notice")
        self.drafts = html(elem_id="drafts")
        self.box = gr.MultimodalTextbox(
            file_count="multiple",
            sources=["upload"],
            placeholder="Ask about your photo …",
            show_label=False,
            label="Your question",
            elem_id="ask",
            max_lines=6,
            html_attributes=gr.InputHTMLAttributes(autocapitalize="sentences"),
        )
        self.dropped = gr.File(file_count="multiple", label="Photos", elem_id="dropped")
        self.drawn = [self.drafts, self.box]
        """What `draw` may return."""

    def build_camera(self) -> None:
        """Make the camera, which the page shows once it was chosen at the photo button (`assets/chat.js`)."""
        with gr.Column(elem_id="camera"):
            self.camera = gr.Image(
                sources=["webcam"], type="filepath", show_label=False, label="Camera", buttons=[], height=300
            )
        self.fields = [self.notice, self.camera, self.dropped]
        """What handlers may return besides."""

    def wire(self, quiet: dict[str, Any]) -> None:
        """Connect the handlers."""
        self.box.change(None, self.box, self.dropped, js="(value) => personal.take(value)", show_progress="hidden")
        taken = self.dropped.change(self.receive, self.dropped, **quiet, trigger_mode="multiple")
        taken.then(None, js="() => personal.taken()")
        shot = self.camera.input(self.shoot, self.camera, **quiet)
        shot.then(None, js="() => document.querySelector('#camera').classList.remove('open')")

    def draw(self, talk: Conversation) -> Updates:
        """Return the photos that wait for a question, and the field."""
        return {self.drafts: render.drafts(talk), self.box: self.field(talk)}

    def field(self, talk: Conversation, text: str | None = None) -> Any:
        """Return the question's field with the button that fits; its words stay where no `text` is given."""
        value: dict[str, Any] = {} if text is None else {"value": {"text": text, "files": []}}
        return gr.MultimodalTextbox(submit_btn=talk.answering is None, stop_btn=talk.answering is not None, **value)

    @show_errors
    def receive(self, files: list[Any] | None, request: gr.Request) -> Iterator[Updates]:
        """Recognise photos that were dropped, before anything is asked; each is shown as soon as that is done."""
        if not files:
            return
        session = self._context.session(request)
        talk = session.conversation
        photos, problems = self._photos.read(session, files)
        for photo in photos:
            talk.activate(photo.sha256)
            yield self._draw_all(session)
            self._photos.look(session, talk, photo)
        problems += [f"{photo.hint.capitalize()}." for photo in talk.draft if photo.hint]
        yield {**self._draw_all(session), self.dropped: None, self.notice: render.problem(" ".join(problems))}

    @show_errors
    def shoot(self, file: str | None, request: gr.Request) -> Updates:
        """Take the camera's picture."""
        if not file:
            return {}
        session = self._context.session(request)
        problems = self._photos.take(session, [file])
        return {**self._draw_all(session), self.camera: None, self.notice: render.problem(" ".join(problems))}

    def click(self, session: Session, data: dict[str, Any]) -> Updates:
        """Show or remove a photo that waits, or cancel an edit."""
        talk = session.conversation
        if data.get("act") == "photo":
            talk.activate(str(data.get("photo")))
        elif data.get("act") == "undraft":
            talk.draft = [p for p in talk.draft if p.sha256 != data.get("photo")]
            if talk.photo(talk.active) is None:
                talk.active, talk.marked = (talk.photos[-1].sha256 if talk.photos else None), None
        elif data.get("act") == "unedit":
            talk.editing = None
            return {**self._draw_all(session), self.box: self.field(talk, "")}
        return self._draw_all(session)

"""The form for a new concept: photos, a name, and what is optional."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from html import escape
from typing import Any

import gradio as gr

from personal.errors import ConceptError
from personal.ui import render
from personal.ui.concepts.fields import (
    CATEGORIES,
    MARKS,
    MARKS_INFO,
    face_checkbox,
    read_uploads,
    wanted_face,
)
from personal.ui.context import AppContext, Updates, html, show_errors
from personal.ui.describe import Describe, description, fingerprint
from personal.ui.sessions import Session

PHOTOS_AT_ONCE = 10
"""Photos that a new concept can begin with."""


class NewConcept:
    """The form's components and handlers; `draw` draws the whole tab."""

    def __init__(self, context: AppContext, draw: Callable[[Session], Updates]) -> None:
        self._context = context
        self._draw = draw
        self.describe = Describe(context, description, lambda session: session.new_photos)
        self.mark = Describe(context, fingerprint, lambda session: session.new_photos)

    def build(self, notice: gr.HTML) -> None:
        """Make the components; problems are shown in `notice`."""
        self.notice = notice
        with gr.Column(scale=2, min_width=320, visible=False, elem_id="creator", elem_classes="side") as self.column:
            html("<h2>Somebody or something new</h2>")
            self.files = gr.File(label="1 to 10 photos of it", file_count="multiple", height=150, elem_id="files")
            self.photos = html(elem_id="new-photos")
            self.name = gr.Textbox(label="Name", placeholder="bo", max_length=80, elem_id="new-name")
            self.check = html(elem_id="name-check")
            self.category = gr.Dropdown(CATEGORIES, label="Kind (optional)", value=None, allow_custom_value=True)
            self.info = gr.Textbox(
                label="What to know (optional)", lines=3, placeholder="A Shiba Inu, four years old, afraid of thunder."
            )
            self.describe.build(self.info, "Describe it for me", "new-describe")
            self.marks = gr.Textbox(
                label="What tells it apart (optional)", lines=3, placeholder=MARKS, info=MARKS_INFO, elem_id="new-marks"
            )
            self.mark.build(self.marks, "Write it for me", "new-mark")
            self.by_face = face_checkbox(self._context, "new-by-face")
            with gr.Row():
                self.create = gr.Button("Remember", variant="primary", elem_id="create")
                self.close = gr.Button("Close")
        self.drawn = [self.column, self.photos, self.by_face, *self.describe.drawn, *self.mark.drawn]
        """What `draw` may return."""
        self.fields = [self.files, self.name, self.check, self.category]
        """What handlers may return besides."""

    def wire(self, quiet: dict[str, Any]) -> None:
        """Connect the handlers."""
        self.files.upload(self.receive, self.files, **quiet)
        self.photos.select(self.on_photos, None, **quiet)
        self.name.change(self.validate, self.name, **quiet)
        self.create.click(self.remember, [self.name, self.category, self.info, self.marks, self.by_face], **quiet)
        self.describe.wire(self.notice, self.category, quiet)
        self.mark.wire(self.notice, self.category, quiet)

    def draw(self, session: Session) -> Updates:
        """Return whether the form is open, and its drafting buttons."""
        return {self.column: gr.Column(visible=session.side == "new"), **self._draw_drafts(session)}

    def _draw_drafts(self, session: Session) -> Updates:
        return {**self.describe.draw(session), **self.mark.draw(session)}

    def open(self, session: Session) -> Updates:
        """Show the form, with the photos that were put into it before."""
        session.side = "new"
        return {**self._draw(session), self.photos: render.new_photos(session.new_photos)}

    @show_errors
    def begin(self, request: gr.Request) -> Updates:
        """Open the form."""
        return self.open(self._context.session(request))

    def blank(self) -> Updates:
        """Return the form emptied."""
        return {
            self.photos: "",
            self.files: None,
            self.name: "",
            self.check: "",
            self.by_face: False,
            self.category: None,
            self.info: gr.Textbox(value="", interactive=True),
            self.marks: gr.Textbox(value="", interactive=True),
        }

    @show_errors
    def receive(self, files: list[str] | None, request: gr.Request) -> Updates:
        """Add the photos that were dropped, and say at once what is wrong with any."""
        session = self._context.session(request)
        photos, problems = read_uploads(self._context, files or [], PHOTOS_AT_ONCE)
        for photo in photos:
            if photo.sha256 in {p.sha256 for p in session.new_photos}:
                problems.append("The same photo twice counts once.")
            elif len(session.new_photos) >= PHOTOS_AT_ONCE:
                problems.append(f"{PHOTOS_AT_ONCE} photos are enough for a start; add more to the concept later.")
                break
            else:
                session.new_photos.append(photo)
        return {
            **self._draw_drafts(session),
            self.photos: render.new_photos(session.new_photos),
            self.files: None,
            self.notice: render.problem(" ".join(dict.fromkeys(problems))),
        }

    @show_errors
    def on_photos(self, event: gr.EventData, request: gr.Request) -> Updates:
        """Remove a photo whose cross was clicked."""
        session = self._context.session(request)
        if event._data.get("act") == "drop":
            session.new_photos = [p for p in session.new_photos if p.sha256 != event._data.get("photo")]
        return {**self._draw_drafts(session), self.photos: render.new_photos(session.new_photos)}

    @show_errors
    def validate(self, name: str, request: gr.Request) -> Updates:
        """Say while a name is typed whether it can be used."""
        if not name.strip():
            return {self.check: ""}
        try:
            free = self._free(self._context.session(request), name)
        except ConceptError as error:
            return {self.check: render.problem(str(error))}
        return {self.check: f"<p class='note'>Answers will call it <b>{escape(free)}</b>.</p>"}

    def _free(self, session: Session, name: str) -> str:
        library = self._context.assistant.library
        known = library.lookup(session.owner, name)
        if known:
            raise ConceptError(f"You have a {known.name} already: open it to add photos, or choose another name.")
        return library.check_name(name)

    @show_errors
    def remember(
        self, name: str, category: str | None, info: str, marks: str, by_face: bool, request: gr.Request
    ) -> Iterator[Updates]:
        """Add the concept; `marks` are its distinguishing features, one a line."""
        session, assistant = self._context.session(request), self._context.assistant
        self._free(session, name)
        if not session.new_photos:
            raise ConceptError("Add at least one photo: that is what it is recognised by.")
        face = wanted_face(self._context, by_face)
        for step in assistant.open_faces() if face else ():
            yield {self.notice: render.busy(step.text, step)}
        concept = assistant.remember(
            session.owner, name, session.new_photos, category or "", info, marks.splitlines(), face
        )
        session.new_photos, session.side = [], ""

        def undo() -> str:
            self._context.assistant.forget(session.owner, concept.id)
            return f"{concept.name} is forgotten again."

        session.undo = undo
        said = f"{concept.name} is remembered, with {render.plural(len(concept.views), 'photo')}."
        yield {**self._draw(session), **self.blank(), self._context.toast: render.toast(said, undo=True)}

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

    def build(self) -> None:
        """Make the components. A problem is shown at its field, or in `notice` above the buttons."""
        with gr.Column(scale=2, min_width=320, visible=False, elem_id="creator", elem_classes="side") as self.column:
            html("<h2>New concept</h2>")
            self.files = gr.File(label="Drop 1–10 photos", file_count="multiple", height=150, elem_id="files")
            self.photos_check = html(elem_id="photos-check")
            self.photos = html(elem_id="new-photos")
            self.name = gr.Textbox(label="Name", placeholder="bo", max_length=64, elem_id="new-name")
            self.check = html(elem_id="name-check")
            self.category = gr.Dropdown(CATEGORIES, label="Kind (optional)", value=None, allow_custom_value=True)
            self.info = gr.Textbox(
                label="Notes (optional)", lines=3, placeholder="A Shiba Inu, four years old, afraid of thunder."
            )
            self.describe.build(self.info, "Draft with AI", "new-describe")
            self.marks = gr.Textbox(
                label="Distinguishing features (optional)",
                lines=3,
                placeholder=MARKS,
                info=MARKS_INFO,
                elem_id="new-marks",
            )
            self.mark.build(self.marks, "Draft with AI", "new-mark")
            self.by_face = face_checkbox(self._context, "new-by-face")
            self.notice = html(elem_id="new-notice")
            with gr.Row():
                self.create = gr.Button("Save", variant="primary", elem_id="create")
                self.close = gr.Button("Close")
        self.drawn = [
            self.column,
            self.photos,
            self.photos_check,
            self.notice,
            self.by_face,
            *self.describe.drawn,
            *self.mark.drawn,
        ]
        """What `draw` may return."""
        self.fields = [self.files, self.name, self.check, self.category]
        """What handlers may return besides."""

    def wire(self, quiet: dict[str, Any]) -> None:
        """Connect the handlers."""
        self.files.upload(self.receive, self.files, **quiet)
        self.photos.select(self.on_photos, None, **quiet)
        self.name.change(self.validate, self.name, **quiet)
        created = self.create.click(
            self.remember, [self.name, self.category, self.info, self.marks, self.by_face], **quiet
        )
        created.then(None, js=SHOW_PROBLEM)
        self.describe.wire(self.notice, self.category, quiet)
        self.mark.wire(self.notice, self.category, quiet)

    def draw(self, session: Session) -> Updates:
        """Return whether the form is open, and its drafting buttons."""
        return {
            self.column: gr.Column(visible=session.side == "new"),
            self.notice: "",
            self.photos_check: "",
            **self._draw_drafts(session),
        }

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
                problems.append("That photo is already added.")
            elif len(session.new_photos) >= PHOTOS_AT_ONCE:
                problems.append(f"{PHOTOS_AT_ONCE} photos are enough for a start; add more to the concept later.")
                break
            else:
                session.new_photos.append(photo)
        return {
            **self._draw_drafts(session),
            self.photos: render.new_photos(session.new_photos),
            self.files: None,
            self.photos_check: render.problem(" ".join(dict.fromkeys(problems))),
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
        return {self.check: f"<p class='note'>✓ Answers will say “<b>{escape(free)}</b>”.</p>"}

    def _free(self, session: Session, name: str) -> str:
        library = self._context.assistant.library
        known = library.lookup(session.owner, name)
        if known:
            raise ConceptError(f"“{known.name}” already exists. Open it, or choose another name.")
        return library.check_name(name)

    def _problems(self, session: Session, name: str) -> Updates:
        """Return what is wrong with the fields that must be filled, at each; nothing where all is well."""
        problems: Updates = {}
        if not session.new_photos:
            problems[self.photos_check] = render.problem("Add at least one photo.")
        try:
            self._free(session, name)
        except ConceptError as error:
            problems[self.check] = render.problem(str(error))
        return problems

    @show_errors
    def remember(
        self, name: str, category: str | None, info: str, marks: str, by_face: bool, request: gr.Request
    ) -> Iterator[Updates]:
        """Add the concept; `marks` are its distinguishing features, one a line."""
        session, assistant = self._context.session(request), self._context.assistant
        problems = self._problems(session, name)
        if problems:
            yield problems
            return
        face = wanted_face(self._context, by_face)
        for step in assistant.open_faces() if face else ():
            yield {self.notice: render.busy(step.text, step)}
        concept = assistant.remember(
            session.owner, name, session.new_photos, category or "", info, marks.splitlines(), face
        )
        session.new_photos, session.side = [], ""

        def undo() -> str:
            self._context.assistant.forget(session.owner, concept.id)
            return f"Removed {concept.name}."

        session.undo = undo
        said = f"{concept.name} is remembered, with {render.plural(len(concept.views), 'photo')}."
        yield {**self._draw(session), **self.blank(), self._context.toast: render.toast(said, undo=True)}


SHOW_PROBLEM = """() => {
  const found = [...document.querySelectorAll('#creator [role=alert]')].find((e) => e.offsetParent);
  if (!found) return;
  found.scrollIntoView({ block: 'center', behavior: 'smooth' });
  const before = [...document.querySelectorAll('#creator :is(input:not([type=file]), textarea, button)')];
  const field = before.filter((e) => e.offsetParent && found.compareDocumentPosition(e) & 2).at(-1);
  field?.focus({ preventScroll: true });
}"""
"""Brings the first problem into sight, and focuses the field above it."""

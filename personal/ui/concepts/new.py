"""The form for a new concept: photos, a name, and what is optional."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gradio as gr

from personal.concepts import Photo
from personal.ui import render
from personal.ui.concepts.fields import SHOW_PROBLEM, ConceptForm, read_uploads
from personal.ui.context import AppContext, Updates, html, show_errors
from personal.ui.sessions import Session

PHOTOS_AT_ONCE = 10
"""Photos that a new concept can begin with."""


class NewConcept(ConceptForm):
    """The form's components and handlers; `draw` draws the whole tab."""

    def __init__(self, context: AppContext, draw: Callable[[Session], Updates]) -> None:
        super().__init__(context, "new", lambda session: session.new_photos)
        self._draw = draw

    def build(self) -> None:
        """Make the components. A problem is shown at its field, or in `notice` above the buttons."""
        with gr.Column(scale=2, min_width=320, visible=False, elem_id="creator", elem_classes="side") as self.column:
            html("<h2>New concept</h2>")
            self.files = gr.File(label="Drop 1–10 photos", file_count="multiple", height=150, elem_id="files")
            self.photos_check = html(elem_id="photos-check")
            self.photos = html(elem_id="new-photos")
            self.build_fields(" (optional)")
            with gr.Row():
                self.create = gr.Button("Save", variant="primary", elem_id="create")
                self.close = gr.Button("Close")
        self.drawn = [self.column, self.photos, self.photos_check, self.notice, self.by_face]
        self.drawn += [*self.checks, *self.describe.drawn, *self.mark.drawn]
        """What `draw` may return."""
        self.fields = [self.files, self.name, self.category]
        """What handlers may return besides."""

    def wire(self, quiet: dict[str, Any]) -> None:
        """Connect the handlers."""
        self.files.upload(self.receive, self.files, **quiet)
        self.photos.select(self.on_photos, None, **quiet)
        self.name.change(self.validate, self.name, **quiet)
        for save in (self.create.click, self.name.submit):
            save(self.remember, self.values, **quiet).then(None, js=SHOW_PROBLEM)
        self.wire_fields(quiet)

    def draw(self, session: Session) -> Updates:
        """Return whether the form is open, and its drafting buttons."""
        return {
            self.column: gr.Column(visible=session.side == "new"),
            self.notice: "",
            self.photos_check: "",
            **self.draw_drafts(session),
        }

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
            **dict.fromkeys(self.checks, ""),
            self.by_face: gr.Checkbox(value=False, visible=False),
            self.category: None,
            self.info: gr.Textbox(value="", interactive=True),
            self.marks: gr.Textbox(value="", interactive=True),
        }

    @show_errors
    def receive(self, files: list[str] | None, request: gr.Request) -> Updates:
        """Add the photos that were chosen, and say at once what is wrong with any."""
        return self.add(self._context.session(request), files or [])

    def add(self, session: Session, files: Sequence[str]) -> Updates:
        """Put uploads into the form, and return what it shows of them."""
        photos, problems = read_uploads(self._context, files, PHOTOS_AT_ONCE)
        problems += self._take(session, photos)
        face: Updates = {self.by_face: gr.Checkbox(visible=True)} if self.has_face(session, "") else {}
        return {
            **self.draw_drafts(session),
            **face,
            self.photos: render.new_photos(session.new_photos),
            self.files: None,
            self.photos_check: render.problem(" ".join(dict.fromkeys(problems))),
        }

    def _take(self, session: Session, photos: Sequence[Photo]) -> list[str]:
        """Put photos into the form, and return what is wrong with any."""
        problems = []
        for photo in photos:
            if photo.sha256 in {p.sha256 for p in session.new_photos}:
                problems.append("That photo is already added.")
            elif len(session.new_photos) >= PHOTOS_AT_ONCE:
                problems.append(f"{PHOTOS_AT_ONCE} photos are enough for a start; add more to the concept later.")
                break
            else:
                session.new_photos.append(photo)
        return problems

    @show_errors
    def on_photos(self, event: gr.EventData, request: gr.Request) -> Updates:
        """Remove a photo whose cross was clicked."""
        session = self._context.session(request)
        if event._data.get("act") == "drop":
            session.new_photos = [p for p in session.new_photos if p.sha256 != event._data.get("photo")]
        return {**self.draw_drafts(session), self.photos: render.new_photos(session.new_photos)}

    @show_errors
    def remember(
        self, name: str, category: str | None, info: str, marks: str, by_face: bool, request: gr.Request
    ) -> Iterator[Updates]:
        """Add the concept; `marks` are its distinguishing features, one a line."""
        session, assistant = self._context.session(request), self._context.assistant
        problems = self.problems(session, name, category, info, marks)
        photos = "" if session.new_photos else render.problem("Add at least one photo.")
        if problems or photos:
            yield {**problems, self.photos_check: photos}
            return
        face = self.wanted_face(by_face)
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
        said = f"Added {concept.name} with {render.plural(len(concept.views), 'photo')}."
        yield {**self._draw(session), **self.blank(), self._context.toast: render.toast(said, undo=True)}

"""The fields of a concept that the forms for a new and for an open one have in common, and reading their photos."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from itertools import islice
from typing import Any

import gradio as gr

from personal.concepts import Concept, Photo
from personal.errors import ConceptError, PersonalError
from personal.findings import is_person
from personal.remember.names import MAX_INFO, MAX_NAME, clean_attributes, clean_category, clean_info
from personal.ui import render
from personal.ui.context import AppContext, Updates, html, show_errors
from personal.ui.describe import Describe, description, fingerprint
from personal.ui.sessions import Session

CATEGORIES = ["person", "dog", "cat", "pet", "plush toy", "toy", "mug", "bag", "shoe", "building", "plant", "vehicle"]

INFO = "A Shiba Inu, four years old, afraid of thunder."
MARKS = "white tip of the tail\nred collar with a bell"
MARKS_INFO = "One permanent feature per line."
BY_FACE = "Recognise this person by the face"
BY_FACE_INFO = (
    "Only with their consent (a parent's for a child). A numeric description is stored on this device, and deleted "
    "when you untick this. First use downloads 30 MB."
)
FACES_LOOKED_AT = 3
"""Photos of a concept in which a face is looked for, at most."""


class ConceptForm:
    """Name, kind, notes, distinguishing features and the face tick; what is wrong with one is shown below it.

    `prefix` begins the ids of the elements, `photos` are those of a session that the form is about.
    """

    def __init__(self, context: AppContext, prefix: str, photos: Callable[[Session], Iterable[Photo]]) -> None:
        self._context = context
        self._prefix = prefix
        self._photos_of = photos
        self.describe = Describe(context, description, photos)
        self.mark = Describe(context, fingerprint, photos)

    def build_fields(self, optional: str = "") -> None:
        """Make the fields; `optional` follows the label of those that can stay empty."""
        prefix = self._prefix
        self.name = gr.Textbox(label="Name", placeholder="bo", max_length=MAX_NAME, elem_id=f"{prefix}-name")
        self.check = self._problem("name")
        self.category = gr.Dropdown(
            CATEGORIES, label=f"Kind{optional}", value=None, allow_custom_value=True, elem_id=f"{prefix}-kind"
        )
        self.category_check = self._problem("kind")
        self.info = gr.Textbox(
            label=f"Notes{optional}", lines=3, max_length=MAX_INFO, placeholder=INFO, elem_id=f"{prefix}-info"
        )
        self.info_check = self._problem("info")
        self.describe.build(self.info, "Draft with AI", f"{prefix}-describe")
        self.marks = gr.Textbox(
            label=f"Distinguishing features{optional}",
            lines=3,
            placeholder=MARKS,
            info=MARKS_INFO,
            elem_id=f"{prefix}-marks",
        )
        self.marks_check = self._problem("marks")
        self.mark.build(self.marks, "Draft with AI", f"{prefix}-mark")
        self.by_face = gr.Checkbox(
            label=BY_FACE, info=BY_FACE_INFO, value=False, visible=False, elem_id=f"{prefix}-by-face"
        )
        self.notice = html(elem_id=f"{prefix}-notice")
        self.values = [self.name, self.category, self.info, self.marks, self.by_face]
        self.checks = [self.check, self.category_check, self.info_check, self.marks_check]

    def _problem(self, field: str) -> gr.HTML:
        return html(elem_id=f"{self._prefix}-{field}-check", elem_classes="field-check")

    def wire_fields(self, quiet: dict[str, Any]) -> None:
        """Connect what the fields have in common."""
        self.describe.wire(self.notice, self.category, quiet)
        self.mark.wire(self.notice, self.category, quiet)
        self.category.change(self.offer_face, [self.category, self.by_face], **quiet)

    def draw_drafts(self, session: Session) -> Updates:
        """Return the drafting buttons as they are to be now."""
        return {**self.describe.draw(session), **self.mark.draw(session)}

    # -- checking ----------------------------------------------------------------------------------------------------

    def problems(self, session: Session, name: str, category: str | None, info: str, marks: str) -> Updates:
        """Return what is wrong with each field, in words below it, or nothing where all is well."""
        checks: dict[gr.HTML, Callable[[], object]] = {
            self.check: lambda: self.free_name(session, name),
            self.category_check: lambda: clean_category(category or ""),
            self.info_check: lambda: clean_info(info),
            self.marks_check: lambda: clean_attributes(marks.splitlines()),
        }
        found: Updates = {}
        for place, check in checks.items():
            try:
                check()
            except ConceptError as error:
                found[place] = render.problem(str(error))
        return {**dict.fromkeys(self.checks, ""), **found} if found else {}

    def free_name(self, session: Session, name: str) -> str:
        """Return a name as it would be stored. Raises ConceptError if it cannot be, or another concept has it."""
        library = self._context.assistant.library
        known = library.lookup(session.owner, name)
        if known and known.id != session.open_concept:
            raise ConceptError(f"“{known.name}” already exists. Open it, or choose another name.")
        return library.check_name(name)

    @show_errors
    def validate(self, name: str, request: gr.Request) -> Updates:
        """Say while a name is typed whether it can be used."""
        if not name.strip():
            return {self.check: ""}
        try:
            free = self.free_name(self._context.session(request), name)
        except ConceptError as error:
            return {self.check: render.problem(str(error))}
        return {self.check: f"<p class='note'>✓ Answers will say “<b>{escape(free)}</b>”.</p>"}

    # -- faces -------------------------------------------------------------------------------------------------------

    @show_errors
    def offer_face(self, category: str | None, by_face: bool, request: gr.Request) -> Updates:
        """Offer recognition by the face for people alone."""
        session = self._context.session(request)
        return {self.by_face: gr.Checkbox(visible=self.has_face(session, category or "", by_face=by_face))}

    def has_face(self, session: Session, category: str, *, by_face: bool = False) -> bool:
        """Return whether a face tick makes sense: for a person, or once a face was found in a photo."""
        if not self._context.settings.looks_at_faces:
            return False
        if by_face or is_person(category):
            return True
        return not category and self._context.assistant.shows_face(islice(self._photos_of(session), FACES_LOOKED_AT))

    def wanted_face(self, by_face: bool) -> bool | None:
        """Return what the tick says; None where faces are off, so that nothing changes."""
        return by_face if self._context.settings.looks_at_faces else None


def values_of(concept: Concept) -> tuple[str, str, str, str, bool]:
    """Return what the fields of a concept hold when it is saved."""
    return concept.name, concept.category, concept.info, "\n".join(concept.attributes), concept.by_face


def read_uploads(context: AppContext, files: Sequence[str], limit: int) -> tuple[list[Photo], list[str]]:
    """Read up to `limit` uploads; return the photos and the problems in words. The others are deleted unread."""
    photos, problems = [], []
    if len(files) > limit:
        problems.append(f"{limit} photos are the most at once; the others were left out.")
        context.drop(files[limit:])
    for file in files[:limit]:
        try:
            photos.append(context.take(file))
        except PersonalError as error:
            problems.append(str(error))
    return photos, problems


SHOW_PROBLEM = """() => requestAnimationFrame(() => {
  const found = [...document.querySelectorAll('.library > .side [role=alert]')].find((e) => e.offsetParent);
  if (!found) return;
  found.scrollIntoView({ block: 'center', behavior: 'smooth' });
  const fields = [...found.closest('.side').querySelectorAll(':is(input:not([type=file]), textarea, button)')];
  const field = fields.filter((e) => e.offsetParent && found.compareDocumentPosition(e) & 2).at(-1);
  field?.focus({ preventScroll: true });
})"""
"""Brings the first problem of the open form into sight, and focuses the field above it."""

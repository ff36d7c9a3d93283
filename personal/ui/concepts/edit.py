"""An open concept: its photos and what it is not, its fields, and forgetting it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape
from typing import Any

import gradio as gr

from personal.concepts import Concept, ConceptEdit, Photo, View
from personal.remember.record import MAX_VIEWS
from personal.ui import render
from personal.ui.concepts.confusable_pairs import ConfusablePairs
from personal.ui.concepts.fields import SHOW_PROBLEM, ConceptForm, read_uploads, values_of
from personal.ui.concepts.merge import merge
from personal.ui.context import AppContext, Updates, html, show_errors
from personal.ui.sessions import Session


class ConceptEditor(ConceptForm):
    """The components and handlers; `draw` draws the whole tab.

    What is typed is kept with the session until it is saved or discarded, whatever else is opened meanwhile.
    """

    def __init__(self, context: AppContext, pairs: ConfusablePairs, draw: Callable[[Session], Updates]) -> None:
        super().__init__(context, "edit", self._pictures)
        self._pairs = pairs
        self._draw = draw

    def build(self) -> None:
        """Make the components. A problem is shown at its field, or in `notice` above the buttons."""
        with gr.Column(scale=2, min_width=320, visible=False, elem_id="editor", elem_classes="side") as self.column:
            self.heading = html()
            self.look_alike = html(elem_id="look-alike")
            self.views = html(elem_id="views")
            self.more = gr.File(label="Add photos", file_count="multiple", height=150, elem_id="more-files")
            self.more_check = html(elem_id="edit-more-check", elem_classes="field-check")
            self.negatives = html(elem_id="negatives")
            self.build_fields()
            self.unsaved = html(elem_id="edit-unsaved", elem_classes="field-check")
            with gr.Row():
                self.keep = gr.Button("Save", variant="primary", elem_id="keep")
                self.close = gr.Button("Close")
            self.forget = gr.Button("Delete", variant="stop", size="sm", elem_id="forget")
        self.drawn = [self.column, self.notice, self.heading, self.look_alike, self.views, self.negatives]
        self.drawn += [self.more_check, self.unsaved, self.name, self.category, self.forget, self.by_face, *self.checks]
        self.drawn += [*self.describe.drawn, *self.mark.drawn]
        """What `draw` may return."""
        self.fields = [self.more]
        """What handlers may return besides."""

    def wire(self, quiet: dict[str, Any]) -> None:
        """Connect the handlers."""
        self.look_alike.select(self.on_look_alike, None, **quiet)
        self.views.select(self.on_views, None, **quiet)
        self.negatives.select(self.on_negatives, None, **quiet)
        self.more.upload(self.add_views, self.more, **quiet)
        for save in (self.keep.click, self.name.submit):
            save(self.revise, self.values, **quiet).then(None, js=SHOW_PROBLEM)
        typed = [field.input for field in (self.name, self.category, self.info, self.marks, self.by_face)]
        gr.on(typed, self.on_typed, self.values, **quiet, trigger_mode="always_last")
        self.unsaved.select(self.discard, None, **quiet)
        self.wire_fields(quiet)
        self.forget.click(self.forget_it, None, **quiet)

    # -- drawing -----------------------------------------------------------------------------------------------------

    def draw(self, session: Session, concepts: Iterable[Concept]) -> Updates:
        """Return the open concept, or that none is open."""
        concept = next((c for c in concepts if c.id == session.open_concept), None)
        session.open_concept = concept.id if concept and not session.side else None
        updates: Updates = {
            self.column: gr.Column(visible=bool(session.open_concept)),
            self.notice: "",
            self.more_check: "",
            **self.draw_drafts(session),
        }
        if session.open_concept and concept:
            updates |= self._draw_open(session, concept)
            session.drawn = concept
        else:
            session.drawn = None
        return updates

    def _draw_open(self, session: Session, concept: Concept) -> Updates:
        photos = list(self._photos(session, concept, concept.views))
        return {
            self.heading: f"<h2 dir='auto'>{escape(concept.name)}</h2>",
            self.look_alike: self._pairs.draw(session, concept),
            self.views: render.views_strip(concept, photos),
            self.negatives: render.negatives(concept, list(self._photos(session, concept, concept.negatives))),
            **self._draw_fields(session, concept),
            self.forget: gr.Button(f"Delete {concept.name} and {render.plural(len(concept.views), 'photo')}"),
        }

    def _draw_fields(self, session: Session, concept: Concept) -> Updates:
        """Return the fields whose saved values have changed: what is being typed stays, or is there again."""
        before = session.drawn if session.drawn and session.drawn.id == concept.id else None
        saved: Sequence[Any] = values_of(concept)
        typed = session.unsaved.get(concept.id)
        old: Sequence[Any] = values_of(before) if before else [None] * len(saved)
        now: Sequence[Any] = typed or saved
        new = saved if before else now
        changed: list[dict[str, Any]] = [
            {} if now_saved == was else {"value": fill} for now_saved, was, fill in zip(saved, old, new, strict=True)
        ]
        name, category, info, marks, by_face = changed
        fields: Updates = {
            self.info: gr.Textbox(**info, interactive=True),
            self.marks: gr.Textbox(**marks, label=f"Distinguishing features of {concept.name}", interactive=True),
            self.by_face: gr.Checkbox(**by_face, visible=self.has_face(session, now[1], by_face=now[-1])),
            self.unsaved: render.unsaved() if typed else "",
        }
        if name:
            fields[self.name] = name["value"]
            fields.update(dict.fromkeys(self.checks, ""))
        if category:
            fields[self.category] = gr.Dropdown(value=category["value"] or None, allow_custom_value=True)
        return fields

    def _photos(self, session: Session, concept: Concept, views: Iterable[View]) -> Iterator[Photo]:
        """Read views or negatives of a concept; those that are damaged are left out."""
        found = (self._context.picture(session, concept.id, view.sha256) for view in views)
        return (photo for photo in found if photo)

    def _open(self, session: Session) -> Concept:
        return self._context.assistant.library.get(session.owner, session.open_concept or "")

    def _pictures(self, session: Session) -> Iterator[Photo]:
        """Read the photos of the open concept, its cover first."""
        if session.open_concept:
            concept = self._open(session)
            views = sorted(concept.views, key=lambda view: view.sha256 != concept.avatar)
            yield from self._photos(session, concept, views)

    @show_errors
    def on_look_alike(self, event: gr.EventData, request: gr.Request) -> Updates:
        """Merge the open concept with one that it looks like."""
        session, data = self._context.session(request), event._data
        toast = merge(self._context, session, str(data.get("concept")), str(data.get("other")))
        return {**self._draw(session), self._context.toast: toast}

    # -- its photos --------------------------------------------------------------------------------------------------

    @show_errors
    def on_views(self, event: gr.EventData, request: gr.Request) -> Updates:
        """Make a photo the cover, or remove it."""
        session, view = self._context.session(request), str(event._data.get("photo"))
        concept = self._open(session)
        if event._data.get("act") == "avatar":
            self._context.assistant.revise(session.owner, concept.id, ConceptEdit(avatar=view))
            return self._draw(session)
        photo = self._context.picture(session, concept.id, view)
        self._context.assistant.revise(session.owner, concept.id, ConceptEdit(remove=[view]))

        def undo() -> str:
            self._context.assistant.revise(
                session.owner,
                concept.id,
                ConceptEdit(add=[photo] if photo else [], avatar=view if concept.avatar == view else None),
            )
            return f"The photo is back with {concept.name}."

        session.undo = undo if photo else None
        said = f"A photo of {concept.name} was removed."
        return {**self._draw(session), self._context.toast: render.toast(said, undo=photo is not None)}

    @show_errors
    def on_negatives(self, event: gr.EventData, request: gr.Request) -> Updates:
        """Remove a picture of what the concept is not."""
        session, view = self._context.session(request), str(event._data.get("photo"))
        concept = self._open(session)
        photo = self._context.picture(session, concept.id, view)
        self._context.assistant.revise(session.owner, concept.id, ConceptEdit(remove_negatives=[view]))
        for talk in session.history.live():
            for found in list(talk.findings.values()):
                talk.accept(found.photo, concept.id)
            session.history.keep(talk)

        def undo() -> str:
            edit = ConceptEdit(add_negatives=[photo] if photo else [])
            self._context.assistant.revise(session.owner, concept.id, edit)
            return f"Undone. That's not {concept.name}."

        session.undo = undo if photo else None
        said = f"This may be {concept.name} from now on."
        return {**self._draw(session), self._context.toast: render.toast(said, undo=photo is not None)}

    @show_errors
    def add_views(self, files: list[str] | None, request: gr.Request) -> Updates:
        """Add the photos that were dropped."""
        session = self._context.session(request)
        concept = self._open(session)
        photos, problems = read_uploads(self._context, files or [], MAX_VIEWS)
        known = {view.sha256 for view in concept.views}
        fresh = [p for p in {p.sha256: p for p in photos}.values() if p.sha256 not in known]
        if len(fresh) < len(photos):
            problems.append("That photo is already added.")
        if fresh:
            self._context.assistant.revise(session.owner, concept.id, ConceptEdit(add=fresh))
        return {**self._draw(session), self.more: None, self.more_check: render.problem(" ".join(problems))}

    # -- its fields --------------------------------------------------------------------------------------------------

    def keep_typed(self, session: Session, values: Sequence[Any]) -> None:
        """Keep what the fields hold where it is not what is saved of the concept that they show."""
        concept = session.drawn
        if concept is None or not values:
            return
        name, category, info, marks, by_face = values
        typed = (name or "", category or "", info or "", marks or "", bool(by_face))
        if typed == values_of(concept):
            session.unsaved.pop(concept.id, None)
        else:
            session.unsaved[concept.id] = typed

    @show_errors
    def on_typed(
        self, name: str, category: str | None, info: str, marks: str, by_face: bool, request: gr.Request
    ) -> Updates:
        """Keep what is typed, and say that it is not saved, and whether its name can be used."""
        session = self._context.session(request)
        self.keep_typed(session, (name, category, info, marks, by_face))
        typed = session.open_concept in session.unsaved
        words = self.problems(session, name, category, info, marks) or dict.fromkeys(self.checks, "")
        return {self.unsaved: render.unsaved() if typed else "", self.check: words[self.check]}

    @show_errors
    def discard(self, request: gr.Request) -> Updates:
        """Show what is saved again."""
        session = self._context.session(request)
        session.unsaved.pop(session.open_concept or "", None)
        session.drawn = None
        return self._draw(session)

    @show_errors
    def revise(
        self, name: str, category: str | None, info: str, marks: str, by_face: bool, request: gr.Request
    ) -> Iterator[Updates]:
        """Save the fields."""
        session, assistant = self._context.session(request), self._context.assistant
        before, face = self._open(session), self.wanted_face(by_face)
        problems = self.problems(session, name, category, info, marks)
        if problems:
            yield problems
            return
        for step in assistant.open_faces() if face else ():
            yield {self.notice: render.busy(step.text, step)}
        after = assistant.revise(
            session.owner,
            before.id,
            ConceptEdit(name=name, category=category or "", info=info, attributes=marks.splitlines(), by_face=face),
        )

        def undo() -> str:
            self._context.assistant.revise(
                session.owner,
                before.id,
                ConceptEdit(
                    name=before.name,
                    category=before.category,
                    info=before.info,
                    attributes=before.attributes,
                    by_face=before.by_face,
                ),
            )
            return f"{before.name} is as it was."

        session.undo = undo
        session.unsaved.pop(before.id, None)
        checked: Updates = dict.fromkeys(self.checks, "")
        toast = render.toast(f"{after.name} is saved.", undo=True)
        yield {**self._draw(session), **checked, self._context.toast: toast}

    @show_errors
    def forget_it(self, request: gr.Request) -> Updates:
        """Forget the open concept; it can be brought back for ten minutes."""
        session = self._context.session(request)
        concept = self._open(session)
        token = self._context.assistant.forget(session.owner, concept.id)
        session.undo = lambda: f"{self._context.assistant.restore(session.owner, token).name} is back."
        session.open_concept = None
        said = f"Deleted {concept.name} and {render.plural(len(concept.views), 'photo')}."
        return {**self._draw(session), self._context.toast: render.toast(said, undo=True)}

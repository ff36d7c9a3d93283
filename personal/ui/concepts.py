"""The Concepts tab: your people, pets and things as cards; make one, open one, carry them in and out."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from personal.assistant import UNDO_S
from personal.concepts import Concept, ConceptEdit, Photo, Progress, View
from personal.errors import ConceptError, PersonalError
from personal.folding import folded, unaccented
from personal.remember import import_export
from personal.remember.record import MAX_VIEWS
from personal.ui import render, samples
from personal.ui.describe import Describe, description, fingerprint, supersede
from personal.ui.desk import CLICKS, Desk, Screen, discard, html, streaming_words, words
from personal.ui.sessions import Session

PHOTOS_AT_ONCE = 10
SEARCH_MAX = 200
CATEGORIES = ["person", "dog", "cat", "pet", "plush toy", "toy", "mug", "bag", "shoe", "building", "plant", "vehicle"]

MARKS = "white tip of the tail\nred collar with a bell"
MARKS_INFO = "One mark a line, of what does not change."
BY_FACE = "Recognise this person by the face"
BY_FACE_INFO = (
    "Only with their consent (a child's: the parents'). A description of the face, 128 numbers a photo, is kept in "
    "your data folder, compared with faces only, and erased when you forget the person or take this tick away. First "
    "time: 30 MB are fetched."
)
ALIKES = 3
"""Look-alikes of an open concept that are shown, at most."""


@dataclass(frozen=True)
class Alike:
    """What was found hard to tell apart among an owner's `views`, by concept; no words of anybody's are held here.

    `pairs` are a concept's id, the other's, and their most similar views, the worst first, each pair both ways.
    """

    views: dict[str, tuple[View, ...]]
    pairs: list[tuple[str, str, str, str]]


class Concepts:
    """The tab's components and handlers."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.describe_new = Describe(desk, description, lambda session: session.new_photos)
        self.describe_open = Describe(desk, description, self._pictures)
        self.mark_new = Describe(desk, fingerprint, lambda session: session.new_photos)
        self.mark_open = Describe(desk, fingerprint, self._pictures)
        self._alike: dict[str, Alike] = {}

    def build(self) -> None:
        with gr.Row(elem_classes="bar"):
            self.search = gr.Textbox(
                placeholder="Search", show_label=False, label="Search", container=False, scale=3, elem_id="search"
            )
            self.new = gr.Button("Add", variant="primary", size="sm", scale=0, min_width=90, elem_id="new")
            self.export = gr.Button("Export", size="sm", scale=0, min_width=90, elem_id="export")
            self.bring = gr.Button("Import", size="sm", scale=0, min_width=90, elem_id="import")
        self.notice = html(elem_id="concepts-notice")
        self.damage = html(elem_id="damage")
        self.link = html(elem_id="download", js_on_load=DOWNLOAD)
        with gr.Row(elem_classes="library", equal_height=False):
            with gr.Column(scale=3, min_width=320):
                self.cards = html(elem_id="cards", js_on_load=f"{CLICKS}; trigger('change');")
                self.forgotten = html(elem_id="forgotten")
            self._build_new()
            self._build_import()
            self._build_open()

    def _build_new(self) -> None:
        with gr.Column(scale=2, min_width=320, visible=False, elem_id="creator", elem_classes="side") as self.creator:
            html("<h2>Somebody or something new</h2>")
            self.files = gr.File(label="1 to 10 photos of it", file_count="multiple", height=150, elem_id="files")
            self.photos = html(elem_id="new-photos")
            self.name = gr.Textbox(label="Name", placeholder="bo", max_length=80, elem_id="new-name")
            self.check = html(elem_id="name-check")
            self.category = gr.Dropdown(CATEGORIES, label="Kind (optional)", value=None, allow_custom_value=True)
            self.info = gr.Textbox(
                label="What to know (optional)", lines=3, placeholder="A Shiba Inu, four years old, afraid of thunder."
            )
            self.describe_new.build(self.info, "Describe it for me", "new-describe")
            self.marks = gr.Textbox(
                label="What tells it apart (optional)", lines=3, placeholder=MARKS, info=MARKS_INFO, elem_id="new-marks"
            )
            self.mark_new.build(self.marks, "Write it for me", "new-mark")
            self.by_face = self._tick("new-by-face")
            with gr.Row():
                self.create = gr.Button("Remember", variant="primary", elem_id="create")
                self.close_new = gr.Button("Close")

    def _tick(self, elem_id: str) -> gr.Checkbox:
        looks = self._desk.settings.looks_at_faces
        return gr.Checkbox(label=BY_FACE, info=BY_FACE_INFO, value=False, visible=looks, elem_id=elem_id)

    def _build_import(self) -> None:
        with gr.Column(scale=2, min_width=320, visible=False, elem_id="importer", elem_classes="side") as self.importer:
            html("<h2>Bring concepts in</h2><p class='note'>A zip that this app exported, a zip of RAP's database "
                    "folder, or a zip with one folder of photos a concept.</p>")  # fmt: skip
            self.archive = gr.File(label="Zip file", file_types=[".zip"], height=150, elem_id="archive")
            self.preview = html(elem_id="preview")
            with gr.Row():
                self.apply = gr.Button("Import these", variant="primary", interactive=False, elem_id="apply")
                self.close_import = gr.Button("Close")

    def _build_open(self) -> None:
        with gr.Column(scale=2, min_width=320, visible=False, elem_id="editor", elem_classes="side") as self.editor:
            self.heading = html()
            self.look_alike = html(elem_id="look-alike")
            self.views = html(elem_id="views")
            self.more = gr.File(label="Add photos", file_count="multiple", height=150, elem_id="more-files")
            self.negatives = html(elem_id="negatives")
            self.edit_name = gr.Textbox(label="Name", max_length=80, elem_id="edit-name")
            self.edit_category = gr.Dropdown(CATEGORIES, label="Kind", allow_custom_value=True)
            self.edit_info = gr.Textbox(label="What to know", lines=4, elem_id="edit-info")
            self.describe_open.build(self.edit_info, "Describe it for me", "edit-describe")
            self.edit_marks = gr.Textbox(
                label="What tells it apart", lines=3, placeholder=MARKS, info=MARKS_INFO, elem_id="edit-marks"
            )
            self.mark_open.build(self.edit_marks, "Write it for me", "edit-mark")
            self.edit_by_face = self._tick("edit-by-face")
            with gr.Row():
                self.keep = gr.Button("Save", variant="primary", elem_id="keep")
                self.close_open = gr.Button("Close")
            self.forget = gr.Button("Forget", variant="stop", size="sm", elem_id="forget")

        self.drawn = [
            self.cards,
            self.damage,
            self.forgotten,
            self.notice,
            self.creator,
            self.importer,
            self.editor,
            self.photos,
        ]
        self.drawn += [self.heading, self.look_alike, self.views, self.negatives, self.edit_name, self.edit_category]
        self.drawn += [self.forget, self.by_face, self.edit_by_face]
        for draft in self._drafts:
            self.drawn += draft.drawn
        """What `draw` may return."""

    @property
    def _drafts(self) -> tuple[Describe, ...]:
        return self.describe_new, self.mark_new, self.describe_open, self.mark_open

    def wire(self) -> None:
        desk = self._desk
        desk.draw_concepts, desk.begin_concept = self.draw, self.draw_new
        desk.elsewhere += [*self.drawn]
        outputs = [*self.drawn, self.files, self.more, self.archive, self.preview, self.apply, self.name, self.check]
        outputs += [self.category, self.link, desk.toast]
        quiet: dict[str, Any] = {"outputs": outputs, "show_progress": "hidden", "api_visibility": "private"}
        loud: dict[str, Any] = {**quiet, "show_progress": "full", "show_progress_on": [self.cards]}
        self.search.change(self.draw_found, self.search, **quiet)
        self.new.click(self.begin, None, **quiet)
        self.files.upload(self.receive, self.files, **quiet)
        self.photos.select(self.on_photos, None, **quiet)
        self.name.change(self.validate, self.name, **quiet)
        self.create.click(self.remember, [self.name, self.category, self.info, self.marks, self.by_face], **quiet)
        self.describe_new.wire(self.notice, self.category, quiet)
        self.mark_new.wire(self.notice, self.category, quiet)
        self.close_new.click(self.close, None, **quiet)
        self.cards.select(self.on_cards, None, **loud).then(None, js=SHOW_SIDE)
        self.cards.change(self.warn, None, **quiet, trigger_mode="always_last")
        self.forgotten.select(self.on_forgotten, None, **quiet)
        self.views.select(self.on_views, None, **quiet)
        self.negatives.select(self.on_negatives, None, **quiet)
        self.more.upload(self.add_views, self.more, **quiet)
        edited = [self.edit_name, self.edit_category, self.edit_info, self.edit_marks, self.edit_by_face]
        self.keep.click(self.revise, edited, **quiet)
        self.describe_open.wire(self.notice, self.edit_category, quiet)
        self.mark_open.wire(self.notice, self.edit_category, quiet)
        self.forget.click(self.forget_it, None, **quiet)
        self.close_open.click(self.close, None, **quiet)
        self.export.click(self.carry_out, None, **quiet)
        self.bring.click(self.open_import, None, **quiet)
        self.archive.upload(self.inspect, self.archive, **quiet)
        self.apply.click(self.carry_in, None, **loud)
        self.close_import.click(self.close, None, **quiet)

    # -- drawing -----------------------------------------------------------------------------------------------------

    def draw(self, session: Session) -> Screen:
        """Everything the tab shows, from the session; a description that is being written ends."""
        supersede(session)
        concepts = self._desk.assistant.concepts(session.owner)
        concept = next((c for c in concepts if c.id == session.open_concept), None)
        session.open_concept = concept.id if concept and not session.side else None
        screen: Screen = {
            self.cards: self._draw_cards(session),
            self.damage: render.problem(" ".join(self._desk.library.damaged(session.owner))),
            self.forgotten: render.forgotten(self._forgotten(session.owner)),
            self.notice: "",
            self.creator: gr.Column(visible=session.side == "new"),
            self.importer: gr.Column(visible=session.side == "import"),
            self.editor: gr.Column(visible=bool(session.open_concept)),
        }
        for draft in self._drafts:
            screen |= draft.draw(session)
        if session.open_concept and concept:
            screen |= self._draw_open(session, concept)
            session.drawn = concept
        else:
            session.drawn = None
        return screen

    def _draw_cards(self, session: Session) -> str:
        concepts = self._desk.assistant.concepts(session.owner)
        wanted = unaccented(folded(session.search))
        found = [c for c in concepts if not wanted or wanted in unaccented(folded(f"{c.name}\0{c.category}\0{c.info}"))]
        shown = found if session.everything else found[: render.PAGE]
        pictures = {c.id: session.faces.get(c.avatar) or self._desk.picture(session, c.id, c.avatar) for c in shown}
        session.faces = {picture.sha256: picture for picture in pictures.values() if picture}
        return render.cards(
            found,
            pictures,
            {c.id: [other.name for other, _, _ in self._alikes(session.owner, c)] for c in shown},
            total=len(concepts),
            chosen=session.open_concept,
            everything=session.everything,
        )

    def _draw_open(self, session: Session, concept: Concept) -> Screen:
        """Show a concept; of its fields those that are not as they were filled: what is being typed stays."""
        before = session.drawn if session.drawn and session.drawn.id == concept.id else None
        fields: Screen = {
            self.edit_marks: gr.Textbox(label=f"What tells {concept.name} apart", interactive=True),
            self.edit_info: gr.Textbox(interactive=True),
        }
        if before is None or before.name != concept.name:
            fields[self.edit_name] = concept.name
        if before is None or before.category != concept.category:
            fields[self.edit_category] = gr.Dropdown(value=concept.category or None, allow_custom_value=True)
        if before is None or before.info != concept.info:
            fields[self.edit_info] = gr.Textbox(value=concept.info, interactive=True)
        if before is None or before.attributes != concept.attributes:
            fields[self.edit_marks] = gr.Textbox(
                value="\n".join(concept.attributes), label=f"What tells {concept.name} apart", interactive=True
            )
        if before is None or before.by_face != concept.by_face:
            fields[self.edit_by_face] = concept.by_face
        photos = list(self._photos(session, concept, concept.views))
        return {
            self.heading: f"<h2 dir='auto'>{escape(concept.name)}</h2>",
            self.look_alike: self._draw_alike(session, concept),
            self.views: render.views_strip(concept, photos),
            self.negatives: render.negatives(concept, list(self._photos(session, concept, concept.negatives))),
            **fields,
            self.forget: gr.Button(f"Forget {concept.name} and {render.plural(len(concept.views), 'photo')}"),
        }

    def _photos(self, session: Session, concept: Concept, views: Iterable[View]) -> Iterator[Photo]:
        """Read views or negatives of a concept; those that are damaged are left out."""
        found = (self._desk.picture(session, concept.id, view.sha256) for view in views)
        return (photo for photo in found if photo)

    def _forgotten(self, owner: str) -> list[tuple[str, str, int]]:
        now = time.time()
        rows = []
        for item in self._desk.assistant.library.trash(owner):
            left = UNDO_S - (now - item.forgotten_at)
            if left > 0:
                rows.append((item.token, item.concept.name, max(1, round(left / 60))))
        return rows

    @words
    def draw_found(self, search: str, request: gr.Request) -> Screen:
        session = self._desk.session(request)
        session.search, session.everything = (search or "")[:SEARCH_MAX], False
        return {self.cards: self._draw_cards(session)}

    # -- look-alikes -------------------------------------------------------------------------------------------------

    @words
    def warn(self, request: gr.Request) -> Screen:
        """The cards came into sight or changed: find which concepts are hard to tell apart, and say so on them."""
        session = self._desk.session(request)
        owner, concepts = session.owner, self._desk.assistant.concepts(session.owner)
        views = {concept.id: concept.views for concept in concepts}
        if owner in self._alike and self._alike[owner].views == views:
            return {}
        pairs = self._desk.assistant.look_alikes(owner)
        kept = {known: alike for known, alike in self._alike.items() if self._desk.sessions.has(known)}
        both = [(p.first.id, p.second.id, p.first_view, p.second_view) for p in pairs]
        both = [way for a, b, v, w in both for way in ((a, b, v, w), (b, a, w, v))]
        self._alike = {**kept, owner: Alike(views, both)}
        opened = next((c for c in concepts if c.id == session.open_concept), None)
        more = {self.look_alike: self._draw_alike(session, opened)} if opened else {}
        return {self.cards: self._draw_cards(session), **more}

    def _alikes(self, owner: str, concept: Concept) -> list[tuple[Concept, str, str]]:
        """List what a concept was last found hard to tell from, with the most similar view of each, the worst first."""
        if owner not in self._alike:
            return []
        known = {c.id: c for c in self._desk.assistant.concepts(owner)}
        pairs = self._alike[owner].pairs
        return [(known[b], view, other) for a, b, view, other in pairs if a == concept.id and b in known]

    def _draw_alike(self, session: Session, concept: Concept) -> str:
        pairs = []
        for other, mine, theirs in self._alikes(session.owner, concept)[:ALIKES]:
            picture = self._desk.picture
            pairs.append((other, picture(session, concept.id, mine), picture(session, other.id, theirs)))
        return render.look_alikes(concept, pairs)

    # -- a new concept -----------------------------------------------------------------------------------------------

    @words
    def begin(self, request: gr.Request) -> Screen:
        return self.draw_new(self._desk.session(request))

    def draw_new(self, session: Session) -> Screen:
        """Show the form for a new concept."""
        session.side = "new"
        return {**self.draw(session), self.photos: render.new_photos(session.new_photos)}

    @words
    def close(self, request: gr.Request) -> Screen:
        session = self._desk.session(request)
        session.close()
        return {**self.draw(session), **self._blank()}

    def _blank(self) -> Screen:
        return {
            self.photos: "",
            self.files: None,
            self.name: "",
            self.check: "",
            self.by_face: False,
            self.category: None,
            self.info: gr.Textbox(value="", interactive=True),
            self.marks: gr.Textbox(value="", interactive=True),
            self.archive: None,
            self.preview: "",
            self.apply: gr.Button(interactive=False),
        }

    @words
    def receive(self, files: list[str] | None, request: gr.Request) -> Screen:
        """Photos were dropped for a new concept: say at once what is wrong with any."""
        session = self._desk.session(request)
        photos, problems = self._take(files or [], PHOTOS_AT_ONCE)
        for photo in photos:
            if photo.sha256 in {p.sha256 for p in session.new_photos}:
                problems.append("The same photo twice counts once.")
            elif len(session.new_photos) >= PHOTOS_AT_ONCE:
                problems.append(f"{PHOTOS_AT_ONCE} photos are enough for a start; add more to the concept later.")
                break
            else:
                session.new_photos.append(photo)
        return {
            **self.describe_new.draw(session),
            **self.mark_new.draw(session),
            self.photos: render.new_photos(session.new_photos),
            self.files: None,
            self.notice: render.problem(" ".join(dict.fromkeys(problems))),
        }

    def _take(self, files: Sequence[str], most: int) -> tuple[list[Photo], list[str]]:
        """Read at most so many uploads; those beyond are deleted unread, and it is said."""
        photos, problems = [], []
        if len(files) > most:
            problems.append(f"{most} photos are the most at once; the others were left out.")
            self._desk.drop(files[most:])
        for file in files[:most]:
            try:
                photos.append(self._desk.take(file))
            except PersonalError as error:
                problems.append(str(error))
        return photos, problems

    @words
    def on_photos(self, event: gr.EventData, request: gr.Request) -> Screen:
        session = self._desk.session(request)
        if event._data.get("act") == "drop":
            session.new_photos = [p for p in session.new_photos if p.sha256 != event._data.get("photo")]
        drafts = {**self.describe_new.draw(session), **self.mark_new.draw(session)}
        return {**drafts, self.photos: render.new_photos(session.new_photos)}

    @words
    def validate(self, name: str, request: gr.Request) -> Screen:
        """Say while it is typed whether a name can be had."""
        if not name.strip():
            return {self.check: ""}
        try:
            free = self._free(self._desk.session(request), name)
        except ConceptError as error:
            return {self.check: render.problem(str(error))}
        return {self.check: f"<p class='note'>Answers will call it <b>{escape(free)}</b>.</p>"}

    def _free(self, session: Session, name: str) -> str:
        library = self._desk.assistant.library
        known = library.lookup(session.owner, name)
        if known:
            raise ConceptError(f"You have a {known.name} already: open it to add photos, or choose another name.")
        return library.check_name(name)

    @streaming_words
    def remember(
        self, name: str, category: str | None, info: str, marks: str, by_face: bool, request: gr.Request
    ) -> Iterator[Screen]:
        """Make the concept; `marks` is what tells it apart, one attribute a line."""
        session = self._desk.session(request)
        self._free(session, name)
        if not session.new_photos:
            raise ConceptError("Add at least one photo: that is what it is recognised by.")
        yield from self._open_faces(by_face)
        concept = self._desk.assistant.remember(
            session.owner, name, session.new_photos, category or "", info, marks.splitlines(), self._ticked(by_face)
        )
        session.new_photos, session.side = [], ""

        def undo() -> str:
            self._desk.assistant.forget(session.owner, concept.id)
            return f"{concept.name} is forgotten again."

        session.undo = undo
        said = f"{concept.name} is remembered, with {render.plural(len(concept.views), 'photo')}."
        yield {**self.draw(session), **self._blank(), self._desk.toast: render.toast(said, undo=True)}

    def _ticked(self, by_face: bool) -> bool | None:
        return by_face if self._desk.settings.looks_at_faces else None  # where nobody could tick, nothing changes

    def _open_faces(self, by_face: bool) -> Iterator[Screen]:
        """Show how far the first download for faces is; nothing where it is done, or not asked for."""
        for step in self._desk.assistant.open_faces() if self._ticked(by_face) else ():
            yield {self.notice: render.busy(step.text, step)}

    # -- an open concept ---------------------------------------------------------------------------------------------

    @streaming_words
    def on_cards(self, event: gr.EventData, request: gr.Request) -> Iterator[Screen]:
        """A card was opened, everything asked for, or a first step chosen."""
        session, data = self._desk.session(request), event._data
        if data.get("act") == "open":
            session.open(str(data.get("concept")))
            yield self.draw(session)
        elif data.get("act") == "all":
            session.everything = True
            yield {self.cards: self._draw_cards(session)}
        elif data.get("act") == "first":
            yield self.draw_new(session)
        elif data.get("act") == "samples":
            yield {self.cards: render.busy("Remembering the samples …")}
            said = samples.remember(self._desk.assistant, session)
            yield {**self.draw(session), self._desk.toast: render.toast(said)}

    def _open(self, session: Session) -> Concept:
        return self._desk.assistant.library.get(session.owner, session.open_concept or "")

    def _pictures(self, session: Session) -> Iterator[Photo]:
        """The photos of the open concept, that on its card first."""
        if session.open_concept:
            concept = self._open(session)
            views = sorted(concept.views, key=lambda view: view.sha256 != concept.avatar)
            yield from self._photos(session, concept, views)

    @words
    def on_views(self, event: gr.EventData, request: gr.Request) -> Screen:
        session, view = self._desk.session(request), str(event._data.get("photo"))
        concept = self._open(session)
        if event._data.get("act") == "avatar":
            self._desk.assistant.revise(session.owner, concept.id, ConceptEdit(avatar=view))
            return self.draw(session)
        photo = self._desk.picture(session, concept.id, view)
        self._desk.assistant.revise(session.owner, concept.id, ConceptEdit(remove=[view]))

        def undo() -> str:
            self._desk.assistant.revise(
                session.owner,
                concept.id,
                ConceptEdit(
                    add=[photo] if photo else [],
                    avatar=view if concept.avatar == view else None,
                ),
            )
            return f"The photo is back with {concept.name}."

        session.undo = undo if photo else None
        said = f"A photo of {concept.name} was removed."
        return {**self.draw(session), self._desk.toast: render.toast(said, undo=photo is not None)}

    @words
    def on_negatives(self, event: gr.EventData, request: gr.Request) -> Screen:
        """A picture of what the concept is not was taken away."""
        session, view = self._desk.session(request), str(event._data.get("photo"))
        concept = self._open(session)
        photo = self._desk.picture(session, concept.id, view)
        self._desk.assistant.revise(session.owner, concept.id, ConceptEdit(remove_negatives=[view]))
        for talk in session.conversations:
            for found in list(talk.findings.values()):
                talk.accept(found.photo, concept.id)

        def undo() -> str:
            self._desk.assistant.revise(session.owner, concept.id, ConceptEdit(add_negatives=[photo] if photo else []))
            return f"I will remember again that this is not {concept.name}."

        session.undo = undo if photo else None
        said = f"This may be {concept.name} from now on."
        return {**self.draw(session), self._desk.toast: render.toast(said, undo=photo is not None)}

    @words
    def add_views(self, files: list[str] | None, request: gr.Request) -> Screen:
        session = self._desk.session(request)
        concept = self._open(session)
        photos, problems = self._take(files or [], MAX_VIEWS)
        known = {view.sha256 for view in concept.views}
        fresh = [p for p in {p.sha256: p for p in photos}.values() if p.sha256 not in known]
        if len(fresh) < len(photos):
            problems.append("The same photo twice counts once.")
        if fresh:
            self._desk.assistant.revise(session.owner, concept.id, ConceptEdit(add=fresh))
        return {**self.draw(session), self.more: None, self.notice: render.problem(" ".join(problems))}

    @streaming_words
    def revise(
        self, name: str, category: str | None, info: str, marks: str, by_face: bool, request: gr.Request
    ) -> Iterator[Screen]:
        session = self._desk.session(request)
        before = self._open(session)
        yield from self._open_faces(by_face)
        after = self._desk.assistant.revise(
            session.owner,
            before.id,
            ConceptEdit(
                name=name,
                category=category or "",
                info=info,
                attributes=marks.splitlines(),
                by_face=self._ticked(by_face),
            ),
        )

        def undo() -> str:
            self._desk.assistant.revise(
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
        yield {**self.draw(session), self._desk.toast: render.toast(f"{after.name} is saved.", undo=True)}

    @words
    def forget_it(self, request: gr.Request) -> Screen:
        """Forget the open concept; ten minutes to think again."""
        session = self._desk.session(request)
        concept = self._open(session)
        token = self._desk.assistant.forget(session.owner, concept.id)
        session.undo = lambda: f"{self._desk.assistant.restore(session.owner, token).name} is back."
        session.open_concept = None
        said = f"{concept.name} and {render.plural(len(concept.views), 'photo')} are forgotten."
        return {**self.draw(session), self._desk.toast: render.toast(said, undo=True)}

    @words
    def on_forgotten(self, event: gr.EventData, request: gr.Request) -> Screen:
        session = self._desk.session(request)
        concept = self._desk.assistant.restore(session.owner, str(event._data.get("token")))
        return {**self.draw(session), self._desk.toast: render.toast(f"{concept.name} is back.")}

    # -- carrying in and out -----------------------------------------------------------------------------------------

    @words
    def carry_out(self, request: gr.Request) -> Screen:
        """Hand out a link that works once, for this visitor's concepts; say what is damaged and left out."""
        session = self._desk.session(request)
        if not self._desk.assistant.concepts(session.owner):
            raise PersonalError("There is nothing to export yet.")
        left_out = import_export.damage(self._desk.library, session.owner)
        return {
            self.link: f"personal/export/{self._desk.sessions.download(session)}",
            self.notice: render.problem(" ".join(left_out)),
        }

    @words
    def open_import(self, request: gr.Request) -> Screen:
        session = self._desk.session(request)
        session.side = "import"
        return self.draw(session)

    @words
    def inspect(self, file: str | None, request: gr.Request) -> Screen:
        """Read an archive and show what it would change; nothing changes yet."""
        session = self._desk.session(request)
        if not file:
            return {}
        blank = {self.archive: None, self.preview: "", self.apply: gr.Button(interactive=False)}
        try:
            knobs = self._desk.settings
            session.incoming = import_export.read(Path(file), knobs, guest=knobs.shared)
            changes = import_export.plan(self._desk.library, session.owner, session.incoming)
        except PersonalError as error:
            session.incoming = []
            return {**blank, self.notice: render.problem(str(error))}
        finally:
            discard(Path(file))
        notes = [note for concept in session.incoming for note in concept.problems]
        return {
            **blank,
            self.preview: render.import_preview([(c.name, c.words) for c in changes], notes),
            self.apply: gr.Button(interactive=True),
            self.notice: "",
        }

    @streaming_words
    def carry_in(self, request: gr.Request) -> Iterator[Screen]:
        session = self._desk.session(request)
        incoming, session.incoming, session.side = session.incoming, [], ""
        step = Progress("Importing")
        for step in import_export.apply(self._desk.assistant, session.owner, incoming):
            yield {self.preview: render.busy(step.text, step)}
        said = f"{render.plural(step.total, 'concept')} imported."
        yield {**self.draw(session), **self._blank(), self._desk.toast: render.toast(said)}


SHOW_SIDE = """() => requestAnimationFrame(() => {
  const side = [...document.querySelectorAll('.library > .side')].find((e) => e.offsetParent);
  const top = side?.getBoundingClientRect().top ?? 0;
  if (top < 0 || top > innerHeight * 0.7) side.scrollIntoView({ behavior: 'smooth' });
})"""
"""Brings the form that a click opened into sight: on a narrow screen it stands above the cards."""

DOWNLOAD = "watch('value', () => { if (props.value) { const a = document.createElement('a'); a.href = props.value; \
a.download = ''; document.body.append(a); a.click(); a.remove(); props.value = ''; } });"
"""Fetches what the server offers, once."""

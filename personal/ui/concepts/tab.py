"""The tab: cards that can be searched, sorted and selected, what was deleted lately, and the form beside them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from personal.assistant import UNDO_S
from personal.concepts import Concept
from personal.folding import folded, unaccented
from personal.ui import render, samples
from personal.ui.concepts.confusable_pairs import ConfusablePairs
from personal.ui.concepts.edit import ConceptEditor
from personal.ui.concepts.import_export import ImportExport
from personal.ui.concepts.merge import part
from personal.ui.concepts.new import NewConcept
from personal.ui.concepts.review import Review
from personal.ui.concepts.selection import Selection
from personal.ui.context import CLICKS, AppContext, Updates, html, show_errors
from personal.ui.describe import supersede
from personal.ui.sessions import Session

DROPS = "window.personal && personal.drops(trigger)"
"""Passes photos and folders that are let go of on the cards to their `select` event (`assets/app.js`)."""
SEARCH_MAX = 200
"""Characters of a search that count."""
NEWEST, BY_NAME, MOST = "Newest first", "By name", "Most photos first"


class Concepts:
    """The tab's components and handlers."""

    def __init__(self, context: AppContext) -> None:
        self._context = context
        self._pairs = ConfusablePairs(context)
        self.new = NewConcept(context, self.draw)
        self.transfer = ImportExport(context, self.draw)
        self.editor = ConceptEditor(context, self._pairs, self.draw)
        self.review = Review(context, self.draw)
        self.selection = Selection(context, self.transfer, self.draw, self._found)

    def build(self) -> None:
        """Make the components."""
        with gr.Row(elem_classes="bar"):
            self.search = gr.Textbox(
                placeholder="Search", show_label=False, label="Search", container=False, scale=3, elem_id="search"
            )
            self.sort = gr.Dropdown(
                [NEWEST, BY_NAME, MOST], label="Sort", show_label=False, container=False, min_width=150, elem_id="sort"
            )
            self.add = gr.Button("Add", variant="primary", size="sm", scale=0, min_width=80, elem_id="new")
            self.review.build_button()
            self.selection.build()
            self.bring = gr.Button("Import", size="sm", scale=0, min_width=80, elem_id="import")
            self.export = gr.Button("Export", size="sm", scale=0, min_width=80, elem_id="export")
        self.notice = self.selection.notice = html(elem_id="concepts-notice")
        self.damage = html(elem_id="damage")
        with gr.Row(elem_classes="library", equal_height=False):
            with gr.Column(scale=3, min_width=320):
                self.cards = html(elem_id="cards", js_on_load=f"{CLICKS}; {DROPS}; trigger('change');")
                self.forgotten = html(elem_id="forgotten")
            self.new.build()
            self.transfer.build(self.notice)
            self.review.build()
            self.editor.build()
        self.drawn = [self.cards, self.damage, self.forgotten, self.notice, *self.selection.drawn]
        self.drawn += [*self.new.drawn, *self.transfer.drawn, *self.review.drawn, *self.editor.drawn]
        """What `draw` may return."""

    def wire(self) -> None:
        """Connect the handlers."""
        outputs = [*self.drawn, *self.new.fields, *self.transfer.fields, *self.editor.fields, self._context.toast]
        quiet: dict[str, Any] = {"outputs": outputs, "show_progress": "hidden", "api_visibility": "private"}
        loud: dict[str, Any] = {**quiet, "show_progress": "full", "show_progress_on": [self.cards]}
        self.search.change(self.draw_found, self.search, **quiet)
        self.sort.input(self.draw_sorted, self.sort, **quiet)
        self.add.click(self.new.begin, None, **quiet)
        self.cards.select(self.on_cards, self.editor.values, **loud).then(None, js=SHOW_SIDE)
        self.cards.change(self.warn, None, **quiet, trigger_mode="always_last")
        self.forgotten.select(self.on_forgotten, None, **quiet)
        self.new.wire(quiet)
        self.transfer.wire(self.export, self.bring, quiet, loud)
        self.review.wire(quiet)
        self.selection.wire(quiet)
        self.editor.wire(quiet)
        for button in (self.new.close, self.transfer.close, self.review.close, self.editor.close):
            button.click(self.close, None, **quiet)

    # -- drawing -----------------------------------------------------------------------------------------------------

    def draw(self, session: Session) -> Updates:
        """Return everything the tab shows; a draft that is being written ends."""
        supersede(session)
        concepts = self._context.assistant.concepts(session.owner)
        opened = self.editor.draw(session, concepts)
        return {
            self.cards: self._draw_cards(session),
            self.damage: render.problem(" ".join(self._context.library.damaged(session.owner))),
            self.forgotten: render.forgotten(self._forgotten(session.owner)),
            self.notice: "",
            **self.new.draw(session),
            **self.transfer.draw(session),
            **self.review.draw(session),
            **self.selection.draw(session),
            **opened,
        }

    def _draw_cards(self, session: Session) -> str:
        concepts, found = self._context.assistant.concepts(session.owner), self._found(session)
        shown = found if session.everything else found[: render.PAGE]
        pictures = {c.id: session.faces.get(c.avatar) or self._context.picture(session, c.id, c.avatar) for c in shown}
        session.faces = {picture.sha256: picture for picture in pictures.values() if picture}
        return render.cards(
            found,
            pictures,
            {c.id: [other.name for other, _, _ in self._pairs.of(session.owner, c)] for c in shown},
            total=len(concepts),
            chosen=session.open_concept,
            everything=session.everything,
            picked=session.picked,
            samples={concept.id for concept in concepts if samples.is_sample(concept)},
            unsaved=session.unsaved.keys(),
        )

    def _found(self, session: Session) -> list[Concept]:
        """List the concepts that the search lets through, sorted."""
        wanted = unaccented(folded(session.search))
        concepts = self._context.assistant.concepts(session.owner)
        found = [c for c in concepts if not wanted or wanted in unaccented(folded(f"{c.name}\0{c.category}\0{c.info}"))]
        if session.sort == BY_NAME:
            return sorted(found, key=lambda concept: unaccented(folded(concept.name)))
        if session.sort == MOST:
            return sorted(found, key=lambda concept: len(concept.views), reverse=True)
        return sorted(found, key=lambda concept: concept.created, reverse=True)

    def _forgotten(self, owner: str) -> list[tuple[str, str, int]]:
        now = time.time()
        rows = []
        for item in self._context.assistant.library.trash(owner):
            left = UNDO_S - (now - item.forgotten_at)
            if left > 0:
                rows.append((item.token, item.concept.name, max(1, round(left / 60))))
        return rows

    # -- clicks ------------------------------------------------------------------------------------------------------

    @show_errors
    def draw_found(self, search: str, request: gr.Request) -> Updates:
        """Show the concepts that are searched for."""
        session = self._context.session(request)
        session.search, session.everything = (search or "")[:SEARCH_MAX], False
        return {self.cards: self._draw_cards(session)}

    @show_errors
    def draw_sorted(self, sort: str, request: gr.Request) -> Updates:
        """Show the concepts in another order."""
        session = self._context.session(request)
        session.sort = sort
        return {self.cards: self._draw_cards(session)}

    @show_errors
    def warn(self, request: gr.Request) -> Updates:
        """Mark the cards of concepts that are hard to tell apart, once the cards are in sight or have changed."""
        session = self._context.session(request)
        if not self._pairs.update(session):
            return {}
        concepts = self._context.assistant.concepts(session.owner)
        opened = next((c for c in concepts if c.id == session.open_concept), None)
        more: Updates = {self.editor.look_alike: self._pairs.draw(session, opened)} if opened else {}
        return {self.cards: self._draw_cards(session), **more}

    @show_errors
    def close(self, request: gr.Request) -> Updates:
        """Close whatever form is open."""
        session = self._context.session(request)
        session.close()
        return {**self.draw(session), **self.new.blank(), **self.transfer.blank()}

    @show_errors
    def on_cards(self, event: gr.EventData, request: gr.Request, *typed: Any) -> Iterator[Updates]:
        """Open a card, show all of them, or take a first step; `typed` is what the fields of the open one hold."""
        session, data = self._context.session(request), event._data
        self.editor.keep_typed(session, typed)
        if data.get("act") == "open":
            session.open(str(data.get("concept")))
            yield self.draw(session)
        elif data.get("act") == "all":
            session.everything = True
            yield {self.cards: self._draw_cards(session)}
        elif data.get("act") == "first":
            yield self.new.open(session)
        elif data.get("act") == "dropped":
            yield self._dropped(session, data.get("files"))
        elif data.get("act") == "samples":
            yield {self.cards: render.busy("Getting the samples ready …")}
            said = samples.remember(self._context.assistant, session)
            yield {**self.draw(session), self._context.toast: render.toast(said)}
        else:
            yield self.selection.click(session, data) or {self.notice: gr.skip()}

    def _dropped(self, session: Session, listed: Any) -> Updates:
        """Begin a concept with photos that were let go of on the cards, or one for each folder of them.

        That the uploads are the visitor's own was checked when they arrived (`personal.ui.visitors`).
        """
        files = [one for one in (listed if isinstance(listed, list) else []) if isinstance(one, dict)]
        found = [(str(one.get("name")), Path(str(one.get("path")))) for one in files]
        found = [(name, file) for name, file in found if file.is_file()]
        if not any("/" in name for name, _ in found):
            return {**self.new.open(session), **self.new.add(session, [str(file) for _, file in found])}
        try:
            return self.transfer.review(session, found)
        finally:
            self._context.drop(str(file) for _, file in found)

    @show_errors
    def on_forgotten(self, event: gr.EventData, request: gr.Request) -> Updates:
        """Bring a forgotten concept back; one that was merged into another leaves that one."""
        session, token = self._context.session(request), str(event._data.get("token"))
        if token in session.merges:
            said = part(self._context, session, session.merges[token])
        else:
            said = f"{self._context.assistant.restore(session.owner, token).name} is back."
        return {**self.draw(session), self._context.toast: render.toast(said)}


SHOW_SIDE = """() => requestAnimationFrame(() => {
  const side = [...document.querySelectorAll('.library > .side')].find((e) => e.offsetParent);
  const top = side?.getBoundingClientRect().top ?? 0;
  if (top < 0 || top > innerHeight * 0.7) side.scrollIntoView({ behavior: 'smooth' });
})"""
"""Scrolls to the form that a click opened: on a narrow screen it stands above the cards."""

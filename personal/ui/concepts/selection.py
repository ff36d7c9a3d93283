"""What is done with several concepts at once: delete, export, merge; each deletion has one undo."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from personal.concepts import Concept
from personal.ui import render, samples
from personal.ui.concepts.import_export import ImportExport
from personal.ui.concepts.merge import merge
from personal.ui.context import AppContext, Updates, show_errors
from personal.ui.sessions import Session


class Selection:
    """The button that begins a selection, and what the bar above the cards does.

    `draw` draws the whole tab, and `found` lists the concepts that the search lets through.
    """

    def __init__(
        self,
        context: AppContext,
        transfer: ImportExport,
        draw: Callable[[Session], Updates],
        found: Callable[[Session], list[Concept]],
    ) -> None:
        self._context = context
        self._transfer = transfer
        self._draw = draw
        self._found = found

    def build(self) -> None:
        """Make the button; problems are shown in `notice`, which the tab makes."""
        self.toggle = gr.Button("Select", size="sm", scale=0, min_width=80, elem_id="select")
        self.notice: gr.HTML
        self.drawn = [self.toggle]
        """What `draw` may return."""

    def wire(self, quiet: dict[str, Any]) -> None:
        """Connect the button."""
        self.toggle.click(self.begin, None, **quiet)

    def draw(self, session: Session) -> Updates:
        """Return the button as it is to be now."""
        return {self.toggle: gr.Button("Select" if session.picked is None else "Done")}

    @show_errors
    def begin(self, request: gr.Request) -> Updates:
        """Let cards be selected, or no more."""
        session = self._context.session(request)
        session.picked = set() if session.picked is None else None
        return self._draw(session)

    def click(self, session: Session, data: dict[str, Any]) -> Updates:
        """Do what was clicked on a card or in the bar above the cards; nothing for what is done elsewhere."""
        act, picked = data.get("act"), session.picked or set()
        known = self._context.assistant.concepts(session.owner)
        if act == "pick" and session.picked is not None:
            session.picked = picked ^ ({str(data.get("concept"))} & {concept.id for concept in known})
        elif act == "pick-all":
            session.picked = {concept.id for concept in self._found(session)}
        elif act == "forget-picked":
            return self._forget(session, [concept for concept in known if concept.id in picked])
        elif act == "forget-samples":
            return self._forget(session, [concept for concept in known if samples.is_sample(concept)])
        elif act == "export-picked" and picked:
            return self._transfer.offer(session, picked)
        elif act == "merge":
            toast = merge(self._context, session, str(data.get("concept")), str(data.get("other")))
            return {**self._draw(session), self._context.toast: toast}
        else:
            return {}
        return self._draw(session)

    def _forget(self, session: Session, concepts: Sequence[Concept]) -> Updates:
        assistant, tokens = self._context.assistant, list[str]()

        def undo() -> str:
            back = [assistant.restore(session.owner, token) for token in tokens]
            return f"{render.plural(len(back), 'concept is', 'concepts are')} back."

        try:
            for concept in concepts:
                tokens.append(assistant.forget(session.owner, concept.id))
        finally:
            session.undo = undo if tokens else session.undo
        session.picked = None
        photos = render.plural(sum(len(concept.views) for concept in concepts), "photo")
        said = f"Deleted {render.plural(len(concepts), 'concept')} and {photos}." if concepts else ""
        return {**self._draw(session), self._context.toast: render.toast(said, undo=True)}

"""Buttons with which the model drafts a field of a concept from its photos, for the user to edit; nothing is saved."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import gradio as gr

from personal.assistant import Assistant
from personal.concepts import Answer, Fingerprint, Photo, TextDelta, Waiting
from personal.errors import PersonalError
from personal.ui import render
from personal.ui.context import AppContext, Updates, html, show_errors
from personal.ui.sessions import Session, Writing

DRAW_EVERY_S = 0.08
SETTLE_S = 1.0

Steps = Iterator[Waiting | TextDelta | Answer | Fingerprint]
Ask = Callable[[Assistant, str, list[Photo], str, threading.Event], Steps]
"""Assistant, owner, photos, category, stop → what is written, piece by piece, the whole of it last."""


def description(assistant: Assistant, owner: str, photos: list[Photo], category: str, stop: threading.Event) -> Steps:
    """What to know about a concept, from its first photo."""
    return assistant.describe(owner, photos[0], stop=stop)


def fingerprint(assistant: Assistant, owner: str, photos: list[Photo], category: str, stop: threading.Event) -> Steps:
    """What tells a concept from its like, one attribute a line."""
    return assistant.fingerprint(owner, photos, category, stop=stop)


class Describe:
    """The button below a field of one form, the field itself while it is written, and the line that says how.

    `ask` has it written from the `photos` of a session, of which there may be none yet.
    """

    def __init__(self, context: AppContext, ask: Ask, photos: Callable[[Session], Iterable[Photo]]) -> None:
        self._context = context
        self._ask = ask
        self._photos = photos

    def build(self, field: gr.Textbox, label: str, name: str) -> None:
        self.field = field
        with gr.Row(elem_classes="describe"):
            self.begin = gr.Button(label, size="sm", interactive=False, elem_id=name)
            self.end = gr.Button("Stop", size="sm", visible=False, elem_id=f"{name}-stop", elem_classes="stop-writing")
            self.status = html(elem_id=f"{name}-status", elem_classes="describing")
        self.drawn = [self.field, self.begin, self.end, self.status]
        """What `draw` may return."""

    def wire(self, notice: gr.HTML, category: gr.Dropdown, quiet: dict[str, Any]) -> None:
        self.notice = notice
        self.begin.click(self.write, [self.field, category], **quiet, trigger_mode="multiple")
        self.end.click(self.stop, None, **quiet)

    def draw(self, session: Session) -> Updates:
        """The button as it is to be now; the field's text is left alone."""
        if session.writing:
            return {}
        generator = self._context.assistant.generator
        any_photo = any(True for _ in self._photos(session))
        hint = render.draft_hint(generator.name, sees=generator.sees, any_photo=any_photo)
        return {**self._looks(writing=False, possible=generator.sees and any_photo), self.status: hint}

    def _looks(self, *, writing: bool, possible: bool = False) -> Updates:
        return {
            self.field: gr.Textbox(interactive=not writing),
            self.begin: gr.Button(visible=not writing, interactive=possible),
            self.end: gr.Button(visible=writing),
        }

    @show_errors
    def write(self, text: str, category: str | None, request: gr.Request) -> Iterator[Updates]:
        """Write a draft into the field, after what stands there."""
        session = self._context.session(request)
        if session.writing:
            raise PersonalError("The model is writing already: stop it first, or wait.")
        photos = list(self._photos(session))
        if not photos:
            raise PersonalError("Add a photo first.")
        writing = session.writing = Writing()
        problem: Updates = {self.notice: ""}
        try:
            steps = self._ask(self._context.assistant, session.owner, photos, category or "", writing.stop)
            yield from self._write(session, writing, steps, text)
        except PersonalError as error:
            problem = {self.notice: render.problem(str(error))}
        finally:
            writing.stop.set()
            superseded = session.writing is not writing
            session.writing = session.writing if superseded else None
        yield {self.notice: gr.skip(), **self.draw(session), **({} if superseded else problem)}

    def _write(self, session: Session, writing: Writing, steps: Steps, text: str) -> Iterator[Updates]:
        before = f"{text.rstrip()}\n" if text.strip() else ""
        looking = {**self._looks(writing=True), self.status: render.busy("Looking …"), self.notice: ""}
        yield from _shown(session, writing, looking)
        said, drawn_at = "", 0.0
        for event in steps:
            updates: Updates = {}
            if isinstance(event, Waiting):
                updates = {self.status: render.busy(render.place(event))}
            elif isinstance(event, TextDelta):
                said = (event.text if event.retracts else said + event.text).lstrip()
                if said and time.perf_counter() - drawn_at > DRAW_EVERY_S:
                    drawn_at = time.perf_counter()
                    updates = {self.field: before + said, self.status: render.busy("Writing …")}
            else:
                whole = event.text if isinstance(event, Answer) else "\n".join(event.attributes)
                updates = {self.field: before + whole if whole else text}
            if updates:
                yield from _shown(session, writing, updates)

    def stop(self, request: gr.Request) -> Updates:
        """End the draft at its next token; what came stays in the field."""
        writing = self._context.session(request).writing
        if writing:
            writing.stop.set()
        return {self.notice: gr.skip()}


def supersede(session: Session) -> None:
    """End what is being written, since its form is drawn anew: none of it reaches the page after this."""
    writing, session.writing = session.writing, None
    if writing:
        writing.stop.set()
        writing.settled.wait(SETTLE_S)


def _shown(session: Session, writing: Writing, updates: Updates) -> Iterator[Updates]:
    """Hand over a part of what is written, unless it was superseded. Gradio comes back when it has been sent."""
    writing.settled.clear()
    try:
        if session.writing is writing:
            yield updates
    finally:
        writing.settled.set()

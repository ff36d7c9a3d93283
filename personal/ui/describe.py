"""The button "Describe it for me" drafts a concept's info from its photo, for the user to edit; it saves nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

from personal.concepts import Answer, Photo, Piece, Waiting
from personal.errors import PersonalError
from personal.ui import render
from personal.ui.desk import Desk, Screen, html, streaming_words
from personal.ui.sessions import Session, Writing

DRAW_EVERY_S = 0.08
SETTLE_S = 1.0


class Describe:
    """The button below the info field of one form, the field itself while it is written, and the line that says how.

    `photo` gives the photo to describe in a session, or None where there is none yet.
    """

    def __init__(self, desk: Desk, photo: Callable[[Session], Photo | None]) -> None:
        self._desk = desk
        self._photo = photo

    def build(self, field: gr.Textbox, name: str) -> None:
        self.field = field
        with gr.Row(elem_classes="describe"):
            self.begin = gr.Button("Describe it for me", size="sm", interactive=False, elem_id=f"{name}-describe")
            self.end = gr.Button("Stop", size="sm", visible=False, elem_id=f"{name}-stop", elem_classes="stop-writing")
            self.status = html(elem_id=f"{name}-describing")
        self.drawn = [self.field, self.begin, self.end, self.status]
        """What `draw` may return."""

    def wire(self, notice: gr.HTML, quiet: dict[str, Any]) -> None:
        self.notice = notice
        self.begin.click(self.write, self.field, **quiet, concurrency_limit=16, trigger_mode="multiple")
        self.end.click(self.stop, None, **quiet, concurrency_limit=16)

    def draw(self, session: Session) -> Screen:
        """The button as it is to be now; the field's text is left alone."""
        if session.writing:
            return self._looks(writing=True)
        generator, photo = self._desk.assistant.generator, self._photo(session)
        sees = generator.sees
        hint = render.describe_hint(generator.name, sees=sees, any_photo=photo is not None)
        return {**self._looks(writing=False, possible=sees and photo is not None), self.status: hint}

    def _looks(self, *, writing: bool, possible: bool = False) -> Screen:
        return {
            self.field: gr.Textbox(interactive=not writing),
            self.begin: gr.Button(visible=not writing, interactive=possible),
            self.end: gr.Button(visible=writing),
        }

    @streaming_words
    def write(self, text: str, request: gr.Request) -> Iterator[Screen]:
        """Write a description into the field, after what stands there."""
        session = self._desk.session(request)
        photo = self._photo(session)
        if session.writing:  # a second click
            yield {self.notice: gr.skip()}
            return
        if photo is None:
            raise PersonalError("Add a photo first: the description is drafted from it.")
        writing = session.writing = Writing()
        problem: Screen = {self.notice: ""}
        try:
            yield from self._write(session, writing, photo, text)
        except PersonalError as error:
            problem = {self.notice: render.problem(str(error))}
        finally:
            writing.stop.set()
            superseded = session.writing is not writing
            session.writing = session.writing if superseded else None
        yield {**self.draw(session), **({} if superseded else problem)}

    def _write(self, session: Session, writing: Writing, photo: Photo, text: str) -> Iterator[Screen]:
        before = f"{text.rstrip()}\n" if text.strip() else ""
        looking = {**self._looks(writing=True), self.status: render.busy("Looking …"), self.notice: ""}
        yield from _shown(session, writing, looking)
        said, drawn_at = "", 0.0
        for event in self._desk.assistant.describe(session.owner, photo, stop=writing.stop):
            screen: Screen = {}
            if isinstance(event, Waiting):
                ahead = render.plural(event.ahead, "answer")
                screen = {self.status: render.busy(f"Waiting: {ahead} before yours.")}
            elif isinstance(event, Piece):
                said = (said + event.text).lstrip()
                if said and time.perf_counter() - drawn_at > DRAW_EVERY_S:
                    drawn_at = time.perf_counter()
                    screen = {self.field: before + said, self.status: render.busy("Writing …")}
            elif isinstance(event, Answer):
                screen = {self.field: before + event.text if event.text else text}
            if screen:
                yield from _shown(session, writing, screen)

    def stop(self, request: gr.Request) -> Screen:
        """End the description at its next token; what came stays in the field."""
        writing = self._desk.session(request).writing
        if writing:
            writing.stop.set()
        return {self.notice: gr.skip()}


def supersede(session: Session) -> None:
    """End what is being written, since its form is drawn anew: none of it reaches the page after this."""
    writing, session.writing = session.writing, None
    if writing:
        writing.stop.set()
        writing.settled.wait(SETTLE_S)


def _shown(session: Session, writing: Writing, screen: Screen) -> Iterator[Screen]:
    """Hand over a part of what is written, unless it was superseded. Gradio comes back when it has been sent."""
    writing.settled.clear()
    try:
        if session.writing is writing:
            yield screen
    finally:
        writing.settled.set()

"""What the tabs share: the Assistant once it is there, the visitor behind a request, uploads, the toast."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar, cast

import gradio as gr

from personal.assistant import Assistant
from personal.compose import Opening
from personal.concepts import Photo
from personal.errors import PersonalError
from personal.images import read_photo
from personal.logs import report
from personal.remember.library import Library
from personal.ui import render
from personal.ui.sessions import Session, Sessions

Screen = dict[Any, Any]
"""Component → its new value."""

F = TypeVar("F", bound=Callable[..., Any])


CLICKS = "(function wait() { window.personal ? personal.clicks(element, trigger) : setTimeout(wait, 30); })()"
"""Hands clicks on `data-act` to the component's `select` event (`assets/app.js`)."""


def html(value: str = "", **more: Any) -> gr.HTML:
    """A piece of the page of our own making, whose clicks arrive as `select` events."""
    return gr.HTML(value, apply_default_css=False, padding=False, **{"js_on_load": CLICKS, **more})


class Desk:
    """The parts that every tab's handlers work with."""

    def __init__(self, opening: Opening, sessions: Sessions) -> None:
        self.opening = opening
        self.settings = opening.settings
        self.sessions = sessions
        self.toast: gr.HTML
        self.elsewhere: list[Any] = []
        self.draw_concepts: Callable[[Session], Screen] = lambda session: {}
        self.begin_concept: Callable[[Session], Screen] = lambda session: {}
        self.draw_all: Callable[[Session], Screen] = lambda session: {}

    @property
    def assistant(self) -> Assistant:
        """The Assistant. Raises PersonalError while it is still being made."""
        assistant = self.opening.assistant
        if assistant is None:
            raise self.opening.error or PersonalError("The app is still getting ready: a moment, please.")
        return assistant

    @property
    def server(self) -> str:
        """The host of the server that answers; empty if a model on this machine does."""
        return self.assistant.generator.server

    @property
    def library(self) -> Library:
        """The concepts on disk, as exports and imports want them."""
        return cast(Library, self.assistant.library)

    def session(self, request: gr.Request) -> Session:
        """What is held of the visitor's page, from the server's own table."""
        session = self.sessions.of(cast(Any, request))
        session.visitor.asked += 1
        return session

    def picture(self, session: Session, concept_id: str, view: str) -> Photo | None:
        """A view of a concept, or None where its file is damaged or gone."""
        try:
            return self.assistant.library.photo(session.owner, concept_id, view)
        except PersonalError:
            return None

    def take(self, upload: Any) -> Photo:
        """Read an uploaded picture and delete the upload: the web server keeps no copy. Raises ImageError."""
        path = _path(upload)
        try:
            knobs = self.settings
            return read_photo(path, max_bytes=knobs.max_bytes, max_pixels=knobs.max_pixels, max_side=knobs.max_side)
        finally:
            discard(path)

    def drop(self, uploads: Iterable[Any]) -> None:
        """Delete uploads unread: there were more than can be taken."""
        for upload in uploads:
            discard(_path(upload))


def _path(upload: Any) -> Path:
    return Path(upload if isinstance(upload, str) else upload["path"])


def discard(path: Path) -> None:
    """Delete an uploaded file, and the folder the web server made for it."""
    path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        path.parent.rmdir()


def words(handler: F) -> F:
    """Show a PersonalError of a handler as words in the tab's `notice`, and change nothing else."""

    @functools.wraps(handler)
    def wrapped(tab: Any, *arguments: Any) -> Screen:
        try:
            return cast(Screen, handler(tab, *arguments)) or {tab.notice: gr.skip()}
        except PersonalError as error:
            report(error)
            return {tab.notice: render.problem(str(error))}

    return cast(F, wrapped)


def streaming_words(handler: F) -> F:
    """The same for a handler that yields."""

    @functools.wraps(handler)
    def wrapped(tab: Any, *arguments: Any) -> Iterator[Screen]:
        try:
            yield from handler(tab, *arguments)
        except PersonalError as error:
            report(error)
            yield {tab.notice: render.problem(str(error))}

    return cast(F, wrapped)

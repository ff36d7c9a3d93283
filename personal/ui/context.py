"""What the tabs share: the Assistant once it is ready, the visitor behind a request, uploads, the toast."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar, cast

import gradio as gr
from gradio.blocks import Block

from personal.assistant import Assistant
from personal.compose import Opening
from personal.concepts import Photo
from personal.errors import PersonalError
from personal.images import read_photo
from personal.logs import report
from personal.photo_library.library import PhotoLibrary
from personal.remember.library import Library
from personal.ui import render
from personal.ui.accounts import Accounts
from personal.ui.scans import Scans
from personal.ui.sessions import Session, Sessions

Updates = dict[Block, Any]
"""Component → its new value, as Gradio's handlers return them."""

F = TypeVar("F", bound=Callable[..., Any])


CLICKS = "(function wait() { window.personal ? personal.clicks(element, trigger) : setTimeout(wait, 30); })()"
"""Passes clicks on `data-act` to the component's `select` event (`assets/app.js`)."""


def html(value: str = "", **more: Any) -> gr.HTML:
    """Return an HTML component whose clicks arrive as `select` events."""
    return gr.HTML(value, apply_default_css=False, padding=False, **{"js_on_load": CLICKS, **more})


class AppContext:
    """What every tab's handlers work with. `toast` is made here and placed by the page."""

    def __init__(self, opening: Opening, sessions: Sessions, accounts: Accounts | None = None) -> None:
        self.opening = opening
        self.settings = opening.settings
        self.sessions = sessions
        self.accounts = accounts or Accounts(opening.settings)
        self.toast = html(elem_id="toast", render=False)
        self.scans = Scans(lambda: self.photos)
        self._photos: PhotoLibrary | None = None

    @property
    def assistant(self) -> Assistant:
        """Return the Assistant. Raises PersonalError while it is still being made."""
        assistant = self.opening.assistant
        if assistant is None:
            raise self.opening.error or PersonalError("The app is still getting ready. Just a moment, please.")
        return assistant

    @property
    def photos(self) -> PhotoLibrary:
        """Return the photos in folders. Raises PersonalError while the Assistant is being made."""
        if self._photos is None or self._photos.assistant is not self.assistant:
            self._photos = PhotoLibrary(self.settings, self.assistant)
        return self._photos

    @property
    def server(self) -> str:
        """Return the host of the server that answers; empty if a model on this machine does."""
        return self.assistant.generator.server

    @property
    def library(self) -> Library:
        """Return the concepts on disk, with the methods that exports and imports need."""
        return cast(Library, self.assistant.library)

    def session(self, request: gr.Request) -> Session:
        """Return the state of the visitor's page, from the server's own table."""
        session = self.sessions.of(cast(Any, request))
        session.visitor.revision += 1
        return session

    def picture(self, session: Session, concept_id: str, view: str) -> Photo | None:
        """Return a view of a concept, or None if its file is damaged or gone."""
        try:
            return self.assistant.library.photo(session.owner, concept_id, view)
        except PersonalError:
            return None

    def take(self, upload: Any) -> Photo:
        """Read an uploaded picture and delete the upload: the web server keeps no copy. Raises ImageError."""
        path = _path(upload)
        try:
            limits = self.settings
            return read_photo(path, max_bytes=limits.max_bytes, max_pixels=limits.max_pixels, max_side=limits.max_side)
        finally:
            discard(path)

    def drop(self, uploads: Iterable[Any]) -> None:
        """Delete uploads unread."""
        for upload in uploads:
            discard(_path(upload))


def _path(upload: Any) -> Path:
    return Path(upload if isinstance(upload, str) else upload["path"])


def discard(path: Path) -> None:
    """Delete an uploaded file, and the folder that the web server made for it."""
    path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        path.parent.rmdir()


def show_errors(handler: F) -> F:
    """Show a PersonalError of a tab's handler in the tab's `notice`, and change nothing else.

    The handler is a method that returns or yields Updates.
    """

    @functools.wraps(handler)
    def returning(tab: Any, *arguments: Any) -> Updates:
        try:
            return cast(Updates, handler(tab, *arguments)) or {tab.notice: gr.skip()}
        except PersonalError as error:
            report(error)
            return {tab.notice: render.problem(str(error))}

    @functools.wraps(handler)
    def yielding(tab: Any, *arguments: Any) -> Iterator[Updates]:
        try:
            yield from handler(tab, *arguments)
        except PersonalError as error:
            report(error)
            yield {tab.notice: render.problem(str(error))}

    return cast(F, yielding if inspect.isgeneratorfunction(handler) else returning)

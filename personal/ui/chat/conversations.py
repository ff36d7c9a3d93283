"""Choosing, starting and deleting conversations."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import gradio as gr

from personal.ui import render
from personal.ui.chat.composer import Composer
from personal.ui.chat.photos import Photos
from personal.ui.context import AppContext, Updates, show_errors
from personal.ui.sessions import Session

DOUBLE_CLICK_S = 0.7
"""A second click on Delete within this time, seconds, is part of the first."""


class Conversations:
    """The components and handlers; `draw_all` draws the whole tab."""

    def __init__(
        self, context: AppContext, photos: Photos, composer: Composer, draw_all: Callable[[Session], Updates]
    ) -> None:
        self._context = context
        self._photos = photos
        self._composer = composer
        self._draw_all = draw_all

    def build(self) -> None:
        """Make the components."""
        with gr.Row(elem_classes="talks"):
            self.chooser = gr.Dropdown(label="Conversation", show_label=False, container=False, scale=4)
            self.fresh = gr.Button("New", size="sm", scale=0, min_width=70)
            self.delete = gr.Button("Delete", size="sm", scale=0, min_width=70)
        self.drawn = [self.chooser]
        """What `draw` may return."""

    def wire(self, quiet: dict[str, Any]) -> None:
        """Connect the handlers."""
        self.notice = self._composer.notice
        self.chooser.input(self.choose, self.chooser, preprocess=False, **quiet)  # the choices are the visitor's own
        self.fresh.click(self.begin, None, **quiet)
        self.delete.click(self.drop, None, **quiet)

    def draw(self, session: Session) -> Updates:
        """Return the conversations by their titles, the newest first."""
        talk = session.conversation
        titles = [(one.title[:60], one.id) for one in session.history.all()]
        if talk.id not in {one for _, one in titles}:
            titles = [(talk.title, talk.id), *titles]
        return {self.chooser: gr.Dropdown(choices=titles, value=talk.id)}

    @show_errors
    def choose(self, conversation_id: str, request: gr.Request) -> Updates:
        """Show another conversation."""
        return self._show(self._context.session(request), conversation_id)

    def _show(self, session: Session, conversation_id: str) -> Updates:
        """Show a conversation: what is typed goes along, unless it is an edited question of the one before."""
        left = session.conversation
        emptied = None if left.editing is None else ""
        left.editing = None
        session.current = conversation_id
        if session.conversation.active not in session.conversation.findings:  # a sample's photo waits to be looked at
            self._photos.look_again(session)
        field = self._composer.field(session.conversation, emptied)
        return {**self._draw_all(session), self.notice: "", self._composer.box: field}

    @show_errors
    def begin(self, request: gr.Request) -> Updates:
        """Start a new conversation, unless the last one is still empty."""
        session = self._context.session(request)
        return self._show(session, session.history.blank().id)

    @show_errors
    def drop(self, request: gr.Request) -> Updates:
        """Delete the conversation; it can be brought back."""
        session = self._context.session(request)
        gone = session.conversation
        now = time.monotonic()
        if gone.blank or now - session.deleted_at < DOUBLE_CLICK_S:
            return {}
        session.deleted_at = now
        restore = session.history.delete(gone.id)
        session.current = session.history.latest().id

        def back() -> str:
            restore()
            session.current = gone.id
            return "The conversation is back."

        session.undo = back
        return {
            **self._draw_all(session),
            self._context.toast: render.toast("The conversation was deleted.", undo=True),
        }

"""The tab: the thread of a conversation with the composer below it; what was recognised stands beside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from personal.concepts import Concept, Photo
from personal.ui import render, samples
from personal.ui.chat.asking import Asking
from personal.ui.chat.composer import Composer
from personal.ui.chat.conversations import Conversations
from personal.ui.chat.panel import Panel
from personal.ui.chat.photos import Photos
from personal.ui.concepts import Concepts
from personal.ui.context import AppContext, Updates, html, show_errors
from personal.ui.sessions import Session

CORRECTIONS = ("is", "not", "mark")
"""Clicks at a photo by which what was recognised in it is confirmed, denied or added."""


class Chat:
    """The tab's components and handlers."""

    def __init__(self, context: AppContext, concepts: Concepts) -> None:
        self._context = context
        self._concepts = concepts
        self.photos = Photos(context)
        self.composer = Composer(context, self.photos, self.draw)
        self.conversations = Conversations(context, self.photos, self.composer, self.draw)
        self.asking = Asking(context, self.photos, self.composer, self.draw)
        self.panel = Panel(context, concepts, self.photos, self.draw, self.asking.again_about)

    def build(self) -> None:
        """Make the components."""
        with gr.Row(elem_classes="chat", equal_height=False):
            self.conversations.build()
            with gr.Column(scale=3, min_width=320, elem_classes="talk"):
                self.conversations.build_bar()
                self.log = html(elem_id="log")
                self.asking.build_answer()
                with gr.Column(elem_classes="composer"):
                    self.asking.build_questions()
                    self.composer.build()
                self.composer.build_camera()
            with gr.Column(scale=2, min_width=300, elem_classes="beside"):
                self.panel.build(self.composer.notice)
        self.notice = self.composer.notice
        self.drawn = [self.log, *self.asking.drawn, *self.composer.drawn, *self.conversations.drawn, *self.panel.drawn]
        """What `draw` may return."""

    def wire(self, tabs: gr.Tabs) -> None:
        """Connect the handlers; `tabs` is what "Open" switches."""
        self._tabs = tabs
        fields = [*self.panel.fields, *self.composer.fields, *self.conversations.fields]
        drawn = [*self.drawn, *fields, self._context.toast]
        quiet: dict[str, Any] = {"outputs": drawn, "show_progress": "hidden", "api_visibility": "private"}
        asking: dict[str, Any] = {**quiet, "trigger_mode": "multiple"}
        clicks: dict[str, Any] = {**asking, "outputs": [*drawn, tabs, *self._concepts.drawn]}
        self.composer.wire(quiet)
        self.asking.wire(quiet, asking)
        self.log.select(self.on_log, None, **clicks)
        self.composer.drafts.select(self.on_drafts, None, **clicks)
        self.panel.wire(tabs, quiet, clicks)
        self.conversations.wire(quiet)

    def draw(self, session: Session) -> Updates:
        """Return everything the tab shows, from the session; what is shown is kept."""
        talk = session.conversation
        session.history.keep(talk)
        concepts = self._known(session)
        return {
            self.log: render.log(talk, concepts, self._examples()),
            **self.composer.draw(talk),
            **self.conversations.draw(session),
            **self.asking.draw(talk),
            **self.panel.draw(session, talk, concepts),
        }

    def _examples(self) -> list[tuple[Photo, str]]:
        found = samples.read_samples()
        return list(zip(found.photos, found.questions, strict=True))

    def _known(self, session: Session) -> dict[str, Concept]:
        return {concept.id: concept for concept in self._context.assistant.concepts(session.owner)}

    @show_errors
    def on_log(self, event: gr.EventData, request: gr.Request) -> Iterator[Updates]:
        """Do what was clicked in the conversation."""
        session = self._context.session(request)
        talk, data = session.conversation, event._data
        if data.get("act") == "samples":
            yield {self.log: render.busy("Getting the samples ready …")}
            said = samples.remember(self._context.assistant, session)
            self.photos.look_again(session)
            yield {**self.draw(session), self._context.toast: render.toast(said)}
        elif data.get("act") == "example" and str(data.get("example", "")).isdigit():
            yield {self.log: render.busy("Getting the samples ready …")}
            question = samples.begin_example(self._context.assistant, session, int(data["example"]))
            self.photos.look_again(session)
            yield from self.asking.ask(question, request)
        elif data.get("act") == "first":
            yield {self._tabs: gr.Tabs(selected="concepts"), **self._concepts.new.open(session)}
        elif data.get("act") == "photo":
            talk.activate(str(data.get("photo")))
            yield self.draw(session)
        elif data.get("act") in CORRECTIONS:
            yield from self.panel.click(session, data)
        elif data.get("act") == "edit" and str(data.get("entry", "")).isdigit() and talk.answering is None:
            number = int(data["entry"])
            if number < len(talk.entries):
                talk.editing, photos = number, talk.entries[number].turn.photos
                talk.active = photos[-1].sha256 if photos else talk.active
                field = self.composer.field(talk, talk.entries[number].turn.question)
                yield {**self.draw(session), self.composer.box: field}
        elif data.get("act") in ("rate", "remark"):
            yield self.conversations.rate(session, data)
        elif data.get("act") == "again" and talk.entries and talk.answering is None:
            yield from self.asking.again(session, talk, talk.entries[-1], temperature=0.7)

    @show_errors
    def on_drafts(self, event: gr.EventData, request: gr.Request) -> Iterator[Updates]:
        """Do what was clicked at the photos that wait for a question."""
        session = self._context.session(request)
        if event._data.get("act") in CORRECTIONS:
            yield from self.panel.click(session, event._data)
        else:
            yield self.composer.click(session, event._data)

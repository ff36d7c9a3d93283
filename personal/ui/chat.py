"""The Chat tab: a conversation about photos; what was recognised in them stands beside it (`personal.ui.panel`).

Handlers check, call one Assistant method and draw. What they know of a visitor comes from the server's session; what a
click sends (`data-act` and its data) is only ever looked up in that session.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr

from personal.assistant import FROM_FINDINGS
from personal.concepts import Answer, Concept, Look, Match, Photo, Turn, Waiting
from personal.errors import PersonalError
from personal.findings import gather
from personal.generate.fair_queue import PENDING_MAX
from personal.ui import render, samples
from personal.ui.desk import Desk, Screen, html, streaming_words, words
from personal.ui.panel import Panel
from personal.ui.sessions import Conversation, Entry, Session

DRAW_EVERY_S = 0.08
DOUBLE_CLICK_S = 0.7
WHO = "Who is here?"
QUESTION_MAX = 4000
DRAFT_PHOTOS, DRAFT_BYTES = 20, 50 * 2**20
"""Photos that can wait for one question, in number and in bytes."""


class Chat:
    """The tab's components and handlers."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._taking = threading.Lock()
        self.panel = Panel(desk, self.draw, self._again_about)

    def build(self) -> None:
        with gr.Row(elem_classes="chat", equal_height=False):
            with gr.Column(scale=3, min_width=320, elem_classes="talk"):
                with gr.Row(elem_classes="talks"):
                    self.chooser = gr.Dropdown(label="Conversation", show_label=False, container=False, scale=4)
                    self.fresh = gr.Button("New", size="sm", scale=0, min_width=70)
                    self.delete = gr.Button("Delete", size="sm", scale=0, min_width=70)
                self.log = html(elem_id="log")
                self.live = html(elem_id="live")
                with gr.Row(elem_classes="quick"):
                    self.who = gr.Button(WHO, size="sm")
                    self.caption = gr.Button("Describe the photo", size="sm")
                    self.doing = gr.Button("What is happening?", size="sm")
                self.notice = html(elem_id="notice")
                self.drafts = html(elem_id="drafts")
                self.box = gr.MultimodalTextbox(
                    file_count="multiple",
                    sources=["upload"],
                    placeholder="Ask about your photo …",
                    show_label=False,
                    label="Your question",
                    elem_id="ask",
                    max_lines=6,
                    html_attributes=gr.InputHTMLAttributes(autocapitalize="sentences"),
                )
                self.dropped = gr.File(file_count="multiple", label="Photos", elem_id="dropped")
                with gr.Accordion("Take a photo", open=False, elem_classes="camera"):
                    self.camera = gr.Image(
                        sources=["webcam"], type="filepath", show_label=False, label="Camera", buttons=[], height=240
                    )
            with gr.Column(scale=2, min_width=300, elem_classes="beside"):
                self.panel.build(self.notice)

        self.drawn = [self.log, self.live, self.drafts, self.chooser, self.doing, self.box, *self.panel.drawn]
        """What `draw` may return."""

    def wire(self, tabs: gr.Tabs) -> None:
        """Connect the handlers; `tabs` is what "Open" switches."""
        self._tabs = tabs
        drawn = [*self.drawn, *self.panel.fields, self.notice, self.camera, self.dropped, self._desk.toast]
        quiet: dict[str, Any] = {"outputs": drawn, "show_progress": "hidden", "api_visibility": "private"}
        asking: dict[str, Any] = {**quiet, "trigger_mode": "multiple"}  # of one conversation while another is answered
        self.box.submit(self.submit, self.box, **asking)
        self.box.change(None, self.box, self.dropped, js="(value) => personal.take(value)", show_progress="hidden")
        taken = self.dropped.change(self.receive, self.dropped, **quiet, trigger_mode="multiple")
        taken.then(None, js="() => personal.taken()")
        self.box.stop(self.stop, None, **quiet)
        self.camera.input(self.shoot, self.camera, **quiet)
        clicks: dict[str, Any] = {**asking, "outputs": [*drawn, *self._desk.elsewhere]}
        self.log.select(self.on_log, None, **clicks)
        self.drafts.select(self.on_drafts, None, **quiet)
        self.panel.wire(tabs, quiet, clicks)
        self.who.click(self.ask_who, None, **quiet)
        self.caption.click(self.ask_caption, None, **asking)
        self.doing.click(self.ask_doing, None, **asking)
        self.chooser.input(self.choose, self.chooser, preprocess=False, **quiet)  # the choices are the visitor's own
        self.fresh.click(self.begin, None, **quiet)
        self.delete.click(self.drop, None, **quiet)

    # -- drawing -----------------------------------------------------------------------------------------------------

    def draw(self, session: Session) -> Screen:
        """Everything the tab shows, from the session."""
        talk = session.conversation
        concepts = self._concepts(session)
        titles = [(c.title[:60], c.id) for c in reversed(session.conversations)]
        screen: Screen = {
            self.log: render.log(talk, concepts),
            self.drafts: render.drafts(talk),
            self.chooser: gr.Dropdown(choices=titles, value=talk.id),
            self.doing: self._doing(talk),
            self.box: self._field(talk),
            **self.panel.draw(session, talk, concepts),
        }
        if talk.answering is None:
            screen[self.live] = ""
        return screen

    def _field(self, talk: Conversation, text: str | None = None) -> Any:
        """The question's field, with the button that fits; its words stay where no `text` is given."""
        value: dict[str, Any] = {} if text is None else {"value": {"text": text, "files": []}}
        return gr.MultimodalTextbox(submit_btn=talk.answering is None, stop_btn=talk.answering is not None, **value)

    def _concepts(self, session: Session) -> dict[str, Concept]:
        return {concept.id: concept for concept in self._desk.assistant.concepts(session.owner)}

    def _doing(self, talk: Conversation) -> Any:
        names = [match.concept.name for match in self._seen(talk)]
        return gr.Button(f"What is {names[0][:24]} doing?" if names else "What is happening?")

    def _seen(self, talk: Conversation) -> tuple[Match, ...]:
        """The matches in the panel's photo that are called by their names."""
        found = talk.findings.get(talk.active or "")
        return found.seen if found else ()

    # -- photos ------------------------------------------------------------------------------------------------------

    @words
    def receive(self, files: list[Any] | None, request: gr.Request) -> Screen:
        """A photo was dropped: recognise what is in it before anything is asked."""
        if not files:
            return {}
        session = self._desk.session(request)
        problems = self._take(session, files)
        problems += [f"{photo.hint.capitalize()}." for photo in session.conversation.draft if photo.hint]
        return {**self.draw(session), self.dropped: None, self.notice: render.problem(" ".join(problems))}

    @words
    def shoot(self, file: str | None, request: gr.Request) -> Screen:
        """A picture was taken with the camera."""
        if not file:
            return {}
        session = self._desk.session(request)
        problems = self._take(session, [file])
        return {**self.draw(session), self.camera: None, self.notice: render.problem(" ".join(problems))}

    def _take(self, session: Session, files: list[Any]) -> list[str]:
        talk, problems, session.deleted_at = session.conversation, [], 0.0
        for number, file in enumerate(files):
            if len(talk.draft) >= DRAFT_PHOTOS or sum(len(photo.jpeg) for photo in talk.draft) >= DRAFT_BYTES:
                problems.append(f"{len(talk.draft)} photos are the most for one question. The others were left out.")
                self._desk.drop(files[number:])
                break
            try:
                with self._taking:
                    if not Path(file).exists():  # one drop can arrive twice, also with a question
                        continue
                    photo = self._desk.take(file)
                    if photo.sha256 not in {p.sha256 for p in talk.draft}:
                        talk.draft.append(photo)
            except PersonalError as error:
                problems.append(str(error))
                continue
            self.panel.show(session, talk, photo)
        return problems

    # -- asking ------------------------------------------------------------------------------------------------------

    def submit(self, value: dict[str, Any], request: gr.Request) -> Iterator[Screen]:
        """Enter was pressed."""
        text, files = (value or {}).get("text") or "", (value or {}).get("files") or []
        yield from self.ask(text, request, files)

    @streaming_words
    def ask(self, text: str, request: gr.Request, files: list[Any] | None = None) -> Iterator[Screen]:
        """Answer a question about the drafted photos, or go on about the earlier ones."""
        session = self._desk.session(request)
        talk, text = session.conversation, text.strip()
        problems = self._take(session, files or [])
        keep = {self.box: self._field(talk, text)}
        if talk.answering is not None:
            problems.append("The last answer is still being written: stop it first, or wait.")
        elif sum(one.answering is not None for one in session.conversations) >= PENDING_MAX:
            problems.append(f"You have {PENDING_MAX} questions waiting. Wait for an answer, or stop one.")
        elif len(text) > QUESTION_MAX:
            problems.append(
                f"That is {len(text):,} characters; a question can have {QUESTION_MAX:,}. Please shorten it."
            )
        elif not text:
            problems.append(f"Type a question, or press “{WHO}”.")
        if problems:
            yield {**self.draw(session), **keep, self.notice: render.problem(" ".join(problems))}
            return
        if _plain(text) == _plain(WHO) and talk.photos:  # typed or pressed, it is the same question
            self._say_who(session, talk, self._entry(talk, WHO))
            yield {**self.draw(session), self.box: self._field(talk, ""), self.notice: ""}
            return
        yield from self._answer(session, talk, self._entry(talk, text), {self.box: self._field(talk, "")})

    def _about(self, talk: Conversation) -> tuple[Photo, ...]:
        """List the photos that the next question comes with: new ones, or that in the panel if it is an earlier one."""
        before = talk.entries if talk.editing is None else talk.entries[: talk.editing]
        photos = tuple(talk.draft)
        if talk.editing is not None:
            photos = (*talk.entries[talk.editing].turn.photos, *photos)
        last = [photo for entry in before for photo in entry.turn.photos][-1:]
        active = talk.photo(talk.active)
        if not photos and active and talk.editing is None and active not in last:
            return (active,)
        return photos

    def _entry(self, talk: Conversation, question: str) -> Entry:
        photos = self._about(talk)
        if talk.editing is not None:
            del talk.entries[talk.editing :]
            talk.editing = None
        talk.draft = []
        entry = Entry(Turn(question, photos))
        talk.entries.append(entry)
        if talk.photo(talk.active) is None:  # it was of a question that the edited one replaced
            talk.active = talk.photos[-1].sha256 if talk.photos else None
        return entry

    def _answer(
        self,
        session: Session,
        talk: Conversation,
        entry: Entry,
        more: Screen | None = None,
        *,
        temperature: float = 0.0,
    ) -> Iterator[Screen]:
        """Write the answer of an entry; the first screen shows `more`, too."""
        talk.answering, talk.stop = entry, threading.Event()
        stop = talk.stop
        entry.answer, entry.error = None, ""
        turns = [e.turn for e in talk.entries if e is not entry and e.answer] + [entry.turn]
        concepts = self._concepts(session)
        look = Look()
        text, drawn_at, began = "", 0.0, time.perf_counter()
        try:
            looking = {**self.draw(session), self.live: render.live("", "Looking …", {}, {}), self.notice: ""}
            yield {**looking, **(more or {})}
            for event in self._desk.assistant.answer(
                session.owner, turns, stop=stop, findings=dict(talk.findings), temperature=temperature
            ):
                screen: Screen = {}
                if isinstance(event, Look):
                    look = event
                    self._looked(talk, look)
                    screen = {**self.draw(session), self.live: render.live("", "Thinking …", {}, {})}
                elif isinstance(event, Waiting):
                    screen = {self.live: render.live("", render.place(event), {}, {})}
                elif isinstance(event, Answer):
                    entry.answer = event
                else:
                    text = event.text if event.retracts else text + event.text
                    if time.perf_counter() - drawn_at > DRAW_EVERY_S:
                        drawn_at = time.perf_counter()
                        screen = {self.live: render.live(text, "", concepts, talk.colours)}
                if screen:  # what another conversation shows stays, but a page that left is noticed
                    yield screen if session.conversation is talk else {self.notice: gr.skip()}
        except PersonalError as error:
            entry.error = str(error)
        finally:
            stop.set()
            talk.answering = None
            if entry.answer is None and text:
                seconds = time.perf_counter() - began
                entry.answer = Answer(text, look, "", 0, None, seconds, stopped=True)
            entry.turn = replace(entry.turn, answer=entry.answer.text if entry.answer else "")
            session.visitor.asked += 1  # a tab that is being drawn meanwhile knows nothing of this
        yield self.draw(session)

    def _looked(self, talk: Conversation, look: Look) -> None:
        for match in look.matches:
            talk.colour(match.concept.id)
        for found in look.photos:
            talk.found(found)

    def stop(self, request: gr.Request) -> Screen:
        """End the running answer at its next token."""
        self._desk.session(request).conversation.stop.set()
        return {self.notice: gr.skip()}

    @words
    def ask_who(self, request: gr.Request) -> Screen:
        """Say who is in the photo, from recognition alone: no language model is asked."""
        session = self._desk.session(request)
        talk = session.conversation
        if talk.answering is not None:
            return {self.notice: render.problem("The last answer is still being written: stop it first, or wait.")}
        if not talk.photos:
            return {self.notice: render.problem("Drop a photo first.")}
        self._say_who(session, talk, self._entry(talk, WHO))
        return {**self.draw(session), self.notice: ""}

    def _say_who(self, session: Session, talk: Conversation, entry: Entry) -> None:
        """Answer an entry by what is recognised in its photos."""
        entry.error = ""
        try:
            photos = self._seen_with(talk, entry)
            looks = [self.panel.look(session, talk, photo) for photo in photos]
        except PersonalError as error:
            entry.error = str(error)
            return
        look = Look(tuple(found for look in looks for found in look.photos), (), sum(look.seconds for look in looks))
        said = gather(WHO, look.photos, ()).answer() or ""
        entry.answer = Answer(said, look, FROM_FINDINGS, 0, None, look.seconds)
        entry.turn = replace(entry.turn, answer=said)
        self._looked(talk, look)

    def _seen_with(self, talk: Conversation, entry: Entry) -> tuple[Photo, ...]:
        """List the photos that a question is about: its own, or else the one before it."""
        before = talk.entries[: talk.entries.index(entry)]
        return entry.turn.photos or tuple([photo for one in before for photo in one.turn.photos][-1:])

    def ask_caption(self, request: gr.Request) -> Iterator[Screen]:
        """Ask for a description."""
        yield from self.ask("Describe the photo.", request)

    def ask_doing(self, request: gr.Request) -> Iterator[Screen]:
        """Ask what the first concept of the photo does."""
        talk = self._desk.session(request).conversation
        matches = self._seen(talk)
        question = f"What is {matches[0].concept.tag} doing?" if matches else "What is happening in this photo?"
        yield from self.ask(question, request)

    # -- clicks ------------------------------------------------------------------------------------------------------

    @streaming_words
    def on_log(self, event: gr.EventData, request: gr.Request) -> Iterator[Screen]:
        """Something in the conversation was clicked."""
        session = self._desk.session(request)
        talk, data = session.conversation, event._data
        if data.get("act") == "samples":
            yield {self.log: render.busy("Remembering the samples …")}
            said = samples.remember(self._desk.assistant, session)
            yield {**self.draw(session), self._desk.toast: render.toast(said)}
        elif data.get("act") == "first":
            yield {self._tabs: gr.Tabs(selected="concepts"), **self._desk.begin_concept(session)}
        elif data.get("act") == "photo":
            yield self._activate(session, str(data.get("photo")))
        elif data.get("act") == "edit" and str(data.get("entry", "")).isdigit() and talk.answering is None:
            number = int(data["entry"])
            if number < len(talk.entries):
                talk.editing, photos = number, talk.entries[number].turn.photos
                talk.active = photos[-1].sha256 if photos else talk.active
                yield {**self.draw(session), self.box: self._field(talk, talk.entries[number].turn.question)}
        elif data.get("act") == "again" and talk.entries and talk.answering is None:
            yield from self._again(session, talk, talk.entries[-1], temperature=0.7)

    def _again(
        self, session: Session, talk: Conversation, entry: Entry, *, temperature: float = 0.0
    ) -> Iterator[Screen]:
        """Answer a question again, by whom it was answered before."""
        if _plain(entry.turn.question) == _plain(WHO):
            self._say_who(session, talk, entry)
            yield self.draw(session)
        else:
            yield from self._answer(session, talk, entry, temperature=temperature)

    def _again_about(self, session: Session, talk: Conversation, photo: Photo) -> Iterator[Screen]:
        """Answer the last question again where it is about a photo of which something was said just now."""
        last = talk.entries[-1] if talk.entries else None
        if last and last.answer and talk.answering is None and photo in self._seen_with(talk, last):
            yield from self._again(session, talk, last)

    def _activate(self, session: Session, sha256: str) -> Screen:
        talk = session.conversation
        if talk.photo(sha256):
            talk.active, talk.marked = sha256, None
        return self.draw(session)

    @words
    def on_drafts(self, event: gr.EventData, request: gr.Request) -> Screen:
        """A drafted photo was chosen or dropped, or an edit given up."""
        session = self._desk.session(request)
        talk, data = session.conversation, event._data
        if data.get("act") == "photo":
            return self._activate(session, str(data.get("photo")))
        if data.get("act") == "undraft":
            talk.draft = [p for p in talk.draft if p.sha256 != data.get("photo")]
            if talk.photo(talk.active) is None:
                talk.active, talk.marked = (talk.photos[-1].sha256 if talk.photos else None), None
        if data.get("act") == "unedit":
            talk.editing = None
            return {**self.draw(session), self.box: self._field(talk, "")}
        return self.draw(session)

    # -- conversations -----------------------------------------------------------------------------------------------

    @words
    def choose(self, conversation_id: str, request: gr.Request) -> Screen:
        return self._turn_to(self._desk.session(request), conversation_id)

    def _turn_to(self, session: Session, conversation_id: str) -> Screen:
        """Show another conversation: what is typed goes along, unless it is an edited question of the one before."""
        left = session.conversation
        emptied = None if left.editing is None else ""
        left.editing = None
        session.current = conversation_id
        return {**self.draw(session), self.notice: "", self.box: self._field(session.conversation, emptied)}

    @words
    def begin(self, request: gr.Request) -> Screen:
        """Start a new conversation, unless the last one is still empty."""
        session = self._desk.session(request)
        if session.conversations[-1].photos or session.conversations[-1].entries:
            session.conversations.append(Conversation())
        return self._turn_to(session, session.conversations[-1].id)

    @words
    def drop(self, request: gr.Request) -> Screen:
        """Delete the conversation, with a way back."""
        session = self._desk.session(request)
        gone = session.conversation
        now = time.monotonic()
        if (not gone.entries and not gone.photos) or now - session.deleted_at < DOUBLE_CLICK_S:
            return {}
        session.deleted_at = now
        gone.stop.set()
        place = session.conversations.index(gone)
        session.conversations[:] = [c for c in session.conversations if c is not gone] or [Conversation()]
        session.current = session.conversations[-1].id

        def back() -> str:
            session.conversations.insert(place, gone)
            session.current = gone.id
            return "The conversation is back."

        session.undo = back
        return {**self.draw(session), self._desk.toast: render.toast("The conversation was deleted.", undo=True)}


def _plain(question: str) -> str:
    return question.strip(" ?!.").casefold()

"""Asking: a question becomes an entry, and its answer is streamed into the thread."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import gradio as gr

from personal.assistant import FROM_FINDINGS
from personal.concepts import Answer, Look, Match, Photo, TextDelta, Turn, Waiting
from personal.conversations import Conversation, Entry
from personal.errors import PersonalError
from personal.findings import gather
from personal.generate.fair_queue import PENDING_MAX
from personal.logs import report
from personal.ui import render
from personal.ui.chat.composer import Composer
from personal.ui.chat.photos import Photos
from personal.ui.context import AppContext, Updates, html, show_errors
from personal.ui.sessions import Session

DRAW_EVERY_S = 0.08
"""Shortest time between two drawings of a growing answer, seconds."""
QUESTION_MAX = 4000
"""Characters of a question."""
WHO = "Who is here?"
STILL_ANSWERING = "Still answering. Stop it or wait."


@dataclass
class Growing:
    """An answer that is being written: what was found for it, its text so far, and when that was drawn last."""

    look: Look = field(default_factory=Look)
    text: str = ""
    drawn_at: float = 0.0
    began: float = field(default_factory=time.perf_counter)


class Asking:
    """The components and handlers; `draw_all` draws the whole tab."""

    def __init__(
        self, context: AppContext, photos: Photos, composer: Composer, draw_all: Callable[[Session], Updates]
    ) -> None:
        self._context = context
        self._photos = photos
        self._composer = composer
        self._draw_all = draw_all

    def build_answer(self) -> None:
        """Make the place of a growing answer."""
        self.live = html(elem_id="live")

    def build_questions(self) -> None:
        """Make the buttons for common questions."""
        with gr.Row(elem_classes="quick"):
            self.who = gr.Button(WHO, size="sm")
            self.caption = gr.Button("Describe the photo", size="sm")
            self.doing = gr.Button("What is happening?", size="sm")
        self.drawn = [self.live, self.doing]
        """What `draw` may return."""

    def wire(self, quiet: dict[str, Any], asking: dict[str, Any]) -> None:
        """Connect the handlers; one conversation can be asked while another is answered."""
        self.notice = self._composer.notice
        self._composer.box.submit(self.submit, self._composer.box, **asking)
        self._composer.box.stop(self.stop, None, **quiet)
        self.who.click(self.ask_who, None, **quiet)
        self.caption.click(self.ask_caption, None, **asking)
        self.doing.click(self.ask_doing, None, **asking)

    def draw(self, talk: Conversation) -> Updates:
        """Return the buttons for questions, and no growing answer where none is being written."""
        names = [match.concept.name for match in _seen(talk)]
        updates: Updates = {self.doing: gr.Button(f"What is {names[0][:24]} doing?" if names else "What is happening?")}
        if talk.answering is None:
            updates[self.live] = ""
        return updates

    # -- questions ---------------------------------------------------------------------------------------------------

    def submit(self, value: dict[str, Any], request: gr.Request) -> Iterator[Updates]:
        """Ask what was typed."""
        text, files = (value or {}).get("text") or "", (value or {}).get("files") or []
        yield from self.ask(text, request, files)

    @show_errors
    def ask(self, text: str, request: gr.Request, files: list[Any] | None = None) -> Iterator[Updates]:
        """Answer a question about the photos that wait, or go on about the earlier ones."""
        session = self._context.session(request)
        talk, text, box = session.conversation, text.strip(), self._composer.box
        problems = self._photos.take(session, files or [])
        keep: Updates = {box: self._composer.field(talk, text)}
        who = _plain(text) == _plain(WHO) and bool(talk.photos)  # typed or pressed, it is the same question
        with talk.turn:
            problems += self.refusal(session, talk, text)
            entry = None if problems else self._entry(talk, WHO if who else text)
            if entry and not who:
                talk.answering, talk.stop = entry, threading.Event()
        if entry is None:
            yield {**self._draw_all(session), **keep, self.notice: render.problem(" ".join(problems))}
        elif who:
            self._say_who(session, talk, entry)
            yield {**self._draw_all(session), box: self._composer.field(talk, ""), self.notice: ""}
        else:
            yield from self._answer(session, talk, entry, {box: self._composer.field(talk, "")})

    def refusal(self, session: Session, talk: Conversation, text: str) -> list[str]:
        """Return why a question cannot be asked now; nothing where it can."""
        if talk.answering is not None:
            return [STILL_ANSWERING]
        if sum(one.answering is not None for one in session.history.live()) >= PENDING_MAX:
            return [f"You have {PENDING_MAX} questions waiting. Wait for an answer, or stop one."]
        if len(text) > QUESTION_MAX:
            return [f"That is {len(text):,} characters; a question can have {QUESTION_MAX:,}. Please shorten it."]
        return [] if text else [f"Type a question, or press “{WHO}”."]

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

    # -- answers -----------------------------------------------------------------------------------------------------

    def _answer(
        self,
        session: Session,
        talk: Conversation,
        entry: Entry,
        more: Updates | None = None,
        *,
        temperature: float = 0.0,
    ) -> Iterator[Updates]:
        """Write the answer of an entry; the first updates show `more`, too."""
        if talk.answering is not entry:
            talk.answering, talk.stop = entry, threading.Event()
        entry.answer, entry.error = None, ""
        turns = [e.turn for e in talk.entries if e is not entry and e.answer] + [entry.turn]
        growing = Growing()
        try:
            looking = render.live("", "Looking …", {}, {})
            yield {**self._draw_all(session), self.live: looking, self.notice: "", **(more or {})}
            for event in self._context.assistant.answer(
                session.owner, turns, stop=talk.stop, findings=dict(talk.findings), temperature=temperature
            ):
                updates = self._follow(session, talk, entry, growing, event)
                if updates:  # what another conversation shows stays, but a page that left is noticed
                    yield updates if session.conversation is talk else {self.notice: gr.skip()}
        except PersonalError as error:
            entry.error = str(error)
            report(error)
        finally:
            talk.stop.set()
            talk.answering = None
            if entry.answer is None and growing.text:
                seconds = time.perf_counter() - growing.began
                entry.answer = Answer(growing.text, growing.look, "", 0, None, seconds, stopped=True)
            entry.turn = replace(entry.turn, answer=entry.answer.text if entry.answer else "")
            session.history.keep(talk)
            session.visitor.revision += 1  # a tab that is being drawn meanwhile knows nothing of this
        yield self._draw_all(session)

    def _follow(
        self,
        session: Session,
        talk: Conversation,
        entry: Entry,
        growing: Growing,
        event: Look | Waiting | TextDelta | Answer,
    ) -> Updates:
        """Take the next event of an answer, and return what it changes on the page."""
        if isinstance(event, Answer):
            entry.answer = event
            return {}
        if isinstance(event, Look):
            growing.look = event
            self._looked(talk, event)
            return {**self._draw_all(session), self.live: self._draw_live(session, talk, entry, growing, "Thinking …")}
        if isinstance(event, Waiting):
            return {self.live: self._draw_live(session, talk, entry, growing, render.place(event))}
        growing.text = event.text if event.retracts else growing.text + event.text
        if time.perf_counter() - growing.drawn_at < DRAW_EVERY_S:
            return {}
        growing.drawn_at = time.perf_counter()
        return {self.live: self._draw_live(session, talk, entry, growing)}

    def _draw_live(self, session: Session, talk: Conversation, entry: Entry, growing: Growing, status: str = "") -> str:
        assistant, look = self._context.assistant, growing.look
        return render.live(
            growing.text,
            status,
            {concept.id: concept for concept in assistant.concepts(session.owner)},
            talk.colours,
            statement=None if assistant.generator.single_turn else look.statement,
            recognised=talk.recognised(entry, look),
            model=assistant.generator.name,
        )

    def _looked(self, talk: Conversation, look: Look) -> None:
        for match in look.matches:
            talk.colour(match.concept.id)
        for found in look.photos:
            talk.found(found)

    def stop(self, request: gr.Request) -> Updates:
        """End the running answer at its next token."""
        self._context.session(request).conversation.stop.set()
        return {self.notice: gr.skip()}

    # -- questions that have a button --------------------------------------------------------------------------------

    @show_errors
    def ask_who(self, request: gr.Request) -> Updates:
        """Say who is in the photo, from recognition alone: no language model is asked."""
        session = self._context.session(request)
        talk = session.conversation
        if talk.answering is not None:
            return {self.notice: render.problem(STILL_ANSWERING)}
        if not talk.photos:
            return {self.notice: render.problem("Add a photo first.")}
        self._say_who(session, talk, self._entry(talk, WHO))
        return {**self._draw_all(session), self.notice: ""}

    def _say_who(self, session: Session, talk: Conversation, entry: Entry) -> None:
        """Answer an entry by what is recognised in its photos."""
        entry.error = ""
        try:
            looks = [self._photos.look(session, talk, photo) for photo in talk.about(entry)]
        except PersonalError as error:
            entry.error = str(error)
            return
        photos = tuple(found for look in looks for found in look.photos)
        findings = gather(WHO, photos, ())
        look = Look(photos, (), sum(look.seconds for look in looks), findings.statement())
        said = findings.answer() or ""
        entry.answer = Answer(said, look, FROM_FINDINGS, 0, None, look.seconds)
        entry.turn = replace(entry.turn, answer=said)
        self._looked(talk, look)

    def ask_caption(self, request: gr.Request) -> Iterator[Updates]:
        """Ask for a description."""
        yield from self.ask("Describe the photo.", request)

    def ask_doing(self, request: gr.Request) -> Iterator[Updates]:
        """Ask what the first concept of the photo does."""
        talk = self._context.session(request).conversation
        matches = _seen(talk)
        question = f"What is {matches[0].concept.tag} doing?" if matches else "What is happening in this photo?"
        yield from self.ask(question, request)

    # -- once more ---------------------------------------------------------------------------------------------------

    def again(
        self, session: Session, talk: Conversation, entry: Entry, *, temperature: float = 0.0
    ) -> Iterator[Updates]:
        """Answer a question again, by whom it was answered before."""
        if _plain(entry.turn.question) == _plain(WHO):
            self._say_who(session, talk, entry)
            yield self._draw_all(session)
        else:
            yield from self._answer(session, talk, entry, temperature=temperature)

    def again_about(self, session: Session, talk: Conversation, photo: Photo) -> Iterator[Updates]:
        """Answer the last question again if it is about a photo of which something was corrected just now."""
        last = talk.entries[-1] if talk.entries else None
        if last and last.answer and talk.answering is None and photo in talk.about(last):
            yield from self.again(session, talk, last)


def _seen(talk: Conversation) -> tuple[Match, ...]:
    """Return the matches in the panel's photo that are called by their names."""
    found = talk.findings.get(talk.active or "")
    return found.seen if found else ()


def _plain(question: str) -> str:
    return question.strip(" ?!.").casefold()

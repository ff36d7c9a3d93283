"""The review: every name that the app was unsure of in the photos of one's conversations, one question at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from personal.concepts import Match, Photo
from personal.conversations import Conversation
from personal.errors import PersonalError
from personal.ui import render
from personal.ui.chat.corrections import Corrections
from personal.ui.chat.photos import Photos
from personal.ui.context import AppContext, Updates, html, show_errors
from personal.ui.sessions import Session

LATEST = 50
"""Conversations that the review reads from the disk, those asked last."""


@dataclass(frozen=True)
class Question:
    """A match that is only maybe right, in a photo of a conversation."""

    talk: Conversation
    photo: Photo
    match: Match

    @property
    def pair(self) -> tuple[str, str]:
        """The photo's sha256 and the concept's id."""
        return self.photo.sha256, self.match.concept.id


class Review:
    """The components and handlers; `draw` draws the whole tab."""

    def __init__(self, context: AppContext, draw: Callable[[Session], Updates]) -> None:
        self._context = context
        self._photos = Photos(context)
        self._corrections = Corrections(context, self._photos)
        self._draw = draw

    def build_button(self) -> None:
        """Make the button that opens the review and says how much there is."""
        self.begin = gr.Button("Review", size="sm", scale=0, min_width=90, elem_id="review-begin")

    def build(self) -> None:
        """Make the review."""
        with gr.Column(scale=2, min_width=320, visible=False, elem_id="reviewer", elem_classes="side") as self.column:
            self.question = html(elem_id="review")
            self.notice = html(elem_id="review-notice")
            self.close = gr.Button("Close")
        self.drawn = [self.begin, self.column, self.question, self.notice]
        """What `draw` may return."""

    def wire(self, quiet: dict[str, Any]) -> None:
        """Connect the handlers."""
        self.begin.click(self.open, None, **quiet)
        self.question.select(self.answer, None, **quiet)

    # -- what is asked -----------------------------------------------------------------------------------------------

    def questions(self, session: Session) -> list[Question]:
        """List what is open in the photos of the visitor's conversations, each photo and concept once."""
        known = {concept.id: concept for concept in self._context.assistant.concepts(session.owner)}
        found: dict[tuple[str, str], Question] = {}
        answered: set[tuple[str, str]] = set()
        for talk in session.history.live():
            answered |= talk.confirmed
            for photo in talk.photos:
                findings = talk.of(photo).up_to_date(known)
                answered |= {(photo.sha256, concept_id) for concept_id in findings.rejected}
                for match in findings.unsure:
                    question = Question(talk, photo, match)
                    found.setdefault(question.pair, question)
        return [question for pair, question in found.items() if pair not in answered]

    def _next(self, session: Session) -> Question | None:
        return next((one for one in self.questions(session) if one.pair not in session.skipped), None)

    def _look_ahead(self, session: Session) -> None:
        """Recognise the next photo anew, and those after it of which nothing is unsure any more."""
        looked_at: set[str] = set()
        while (one := self._next(session)) and one.photo.sha256 not in looked_at:
            looked_at.add(one.photo.sha256)
            self._photos.look(session, one.talk, one.photo)

    # -- drawing -----------------------------------------------------------------------------------------------------

    def draw(self, session: Session) -> Updates:
        """Return whether the review is open, its question, and how many there are."""
        questions, opened = self.questions(session), session.side == "review"
        number = f" {len(questions)}" if questions else ""
        return {
            self.begin: gr.Button(f"Review{number}"),
            self.column: gr.Column(visible=opened),
            self.question: self._draw_question(session, questions) if opened else "",
            self.notice: "",
        }

    def _draw_question(self, session: Session, questions: list[Question]) -> str:
        left = [one for one in questions if one.pair not in session.skipped]
        if left:
            one = left[0]
            concept = one.match.concept
            reference = self._context.picture(session, concept.id, one.match.view or concept.avatar)
            return render.review(one.talk, one.photo, one.match, reference, left=len(left))
        photos = {photo.sha256 for talk in session.history.live() for photo in talk.photos}
        any_concepts = bool(self._context.assistant.concepts(session.owner))
        return render.nothing_to_review(any_concepts=any_concepts, photos=len(photos), skipped=len(questions))

    # -- clicks ------------------------------------------------------------------------------------------------------

    @show_errors
    def open(self, request: gr.Request) -> Iterator[Updates]:
        """Open the review at its first question."""
        session = self._context.session(request)
        session.side = "review"
        yield self._draw(session)
        latest = (session.history.get(kept.id) for kept in session.history.all()[:LATEST])
        session.reviewed = [talk for talk in latest if talk and any(found.unsure for found in talk.findings.values())]
        self._look_ahead(session)
        yield self._draw(session)

    @show_errors
    def answer(self, event: gr.EventData, request: gr.Request) -> Updates:
        """Take an answer, and ask the next; what was answered already is not answered again."""
        session, data = self._context.session(request), event._data
        pair = (str(data.get("photo")), str(data.get("concept")))
        one = next((question for question in self.questions(session) if question.pair == pair), None)
        toast, problem = "", ""
        if data.get("act") == "unskip":
            session.skipped.clear()
        elif one and data.get("act") == "skip":
            toast = _skip(session, pair)
        elif one:
            try:
                toast = self._answered(session, one, yes=data.get("act") == "is")
            except PersonalError as error:
                problem = render.problem(str(error))
            session.history.keep(one.talk)
        self._look_ahead(session)
        said: Updates = {self._context.toast: toast} if toast else {}
        return {**self._draw(session), **said, self.notice: problem}

    def _answered(self, session: Session, one: Question, *, yes: bool) -> str:
        concept = self._context.assistant.library.get(session.owner, one.match.concept.id)
        if yes and one.match.box:
            return self._corrections.add_view(session, one.talk, one.photo, concept, one.match.box)
        return self._corrections.disown(session, one.talk, one.photo, concept)


def _skip(session: Session, pair: tuple[str, str]) -> str:
    """Put a question off, and return the toast."""

    def undo() -> str:
        session.skipped.discard(pair)
        return "Undone."

    session.skipped.add(pair)
    session.undo = undo
    return render.toast("Skipped.", undo=True)

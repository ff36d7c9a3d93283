"""One participant's way through a study: a state machine whose whole state is its records on disk.

Every method is safe to repeat: what a page sends twice (a refresh, the back button, a second tab) changes nothing.
Nothing is written before consent. Knows nothing of pages.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

from personal.concepts import Answer, Photo
from personal.errors import PersonalError
from personal.study import responses as checking
from personal.study.log import ParticipantLog, Record
from personal.study.plan import Step
from personal.study.recording import Recorder, Side
from personal.study.schema import Study
from personal.study.standing import Standing

Vote = Literal["left", "right", "both_good", "both_bad"]
VOTES = ("left", "right", "both_good", "both_bad")
EVENTS = ("stop", "retry", "edit", "feedback", "concept", "concept_removed", "error")
"""What `log` takes beside the events that have methods of their own."""

Responses = Mapping[str, Any]
"""Answers by the id of the item: a number for Likert items, the option's text for choices (a list with `multiple`),
the part's number (1..) for a preference, text for free text."""


class Admission(Protocol):
    """Gives a participant their order once and for all, and writes their first record."""

    def __call__(self, participant: Participant, record: Record) -> None: ...


class Participant(Standing):
    """A participant who can act. `identifiers` come from the link; `admit` draws their order of conditions."""

    def __init__(
        self,
        study: Study,
        participant_id: str,
        owner: str,
        log: ParticipantLog,
        recorder: Recorder,
        admit: Admission,
        *,
        identifiers: Mapping[str, str] | None = None,
        preview: bool = False,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        super().__init__(study, participant_id, owner, recorder, log.read(), clock)
        self.preview = preview
        self.identifiers = dict(identifiers or {})
        self._log = log
        self._admit = admit
        self._lock = threading.RLock()

    def consent(self, *, keep_photos: bool = False) -> None:
        """Agree to take part: the order of conditions is drawn, and recording begins."""
        with self._lock:
            if self.withdrawn or self._records:
                return
            kept = keep_photos and self.study.log.photos == "kept"
            record = {"event": "consented", "at": self._now(), "keep_photos": kept, "preview": self.preview}
            self._admit(self, record)
            self._set_steps()
            self._write("done", "consent")

    def admitted(self, record: Record) -> None:
        """Write the first record; called by what admits participants."""
        self._log.append(record)
        self._records.append(record)

    def enter(self, step_id: str) -> None:
        """Say that the step they are at is shown; the first time counts. Other steps, and before consent: nothing."""
        with self._lock:
            if self._records and step_id == self.step.id and not self._has("entered", step_id):
                self._write("entered", step_id)

    def submit(self, step_id: str, responses: Responses) -> None:
        """Answer the questions of a step (eligibility, questionnaire), and go on. Raises ResponseError by item."""
        with self._lock:
            if not self._open(step_id):
                return
            step = self._step(step_id)
            if step.kind == "eligibility":
                answers = checking.check_screening(self.study.eligibility, responses)
                failed = [one.id for one in self.study.eligibility if answers[one.id] not in one.accept]
                if failed:
                    self._write("screened_out", step_id, questions=failed)
                    return
            elif step.questionnaire is not None:
                answers = checking.check(step.questionnaire, responses, self.order)
            else:
                raise PersonalError("There is nothing to fill in here.")
            self._write("responses", step_id, responses=answers)
            self._write("done", step_id)

    def done(self, step_id: str) -> None:
        """Leave a step that has no questions (tutorial, concepts, task). Raises PersonalError for what is missing."""
        with self._lock:
            if not self._open(step_id):
                return
            if self._step(step_id).kind in ("eligibility", "questionnaire", "debrief"):
                raise PersonalError("Please answer the questions of this page first.")
            if missing := self.missing(step_id):
                raise PersonalError(missing)
            self._write("done", step_id)

    def turn(self, step_id: str, question: str, photos: Sequence[Photo], answers: Mapping[Side, Answer]) -> int:
        """Record a question with its answer under "", or with both of a comparison; return its number, from 1."""
        with self._lock:
            step, number = self._at(step_id), len(self.turns(step_id)) + 1
            self._write(
                "turn",
                step_id,
                turn=number,
                question=self.recorder.written(question),
                photos=self.recorder.photos(photos),
                answers=[self.recorder.answer(one, condition_of(step, side), side) for side, one in answers.items()],
            )
            return number

    def vote(self, step_id: str, turn: int, choice: str, reason: str = "") -> None:
        """Vote on the answers to a question; the first vote counts."""
        with self._lock:
            step = self._at(step_id)
            if choice not in VOTES or step.sides is None or not 1 <= turn <= len(self.turns(step_id)):
                raise PersonalError("Choose one of the answers, both or neither.")
            if turn in self.votes(step_id):
                return
            winner = {"left": step.sides[0], "right": step.sides[1]}.get(choice)
            self._write(
                "vote", step_id, turn=turn, choice=choice, winner=winner, sides=step.sides, reason=reason[:2000]
            )

    def rate(self, step_id: str, responses: Responses) -> None:
        """Rate the answer of a `rate` task by its items; the first rating counts. Raises ResponseError by item."""
        with self._lock:
            step = self._at(step_id)
            if step.task is None or step.task.type != "rate":
                raise PersonalError("There is nothing to rate here.")
            if not self.turns(step_id):
                raise PersonalError("Wait for the answer before you rate it.")
            answers = checking.check_items(step.task.items, responses, self.order)
            if not self._has("rating", step_id):
                self._write("rating", step_id, responses=answers)

    def log(
        self, step_id: str, event: str, *, turn: int | None = None, name: str = "", text: str = "", **more: Any
    ) -> None:
        """Record one of EVENTS in the step they are at; `name` is a concept's, `text` any words, `more` figures."""
        if event not in EVENTS or not all(isinstance(one, bool | int | float) for one in more.values()):
            raise ValueError(event)
        with self._lock:
            self._at(step_id)
            named = {"concept": self.recorder.concept(name)} if name else {}
            words = {"words": self.recorder.written(text)} if text else {}
            self._write(event, step_id, **({"turn": turn} if turn else {}), **named, **words, **more)

    def withdraw(self) -> None:
        """Erase the records; what else is theirs is `StudyStore.withdraw`'s, which calls this."""
        with self._lock:
            if self._records:
                self._log.empty()
            self._records.clear()
            self.withdrawn = True

    # -- inside --------------------------------------------------------------------------------------------------

    def _now(self) -> str:
        return self._clock().isoformat(timespec="milliseconds")

    def _open(self, step_id: str) -> bool:
        """Return whether a step is the one they are at; False if it is done. Raises PersonalError if it comes later."""
        if self.status in ("withdrawn", "screened_out"):
            return False
        if not self._records:
            raise PersonalError("Please read the first page and agree, or close this window.")
        self._step(step_id)
        if self._place(step_id) > self._place(self.step.id):
            raise PersonalError("This page comes later. Reload to go on where you were.")
        return step_id == self.step.id

    def _at(self, step_id: str) -> Step:
        if not self._open(step_id):
            raise PersonalError("You have gone on from this page already. Reload to go on where you were.")
        return self._step(step_id)

    def _write(self, event: str, step_id: str, **details: Any) -> None:
        record = {"event": event, "at": self._now(), "step": step_id, **details}
        step = self._step(step_id)
        if step.condition:
            record["condition"] = step.condition
        self._log.append(record)
        self._records.append(record)


def condition_of(step: Step, side: Side) -> str:
    """Return the condition that answers on a side of a step. Raises PersonalError where it has no such side."""
    if step.sides and side:
        return step.sides[side == "right"]
    if step.condition and not side:
        return step.condition
    raise PersonalError("This page has no assistant.")

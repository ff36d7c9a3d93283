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
from personal.study.plan import Step, steps
from personal.study.recording import Recorder, Side
from personal.study.schema import Ending, Study

Status = Literal["new", "active", "screened_out", "finished", "withdrawn"]
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


class Participant:
    """A participant of `study`. `owner` is the name under which concepts are theirs; `identifiers` come from the link.

    `id` is a keyed hash of the link's identifier: the same link is the same participant, on any browser.
    """

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
        self.study = study
        self.id = participant_id
        self._owner = owner
        self.preview = preview
        self.recorder = recorder
        self.identifiers = dict(identifiers or {})
        self.withdrawn = False
        self._log = log
        self._admit = admit
        self._clock = clock
        self._lock = threading.RLock()
        self._records = log.read()
        self._set_steps()

    # -- where they are ------------------------------------------------------------------------------------------

    @property
    def owner(self) -> str:
        """Whose concepts they work on now: one owner, or one for each part where concepts are registered anew."""
        if self.study.concepts.when == "once":
            return self._owner
        so_far = self.steps[: self._place(self.step.id) + 1]
        return f"{self._owner}-{max(1, *(step.part for step in so_far))}"

    @property
    def owners(self) -> list[str]:
        """All owners that they have worked as, or will."""
        if self.study.concepts.when == "once":
            return [self._owner]
        return [f"{self._owner}-{part}" for part in range(1, len(self.study.conditions) + 1)]

    @property
    def records(self) -> list[Record]:
        """All that is recorded of them, oldest first."""
        return list(self._records)

    @property
    def status(self) -> Status:
        """How far they are: `finished` from the debrief on."""
        if self.withdrawn:
            return "withdrawn"
        if not self._records:
            return "new"
        if self._of("screened_out"):
            return "screened_out"
        return "finished" if self.step.kind == "debrief" else "active"

    @property
    def order(self) -> tuple[str, ...]:
        """The conditions in their order; empty before consent."""
        return tuple(self._records[0]["order"]) if self._records else ()

    @property
    def row(self) -> int | None:
        """The row of the balanced square that they were given, if one was."""
        return self._records[0].get("row") if self._records else None

    @property
    def keeps_photos(self) -> bool:
        """Whether their photos may be kept: the study wants that, and they agreed."""
        return bool(self._records) and bool(self._records[0].get("keep_photos"))

    @property
    def step(self) -> Step:
        """The step that they are at: the first that is not done."""
        done = {record["step"] for record in self._of("done")}
        return next((step for step in self.steps if step.id not in done), self.steps[-1])

    @property
    def fraction(self) -> float:
        """How much of the way is done, 0..1, for a progress bar."""
        return self._place(self.step.id) / (len(self.steps) - 1)

    @property
    def ending(self) -> Ending:
        """What the last page says: the completion code is their own where the study has none. Raises PersonalError."""
        if self.status not in ("finished", "screened_out"):
            raise PersonalError("This is not over yet.")
        ending = self.study.completion if self.status == "finished" else self.study.screened_out
        code = ending.code or (self.recorder.hashed(f"code/{self.id}").upper() if self.status == "finished" else None)
        link = ending.link.replace("{code}", code or "") if ending.link else None
        return ending.model_copy(update={"code": code, "link": link})

    def turns(self, step_id: str) -> list[Record]:
        """Return the questions that were asked in a step, with their answers as far as these are kept."""
        return [record for record in self._of("turn") if record["step"] == step_id]

    def votes(self, step_id: str) -> dict[int, Record]:
        """Return the votes of a blind comparison by the number of the question, from 1."""
        return {record["turn"]: record for record in self._of("vote") if record["step"] == step_id}

    def missing(self, step_id: str) -> str:
        """Return in words what is still to do before a task can be left; "" where nothing is."""
        step = self._step(step_id)
        if step.kind == "concepts":
            needed = self.study.concepts.minimum - self._concepts(step_id)
            return f"Please add {needed} more." if needed > 0 else ""
        if step.task is None:
            return ""
        turns, votes = self.turns(step_id), self.votes(step_id)
        if (needed := step.task.minimum_turns - len(turns)) > 0:
            return f"Please ask {needed} more question{'s' if needed > 1 else ''}."
        if step.sides and any(turn["turn"] not in votes for turn in turns):
            return "Please say which answer is better."
        if step.task.type == "rate" and not any(r["step"] == step_id for r in self._of("rating")):
            return "Please rate the answer."
        if (wait := self.seconds_left(step_id)) > 0:
            return f"Please go on for {wait} more seconds."
        return ""

    def seconds_left(self, step_id: str) -> int:
        """Return how long a task must still last, in seconds since it was first shown."""
        step = self._step(step_id)
        shown = next((record["at"] for record in self._of("entered") if record["step"] == step_id), None)
        wanted = step.task.minimum_seconds if step.task else 0
        if not wanted or shown is None:
            return wanted
        return max(0, round(wanted - (self._clock() - datetime.fromisoformat(shown)).total_seconds()))

    # -- what they do --------------------------------------------------------------------------------------------

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

    def _set_steps(self) -> None:
        self.steps = steps(self.study, self.order or [one.id for one in self.study.conditions], self.id)

    def _now(self) -> str:
        return self._clock().isoformat(timespec="milliseconds")

    def _of(self, event: str) -> list[Record]:
        return [record for record in self._records if record["event"] == event]

    def _has(self, event: str, step_id: str) -> bool:
        return any(record["step"] == step_id for record in self._of(event))

    def _concepts(self, step_id: str) -> int:
        count = {"concept": 1, "concept_removed": -1}
        return sum(count.get(one["event"], 0) for one in self._records if one.get("step") == step_id)

    def _place(self, step_id: str) -> int:
        return next((n for n, step in enumerate(self.steps) if step.id == step_id), -1)

    def _step(self, step_id: str) -> Step:
        if (place := self._place(step_id)) < 0:
            raise PersonalError("This study has no such page. Reload to go on where you were.")
        return self.steps[place]

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

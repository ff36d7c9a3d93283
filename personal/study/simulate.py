"""Let scripted participants take part: on the state machine itself, its records on disk or in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from personal.concepts import Answer, Look
from personal.errors import PersonalError
from personal.study.admission import first_record
from personal.study.log import ParticipantLog, Record
from personal.study.participant import Participant
from personal.study.personas import Persona, Truth
from personal.study.plan import Step
from personal.study.recording import Recorder, Side
from personal.study.schema import Study
from personal.study.store import OWNER

SALT = bytes(16)
STEPS = 500
"""A scripted participant gives up after so many."""

Call = Mapping[str, Any]


class Way(Protocol):
    """How a participant takes part: `Direct`, or over HTTP (`personal.study.visitor`)."""

    def order(self) -> Sequence[str]: ...
    def step(self) -> tuple[str, Step]: ...
    def enter(self) -> None: ...
    def consent(self) -> None: ...
    def submit(self, step: Step, responses: Call) -> None: ...
    def done(self, step: Step) -> None: ...
    def ask(self, step: Step, question: str) -> int: ...
    def vote(self, step: Step, turn: int, choice: str, reason: str) -> None: ...
    def rate(self, step: Step, responses: Call) -> None: ...
    def add_concept(self, step: Step, number: int) -> None: ...
    def wait(self, seconds: float) -> None: ...


def take_part(way: Way, persona: Persona, *, until: Callable[[], bool] = lambda: False) -> str:
    """Go through a study, from wherever one is, to its end or `until` says so. Return the status in which that ends."""
    for _ in range(STEPS):
        status, step = way.step()
        if status not in ("new", "active") or until():
            return status
        way.enter()
        _do(way, persona, step)
    raise PersonalError("A scripted participant did not come to the end.")


def _do(way: Way, persona: Persona, step: Step) -> None:
    study, order = persona.study, way.order()
    if step.kind == "consent":
        way.wait(persona.seconds(40))
        way.consent()
    elif step.kind == "eligibility":
        way.submit(step, {one.id: one.accept[0] for one in study.eligibility})
    elif step.kind == "questionnaire" and step.questionnaire:
        way.wait(persona.seconds(60))
        way.submit(step, persona.answer(step.questionnaire, step.condition, order))
    elif step.kind == "concepts":
        for number in range(study.concepts.minimum):
            way.wait(persona.seconds(30))
            way.add_concept(step, number)
        way.done(step)
    elif step.task:
        _task(way, persona, step)
    else:
        way.wait(persona.seconds(30))
        way.done(step)


def _task(way: Way, persona: Persona, step: Step) -> None:
    assert step.task is not None
    task = step.task
    rating = task.type == "rate"
    for _ in range(1 if rating else task.minimum_turns + persona.more_questions()):
        way.wait(persona.seconds(20))
        turn = way.ask(step, task.question or persona.question(task.starters))
        if step.sides:
            way.vote(step, turn, persona.vote(step.sides), persona.reason())
    if rating:
        way.rate(step, persona.answer_items(task.items, task.id, step.condition, way.order()))
    way.wait(task.minimum_seconds + 1.0 if task.minimum_seconds else 0.0)
    way.done(step)


class Clock:
    """A clock that participants move on, each their own."""

    def __init__(self, start: datetime) -> None:
        self.now = start

    def __call__(self) -> datetime:
        return self.now


class Direct:
    """Takes part on the state machine itself; answers are made up."""

    def __init__(self, participant: Participant, clock: Clock) -> None:
        self._participant = participant
        self._clock = clock

    def order(self) -> Sequence[str]:
        return self._participant.order

    def step(self) -> tuple[str, Step]:
        return self._participant.status, self._participant.step

    def enter(self) -> None:
        self._participant.enter(self._participant.step.id)

    def consent(self) -> None:
        self._participant.consent()

    def submit(self, step: Step, responses: Call) -> None:
        self._participant.submit(step.id, responses)

    def done(self, step: Step) -> None:
        self._participant.done(step.id)

    def ask(self, step: Step, question: str) -> int:
        sides: tuple[Side, ...] = ("left", "right") if step.sides else ("",)
        made = Answer("This is a scripted answer.", Look(), "scripted", 5, 0.5, 1.5)
        self.wait(1.5)
        return self._participant.turn(step.id, question, (), dict.fromkeys(sides, made))

    def vote(self, step: Step, turn: int, choice: str, reason: str) -> None:
        self._participant.vote(step.id, turn, choice, reason)

    def rate(self, step: Step, responses: Call) -> None:
        self._participant.rate(step.id, responses)

    def add_concept(self, step: Step, number: int) -> None:
        self._participant.log(step.id, "concept", name=f"thing {number + 1}", views=2)

    def wait(self, seconds: float) -> None:
        self._clock.now += timedelta(seconds=seconds)


class Memory(ParticipantLog):
    """Records that are nowhere but in memory."""

    def __init__(self) -> None:
        super().__init__(Path())

    def read(self) -> list[Record]:
        return []

    def append(self, record: Call) -> None:
        """Keep nothing: the participant does."""


def in_memory(study: Study, truth: Truth, count: int, seed: str) -> list[Participant]:
    """Return participants who have gone through the whole study, none of it on disk."""
    made: list[Participant] = []
    recorder = Recorder(study.log, SALT)

    def admit(participant: Participant, record: Record) -> None:
        participant.admitted(first_record(participant, record, "simulated", made, {}))

    for number in range(count):
        clock = Clock(datetime(2030, 1, 1, tzinfo=UTC))
        name = recorder.hashed(f"{seed}/{number}")
        participant = Participant(study, name, OWNER + name, Memory(), recorder, admit, clock=clock)
        take_part(Direct(participant, clock), Persona(study, truth, f"{seed}/{number}"))
        made.append(participant)
    return made

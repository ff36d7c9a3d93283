"""Small studies for the tests, and participants who click through them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from personal.concepts import Answer, Look
from personal.study.scales import items_of
from personal.study.store import StudyStore

SMALL = """\
title: A small study
participants: 6
consent:
  text: You agree to be asked.
eligibility:
  - id: adult
    text: Are you of age?
    options: [Yes, No]
    accept: [Yes]
conditions:
  - id: with_memory
  - id: without_memory
    memory: false
  - id: strict
    confidence: 0.9
concepts:
  kind: samples
tasks:
  - id: talk
    instructions: Ask something.
    photos: ["sample:picnic.jpg"]
    minimum_turns: 2
  - id: which
    type: ab
    instructions: Which is better?
    photos: ["sample:beach.jpg"]
    conditions: [with_memory, without_memory]
questionnaires:
  - {id: sus, scale: sus}
  - id: last
    scale: preference
    items:
      - {id: words, kind: text, text: "Anything else?", required: false}
after_condition: [sus]
final: [last]
retention: 2030-12-31
"""


class Clock:
    """A clock that tests move on."""

    def __init__(self) -> None:
        self.now = datetime(2027, 1, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def open_store(folder: Path, text: str = SMALL, *, status: str = "running", **more) -> StudyStore:
    """Open a study in a folder, making and starting it first; again and again, as restarts do."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "study.yaml").exists():
        (folder / "study.yaml").write_text(text, encoding="utf-8")
    store = StudyStore(folder, **{"clock": Clock(), **more})
    if store.status == "draft" and status == "running":
        store.change("running")
    return store


def answer(text: str = "It is <bo>.", **more) -> Answer:
    """Return an answer as the Assistant gives them."""
    return Answer(text, Look(), "scripted", 4, 0.1, 0.2, **more)


def responses_for(step, value=None) -> dict:
    """Return an answer to every item of a step's questionnaire; `value` for all Likert items that have it."""
    found = {}
    for item in items_of(step.questionnaire):
        if item.kind == "attention":
            found[item.id] = item.expect
        elif item.kind == "likert":
            found[item.id] = min(value or item.points, item.points)
        elif item.kind == "preference":
            found[item.id] = 1
        else:
            found[item.id] = item.options[0] if item.kind == "choice" else "nothing"
    return found


def take_step(participant) -> None:
    """Do what the step that a participant is at asks for."""
    step = participant.step
    participant.enter(step.id)
    if step.kind == "consent":
        participant.consent()
    elif step.kind == "eligibility":
        participant.submit(step.id, {one.id: one.accept[0] for one in participant.study.eligibility})
    elif step.kind == "questionnaire":
        participant.submit(step.id, responses_for(step))
    elif step.kind == "concepts":
        for number in range(participant.study.concepts.minimum):
            participant.log(step.id, "concept", name=f"thing {number}", views=1)
        participant.done(step.id)
    elif step.kind == "tutorial":
        participant.done(step.id)
    elif step.kind == "task":
        take_task(participant, step)


def take_task(participant, step) -> None:
    """Ask as often as a task wants, vote and rate, and leave it."""
    for _ in range(step.task.minimum_turns):
        sides = ("left", "right") if step.sides else ("",)
        number = participant.turn(step.id, "Who is here?", (), {side: answer() for side in sides})
        if step.sides:
            participant.vote(step.id, number, "left")
    if step.task.type == "rate":
        participant.rate(step.id, {item.id: item.points for item in step.task.items})
    participant.done(step.id)


def finish(participant) -> None:
    """Go all the way to the debrief."""
    for _ in range(100):
        if participant.step.kind == "debrief":
            return
        take_step(participant)
    raise AssertionError(participant.step)

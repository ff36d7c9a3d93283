"""What the page of a step shows: from a participant and their room to a template and its values.

Nothing here tells which condition answers: a template is given texts, photos and numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from personal.concepts import Answer, Concept
from personal.conversations import Conversation, Entry
from personal.study.participant import Participant
from personal.study.plan import Step
from personal.study.recording import Side
from personal.study.scales import instructions_of, items_of
from personal.ui.render import prose
from personal.ui.samples import read_samples
from personal.ui.study.pages import markdown
from personal.ui.study.room import Growing, Room

TUTORIAL = "Here is how it works. The pictures are made up; in the next steps it is your turn."
HEADINGS = {
    "consent": "Welcome",
    "eligibility": "Before we begin",
    "tutorial": "How it works",
    "concepts": "Teach it",
    "questionnaire": "Your opinion",
}
NAMES: dict[Side, str] = {"left": "A", "right": "B", "": ""}


@dataclass(frozen=True)
class Sent:
    """What a form brought that was not taken: shown again, with the words at each field."""

    errors: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Sequence[str]] = field(default_factory=dict)
    notice: str = ""


@dataclass(frozen=True)
class Shown:
    """One question of a thread as it is shown, with its answer, both of a comparison, or what became of it."""

    number: int
    question: str
    photos: Sequence[str]
    words: str = ""
    sides: Sequence[tuple[str, str]] = ()
    matches: Sequence[Mapping[str, Any]] = ()
    status: str = ""
    error: str = ""
    live: bool = False
    stopped: bool = False


def values(participant: Participant, sent: Sent) -> dict[str, Any]:
    """Return what the frame of every step shows."""
    step = participant.step
    number = participant.steps.index(step) + 1
    task = step.task
    heading = (task.title or "Task") if task else HEADINGS.get(step.kind, "")
    if step.questionnaire:
        heading = step.questionnaire.title or HEADINGS["questionnaire"]
    parts = len(participant.order)
    if step.part and parts > 1:
        heading = f"Part {step.part} of {parts}: {heading}"
    return {
        "title": participant.study.title,
        "heading": heading,
        "number": number,
        "total": len(participant.steps),
        "key": step.id,
        "preview": participant.preview,
        "leave": step.kind != "consent",
        "errors": sent.errors,
        "values": sent.values,
        "notice": sent.notice,
        "parts": parts,
    }


def questions(participant: Participant) -> dict[str, Any]:
    """Return what the page of eligibility questions, or of a questionnaire, shows."""
    step = participant.step
    if step.questionnaire:
        items = items_of(step.questionnaire)
        text = markdown(instructions_of(step.questionnaire))
        return {"items": items, "text": text, "labels": {one.id: one.text for one in items}}
    asked = [{"id": one.id, "text": one.text, "options": one.options} for one in participant.study.eligibility]
    shown = [{"kind": "choice", "required": True, **one} for one in asked]
    return {"items": shown, "text": "", "labels": {one["id"]: one["text"] for one in asked}}


def tutorial(participant: Participant) -> dict[str, Any]:
    """Return what the tutorial shows: the drawn samples."""
    samples = read_samples()
    shown = [{"name": one.name, "category": one.category, "photo": one.photos[0].sha256} for one in samples.concepts]
    return {
        "text": markdown(participant.study.tutorial or TUTORIAL),
        "samples": shown,
        "scene": samples.photos[0].sha256,
        "question": samples.questions[0],
    }


def practised(text: str) -> Markup:
    """Return an answer about the samples as HTML."""
    names = [one.name for one in read_samples().concepts]
    known = {name: Concept(name, name, "", "", (), "", "", "") for name in names}
    return _words(text, known)


def concepts(participant: Participant, room: Room) -> dict[str, Any]:
    """Return what the page for registering concepts shows."""
    return {
        "text": markdown(participant.study.concepts.instructions),
        "concepts": room.concepts(),
        "missing": participant.missing(participant.step.id),
    }


def task(participant: Participant, room: Room) -> dict[str, Any]:
    """Return what the page of a task shows."""
    step = participant.step
    assert step.task
    first = participant.study.concepts.kind in ("given", "samples") and step.id == _first_task(participant)
    return {
        "text": markdown(step.task.instructions),
        "given": room.concepts() if first else [],
        **live(participant, room),
    }


def live(participant: Participant, room: Room) -> dict[str, Any]:
    """Return what changes while a task goes on."""
    step, growing = participant.step, room.growing
    assert step.task
    talks = room.talks(step)
    first = next(iter(talks.values()))
    entries = thread(room, step, growing)
    numbers = [one.number for one in entries if one.number]
    votes = participant.votes(step.id)
    to_vote = next((number for number in numbers if number not in votes), 0) if step.sides else 0
    to_rate = step.task.type == "rate" and bool(numbers)
    own = step.task.photos == "own"
    return {
        "key": step.id,
        "task": step.task,
        "entries": entries,
        "own": own,
        "shots": [photo.sha256 for photo in room.task_photos(step)],
        "photos": [photo.sha256 for photo in room.own_photos(step)],
        "about": first.active or "",
        "running": growing is not None,
        "to_vote": to_vote,
        "to_rate": to_rate,
        "can_ask": growing is None and not to_vote and not (step.task.type == "rate" and entries),
        "missing": participant.missing(step.id),
        "wait": participant.seconds_left(step.id),
        "errors": {},
        "values": {},
    }


def thread(room: Room, step: Step, growing: Growing | None) -> list[Shown]:
    """Return the questions of a task with what stands below each."""
    known = {concept.id: concept for concept in room.concepts()}
    talks = room.talks(step)
    first = next(iter(talks.values()))
    shown = []
    for place, entry in enumerate(list(first.entries)):
        last = place == len(first.entries) - 1
        answers = {side: talk.entries[place].answer for side, talk in talks.items()}
        number = max(0, int(entry.remark or 0))
        asked = Shown(number, entry.turn.question, [photo.sha256 for photo in entry.turn.photos])
        shown.append(_below(asked, first, entry, answers, growing if last else None, known, step))
    return shown


def _below(
    asked: Shown,
    talk: Conversation,
    entry: Entry,
    answers: Mapping[Side, Answer | None],
    growing: Growing | None,
    known: Mapping[str, Concept],
    step: Step,
) -> Shown:
    """Return a question with its answer."""
    if growing:
        text = growing.texts.get("", "") if not step.sides else ""
        status = "Both answers are being written …" if step.sides else growing.status
        return _with(asked, words=_words(text, known), live=True) if text else _with(asked, status=status)
    if any(answer is None for answer in answers.values()):
        return _with(asked, error=entry.error)
    if step.sides:
        sides = [(NAMES[side], _answer(answer, known)) for side, answer in answers.items() if answer]
        return _with(asked, sides=sides)
    answer = answers[""]
    assert answer
    matches = [] if step.task and step.task.type == "rate" else _matches(talk, entry, answer, known)
    return _with(asked, words=_answer(answer, known), matches=matches, stopped=answer.stopped)


def _with(asked: Shown, **more: Any) -> Shown:
    return Shown(asked.number, asked.question, asked.photos, **more)


def _answer(answer: Answer, known: Mapping[str, Concept]) -> Markup:
    return _words(answer.text or ("" if answer.stopped else "*No answer.*"), known)


def _words(text: str, known: Mapping[str, Concept]) -> Markup:
    colours = {concept_id: number % 8 for number, concept_id in enumerate(known)}
    return Markup(prose(text, known, colours)) if text else Markup("<p>…</p>")


def _matches(talk: Conversation, entry: Entry, answer: Answer, known: Mapping[str, Concept]) -> list[dict[str, Any]]:
    """Return what was recognised in the photo of a question, with what the participant made of it."""
    photos = talk.about(entry)
    found = []
    for match in answer.matches:
        concept = known.get(match.concept.id)
        if match.reason != "seen" or concept is None or not photos:
            continue
        sha256 = photos[0].sha256
        rejected = concept.id in talk.of(photos[0]).rejected
        given = "right" if (sha256, concept.id) in talk.confirmed else "wrong" if rejected else ""
        colour = list(known).index(concept.id) % 8
        found.append({"id": concept.id, "name": concept.name, "colour": colour, "given": given})
    return found


def _first_task(participant: Participant) -> str:
    return next((step.id for step in participant.steps if step.kind == "task"), "")

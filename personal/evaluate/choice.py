"""Two-option questions of Yo'LLaVA and RAP, about concepts of RAP's database, each asked in both orders of its options.

In the published text-only file 390 of 400 keys are "A", hence both orders. The baselines are the same model without the
concepts, always A, and the model without the photos if there are any.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personal.concepts import Photo
from personal.data.templates import two_options
from personal.errors import ImageError, PersonalError
from personal.evaluate.asking import CACHED, ProgressBar, no_progress_bar, replies, to_mistake
from personal.evaluate.asking import Question as Asked
from personal.evaluate.journal import Journal, Reply
from personal.evaluate.mistakes import Mistake
from personal.evaluate.report import Report, share
from personal.images import read_photo
from personal.remember import import_export

if TYPE_CHECKING:
    from personal.assistant import Assistant
    from personal.remember.import_export import ImportedConcept

OWNER = "evaluation"
WITH_INFO, WITHOUT_INFO, WITHOUT_PHOTO = "with_info", "without_info", "without_photo"
PICTURES = (".png", ".jpg", ".jpeg", ".webp")


@dataclass(frozen=True)
class Question:
    """A question about a concept, with `sks` in its name's place; `file` is the photo it is about, if any."""

    concept: str
    key: str
    text: str
    a: str
    b: str
    right: str
    photo: Photo | None = None

    @property
    def file(self) -> str | None:
        return self.key if Path(self.key).suffix.lower() in PICTURES else None


def read_questions(path: Path) -> list[Question]:
    """Read Yo'LLaVA's or RAP's json, text-only or visual. Raises PersonalError if it is neither."""
    try:
        concepts = json.loads(path.read_text(encoding="utf-8"))
        questions = [
            _question(concept, key, record) for concept, records in concepts.items() for key, record in records.items()
        ]
        if not questions:
            raise ValueError("it is empty")
        return questions
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise PersonalError(
            f"{path} holds no two-option questions ({type(error).__name__}: {error}). What is needed is "
            '{"CONCEPT": {"KEY": {"question": TEXT, "option": {"A": TEXT, "B": TEXT}, "correct_answer": "A" or "B"}}}.'
        ) from error


def _question(concept: str, key: str, record: Mapping[str, Any]) -> Question:
    options = record["option"] if "option" in record else record["options"]
    right = record["correct_answer"]
    texts = (record["question"], options["A"], options["B"])
    if right not in ("A", "B") or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"{concept} {key}")
    return Question(concept, key, *texts, right)


def with_photos(questions: Sequence[Question], folder: Path | None) -> tuple[list[Question], list[str]]:
    """Add their photos, `<folder>/<concept>/<number>.*`, to questions; those whose photo is missing are left out.

    Returns notes on these. Raises PersonalError if the folder is needed and not given, or if no question is left.
    """
    if folder is None and any(question.file for question in questions):
        raise PersonalError("These questions are about photos: --photos takes the folder that holds CONCEPT/NUMBER.*.")
    found, notes = [], []
    for question in questions:
        if question.file is None or folder is None:
            found.append(question)
            continue
        name = f"{question.concept}/{Path(question.file).stem}"
        files = sorted(folder.glob(f"{escape(name)}.*"))
        try:
            photo = read_photo(files[0]) if files else None
        except ImageError as error:
            notes.append(f"{name} left out: {error}")
            continue
        if photo is None:
            notes.append(f"{name} left out: it is not in {folder}.")
            continue
        found.append(replace(question, photo=photo))
    if not found:
        raise PersonalError(f"{folder} holds none of the photos that are asked about.\n" + "\n".join(notes[:10]))
    return found, notes


def remember(assistant: Assistant, imported: Sequence[ImportedConcept]) -> list[str]:
    """Register imported concepts; return notes on those left out."""
    for _ in import_export.apply(assistant, OWNER, imported):
        pass
    refused = [f"<{concept.name}> left out: {concept.refused}" for concept in imported if concept.refused]
    return refused + [problem for concept in imported for problem in concept.problems]


def choice(
    assistant: Assistant,
    questions: Sequence[Question],
    *,
    journal: Journal | None = None,
    progress: ProgressBar = no_progress_bar,
) -> Report:
    """Ask about the concepts in the library, in both orders and under each condition.

    Raises PersonalError if none of them is in the library.
    """
    known = {name: assistant.library.lookup(OWNER, name) for name in {q.concept for q in questions}}
    tags = {name: concept.tag for name, concept in known.items() if concept}
    asked = [question for question in questions if question.concept in tags]
    if not asked:
        raise PersonalError("The questions are about none of the database's concepts: give the one they belong to.")
    assistant.retriever.cache_size = max(assistant.retriever.cache_size, min(len(asked), CACHED))
    with_photos = any(question.photo for question in asked)
    conditions = (WITH_INFO, WITHOUT_INFO, WITHOUT_PHOTO) if with_photos else (WITH_INFO, WITHOUT_INFO)
    jobs = [_Job(q, tags[q.concept], swapped, c) for q in asked for swapped in (False, True) for c in conditions]
    given = replies(assistant, (job.question_asked() for job in progress(jobs, "questions")), journal or Journal())
    answers: list[dict[str, Any]] = []
    mistakes: list[Mistake] = []
    for job, reply in zip(jobs, given, strict=True):
        answers.append(job.answer(reply))
        if job.condition == WITH_INFO and answers[-1]["letter"] != answers[-1]["right"]:
            mistakes.append(job.mistake(reply))
    report = score(answers)
    report.mistakes = mistakes
    left_out = sorted({q.concept for q in questions} - tags.keys())
    if left_out:
        report.notes.append(f"{len(left_out)} concepts are not in the database: {', '.join(left_out)}.")
    return report


@dataclass(frozen=True)
class _Job:
    """A question as it is asked: with the concept's tag, perhaps with swapped options, under a condition."""

    question: Question
    tag: str
    swapped: bool
    condition: str

    @property
    def texts(self) -> tuple[str, str, str]:
        """The question and options A and B, with the tag in the place of `sks`."""
        options = (self.question.b, self.question.a) if self.swapped else (self.question.a, self.question.b)
        text, a, b = (re.sub(r"\bsks\b", lambda _: self.tag, part) for part in (self.question.text, *options))
        return text, a, b

    @property
    def right(self) -> str:
        """The right option's letter."""
        return {"A": "B", "B": "A"}[self.question.right] if self.swapped else self.question.right

    def question_asked(self) -> Asked:
        """Return the question to the Assistant."""
        photo = None if self.condition == WITHOUT_PHOTO else self.question.photo
        return Asked(OWNER, two_options(*self.texts), photo, memory=self.condition != WITHOUT_INFO)

    def answer(self, reply: Reply) -> dict[str, Any]:
        """Return a reply as `score` takes it."""
        text, a, b = self.texts
        return {
            "condition": self.condition,
            "concept": self.question.concept,
            "key": self.question.key,
            "question": text,
            "A": a,
            "B": b,
            "swapped": self.swapped,
            "right": self.right,
            **reply,
            "letter": letter(reply["answer"], a, b),
        }

    def mistake(self, reply: Reply) -> Mistake:
        """Return a wrong reply as a Mistake."""
        text, a, b = self.texts
        expected = f"{self.right}. {a if self.right == 'A' else b}"
        return to_mistake(reply, self.question.photo, f"{text} A. {a} B. {b}", expected, {self.tag[1:-1]})


def score(answers: Sequence[dict[str, Any]]) -> Report:
    """Compute accuracies and baselines of answers, each with its `condition`, its `letter` and the `right` one.

    `neither_…` counts the replies that chose nothing, which are wrong: many of them make a baseline look weak.
    `always_a` is the accuracy of always saying A over both orders, `always_a_published` over the published one.
    """
    report = Report(answers=list(answers))
    figures = report.figures
    for condition in dict.fromkeys(answer["condition"] for answer in answers):
        some = [answer for answer in answers if answer["condition"] == condition]
        report.measure(condition, list(_groups(some)), [[a["letter"] == a["right"], 1] for a in some])
        figures[f"neither_{condition}"] = sum(answer["letter"] is None for answer in some)
    counts = [
        [
            a["condition"] == kind and value
            for kind in (WITH_INFO, WITHOUT_INFO)
            for value in (a["letter"] == a["right"], 1)
        ]
        for a in answers
    ]
    report.measure("gained_by_info", list(_groups(answers)), counts, lambda sums: share(sums) - share(sums[2:]))
    told = [answer for answer in answers if answer["condition"] == WITH_INFO]
    published = [answer for answer in told if not answer["swapped"]]
    for name, some, key in (
        ("always_a", told, "right"),
        ("always_a_published", published, "right"),
        ("share_of_a", told, "letter"),
    ):
        figures[name] = round(sum(answer[key] == "A" for answer in some) / len(some), 4) if some else None
    figures["questions"] = len(published)
    return report


_CALLED_ANSWER = re.compile(r"\b(?i:answer|option|choice|choose)(?i:\s+is|\s+should be)?\s*[:\"'(*]*\s*([AB])(?!\w)")
_NEITHER = re.compile(r"(?i:\b(?:neither|both|none|nor)\b)|(?<!\w)A(?!\w)\W+(?:and|or|nor)\W+\(?B(?!\w)")
_ALONE = re.compile(r"(?<!\w)([AB])(?=\s*(?:[.):,;!*\"']|$))|(?<!\w)(B)(?!\w)")


def letter(reply: str, a: str, b: str) -> str | None:
    """Return the option that a reply chooses, by its text or by a letter, None if it chooses none or both.

    A letter counts if it is called the answer or stands alone; the article A does neither.
    """
    plain = reply.strip(" \n.()").casefold()
    for option, text in (("A", a), ("B", b)):
        if plain in (text.strip(" .").casefold(), option.casefold()):
            return option
    found = _CALLED_ANSWER.search(reply) or (None if _NEITHER.search(reply) else _ALONE.search(reply))
    return next(filter(None, found.groups())) if found else None


def _groups(answers: Sequence[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Return the question of each answer."""
    return ((answer["concept"], answer["key"]) for answer in answers)

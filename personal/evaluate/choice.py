"""Two-option questions of Yo'LLaVA and RAP, about concepts of RAP's database, each asked in both orders of its options.

In the published text-only file 390 of 400 keys are "A", hence both orders. Beside the accuracy stands that of the same
model told nothing of the concepts, of one that always says A, and, where there are photos, of the model without them.
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
from personal.evaluate.asking import CACHED, Report, Watch, mistaken, replies, unwatched
from personal.evaluate.asking import Question as Asked
from personal.evaluate.journal import Journal
from personal.evaluate.sheet import Mistake
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
    """A question about a concept, with `sks` where its name belongs; `file` is the photo it is asked of, if any."""

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
    """Read Yo'LLaVA's or RAP's json, text-only or visual. Raises PersonalError where it is neither."""
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
    """Give questions about photos theirs, `<folder>/<concept>/<number>.*`; those without one are left out with a note.

    Raises PersonalError where no folder is given and there are such questions, or where none is left.
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


def remember(assistant: Assistant, incoming: Sequence[ImportedConcept]) -> list[str]:
    """Take in what `personal.remember.import_export` has read. Return what was left out."""
    for _ in import_export.apply(assistant, OWNER, incoming):
        pass
    refused = [f"<{concept.name}> left out: {concept.refused}" for concept in incoming if concept.refused]
    return refused + [problem for concept in incoming for problem in concept.problems]


def choice(
    assistant: Assistant, questions: Sequence[Question], *, journal: Journal | None = None, watch: Watch = unwatched
) -> Report:
    """Ask about the concepts that the library holds, in both orders and under each condition.

    Raises PersonalError where it holds none of them.
    """
    known = {name: assistant.library.lookup(OWNER, name) for name in {q.concept for q in questions}}
    tags = {name: concept.tag for name, concept in known.items() if concept}
    asked = [question for question in questions if question.concept in tags]
    if not asked:
        raise PersonalError("The questions are about none of the database's concepts: give the one they belong to.")
    assistant.retriever.cache_size = max(assistant.retriever.cache_size, min(len(asked), CACHED))
    seen = any(question.photo for question in asked)
    conditions = (WITH_INFO, WITHOUT_INFO, WITHOUT_PHOTO) if seen else (WITH_INFO, WITHOUT_INFO)
    jobs = [(q, swapped, condition) for q in asked for swapped in (False, True) for condition in conditions]
    told = [[_told(part, tags[q.concept]) for part in _laid_out(q, swapped)] for q, swapped, _ in jobs]
    asked_now = (
        Asked(
            OWNER,
            two_options(*told[number]),
            None if condition == WITHOUT_PHOTO else question.photo,
            memory=condition != WITHOUT_INFO,
        )
        for number, (question, _, condition) in enumerate(watch(jobs, "questions"))
    )
    answers: list[dict[str, Any]] = []
    mistakes: list[Mistake] = []
    given = replies(assistant, asked_now, journal or Journal())
    for (question, swapped, condition), (text, a, b), reply in zip(jobs, told, given, strict=True):
        right = "BA"["AB".index(question.right)] if swapped else question.right
        chosen = letter(reply["answer"], a, b)
        answers.append(
            {
                "condition": condition,
                "concept": question.concept,
                "key": question.key,
                "question": text,
                "A": a,
                "B": b,
                "swapped": swapped,
                "right": right,
                **reply,
                "letter": chosen,
            }
        )
        if condition == WITH_INFO and chosen != right:
            words = f"{text} A. {a} B. {b}"
            mistakes.append(
                mistaken(
                    reply, question.photo, words, f"{right}. {a if right == 'A' else b}", {tags[question.concept][1:-1]}
                )
            )
    report = score(answers)
    report.mistakes = mistakes
    left_out = sorted({q.concept for q in questions} - tags.keys())
    if left_out:
        report.notes.append(f"{len(left_out)} concepts are not in the database: {', '.join(left_out)}.")
    return report


def score(answers: Sequence[dict[str, Any]]) -> Report:
    """Compute accuracies and baselines of answers, each with its `condition`, and its `letter` beside the `right` one.

    `neither_…` counts the replies that chose nothing, which are wrong: many of them make a baseline look weak.
    `always_a` is what always saying A gives over both orders, `always_a_published` over the published one.
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
    report.measure("gained_by_info", list(_groups(answers)), counts, lambda sums: sums[0] / sums[1] - sums[2] / sums[3])
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


_SAID = re.compile(r"\b(?i:answer|option|choice|choose)(?i:\s+is|\s+should be)?\s*[:\"'(*]*\s*([AB])(?!\w)")
_NEITHER = re.compile(r"(?i:\b(?:neither|both|none|nor)\b)|(?<!\w)A(?!\w)\W+(?:and|or|nor)\W+\(?B(?!\w)")
_ALONE = re.compile(r"(?<!\w)([AB])(?=\s*(?:[.):,;!*\"']|$))|(?<!\w)(B)(?!\w)")


def letter(reply: str, a: str, b: str) -> str | None:
    """Read which option a reply chooses: its text, or a letter that is said to be the answer or stands alone.

    The article A is no letter: it has neither an end nor a sign behind it. None for anything else, and where letters
    stand alone because neither is chosen, or both are.
    """
    plain = reply.strip(" \n.()").casefold()
    for option, text in (("A", a), ("B", b)):
        if plain in (text.strip(" .").casefold(), option.casefold()):
            return option
    found = _SAID.search(reply) or (None if _NEITHER.search(reply) else _ALONE.search(reply))
    return next(filter(None, found.groups())) if found else None


def _laid_out(question: Question, swapped: bool) -> tuple[str, str, str]:
    options = (question.b, question.a) if swapped else (question.a, question.b)
    return (question.text, *options)


def _told(text: str, tag: str) -> str:
    return re.sub(r"\bsks\b", lambda _: tag, text)


def _groups(answers: Sequence[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """Tell which answers are to one question."""
    return ((answer["concept"], answer["key"]) for answer in answers)

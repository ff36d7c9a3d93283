"""Register concepts with the Assistant and ask it questions, batch by batch, through the journal of a run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from personal.concepts import Concept, Look, Photo, Turn
from personal.errors import PersonalError
from personal.evaluate.journal import Journal, Reply
from personal.evaluate.mistakes import Mistake

if TYPE_CHECKING:
    from personal.assistant import Assistant

T = TypeVar("T")

BATCH = 8
"""Questions that are answered side by side."""
CACHED = 500
"""Photos whose vectors are cached during a run, at most: about 1 MB each."""
PASSING = {"id", "created", "updated"}
"""Fields of a concept that differ each time it is registered."""


class ProgressBar(Protocol):
    """A progress bar: passes things on one by one, with words for what they are."""

    def __call__(self, things: Sequence[T], words: str, /) -> Iterable[T]: ...


def no_progress_bar(things: Sequence[T], words: str, /) -> Iterable[T]:
    """Show no progress bar."""
    return things


def left_out(names: Sequence[str], count: int, random: np.random.Generator) -> set[str]:
    """Draw concepts that stay unregistered. Raises PersonalError if nobody would be registered."""
    if count >= len(names):
        raise PersonalError(f"{count} of {len(names)} concepts cannot stay unregistered: leave one or more.")
    return set(random.choice(names, count, replace=False)) if count else set()


def register(assistant: Assistant, owner: str, photos: Mapping[str, Sequence[Photo]]) -> dict[str, Concept]:
    """Register names with photos and nothing else. Raises PersonalError if two names are the same to the library."""
    concepts: dict[str, Concept] = {}
    for name, views in photos.items():
        if assistant.library.lookup(owner, name):
            raise PersonalError(f"{name} is the name of two folders, to the library at least: rename one of them.")
        concepts[name] = assistant.remember(owner, name, views)
    return concepts


@dataclass(frozen=True)
class Question:
    """A question to the Assistant with an owner's concepts; for `names` and `memory` see `Assistant.answer`."""

    owner: str
    text: str
    photo: Photo | None = None
    names: bool = True
    memory: bool = True


def ask(
    assistant: Assistant,
    owner: str,
    question: str,
    photo: Photo | None = None,
    *,
    names: bool = True,
    memory: bool = True,
    journal: Journal | None = None,
) -> str:
    """Return the Assistant's answer to one question. Raises ModelError."""
    one = Question(owner, question, photo, names, memory)
    answer: str = next(replies(assistant, [one], journal))["answer"]
    return answer


def replies(assistant: Assistant, questions: Iterable[Question], journal: Journal | None = None) -> Iterator[Reply]:
    """Yield the Assistant's replies, `{"answer", "matches"}`, in order, decoded greedily. Raises ModelError.

    Every question is the first of its conversation. BATCH questions at a time are answered side by side and written
    down together, with the model's caches cleared before. So an answer depends only on what the journal knows it by
    and on its batch, and a resumed run equals an unbroken one.
    """
    journal, left = journal or Journal(), iter(questions)
    while some := list(islice(left, BATCH)):
        yield from journal.recall_all([_key(assistant, one) for one in some], partial(_replies, assistant, some))


def _key(assistant: Assistant, question: Question) -> dict[str, Any]:
    """Return all that an answer depends on besides the settings."""
    return {
        "question": question.text,
        "photo": question.photo.sha256 if question.photo else None,
        "names": question.names,
        "memory": question.memory,
        "library": library_digest(assistant, question.owner if question.memory else ""),
    }


def library_digest(assistant: Assistant, owner: str) -> str:
    """Return a short hash of an owner's concepts."""
    concepts = sorted(assistant.concepts(owner), key=lambda concept: concept.name) if owner else []
    known = [{name: value for name, value in asdict(c).items() if name not in PASSING} for c in concepts]
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()[:16]


def _replies(assistant: Assistant, questions: Sequence[Question], places: Sequence[int]) -> list[Reply]:
    """Answer the questions at some places, those under the same conditions together."""
    assistant.generator.clear()
    found: dict[int, Reply] = {}
    for names, memory in dict.fromkeys((questions[place].names, questions[place].memory) for place in places):
        some = [p for p in places if (questions[p].names, questions[p].memory) == (names, memory)]
        asked = [(q.owner, Turn(q.text, (q.photo,) if q.photo else ())) for q in (questions[p] for p in some)]
        answers = assistant.answers(asked, names=names, memory=memory)
        found |= {place: _reply(look, text) for place, (look, text) in zip(some, answers, strict=True)}
    return [found[place] for place in places]


def _reply(look: Look, text: str) -> Reply:
    matches = [
        {"name": m.concept.name, "similarity": m.similarity and round(m.similarity, 4), "box": m.box and list(m.box)}
        for m in look.said
    ]
    return {"answer": text, "matches": matches}


def to_mistake(reply: Reply, photo: Photo | None, question: str, expected: str, about: Collection[str]) -> Mistake:
    """Return a wrong reply as a Mistake; its similarity is the highest among the concepts `about` which it errs."""
    seen = [match for match in reply["matches"] if match["box"] is not None]
    similarities = [match["similarity"] for match in seen if match["name"] in about]
    boxes = tuple((tuple(match["box"]), match["name"]) for match in seen)
    return Mistake(photo, question, reply["answer"], expected, max(similarities, default=None), boxes)

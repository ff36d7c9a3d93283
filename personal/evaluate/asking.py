"""What the protocols share: registering, asking, telling how far it is, and saying how sure a figure is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from personal.concepts import Concept, Look, Photo, Turn
from personal.errors import PersonalError
from personal.evaluate.journal import Journal, Reply
from personal.evaluate.sheet import Mistake
from personal.images import read_photo

if TYPE_CHECKING:
    from personal.assistant import Assistant
    from personal.data.photos import CaptionedPhoto, Photos

T = TypeVar("T")
Figure = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""From sums of counts, (counts,) or (counts, draws), to the figure, () or (draws,)."""

BATCH = 8
"""Questions that are answered side by side."""
CACHED = 500
"""Photos whose vectors are held during a run, at most: about 1 MB each."""
DRAWS = 1000
PASSING = {"id", "created", "updated"}
"""What differs of a concept each time it is registered."""


class Watch(Protocol):
    """Passes things on one by one, showing how many are done; the words say what they are."""

    def __call__(self, things: Sequence[T], words: str, /) -> Iterable[T]: ...


def unwatched(things: Sequence[T], words: str, /) -> Iterable[T]:
    """Show nothing."""
    return things


def share(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute hits / cases."""
    return np.asarray(counts[0] / counts[1])


@dataclass
class Report:
    """A protocol's figures, how sure they are, every answer for people to look at, and which of them were mistakes.

    `baselines` hold the same figures of what the Assistant is compared with, by what it is called.
    """

    figures: dict[str, float | int | None] = field(default_factory=dict)
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)
    baselines: dict[str, Report] = field(default_factory=dict)

    def measure(
        self, name: str, groups: Sequence[Hashable], counts: Sequence[Sequence[float]], figure: Figure = share
    ) -> None:
        """Compute a figure from the sums of `counts`, (answers, k), and its 95 % interval; None without cases.

        The interval is the percentile bootstrap's (Efron, Annals of Statistics 1979) over groups of answers that hang
        together, such as those about one photo.
        """
        if not counts:
            self.figures[name] = None
            return
        places = {group: place for place, group in enumerate(dict.fromkeys(groups))}
        table = np.zeros((len(places), len(counts[0])))
        for group, row in zip(groups, counts, strict=True):
            table[places[group]] += row
        with np.errstate(divide="ignore", invalid="ignore"):
            value = float(figure(table.sum(axis=0)))
            self.figures[name] = None if np.isnan(value) else round(value, 4)
            if self.figures[name] is None:
                return
            size = len(table)
            weights = np.random.default_rng(0).multinomial(size, np.full(size, 1 / size), size=DRAWS)
            low, high = np.nanpercentile(figure((weights @ table).T), (2.5, 97.5))
        self.intervals[name] = (round(float(low), 4), round(float(high), 4))

    def table(self) -> str:
        """Lay the figures out for a shell, with their intervals."""
        rows = []
        for name, value in self.figures.items():
            shown = "-" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)
            low_high = self.intervals.get(name)
            rows.append(f"{name:<26}{shown}" + (f"  [{low_high[0]:.4f}, {low_high[1]:.4f}]" if low_high else ""))
        return "\n".join(rows)


def register(assistant: Assistant, owner: str, photos: Mapping[str, Sequence[Photo]]) -> dict[str, Concept]:
    """Remember names and photos, nothing else. Raises PersonalError where two names are the same to the library."""
    concepts: dict[str, Concept] = {}
    for name, views in photos.items():
        if assistant.library.lookup(owner, name):
            raise PersonalError(f"{name} is the name of two folders, to the library at least: rename one of them.")
        concepts[name] = assistant.remember(owner, name, views)
    return concepts


@dataclass(frozen=True)
class Question:
    """What is asked, of whose concepts, about which photo; without `names` or `memory` see `Assistant.answer`."""

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
    """Yield the Assistant's replies to questions, in their order, greedily, as the app gives them. Raises ModelError.

    A reply is `{"answer", "matches"}`, ready to be written down. Every question is the first of its conversation, and
    is answered beside the others of its batch: BATCH questions in their order, which are written down together. What
    the model has read before is dropped. So an answer depends on nothing but what the journal knows it by and its
    batch, and a resumed run equals an unbroken one.
    """
    journal, left = journal or Journal(), iter(questions)
    while some := list(islice(left, BATCH)):
        yield from journal.recall_all([_asked(assistant, one) for one in some], partial(_replies, assistant, some))


def _asked(assistant: Assistant, question: Question) -> dict[str, Any]:
    """Tell all that an answer depends on, besides the settings: what the owner's library holds is told by a digest."""
    return {
        "question": question.text,
        "photo": question.photo.sha256 if question.photo else None,
        "names": question.names,
        "memory": question.memory,
        "library": digest(assistant, question.owner if question.memory else ""),
    }


def digest(assistant: Assistant, owner: str) -> str:
    """Tell what an owner's library holds in a few letters; nothing for nobody."""
    concepts = sorted(assistant.concepts(owner), key=lambda concept: concept.name) if owner else []
    known = [{name: value for name, value in asdict(c).items() if name not in PASSING} for c in concepts]
    return hashlib.sha256(json.dumps(known).encode()).hexdigest()[:16]


def _replies(assistant: Assistant, questions: Sequence[Question], places: Sequence[int]) -> list[Reply]:
    """Answer the questions at some places, those together that are asked under the same conditions."""
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


def mistaken(reply: Reply, photo: Photo | None, asked: str, right: str, about: Collection[str]) -> Mistake:
    """Make a Mistake of a wrong reply; what it rests on are the similarities of the concepts `about` which it errs."""
    seen = [match for match in reply["matches"] if match["box"] is not None]
    sure = [match["similarity"] for match in seen if match["name"] in about]
    boxes = tuple((tuple(match["box"]), match["name"]) for match in seen)
    return Mistake(photo, asked, reply["answer"], right, max(sure, default=None), boxes)


def of_test_split(photos: Photos, limit: int | None = None) -> list[CaptionedPhoto]:
    """Return the first `limit` captioned photos of the test split. Raises PersonalError where there are none."""
    rows = [row for row in photos.split("test") if row.captions][:limit]
    if not rows:
        raise PersonalError(
            f'{photos.folder} has no photo to test on: a line of its captions.jsonl needs "split": "test" and captions.'
        )
    return rows


def read(photos: Photos, row: CaptionedPhoto, notes: list[str]) -> Photo | None:
    """Read a captioned photo; one that cannot be used gives a note and None."""
    try:
        return read_photo(photos.read(row.image))
    except PersonalError as error:
        notes.append(f"{row.image} left out: {error}")
        return None

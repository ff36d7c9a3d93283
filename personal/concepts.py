"""The nouns of the project, as frozen values: what is remembered, what was recognised, what was said.

Knows nothing of files, models or screens, and imports nothing third-party.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 as fractions of the photo's width and height, 0..1, the origin at the top left."""

WHOLE: Box = (0.0, 0.0, 1.0, 1.0)

Certainty = Literal["sure", "maybe", "silent"]
"""What is done with a name: it is said, asked about, or left out."""


@dataclass(frozen=True, slots=True, weakref_slot=True)
class Photo:
    """A clean picture: metadata-free, upright, sRGB JPEG bytes. Made by `personal.images` alone.

    `sha256` (64 hex digits) is the digest of `jpeg` and serves as the photo's id; `width` and `height` are pixels.
    `hint` says what was odd about the file it came from, if anything; it is not kept.
    """

    jpeg: bytes = field(repr=False)
    sha256: str
    width: int
    height: int
    hint: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class View:
    """One reference photo of a concept, stored as `views/<sha256>.jpg`, or `negatives/…`; sizes in pixels."""

    sha256: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Concept:
    """A person, pet or thing with a name. `views` is never empty; `avatar` is the sha256 of one of them.

    `negatives` are pictures of what it is not, oldest first; `attributes` is its fingerprint, short phrases that tell
    it from its like (R2P, 2025). `created` and `updated` are UTC, ISO 8601, seconds. With `by_face` it is a
    person who may be recognised by the face: somebody said so.
    """

    id: str
    name: str
    category: str
    info: str
    views: tuple[View, ...]
    avatar: str
    created: str
    updated: str
    negatives: tuple[View, ...] = ()
    attributes: tuple[str, ...] = ()
    by_face: bool = False

    @property
    def tag(self) -> str:
        """The name as answers write it: `<name>`."""
        return f"<{self.name}>"


@dataclass(frozen=True, slots=True)
class ConceptEdit:
    """Changes to a concept: what is None or empty stays as it is.

    `remove`, `avatar` and `remove_negatives` are sha256 of its pictures. `by_face` false erases the faces of its views.
    """

    name: str | None = None
    category: str | None = None
    info: str | None = None
    add: Sequence[Photo] = ()
    remove: Sequence[str] = ()
    avatar: str | None = None
    add_negatives: Sequence[Photo] = ()
    remove_negatives: Sequence[str] = ()
    attributes: Sequence[str] | None = None
    by_face: bool | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """One neighbour of a query vector in the index; `similarity` is cosine, -1..1, higher is better.

    With `negative` the view shows what the concept is not.
    """

    concept_id: str
    view: str
    similarity: float
    negative: bool = False


Key = tuple[str, str, bool]
"""A concept's id, the sha256 of one of its pictures, and whether that is a negative."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A picture of a concept on its way into the index; `vectors` is an array (n, dimension), n at least 1."""

    concept_id: str
    view: str
    vectors: Any = field(repr=False, compare=False)
    negative: bool = False


@dataclass(frozen=True, slots=True)
class IndexedView:
    """A picture of a concept in the index; `vectors` is float32 (n, dimension) of unit rows, read only."""

    view: str
    negative: bool
    vectors: Any = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class LookAlike:
    """Two concepts that are hard to tell apart, with their most similar views; `similarity` is cosine."""

    first: Concept
    second: Concept
    first_view: str
    second_view: str
    similarity: float


@dataclass(frozen=True, slots=True)
class Match:
    """A concept that a photo or a question concerns, with the evidence.

    A concept that was only named in the question has neither similarity, box, view nor photo. `probability`, 0..1, is
    that of the match being right, where the retriever is calibrated. A `certainty` of "sure" is said, "maybe" is asked
    about, and "silent" is not said: only a ranking has those. `confirmed` is what the language model made of a doubtful
    match: True or False, None where it was not asked or could not tell. `evidence_box` is the part that the similarity
    is of: the box is drawn around it. With `by_face` the box is a face, and the similarity is that of faces.
    """

    concept: Concept
    reason: Literal["seen", "named"]
    similarity: float | None = None
    box: Box | None = None
    view: str | None = None
    photo: str | None = None
    probability: float | None = None
    confirmed: bool | None = None
    by_face: bool = False
    certainty: Certainty = "sure"
    evidence_box: Box | None = None

    @property
    def said(self) -> bool:
        """Whether answers call the concept by its name: the match is sure, and the language model did not deny it."""
        return self.certainty == "sure" and self.confirmed is not False


@dataclass(frozen=True, slots=True)
class PhotoFindings:
    """What is known about one photo: one value, which the page, the prompt and the answer read.

    `matches` are the concepts found in it, best first, with those that the language model denied. `rejected` are ids of
    concepts that the viewer said are not in it; no match is of one of these.
    """

    photo: Photo
    matches: tuple[Match, ...] = ()
    rejected: frozenset[str] = frozenset()

    @property
    def seen(self) -> tuple[Match, ...]:
        """The matches that answers call by their names."""
        return tuple(match for match in self.matches if match.said)

    @property
    def unsure(self) -> tuple[Match, ...]:
        """The matches that are a question, not a name."""
        return tuple(match for match in self.matches if match.certainty == "maybe" and match.confirmed is not False)

    @property
    def denied(self) -> tuple[Match, ...]:
        """The doubtful matches that the language model denied."""
        return tuple(match for match in self.matches if match.confirmed is False)

    @property
    def concepts(self) -> tuple[Concept, ...]:
        """The recognised concepts, each once."""
        return tuple({match.concept.id: match.concept for match in self.seen}.values())

    def found_again(self, matches: Iterable[Match]) -> PhotoFindings:
        """Return the findings after another search: rejected concepts stay out, and the language model's verdicts hold.

        A verdict holds while the concept and the view that matched are the same.
        """
        verdicts = {(match.concept, match.view): match.confirmed for match in self.matches}
        judged = tuple(replace(match, confirmed=verdicts.get((match.concept, match.view))) for match in matches)
        return replace(self, matches=judged).rejecting(self.rejected)

    def up_to_date(self, concepts: Mapping[str, Concept]) -> PhotoFindings:
        """Return the findings with today's concepts by their ids; forgotten ones are left out."""
        known = (match for match in self.matches if match.concept.id in concepts)
        return replace(self, matches=tuple(replace(match, concept=concepts[match.concept.id]) for match in known))

    def rejecting(self, rejected: Set[str]) -> PhotoFindings:
        """Return the findings with these concept ids rejected and no others; a new search finds those accepted."""
        kept = tuple(match for match in self.matches if match.concept.id not in rejected)
        return replace(self, matches=kept, rejected=frozenset(rejected))


@dataclass(frozen=True, slots=True)
class Turn:
    """One exchange of a conversation: what was shown and asked, and what was answered.

    `photos` are those that first appear with this turn. `matches` are what the prompt tells of it; the Assistant fills
    them in from the findings.
    """

    question: str
    photos: tuple[Photo, ...] = ()
    matches: tuple[Match, ...] = ()
    answer: str = ""


@dataclass(frozen=True, slots=True)
class Statement:
    """What is known about a question, without a language model: `text` with names as `<name>`, and whom it is about."""

    text: str
    source: Literal["recognition", "notes"]
    concepts: tuple[Concept, ...] = ()


@dataclass(frozen=True, slots=True)
class Look:
    """What retrieval found for a question: findings per photo, concepts that were only named, and seconds.

    `statement` is what the findings say about the question; None if they don't answer it.
    """

    photos: tuple[PhotoFindings, ...] = ()
    named: tuple[Match, ...] = ()
    seconds: float = 0.0
    statement: Statement | None = None

    @property
    def matches(self) -> tuple[Match, ...]:
        """All matches, those in the photos first, without the denied ones."""
        return (*(m for photo in self.photos for m in photo.matches if m.confirmed is not False), *self.named)

    @property
    def said(self) -> tuple[Match, ...]:
        """The matches that answers call by their names."""
        return tuple(match for match in self.matches if match.said)

    @property
    def denied(self) -> tuple[Match, ...]:
        """The doubtful matches that the language model denied."""
        return tuple(match for photo in self.photos for match in photo.denied)


@dataclass(frozen=True, slots=True)
class Waiting:
    """An answer's turn has not come: its `place` in the queue, 1 for the next, and the `seconds` that it expects.

    `seconds` are None until the queue has seen how long an answer takes.
    """

    place: int
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next part of a streamed answer; `tokens` is the number of tokens it consists of.

    The first one carries `dropped_turns`, the number of earliest exchanges that did not fit into the model's context.
    With `retracts`, all text before this delta was reasoning and is dropped.
    """

    text: str
    tokens: int = 1
    dropped_turns: int = 0
    retracts: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished answer and the `look` that it rests on; times in seconds from the question's arrival.

    `stopped`: the user stopped it; `first_token_s` is then None if no token had come. `dropped_turns` is the number of
    earliest exchanges that did not fit into the model's context.
    """

    text: str
    look: Look
    model: str
    tokens: int
    first_token_s: float | None
    total_s: float
    stopped: bool = False
    dropped_turns: int = 0

    @property
    def matches(self) -> tuple[Match, ...]:
        """The matches that the answer could call by their names."""
        return self.look.said


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A finished draft of a concept's attributes. `stopped` is true where the user stopped it."""

    attributes: tuple[str, ...]
    model: str
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class Preferences:
    """An owner's wishes: when a name is said, and concepts a photo at most, 1..20.

    `confidence` is the probability from which a name is said, 0..1; a `threshold`, the similarity, -1..1, takes its
    place where it is set. None means: as the settings and the retriever say.
    """

    threshold: float | None = None
    top_k: int | None = None
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a long work stands: `done` of `total` (0 = unknown), and in words what is being done."""

    text: str
    done: int = 0
    total: int = 0

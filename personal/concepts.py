"""The nouns of the project, as frozen values: what is remembered, what was recognised, what was said.

Knows nothing of files, models or screens, and imports nothing third-party.
"""

from __future__ import annotations

from dataclasses import dataclass, field
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
class Turn:
    """One exchange of a conversation: what was shown and asked, what was retrieved for it, what was answered.

    `photos` are those that first appear with this turn; `matches` are everything retrieved for it.
    """

    question: str
    photos: tuple[Photo, ...] = ()
    matches: tuple[Match, ...] = ()
    answer: str = ""


@dataclass(frozen=True, slots=True)
class Look:
    """What retrieval found in one photo (or question): matches, best first, maybes too, and the seconds it took.

    `turned_down` are doubtful matches that the language model denied: nobody is told of them as found.
    """

    matches: tuple[Match, ...]
    seconds: float
    turned_down: tuple[Match, ...] = ()

    @property
    def said(self) -> tuple[Match, ...]:
        """The matches that answers call by their names."""
        return tuple(match for match in self.matches if match.said)


@dataclass(frozen=True, slots=True)
class Waiting:
    """An answer's turn has not come: its `place` in the queue, 1 for the next, and the `seconds` that it expects.

    `seconds` are None until the queue has seen how long an answer takes.
    """

    place: int
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """The next piece of a streamed answer; `tokens` is how many tokens it stands for.

    `forgotten` is told with the first: how many of the earliest exchanges did not fit into the model's context. With
    `retracts`, all text before this piece turned out to be reasoning, and does not count.
    """

    text: str
    tokens: int = 1
    forgotten: int = 0
    retracts: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished answer with the evidence it rests on; seconds from the question's arrival.

    `stopped` is true where the user stopped it; `first_token_s` is then null if nothing had come. `forgotten` counts
    the earliest exchanges, which the model's context had no room for.
    """

    text: str
    matches: tuple[Match, ...]
    model: str
    tokens: int
    retrieve_s: float
    first_token_s: float | None
    total_s: float
    stopped: bool = False
    forgotten: int = 0


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

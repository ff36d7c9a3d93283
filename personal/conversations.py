"""A conversation about photos: its questions, answers and findings, and what its page is in the middle of.

Knows nothing of files or screens.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Container
from dataclasses import dataclass, field, replace
from typing import Literal

from personal.concepts import Answer, Box, Concept, Look, Match, Photo, PhotoFindings, Turn

Rating = Literal["", "up", "down"]

UNTITLED, PHOTO_ALONE = "New chat", "Photo"
MAX_TITLE = 100
"""Characters of a title that a person gives."""
MAX_REMARK = 500
"""Characters of what a person says about an answer."""


def now() -> str:
    """Return the time, UTC, ISO 8601, seconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


@dataclass(eq=False)
class Entry:
    """One exchange: the turn, asked at a time (UTC), and its answer or the words of what went wrong.

    `rating` and `remark` are what a person made of the answer.
    """

    turn: Turn
    answer: Answer | None = None
    error: str = ""
    asked: str = field(default_factory=now)
    rating: Rating = ""
    remark: str = ""


@dataclass(eq=False)
class Conversation:
    """What one conversation holds.

    `findings` are what is known about its photos, by their sha256; nothing else keeps that. `confirmed` are pairs of a
    photo and a concept that the visitor said is right. `active` is the photo in the panel. `name` is the title that a
    person gave. All pages that show a conversation share one value. The rest is not kept on disk: `temporary` says that
    nothing of it is, `deleted` that nothing more is; `marked` is the part of the active photo being named, `editing`
    the number of the entry whose question is being edited, `answering` the entry whose answer is being written, which
    `stop` ends. Hold `turn` while a question is begun.
    """

    id: str = field(default_factory=lambda: secrets.token_hex(16))
    entries: list[Entry] = field(default_factory=list)
    draft: list[Photo] = field(default_factory=list)
    findings: dict[str, PhotoFindings] = field(default_factory=dict)
    confirmed: set[tuple[str, str]] = field(default_factory=set)
    colours: dict[str, int] = field(default_factory=dict)
    active: str | None = None
    name: str = ""
    created: str = field(default_factory=now)
    temporary: bool = False
    deleted: bool = False
    marked: Box | None = None
    editing: int | None = None
    answering: Entry | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    turn: threading.Lock = field(default_factory=threading.Lock)

    @property
    def title(self) -> str:
        """The name it was given, else the first question, else that there is a photo, or that it is new."""
        asked = next((entry.turn.question for entry in self.entries if entry.turn.question), "")
        return self.name or asked or (PHOTO_ALONE if self.draft else UNTITLED)

    @property
    def updated(self) -> str:
        """When it was last asked something, or begun (UTC)."""
        return self.entries[-1].asked if self.entries else self.created

    @property
    def blank(self) -> bool:
        """Whether nothing has been shown or asked yet."""
        return not self.entries and not self.draft

    @property
    def photos(self) -> list[Photo]:
        """Every photo of the conversation, those not yet sent last."""
        return [photo for entry in self.entries for photo in entry.turn.photos] + self.draft

    def photo(self, sha256: str | None) -> Photo | None:
        return next((photo for photo in self.photos if photo.sha256 == sha256), None)

    def of(self, photo: Photo) -> PhotoFindings:
        """Return what is known about a photo."""
        return self.findings.get(photo.sha256) or PhotoFindings(photo)

    def found(self, found: PhotoFindings) -> None:
        """Keep what was found in a photo; what was rejected while it was searched counts."""
        self.findings[found.photo.sha256] = found.rejecting(self.of(found.photo).rejected)

    def reject(self, photo: Photo, concept_id: str) -> None:
        """Note that a concept is not in a photo."""
        self.findings[photo.sha256] = self.of(photo).rejecting(self.of(photo).rejected | {concept_id})

    def accept(self, photo: Photo, concept_id: str) -> None:
        """Take a rejection back."""
        self.findings[photo.sha256] = self.of(photo).rejecting(self.of(photo).rejected - {concept_id})

    def about(self, entry: Entry) -> tuple[Photo, ...]:
        """List the photos that an entry's question is about: its own, or else the last one before it."""
        before = self.entries[: self.entries.index(entry)]
        return entry.turn.photos or tuple([photo for one in before for photo in one.turn.photos][-1:])

    def recognised(self, entry: Entry, look: Look) -> set[str] | None:
        """Return the ids of concepts that an answer may name: recognised in its photos or asked about; None: any.

        `look` is what was found for the question. None where there is no photo in which one could be recognised.
        """
        photos = self.about(entry)
        if not photos:
            return None
        asked = {match.concept.id for match in look.named} | {
            concept.id for concept in (look.statement.concepts if look.statement else ())
        }
        return asked | {match.concept.id for photo in photos for match in self.of(photo).seen}

    def activate(self, sha256: str) -> None:
        """Put a photo of the conversation into the panel; anything else changes nothing."""
        if self.photo(sha256):
            self.active, self.marked = sha256, None

    def colour(self, concept_id: str) -> int:
        """The concept's colour in this conversation: 0..7, in order of appearance."""
        return self.colours.setdefault(concept_id, len(self.colours)) % 8

    def forget_all_but(self, known: Container[str]) -> None:
        """Drop what is known of concepts whose ids are not among these; the text and the names that were said stay."""
        for sha256, found in list(self.findings.items()):
            matches = tuple(match for match in found.matches if match.concept.id in known)
            rejected = frozenset(one for one in found.rejected if one in known)
            self.findings[sha256] = replace(found, matches=matches, rejected=rejected)
        self.confirmed = {pair for pair in self.confirmed if pair[1] in known}
        self.colours = {one: colour for one, colour in self.colours.items() if one in known}
        for entry in self.entries:
            if entry.answer:
                look = with_concepts(entry.answer.look, lambda concept: concept if concept.id in known else None)
                entry.answer = replace(entry.answer, look=look)


def name_alone(concept_id: str, name: str) -> Concept:
    """Return a concept of which nothing but its name is there any more."""
    return Concept(concept_id, name, "", "", (), "", "", "")


def with_concepts(look: Look, current: Callable[[Concept], Concept | None]) -> Look:
    """Return what was found for a question with each concept as `current` returns it; None leaves its name alone."""

    def concept_of(concept: Concept) -> Concept:
        return current(concept) or name_alone(concept.id, concept.name)

    def match_of(match: Match) -> Match:
        concept = current(match.concept)
        if concept is not None:
            return replace(match, concept=concept)
        return Match(concept_of(match.concept), match.reason, confirmed=match.confirmed, certainty=match.certainty)

    statement = look.statement
    return replace(
        look,
        photos=tuple(replace(found, matches=tuple(map(match_of, found.matches))) for found in look.photos),
        named=tuple(map(match_of, look.named)),
        statement=statement and replace(statement, concepts=tuple(map(concept_of, statement.concepts))),
    )

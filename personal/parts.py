"""What the Assistant is made of, as it knows its parts: each names the module that has the real thing."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from collections.abc import Generator as Steps
from typing import Any, Protocol

from personal.concepts import (
    Box,
    Concept,
    ConceptEdit,
    Entry,
    Fingerprint,
    Hit,
    IndexedView,
    Key,
    Match,
    Photo,
    Preferences,
    Progress,
    TextDelta,
    Turn,
    Waiting,
)
from personal.messages import Message

Vectors = Any
"""A numpy float32 array of shape (n, dimension), rows of unit length."""


class Library(Protocol):
    """Concepts on disk: the truth (`personal.remember.library`)."""

    def owners(self) -> list[str]: ...
    def concepts(self, owner: str) -> list[Concept]: ...
    def check_name(self, name: str) -> str: ...
    def lookup(self, owner: str, name: str) -> Concept | None: ...
    def get(self, owner: str, concept_id: str) -> Concept: ...
    def photo(self, owner: str, concept_id: str, view: str) -> Photo: ...
    def add(
        self,
        owner: str,
        name: str,
        photos: Sequence[Photo],
        category: str,
        info: str,
        attributes: Sequence[str],
        by_face: bool,
    ) -> Concept: ...
    def preview(
        self, owner: str, name: str, photos: Sequence[Photo], category: str, info: str, attributes: Sequence[str]
    ) -> Concept: ...
    def preview_edit(self, owner: str, concept_id: str, edit: ConceptEdit) -> Concept: ...
    def revise(self, owner: str, concept_id: str, edit: ConceptEdit) -> Concept: ...
    def discard(self, owner: str, concept_id: str) -> None: ...
    def forget(self, owner: str, concept_id: str) -> str: ...
    def restore(self, owner: str, token: str) -> Concept: ...
    def trash(self, owner: str) -> list[Any]: ...
    def empty_trash(self, owner: str, older_than_s: float = 0.0) -> None: ...
    def erase(self, owner: str) -> None: ...
    def preferences(self, owner: str) -> Preferences: ...
    def prefer(self, owner: str, preferences: Preferences) -> None: ...


class Index(Protocol):
    """Vectors of views and negatives (`personal.remember.index`)."""

    def reset(self) -> None: ...
    def views(self, owner: str) -> set[Key]: ...
    def put(self, owner: str, entries: Sequence[Entry]) -> None: ...
    def drop(self, owner: str, keys: Iterable[Key]) -> None: ...
    def query(self, owner: str, vectors: Vectors, limit: int, *, negatives: bool = True) -> list[list[Hit]]: ...
    def vectors(self, owner: str, concept_ids: Iterable[str]) -> dict[str, list[IndexedView]]: ...
    def look_alikes(
        self, owner: str, concept_ids: Sequence[str], at_least: float
    ) -> list[tuple[float, tuple[str, str], tuple[str, str]]]: ...
    def erase(self, owner: str) -> None: ...


class People(Protocol):
    """Who is recognised by the face (`personal.retrieve.people`)."""

    @property
    def loaded(self) -> bool: ...
    def load(self) -> Iterator[Progress]: ...
    def known(self, owner: str) -> set[Key]: ...
    def put(self, owner: str, views: Iterable[tuple[str, Photo]]) -> None: ...
    def purge(self, owner: str, views: Iterable[Key]) -> None: ...
    def erase(self, owner: str) -> None: ...


class Retriever(Protocol):
    """Which concepts a photo or question concerns (`personal.retrieve.retriever`)."""

    cache_size: int

    @property
    def threshold(self) -> float: ...
    @property
    def confidence(self) -> float: ...
    @property
    def confusable_threshold(self) -> float: ...
    def calibrated(self, owner: str) -> bool: ...
    def embed(self, photos: Sequence[Photo]) -> Iterable[Vectors]: ...
    def encode_ahead(self, references: Sequence[Photo], photos: Sequence[Photo]) -> None: ...
    def look(
        self,
        owner: str,
        photo: Photo,
        concepts: Sequence[Concept],
        *,
        top_k: int,
        threshold: float | None = None,
        confidence: float | None = None,
        rejected: Set[str] = frozenset(),
    ) -> list[Match]: ...
    def rank(
        self,
        owner: str,
        photo: Photo,
        concepts: Sequence[Concept],
        box: Box | None = None,
        *,
        without: Set[str] = frozenset(),
        threshold: float | None = None,
        confidence: float | None = None,
        faces: bool = False,
    ) -> list[Match]: ...
    def regions(self, photo: Photo) -> Any: ...
    def calibrate(self, owner: str, concepts: Sequence[Concept]) -> None: ...
    def clear(self, owner: str) -> None: ...
    def named(self, question: str, concepts: Sequence[Concept]) -> list[Match]: ...
    def bracketed(self, question: str, concepts: Sequence[Concept]) -> str: ...


class LanguageModel(Protocol):
    """What is asked of every language model but to stream; where it `verifies`, it judges doubtful matches too."""

    @property
    def name(self) -> str: ...
    @property
    def sees(self) -> bool: ...
    @property
    def single_turn(self) -> bool: ...
    @property
    def verifies(self) -> bool: ...
    @property
    def description(self) -> str: ...
    @property
    def server(self) -> str: ...
    def health(self) -> str: ...
    def load(self) -> Iterator[Progress]: ...
    def clear(self) -> None: ...
    def answers(self, asked: Sequence[Sequence[Message]], *, max_new_tokens: int) -> list[str]: ...


class Generator(LanguageModel, Protocol):
    """The language model that answers, shared by owners (`personal.generate.switching`)."""

    def stream(
        self,
        messages: Sequence[Message],
        *,
        max_new_tokens: int,
        stop: threading.Event,
        temperature: float = 0.0,
        owner: str = "",
    ) -> Iterator[Waiting | TextDelta]: ...


class BuildMessages(Protocol):
    """Turn a conversation into chat messages (`personal.generate.prompt.build_messages`)."""

    def __call__(
        self, turns: Sequence[Turn], *, avatars: Callable[[Concept], Photo], sees: bool, single_turn: bool
    ) -> list[Message]: ...


class Verify(Protocol):
    """Short questions to the language model about concepts (`personal.generate.verify`)."""

    def fingerprint(
        self, generator: Generator, photos: Sequence[Photo], category: str, *, stop: threading.Event, owner: str
    ) -> Iterator[Waiting | TextDelta | Fingerprint]: ...
    def confirm(
        self,
        generator: Generator,
        photo: Photo,
        match: Match,
        rival: Match | None,
        *,
        avatars: Callable[[Concept], Photo],
        stop: threading.Event,
        owner: str,
    ) -> Steps[Waiting, None, Match]: ...

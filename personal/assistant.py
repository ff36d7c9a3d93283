"""Assistant: remember, revise, forget, look, answer. The one pipeline that UI, shell and evaluation all call.

It is given its parts and knows them by the Protocols below; it imports none of them. Every method takes the owner first
and touches nothing of any other owner. It holds no conversation: those belong to the caller.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import replace
from typing import Any, Protocol

from personal.concepts import (
    Answer,
    Box,
    Concept,
    Hit,
    Look,
    Match,
    Photo,
    Piece,
    Preferences,
    Progress,
    Turn,
    Waiting,
)
from personal.errors import ModelError, StoreError

UNDO_S = 600.0
"""How long a forgotten concept can be brought back, seconds."""

CAPTION = "Give a caption of the photo."
"""What is asked for a description; personal-tiny was trained on these words."""

NOBODY: Mapping[str, Set[str]] = {}

Vector = Any
"""A numpy float32 array of shape (dimension,), unit length."""


class Library(Protocol):
    """Concepts on disk: the truth (`personal.remember.library`)."""

    def owners(self) -> list[str]: ...
    def concepts(self, owner: str) -> list[Concept]: ...
    def check_name(self, name: str) -> str: ...
    def lookup(self, owner: str, name: str) -> Concept | None: ...
    def get(self, owner: str, concept_id: str) -> Concept: ...
    def photo(self, owner: str, concept_id: str, view: str) -> Photo: ...
    def add(self, owner: str, name: str, photos: Sequence[Photo], category: str, info: str) -> Concept: ...
    def revise(
        self,
        owner: str,
        concept_id: str,
        *,
        name: str | None = None,
        category: str | None = None,
        info: str | None = None,
        add: Sequence[Photo] = (),
        remove: Sequence[str] = (),
        avatar: str | None = None,
    ) -> Concept: ...
    def forget(self, owner: str, concept_id: str) -> str: ...
    def restore(self, owner: str, token: str) -> Concept: ...
    def trash(self, owner: str) -> list[Any]: ...
    def empty_trash(self, owner: str, older_than_s: float = 0.0) -> None: ...
    def erase(self, owner: str) -> None: ...
    def preferences(self, owner: str) -> Preferences: ...
    def prefer(self, owner: str, preferences: Preferences) -> None: ...


class Index(Protocol):
    """Vectors of views (`personal.remember.index`)."""

    def views(self, owner: str) -> set[tuple[str, str]]: ...
    def put(self, owner: str, entries: Sequence[tuple[str, str, Vector]]) -> None: ...
    def drop(self, owner: str, entries: Sequence[tuple[str, str]]) -> None: ...
    def query(self, owner: str, vectors: Vector, limit: int) -> list[list[Hit]]: ...
    def erase(self, owner: str) -> None: ...


class Retriever(Protocol):
    """Which concepts a photo or question concerns (`personal.retrieve.retriever`)."""

    cache_size: int

    @property
    def threshold(self) -> float: ...
    def embed(self, photos: Sequence[Photo]) -> Vector: ...
    def look(
        self,
        owner: str,
        photo: Photo,
        concepts: Sequence[Concept],
        *,
        threshold: float,
        top_k: int,
        rejected: Set[str] = frozenset(),
    ) -> list[Match]: ...
    def rank(self, owner: str, photo: Photo, concepts: Sequence[Concept], box: Box | None = None) -> list[Match]: ...
    def clear(self) -> None: ...
    def named(self, question: str, concepts: Sequence[Concept]) -> list[Match]: ...
    def bracketed(self, question: str, concepts: Sequence[Concept]) -> str: ...


class Generator(Protocol):
    """A language model that answers (`personal.generate.local`)."""

    @property
    def name(self) -> str: ...
    @property
    def sees(self) -> bool: ...
    @property
    def single_turn(self) -> bool: ...
    @property
    def description(self) -> str: ...
    def clear(self) -> None: ...
    def stream(
        self,
        messages: Sequence[dict[str, Any]],
        *,
        max_new_tokens: int,
        stop: threading.Event,
        temperature: float = 0.0,
    ) -> Iterator[Waiting | Piece]: ...


class LayOut(Protocol):
    """Turn a conversation into chat messages (`personal.generate.prompt.lay_out`)."""

    def __call__(
        self, turns: Sequence[Turn], *, avatars: Callable[[Concept], Photo], sees: bool, single_turn: bool
    ) -> list[dict[str, Any]]: ...


class Assistant:
    """RAP's three verbs over one library, for any number of owners (Hao et al., CVPR 2025, section 3)."""

    def __init__(
        self,
        library: Library,
        index: Index,
        retriever: Retriever,
        generator: Generator,
        lay_out: LayOut,
        *,
        max_new_tokens: int = 256,
        threshold: float | None = None,
        top_k: int = 4,
    ) -> None:
        self.library = library
        self.index = index
        self.retriever = retriever
        self.generator = generator
        self._lay_out = lay_out
        self._max_new_tokens = max_new_tokens
        self._threshold = threshold
        self._top_k = top_k

    # -- remember ------------------------------------------------------------------------------------------------

    def concepts(self, owner: str) -> list[Concept]:
        """List an owner's concepts, oldest first."""
        return self.library.concepts(owner)

    def remember(self, owner: str, name: str, photos: Sequence[Photo], category: str = "", info: str = "") -> Concept:
        """Add a concept with its views; a name the owner already has gains the views instead.

        Category and info of an existing concept change only where given. Raises ConceptError, StoreError.
        """
        known = self.library.lookup(owner, name)
        vectors = self.retriever.embed(photos)
        if known:
            concept = self.library.revise(owner, known.id, category=category or None, info=info or None, add=photos)
        else:
            concept = self.library.add(owner, name, photos, category, info)
        self.index.put(owner, [(concept.id, p.sha256, v) for p, v in zip(photos, vectors, strict=True)])
        return concept

    def revise(
        self,
        owner: str,
        concept_id: str,
        *,
        name: str | None = None,
        category: str | None = None,
        info: str | None = None,
        add: Sequence[Photo] = (),
        remove: Sequence[str] = (),
        avatar: str | None = None,
    ) -> Concept:
        """Change what is given and leave the rest; the next answer knows. Raises ConceptError, StoreError."""
        vectors = self.retriever.embed(add)
        concept = self.library.revise(
            owner, concept_id, name=name, category=category, info=info, add=add, remove=remove, avatar=avatar
        )
        kept = {view.sha256 for view in concept.views}
        self.index.drop(owner, [(concept_id, view) for view in remove if view not in kept])
        self.index.put(
            owner, [(concept_id, p.sha256, v) for p, v in zip(add, vectors, strict=True) if p.sha256 in kept]
        )
        return concept

    def forget(self, owner: str, concept_id: str) -> str:
        """Forget a concept: it is recognised no more from now on. Return a token for `restore`, good for UNDO_S."""
        concept = self.library.get(owner, concept_id)
        token = self.library.forget(owner, concept_id)
        self.index.drop(owner, [(concept_id, view.sha256) for view in concept.views])
        self.generator.clear()
        return token

    def restore(self, owner: str, token: str) -> Concept:
        """Undo a `forget`. Raises ConceptError once the time is over."""
        concept = self.library.restore(owner, token)
        self._index_views(owner, [(concept, view.sha256) for view in concept.views])
        return concept

    def sweep(self) -> None:
        """Erase for good what was forgotten longer than UNDO_S ago."""
        for owner in self.library.owners():
            self.library.empty_trash(owner, UNDO_S)

    def erase(self, owner: str) -> None:
        """Erase everything of an owner: concepts, trash, preferences and vectors. There is no undo."""
        self.library.erase(owner)
        self.index.erase(owner)
        self.retriever.clear()
        self.generator.clear()

    def reindex(self, owner: str, *, afresh: bool = False) -> Iterator[Progress]:
        """Make the index agree with the disk: embed what it lacks, drop what it has too much.

        With `afresh` every view is embedded again. A view whose file cannot be read is left out.
        """
        if afresh:
            self.index.erase(owner)
        wanted = {(c.id, view.sha256): c for c in self.library.concepts(owner) for view in c.views}
        present = self.index.views(owner)
        self.index.drop(owner, sorted(present - wanted.keys()))
        missing = [(concept, view) for (cid, view), concept in wanted.items() if (cid, view) not in present]
        for start in range(0, len(missing), 8):
            yield Progress("Learning your photos again", start, len(missing))
            self._index_views(owner, missing[start : start + 8])
        if missing:
            yield Progress("Learning your photos again", len(missing), len(missing))

    def _index_views(self, owner: str, views: Sequence[tuple[Concept, str]]) -> None:
        readable = []
        for concept, view in views:
            with suppress(StoreError):  # a damaged file: the library lists it among its problems
                readable.append((concept.id, view, self.library.photo(owner, concept.id, view)))
        vectors = self.retriever.embed([photo for _, _, photo in readable])
        self.index.put(owner, [(cid, view, v) for (cid, view, _), v in zip(readable, vectors, strict=True)])

    # -- preferences ---------------------------------------------------------------------------------------------

    @property
    def default_threshold(self) -> float:
        """The similarity from which a name is said unless the owner wishes otherwise."""
        return self.retriever.threshold if self._threshold is None else self._threshold

    def preferences(self, owner: str) -> Preferences:
        """Tell how sure an owner wants the app to be; what they never set comes from the settings and the encoder."""
        wishes = self.library.preferences(owner)
        return Preferences(
            threshold=self.default_threshold if wishes.threshold is None else wishes.threshold,
            top_k=wishes.top_k or self._top_k,
        )

    # -- retrieve ------------------------------------------------------------------------------------------------

    def look(
        self,
        owner: str,
        photo: Photo | None,
        question: str = "",
        *,
        threshold: float | None = None,
        top_k: int | None = None,
        names: bool = True,
        rejected: Set[str] = frozenset(),
    ) -> Look:
        """Find which of the owner's concepts a photo and a question concern; no language model is asked.

        `threshold` and `top_k` default to the owner's preferences; `rejected` are concept ids not to be claimed.
        What was seen comes first, best first, then what was only named.
        """
        began = time.perf_counter()
        concepts = self.library.concepts(owner)
        wishes = self.preferences(owner)
        threshold = wishes.threshold if threshold is None else threshold
        matches: list[Match] = []
        if photo is not None and concepts and threshold is not None:
            at_most = top_k or wishes.top_k or self._top_k
            matches = self.retriever.look(owner, photo, concepts, threshold=threshold, top_k=at_most, rejected=rejected)
        if names and question:
            seen = {match.concept.id for match in matches}
            matches += [m for m in self.retriever.named(question, concepts) if m.concept.id not in seen]
        return Look(tuple(matches), time.perf_counter() - began)

    def rank(self, owner: str, photo: Photo, box: Box | None = None) -> list[Match]:
        """Rank all concepts by their similarity to a photo (or to one box of it), whatever the threshold."""
        return self.retriever.rank(owner, photo, self.library.concepts(owner), box)

    # -- generate ------------------------------------------------------------------------------------------------

    def answer(
        self,
        owner: str,
        turns: Sequence[Turn],
        *,
        stop: threading.Event | None = None,
        threshold: float | None = None,
        top_k: int | None = None,
        names: bool = True,
        memory: bool = True,
        rejected: Mapping[str, Set[str]] = NOBODY,
        temperature: float = 0.0,
    ) -> Iterator[Look | Waiting | Piece | Answer]:
        """Answer the last turn of a conversation, grounded in its photos and in the owner's concepts.

        Yields the Look first, then Waiting while others are before it, Pieces as they come, and the Answer last.
        `rejected` maps a photo's sha256 to concept ids not to be claimed in it; without `memory` nothing is retrieved.
        Decoding is greedy unless `temperature` is above 0.
        Setting `stop` ends the answer at the next token. Raises ModelError.
        """
        began = time.perf_counter()
        stop = stop or threading.Event()
        *earlier, last = turns
        matches: list[Match] = []
        if memory:
            for photo in last.photos or (None,):
                found = self.look(
                    owner,
                    photo,
                    last.question,
                    threshold=threshold,
                    top_k=top_k,
                    names=names,
                    rejected=rejected.get(photo.sha256, frozenset()) if photo else frozenset(),
                )
                already = {(m.concept.id, m.photo) for m in matches}
                matches += [m for m in found.matches if (m.concept.id, m.photo) not in already]
            seen = {m.concept.id for m in matches if m.reason == "seen"}
            matches = [m for m in matches if m.reason == "seen" or m.concept.id not in seen]
        retrieve_s = time.perf_counter() - began
        yield Look(tuple(matches), retrieve_s)
        told = [*self._as_known_now(owner, earlier), replace(last, matches=tuple(matches))]
        if names and memory:
            known = self.library.concepts(owner)
            told = [replace(turn, question=self.retriever.bracketed(turn.question, known)) for turn in told]
        messages = self._lay_out(
            told,
            avatars=lambda concept: self.library.photo(owner, concept.id, concept.avatar),
            sees=self.generator.sees,
            single_turn=self.generator.single_turn,
        )
        pieces: list[str] = []
        tokens, forgotten, first_token_s = 0, 0, None
        for event in self.generator.stream(
            messages, max_new_tokens=self._max_new_tokens, stop=stop, temperature=temperature
        ):
            if isinstance(event, Piece):
                first_token_s = first_token_s or time.perf_counter() - began
                tokens += event.tokens
                forgotten += event.forgotten
                pieces.append(event.text)
            yield event
        yield Answer(
            text="".join(pieces).strip(),
            matches=tuple(matches),
            model=self.generator.name,
            tokens=tokens,
            retrieve_s=retrieve_s,
            first_token_s=first_token_s,
            total_s=time.perf_counter() - began,
            stopped=stop.is_set(),
            forgotten=forgotten,
        )

    def describe(
        self, owner: str, photo: Photo, *, stop: threading.Event | None = None
    ) -> Iterator[Waiting | Piece | Answer]:
        """Draft in a sentence what a photo shows, to be a concept's info; nothing is retrieved and nothing is kept.

        Yields what `answer` does, without the Look; the Answer's text is on one line and begins with a capital.
        Setting `stop` ends it at the next token. Raises ModelError, also where the model does not see or says nothing.
        """
        model = self.generator.name
        if not self.generator.sees:
            raise ModelError(
                f"{model} cannot see photos, so it cannot describe one. Choose a model that does: Settings says how."
            )
        for event in self.answer(owner, [Turn(CAPTION, (photo,))], stop=stop, memory=False):
            if isinstance(event, Answer):
                text = " ".join(event.text.split())
                if not text and not event.stopped:
                    raise ModelError(f"{model} found no words for this photo. Write your own, or try another photo.")
                yield replace(event, text=text[:1].upper() + text[1:])
            elif not isinstance(event, Look):
                yield event

    def _as_known_now(self, owner: str, turns: Sequence[Turn]) -> list[Turn]:
        """Bring earlier turns up to date: an edited concept speaks with its new record, a forgotten one is gone."""
        known = {concept.id: concept for concept in self.library.concepts(owner)}
        return [
            replace(
                turn,
                matches=tuple(replace(m, concept=known[m.concept.id]) for m in turn.matches if m.concept.id in known),
            )
            for turn in turns
        ]

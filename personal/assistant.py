"""Assistant: remember, revise, forget, look, answer. The one pipeline that UI, shell and evaluation all call.

It is given its parts and knows them by the Protocols of `personal.parts`; it imports none of them. Every method takes
the owner first and touches nothing of any other owner. It holds no conversation: those belong to the caller.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from collections.abc import Generator as Steps
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from typing import Any, TypeVar

from personal.concepts import (
    Answer,
    Box,
    Concept,
    Entry,
    Fingerprint,
    Key,
    Look,
    LookAlike,
    Match,
    Photo,
    Piece,
    Preferences,
    Progress,
    Turn,
    Waiting,
)
from personal.errors import ConceptError, ModelError, StoreError
from personal.findings import FindEvidence, Findings, gather, resolve
from personal.parts import Generator, Index, LayOut, Library, People, Retriever, Vectors, Verify

log = logging.getLogger(__name__)

UNDO_S = 600.0
"""How long a forgotten concept can be brought back, seconds."""

CAPTION = "Give a caption of the photo."
"""What is asked for a description; personal-tiny was trained on these words."""

KNOWN = "recognition and notes"
"""What is named as the model of an answer that findings gave."""

DOUBT = (0.1, 0.65)
"""Probabilities between which a match is doubtful: the language model is asked, where it can tell."""

NEAR = 0.05
"""A concept that is less similar by no more than this could as well be meant."""

T = TypeVar("T")

NOBODY: Mapping[str, Set[str]] = {}


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
        verify: Verify | None = None,
        people: People | None = None,
        find_evidence: FindEvidence | None = None,
        max_new_tokens: int = 256,
        threshold: float | None = None,
        top_k: int = 4,
    ) -> None:
        self.library = library
        self.index = index
        self.retriever = retriever
        self.generator = generator
        self.verify = verify
        self.people = people
        self._find_evidence = find_evidence
        self._lay_out = lay_out
        self._max_new_tokens = max_new_tokens
        self._threshold = threshold
        self._top_k = top_k
        self._behind: set[str] = set()
        self._mending = threading.RLock()

    # -- remember ------------------------------------------------------------------------------------------------

    def concepts(self, owner: str) -> list[Concept]:
        """List an owner's concepts, oldest first."""
        return self.library.concepts(owner)

    def remember(
        self,
        owner: str,
        name: str,
        photos: Sequence[Photo],
        category: str = "",
        info: str = "",
        attributes: Sequence[str] = (),
        by_face: bool | None = None,
    ) -> Concept:
        """Add a concept with its views; a name the owner already has gains the views instead.

        Category, info and attributes of an existing concept change only where given, and so does whether it is a person
        `by_face` (see `revise`). Raises ConceptError, StoreError, ModelError.
        """
        self._keep_up(owner)
        known = self.library.lookup(owner, name)
        if known:
            return self.revise(
                owner,
                known.id,
                category=category or None,
                info=info or None,
                add=photos,
                attributes=attributes or None,
                by_face=by_face,
            )
        if by_face:
            _drain(self.open_faces())
        vectors = self.retriever.embed(photos)
        concept = self.library.add(owner, name, photos, category, info, attributes, bool(by_face))
        with _undone_by(lambda: self.library.discard(owner, concept.id)):
            self._index(owner, [(concept.id, photo, False) for photo in photos], vectors)
        self.retriever.calibrate(owner, self.library.concepts(owner))
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
        add_negatives: Sequence[Photo] = (),
        remove_negatives: Sequence[str] = (),
        attributes: Sequence[str] | None = None,
        by_face: bool | None = None,
    ) -> Concept:
        """Change what is given and leave the rest; the next answer knows. Raises ConceptError, StoreError.

        With `by_face` the faces of its views are remembered, without it they are erased. What recognises faces is
        opened first, unless `open_faces` did that: then ModelError, too. Where no faces are looked at the wish is kept.
        """
        self._keep_up(owner)
        before = self.library.get(owner, concept_id)
        if by_face:
            _drain(self.open_faces())
        vectors = self.retriever.embed([*add, *add_negatives])
        concept = self.library.revise(
            owner,
            concept_id,
            name=name,
            category=category,
            info=info,
            add=add,
            remove=remove,
            avatar=avatar,
            add_negatives=add_negatives,
            remove_negatives=remove_negatives,
            attributes=attributes,
            by_face=by_face,
        )
        pictures = _pictures(concept)
        self._drop(owner, _pictures(before) - pictures, _pictures(before) - (pictures if concept.by_face else set()))
        given = [(concept_id, p, False) for p in add] + [(concept_id, p, True) for p in add_negatives]
        kept = [
            (view, of)
            for view, of in zip(given, vectors, strict=True)
            if (view[0], view[1].sha256, view[2]) in pictures
        ]
        with _undone_by(lambda: self._revert(owner, before, concept)):
            self._index(owner, [view for view, _ in kept], [of for _, of in kept])
        if concept.by_face and not before.by_face:
            self._remember_faces(owner, self._readable(owner, _pictures(before) & pictures))
        if kept:
            self.retriever.calibrate(owner, self.library.concepts(owner))
        return concept

    def _revert(self, owner: str, before: Concept, after: Concept) -> None:
        """Take a revision back, but for pictures that it removed: they are erased."""
        old, new = ({view.sha256 for view in concept.views} for concept in (before, after))
        had, has = ({view.sha256 for view in concept.negatives} for concept in (before, after))
        self.library.revise(
            owner,
            before.id,
            name=before.name,
            category=before.category,
            info=before.info,
            remove=[sha256 for sha256 in new - old if old & new],
            avatar=before.avatar if before.avatar in new & old else None,
            remove_negatives=list(has - had),
            attributes=before.attributes,
            by_face=before.by_face,
        )

    def _drop(self, owner: str, pictures: Set[Key], faces: Set[Key]) -> None:
        """Drop pictures from the index, and faces from theirs; what cannot be dropped now is by `sweep`."""
        with self._catching_up_later(owner):
            self.index.drop(owner, pictures)
        if self.people:
            with self._catching_up_later(owner):
                self.people.purge(owner, faces)

    @contextmanager
    def _catching_up_later(self, owner: str) -> Iterator[None]:
        """Go on where the index cannot follow the disk now, such as a full one: it is not the truth."""
        try:
            yield
        except StoreError as error:
            log.warning("The index is behind what is stored, and follows later: %s", error)
            self._behind.add(owner)

    def _keep_up(self, owner: str) -> None:
        """Make the index agree with the disk where it fell behind."""
        with self._mending:
            if owner in self._behind:
                with self._catching_up_later(owner):
                    self._behind.discard(owner)
                    _drain(self.reindex(owner))

    def open_faces(self) -> Iterator[Progress]:
        """Fetch (30 MB, once) and open what recognises faces, where faces are looked at. Raises ModelError."""
        if self.people:
            yield from self.people.load()

    def disown(self, owner: str, concept_id: str, photo: Photo, box: Box) -> Concept:
        """Remember that what `box` of a photo shows is not this concept: it becomes one of its negatives, once.

        `revise(remove_negatives=[…])` undoes it, with the last of the concept's `negatives`. Raises ConceptError,
        also where the box is one of the concept's own photos, ImageError and StoreError.
        """
        from personal.crops import crop

        concept, cut = self.library.get(owner, concept_id), crop(photo, box)
        if cut.sha256 in {view.sha256 for view in concept.negatives}:
            return concept
        return self.revise(owner, concept_id, add_negatives=[cut])

    def forget(self, owner: str, concept_id: str) -> str:
        """Forget a concept: it is recognised no more from now on. Return a token for `restore`, good for UNDO_S."""
        concept = self.library.get(owner, concept_id)
        token = self.library.forget(owner, concept_id)
        self._drop(owner, _pictures(concept), _pictures(concept))
        self.generator.clear()
        return token

    def restore(self, owner: str, token: str) -> Concept:
        """Undo a `forget`. Raises ConceptError once the time is over."""
        self._keep_up(owner)
        concept = self.library.restore(owner, token)
        with self._catching_up_later(owner):
            self._index(owner, self._readable(owner, _pictures(concept)))
        return concept

    def sweep(self) -> None:
        """Erase for good what was forgotten longer than UNDO_S ago, and let the index follow where it fell behind."""
        for owner in self.library.owners():
            self.library.empty_trash(owner, UNDO_S)
        for owner in list(self._behind):
            self._keep_up(owner)

    def erase(self, owner: str) -> None:
        """Erase everything of an owner: concepts, trash, preferences and vectors. There is no undo."""
        with ExitStack() as whatever_fails:
            whatever_fails.callback(self.generator.clear)
            whatever_fails.callback(self.retriever.clear, owner)
            if self.people:
                whatever_fails.callback(self.people.erase, owner)
            whatever_fails.callback(self.index.erase, owner)
            self.library.erase(owner)

    def reindex(self, owner: str, *, afresh: bool = False) -> Iterator[Progress]:
        """Make the index agree with the disk: embed what it lacks, drop what it has too much; that of faces, too.

        With `afresh` every view is embedded again, each in the place of what there was: whoever stops halfway has lost
        nothing. A view whose file cannot be read is left out.
        """
        present = self._indexed(owner, afresh=afresh)  # first: what is added meanwhile is not too much
        wanted = [key for concept in self.library.concepts(owner) for key in sorted(_pictures(concept))]
        self.index.drop(owner, present.difference(wanted))
        missing = [key for key in wanted if afresh or key not in present]
        for start in range(0, len(missing), 8):
            yield Progress("Learning your photos again", start, len(missing))
            self._index(owner, self._readable(owner, missing[start : start + 8]))
        if missing:
            yield Progress("Learning your photos again", len(missing), len(missing))
        self.retriever.calibrate(owner, self.library.concepts(owner))
        if self.people:
            yield from self._reindex_faces(owner, self.people)

    def _indexed(self, owner: str, *, afresh: bool) -> set[Key]:
        """List what is indexed; with `afresh` an index that cannot be read is replaced by an empty one."""
        try:
            return self.index.views(owner)
        except StoreError:
            if not afresh:
                raise
        self.index.reset()
        self._behind.update(other for other in self.library.owners() if other != owner)
        return self.index.views(owner)

    def _reindex_faces(self, owner: str, people: People) -> Iterator[Progress]:
        present = people.known(owner)
        by_face = [concept for concept in self.library.concepts(owner) if concept.by_face]
        wanted = [key for concept in by_face for key in sorted(_pictures(concept)) if not key[2]]
        people.purge(owner, present.difference(wanted))
        missing = [key for key in wanted if key not in present] if people.loaded else []
        for done, key in enumerate(missing):  # photos without a face among them, each time
            yield Progress("Learning faces again", done, len(missing))
            self._remember_faces(owner, self._readable(owner, [key]))

    def _index(
        self, owner: str, pictures: Sequence[tuple[str, Photo, bool]], vectors: Iterable[Vectors] | None = None
    ) -> None:
        """Index views and negatives, each given by its concept's id, itself and whether it is a negative."""
        if vectors is None:
            vectors = self.retriever.embed([photo for _, photo, _ in pictures])
        self.index.put(
            owner,
            [
                Entry(concept_id, photo.sha256, of_it, negative)
                for (concept_id, photo, negative), of_it in zip(pictures, vectors, strict=True)
            ],
        )
        keys = {(concept_id, photo.sha256, negative) for concept_id, photo, negative in pictures}
        self.index.drop(owner, keys - self._left(owner, keys))
        self._remember_faces(owner, pictures)

    def _remember_faces(self, owner: str, pictures: Sequence[tuple[str, Photo, bool]]) -> None:
        """Remember the faces of views whose concept is to be recognised by the face; of negatives none."""
        if self.people and self.people.loaded:
            views = {
                (concept_id, photo.sha256, False): photo for concept_id, photo, negative in pictures if not negative
            }
            by_face = self._left(owner, views, by_face=True)
            if by_face:
                self.people.put(owner, [(key[0], views[key]) for key in by_face])
                self.people.purge(owner, by_face - self._left(owner, by_face, by_face=True))

    def _left(self, owner: str, keys: Iterable[Key], *, by_face: bool = False) -> set[Key]:
        """List the pictures that the library still has: embedding, or finding a face, takes a while.

        With `by_face` those alone whose concept is recognised by the face.
        """
        left: set[Key] = set()
        for concept_id in {concept_id for concept_id, _, _ in keys}:
            with suppress(ConceptError):
                concept = self.library.get(owner, concept_id)
                left |= _pictures(concept) if concept.by_face or not by_face else set()
        return left.intersection(keys)

    def _readable(self, owner: str, keys: Iterable[Key]) -> list[tuple[str, Photo, bool]]:
        readable = []
        for concept_id, view, negative in keys:
            with suppress(ConceptError, StoreError):  # forgotten meanwhile, or damaged: the library tells of that
                readable.append((concept_id, self.library.photo(owner, concept_id, view), negative))
        return readable

    # -- preferences ---------------------------------------------------------------------------------------------

    @property
    def threshold(self) -> float | None:
        """The similarity from which a name is said, where the settings give one: it takes the place of confidence."""
        return self._threshold

    @property
    def default_confidence(self) -> float:
        """The probability from which a name is said unless the owner wishes otherwise."""
        return self.retriever.confidence

    def preferences(self, owner: str) -> Preferences:
        """Return when a name is said to an owner; what they never set comes from the settings and the retriever.

        A threshold is there where the owner or the settings have set one, and the owner wishes no confidence.
        """
        wishes = self.library.preferences(owner)
        threshold = self._threshold if wishes.threshold is None and wishes.confidence is None else wishes.threshold
        return Preferences(threshold, wishes.top_k or self._top_k, wishes.confidence or self.default_confidence)

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

        With `threshold` (-1..1) every match from that similarity on is sure. Without, and for `top_k` (from 1), the
        owner's preferences count; `rejected` are concept ids not to be claimed. What was seen comes first, best first,
        then what was only named. Raises ImageError, StoreError, and ModelError where a detector fails.
        """
        began = time.perf_counter()
        self._keep_up(owner)
        concepts = self.library.concepts(owner)
        wishes = self.preferences(owner)
        matches: list[Match] = []
        if photo is not None and concepts:
            matches = self.retriever.look(
                owner,
                photo,
                concepts,
                top_k=top_k or wishes.top_k or self._top_k,
                threshold=wishes.threshold if threshold is None else threshold,
                confidence=wishes.confidence,
                rejected=rejected,
            )
        if names and question:
            seen = {match.concept.id for match in matches}
            matches += [m for m in self.retriever.named(question, concepts) if m.concept.id not in seen]
        return Look(tuple(matches), time.perf_counter() - began)

    def rank(self, owner: str, photo: Photo, box: Box | None = None) -> list[Match]:
        """Rank all concepts by their similarity to a photo (or to one box of it), whatever the threshold.

        Raises as `look` does.
        """
        self._keep_up(owner)
        return self.retriever.rank(owner, photo, self.library.concepts(owner), box)

    def look_alikes(self, owner: str) -> list[LookAlike]:
        """List the pairs of an owner's concepts that are hard to tell apart, the worst first; another view may help.

        Raises StoreError.
        """
        self._keep_up(owner)
        concepts = {concept.id: concept for concept in self.library.concepts(owner)}
        at_least: float = self.retriever.alike
        return [
            LookAlike(concepts[one], concepts[other], one_view, other_view, similarity)
            for similarity, (one, one_view), (other, other_view) in self.index.look_alikes(
                owner, list(concepts), at_least
            )
        ]

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

        Yields the Look first, then Waiting while others are before it, Pieces as they come, and the Answer last. Where
        the model is asked about a doubtful match, Waiting may come before the Look too.
        `rejected` maps a photo's sha256 to concept ids not to be claimed in it; without `memory` nothing is retrieved.
        `threshold` and `top_k` are those of `look`; decoding is greedy unless `temperature` is above 0.
        Setting `stop` ends the answer at the next token. Raises ModelError, ImageError, StoreError.

        A model that learnt on single questions is not asked where findings answer: they are right more often.
        """
        began = time.perf_counter()
        stop = stop or threading.Event()
        look, messages = yield from self._grounded(
            owner,
            turns,
            stop=stop,
            threshold=threshold,
            top_k=top_k,
            names=names,
            memory=memory,
            rejected=rejected,
        )
        yield look
        known = self._known(owner, turns, look) if names and memory else None
        if known is not None:
            seconds = time.perf_counter() - began
            yield Answer(known, look.said, KNOWN, 0, look.seconds, None, seconds)
            return
        pieces: list[str] = []
        tokens, forgotten, first_token_s = 0, 0, None
        for event in self.generator.stream(
            messages, max_new_tokens=self._max_new_tokens, stop=stop, temperature=temperature, owner=owner
        ):
            if isinstance(event, Piece):
                first_token_s = first_token_s or time.perf_counter() - began
                tokens += event.tokens
                forgotten += event.forgotten
                if event.retracts:
                    pieces.clear()
                pieces.append(event.text)
            yield event
        yield Answer(
            text="".join(pieces).strip(),
            matches=look.said,
            model=self.generator.name,
            tokens=tokens,
            retrieve_s=look.seconds,
            first_token_s=first_token_s,
            total_s=time.perf_counter() - began,
            stopped=stop.is_set(),
            forgotten=forgotten,
        )

    def answers(
        self, asked: Sequence[tuple[str, Turn]], *, names: bool = True, memory: bool = True
    ) -> list[tuple[Look, str]]:
        """Answer questions, each with its owner and the first of its conversation, side by side and greedily.

        Each is answered as `answer` would, but for rounding. Raises ModelError, for all of them.
        """
        grounded = [
            _result(self._grounded(owner, [turn], stop=threading.Event(), names=names, memory=memory))
            for owner, turn in asked
        ]
        known = [
            self._known(owner, [turn], look) if names and memory else None
            for (owner, turn), (look, _) in zip(asked, grounded, strict=True)
        ]
        unanswered = [messages for (_, messages), text in zip(grounded, known, strict=True) if text is None]
        texts = iter(self.generator.answers(unanswered, max_new_tokens=self._max_new_tokens))
        return [
            (look, next(texts).strip() if said is None else said)
            for (look, _), said in zip(grounded, known, strict=True)
        ]

    def findings(self, owner: str, turns: Sequence[Turn], look: Look) -> Findings:
        """Return what is known about the last of `turns`, of which `look` was found; no language model is asked.

        A question without a photo is about those shown last.
        """
        *earlier, last = turns
        shown = replace(last, matches=look.matches)
        if not last.photos:
            shown = next((turn for turn in reversed(earlier) if turn.photos), shown)
        photos = [(photo, [m for m in shown.matches if m.photo == photo.sha256]) for photo in shown.photos]
        own = self.library.concepts(owner)
        question, asked = resolve(last.question, self._named(last.question, own), self._topic(turns, photos, own), own)
        bracketed = self.retriever.bracketed(question, own)
        return gather(bracketed, photos, asked, self._find_evidence)

    def _named(self, question: str, own: Sequence[Concept]) -> list[Concept]:
        return [match.concept for match in self.retriever.named(question, own)]

    def _topic(
        self, turns: Sequence[Turn], photos: Sequence[tuple[Photo, Sequence[Match]]], own: Sequence[Concept]
    ) -> list[Concept]:
        """Return whom the conversation was about last: those named in a question, else those in the photos shown."""
        for turn in reversed(turns[:-1]):
            if named := self._named(turn.question, own):
                return named
        return list({m.concept.id: m.concept for _, seen in photos for m in seen if m.said}.values())

    def _known(self, owner: str, turns: Sequence[Turn], look: Look) -> str | None:
        """Return the answer that findings give in place of a small model's; None if the model is to be asked."""
        return self.findings(owner, turns, look).answer() if self.generator.single_turn else None

    def _grounded(
        self,
        owner: str,
        turns: Sequence[Turn],
        *,
        stop: threading.Event,
        threshold: float | None = None,
        top_k: int | None = None,
        names: bool,
        memory: bool,
        rejected: Mapping[str, Set[str]] = NOBODY,
    ) -> Steps[Waiting, None, tuple[Look, list[dict[str, Any]]]]:
        """Find what the last of `turns` concerns, and lay them out for the model. The options are those of `answer`."""
        began = time.perf_counter()
        *earlier, last = turns
        matches: list[Match] = []
        turned_down: list[Match] = []
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
                if photo and self.verify and self.generator.verifies:
                    out = rejected.get(photo.sha256, frozenset())
                    found = yield from self._verified(owner, photo, found, out, self.verify, stop)
                    turned_down += found.turned_down
                if names and (found.turned_down or len(found.said) < len(found.matches)):
                    found = self._named_too(owner, last.question, found)
                already = {(m.concept.id, m.photo) for m in matches}
                matches += [m for m in found.matches if (m.concept.id, m.photo) not in already]
            seen = {m.concept.id for m in matches if m.reason == "seen" and m.said}
            matches = [m for m in matches if m.reason == "seen" or m.concept.id not in seen]
        look = Look(tuple(matches), time.perf_counter() - began, tuple(turned_down))
        told = [*self._as_known_now(owner, earlier), replace(last, matches=look.said)]
        if names and memory:
            known = self.library.concepts(owner)
            told = [replace(turn, question=self.retriever.bracketed(turn.question, known)) for turn in told]
        return look, self._lay_out(
            told,
            avatars=lambda concept: self.library.photo(owner, concept.id, concept.avatar),
            sees=self.generator.sees,
            single_turn=self.generator.single_turn,
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

    def fingerprint(
        self, owner: str, photos: Sequence[Photo], category: str = "", *, stop: threading.Event | None = None
    ) -> Iterator[Waiting | Piece | Fingerprint]:
        """Draft the attributes that tell what some photos show from its like; nothing is kept before `revise`.

        Yields Waiting, Pieces as they come, and the Fingerprint last. Setting `stop` ends it at the next token. Raises
        ModelError, also where the model does not see or lists nothing.
        """
        if self.verify is None:
            raise ModelError("Attributes cannot be drafted here. Write your own.")
        stop = stop or threading.Event()
        yield from self.verify.fingerprint(self.generator, photos, category, stop=stop, owner=owner)

    def _verified(
        self, owner: str, photo: Photo, look: Look, rejected: Set[str], verify: Verify, stop: threading.Event
    ) -> Steps[Waiting, None, Look]:
        """Ask the model about the doubtful matches; where it denies one, another that it prefers takes the place."""
        kept: list[Match] = []
        turned_down: list[Match] = []
        claimed = {match.concept.id for match in look.matches} | rejected
        for match in look.matches:
            if not _doubtful(match):
                kept.append(match)
                continue
            said = yield from verify.confirm(
                self.generator,
                photo,
                match,
                self._rival(owner, photo, match, claimed),
                avatars=lambda concept: self.library.photo(owner, concept.id, concept.avatar),
                stop=stop,
                owner=owner,
            )
            if said.confirmed is not False:
                kept.append(replace(said, certainty="sure") if said.confirmed else said)
                claimed.add(said.concept.id)
            if said.confirmed is False or said.concept.id != match.concept.id:
                turned_down.append(replace(match, confirmed=False))
        return replace(look, matches=tuple(kept), turned_down=tuple(turned_down))

    def _rival(self, owner: str, photo: Photo, match: Match, claimed: Set[str]) -> Match | None:
        """Find the next best concept for the region of a match, if it is near and not claimed or rejected already."""
        ranked = self.rank(owner, photo, match.box)
        own = next((other.similarity for other in ranked if other.concept.id == match.concept.id), None)
        rival = next((other for other in ranked if other.concept.id != match.concept.id), None)
        if rival is None or rival.concept.id in claimed or rival.similarity is None or own is None:
            return None
        return replace(rival, box=match.box) if own - rival.similarity <= NEAR else None

    def _named_too(self, owner: str, question: str, look: Look) -> Look:
        """Add what the question names to a look that saw it but does not say so: unsure, or turned down."""
        unsaid = {m.concept.id for m in (*look.matches, *look.turned_down)} - {m.concept.id for m in look.said}
        named = self.retriever.named(question, self.library.concepts(owner))
        return replace(look, matches=(*look.matches, *(match for match in named if match.concept.id in unsaid)))

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


@contextmanager
def _undone_by(back: Callable[[], None]) -> Iterator[None]:
    """Take back what was written where the index cannot follow: a call that raises has changed nothing."""
    try:
        yield
    except StoreError:
        with suppress(StoreError):
            back()
        raise


def _result(steps: Steps[Any, None, T]) -> T:
    """Let a generator run to its end, and return what it returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: T = end.value
            return found


def _drain(steps: Iterable[Progress]) -> None:
    for _ in steps:
        pass


def _pictures(concept: Concept) -> set[Key]:
    """List a concept's views and negatives as the index knows them."""
    views = {(concept.id, view.sha256, False) for view in concept.views}
    return views | {(concept.id, view.sha256, True) for view in concept.negatives}


def _doubtful(match: Match) -> bool:
    probability = match.probability
    return probability is not None and DOUBT[0] <= probability <= DOUBT[1] and bool(match.concept.attributes)

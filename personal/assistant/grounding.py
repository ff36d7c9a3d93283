"""Ground a question: find what its photos and words concern, and build the messages for the language model."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

from personal.assistant.recognition import Recognition
from personal.concepts import Concept, Look, Match, Photo, PhotoFindings, Turn, Waiting
from personal.findings import FindEvidence, Findings, gather, resolve
from personal.messages import Message
from personal.parts import BuildMessages, Verify

VERIFIED_BETWEEN = (0.1, 0.65)
"""Probabilities between which a match is doubtful: the language model is asked, if it verifies."""

RIVAL_MARGIN = 0.05
"""Similarity by which another concept may be less similar and is still compared with the match."""


@dataclass(frozen=True)
class Question:
    """The last of `turns`, and what it may use; see `Assistant.answer`."""

    owner: str
    turns: Sequence[Turn]
    findings: Mapping[str, PhotoFindings] = field(default_factory=dict)
    threshold: float | None = None
    top_k: int | None = None
    names: bool = True
    memory: bool = True
    stop: threading.Event = field(default_factory=threading.Event)
    confidence: float | None = None
    retrieval: bool = True
    known_answers: bool = True
    instruction: str = ""


@dataclass(frozen=True)
class Grounded:
    """A question with what was found for it, and the messages that ask it.

    `findings` are None if names, memory or findings are not to be used.
    """

    question: Question
    look: Look
    messages: list[Message]
    findings: Findings | None


class Grounding:
    """Grounds questions in what `recognition` finds; doubtful matches are verified by the language model."""

    def __init__(
        self,
        recognition: Recognition,
        build_messages: BuildMessages,
        verify: Verify | None,
        find_evidence: FindEvidence | None,
    ) -> None:
        self._recognition = recognition
        self._library = recognition.library
        self._retriever = recognition.retriever
        self._generator = recognition.generator
        self._build_messages = build_messages
        self._verify = verify
        self._find_evidence = find_evidence

    def ground(self, question: Question) -> Generator[Waiting, None, Grounded]:
        """Find what a question concerns, and build its messages; Waiting is yielded while a verification waits."""
        began = time.perf_counter()
        *earlier, last = question.turns
        own: Sequence[Concept] = ()
        photos: list[PhotoFindings] = []
        if question.memory:
            self._recognition.indexing.keep_up(question.owner)
            own = self._library.concepts(question.owner)
            for photo in dict.fromkeys(last.photos if question.retrieval else ()):
                photos.append((yield from self._search(question, photo, own)))
        named = self._named_besides(last.question, own, photos) if question.names else []
        uses_findings = question.names and question.memory and question.known_answers
        findings = self._findings(question, own, photos) if uses_findings else None
        statement = findings.statement() if findings else None
        look = Look(tuple(photos), tuple(named), time.perf_counter() - began, statement)
        told = [*(self._told(turn, question, own) for turn in earlier), replace(last, matches=look.said)]
        if question.names and question.memory:
            told = [replace(turn, question=self._retriever.bracketed(turn.question, own)) for turn in told]
        if question.instruction:
            told[-1] = replace(told[-1], question=f"{question.instruction}\n{told[-1].question}")
        messages = self._build_messages(
            told,
            avatars=lambda concept: self._avatar(question.owner, concept),
            sees=self._generator.sees,
            single_turn=self._generator.single_turn,
        )
        return Grounded(question, look, messages, findings)

    def known_answer(self, grounded: Grounded) -> str | None:
        """Return the answer that findings give in place of a small model's; None if the model is to be asked.

        A model that learnt on single questions is not asked where findings answer: they are right more often.
        """
        return grounded.findings.answer() if grounded.findings and self._generator.single_turn else None

    def _search(
        self, question: Question, photo: Photo, own: Sequence[Concept]
    ) -> Generator[Waiting, None, PhotoFindings]:
        before = question.findings.get(photo.sha256) or PhotoFindings(photo)
        before = replace(before, matches=())  # a question is verified anew
        found = self._recognition.search(
            question.owner, before, own, question.threshold, question.top_k, question.confidence
        )
        if self._verify and self._generator.verifies:
            found = yield from self._verified(question, found, self._verify)
        return found

    def _named_besides(self, text: str, own: Sequence[Concept], photos: Sequence[PhotoFindings]) -> list[Match]:
        """Return the concepts that a question names and that are not recognised in its photos."""
        seen = {match.concept.id for found in photos for match in found.seen}
        return [match for match in self._retriever.named(text, own) if match.concept.id not in seen]

    def _told(self, turn: Turn, question: Question, own: Sequence[Concept]) -> Turn:
        """Return an earlier turn with what is known of it today: an edited concept comes with its new record."""
        known = {concept.id: concept for concept in own}
        held = (question.findings.get(photo.sha256) for photo in turn.photos)
        photos = [found.up_to_date(known) for found in held if found]
        named = self._named_besides(turn.question, own, photos) if question.names else []
        return replace(turn, matches=(*(match for found in photos for match in found.seen), *named))

    def _findings(self, question: Question, own: Sequence[Concept], photos: Sequence[PhotoFindings]) -> Findings:
        """Return what is known about a question. One without a photo is about the photos shown last."""
        last = question.turns[-1]
        if not last.photos:
            shown = next((turn.photos for turn in reversed(question.turns) if turn.photos), ())
            photos = tuple(question.findings.get(photo.sha256) or PhotoFindings(photo) for photo in shown)
        topic = self._topic(question.turns[:-1], photos, own)
        text, asked = resolve(last.question, self._named(last.question, own), topic, own)
        return gather(self._retriever.bracketed(text, own), photos, asked, self._find_evidence, own)

    def _topic(self, turns: Sequence[Turn], photos: Sequence[PhotoFindings], own: Sequence[Concept]) -> list[Concept]:
        """Return whom the conversation was about last: those named in a question, else those in the photos shown."""
        for turn in reversed(turns):
            if named := self._named(turn.question, own):
                return named
        return list({concept.id: concept for found in photos for concept in found.concepts}.values())

    def _named(self, text: str, own: Sequence[Concept]) -> list[Concept]:
        return [match.concept for match in self._retriever.named(text, own)]

    def _avatar(self, owner: str, concept: Concept) -> Photo:
        return self._library.photo(owner, concept.id, concept.avatar)

    def _verified(
        self, question: Question, found: PhotoFindings, verify: Verify
    ) -> Generator[Waiting, None, PhotoFindings]:
        """Ask the model about the doubtful matches. If it denies one, a rival that it prefers takes its place."""
        kept: list[Match] = []
        denied: list[Match] = []
        claimed = {match.concept.id for match in found.matches} | found.rejected
        for match in found.matches:
            if not _doubtful(match):
                kept.append(match)
                continue
            judged = yield from verify.confirm(
                self._generator,
                found.photo,
                match,
                self._rival(question.owner, found.photo, match, claimed),
                avatars=lambda concept: self._avatar(question.owner, concept),
                stop=question.stop,
                owner=question.owner,
            )
            if judged.confirmed is not False:
                kept.append(replace(judged, certainty="sure") if judged.confirmed else judged)
                claimed.add(judged.concept.id)
            if judged.confirmed is False or judged.concept.id != match.concept.id:
                denied.append(replace(match, confirmed=False))
        return replace(found, matches=(*kept, *denied))

    def _rival(self, owner: str, photo: Photo, match: Match, claimed: Set[str]) -> Match | None:
        """Return the next best concept for the region of a match, if it is near and not claimed or rejected already."""
        ranked = self._recognition.rank(owner, photo, match.box)
        own = next((other.similarity for other in ranked if other.concept.id == match.concept.id), None)
        rival = next((other for other in ranked if other.concept.id != match.concept.id), None)
        if rival is None or rival.concept.id in claimed or rival.similarity is None or own is None:
            return None
        return replace(rival, box=match.box) if own - rival.similarity <= RIVAL_MARGIN else None


def _doubtful(match: Match) -> bool:
    probability, (low, high) = match.probability, VERIFIED_BETWEEN
    return probability is not None and low <= probability <= high and bool(match.concept.attributes)

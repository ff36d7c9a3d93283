"""Answer questions about photos, and draft texts about them, with the language model."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Generator as Steps
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Any, TypeVar

from personal.assistant.grounding import Grounding, Question
from personal.assistant.recognition import Recognition
from personal.concepts import Answer, Fingerprint, Look, Photo, PhotoFindings, TextDelta, Turn, Waiting
from personal.errors import ModelError
from personal.findings import FindEvidence
from personal.parts import BuildMessages, Generator, Index, Library, People, Retriever, Verify

CAPTION = "Give a caption of the photo."
"""What is asked for a description; personal-tiny was trained on these words."""

FROM_FINDINGS = "recognition and notes"
"""What is named as the model of an answer that findings gave."""

T = TypeVar("T")

log = logging.getLogger(__name__)


class Assistant(Recognition):
    """RAP's three verbs over one library, for any number of owners (Hao et al., CVPR 2025, section 3)."""

    def __init__(
        self,
        library: Library,
        index: Index,
        retriever: Retriever,
        generator: Generator,
        build_messages: BuildMessages,
        *,
        verify: Verify | None = None,
        people: People | None = None,
        find_evidence: FindEvidence | None = None,
        max_new_tokens: int = 256,
        threshold: float | None = None,
        top_k: int = 4,
    ) -> None:
        super().__init__(library, index, retriever, generator, people=people, threshold=threshold, top_k=top_k)
        self._verify = verify
        self._max_new_tokens = max_new_tokens
        self._ground_with = build_messages, verify, find_evidence
        self._grounding = Grounding(self, *self._ground_with)

    def with_generator(self, generator: Generator) -> Assistant:
        """Return an Assistant over the same concepts that another language model answers for."""
        other = copy(self)
        other.generator = generator
        other._grounding = Grounding(other, *self._ground_with)
        return other

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
        findings: Mapping[str, PhotoFindings] | None = None,
        temperature: float = 0.0,
        confidence: float | None = None,
        retrieval: bool = True,
        known_answers: bool = True,
        instruction: str = "",
    ) -> Iterator[Look | Waiting | TextDelta | Answer]:
        """Answer the last turn of a conversation, grounded in its photos and in the owner's concepts.

        Yields the Look first, then Waiting while others are before it, TextDeltas, and the Answer last. If the model is
        asked about a doubtful match, Waiting may come before the Look too. Setting `stop` ends the answer at the next
        token. Raises ModelError, ImageError, StoreError.

        `findings` maps the sha256 of the conversation's photos to what is known about them: what earlier turns tell of,
        and what was rejected in the photos of the last one. Without `memory` nothing is retrieved. `threshold` and
        `top_k` are those of `look`; decoding is greedy unless `temperature` is above 0. For comparisons in studies:
        `confidence` takes the place of the owner's wishes, without `retrieval` photos are not searched, without
        `known_answers` the language model is always asked, and `instruction` precedes the question that it reads.
        """
        began = time.perf_counter()
        stop = stop or threading.Event()
        asked = (owner, turns, findings or {}, threshold, top_k, names, memory, stop)
        question = Question(*asked, confidence, retrieval, known_answers, instruction)
        grounded = yield from self._grounding.ground(question)
        look = grounded.look
        yield look
        known = self._grounding.known_answer(grounded)
        if known is not None:
            yield _logged(Answer(known, look, FROM_FINDINGS, 0, None, time.perf_counter() - began))
            return
        events = self.generator.stream(
            grounded.messages, max_new_tokens=self._max_new_tokens, stop=stop, temperature=temperature, owner=owner
        )
        answer = yield from self._collected(events, look, began)
        stopped = stop.is_set()
        text = whole_words(answer.text) if stopped else answer.text
        yield _logged(replace(answer, text=text.strip(), stopped=stopped))

    def _collected(
        self, events: Iterable[Waiting | TextDelta], look: Look, began: float
    ) -> Steps[Waiting | TextDelta, None, Answer]:
        """Pass a model's events on, and return them as an Answer."""
        parts: list[str] = []
        tokens, dropped_turns, first_token_s = 0, 0, None
        for event in events:
            if isinstance(event, TextDelta):
                first_token_s = first_token_s or time.perf_counter() - began
                tokens += event.tokens
                dropped_turns += event.dropped_turns
                if event.retracts:
                    parts.clear()
                parts.append(event.text)
            yield event
        return Answer(
            text="".join(parts),
            look=look,
            model=self.generator.name,
            tokens=tokens,
            first_token_s=first_token_s,
            total_s=time.perf_counter() - began,
            dropped_turns=dropped_turns,
        )

    def answers(
        self, asked: Sequence[tuple[str, Turn]], *, names: bool = True, memory: bool = True
    ) -> list[tuple[Look, str]]:
        """Answer questions, each with its owner and the first of its conversation, side by side and greedily.

        Each is answered as `answer` would, except for rounding. Raises ModelError, for all of them.
        """
        grounded = [
            _result(self._grounding.ground(Question(owner, [turn], names=names, memory=memory)))
            for owner, turn in asked
        ]
        known = [self._grounding.known_answer(one) for one in grounded]
        unanswered = [one.messages for one, text in zip(grounded, known, strict=True) if text is None]
        texts = iter(self.generator.answers(unanswered, max_new_tokens=self._max_new_tokens))
        return [
            (one.look, next(texts).strip() if text is None else text) for one, text in zip(grounded, known, strict=True)
        ]

    def describe(
        self, owner: str, photo: Photo, *, stop: threading.Event | None = None
    ) -> Iterator[Waiting | TextDelta | Answer]:
        """Draft in a sentence what a photo shows, to be a concept's info; nothing is retrieved and nothing is kept.

        Yields what `answer` does, without the Look; the Answer's text is on one line and begins with a capital. Setting
        `stop` ends it at the next token. Raises ModelError, also if the model does not see or says nothing.
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
    ) -> Iterator[Waiting | TextDelta | Fingerprint]:
        """Draft the attributes that tell what some photos show from its like; nothing is kept before `revise`.

        Yields Waiting, TextDeltas, and the Fingerprint last. Setting `stop` ends it at the next token. Raises
        ModelError, also if the model does not see or lists nothing.
        """
        if self._verify is None:
            raise ModelError("Attributes cannot be drafted here. Write your own.")
        stop = stop or threading.Event()
        yield from self._verify.fingerprint(self.generator, photos, category, stop=stop, owner=owner)


def whole_words(text: str) -> str:
    """Return a text that was stopped without the half word, or the half name, that it may end in.

    Scripts that put no spaces between words, and Hangul, lose nothing: every sign there is a word or a syllable.
    """
    text = re.sub(r"<[^<>\n]*$", "", text)
    spaced = bool(text) and text[-1] < "\u0e00"
    return re.sub(r"[\w'’-]*\w$", "", text) if spaced else text


def _logged(answer: Answer) -> Answer:
    """Log how an answer came about: numbers, nothing of what was asked or said."""
    seconds = {"retrieve_s": answer.look.seconds, "first_token_s": answer.first_token_s, "total_s": answer.total_s}
    details: dict[str, Any] = {name: round(value, 3) for name, value in seconds.items() if value is not None}
    details |= {"model": answer.model, "tokens": answer.tokens, "photos": len(answer.look.photos)}
    log.info("Answered.", extra={**details, "stopped": answer.stopped, "dropped_turns": answer.dropped_turns})
    return answer


def _result(steps: Steps[Any, None, T]) -> T:
    """Let a generator run to its end, and return what it returns."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: T = end.value
            return found

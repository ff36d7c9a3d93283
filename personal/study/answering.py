"""Answer participants under the conditions of a study, with the app's own Assistant and the conditions' models."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from personal.assistant import Assistant
from personal.compose import SERVER, model
from personal.concepts import Answer, Look, Photo, PhotoFindings, Progress, TextDelta, Turn, Waiting
from personal.settings import ASSETS, Settings
from personal.study.coherence import SAMPLE
from personal.study.schema import GivenConcept, Study


class Answering:
    """The conditions of `study` on one Assistant; those with another model than its own get that model."""

    def __init__(self, assistant: Assistant, settings: Settings, study: Study) -> None:
        self._settings = settings
        self._study = study
        self._assistants: dict[str | None, Assistant] = {None: assistant}

    def load(self) -> Iterator[Progress]:
        """Open the conditions' models, yielding progress. Raises PersonalError, and can then be called again."""
        from personal.generate.switching import SwitchableGenerator

        for source in dict.fromkeys(one.model for one in self._study.conditions):
            if source is None or source in self._assistants:
                continue
            chosen = self._settings if source == SERVER else replace(self._settings, model=source, llm_url="")
            generator = SwitchableGenerator((yield from model(chosen)))
            yield from generator.load()
            self._assistants[source] = self._assistants[None].with_generator(generator)

    def answer(
        self,
        owner: str,
        condition_id: str,
        turns: Sequence[Turn],
        *,
        stop: threading.Event | None = None,
        findings: Mapping[str, PhotoFindings] | None = None,
    ) -> Iterator[Look | Waiting | TextDelta | Answer]:
        """Answer the last turn as `Assistant.answer` does, under a condition, once `load` has ended."""
        condition = self._study.condition(condition_id)
        return self._assistants[condition.model].answer(
            owner,
            turns,
            stop=stop,
            findings=findings,
            memory=condition.memory,
            retrieval=condition.retrieval,
            known_answers=condition.findings,
            threshold=condition.threshold,
            confidence=condition.confidence,
            top_k=condition.top_k,
            temperature=condition.temperature,
            instruction=condition.prompt or "",
        )


def given_concepts(study: Study) -> tuple[GivenConcept, ...]:
    """Return the concepts that every participant starts with: those of the study, or the app's samples."""
    if study.concepts.kind != "samples":
        return study.concepts.given
    listing = json.loads((ASSETS / "samples" / "samples.json").read_text(encoding="utf-8"))
    return tuple(
        GivenConcept(
            name=one["name"],
            category=one["category"],
            info=one["info"],
            photos=tuple(SAMPLE + file for file in one["views"]),
        )
        for one in listing["concepts"]
    )


def register_given(assistant: Assistant, owner: str, study: Study, photos: Mapping[str, Photo]) -> None:
    """Remember the given concepts for a participant's owner, unless they are there; `photos` by their names.

    Raises PersonalError.
    """
    known = {concept.name.casefold() for concept in assistant.concepts(owner)}
    for one in given_concepts(study):
        if one.name.casefold() not in known:
            assistant.remember(owner, one.name, [photos[name] for name in one.photos], one.category, one.info)

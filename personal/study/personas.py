"""Scripted participants with planted effects: what they answer, how they vote, how long they take.

A score is 0.55 of its range, plus a person's own level, plus the effect of the condition, plus noise. Items are drawn
so that the score of a published scale is that on average, whatever the direction of an item.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from personal.errors import PersonalError
from personal.study.items import Item, Questionnaire
from personal.study.measures import measures
from personal.study.scales import SCALES, items_of
from personal.study.schema import Study

CENTRE, PERSON_SD, NOISE_SD = 0.55, 0.10, 0.10
"""Fractions of a score's range: where it lies, and how it varies among people and from part to part."""
TIES = 0.15
"""Share of votes for both or neither."""
QUESTIONS = ("Who is in this photo?", "What is happening here?", "Where are they?", "What do you know about them?")
REASONS = ("It knew the name.", "It was shorter.", "It said more of what I wanted to know.", "Just a feeling.")


@dataclass(frozen=True)
class Truth:
    """What is planted: points on a measure's own scale by condition, and log-odds of votes as the measure `wins`."""

    effects: Mapping[tuple[str, str], float] = field(default_factory=dict)

    def of(self, measure: str, condition: str | None) -> float:
        """Return the effect of a condition on a measure; 0 where none is planted."""
        return self.effects.get((measure, condition or ""), 0.0)


def read_truth(study: Study, texts: Iterable[str]) -> Truth:
    """Read effects such as `sus.score:with_memory=10`. Raises PersonalError."""
    known = plantable(study)
    effects = {}
    for text in texts:
        name, _, points = text.partition("=")
        measure, _, condition = name.partition(":")
        if measure not in known:
            raise PersonalError(f"No effect can be planted on {measure!r}. It can on {', '.join(known)}.")
        if condition not in [one.id for one in study.conditions]:
            raise PersonalError(f"There is no condition {condition!r} in {text!r}. Write MEASURE:CONDITION=POINTS.")
        try:
            effects[measure, condition] = float(points)
        except ValueError as error:
            raise PersonalError(f"{text!r} has no number of points. Write MEASURE:CONDITION=POINTS.") from error
    return Truth(effects)


def plantable(study: Study) -> list[str]:
    """Return the measures that an effect can be planted on: scores, ratings, own Likert items, and `wins`."""
    scores = {
        f"{one.id}.{score}" for one in study.questionnaires for _, score in _directions(one.scale or "preference")
    }
    own = {f"{one.id}.{item.id}" for one in study.questionnaires for item in one.items}
    own |= {f"{one.id}.{item.id}" for one in study.tasks for item in one.items}
    return [name for name in measures(study) if name in scores | own | {"wins"}]


class Persona:
    """One scripted participant of a study, made up from `seed`."""

    def __init__(self, study: Study, truth: Truth, seed: str) -> None:
        self.study = study
        self._truth = truth
        self._random = random.Random(seed)
        self._levels: dict[str, float] = {}

    def answer(self, questionnaire: Questionnaire, condition: str | None, order: Sequence[str]) -> dict[str, Any]:
        """Return answers to a whole questionnaire about a condition."""
        found: dict[str, Any] = {}
        if questionnaire.scale:
            directions = _directions(questionnaire.scale)
            for score, (lowest, highest) in SCALES[questionnaire.scale].ranges.items():
                planted = self._truth.of(f"{questionnaire.id}.{score}", condition) / (highest - lowest)
                fraction = self._fraction(f"{questionnaire.id}.{score}", planted)
                for item in SCALES[questionnaire.scale].items:
                    if direction := directions.get((item.id, score), 0):
                        found[item.id] = self._rounded(item.points or 2, fraction if direction > 0 else 1 - fraction)
        rest = [item for item in items_of(questionnaire) if item.id not in found]
        return found | self.answer_items(rest, questionnaire.id, condition, order)

    def answer_items(
        self, items: Iterable[Item], name: str, condition: str | None, order: Sequence[str]
    ) -> dict[str, Any]:
        """Return answers to items; `name` is that of the questionnaire or task, which begins their measures' ids."""
        return {item.id: self._item(item, name, condition, order) for item in items}

    def _item(self, item: Item, name: str, condition: str | None, order: Sequence[str]) -> Any:
        if item.kind == "attention":
            return item.expect
        if item.kind == "likert":
            points = item.points or 2
            planted = self._truth.of(f"{name}.{item.id}", condition) / (points - 1)
            return self._rounded(points, self._fraction(f"{name}.{item.id}", planted))
        if item.kind == "preference":
            liked = [sum(v for (_, one), v in self._truth.effects.items() if one == part) for part in order]
            return 1 + max(range(len(order)), key=lambda place: liked[place] + self._random.gauss(0, 10))
        if item.kind == "choice":
            chosen = self._random.choice(item.options)
            return [chosen] if item.multiple else chosen
        return self._random.choice(REASONS)

    def vote(self, sides: tuple[str, str]) -> str:
        """Vote by the Bradley-Terry model, or for both or neither."""
        if self._random.random() < TIES:
            return self._random.choice(("both_good", "both_bad"))
        odds = self._truth.of("wins", sides[0]) - self._truth.of("wins", sides[1])
        return "left" if self._random.random() < 1 / (1 + math.exp(-odds)) else "right"

    def reason(self) -> str:
        """Return why, or nothing."""
        return self._random.choice((*REASONS, "", "", ""))

    def question(self, starters: Sequence[str]) -> str:
        """Return what to ask."""
        return self._random.choice((*starters, *QUESTIONS))

    def more_questions(self) -> int:
        """Return how many questions to ask beyond what a task wants."""
        return self._random.choice((0, 0, 0, 1, 2))

    def seconds(self, usual: float) -> float:
        """Return how long something takes: lognormal around `usual`."""
        return usual * math.exp(self._random.gauss(0, 0.4))

    def _fraction(self, measure: str, planted: float) -> float:
        level = self._levels.setdefault(measure, self._random.gauss(0, PERSON_SD))
        return min(1.0, max(0.0, CENTRE + level + planted + self._random.gauss(0, NOISE_SD)))

    def _rounded(self, points: int, fraction: float) -> int:
        """Return a mark from 1 to `points`, rounded up or down by chance so that it is right on average."""
        exact = 1 + fraction * (points - 1)
        return min(points, math.floor(exact) + (self._random.random() < exact - math.floor(exact)))


@cache
def _directions(scale: str) -> dict[tuple[str, str], int]:
    """Return for the items of a scale and its scores whether more of the one is more (1) or less (-1) of the other.

    A score that is made of all items beside narrower ones, such as UEQ-S's overall, is left to those.
    """
    one = SCALES[scale]
    middle = {item.id: (1 + (item.points or 2)) / 2 for item in one.items}
    before = one.score(middle) if one.ranges else {}
    found: dict[tuple[str, str], int] = {}
    for item in one.items:
        if item.kind != "likert":
            continue
        after = one.score({**middle, item.id: middle[item.id] + 0.5})
        moved = {name: after[name] - before[name] for name in after if after[name] != before[name]}
        strongest = max(moved, key=lambda name: abs(moved[name]))
        found[item.id, strongest] = 1 if moved[strongest] > 0 else -1
    return found

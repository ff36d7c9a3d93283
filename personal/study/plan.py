"""The steps of a participant's way through a study, given the order of the conditions. Pure functions."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from personal.study.items import Questionnaire
from personal.study.schema import Study, Task

Kind = Literal["consent", "eligibility", "tutorial", "concepts", "task", "questionnaire", "debrief"]

PART = "part"
"""Steps of the first condition are called part1.…, of the second part2.…: their ids tell nothing of the condition."""


@dataclass(frozen=True, slots=True)
class Step:
    """One page of the way. `id` is unique within it and blind: "consent", "part2.task.holiday", "final.sus".

    `condition` is the one that it belongs to; for a blind comparison it is None and `sides` are the conditions that
    answer on the left and on the right. `part` counts the conditions from 1; 0 is outside of them.
    """

    id: str
    kind: Kind
    part: int = 0
    condition: str | None = None
    task: Task | None = None
    questionnaire: Questionnaire | None = None
    sides: tuple[str, str] | None = None


def steps(study: Study, order: Sequence[str], seed: str) -> tuple[Step, ...]:
    """Return all steps for a participant; `order` are condition ids, `seed` draws the sides of blind comparisons."""
    return (
        Step("consent", "consent"),
        *((Step("eligibility", "eligibility"),) if study.eligibility else ()),
        Step("tutorial", "tutorial"),
        *((Step("concepts", "concepts"),) if _registers(study, "once") else ()),
        *(step for part, condition in enumerate(order, 1) for step in _part(study, part, condition)),
        *_comparisons(study, seed),
        *(Step(f"final.{one}", "questionnaire", questionnaire=study.questionnaire(one)) for one in study.final),
        Step("debrief", "debrief"),
    )


def _registers(study: Study, when: str) -> bool:
    return study.concepts.kind == "own" and study.concepts.when == when


def _part(study: Study, part: int, condition: str) -> Iterator[Step]:
    """Yield the steps within a condition: concepts if they are registered anew, tasks, questionnaires."""
    prefix = f"{PART}{part}"
    tasks = [task for task in study.tasks if task.type != "ab"]
    if not tasks:
        return  # all of it is blind comparisons
    if _registers(study, "each_condition"):
        yield Step(f"{prefix}.concepts", "concepts", part, condition)
    for task in tasks:
        yield Step(f"{prefix}.task.{task.id}", "task", part, condition, task)
    for one in study.after_condition:
        yield Step(f"{prefix}.{one}", "questionnaire", part, condition, questionnaire=study.questionnaire(one))


def _comparisons(study: Study, seed: str) -> Iterator[Step]:
    for task in study.tasks:
        if task.type == "ab":
            pair = list(task.conditions or [one.id for one in study.conditions][:2])
            random.Random(f"{seed}/{task.id}").shuffle(pair)
            yield Step(f"compare.{task.id}", "task", task=task, sides=(pair[0], pair[1]))

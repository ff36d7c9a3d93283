"""Which numbers a study yields in each condition, and what they are called: `sus.score`, `trust.trust2`, `seconds`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from personal.study.items import Questionnaire
from personal.study.scales import SCALES, items_of, title_of
from personal.study.schema import Study


@dataclass(frozen=True, slots=True)
class Measure:
    """A number per participant and condition. `lowest` and `highest` are None where there is no bound."""

    id: str
    title: str
    lowest: float | None = None
    highest: float | None = None
    higher: str = ""


def measures(study: Study) -> dict[str, Measure]:
    """Return all measures by id, those of questionnaires first: `QUESTIONNAIRE.SCORE` and `QUESTIONNAIRE.ITEM`."""
    found = [one for name in study.after_condition for one in _of_questionnaire(study.questionnaire(name))]
    found += [one for task in study.tasks if task.type == "rate" for one in _of_ratings(study, task.id)]
    if any(task.type != "ab" for task in study.tasks):
        found += [
            Measure("seconds", "Time on tasks, seconds", 0),
            Measure("turns", "Questions asked", 0),
            Measure("answer_seconds", "Time to the whole answer, seconds", 0),
        ]
    if any(task.type == "ab" for task in study.tasks):
        found.append(Measure("wins", "Share of blind comparisons won (ties count half)", 0, 1))
    return {one.id: one for one in found}


def _of_questionnaire(one: Questionnaire) -> Iterator[Measure]:
    if one.scale:
        scale = SCALES[one.scale]
        for name, (lowest, highest) in scale.ranges.items():
            title = f"{title_of(one)}, {name}" if len(scale.ranges) > 1 else title_of(one)
            yield Measure(f"{one.id}.{name}", title, lowest, highest, scale.higher)
    for item in items_of(one):
        if item.kind == "likert":
            yield Measure(f"{one.id}.{item.id}", item.text, 1, item.points)


def _of_ratings(study: Study, task_id: str) -> Iterator[Measure]:
    for item in study.task(task_id).items:
        if item.kind == "likert":
            yield Measure(f"{task_id}.{item.id}", item.text, 1, item.points)

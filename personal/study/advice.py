"""What a researcher should think about before a study begins; nothing of it keeps the study from running."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from personal.study.order import williams
from personal.study.schema import Study

PLACEHOLDER = "Replace this text"


def advice(study: Study, today: date) -> Iterator[str]:
    """Yield sentences of advice; none for a study that is well prepared."""
    rows = len(williams(len(study.conditions)))
    if study.order.kind == "balanced" and study.participants % rows:
        fewer, more = study.participants // rows * rows, (study.participants // rows + 1) * rows
        take = f"{fewer} or {more}" if fewer else str(more)
        yield f"{study.participants} participants do not fill the {rows} orders of conditions evenly: take {take}."
    if study.retention <= today:
        yield f"The retention date {study.retention} is over: the study cannot be started."
    if PLACEHOLDER in study.consent.text:
        yield "The consent text is that of the example: replace it with your own."
    if not study.analysis.planned and any(task.type != "ab" for task in study.tasks):
        yield "No comparison is planned: all will be marked exploratory."
    if study.log.text == "text":
        yield "Questions and answers are recorded word for word: the consent text must say so."
    if study.log.photos == "kept":
        yield "Photos are kept of those who agree: the consent text must say for what, and how long."

"""How a study is going: who is where, who has dropped out, how long steps take, what went wrong last."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any

from personal.study.log import Record
from personal.study.store import StudyStore

ERRORS = 10
"""Errors that are shown, the last ones."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Counts of participants. `orders` are by the sequence of conditions, those screened out not counted.

    `standing` tells where those who have not finished stand, by step in the order of the way; `seconds` the median time
    of a step; `errors` the last ones with time, step and words or their length.
    """

    planned: int
    by_status: Mapping[str, int]
    withdrawn: int
    orders: Mapping[tuple[str, ...], int]
    standing: Mapping[str, int]
    seconds: Mapping[str, float]
    errors: Sequence[Mapping[str, Any]]


def progress(store: StudyStore) -> Progress:
    """Return how a study is going now."""
    people = store.participants()
    counted = [one for one in people if one.status != "screened_out"]
    ids = list(dict.fromkeys(step.id for one in people for step in one.steps))
    standing = Counter(one.step.id for one in people if one.status == "active")
    times: dict[str, list[float]] = {}
    for one in people:
        for step, seconds in step_seconds(one.records).items():
            times.setdefault(step, []).append(seconds)
    errors = sorted((r for one in people for r in one.records if r["event"] == "error"), key=lambda r: str(r["at"]))
    return Progress(
        planned=store.study.participants,
        by_status=Counter(one.status for one in people),
        withdrawn=store.withdrawn,
        orders=Counter(one.order for one in counted),
        standing={step: standing[step] for step in ids if standing[step]},
        seconds={step: median(times[step]) for step in ids if step in times},
        errors=[{"at": r["at"], "step": r["step"], **r.get("words", {})} for r in errors[-ERRORS:]],
    )


def step_seconds(records: Sequence[Record]) -> dict[str, float]:
    """Return how long each finished step took, in seconds from when it was first shown until it was done."""
    shown = {r["step"]: datetime.fromisoformat(r["at"]) for r in reversed(records) if r["event"] == "entered"}
    return {
        r["step"]: (datetime.fromisoformat(r["at"]) - shown[r["step"]]).total_seconds()
        for r in records
        if r["event"] == "done" and r["step"] in shown
    }

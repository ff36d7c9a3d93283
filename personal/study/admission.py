"""The first record of a participant: their order of conditions, drawn once and for all, and what was installed then."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from personal.study.log import Record
from personal.study.order import least_used, shuffled, williams
from personal.study.participant import Participant


def first_record(
    participant: Participant, record: Record, study_id: str, others: Iterable[Participant], versions: Mapping[str, str]
) -> Record:
    """Return the first record of a participant whom `others` preceded; call it for one participant at a time.

    Those who were screened out have given their place in the square back.
    """
    study, recorder = participant.study, participant.recorder
    conditions = [one.id for one in study.conditions]
    row: int | None = None
    order = shuffled(conditions, f"{study.order.seed}/{participant.id}")
    if study.order.kind == "balanced":
        square = williams(len(conditions))
        taken = [one.row for one in others if one.row is not None and one.status != "screened_out"]
        row = least_used(len(square), taken, study.order.seed)
        order = tuple(conditions[place] for place in square[row])
    kept = study.log.identifiers == "kept"
    given = {name: value for name, value in participant.identifiers.items() if value}
    return {
        **record,
        "participant": participant.id,
        "study": study_id,
        "order": order,
        "row": row,
        "seed": study.order.seed,
        "identifiers": {name: value if kept else recorder.hashed(value) for name, value in given.items()},
        "versions": dict(versions),
        "conditions": {one.id: one.settings for one in study.conditions},
    }

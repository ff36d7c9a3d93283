"""The data of a study as tables: one row per number, per participant, per vote, per answer, per text. Reads only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from personal.study.log import Record
from personal.study.participant import Participant
from personal.study.plan import Step
from personal.study.progress import step_seconds
from personal.study.scales import failed_attention, items_of, scores
from personal.study.schema import Study

if TYPE_CHECKING:
    import pandas as pd

LONG = ("participant", "condition", "part", "measure", "value")
VOTES = ("participant", "task", "turn", "left", "right", "choice", "winner", "reason")
TEXTS = ("participant", "condition", "step", "item", "text")
PEOPLE = ("participant", "status", "order", "row", "consented", "ended", "failed_attention")


@dataclass(frozen=True)
class Data:
    """The tables. `long` has a row for each number (see `personal.study.measures`), with the condition and its part.

    `people` has a row for each participant, with what they answered outside of conditions; `turns` one for each answer
    of the assistant; `steps` the seconds of each step.
    """

    people: pd.DataFrame
    long: pd.DataFrame
    votes: pd.DataFrame
    turns: pd.DataFrame
    texts: pd.DataFrame
    steps: pd.DataFrame

    def of(self, ids: Iterable[str]) -> Data:
        """Return the tables of some participants only."""
        wanted = set(ids)
        frames = (self.people, self.long, self.votes, self.turns, self.texts, self.steps)
        return Data(*(frame[frame["participant"].isin(wanted)].reset_index(drop=True) for frame in frames))


def collect(study: Study, participants: Sequence[Participant]) -> Data:
    """Return the tables of `participants`; those who were screened out are among the people alone."""
    import pandas as pd

    people = [_person(study, one) for one in participants]
    taken = [one for one in participants if one.status != "screened_out"]
    rows = {
        "long": [row for one in taken for row in numbers(one)],
        "votes": [row for one in taken for row in _votes(one)],
        "turns": [row for one in taken for row in _turns(one)],
        "texts": [row for one in taken for row in _texts(one)],
        "steps": [
            {"participant": one.id, "step": step, "seconds": seconds}
            for one in taken
            for step, seconds in step_seconds(one.records).items()
        ],
    }
    columns = {"long": LONG, "votes": VOTES, "turns": ("participant",), "texts": TEXTS}
    columns["steps"] = ("participant", "step", "seconds")
    frames = {name: pd.DataFrame(found, columns=None if found else columns[name]) for name, found in rows.items()}
    return Data(pd.DataFrame(people, columns=None if people else PEOPLE), **frames)


def wide(data: Data) -> pd.DataFrame:
    """Return one row for each participant, with a column MEASURE__CONDITION for each number."""
    if data.long.empty:
        return data.people
    table = data.long.pivot_table(index="participant", columns=["measure", "condition"], values="value", sort=True)
    table.columns = [f"{measure}__{condition}" for measure, condition in table.columns]
    return data.people.merge(table.reset_index(), on="participant", how="left")


def numbers(participant: Participant) -> Iterator[dict[str, Any]]:
    """Yield the rows of `long` for one participant."""
    by_step = {step.id: step for step in participant.steps}
    parts = {condition: part for part, condition in enumerate(participant.order, 1)}

    def row(condition: str, measure: str, value: float) -> dict[str, Any]:
        return dict(zip(LONG, (participant.id, condition, parts[condition], measure, float(value)), strict=True))

    for record in participant.records:
        step = by_step.get(record.get("step", ""))
        if step is not None and step.condition and record["event"] in ("responses", "rating"):
            yield from (row(step.condition, name, value) for name, value in _values(step, record["responses"]))
    for condition, totals in _totals(participant, by_step).items():
        yield from (row(condition, name, value) for name, value in totals.items())
    for condition, share in _wins(participant).items():
        yield row(condition, "wins", share)


def _values(step: Step, responses: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield scores and single Likert answers."""
    name = step.questionnaire.id if step.questionnaire else step.task.id if step.task else step.id
    if step.questionnaire:
        yield from ((f"{name}.{score}", value) for score, value in scores(step.questionnaire, responses).items())
    items = items_of(step.questionnaire) if step.questionnaire else step.task.items if step.task else ()
    likert = [item.id for item in items if item.kind == "likert"]
    yield from ((f"{name}.{item}", responses[item]) for item in likert if item in responses)


def _totals(participant: Participant, by_step: Mapping[str, Step]) -> dict[str, dict[str, float]]:
    """Return by condition the seconds on tasks, the questions asked and the mean time of an answer."""
    found: dict[str, dict[str, float]] = {}
    took: dict[str, list[float]] = {}
    for step_id, seconds in step_seconds(participant.records).items():
        step = by_step.get(step_id)
        if step is not None and step.condition and step.task:
            totals = found.setdefault(step.condition, {})
            totals["seconds"] = totals.get("seconds", 0.0) + seconds
    for record in participant.records:
        step = by_step.get(record.get("step", ""))
        if record["event"] == "turn" and step is not None and step.condition:
            totals = found.setdefault(step.condition, {})
            totals["turns"] = totals.get("turns", 0.0) + 1
            took.setdefault(step.condition, []).extend(one["total_s"] for one in record["answers"])
    for condition, times in took.items():
        found[condition]["answer_seconds"] = sum(times) / len(times)
    return found


def _wins(participant: Participant) -> dict[str, float]:
    """Return by condition the share of blind comparisons that it won, ties counting half."""
    points: dict[str, list[float]] = {}
    for record in participant.records:
        if record["event"] == "vote":
            for condition in record["sides"]:
                won = 0.5 if record["winner"] is None else float(record["winner"] == condition)
                points.setdefault(condition, []).append(won)
    return {condition: sum(won) / len(won) for condition, won in points.items()}


def _person(study: Study, participant: Participant) -> dict[str, Any]:
    records = participant.records
    failed = 0
    more: dict[str, Any] = {}
    by_step = {step.id: step for step in participant.steps}
    for record in records:
        step = by_step.get(record.get("step", ""))
        if record["event"] != "responses" or step is None:
            continue
        if step.questionnaire:
            failed += len(failed_attention(step.questionnaire, record["responses"]))
        if not step.condition:
            prefix = step.questionnaire.id if step.questionnaire else step.id
            more |= {f"{prefix}.{item}": _cell(value) for item, value in record["responses"].items()}
    ended = records[-1]["at"] if participant.status in ("finished", "screened_out") else None
    first = (participant.id, participant.status, " ".join(participant.order), participant.row, records[0]["at"])
    return {**dict(zip(PEOPLE, (*first, ended, failed), strict=True)), **more}


def _cell(value: Any) -> Any:
    return "; ".join(value) if isinstance(value, list) else value


def _votes(participant: Participant) -> Iterator[dict[str, Any]]:
    for record in participant.records:
        if record["event"] == "vote":
            task = record["step"].partition(".")[2]
            rest = (record["choice"], record["winner"], record.get("reason", ""))
            yield dict(zip(VOTES, (participant.id, task, record["turn"], *record["sides"], *rest), strict=True))


def _turns(participant: Participant) -> Iterator[dict[str, Any]]:
    for record in participant.records:
        if record["event"] == "turn":
            asked = {f"question_{name}": value for name, value in record["question"].items()}
            head = {"participant": participant.id, "step": record["step"], "at": record["at"], "turn": record["turn"]}
            for answer in record["answers"]:
                yield {**head, **asked, "photos": len(record["photos"]), **_flat(answer)}


def _flat(answer: Record) -> dict[str, Any]:
    matches = answer["matches"]
    similar = [one["similarity"] for one in matches if one["similarity"] is not None]
    rest = {name: value for name, value in answer.items() if name not in ("matches", "text", "characters", "words")}
    rest |= {f"answer_{name}": answer[name] for name in ("text", "characters", "words") if name in answer}
    said = sum(bool(one["said"]) for one in matches)
    return {**rest, "matches": len(matches), "said": said, "best_similarity": max(similar, default=None)}


def _texts(participant: Participant) -> Iterator[dict[str, Any]]:
    by_step = {step.id: step for step in participant.steps}
    for record in participant.records:
        step = by_step.get(record.get("step", ""))
        if step is None:
            continue
        found: list[tuple[str, str]] = []
        if record["event"] in ("responses", "rating"):
            items = items_of(step.questionnaire) if step.questionnaire else step.task.items if step.task else ()
            free = [item.id for item in items if item.kind == "text"]
            found = [(item, record["responses"][item]) for item in free if item in record["responses"]]
        if record["event"] == "vote" and record.get("reason"):
            found = [("reason", record["reason"])]
        for item, text in found:
            yield dict(zip(TEXTS, (participant.id, step.condition or "", step.id, item, text), strict=True))

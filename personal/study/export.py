"""A study's data for other programs: CSV (long and wide), JSONL, a codebook, and a folder laid out as in BIDS.

Identifiers of the link, which lead to people, are in a file of their own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personal.remember import disk
from personal.study.items import Item
from personal.study.measures import measures
from personal.study.participant import Participant
from personal.study.report import fresh
from personal.study.scales import items_of, source_of, title_of
from personal.study.schema import Study
from personal.study.store import FILE, StudyStore
from personal.study.tables import Data, collect, wide

if TYPE_CHECKING:
    import pandas as pd

FREE = ("text", "reason", "question_text", "answer_text")
"""Columns of free text. A ' keeps a spreadsheet from taking one for a formula; events.jsonl has it as it was."""
COLUMNS = {
    "participant": "Keyed hash of the link's identifier; the same in all files",
    "status": "finished, active (did not finish) or screened_out",
    "order": "Conditions in the order in which they were met",
    "row": "Row of the balanced square, from 0; empty for random orders",
    "consented": "When they agreed, UTC",
    "ended": "When their last record was written, if they came to an end, UTC",
    "failed_attention": "Attention checks that were answered wrongly",
    "condition": "Condition that the value belongs to",
    "part": "Place of the condition in their order, from 1",
    "measure": "What was measured: see the rows of kind measure",
    "value": "The number",
    "task": "Task in which was voted",
    "turn": "Number of the question in its step, from 1",
    "left": "Condition that answered on the left",
    "right": "Condition that answered on the right",
    "choice": "left, right, both_good or both_bad",
    "winner": "Condition that won; empty for both or neither",
    "reason": "Why, in their words",
    "step": "Page of the way",
    "seconds": "Time from when the step was first shown until it was done",
    "item": "Item that was answered",
    "text": "What was written",
    "at": "When, UTC",
    "side": "Side of the answer in a blind comparison",
    "model": "Model that answered",
    "tokens": "Tokens of the answer",
    "stopped": "Whether the participant stopped it",
    "retrieve_s": "Seconds of retrieval",
    "first_token_s": "Seconds until the first token",
    "total_s": "Seconds until the whole answer",
    "photos": "Photos that the question was about",
    "matches": "Concepts that were found",
    "said": "Of them, those that the answer could name",
    "best_similarity": "Highest cosine similarity among them",
}  # fmt: skip


def export(store: StudyStore, folder: Path) -> list[Path]:
    """Write a study's data into a new `folder`, and return the files. Raises PersonalError."""
    fresh(folder)
    people = store.participants()
    data = collect(store.study, people)
    tables = {
        "participants": wide(data),
        "long": data.long,
        "votes": data.votes,
        "answers": data.turns,
        "texts": data.texts,
        "steps": data.steps,
        "codebook": codebook(store.study, data),
        "identifiers": _identifiers(people),
    }
    with disk.translate_errors(folder):
        for name, frame in tables.items():
            _guarded(frame).to_csv(folder / f"{name}.csv", index=False)
        (folder / FILE).write_bytes((store.folder / FILE).read_bytes())
        lines = [json.dumps(record, ensure_ascii=False) for one in people for record in _records(one)]
        (folder / "events.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        _write_bids(store, data, people, folder / "bids")
    return sorted(path for path in folder.rglob("*") if path.is_file())


def codebook(study: Study, data: Data) -> pd.DataFrame:
    """Return a row for each column and each measure: what it is, its values, where it is from."""
    import pandas as pd

    frames = {"participants": data.people, "long": data.long, "votes": data.votes, "answers": data.turns}
    frames |= {"texts": data.texts, "steps": data.steps}
    rows: list[tuple[str, str, str, str, str, str]] = []
    for file, frame in frames.items():
        rows += [(f"{file}.csv", "column", name, _meaning(study, name), "", "") for name in frame.columns]
    sources = {one.id: source_of(one) for one in study.questionnaires}
    for one in measures(study).values():
        low, high = one.lowest, one.highest
        values = "" if low is None else f"{low:g} to {high:g}" if high is not None else f"from {low:g}"
        more = f" (higher: {one.higher})" if one.higher else ""
        rows.append(
            ("long.csv", "measure", one.id, one.title + more, values, sources.get(one.id.partition(".")[0], ""))
        )
    return pd.DataFrame(rows, columns=["file", "kind", "name", "meaning", "values", "source"])


def _meaning(study: Study, column: str) -> str:
    if column in COLUMNS:
        return COLUMNS[column]
    for start, what in (("question_", "Of the question"), ("answer_", "Of the answer")):
        if column.startswith(start):
            return f"{what}: {column.removeprefix(start)}"
    name, _, item_id = column.partition(".")
    for questionnaire in study.questionnaires:
        if questionnaire.id == name:
            item = next((one for one in items_of(questionnaire) if one.id == item_id), None)
            return f"{title_of(questionnaire)}: {_described(item)}" if item else title_of(questionnaire)
    asked = next((one for one in study.eligibility if column == f"eligibility.{one.id}"), None)
    return asked.text if asked else column


def _described(item: Item) -> str:
    if item.points:
        return f"{item.text} (1 {item.low or ''} to {item.points} {item.high or ''})"
    return f"{item.text} ({'; '.join(item.options)})" if item.options else item.text


def _identifiers(people: list[Participant]) -> pd.DataFrame:
    """Return who is who, for payment: identifiers of the link, status and completion code."""
    import pandas as pd

    rows = []
    for one in people:
        code = one.ending.code if one.status in ("finished", "screened_out") else None
        rows.append(
            {"participant": one.id, **one.records[0].get("identifiers", {}), "status": one.status, "code": code}
        )
    return pd.DataFrame(rows, columns=None if rows else ["participant", "status", "code"])


def _records(participant: Participant) -> Iterator[dict[str, Any]]:
    for record in participant.records:
        shown = {name: value for name, value in record.items() if name != "identifiers"}
        yield {"participant": participant.id, **shown}


def _guarded(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table in which no text acts in a spreadsheet."""
    made = frame.copy()
    for name in frame.columns:
        if name in FREE or "." in name:
            made[name] = [_harmless(value) for value in frame[name]]
    return made


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" and value else value


# -- BIDS --------------------------------------------------------------------------------------------------------------


def _write_bids(store: StudyStore, data: Data, people: list[Participant], folder: Path) -> None:
    """Write participants.tsv, the questionnaires under phenotype/, and each participant's events (BIDS 1.10)."""
    task = re.sub(r"[^A-Za-z0-9]", "", store.id)
    _json(
        folder / "dataset_description.json", {"Name": store.study.title, "BIDSVersion": "1.10.0", "DatasetType": "raw"}
    )
    told = data.people.rename(columns={"participant": "participant_id"})
    told["participant_id"] = "sub-" + told["participant_id"]
    _tsv(folder / "participants.tsv", told)
    described = {
        name: {"Description": _meaning(store.study, name)} for name in data.people.columns if name != "participant"
    }
    _json(folder / "participants.json", described)
    _json(folder / f"task-{task}_events.json", {"TaskName": store.study.title, "trial_type": {"Description": "Event"}})
    for one in store.study.questionnaires:
        rows = data.long[data.long["measure"].str.startswith(f"{one.id}.")] if len(data.long) else data.long
        if rows.empty:
            continue
        table = rows.pivot_table(index=["participant", "condition"], columns="measure", values="value").reset_index()
        table.columns = [name.removeprefix(f"{one.id}.") for name in table.columns]
        table.insert(0, "participant_id", "sub-" + table.pop("participant"))
        _tsv(folder / "phenotype" / f"{one.id}.tsv", table)
        items = {item.id: {"Description": _described(item)} for item in items_of(one)}
        tool = {"Description": title_of(one), "TermURL": "", "Source": source_of(one)}
        _json(folder / "phenotype" / f"{one.id}.json", {"MeasurementToolMetadata": tool, **items})
    for person in people:
        name = f"sub-{person.id}"
        _tsv(folder / name / "beh" / f"{name}_task-{task}_events.tsv", _events(person))


def _events(participant: Participant) -> pd.DataFrame:
    """Return when what happened, in seconds from consent, without any words."""
    import pandas as pd

    records = participant.records
    began = datetime.fromisoformat(records[0]["at"])
    rows = [
        {
            "onset": (datetime.fromisoformat(record["at"]) - began).total_seconds(),
            "duration": 0,
            "trial_type": record["event"],
            "step": record.get("step"),
            "condition": record.get("condition"),
            "turn": record.get("turn"),
        }
        for record in records
    ]
    return pd.DataFrame(rows)


def _json(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def _tsv(path: Path, frame: pd.DataFrame) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_csv(path, sep="\t", index=False, na_rep="n/a")

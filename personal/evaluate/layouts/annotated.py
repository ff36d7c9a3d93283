"""Layouts with searches by a concept's name and its context: ConCon-Chi, PerVL (PALAVRA's benchmark)."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from personal.evaluate.layouts.shape import Dataset, Query, Search, Subject, folders, load, pictures


def is_conconchi(root: Path) -> bool:
    return _annotations(root) is not None


def conconchi(root: Path) -> Dataset:
    """Read data/annotations/train.json (references), test.json (photos and queries) and data/images/.

    Each is {"concepts": table, "data": table} with the columns LABEL (a text with a * for each concept), CONCEPTS (row
    numbers of the concepts' table), GTS and ADDITIONAL GTS (file names), KIND ("negative": photos that no query is
    for). Photos that no row of test.json has are no candidates. As `vlpers/datasets/conconchi.py` of
    github.com/hsp-iit/concon-chi_benchmark reads it. Of the concepts' table only the columns coarse, discriminative
    and rich are known: a column name is taken as names where there is one, else they are made from the numbers.
    """
    home = _annotations(root)
    assert home is not None
    images = home.parent / "images"
    train, test = load(home / "train.json"), load(home / "test.json")
    kinds = _rows(train["concepts"])
    names = [_name(number, row) for number, row in enumerate(kinds)]
    shown: dict[str, list[Path]] = {name: [] for name in names}
    for row in _rows(train["data"]):
        for number in row["CONCEPTS"]:
            shown[names[number]] += [images / file for file in row["GTS"]]
    subjects = tuple(
        Subject(name, tuple(dict.fromkeys(shown[name])), _text(row, "coarse"), _text(row, "rich", "discriminative"))
        for name, row in zip(names, kinds, strict=True)
    )
    there: dict[Path, set[str]] = {}
    labels: dict[Path, list[str]] = {}
    rows = _rows(test["data"])
    for row in rows:
        for file in row["GTS"]:
            there.setdefault(images / file, set()).update(names[number] for number in row["CONCEPTS"])
            labels.setdefault(images / file, []).append(row["LABEL"])
    queries = tuple(
        Query(path, frozenset(who), captions=tuple(dict.fromkeys(labels[path]))) for path, who in there.items()
    )
    searches = tuple(
        Search(row["LABEL"], tuple(names[number] for number in row["CONCEPTS"]), photos)
        for row in rows
        if row.get("KIND") != "negative"
        and (
            photos := frozenset(images / file for file in [*row["GTS"], *(row.get("ADDITIONAL GTS") or [])])
            & there.keys()
        )
    )
    return Dataset("concon-chi", root, subjects, queries, searches)


def _annotations(root: Path) -> Path | None:
    homes = (root / "data" / "annotations", root / "annotations")
    return next((h for h in homes if (h / "train.json").is_file() and (h / "test.json").is_file()), None)


def _rows(table: Any) -> list[dict[str, Any]]:
    """Read a table as pandas would: a list of records, or columns that are lists or {row: value}."""
    if isinstance(table, list):
        return table
    columns = {name: list(c.values()) if isinstance(c, dict) else c for name, c in table.items()}
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _name(number: int, row: Mapping[str, Any]) -> str:
    return _text(row, "name", "concept") or f"concept {number}"


def _text(row: Mapping[str, Any], *columns: str) -> str:
    lower = {str(column).casefold(): value for column, value in row.items()}
    return next((str(lower[column]) for column in columns if lower.get(column)), "")


def is_pervl(root: Path) -> bool:
    return bool(_splits(root))


def _splits(root: Path) -> list[Path]:
    homes = folders(root / "data" / "deep_fashion2")
    return [home for home in homes if (home / "codes_infer").is_dir() and (home / "eval" / "test").is_dir()]


def pervl(root: Path) -> Dataset:
    """Read PerVL-DeepFashion2 as its scripts lay it out: `data/deep_fashion2/personalized_…/codes_infer/<pair_id>/*`.

    Candidates are in `eval/test/`; `annotations/deep_fashion/…_captions.csv` (image_name, pair_id, caption) has a
    search for each, the word person in a *'s place; the shortened captions are preferred. As github.com/NVlabs/
    PerVLBenchmark, NVlabs/PALAVRA and ConCon-Chi's code read it. Of its splits personalized_test is read where it is
    there, else the last by name. YouTube-VOS is not.
    """
    home = max(_splits(root), key=lambda home: (home.name == "personalized_test", home.name))
    notes = root / "annotations" / "deep_fashion"
    told = next((p for p in sorted(notes.glob("*_captions.csv")) if p.stem.split("_")[0] in home.name), None)
    if told is None:
        raise ValueError(f"{notes} has no captions for {home.name}")
    short = notes / "shortened_deepfashion2_captions.csv"
    shortened = {row["image_name"]: row["caption"] for row in _csv(short)} if short.is_file() else {}
    owners: dict[Path, str] = {}
    searches = []
    for row in _csv(told):
        path = home / "eval" / "test" / Path(row["image_name"]).name
        if path.is_file():
            owners[path] = row["pair_id"]
            text = re.sub(r"\bperson\b", "*", shortened.get(row["image_name"], row["caption"]), count=1)
            searches.append(Search(text, (row["pair_id"],), frozenset({path})))
    subjects = tuple(Subject(folder.name, pictures(folder)) for folder in folders(home / "codes_infer"))
    queries = tuple(Query(path, frozenset({owner})) for path, owner in owners.items())
    return Dataset("pervl", root, subjects, queries, tuple(searches))


def _csv(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))

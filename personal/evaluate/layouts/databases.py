"""Layouts with a database of concepts in json: RAP and RePIC."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from personal.evaluate.layouts.folders import two_options
from personal.evaluate.layouts.shape import (
    PICTURES,
    Dataset,
    Query,
    Question,
    Subject,
    find,
    folders,
    load,
)

DATABASES = ("database_mod.json", "database.json")
TEMPLATES = "_query_templates.json"


def is_rap(root: Path) -> bool:
    return _database(root) is not None


def rap(root: Path) -> Dataset:
    """Read database.json {"concept_dict": {"<bo>": {name, image, info, category}}} and the evaluation json beside it.

    That is: a list of {image, question, concept, correct_answer} (eval/recognition_test.json, whose pairs of a photo
    and its own concept come twice), {photo: ["<bo>", …]} (captions), two-option questions. They lie in the folder or in
    its eval/; photos are found by the longest ending of their path that exists. A concept is called by its key, as the
    questions call it. As github.com/Hoar012/RAP-MLLM has it.
    """
    file = _database(root)
    assert file is not None
    subjects, notes = _subjects(file, (file.parent, root))
    queries: list[Query] = []
    questions: list[Question] = []
    for record in sorted({*root.glob("*.json"), *(root / "eval").glob("*.json")} - {file}):
        value = load(record)
        if _is_captions(value):
            found, missing = _captions(value, (root,), record.name)
        elif _is_recognition(value):
            found, missing = _recognition(value, root, record.name)
        elif isinstance(value, dict) and any(_holds(inner, "correct_answer") for inner in _inner(value.values())):
            questions += two_options(record, (root,))
            continue
        else:
            continue
        queries += found
        notes += missing
    return Dataset("rap", root, subjects, tuple(queries), questions=tuple(questions), notes=tuple(notes))


def is_repic(path: Path) -> bool:
    return bool(_templates(path)) and bool(_repic_root(path))


def repic(path: Path) -> Dataset:
    """Read one of RePIC's `query_tot/<set>_query_templates.json` with `database_tot/database_<set>/database_mod.json`.

    Each set has a database of its own, so that a folder with several templates needs the template's path. A template is
    {photo: ["<Anya>", "<Bond>"]}, or, with four concepts, {photo: [[four of those in it], …]}: a query for each, whose
    other people may be named for nothing. The concepts listed are registered together. As `data/` and
    `caption_eval_*.py` of github.com/oyt9306/RePIC have it; how captions were scored is not released.
    """
    templates, root = _templates(path), _repic_root(path)
    assert root is not None
    if len(templates) > 1:
        names = ", ".join(template.name for template in templates)
        raise ValueError(f"there are several sets, give the path of one: {names}")
    name = templates[0].name.removesuffix(TEMPLATES)
    homes = [root / "database_tot" / f"database_{name}{plural}" for plural in ("", "s")]
    file = next((found for home in homes if (found := _database(home))), None)
    if file is None:
        raise ValueError(f"there is no database_tot/database_{name}")
    subjects, notes = _subjects(file, (file.parent, root.parent, root))
    queries, missing = _captions(load(templates[0]), (root.parent, root), templates[0].name)
    return Dataset("repic", root, subjects, tuple(queries), notes=(*notes, *missing))


def _templates(path: Path) -> list[Path]:
    if path.name.endswith(TEMPLATES):
        return [path] if path.is_file() else []
    return sorted(found for home in (path, path / "data") for found in (home / "query_tot").glob(f"*{TEMPLATES}"))


def _repic_root(path: Path) -> Path | None:
    homes = (path, path / "data", *path.parents[:2])
    return next((home for home in homes if (home / "database_tot").is_dir()), None)


def _database(folder: Path) -> Path | None:
    here = [folder / name for name in DATABASES]
    below = [home / name for home in folders(folder) for name in DATABASES]
    return next((file for file in here + below if file.is_file()), None)


def _subjects(file: Path, roots: Sequence[Path]) -> tuple[tuple[Subject, ...], list[str]]:
    subjects, notes = [], []
    for key, record in load(file)["concept_dict"].items():
        images = record.get("image", [])
        paths = {image: find(roots, image) for image in ([images] if isinstance(images, str) else images)}
        notes += [f"{image} of {key} left out: it is not here." for image, path in paths.items() if path is None]
        there = tuple(path for path in paths.values() if path is not None)
        subjects.append(Subject(_bare(key), there, record.get("category") or "", record.get("info") or ""))
    return tuple(subjects), notes


def _bare(name: str) -> str:
    return name.strip().removeprefix("<").removesuffix(">")


def _is_captions(value: Any) -> bool:
    """Return whether a file is RAP's or RePIC's {photo: names}, not for example id2filename.json."""
    return (
        isinstance(value, dict)
        and bool(value)
        and all(key.lower().endswith(PICTURES) and isinstance(names, str | list) for key, names in value.items())
    )


def _captions(value: Mapping[str, Any], roots: Sequence[Path], source: str) -> tuple[list[Query], list[str]]:
    queries, missing = [], []
    for name, listed in value.items():
        path = find(roots, name)
        if path is None:
            missing.append(name)
            continue
        lists = listed if isinstance(listed, list) and listed and isinstance(listed[0], list) else [listed]
        casts = [frozenset(map(_bare, [names] if isinstance(names, str) else names)) for names in lists]
        everyone = frozenset[str]().union(*casts)
        queries += [Query(path, cast, others=everyone - cast, together=cast) for cast in casts]
    return queries, _not_here(missing, source)


def _is_recognition(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(_holds(row, "image", "concept", "correct_answer") for row in value)
    )


def _recognition(value: Sequence[Mapping[str, Any]], root: Path, source: str) -> tuple[list[Query], list[str]]:
    """Gather who is in each photo from its pairs; the pairs themselves are what `evaluate.recognition` asks."""
    there: dict[str, set[str]] = {}
    for row in value:
        names = there.setdefault(row["image"], set())
        if row["correct_answer"] is True:
            names.add(_bare(row["concept"]))
    paths = {name: find((root,), name) for name in there}
    queries = [Query(path, frozenset(there[name])) for name, path in paths.items() if path]
    return queries, _not_here([name for name, path in paths.items() if path is None], source)


def _not_here(missing: Sequence[str], source: str) -> list[str]:
    return [f"{len(missing)} photos of {source} left out, which are not here, such as {missing[0]}."] if missing else []


def _holds(record: Any, *keys: str) -> bool:
    return isinstance(record, dict) and all(key in record for key in keys)


def _inner(values: Iterable[Any]) -> Iterable[Any]:
    return (record for value in values if isinstance(value, dict) for record in value.values())

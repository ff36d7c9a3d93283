"""A dataset of any layout for the protocols about one concept a photo; for several see `evaluate.multi`."""

from __future__ import annotations

import json
from pathlib import Path

from personal.errors import PersonalError
from personal.evaluate.asking import ProgressBar, no_progress_bar
from personal.evaluate.identify import Drawn, Folder
from personal.evaluate.layouts import Dataset, photos_of, read, usable
from personal.images import read_photo


def read_folder(folder: Path, references: int, *, progress: ProgressBar = no_progress_bar) -> Folder:
    """Read a folder of any layout, one of concept folders for example. Raises PersonalError."""
    return as_folder(usable(read(folder), references, progress=progress), references)


def as_folder(dataset: Dataset, references: int) -> Folder:
    """Read all photos of one concept of a dataset that is `usable`, its split kept.

    Raises PersonalError where fewer than two concepts are left, or none has a photo to ask about.
    """
    shown: Drawn = {subject.name: [] for subject in dataset.subjects}
    files: dict[str, str] = {}
    for query in dataset.queries:
        if len(query.concepts) == 1:
            (name,), photo = query.concepts, read_photo(query.path)
            shown[name].append(photo)
            files[photo.sha256] = dataset.file(query.path)
    known = photos_of({subject.name: subject.references for subject in dataset.subjects}) if dataset.split else shown
    pools = {name: pool for name, pool in known.items() if pool and (dataset.split or len(pool) > references)}
    if len(pools) < 2 or not any(shown.values()):
        raise PersonalError(f"{dataset.folder} has no two concepts with photos of them alone, which this asks about.")
    asked = {name: shown[name] for name in pools} if dataset.split else {}
    return Folder(pools, dataset.notes, files, asked, read_kinds(dataset.folder))


def read_kinds(folder: Path) -> dict[str, str]:
    """Read what kind of thing each concept is, {name: kind} or {name: {"category": kind}}; nothing where no file is."""
    for path in (folder / "categories.json", folder / "concepts.json"):
        if path.is_file():
            try:
                told = json.loads(path.read_text("utf-8")).items()
                return {name: str(kind["category"] if isinstance(kind, dict) else kind) for name, kind in told}
            except (ValueError, KeyError, AttributeError) as error:
                raise PersonalError(f'{path} should tell each concept\'s kind, {{"bo": "dog"}}: {error}.') from error
    return {}

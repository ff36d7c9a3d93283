"""The one shape into which every published layout is read, and how its photos are dealt out as references and queries.

Holds paths: a photo is read when it is asked about. Concepts and photos are known by name and path, never by position,
so that a photo that cannot be read shifts nothing.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from personal.concepts import Box, Photo
from personal.errors import ImageError, PersonalError
from personal.evaluate.asking import Watch, unwatched
from personal.images import open_photo, read_photo
from personal.remember.names import clean_name

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif")


@dataclass(frozen=True, slots=True)
class Subject:
    """A concept of a dataset. `references` are empty where the layout has no split; `negatives` do not show it."""

    name: str
    references: tuple[Path, ...] = ()
    category: str = ""
    info: str = ""
    negatives: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Query:
    """A photo that is asked about, and the `concepts` in it that count; naming one of `others` counts neither way.

    `together` are the only ones that the layout's own protocol registers for it; empty means all. `boxes` tell where a
    concept is, `masks` are pictures of the same.
    """

    path: Path
    concepts: frozenset[str]
    others: frozenset[str] = frozenset()
    together: frozenset[str] = frozenset()
    captions: tuple[str, ...] = ()
    condition: str = ""
    boxes: Mapping[str, Box] = field(default_factory=dict)
    masks: Mapping[str, Path] = field(default_factory=dict)

    def where(self) -> dict[str, Box]:
        """Tell the boxes that are known, those around the masks' bright parts too; an unusable mask has none."""
        found = dict(self.boxes)
        for name, path in self.masks.items():
            try:
                bright = np.asarray(open_photo(read_photo(path)).convert("L")) > 127
            except ImageError:
                continue
            if bright.any():
                (height, width), (down, across) = bright.shape, np.nonzero(bright)
                found[name] = (
                    float(across.min() / width),
                    float(down.min() / height),
                    float((across.max() + 1) / width),
                    float((down.max() + 1) / height),
                )
        return found


@dataclass(frozen=True, slots=True)
class Search:
    """A query of "<name> + context": `text` has a * for each of `concepts`, in this order; `photos` are right."""

    text: str
    concepts: tuple[str, ...]
    photos: frozenset[Path]


@dataclass(frozen=True, slots=True)
class Question:
    """A question about concepts and its answer: a letter where there are `options`, or where `text` holds them."""

    concepts: tuple[str, ...]
    text: str
    answer: str
    options: tuple[str, ...] = ()
    photo: Path | None = None


@dataclass(frozen=True)
class Dataset:
    """A dataset of any layout; `notes` say in words what was left out."""

    layout: str
    folder: Path
    subjects: tuple[Subject, ...]
    queries: tuple[Query, ...]
    searches: tuple[Search, ...] = ()
    questions: tuple[Question, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def split(self) -> bool:
        """Tell whether the layout itself says which photos are references."""
        return any(subject.references for subject in self.subjects)

    def file(self, path: Path) -> str:
        """Name a photo in reports: its path below the dataset's folder, where it is there."""
        return path.relative_to(self.folder).as_posix() if path.is_relative_to(self.folder) else path.name


@dataclass(frozen=True, slots=True)
class Deal:
    """One seed's references by concept, and the queries; whoever has no references stays unregistered."""

    references: dict[str, list[Path]]
    queries: list[Query]


def usable(dataset: Dataset, references: int, *, watch: Watch = unwatched) -> Dataset:
    """Read every photo once and leave out, with a note, what cannot serve. Names become what the library makes of them.

    Left out are photos that cannot be read, that are there twice, or that are both reference and query, or may become
    it: where the layout has no split, those that are there as photos of different concepts. So are concepts without
    enough photos: one reference where the layout has a split, one more than `references` where it has none.
    Raises PersonalError where fewer than two concepts or no queries remain, or where the library takes no such name.
    """
    dataset = _named(dataset)
    known = [path for subject in dataset.subjects for path in subject.references]
    every = dict.fromkeys([*known, *(query.path for query in dataset.queries)])
    prints, notes = _prints(dataset, list(every), watch)
    subjects: list[Subject] = []
    seen: set[str] = set()
    for subject in dataset.subjects:
        kept: dict[str, Path] = {}
        for path in subject.references:
            if path in prints and kept.setdefault(prints[path], path) != path:
                notes.append(f"{dataset.file(path)} left out: the same photo is there already.")
        seen |= kept.keys()
        subjects.append(replace(subject, references=tuple(kept.values())))
    first: dict[tuple[str, frozenset[str]], Query] = {}
    for query in dataset.queries:
        sha256 = prints.get(query.path)
        if sha256 is None:
            continue
        if sha256 in seen:
            notes.append(f"{dataset.file(query.path)} left out: it is a reference photo too.")
            continue
        known_as = first.setdefault((sha256, query.concepts), query)
        if known_as.path != query.path:
            notes.append(f"{dataset.file(query.path)} left out: the same photo is there already.")
        elif query.together and not known_as.together:
            first[sha256, query.concepts] = query
    shown = Counter(sha256 for sha256, _ in first)
    queries = []
    for (sha256, _), query in first.items():
        if dataset.split or shown[sha256] == 1:
            queries.append(query)
        else:
            notes.append(f"{dataset.file(query.path)} left out: the same photo is there as one of another concept.")
    remaining = []
    for subject in subjects:
        alone = sum(query.concepts == {subject.name} for query in queries)
        if dataset.split and not subject.references:
            notes.append(f"{subject.name} left out: it has no usable reference photo.")
        elif not dataset.split and alone <= references:
            notes.append(f"{subject.name} left out: {alone} usable photos, {references + 1} needed.")
        else:
            remaining.append(subject)
    names = {subject.name for subject in remaining}
    asked = [query for query in queries if query.concepts <= names]
    if len(remaining) < 2 or not asked:
        raise PersonalError(
            f"{dataset.folder} ({dataset.layout}) holds {len(remaining)} concepts and {len(asked)} photos that can be "
            "used: two concepts and a photo to ask about are needed. Fewer references may help."
            + "".join(f"\n{note}" for note in notes[:10])
        )
    return replace(
        dataset,
        subjects=tuple(remaining),
        queries=tuple(asked),
        searches=tuple(s for s in dataset.searches if names.issuperset(s.concepts)),
        notes=(*dataset.notes, *notes),
    )


def deal(dataset: Dataset, references: int, *, unregistered: int = 0, seed: int = 0) -> Deal:
    """Draw one seed's references, at most that many of each concept, and leave `unregistered` concepts without.

    Where the layout has no split they are drawn from the photos of one concept alone, as `evaluate.identify` draws
    them, and are no queries. Raises PersonalError where nobody would be registered.
    """
    names = sorted(subject.name for subject in dataset.subjects)
    if unregistered >= len(names):
        raise PersonalError(f"{unregistered} of {len(names)} concepts cannot stay unregistered: leave one or more.")
    random = np.random.default_rng(seed)
    strangers = set(random.choice(names, unregistered, replace=False)) if unregistered else set()
    pools = {subject.name: list(subject.references) for subject in dataset.subjects}
    if not dataset.split:
        alone = {name: frozenset({name}) for name in names}
        pools = {name: [query.path for query in dataset.queries if query.concepts == alone[name]] for name in names}
    chosen, taken = {}, set()
    for name in names:
        picks = random.choice(len(pools[name]), min(references, len(pools[name])), replace=False).tolist()
        drawn = [pools[name][i] for i in sorted(picks)]
        taken |= set(drawn)
        if name not in strangers:
            chosen[name] = drawn
    return Deal(chosen, [query for query in dataset.queries if query.path not in taken])


def photos(references: Mapping[str, Iterable[Path]]) -> dict[str, list[Photo]]:
    """Read the photos to be registered. Raises ImageError."""
    return {name: [read_photo(path) for path in paths] for name, paths in references.items()}


def _named(dataset: Dataset) -> Dataset:
    """Call everybody as the library will: in NFC, without white space around. Raises ConceptError."""
    return replace(
        dataset,
        subjects=tuple(replace(subject, name=clean_name(subject.name)) for subject in dataset.subjects),
        queries=tuple(
            replace(
                query,
                concepts=frozenset(map(clean_name, query.concepts)),
                others=frozenset(map(clean_name, query.others)),
                together=frozenset(map(clean_name, query.together)),
                boxes={clean_name(name): box for name, box in query.boxes.items()},
                masks={clean_name(name): path for name, path in query.masks.items()},
            )
            for query in dataset.queries
        ),
        searches=tuple(replace(s, concepts=tuple(map(clean_name, s.concepts))) for s in dataset.searches),
        questions=tuple(replace(q, concepts=tuple(map(clean_name, q.concepts))) for q in dataset.questions),
    )


def _prints(dataset: Dataset, paths: Sequence[Path], watch: Watch) -> tuple[dict[Path, str], list[str]]:
    prints: dict[Path, str] = {}
    notes: list[str] = []
    for path in watch(paths, "photos"):
        try:
            prints[path] = read_photo(path).sha256
        except ImageError as error:
            notes.append(f"{dataset.file(path)} left out: {error}")
    return prints, notes


# -- what the readers share -------------------------------------------------------------------------------------------


def pictures(folder: Path) -> tuple[Path, ...]:
    """List the picture files of a folder by name; nothing where there is no such folder."""
    if not folder.is_dir():
        return ()
    files = (path for path in folder.iterdir() if path.suffix.lower() in PICTURES and not path.name.startswith("."))
    return tuple(sorted(path for path in files if path.is_file()))


def folders(folder: Path) -> list[Path]:
    """List the folders in a folder by name, hidden ones aside; nothing where there is no such folder."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith((".", "__")))


def load(path: Path) -> Any:
    """Read a json file. Raises PersonalError."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise PersonalError(f"{path} cannot be read as json ({error}). Download it again.") from error


def find(roots: Sequence[Path], name: str) -> Path | None:
    """Find a file whose path was written on another machine: by its longest ending that exists below one of `roots`."""
    parts = [part for part in PurePosixPath(name.replace("\\", "/")).parts if part.strip("./")]
    tails = (parts[start:] for start in range(len(parts)))
    paths = (root.joinpath(*tail) for tail in tails for root in roots)
    return next((path for path in paths if path.is_file()), None)

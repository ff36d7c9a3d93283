"""Make a dataset usable, and draw each seed's references and queries from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from personal.concepts import Photo
from personal.errors import ImageError, PersonalError
from personal.evaluate.asking import ProgressBar, left_out, no_progress_bar
from personal.evaluate.layouts.shape import Dataset, Query, Subject
from personal.images import read_photo
from personal.remember.names import clean_name


@dataclass(frozen=True, slots=True)
class Deal:
    """One seed's references by concept, and its queries; concepts without references stay unregistered."""

    references: dict[str, list[Path]]
    queries: list[Query]


def usable(dataset: Dataset, references: int, *, progress: ProgressBar = no_progress_bar) -> Dataset:
    """Read every photo once and leave out, with a note, what cannot be used. Names become those of the library.

    Left out are photos that cannot be read or are repeated, queries that are references too, and, without a split,
    photos of several concepts' folders. So are concepts without enough photos: one reference with a split, one more
    than `references` without. Raises PersonalError if fewer than two concepts or no queries remain, or if the library
    refuses a name.
    """
    dataset = _with_clean_names(dataset)
    hashes, notes = _hashes(dataset, progress)
    subjects = [_without_repeats(subject, dataset, hashes, notes) for subject in dataset.subjects]
    referenced = {hashes[path] for subject in subjects for path in subject.references}
    queries = _distinct_queries(dataset, hashes, referenced, notes)
    subjects = [subject for subject in subjects if _has_enough(subject, dataset, queries, references, notes)]
    names = {subject.name for subject in subjects}
    queries = [query for query in queries if query.concepts <= names]
    if len(subjects) < 2 or not queries:
        raise PersonalError(
            f"{dataset.folder} ({dataset.layout}) holds {len(subjects)} concepts and {len(queries)} photos that can be "
            "used: two concepts and a photo to ask about are needed. Fewer references may help."
            + "".join(f"\n{note}" for note in notes[:10])
        )
    return replace(
        dataset,
        subjects=tuple(subjects),
        queries=tuple(queries),
        searches=tuple(s for s in dataset.searches if names.issuperset(s.concepts)),
        notes=(*dataset.notes, *notes),
    )


def deal(dataset: Dataset, references: int, *, unregistered: int = 0, seed: int = 0) -> Deal:
    """Draw one seed's references, at most that many a concept, and leave `unregistered` concepts without.

    Without a split they are drawn from the photos of one concept alone, as `evaluate.identify` draws them, and are no
    queries. Raises PersonalError if nobody would be registered.
    """
    names = sorted(subject.name for subject in dataset.subjects)
    random = np.random.default_rng(seed)
    strangers = left_out(names, unregistered, random)
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


def photos_of(references: Mapping[str, Iterable[Path]]) -> dict[str, list[Photo]]:
    """Read the photos to register. Raises ImageError."""
    return {name: [read_photo(path) for path in paths] for name, paths in references.items()}


def _with_clean_names(dataset: Dataset) -> Dataset:
    """Return a dataset whose names are as the library has them. Raises ConceptError."""
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


def _hashes(dataset: Dataset, progress: ProgressBar) -> tuple[dict[Path, str], list[str]]:
    """Return the sha256 of every photo that can be read, and notes on the others."""
    references = [path for subject in dataset.subjects for path in subject.references]
    hashes: dict[Path, str] = {}
    notes: list[str] = []
    for path in progress(list(dict.fromkeys([*references, *(query.path for query in dataset.queries)])), "photos"):
        try:
            hashes[path] = read_photo(path).sha256
        except ImageError as error:
            notes.append(f"{dataset.file(path)} left out: {error}")
    return hashes, notes


def _without_repeats(subject: Subject, dataset: Dataset, hashes: Mapping[Path, str], notes: list[str]) -> Subject:
    kept: dict[str, Path] = {}
    for path in subject.references:
        if path in hashes and kept.setdefault(hashes[path], path) != path:
            notes.append(f"{dataset.file(path)} left out: the same photo is there already.")
    return replace(subject, references=tuple(kept.values()))


def _distinct_queries(
    dataset: Dataset, hashes: Mapping[Path, str], referenced: set[str], notes: list[str]
) -> list[Query]:
    """Return the queries without repeated photos, references, and without a split photos of different concepts."""
    first: dict[tuple[str, frozenset[str]], Query] = {}
    for query in dataset.queries:
        sha256 = hashes.get(query.path)
        if sha256 is None:
            continue
        if sha256 in referenced:
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
    return queries


def _has_enough(
    subject: Subject, dataset: Dataset, queries: Sequence[Query], references: int, notes: list[str]
) -> bool:
    if dataset.split:
        if not subject.references:
            notes.append(f"{subject.name} left out: it has no usable reference photo.")
        return bool(subject.references)
    alone = sum(query.concepts == {subject.name} for query in queries)
    if alone <= references:
        notes.append(f"{subject.name} left out: {alone} usable photos, {references + 1} needed.")
    return alone > references

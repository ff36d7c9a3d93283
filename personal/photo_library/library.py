"""The photo library of any number of owners: add folders, scan them, search them in words.

Lives on disk beside an owner's concepts and goes with them (`personal.photo_library.store`); holds what was read last
of each in memory, for quick searches.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from personal.assistant import Assistant
from personal.concepts import Concept, Photo, Progress
from personal.errors import PersonalError
from personal.labels import Classifier
from personal.labels import read as read_classifier
from personal.photo_library.files import check_folder
from personal.photo_library.query import Query, people_among, read_query, singular
from personal.photo_library.scan import Scan, Stop, gallery_of, original
from personal.photo_library.store import Counts, Folder, PhotoStore, Row
from personal.settings import TINY, Settings

NEAREST = 12
"""Photos that are offered where nothing fits."""
NO_CLASSES = {"can", "orange"}
"""Words that mostly mean something else than the class of that name."""


@dataclass(frozen=True)
class Found:
    """What a search found, best first, and in `nearest` what comes closest where that is nothing.

    `note` says in words what keeps the search from being answered, such as that no dates are known.
    """

    query: Query
    photos: tuple[Row, ...] = ()
    nearest: tuple[Row, ...] = ()
    note: str = ""


@dataclass
class _Snapshot:
    """An owner's photos as they were at a revision, and their vectors (n, dimension)."""

    revision: int = -1
    rows: list[Row] = field(default_factory=list)
    vectors: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))


class PhotoLibrary:
    """Photos in folders. Methods raise StoreError if the library's file cannot be used."""

    def __init__(self, settings: Settings, assistant: Assistant | None = None) -> None:
        """Open the photo libraries of a data folder; without `assistant` nothing can be scanned or searched."""
        self._settings = settings
        self.assistant = assistant
        self._snapshots: dict[str, _Snapshot] = {}
        self._known: dict[str, set[str]] = {}
        self._classifier: list[Classifier | None] = []

    def store(self, owner: str) -> PhotoStore:
        """Return what is kept of an owner's photos."""
        return PhotoStore(self._settings.data_dir / "owners" / owner / "photos")

    def add(self, owner: str, path: Path, *, exif: bool | None = None) -> Folder:
        """Add a folder, or change whether its EXIF is read. Raises PersonalError if it is none, or the app's own."""
        folder = check_folder(path, self._settings.data_dir)
        outer = next((one for one in self.store(owner).folders() if one.path in folder.parents), None)
        if outer:
            raise PersonalError(f"{folder} is in {outer.path}, which is in the library already.")
        inner = [one for one in self.store(owner).folders() if folder in one.path.parents]
        if inner:
            raise PersonalError(f"{inner[0].path}, which is in {folder}, is in the library already. Remove it first.")
        return self.store(owner).add_folder(folder, exif=exif)

    def remove(self, owner: str, path: Path) -> Folder:
        """Remove a folder from the library; its photos stay where they are. Raises PersonalError if it is not in it."""
        for folder in self.store(owner).folders():
            if folder.path in (path, path.expanduser().resolve()):
                self.store(owner).remove_folder(folder)
                return folder
        raise PersonalError(f"{path} is not in the library.")

    def scan(self, owner: str, stop: Stop | None = None) -> Iterator[Progress]:
        """Read what is new, yielding progress; see `Scan.steps`. Raises PersonalError if there is no folder."""
        if not self.store(owner).folders():
            raise PersonalError("There is no folder in the library yet. Add one first.")
        return Scan(self.store(owner), self._with_models, owner, self._settings, self._labels()).steps(stop)

    def forget_erased(self) -> None:
        """Drop what was found of concepts that were erased since the last time; those in the trash may come back."""
        library = self._with_models.library
        for owner in library.owners():
            if not self.store(owner).exists:
                continue
            known = {one.id for one in library.concepts(owner)} | {one.concept.id for one in library.trash(owner)}
            before, self._known[owner] = self._known.get(owner), known
            if before is None or not before <= known:
                self.store(owner).forget_concepts(known)

    def status(self, owner: str, concepts: Sequence[Concept]) -> tuple[Counts, int]:
        """Count what there is, and the photos in which today's concepts are to be looked for again."""
        return self.store(owner).counts(), len(self.store(owner).outdated(gallery_of(concepts)))

    def photo(self, owner: str, sha256: str) -> Photo:
        """Read a photo of the library. Raises PersonalError if its file is gone."""
        return original(self.store(owner), sha256, self._settings)

    def all(self, owner: str) -> Sequence[Row]:
        """List all photos, the newest first where dates are known."""
        return self._snapshot(owner).rows

    def search(
        self,
        owner: str,
        words: str,
        *,
        shown: Sequence[str] = (),
        absent: Sequence[str] = (),
        today: date | None = None,
    ) -> Found:
        """Search for words, with filters: ids of concepts that must be, or must not be, in a photo."""
        assistant, snapshot = self._with_models, self._snapshot(owner)
        concepts = assistant.concepts(owner)
        by_id = {concept.id: concept for concept in concepts}
        bracketed = partial(assistant.retriever.bracketed, concepts=concepts)
        read = read_query(words, bracketed, concepts, today or date.today())
        chosen = tuple((by_id[one],) for one in shown if one in by_id)
        query = Query(
            (*chosen, *(group for group in read.shown if group not in chosen)),
            (*read.absent, *(by_id[one] for one in absent if one in by_id)),
            read.lacking,
            read.period,
            read.text,
        )
        people = people_among(concepts)
        through = np.array([query.lets_through(row, people) for row in snapshot.rows], bool)
        scores = self._scores(query.text, snapshot)
        fitting = through & self._fitting(query, snapshot, scores) if query.text else through
        found = self._best(snapshot, query, np.flatnonzero(fitting), scores)
        if found or query.empty:
            return Found(query, found)
        near = np.flatnonzero(through) if through.any() else np.arange(len(snapshot.rows) if query.text else 0)
        note = ""
        if query.period and not any(row.exif.taken for row in snapshot.rows):
            note = "No photo has a date: they are read only from folders for which that is switched on."
        return Found(query, (), self._best(snapshot, query, near, scores)[:NEAREST], note)

    def _fitting(self, query: Query, snapshot: _Snapshot, scores: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return which photos may be what the text says; none where nothing else is asked for, and none is near it."""
        may_be, found = self._with_models.retriever.text_thresholds
        least = may_be if query.shown else found
        if scores.max(initial=-1.0) < least or (not query.shown and self._has_none(query.text, snapshot)):
            may_be = np.inf
        fitting: NDArray[np.bool_] = scores >= may_be
        return fitting

    def _has_none(self, text: str, snapshot: _Snapshot) -> bool:
        """Return whether a text names one of the classifier's classes, and no photo is labelled so."""
        classifier = self._labels()
        if classifier is None:
            return False
        there = frozenset().union(*(row.labels for row in snapshot.rows))
        words = [word for word in re.findall(r"\w+", text.lower()) if word not in NO_CLASSES]
        classes = [classifier.named(word) or classifier.named(singular(word)) for word in words]
        return any(names and names.isdisjoint(there) for names in classes)

    def _scores(self, text: str, snapshot: _Snapshot) -> NDArray[np.float32]:
        if not text or not snapshot.rows:
            return np.zeros(len(snapshot.rows), np.float32)
        wanted: NDArray[np.float32] = self._with_models.retriever.embed_texts([text])[0]
        scores: NDArray[np.float32] = snapshot.vectors @ wanted
        return scores

    def _best(
        self, snapshot: _Snapshot, query: Query, numbers: NDArray[Any], scores: NDArray[np.float32]
    ) -> tuple[Row, ...]:
        """Return photos in order: where names are sure before where they are not, then by similarity to the text."""
        wanted = {one.id for group in query.shown for one in group}

        def doubtful(row: Row) -> bool:
            return any(finding.concept in wanted and finding.certainty != "sure" for finding in row.findings)

        order = sorted(numbers.tolist(), key=lambda n: (doubtful(snapshot.rows[n]), -float(scores[n])))
        return tuple(snapshot.rows[n] for n in order)

    def _snapshot(self, owner: str) -> _Snapshot:
        store = self.store(owner)
        revision = store.revision()
        held = self._snapshots.get(owner)
        if held is None or held.revision != revision:
            rows, data = store.rows()
            vectors = np.frombuffer(data, np.float16).reshape(len(rows), -1) if rows else np.zeros((0, 0), np.float16)
            held = self._snapshots[owner] = _Snapshot(revision, rows, vectors.astype(np.float32))
        return held

    def _labels(self) -> Classifier | None:
        """Return the classifier that comes with the built-in encoder; others have none."""
        if not self._classifier:
            from personal.tiny.assemble import mllm_dir

            mine = self._settings.encoder == TINY
            self._classifier = [read_classifier(mllm_dir(self._settings.cache_dir)) if mine else None]
        return self._classifier[0]

    @property
    def _with_models(self) -> Assistant:
        if self.assistant is None:
            raise PersonalError("The app is still getting ready. Just a moment, please.")
        return self.assistant

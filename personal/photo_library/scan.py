"""Read the photos of folders in place: what is new, changed or gone, and who is in them now that concepts changed.

A photo is written whole or not at all, so that a scan that is stopped, or killed, goes on where it was. Photos are
recognised as everywhere, and wait behind those that somebody looks at.
"""

from __future__ import annotations

import hashlib
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np

from personal.assistant import Assistant
from personal.concepts import Concept, Photo, Progress
from personal.crops import thumbnail
from personal.errors import ImageError, PersonalError
from personal.images import read_photo
from personal.labels import Classifier
from personal.photo_library.files import photos_in, read_exif
from personal.photo_library.query import PEOPLE
from personal.photo_library.store import Exif, FileState, Finding, Folder, IndexedPhoto, PhotoStore, finding_of
from personal.settings import Settings
from personal.threads import SIDE_BY_SIDE, in_background

THUMBNAIL = 320
"""Longest side of a thumbnail, pixels."""
PEOPLE_PROBABILITY = 0.4
"""From which people are in a photo, over all words for them ("Searching photos in words")."""
MOST_CONCEPTS = 20
"""Concepts that are kept of a photo at most."""

Done = Callable[[], None]
"""Writes what was made of a photo."""


class Stop(Protocol):
    """What ends a scan at the next photo, such as a `threading.Event`."""

    def is_set(self) -> bool: ...


@dataclass(frozen=True)
class Scan:
    """A scan of an owner's folders: `steps` does it."""

    store: PhotoStore
    assistant: Assistant
    owner: str
    settings: Settings
    classifier: Classifier | None = None

    def steps(self, stop: Stop | None = None, *, workers: int = SIDE_BY_SIDE) -> Iterator[Progress]:
        """Scan, yielding progress after each photo, until `stop` is set. Raises StoreError, and ModelError of a model.

        What cannot be read is noted with the file (`PhotoStore.errors`) and tried again once the file changes.
        """
        stop = stop or threading.Event()
        yield Progress("Looking for photos")
        new: list[tuple[Folder, Path, FileState]] = []
        gone: set[str] = set()
        for folder in self.store.folders():
            self._compare(folder, new, gone)
        gallery = gallery_of(self.assistant.concepts(self.owner))
        todo: list[Callable[[], Done]] = [partial(self._read, *found, gallery) for found in new]
        yield from self._work("Reading photos", todo, stop, workers)
        if stop.is_set():
            return
        if gone:  # not before: what was moved is known by its content
            self.store.forget_files(gone)
        old = self.store.outdated(gallery)
        todo = [partial(self._recognise_again, *found, gallery) for found in old]
        yield from self._work("Recognising again", todo, stop, workers)

    def _work(self, text: str, todo: Sequence[Callable[[], Done]], stop: Stop, workers: int) -> Iterator[Progress]:
        """Do work side by side, and write what comes of it in this thread, in order."""
        if not todo:
            return
        yield Progress(text, 0, len(todo))
        with ThreadPoolExecutor(workers, "scan", initializer=in_background) as threads:
            waiting: deque[Future[Done]] = deque()
            for done, work in enumerate([*todo, *[None] * workers], 1 - workers):
                if work and not stop.is_set():
                    waiting.append(threads.submit(work))
                if waiting and done > 0:
                    waiting.popleft().result()()
                    yield Progress(text, done, len(todo))

    def _compare(self, folder: Folder, new: list[tuple[Folder, Path, FileState]], gone: set[str]) -> None:
        """Add to `new` the files to read, to `gone` those that went; a folder that is not there keeps its photos."""
        if folder.path.is_dir():
            known, found = self.store.files(folder), dict(photos_in(folder.path))
            new.extend((folder, path, state) for path, state in found.items() if known.get(str(path)) != state)
            gone |= known.keys() - {str(path) for path in found}

    def _read(self, folder: Folder, path: Path, state: FileState, gallery: str) -> Done:
        """Read a file, and recognise its photo unless that is known from another file."""
        try:
            photo = self._photo(path)
        except ImageError as error:
            return partial(self.store.put_error, folder, path, state, str(error))
        exif = read_exif(path) if folder.exif else Exif()
        known = None if self.store.has(photo.sha256) else self._describe(photo, gallery)
        return partial(self.store.put, folder, path, state, photo.sha256, known, exif)

    def _describe(self, photo: Photo, gallery: str) -> IndexedPhoto:
        vector, pooled = self.assistant.retriever.describe(photo)
        labels = self.classifier.labels(pooled) if self.classifier and pooled is not None else None
        names = [label.name for label in (*labels.classes, *labels.words)] if labels else []
        groups = [label.group for label in labels.classes] if labels else []
        if self.classifier and pooled is not None and self.classifier.any_of(pooled, PEOPLE) >= PEOPLE_PROBABILITY:
            groups.append("people")
        return IndexedPhoto(
            photo.sha256,
            photo.width,
            photo.height,
            gallery,
            tuple(dict.fromkeys([*names, *groups])),
            np.asarray(vector, np.float16).tobytes(),
            thumbnail(photo, THUMBNAIL),
            self._recognise(photo),
        )

    def _recognise(self, photo: Photo) -> tuple[Finding, ...]:
        return tuple(map(finding_of, self.assistant.look(self.owner, photo, top_k=MOST_CONCEPTS).matches))

    def _recognise_again(self, sha256: str, files: Iterable[str], gallery: str) -> Done:
        """Recognise a photo anew, from the first of its files that still holds it."""
        for path in files:
            try:
                photo = self._photo(Path(path))
            except ImageError:
                continue
            if photo.sha256 == sha256:
                return partial(self.store.put_findings, sha256, gallery, self._recognise(photo))
        return lambda: None  # the next scan finds that its files have changed

    def _photo(self, path: Path) -> Photo:
        limits = self.settings
        return read_photo(path, max_bytes=limits.max_bytes, max_pixels=limits.max_pixels, max_side=limits.max_side)


def gallery_of(concepts: Iterable[Concept]) -> str:
    """Name the concepts by all that recognition goes by: their pictures, and who is known by the face."""
    parts = [
        f"{one.id} {one.by_face} {[view.sha256 for view in one.views]} {[view.sha256 for view in one.negatives]}"
        for one in concepts
    ]
    return hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()[:16]


def original(store: PhotoStore, sha256: str, settings: Settings) -> Photo:
    """Read a photo of the library from one of its files. Raises PersonalError if none holds it any more."""
    for path in store.paths(sha256):
        try:
            photo = read_photo(
                path, max_bytes=settings.max_bytes, max_pixels=settings.max_pixels, max_side=settings.max_side
            )
        except ImageError:
            continue
        if photo.sha256 == sha256:
            return photo
    raise PersonalError("This photo's file has changed or is gone. Scan again to see what is there.")

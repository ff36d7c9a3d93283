"""Library: concepts on disk, the truth. A call that has returned survives a crash; one that raised changed nothing.

One process holds a data folder and writes, others may read beside it (`personal.remember.library_reader` has the
layout). Knows nothing of vectors.
"""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

from filelock import FileLock

from personal.concepts import Concept, ConceptEdit, Photo, Preferences
from personal.errors import ConceptError, StoreError
from personal.folding import folded
from personal.owners import LOCAL
from personal.remember import disk, record
from personal.remember.catalogue import Catalogue, new_token, trashed_at
from personal.remember.conversations import MAX_BYTES, ConversationStore
from personal.remember.edit import check_count, edited, views_of
from personal.remember.library_reader import LibraryReader
from personal.remember.names import MAX_NAME, clean_attributes, clean_category, clean_info, clean_name
from personal.remember.quota import Quota
from personal.remember.record import FILE, VIEWS
from personal.remember.recovery import recover

FOLDERS = {"owners", "gone", "index", "faces", "studies", "uploads"}
FILES = {"library.json", "lock", "holder.json", "users.json", "users.lock", "sign-ins.json"}
"""All that the app puts into a data folder."""


class Library(LibraryReader):
    """All owners' concepts under `data_dir`, to read and to write."""

    def __init__(
        self, data_dir: Path, *, read_only: bool = False, holder: str = "the app", quota: Quota | None = None
    ) -> None:
        """Open a data folder, making it if need be, hold it for this process and recover from a crash.

        `quota` is what each owner may keep. With `read_only` nothing is held, created or recovered. Raises StoreError:
        in use, of a newer version, unusable.
        """
        super().__init__(data_dir)
        self._read_only = read_only
        self.quota = quota or Quota()
        self._gone = data_dir / "gone"
        self._lock: FileLock | None = None
        with disk.translate_errors(data_dir):
            if not read_only:
                disk.make_dir(data_dir)
                self._make_private()
                self._lock = disk.lock_folder(data_dir, holder)
            try:
                self.id = record.library_id(data_dir, write=not read_only)
                if not read_only:
                    self.recover()
            except (OSError, StoreError):
                self.close()
                raise

    def close(self) -> None:
        """Release the folder to other processes. Closing twice is harmless."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None
            self._read_only = True

    def __enter__(self) -> Library:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @staticmethod
    def check_name(name: str) -> str:
        """Return the name as it would be stored, or raise ConceptError."""
        return clean_name(name)

    def preview(
        self,
        owner: str,
        name: str,
        photos: Sequence[Photo],
        category: str = "",
        info: str = "",
        attributes: Sequence[str] = (),
        by_face: bool = False,
    ) -> Concept:
        """Return the concept that `add` would make. Raises ConceptError."""
        name, views, now = clean_name(name), views_of(photos), _now()
        with self._mutex:
            self._check_free(self._catalogue(owner), name)
        check_count(views)
        concept = Concept(
            id=uuid.uuid4().hex,
            name=name,
            category=clean_category(category),
            info=clean_info(info),
            views=views,
            avatar=views[0].sha256,
            created=now,
            updated=now,
            attributes=clean_attributes(attributes),
            by_face=by_face,
        )
        self._check_quota(owner, None, concept, photos)
        return concept

    def preview_edit(self, owner: str, concept_id: str, edit: ConceptEdit) -> Concept:
        """Return the concept that `revise` would make. Raises ConceptError."""
        with self._mutex:
            old = self.get(owner, concept_id)
            new = edited(old, edit)
            self._check_free(self._catalogue(owner), new.name, concept_id)
        self._check_quota(owner, old, new, (*edit.add, *edit.add_negatives))
        return new

    def add(
        self,
        owner: str,
        name: str,
        photos: Sequence[Photo],
        category: str = "",
        info: str = "",
        attributes: Sequence[str] = (),
        by_face: bool = False,
    ) -> Concept:
        """Remember a new concept; the first photo is its avatar. The same photo twice is one view."""
        with self._writing(owner) as catalogue:
            concept = self.preview(owner, name, photos, category, info, attributes, by_face)
            folder = self._folder(owner, concept.id)
            try:
                self._write(folder, concept, photos)
            except OSError:
                disk.remove(folder)
                raise
            catalogue.put(concept)
        return concept

    def revise(self, owner: str, concept_id: str, edit: ConceptEdit) -> Concept:
        """Apply an edit. Views are removed before others are added; one must remain.

        A negative that becomes a view is one no more; a view does not become a negative. Of negatives beyond 24 the
        oldest go.
        """
        with self._writing(owner) as catalogue:
            old = self.get(owner, concept_id)
            new = self.preview_edit(owner, concept_id, edit)
            if new == old:
                return old
            new = replace(new, updated=_now())
            folder = self._folder(owner, concept_id)
            before, after = (set(record.files(folder, concept)) for concept in (old, new))
            try:
                self._write(folder, new, (*edit.add, *edit.add_negatives), present=before)
            except OSError:
                disk.remove_all(after - before)
                raise
            catalogue.put(new)
            disk.remove_all(before - after)
        return new

    def discard(self, owner: str, concept_id: str) -> None:
        """Delete a concept that was just added. Needs no room on the disk."""
        with self._writing(owner) as catalogue:
            catalogue.take(concept_id)
            disk.remove(self._folder(owner, concept_id))

    def forget(self, owner: str, concept_id: str) -> str:
        """Move a concept to the trash, and return the token that brings it back."""
        with self._writing(owner) as catalogue:
            self.get(owner, concept_id)
            token = new_token()
            disk.make_dir(self._owner(owner) / "trash")
            disk.move(self._folder(owner, concept_id), self._owner(owner) / "trash" / token)
            catalogue.take(concept_id)
        return token

    def restore(self, owner: str, token: str) -> Concept:
        """Undo a `forget`. Where its name was given away meanwhile it comes back as `name-2` (or -3 …)."""
        with self._writing(owner) as catalogue:
            concept = next((item.concept for item in self.trash(owner) if item.token == token), None)
            if concept is None or concept.id in catalogue.concepts:
                raise ConceptError("This can no longer be brought back: its time is over. Add it again.")
            folder = self._owner(owner) / "trash" / token
            if folded(concept.name) in catalogue.names:
                concept = replace(concept, name=_free_name(catalogue, concept.name), updated=_now())
                disk.write_json(folder / FILE, record.as_json(concept))
            disk.move(folder, self._folder(owner, concept.id))
            catalogue.put(concept)
        return concept

    def empty_trash(self, owner: str, older_than_s: float = 0.0) -> None:
        """Erase for good what was forgotten at least that many seconds ago."""
        with self._writing(owner):
            for folder in disk.entries(self._owner(owner) / "trash"):
                if time.time() - trashed_at(folder) >= older_than_s:
                    self._stage_deletion(folder)

    def erase(self, owner: str) -> None:
        """Erase everything of an owner: concepts, conversations, trash, preferences. There is no undo."""
        with self._writing(owner):
            if self._owner(owner).exists():
                self._stage_deletion(self._owner(owner))
            self._catalogues.pop(owner, None)

    def prefer(self, owner: str, preferences: Preferences) -> None:
        """Save an owner's preferences. Raises ConceptError if they are out of range."""
        try:
            record.validated(preferences)
        except (ValueError, TypeError) as error:
            raise ConceptError(f"This cannot be kept: {error}.") from error
        with self._writing(owner):
            disk.make_dir(self._owner(owner))
            disk.write_json(self._owner(owner) / "preferences.json", asdict(preferences))

    def conversations(self, owner: str) -> ConversationStore:
        """Open the conversations kept for an owner: one store at a time."""
        most = MAX_BYTES if owner == LOCAL else self.quota.bytes or MAX_BYTES
        return ConversationStore(self._owner(owner), partial(self._writing, owner), max_bytes=most)

    def recover(self) -> None:
        """Finish erasures and remove what an interrupted write left. What is damaged otherwise is left alone."""
        with self._mutex, disk.translate_errors(self.data_dir):
            recover(self._gone, [self._owner(owner) for owner in self.owners()])
            self._catalogues.clear()

    # -- inside --------------------------------------------------------------------------------------------------

    def _make_private(self) -> None:
        """Close the app's folders to other users, and the data folder itself if it holds nothing else."""
        there = {path.name for path in disk.entries(self.data_dir)}
        if there <= FOLDERS | FILES:
            disk.make_private(self.data_dir)
        for name in FOLDERS & there:
            disk.make_private(self.data_dir / name)

    @contextmanager
    def _writing(self, owner: str) -> Iterator[Catalogue]:
        folder = self._owner(owner)
        with self._mutex, disk.translate_errors(folder):
            if self._read_only:
                raise StoreError(f"The library in {self.data_dir} is open for reading only. Nothing was changed.")
            yield self._catalogue(owner)

    def _write(self, folder: Path, concept: Concept, photos: Sequence[Photo], present: Set[Path] = frozenset()) -> None:
        """Write the pictures that are not `present`, then the record, each durable before the next."""
        disk.make_dir(folder / VIEWS)
        jpegs = {photo.sha256: photo.jpeg for photo in photos}
        fresh = [path for path in record.files(folder, concept) if path not in present]
        for path in fresh:
            disk.make_dir(path.parent)
            disk.write(path, jpegs[path.stem])
        for place in {path.parent for path in fresh}:
            disk.sync_dir(place)
        disk.write_json(folder / FILE, record.as_json(concept))

    def _stage_deletion(self, path: Path) -> None:
        """Erase a folder so that a crash midway is finished by `recover`: out of sight first, then the bytes."""
        disk.make_dir(self._gone)
        grave = self._gone / secrets.token_hex(16)
        disk.move(path, grave)
        disk.remove(grave)
        disk.sync_dir(self._gone)

    def _check_quota(self, owner: str, before: Concept | None, after: Concept, photos: Sequence[Photo]) -> None:
        coming = {photo.sha256: len(photo.jpeg) for photo in photos}
        concepts = self._owner(owner) / "concepts"

        def used() -> int:
            return sum(file.stat().st_size for file in concepts.rglob("*.jpg")) + sum(coming.values())

        with disk.translate_errors(concepts):
            self.quota.check(owner, self.concepts(owner), before, after, used)

    @staticmethod
    def _check_free(catalogue: Catalogue, name: str, concept_id: str = "") -> None:
        holders = catalogue.names.get(folded(name), [])
        if holders and concept_id not in holders:
            raise ConceptError(f"“{catalogue.concepts[holders[0]].name}” already exists. Choose another name.")


def _free_name(catalogue: Catalogue, name: str) -> str:
    number = 2
    while folded(free := f"{name[: MAX_NAME - 6]}-{number}") in catalogue.names:
        number += 1
    return free


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())

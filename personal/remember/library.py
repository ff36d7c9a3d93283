"""Library: concepts on disk, the truth, readable without the app.

    library.json                                        {"schema": 2, "id": "<which library this is>"}
    owners/<owner>/concepts/<id>/concept.json           written last: a folder without one is an unconfirmed add
    owners/<owner>/concepts/<id>/views/<sha256>.jpg     written first, as are the pictures of what it is not:
    owners/<owner>/concepts/<id>/negatives/<sha256>.jpg
    owners/<owner>/trash/<token>/                       what was forgotten; the token holds the time
    owners/<owner>/preferences.json
    gone/                                               on its way to being erased

Nothing that a person wrote is in a path. A call that has returned survives a crash; one that raised changed nothing.
Knows nothing of vectors. Thread-safe; one process holds a folder, others may read beside it.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import logging
import re
import secrets
import threading
import time
import uuid
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from filelock import FileLock

from personal.concepts import Concept, Photo, Preferences, View
from personal.errors import ConceptError, StoreError
from personal.folding import folded
from personal.remember import disk, record
from personal.remember.catalogue import Catalogue, TrashedConcept, forgotten, forgotten_at, load, new_token
from personal.remember.names import MAX_NAME, clean_attributes, clean_category, clean_info, clean_name
from personal.remember.record import FILE, MAX_NEGATIVES, MAX_VIEWS, SCHEMA, VIEWS
from personal.remember.recovery import recover

__all__ = [
    "MAX_NEGATIVES",
    "MAX_VIEWS",
    "Library",
    "TrashedConcept",
    "clean_attributes",
    "clean_category",
    "clean_info",
    "clean_name",
    "folded",
]

log = logging.getLogger(__name__)

FOLDERS = {"owners", "gone", "index", "faces", "uploads"}
FILES = {"library.json", "lock", "holder.json"}
"""All that the app puts into a data folder."""

_OWNER = re.compile(r"[a-z0-9-]{1,64}")


class Library:
    """All owners' concepts under `data_dir`. ConceptError is for what a method is given, StoreError for the disk."""

    def __init__(self, data_dir: Path, *, read_only: bool = False, holder: str = "the app") -> None:
        """Open a data folder, making it if need be, hold it for this process and recover from a crash.

        With `read_only` nothing is held, created or recovered. Raises StoreError: in use, of a newer version, unusable.
        """
        self.data_dir = data_dir
        self._read_only = read_only
        self._owners = data_dir / "owners"
        self._gone = data_dir / "gone"
        self._catalogues: dict[str, Catalogue] = {}
        self._told: set[Path] = set()
        self._mutex = threading.RLock()
        self._lock: FileLock | None = None
        with disk.translate_errors(data_dir):
            if not read_only:
                disk.make_dir(data_dir)
                self._shut()
                self._lock = disk.hold(data_dir, holder)
            try:
                self.id = self._check_schema()
                if not read_only:
                    self.recover()
            except (OSError, StoreError):
                self.close()
                raise

    def close(self) -> None:
        """Let other processes have the folder. Closing twice is harmless."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None
            self._read_only = True

    def __enter__(self) -> Library:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- reading -------------------------------------------------------------------------------------------------

    def owners(self) -> list[str]:
        """List the owners that have a folder."""
        with disk.translate_errors(self._owners):
            return [path.name for path in disk.entries(self._owners) if _OWNER.fullmatch(path.name) and path.is_dir()]

    def concepts(self, owner: str) -> list[Concept]:
        """List an owner's concepts, oldest first, then by name."""
        with self._mutex:
            catalogue = self._catalogue(owner)
            if catalogue.ordered is None:
                catalogue.ordered = sorted(catalogue.concepts.values(), key=lambda c: (c.created, c.name))
            return list(catalogue.ordered)

    def lookup(self, owner: str, name: str) -> Concept | None:
        """Return the concept that `name` (with or without `<>`) stands for, or None."""
        with self._mutex:
            return self._catalogue(owner).named(clean_name(name))

    def find(self, owner: str, name: str) -> Concept:
        """Return the concept that `name` stands for. Raises ConceptError, with what was perhaps meant."""
        with self._mutex:
            concept = self.lookup(owner, name)
            if concept is None:
                catalogue = self._catalogue(owner)
                near = difflib.get_close_matches(folded(clean_name(name)), catalogue.names, n=1)
                hint = f" Did you mean {catalogue.concepts[catalogue.names[near[0]][0]].tag}?" if near else ""
                raise ConceptError(f"Nothing is remembered under the name <{clean_name(name)}>.{hint}")
            return concept

    def get(self, owner: str, concept_id: str) -> Concept:
        """Return a concept by its id. Raises ConceptError where it is not (or no longer) there."""
        with self._mutex:
            concept = self._catalogue(owner).concepts.get(concept_id)
        if concept is None:
            raise ConceptError("This concept is no longer there. Reload to see what is.")
        return concept

    def path(self, owner: str, concept_id: str, view: str) -> Path:
        """Tell where the file of a view or negative lies."""
        return self._located(owner, concept_id, view)[1]

    def photo(self, owner: str, concept_id: str, view: str) -> Photo:
        """Read a view or negative. Raises StoreError where its file is gone or damaged."""
        known, path = self._located(owner, concept_id, view)
        try:
            with disk.translate_errors(path):
                jpeg = path.read_bytes()
            if hashlib.sha256(jpeg).hexdigest() != view:
                tag = self.get(owner, concept_id).tag
                raise StoreError(f"A photo of {tag} is damaged: {path}. Remove it from the concept and add it again.")
        except StoreError as error:
            if path not in self._told:
                self._told.add(path)
                log.warning("%s", error)
            raise
        return Photo(jpeg, view, known.width, known.height)

    def preferences(self, owner: str) -> Preferences:
        """Return an owner's wishes; none where the file is absent or damaged (`problems` tells)."""
        path = self._owner(owner) / "preferences.json"
        with disk.translate_errors(path):
            try:
                return record.read_preferences(path)
            except ValueError:
                return Preferences()

    def damaged(self, owner: str) -> list[str]:
        """List in words which of an owner's concepts were damaged when they were read, and are left out."""
        with self._mutex:
            return list(self._catalogue(owner).problems)

    def problems(self) -> list[str]:
        """List in words what is damaged on disk: concepts that are skipped, preferences that are ignored."""
        found: list[str] = []
        with self._mutex, disk.translate_errors(self.data_dir):
            for owner in self.owners():
                found += load(self._owner(owner)).problems
                path = self._owner(owner) / "preferences.json"
                try:
                    record.read_preferences(path)
                except ValueError as error:
                    found.append(f"{path} is ignored: {error}.")
        return found

    # -- writing -------------------------------------------------------------------------------------------------

    @staticmethod
    def check_name(name: str) -> str:
        """Return the name as it would be stored, or raise ConceptError."""
        return clean_name(name)

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
        name, views = clean_name(name), _views(photos)
        with self._writing(owner) as catalogue:
            self._check_free(catalogue, name)
            _check_count(views)
            now = _now()
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
            folder = self._folder(owner, concept.id)
            try:
                self._write(folder, concept, photos)
            except OSError:
                disk.remove(folder)
                raise
            catalogue.put(concept)
        return concept

    def revise(
        self,
        owner: str,
        concept_id: str,
        *,
        name: str | None = None,
        category: str | None = None,
        info: str | None = None,
        add: Sequence[Photo] = (),
        remove: Sequence[str] = (),
        avatar: str | None = None,
        add_negatives: Sequence[Photo] = (),
        remove_negatives: Sequence[str] = (),
        attributes: Sequence[str] | None = None,
        by_face: bool | None = None,
    ) -> Concept:
        """Change what is given and leave the rest. Views are removed before others are added; one must remain.

        A negative that becomes a view is one no more; a view does not become a negative. Of negatives beyond 24 the
        oldest go.
        """
        with self._writing(owner) as catalogue:
            old = self.get(owner, concept_id)
            views = _changed(old.views, add, remove)
            _check_count(views)
            hashes = [view.sha256 for view in views]
            if not set(hashes).isdisjoint(photo.sha256 for photo in add_negatives):
                raise ConceptError(f"This is one of the photos of {old.tag} itself. Remove it there first.")
            negatives = _changed(old.negatives, add_negatives, remove_negatives)
            negatives = tuple(view for view in negatives if view.sha256 not in hashes)[-MAX_NEGATIVES:]
            if avatar is not None and avatar not in hashes:
                raise ConceptError("The avatar must be one of the concept's photos. Choose another.")
            new = replace(
                old,
                name=old.name if name is None else clean_name(name),
                category=old.category if category is None else clean_category(category),
                info=old.info if info is None else clean_info(info),
                views=views,
                avatar=avatar or (old.avatar if old.avatar in hashes else hashes[0]),
                negatives=negatives,
                attributes=old.attributes if attributes is None else clean_attributes(attributes),
                by_face=old.by_face if by_face is None else by_face,
            )
            self._check_free(catalogue, new.name, concept_id)
            if new == old:
                return old
            new = replace(new, updated=_now())
            folder = self._folder(owner, concept_id)
            before, after = (set(record.files(folder, concept)) for concept in (old, new))
            try:
                self._write(folder, new, (*add, *add_negatives), present=before)
            except OSError:
                disk.remove_all(after - before)
                raise
            catalogue.put(new)
            disk.remove_all(before - after)
        return new

    def discard(self, owner: str, concept_id: str) -> None:
        """Take an addition back for good; this needs no room on the disk."""
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

    def trash(self, owner: str) -> list[TrashedConcept]:
        """List what was forgotten and can be brought back, oldest first."""
        with self._mutex, disk.translate_errors(self._owner(owner)):
            return forgotten(self._owner(owner) / "trash")

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
                if time.time() - forgotten_at(folder) >= older_than_s:
                    self._stage_deletion(folder)

    def erase(self, owner: str) -> None:
        """Erase everything of an owner: concepts, trash, preferences. There is no undo."""
        with self._writing(owner):
            if self._owner(owner).exists():
                self._stage_deletion(self._owner(owner))
            self._catalogues.pop(owner, None)

    def prefer(self, owner: str, preferences: Preferences) -> None:
        """Keep an owner's wishes. Raises ConceptError where they are out of range."""
        try:
            record.checked(preferences)
        except (ValueError, TypeError) as error:
            raise ConceptError(f"This cannot be kept: {error}.") from error
        with self._writing(owner):
            disk.make_dir(self._owner(owner))
            disk.write_json(self._owner(owner) / "preferences.json", asdict(preferences))

    def recover(self) -> None:
        """Finish erasures and remove what an interrupted write left. What is damaged otherwise is left alone."""
        with self._mutex, disk.translate_errors(self.data_dir):
            recover(self._gone, [self._owner(owner) for owner in self.owners()])
            self._catalogues.clear()

    # -- inside --------------------------------------------------------------------------------------------------

    def _shut(self) -> None:
        """Let nobody else into the data folder: what is in it that is ours, and itself where nothing else is."""
        there = {path.name for path in disk.entries(self.data_dir)}
        if there <= FOLDERS | FILES:
            disk.make_private(self.data_dir)
        for name in FOLDERS & there:
            disk.make_private(self.data_dir / name)

    def _check_schema(self) -> str:
        """Read which library this is, writing what an older version did not; refuse a newer version's."""
        path, found = self.data_dir / "library.json", {"schema": SCHEMA}
        if path.is_file():
            try:
                found = json.loads(path.read_bytes())
                if type(found["schema"]) is not int or found["schema"] < 1 or not isinstance(found.get("id", ""), str):
                    raise ValueError
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise StoreError(
                    f'{path} is damaged: it should hold {{"schema": {SCHEMA}}}. Mend or move it.'
                ) from error
        if found["schema"] > SCHEMA:
            raise StoreError(
                f"The library in {self.data_dir} was written by a newer version (schema {found['schema']}, this one "
                f"knows {SCHEMA}). Update Personal, or use another --data-dir."
            )
        now = {**found, "schema": SCHEMA, "id": found.get("id") or uuid.uuid4().hex}
        if not self._read_only and (now != found or not path.is_file()):
            disk.write_json(path, now)  # before any concept is written in the newer form
        return str(now["id"])

    @contextmanager
    def _writing(self, owner: str) -> Iterator[Catalogue]:
        folder = self._owner(owner)
        with self._mutex, disk.translate_errors(folder):
            if self._read_only:
                raise StoreError(f"The library in {self.data_dir} is open for reading only. Nothing was changed.")
            yield self._catalogue(owner)

    def _write(self, folder: Path, concept: Concept, photos: Sequence[Photo], present: Set[Path] = frozenset()) -> None:
        """Put the pictures that are not `present`, then the record, each durable before the next."""
        disk.make_dir(folder / VIEWS)
        jpegs = {photo.sha256: photo.jpeg for photo in photos}
        fresh = [path for path in record.files(folder, concept) if path not in present]
        for path in fresh:
            disk.make_dir(path.parent)
            disk.write(path, jpegs[path.stem])
        for place in {path.parent for path in fresh}:
            disk.sync_dir(place)
        disk.write_json(folder / FILE, record.as_json(concept))

    def _located(self, owner: str, concept_id: str, view: str) -> tuple[View, Path]:
        concept, folder = self.get(owner, concept_id), self._folder(owner, concept_id)
        for known, path in zip((*concept.views, *concept.negatives), record.files(folder, concept), strict=True):
            if known.sha256 == view:
                return known, path
        raise ConceptError("This photo is no longer there. Reload to see what is.")

    def _stage_deletion(self, path: Path) -> None:
        """Erase a folder so that a crash midway is finished by `recover`: out of sight first, then the bytes."""
        disk.make_dir(self._gone)
        grave = self._gone / secrets.token_hex(16)
        disk.move(path, grave)
        disk.remove(grave)
        disk.sync_dir(self._gone)

    def _catalogue(self, owner: str) -> Catalogue:
        if owner not in self._catalogues:
            with disk.translate_errors(self._owner(owner)):
                self._catalogues[owner] = load(self._owner(owner))
            for problem in self._catalogues[owner].problems:
                log.warning("%s", problem)
        return self._catalogues[owner]

    def _owner(self, owner: str) -> Path:
        if not _OWNER.fullmatch(owner):
            raise StoreError("This owner cannot be: an owner's id is 1 to 64 of a-z, 0-9 and -.")
        return self._owners / owner

    def _folder(self, owner: str, concept_id: str) -> Path:
        return self._owner(owner) / "concepts" / concept_id

    @staticmethod
    def _check_free(catalogue: Catalogue, name: str, concept_id: str = "") -> None:
        holders = catalogue.names.get(folded(name), [])
        if holders and concept_id not in holders:
            raise ConceptError(f"{catalogue.concepts[holders[0]].tag} is already remembered. Choose another name.")


def _views(photos: Sequence[Photo]) -> tuple[View, ...]:
    return tuple({photo.sha256: View(photo.sha256, photo.width, photo.height) for photo in photos}.values())


def _changed(old: tuple[View, ...], add: Sequence[Photo], remove: Sequence[str]) -> tuple[View, ...]:
    """Remove pictures, then add others; those that are there keep their place."""
    if not {view.sha256 for view in old}.issuperset(remove):
        raise ConceptError("A photo to be removed is no longer there. Reload to see what is.")
    kept = tuple(view for view in old if view.sha256 not in set(remove))
    return kept + tuple(view for view in _views(add) if view not in kept)


def _check_count(views: tuple[View, ...]) -> None:
    if not views:
        raise ConceptError("A concept needs at least one photo. To remove the last one, forget the concept instead.")
    if len(views) > MAX_VIEWS:
        raise ConceptError(f"A concept has at most {MAX_VIEWS} photos, this would be {len(views)}. Leave some out.")


def _free_name(catalogue: Catalogue, name: str) -> str:
    number = 2
    while folded(free := f"{name[: MAX_NAME - 6]}-{number}") in catalogue.names:
        number += 1
    return free


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())

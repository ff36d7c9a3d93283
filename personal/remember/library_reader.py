"""Library reader: an owner's concepts, photos and preferences as they are on disk.

    library.json                                        {"schema": 2, "id": "<which library this is>"}
    owners/<owner>/concepts/<id>/concept.json           written last: a folder without one is an unconfirmed add
    owners/<owner>/concepts/<id>/views/<sha256>.jpg     written first, as are the negatives:
    owners/<owner>/concepts/<id>/negatives/<sha256>.jpg
    owners/<owner>/conversations/<id>/                  see `personal.remember.conversations`
    owners/<owner>/trash/<token>/                       what was forgotten; the token holds the time
    owners/<owner>/preferences.json
    gone/                                               what is being erased

Nothing that a person wrote is in a path. Thread-safe.
"""

from __future__ import annotations

import difflib
import hashlib
import logging
import re
import threading
from pathlib import Path

from personal.concepts import Concept, Photo, Preferences, View
from personal.errors import ConceptError, StoreError
from personal.folding import folded
from personal.remember import conversations, disk, record
from personal.remember.catalogue import Catalogue, TrashedConcept, load, read_trash
from personal.remember.names import clean_name

log = logging.getLogger(__name__)

OWNER = re.compile(r"[a-z0-9-]{1,64}")
"""Ids of owners."""


class LibraryReader:
    """All owners' concepts under `data_dir`. ConceptError is about arguments, StoreError about the disk."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self._owners = data_dir / "owners"
        self._catalogues: dict[str, Catalogue] = {}
        self._reported: set[Path] = set()
        self._mutex = threading.RLock()

    def owners(self) -> list[str]:
        """List the owners that have a folder."""
        with disk.translate_errors(self._owners):
            return [path.name for path in disk.entries(self._owners) if OWNER.fullmatch(path.name) and path.is_dir()]

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
                raise ConceptError(f"There is no concept named <{clean_name(name)}>.{hint}")
            return concept

    def get(self, owner: str, concept_id: str) -> Concept:
        """Return a concept by its id. Raises ConceptError if it is not there."""
        with self._mutex:
            concept = self._catalogue(owner).concepts.get(concept_id)
        if concept is None:
            raise ConceptError("This concept is no longer there. Reload to see what is.")
        return concept

    def path(self, owner: str, concept_id: str, view: str) -> Path:
        """Return the path of a view or negative."""
        return self._located(owner, concept_id, view)[1]

    def photo(self, owner: str, concept_id: str, view: str) -> Photo:
        """Read a view or negative. Raises StoreError if its file is gone or damaged."""
        known, path = self._located(owner, concept_id, view)
        try:
            with disk.translate_errors(path):
                jpeg = path.read_bytes()
            if hashlib.sha256(jpeg).hexdigest() != view:
                tag = self.get(owner, concept_id).tag
                raise StoreError(f"A photo of {tag} is damaged: {path}. Remove it from the concept and add it again.")
        except StoreError:
            if path not in self._reported:
                self._reported.add(path)
                log.warning("%s cannot be read, or is damaged.", path)
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
                found += load(self._owner(owner)).problems + conversations.problems(self._owner(owner))
                path = self._owner(owner) / "preferences.json"
                try:
                    record.read_preferences(path)
                except ValueError as error:
                    found.append(f"{path} is ignored: {error}.")
        return found

    def trash(self, owner: str) -> list[TrashedConcept]:
        """List what was forgotten and can be brought back, oldest first."""
        with self._mutex, disk.translate_errors(self._owner(owner)):
            return read_trash(self._owner(owner) / "trash")

    def _located(self, owner: str, concept_id: str, view: str) -> tuple[View, Path]:
        concept, folder = self.get(owner, concept_id), self._folder(owner, concept_id)
        for known, path in zip((*concept.views, *concept.negatives), record.files(folder, concept), strict=True):
            if known.sha256 == view:
                return known, path
        raise ConceptError("This photo is no longer there. Reload to see what is.")

    def _catalogue(self, owner: str) -> Catalogue:
        if owner not in self._catalogues:
            with disk.translate_errors(self._owner(owner)):
                self._catalogues[owner] = load(self._owner(owner))
            for problem in self._catalogues[owner].problems:
                log.warning("%s", problem)
        return self._catalogues[owner]

    def _owner(self, owner: str) -> Path:
        if not OWNER.fullmatch(owner):
            raise StoreError("This owner cannot be: an owner's id is 1 to 64 of a-z, 0-9 and -.")
        return self._owners / owner

    def _folder(self, owner: str, concept_id: str) -> Path:
        return self._owner(owner) / "concepts" / concept_id

"""Local index: the vectors of each owner in memory, searched exactly, and in Chroma folders of their own on disk.

    <folder>/<hash of the owner>/<kind>-<hash of form, encoder and dimension>-<shard>-<token>/

Memory counts while the process lives: what was damaged or deleted on disk meanwhile is rewritten at the next change, or
at the end. On opening, what cannot be read is removed, to be rebuilt from the photos. Owners `in_memory` have none.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from personal.concepts import Entry, Hit, IndexedView, Key
from personal.errors import StoreError
from personal.remember import disk
from personal.remember.flat_index import FlatIndex
from personal.remember.index import SCHEMA, Index, digest
from personal.remember.shard import FORM
from personal.remember.vector_store import VectorStore

Vector = npt.NDArray[np.float32]

log = logging.getLogger(__name__)


class LocalIndex(Index):
    """An Index in `folder`, for any number of threads of one process."""

    def __init__(
        self,
        encoder_id: str,
        dimension: int,
        folder: Path,
        *,
        kind: str = "views",
        in_memory: Callable[[str], bool] = lambda owner: False,
    ) -> None:
        """Open the folder, making it if need be, and remove what is in it that is not of this form."""
        super().__init__(encoder_id, dimension, kind)
        self._folder = folder
        self._in_memory = in_memory
        self._name = f"{kind}-{digest(SCHEMA, FORM, encoder_id, dimension)}"
        self._mutex = threading.RLock()
        self._flat: dict[str, FlatIndex] = {}
        self._stores: dict[str, VectorStore] = {}
        with disk.translate_errors(folder):
            if folder.is_file():
                disk.remove(folder)
            disk.make_dir(folder)
            for path in disk.entries(folder):
                if len(path.name) != len(digest()):
                    disk.remove(path)

    def close(self) -> None:
        with self._mutex:
            for store in self._stores.values():
                try:
                    store.repair()
                except StoreError:
                    log.warning("The index is not complete on disk; it is mended at the next start.", exc_info=True)
                store.close()
            self._stores.clear()
            self._flat.clear()

    def views(self, owner: str) -> set[Key]:
        with self._mutex:
            return self._read(owner).keys()

    def count(self, owner: str) -> int:
        with self._mutex:
            return len(self._read(owner))

    def vectors(self, owner: str, concept_ids: Iterable[str]) -> dict[str, list[IndexedView]]:
        with self._mutex:
            flat = self._read(owner)
            return {concept_id: flat.concept(concept_id) for concept_id in concept_ids}

    def query(self, owner: str, vectors: Vector, limit: int, *, negatives: bool = True) -> list[list[Hit]]:
        queries = self._checked(vectors)
        with self._mutex:
            return self._read(owner).nearest(queries, limit, negatives=negatives)

    def put(self, owner: str, entries: Sequence[Entry]) -> None:
        pictures = self._pictures(entries)
        with self._mutex:
            flat = self._read(owner)
            if owner in self._stores:
                self._stores[owner].put(pictures)
            for key, vectors in pictures.items():
                flat.put(key, vectors)

    def drop(self, owner: str, keys: Iterable[Key]) -> None:
        """Delete pictures from the index, down to their bytes on disk; those that are not there are skipped."""
        with self._mutex:
            flat = self._read(owner)
            gone = [key for key in keys if flat.count(key)]
            for key in gone:
                flat.drop(key)
            if owner in self._stores:
                self._stores[owner].drop(gone)

    def erase(self, owner: str) -> None:
        with self._mutex:
            self._flat.pop(owner, None)
            if store := self._stores.pop(owner, None):
                store.close()
            self._remove(owner, f"{self.kind}-")

    def drop_stale(self, owner: str) -> None:
        with self._mutex:
            self._remove(owner, f"{self.kind}-", but=self._name)

    def ping(self) -> None:
        with disk.translate_errors(self._folder):
            self._folder.stat()

    def reset(self) -> None:
        with self._mutex, disk.translate_errors(self._folder):
            for store in self._stores.values():
                store.close()
            self._stores.clear()
            self._flat.clear()
            for path in disk.entries(self._folder):
                disk.remove(path)

    def _read(self, owner: str) -> FlatIndex:
        """Return an owner's vectors, read from disk the first time."""
        if owner not in self._flat:
            flat = FlatIndex(self.dimension)
            if not self._in_memory(owner):
                self._stores[owner] = VectorStore(self._folder / digest(owner), self._name, flat)
            self._flat[owner] = flat
        return self._flat[owner]

    def _remove(self, owner: str, prefix: str, *, but: str = "nothing") -> None:
        """Remove an owner's folders of this kind, and what holds them where it is empty."""
        folder = self._folder / digest(owner)
        with disk.translate_errors(folder):
            for path in disk.entries(folder):
                if path.name.startswith(prefix) and not path.name.startswith(f"{but}-"):
                    disk.remove(path)
            if folder.is_dir() and not disk.entries(folder):
                folder.rmdir()

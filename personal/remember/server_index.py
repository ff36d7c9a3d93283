"""Server index: vectors on a Chroma server, which searches its graph; what was read lately is held in memory.

A server has no authentication of its own, and to repair it is its operator's business.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt

from personal.concepts import Entry, Hit, IndexedView, Key
from personal.errors import StoreError
from personal.recent import Recent
from personal.remember.chroma import Collection, connect, parse_id, translate_errors
from personal.remember.flat_index import unit
from personal.remember.index import SCHEMA, Index, digest

Vector = npt.NDArray[np.float32]

CACHE_BYTES = 256 * 2**20
"""Vectors held in memory at most, for all owners together."""
CONCEPTS = 500
"""Concepts read in one call."""
KEYS = 100
"""Pictures deleted at a time: with a few vectors each they are below what Chroma takes in one call."""
COLLECTIONS = 100
"""Collections listed in one call."""

HNSW = {"space": "cosine", "ef_construction": 100, "max_neighbors": 32, "ef_search": 400}
"""Chroma's defaults find 63 % of the 20 nearest of 5,000 random vectors of 1280 dimensions, these 99.9 %."""


class ServerIndex(Index):
    """An Index on the server at `url`, http:// or https://.

    `library` is the id of the library that is indexed: libraries with owners of the same name can share a server.
    """

    def __init__(self, encoder_id: str, dimension: int, url: str, *, kind: str = "views", library: str = "") -> None:
        super().__init__(encoder_id, dimension, kind)
        self._url = url
        self._library = library
        self._client = connect(url)
        self._collections: dict[str, Collection] = {}
        self._cache: Recent[tuple[str, str], list[IndexedView]] = Recent(CACHE_BYTES, _size)
        self._mutex = threading.RLock()

    def close(self) -> None:
        with self._mutex:
            self._collections.clear()
            self._cache.clear()
            self._client.close()

    def views(self, owner: str) -> set[Key]:
        with self._asking(owner) as collection:
            found = Counter((key, count) for key, _, count in map(parse_id, collection.ids()))
        return {key for (key, count), there in found.items() if there == count}

    def count(self, owner: str) -> int:
        with self._asking(owner) as collection:
            return collection.count()

    def vectors(self, owner: str, concept_ids: Iterable[str]) -> dict[str, list[IndexedView]]:
        with self._asking(owner) as collection:
            found = {concept_id: self._cache.get((owner, concept_id)) for concept_id in concept_ids}
            missing = [concept_id for concept_id, stored in found.items() if stored is None]
            for start in range(0, len(missing), CONCEPTS):
                for concept_id, stored in _read(collection, missing[start : start + CONCEPTS]).items():
                    self._cache.put((owner, concept_id), stored)
                    found[concept_id] = stored
        return {concept_id: list(stored or ()) for concept_id, stored in found.items()}

    def query(self, owner: str, vectors: Vector, limit: int, *, negatives: bool = True) -> list[list[Hit]]:
        queries = self._checked(vectors)
        if not len(queries):
            return []
        with self._asking(owner) as collection:
            return collection.nearest(queries, limit, negatives=negatives)

    def put(self, owner: str, entries: Sequence[Entry]) -> None:
        pictures = self._pictures(entries)
        with self._asking(owner) as collection:
            self._delete(owner, collection, pictures)
            collection.upsert(pictures)

    def drop(self, owner: str, keys: Iterable[Key]) -> None:
        with self._asking(owner) as collection:
            self._delete(owner, collection, keys)

    def erase(self, owner: str) -> None:
        with self._asking(owner):
            for name in self._names(owner):
                self._client.delete_collection(name)
            self._collections.pop(owner, None)
            self._cache.drop([key for key in self._cache if key[0] == owner])

    def drop_stale(self, owner: str) -> None:
        with self._asking(owner):
            for name in self._names(owner):
                if name != self._name(owner):
                    self._client.delete_collection(name)

    def ping(self) -> None:
        with translate_errors(f"on {self._url}"):
            self._client.heartbeat()

    def reset(self) -> None:
        raise StoreError(f"The index on the server {self._url} is for its operator to repair. Ask them.")

    @contextmanager
    def _asking(self, owner: str) -> Iterator[Collection]:
        """Hand over an owner's collection; after a failure it is looked up anew."""
        with self._mutex:
            try:
                with translate_errors(f"on {self._url}"):
                    yield self._collections.setdefault(owner, self._open(owner))
            except StoreError:
                self._collections.clear()
                raise

    def _open(self, owner: str) -> Collection:
        metadata = {
            "schema": SCHEMA,
            "encoder": self.encoder_id,
            "dimension": self.dimension,
            "owner": digest(self._library, owner),
        }
        return Collection(self._client, self._name(owner), HNSW, metadata)

    def _delete(self, owner: str, collection: Collection, keys: Iterable[Key]) -> None:
        wanted = sorted(set(keys))
        self._cache.drop({(owner, concept_id) for concept_id, _, _ in wanted})
        for start in range(0, len(wanted), KEYS):
            some = set(wanted[start : start + KEYS])
            collection.delete([id for id in collection.ids({view for _, view, _ in some}) if parse_id(id)[0] in some])

    def _name(self, owner: str) -> str:
        return f"{self.kind}-" + digest(self._library, SCHEMA, self.encoder_id, self.dimension, owner)

    def _names(self, owner: str) -> list[str]:
        """Return the names of an owner's collections of this kind, of every encoder and schema."""
        names, offset = [], 0
        while page := self._client.list_collections(limit=COLLECTIONS, offset=offset):
            offset += len(page)
            names += [one.name for one in page if (one.metadata or {}).get("owner") == digest(self._library, owner)]
        return [name for name in names if name.startswith(f"{self.kind}-")]


def _read(collection: Collection, concept_ids: Sequence[str]) -> dict[str, list[IndexedView]]:
    """Read concepts' vectors, unit rows, views first, in the order of their hashes."""
    stored: dict[str, list[IndexedView]] = {concept_id: [] for concept_id in concept_ids}
    for key, vectors in sorted(collection.pictures(concept_ids), key=lambda one: one[0][::-1]):
        rows = unit(vectors)
        rows.flags.writeable = False
        stored[key[0]].append(IndexedView(key[1], key[2], rows))
    return stored


def _size(stored: list[IndexedView]) -> int:
    return sum(one.vectors.nbytes for one in stored)

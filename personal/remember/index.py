"""Index: Chroma, per view its vector, concept id and view hash. Rebuilt from the library at any time.

Holds nothing that a person wrote. Similarity is cosine, converted from Chroma's distance here and nowhere else. The
only module that knows chromadb. Embedded in a folder, where a store that is foreign, damaged or wedged is replaced by
an empty one on opening; or on a Chroma server, which has no authentication of its own and is its operator's to mend.

The embedded store answers from Chroma's journal (SQLite, transactional) alone: its HNSW graph is built in memory on
opening, about a millisecond a view, and its files never written. For those files can be torn by a kill, and torn ones
crash Chroma's core; and they hold uninitialised memory, which may be anything this process has read. Chroma opens
them all the same: they lead nowhere.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

from personal.concepts import Hit
from personal.errors import StoreError
from personal.remember import disk

if TYPE_CHECKING:
    from chromadb.api.client import Client
    from chromadb.api.collection_configuration import CreateCollectionConfiguration
    from chromadb.api.models.Collection import Collection

Vector = npt.NDArray[np.float32]

SCHEMA = 2
BATCH = 500
PAGE = 100
HNSW = {"space": "cosine", "ef_construction": 100, "max_neighbors": 32, "ef_search": 400}
"""Chroma's defaults find 63 % of the 20 nearest of 5,000 random vectors of 1280 dimensions, these 99.9 %."""

NEVER = 10**9
"""Records after which Chroma would write its graph to files."""

GRAPH = ("data_level0.bin", "header.bin", "length.bin", "link_lists.bin")
WRITTEN = "index_metadata.pickle"
"""The mark of a graph that was written: without it Chroma reads none of the other files."""

ADVICE = "Run `python -m personal reindex` (or Settings, Reindex) to build it anew from your photos."


class Index:
    """Vectors of one encoder, a collection per owner. Every method raises StoreError where Chroma fails."""

    def __init__(self, encoder_id: str, dimension: int, *, folder: Path | None = None, url: str = "") -> None:
        """Open the store in `folder`, or the one a server offers at `url` (http:// or https://), which goes first.

        `opened_fresh` tells that nothing usable was there.
        """
        if not folder and not url:
            raise ValueError("an index needs a folder or a url")
        self.encoder_id = encoder_id
        self.dimension = dimension
        self.opened_fresh = False
        self._folder = None if url else folder
        self._url = url
        self._store: Path | None = None
        self._collections: dict[str, Collection] = {}
        self._mutex = threading.RLock()
        self._client: Client = self._connect() if url else self._open()

    def close(self) -> None:
        """Let go of the store. Closing twice is harmless."""
        with self._mutex:
            self._collections.clear()
            self._client.close()

    def views(self, owner: str) -> set[tuple[str, str]]:
        """List what is indexed, as (concept id, view)."""
        with self._asking():
            collection = self._find(owner)
            ids = collection.get(include=[])["ids"] if collection else []
        return {(concept_id, view) for concept_id, _, view in (i.partition(".") for i in ids)}

    def put(self, owner: str, entries: Sequence[tuple[str, str, Vector]]) -> None:
        """Index views, given as (concept id, view, vector of shape (dimension,)); one that is there is replaced."""
        vectors = {(concept_id, view): self._checked(vector, 1) for concept_id, view, vector in entries}
        keys = list(vectors)
        with self._asking():
            for start in range(0, len(keys), BATCH):
                batch = keys[start : start + BATCH]
                self._make(owner).upsert(
                    ids=[f"{concept_id}.{view}" for concept_id, view in batch],
                    embeddings=np.stack([vectors[key] for key in batch]),
                    metadatas=[{"concept": concept_id, "view": view} for concept_id, view in batch],
                )

    def drop(self, owner: str, entries: Sequence[tuple[str, str]]) -> None:
        """Let views, given as (concept id, view), be found no more; those that are not there are passed over.

        Their bytes may stay in Chroma's files until `erase`.
        """
        ids = sorted({f"{concept_id}.{view}" for concept_id, view in entries})
        with self._asking():
            collection = self._find(owner) if ids else None
            for start in range(0, len(ids), BATCH):
                if collection:
                    collection.delete(ids=ids[start : start + BATCH])

    def query(self, owner: str, vectors: Vector, limit: int) -> list[list[Hit]]:
        """Find for each of `vectors`, shape (n, dimension), the `limit` most similar views, best first."""
        queries = self._checked(vectors, 2)
        if not len(queries):
            return []
        with self._asking():
            collection = self._find(owner)
            count = collection.count() if collection else 0
            if not collection or not count:
                return [[] for _ in queries]
            return _search(collection, queries, min(limit, count))

    def erase(self, owner: str) -> None:
        """Erase everything of an owner, of whatever encoder, so that its bytes leave the folder too."""
        with self._asking():
            for collection in list(self._listed()):
                if (collection.metadata or {}).get("owner") == _hash(owner):
                    self._client.delete_collection(collection.name)
            self._collections.pop(owner, None)
            self._vacuum()

    def drop_stale(self, owner: str) -> None:
        """Erase what another encoder, or an older schema, left of an owner."""
        with self._asking():
            stale = [
                c.name
                for c in self._listed()
                if (c.metadata or {}).get("owner") == _hash(owner) and c.name != self._name(owner)
            ]
            for name in stale:
                self._client.delete_collection(name)
            if stale:
                self._vacuum()

    def reset(self) -> None:
        """Start with an empty store in place of the embedded one, for all owners."""
        if self._folder is None:
            raise StoreError(f"The index on the server {self._url} is its operator's to mend. Ask them.")
        with self._mutex, disk.in_words(self._folder):
            self.close()
            for path in disk.entries(self._folder):
                if path.name.startswith("store-"):
                    disk.remove(path)
            self._client = self._open()

    # -- inside --------------------------------------------------------------------------------------------------

    def _open(self) -> Client:
        """Open the newest sound store of the folder, or a fresh one; a folder of its own each, for Chroma keeps
        what it knows of a path, broken or not, as long as the process lives."""
        folder = self._folder
        assert folder is not None
        with disk.in_words(folder):
            if folder.is_file():
                disk.remove(folder)
            disk.make_dir(folder)
            for self._store in disk.entries(folder):
                if self._store.name.startswith("store-") and (self._store / "chroma.sqlite3").is_file():
                    client = self._sound(self._store)
                    if client:
                        return client
                disk.remove(self._store)
            self.opened_fresh = True
            self._store = folder / f"store-{secrets.token_hex(8)}"
            disk.make_dir(self._store)
            with self._asking():
                return _embedded(self._store)

    def _sound(self, store: Path) -> Client | None:
        """Open a store if it can be used; a collection in it that cannot is deleted, for `reindex` to build anew."""
        if any(store.glob(f"*/{WRITTEN}")):
            return None
        try:
            _lead_nowhere(store)
            client = _embedded(store)
        except _failures():
            return None
        try:
            for collection in client.list_collections():
                if not _answers(collection):
                    client.delete_collection(collection.name)
        except _failures():
            client.close()
            return None
        return client

    def _connect(self) -> Client:
        import chromadb

        try:
            parts = urlsplit(self._url)
            secure = {"http": False, "https": True}[parts.scheme]
            host, port = parts.hostname or "", parts.port or (443 if secure else 8000)
            if not host or parts.path not in {"", "/"}:
                raise ValueError(self._url)
        except (KeyError, ValueError) as error:
            raise StoreError(
                f"PERSONAL_CHROMA_URL={self._url!r} cannot be used: it takes http://host:port or https://host:port."
            ) from error
        try:
            return cast("Client", chromadb.HttpClient(host=host, port=port, ssl=secure, settings=_settings()))
        except _failures() as error:
            raise StoreError(
                f"No Chroma server answers at {self._url}. Start one (`chroma run`), or leave PERSONAL_CHROMA_URL "
                "empty to keep the index in the data folder."
            ) from error

    @contextmanager
    def _asking(self) -> Iterator[None]:
        with self._mutex:
            try:
                yield
            except _failures() as error:
                self._collections.clear()
                where = f"on {self._url}" if self._url else f"in {self._folder}"
                raise StoreError(
                    f"The index {where} failed ({str(error) or type(error).__name__}). {ADVICE}"
                ) from error

    def _find(self, owner: str) -> Collection | None:
        from chromadb.errors import NotFoundError

        if owner not in self._collections:
            try:
                self._collections[owner] = self._client.get_collection(self._name(owner), embedding_function=None)
            except NotFoundError:
                return None
        return self._collections[owner]

    def _make(self, owner: str) -> Collection:
        collection = self._find(owner)
        if collection is None:
            hnsw = HNSW if self._url else {**HNSW, "sync_threshold": NEVER}
            collection = self._collections[owner] = self._client.create_collection(
                self._name(owner),
                metadata={
                    "schema": SCHEMA,
                    "encoder": self.encoder_id,
                    "dimension": self.dimension,
                    "owner": _hash(owner),
                },
                configuration=cast("CreateCollectionConfiguration", {"hnsw": hnsw}),
                embedding_function=None,
            )
            if self._store is not None:
                _lead_nowhere(self._store)
        return collection

    def _name(self, owner: str) -> str:
        return "views-" + _hash(f"{SCHEMA}\0{self.encoder_id}\0{self.dimension}\0{owner}")

    def _listed(self) -> Iterator[Collection]:
        offset = 0
        while page := self._client.list_collections(limit=PAGE, offset=offset):
            yield from page
            offset += len(page)

    def _vacuum(self) -> None:
        """Erase the bytes of deleted records and collections from the embedded store's files."""
        if self._store is None:
            return
        database = sqlite3.connect(self._store / "chroma.sqlite3", timeout=30)
        try:
            database.execute("VACUUM")
        finally:
            database.close()
        segments = _segments(self._store)
        for path in disk.entries(self._store):
            if path.is_dir() and path.name not in segments:
                disk.remove(path)

    def _checked(self, vectors: Any, rank: int) -> Vector:
        array: Vector = np.asarray(vectors, dtype=np.float32)
        if array.ndim != rank or array.shape[-1] != self.dimension or not np.isfinite(array).all():
            raise ValueError(f"expected {rank}-d finite vectors of {self.dimension} dimensions, got {array.shape}")
        return array


def _search(collection: Collection, queries: Vector, limit: int) -> list[list[Hit]]:
    found = collection.query(query_embeddings=queries, n_results=limit, include=["metadatas", "distances"])
    rows = []
    for metadatas, distances in zip(found["metadatas"] or [], found["distances"] or [], strict=True):
        if len(distances) * 2 < limit:
            raise StoreError(f"The index has lost vectors: {len(distances)} of {limit} were found. {ADVICE}")
        rows.append(
            [
                Hit(str(m["concept"]), str(m["view"]), max(-1.0, min(1.0, 1.0 - distance)))
                for m, distance in zip(metadatas, distances, strict=True)
            ]
        )
    return rows


def _answers(collection: Collection) -> bool:
    """Tell whether a collection finds again what it counts, as one whose files a killed process tore may not."""
    try:
        count = collection.count()
        if not count:
            return True
        limit = min(count, 2000)
        known = collection.get(limit=1, include=["embeddings"])["embeddings"]
        if known is None or not len(known):
            return False
        distances = (
            collection.query(query_embeddings=known, n_results=limit, include=["distances"])["distances"] or [[]]
        )[0]
    except _failures():
        return False
    return len(distances) >= 0.9 * limit and abs(distances[0]) < 1e-3


def _segments(store: Path) -> set[str]:
    """List the ids of a store's parts, which name their folders."""
    database = sqlite3.connect(store / "chroma.sqlite3", timeout=30)
    try:
        return {str(row[0]) for row in database.execute("SELECT id FROM segments WHERE scope = 'VECTOR'")}
    finally:
        database.close()


def _lead_nowhere(store: Path) -> None:
    """Put links to the null device where Chroma is going to write uninitialised memory (Windows: empty the files)."""
    for segment in _segments(store):
        disk.make_dir(store / segment)
        for path in (store / segment / name for name in GRAPH):
            if os.name == "nt":
                path.write_bytes(b"")
            elif not path.is_symlink():
                path.unlink(missing_ok=True)
                path.symlink_to(os.devnull)


def _embedded(store: Path) -> Client:
    import chromadb

    return cast("Client", chromadb.PersistentClient(store, settings=_settings()))


def _settings() -> Any:
    from chromadb.config import Settings

    return Settings(anonymized_telemetry=False)


def _failures() -> tuple[type[BaseException], ...]:
    """All that Chroma, its Rust core, its database and its HTTP client raise when they fail."""
    import httpx
    from chromadb.errors import ChromaError

    return (ChromaError, httpx.HTTPError, sqlite3.Error, OSError, ValueError, TypeError, KeyError, RuntimeError)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]

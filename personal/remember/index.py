"""Index: Chroma, per picture of a concept its vectors, concept id and hash. Rebuilt from the library at any time.

Holds nothing that a person wrote. Similarity is cosine, converted from Chroma's distance here and nowhere else. The
only module that knows chromadb. Embedded in a folder, where a store that is foreign, damaged or wedged is replaced by
an empty one on opening; or on a Chroma server, which has no authentication of its own and is its operator's to mend.

The embedded store is Chroma's journal (SQLite, transactional). All that is indexed of an owner is read from it once and
searched in memory, vector by vector (`remember.flat_index`): exact, and up to some 100,000 views no slower than
Chroma's HNSW graph, which is another copy and takes minutes to build. So Chroma is shown the newest of its journal
alone, and told that its graph has seen everything; otherwise it would read all of it on opening and at every write.

Nor are the files of that graph ever written: they can be torn by a kill, and torn ones crash Chroma's core; and they
hold uninitialised memory, which may be anything this process has read. Chroma opens them all the same: they lead
nowhere. A server searches its own graph.

A picture has one vector or several, each a record `concept.view.place`, whose place is its sign (+ for a view, - for a
negative), its number and how many there are: `+0/3`. They are written in one transaction and deleted in one, so that a
picture is wholly there or not at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from heapq import nlargest
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

from personal.concepts import Entry, Hit, IndexedView, Key
from personal.errors import StoreError
from personal.remember import disk
from personal.remember.confusable_pairs import MAX_PAIRS, ConfusablePair, confusable_pairs
from personal.remember.flat_index import FlatIndex, VectorCache

if TYPE_CHECKING:
    from chromadb.api.client import Client
    from chromadb.api.collection_configuration import CreateCollectionConfiguration
    from chromadb.api.models.Collection import Collection
    from chromadb.api.types import Where

Vector = npt.NDArray[np.float32]

SCHEMA = 3
BATCH = 500
"""Vectors, or concepts, that Chroma is given at a time, about."""
KEYS = 100
"""Pictures that are deleted at a time; with a few vectors each they are below what Chroma takes in one call."""
HELD_BYTES = 256 * 2**20
"""Vectors of a server held in memory at most, for all owners together."""
EXACT = 6000
"""Vectors up to which look-alikes are found by comparing all with all (a second or so)."""
PAGE = 100
HNSW = {"space": "cosine", "ef_construction": 100, "max_neighbors": 32, "ef_search": 400}
"""Chroma's defaults find 63 % of the 20 nearest of 5,000 random vectors of 1280 dimensions, these 99.9 %."""

NEIGHBOURS, ALIKE = 8, 20
"""Vectors of other concepts among which a view's look-alikes are sought in a large index; concepts at a time."""

DATABASE = "chroma.sqlite3"

NEVER = 10**9
"""Records after which Chroma would write its graph to files."""

SEEN = f"INSERT OR REPLACE INTO max_seq_id SELECT id, {2**62} FROM segments WHERE scope = 'VECTOR'"
"""Tells Chroma that its graphs have seen all that there will ever be in its journal."""

KEEPING = {"automatically_purge": False, "_type": "EmbeddingsQueueConfigurationInternal"}
"""Chroma's journal is kept whatever its graph has seen: it is the only place on disk where vectors are."""

GRAPH = ("data_level0.bin", "header.bin", "length.bin", "link_lists.bin")
WRITTEN = "index_metadata.pickle"
"""The mark of a graph that was written: without it Chroma reads none of the other files."""

RECORDS = "(SELECT id FROM segments WHERE scope = 'METADATA' AND collection = ?)"
"""Where Chroma lists the records of a collection, each with its place in the journal."""

ADVICE = "Press “Learn all photos again” in Settings (or run `python -m personal reindex`) to build it anew."


class Index:
    """Vectors of one encoder and `kind`, a collection per owner. Every method raises StoreError where Chroma fails."""

    def __init__(
        self,
        encoder_id: str,
        dimension: int,
        *,
        folder: Path | None = None,
        url: str = "",
        kind: str = "views",
        library: str = "",
    ) -> None:
        """Open the store in `folder`, or the one a server offers at `url` (http:// or https://), which goes first.

        `library` tells whose index this is, so that libraries with owners of the same name can share a server.
        `opened_fresh` tells that nothing usable was there.
        """
        if not folder and not url:
            raise ValueError("an index needs a folder or a url")
        self.encoder_id = encoder_id
        self.dimension = dimension
        self._kind = kind
        self._library = library
        self.opened_fresh = False
        self._folder = None if url else folder
        self._url = url
        self._store: Path | None = None
        self._collections: dict[str, Collection] = {}
        self._held = VectorCache(HELD_BYTES)
        self._tables: dict[str, FlatIndex] = {}
        self._aside = 0
        self._mutex = threading.RLock()
        self._client: Client = self._connect() if url else self._open()

    def close(self) -> None:
        """Let go of the store. Closing twice is harmless."""
        with self._mutex:
            self._collections.clear()
            self._held.clear()
            self._tables.clear()
            self._client.close()

    def views(self, owner: str) -> set[Key]:
        """List the pictures that are wholly there."""
        with self._asking():
            if not self._url:
                return self._table(owner).keys()
            collection = self._find(owner)
            ids = collection.get(include=[])["ids"] if collection else []
        found = Counter((key, count) for key, _, count in map(_parsed, ids))
        return {key for (key, count), there in found.items() if there == count}

    def put(self, owner: str, entries: Sequence[Entry]) -> None:
        """Index pictures; all vectors of one that is there are replaced. An array (dimension,) counts as one vector."""
        vectors = {(e.concept_id, e.view, e.negative): self._checked(e.vectors) for e in entries}
        if not all(map(len, vectors.values())):
            raise ValueError("expected at least one vector of each picture")
        with self._asking():
            self._delete(owner, vectors)
            for batch in _batches(vectors):
                collection = self._make(owner)
                collection.upsert(
                    ids=[id for key in batch for id in _ids(key, len(vectors[key]))],
                    embeddings=np.concatenate([vectors[key] for key in batch]),
                    metadatas=[_metadata(key) for key in batch for _ in vectors[key]],
                )
                if self._store is not None:
                    with _database(self._store) as database:
                        self._aside = _put_aside(database, self._aside)
                if owner in self._tables:
                    for key in batch:
                        self._tables[owner].put(key, vectors[key])

    def drop(self, owner: str, keys: Iterable[Key]) -> None:
        """Let pictures be found no more; those that are not there are passed over.

        Their bytes may stay in Chroma's files until `erase`.
        """
        with self._asking():
            self._delete(owner, keys)

    def purge(self, owner: str, keys: Iterable[Key]) -> None:
        """Drop pictures so that their bytes leave the folder too: the others are written anew, so it is for few."""
        with self._asking():
            left = self.views(owner).difference(keys)
            known = self.vectors(owner, {concept_id for concept_id, _, _ in left})
            entries = [
                Entry(concept_id, one.view, one.vectors, one.negative)
                for concept_id, stored in known.items()
                for one in stored
                if (concept_id, one.view, one.negative) in left
            ]
            self.erase(owner)
            self.put(owner, entries)

    def vectors(self, owner: str, concept_ids: Iterable[str]) -> dict[str, list[IndexedView]]:
        """Return all that is indexed of some concepts, views first; an empty list for one of which nothing is."""
        with self._asking():
            if not self._url:
                table = self._table(owner)
                return {concept_id: table.concept(concept_id) for concept_id in concept_ids}
            found = {concept_id: self._held.get(owner, concept_id) for concept_id in concept_ids}
            missing = [concept_id for concept_id, stored in found.items() if stored is None]
            for start in range(0, len(missing), BATCH):
                for concept_id, stored in self._fetch(owner, missing[start : start + BATCH]).items():
                    self._held.put(owner, concept_id, stored)
                    found[concept_id] = stored
        return {concept_id: list(stored or ()) for concept_id, stored in found.items()}

    def look_alikes(self, owner: str, concept_ids: Sequence[str], at_least: float) -> list[ConfusablePair]:
        """Find the pairs of these concepts whose most similar views are `at_least` that similar, best first.

        At most 100. Beyond 6,000 vectors each view's first is looked up in the index: approximate, and slow (about
        a millisecond or two a view).
        """
        with self._asking():
            collection = self._find(owner)
            count = collection.count() if collection else 0
        if count <= EXACT:
            return confusable_pairs(self.vectors(owner, concept_ids), at_least)
        known, found = set(concept_ids), dict[tuple[str, str], ConfusablePair]()
        for some in (concept_ids[start : start + ALIKE] for start in range(0, len(concept_ids), ALIKE)):
            stored = self.vectors(owner, some)
            views = [(cid, one) for cid, every in stored.items() for one in every if not one.negative]
            limit = max((sum(len(one.vectors) for one in every) for every in stored.values()), default=0) + NEIGHBOURS
            nearest = self.query(owner, np.stack([one.vectors[0] for _, one in views]), limit) if views else []
            for (concept_id, view), hits in zip(views, nearest, strict=True):
                for hit in hits:
                    one, other = sorted([(concept_id, view.view), (hit.concept_id, hit.view)])
                    if hit.negative or one[0] == other[0] or not {one[0], other[0]} <= known:
                        continue
                    best = found.get((one[0], other[0]))
                    if hit.similarity >= at_least and (best is None or hit.similarity > best[0]):
                        found[one[0], other[0]] = (hit.similarity, one, other)
        return nlargest(MAX_PAIRS, found.values())

    def query(self, owner: str, vectors: Vector, limit: int, *, negatives: bool = True) -> list[list[Hit]]:
        """Find for each of `vectors`, shape (n, dimension), the `limit` most similar vectors, best first.

        A picture comes as often as vectors of it are near; without `negatives` those of views alone.
        """
        queries = self._checked(vectors)
        if not len(queries):
            return []
        with self._asking():
            if not self._url:
                return self._table(owner).nearest(queries, limit, negatives=negatives)
            collection = self._find(owner)
            count = collection.count() if collection else 0
            if not collection or not count:
                return [[] for _ in queries]
            return _search(collection, queries, min(limit, count), negatives=negatives)

    def erase(self, owner: str) -> None:
        """Erase everything of an owner and this kind, of whatever encoder, so that its bytes leave the folder too."""
        with self._asking():
            for name in self._names(owner):
                self._client.delete_collection(name)
            self._collections.pop(owner, None)
            self._held.erase(owner)
            self._tables.pop(owner, None)
            self._vacuum()

    def drop_stale(self, owner: str) -> None:
        """Erase what another encoder, or an older schema, left of an owner."""
        with self._asking():
            stale = [name for name in self._names(owner) if name != self._name(owner)]
            for name in stale:
                self._client.delete_collection(name)
            if stale:
                self._vacuum()

    def revive(self) -> bool:
        """Start with an empty store where the embedded one was deleted meanwhile; tell whether it was."""
        with self._mutex:
            if self._store is None or (self._store / DATABASE).is_file():
                return False
            self.reset()
            return True

    def reset(self) -> None:
        """Start with an empty store in place of the embedded one, for all owners."""
        if self._folder is None:
            raise StoreError(f"The index on the server {self._url} is its operator's to mend. Ask them.")
        with self._mutex, disk.translate_errors(self._folder):
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
        with disk.translate_errors(folder):
            if folder.is_file():
                disk.remove(folder)
            disk.make_dir(folder)
            for self._store in disk.entries(folder):
                if self._store.name.startswith("store-") and (self._store / DATABASE).is_file():
                    client = self._sound(self._store)
                    if client:
                        return client
                disk.remove(self._store)
            self.opened_fresh, self._aside = True, 0
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
            with _database(store) as database:
                self._aside = _tidy(database)
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
                self._tables.clear()
                if self._folder and _is_full(error):
                    raise disk.full(self._folder) from error
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
            collection = self._collections[owner] = self._client.create_collection(
                self._name(owner),
                metadata={
                    "schema": SCHEMA,
                    "encoder": self.encoder_id,
                    "dimension": self.dimension,
                    "owner": self._hash(owner),
                },
                configuration=cast(
                    "CreateCollectionConfiguration", {"hnsw": HNSW if self._url else {**HNSW, "sync_threshold": NEVER}}
                ),
                embedding_function=None,
            )
            if self._store is not None:
                _lead_nowhere(self._store)
                with _database(self._store) as database:
                    database.execute(SEEN)
        return collection

    def _delete(self, owner: str, keys: Iterable[Key]) -> None:
        wanted = sorted(set(keys))
        if not wanted:
            return
        self._held.drop(owner, {concept_id for concept_id, _, _ in wanted})
        collection = self._find(owner)
        if collection is None:
            return
        for start in range(0, len(wanted), KEYS):
            ids = self._blanked(collection, wanted[start : start + KEYS])
            if ids:
                collection.delete(ids=ids)
        if owner in self._tables:
            for key in wanted:
                self._tables[owner].drop(key)

    def _blanked(self, collection: Collection, keys: Sequence[Key]) -> list[str]:
        """Find the records of pictures, and blank their vectors in the embedded store's journal.

        Chroma is asked where it is a server; beside it, SQLite is, whose answer takes no longer for there being many.
        """
        if self._store is None:
            where, wanted = {"view": {"$in": sorted({view for _, view, _ in keys})}}, set(keys)
            ids = collection.get(where=cast("Where", where), include=[])["ids"]
            return [id for id in ids if _parsed(id)[0] in wanted]
        with _database(self._store) as database:
            rows = [
                row
                for key in keys
                for row in database.execute(
                    f"SELECT seq_id, embedding_id FROM embeddings WHERE segment_id = {RECORDS} "
                    "AND embedding_id BETWEEN ? AND ? || ':'",
                    [str(collection.id), _prefix(key), _prefix(key)],
                )
            ]
            if rows:
                marks = ", ".join("?" * len(rows))
                blank = f"UPDATE embeddings_queue SET vector = NULL WHERE seq_id IN ({marks})"
                database.execute(blank, [seq_id for seq_id, _ in rows])
        return [id for _, id in rows]

    def _table(self, owner: str) -> FlatIndex:
        """Read all that is indexed of an owner, once; pictures that are not wholly there are passed over."""
        if owner not in self._tables:
            table, parts = FlatIndex(self.dimension), dict[tuple[Key, int], dict[int, Vector]]()
            collection = self._find(owner)
            if collection is not None and self._store is not None:
                with _database(self._store) as database:
                    for id, vector in database.execute(
                        "SELECT embedding_id, vector FROM embeddings JOIN embeddings_queue USING (seq_id) "
                        f"WHERE segment_id = {RECORDS} AND vector IS NOT NULL",
                        [str(collection.id)],
                    ):
                        key, number, count = _parsed(id)
                        numbered = parts.setdefault((key, count), {})
                        numbered[number] = self._checked(np.frombuffer(vector, "<f4"))[0]
                        if len(numbered) == count:
                            table.put(key, np.stack([numbered[place] for place in range(count)]))
                            del parts[key, count]
            self._tables[owner] = table
        return self._tables[owner]

    def _fetch(self, owner: str, concept_ids: Sequence[str]) -> dict[str, list[IndexedView]]:
        stored: dict[str, list[IndexedView]] = {concept_id: [] for concept_id in concept_ids}
        collection = self._find(owner)
        if collection is None:
            return stored
        where = cast("Where", {"concept": {"$in": list(concept_ids)}})
        got = collection.get(where=where, include=["embeddings"])
        rows: dict[tuple[Key, int], dict[int, Any]] = {}
        for id, vector in zip(got["ids"], cast("Any", got["embeddings"]), strict=True):
            key, number, count = _parsed(id)
            rows.setdefault((key, count), {})[number] = vector
        for ((concept_id, view, negative), count), numbered in sorted(rows.items(), key=lambda row: row[0][0][::-1]):
            if len(numbered) == count:
                vectors = np.asarray([numbered[number] for number in range(count)], np.float32)
                vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
                vectors.flags.writeable = False
                stored[concept_id].append(IndexedView(view, negative, vectors))
        return stored

    def _name(self, owner: str) -> str:
        return f"{self._kind}-" + self._hash(f"{SCHEMA}\0{self.encoder_id}\0{self.dimension}\0{owner}")

    def _names(self, owner: str) -> list[str]:
        """List an owner's collections of this kind, of whatever encoder and schema."""
        of_owner = [c.name for c in self._listed() if (c.metadata or {}).get("owner") == self._hash(owner)]
        return [name for name in of_owner if name.startswith(f"{self._kind}-")]

    def _hash(self, text: str) -> str:
        text = f"{self._library}\0{text}" if self._url else text
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def _listed(self) -> Iterator[Collection]:
        offset = 0
        while page := self._client.list_collections(limit=PAGE, offset=offset):
            yield from page
            offset += len(page)

    def _vacuum(self) -> None:
        """Erase the bytes of deleted records and collections from the embedded store's files."""
        if self._store is None:
            return
        with _database(self._store) as database:
            self._aside = _tidy(database)
            database.execute("VACUUM")
        segments = _segments(self._store)
        for path in disk.entries(self._store):
            if path.is_dir() and path.name not in segments:
                disk.remove(path)

    def _checked(self, vectors: Any) -> Vector:
        array: Vector = np.atleast_2d(np.asarray(vectors, dtype=np.float32))
        if array.ndim != 2 or array.shape[-1] != self.dimension or not np.isfinite(array).all():
            raise ValueError(f"expected finite vectors of {self.dimension} dimensions, got {array.shape}")
        return array


def _prefix(key: Key) -> str:
    concept_id, view, negative = key
    return f"{concept_id}.{view}.{'-' if negative else '+'}"


def _ids(key: Key, count: int) -> list[str]:
    return [f"{_prefix(key)}{number}/{count}" for number in range(count)]


def _parsed(id: str) -> tuple[Key, int, int]:
    """Read a record's id: whose it is, its number, and how many there are."""
    concept_id, view, place = id.rsplit(".", 2)
    number, _, count = place[1:].partition("/")
    return (concept_id, view, place[0] == "-"), int(number), int(count)


def _metadata(key: Key) -> dict[str, str | bool]:
    concept_id, view, negative = key
    return {"concept": concept_id, "view": view, "negative": negative}


def _batches(vectors: Mapping[Key, Vector]) -> Iterator[list[Key]]:
    """Share pictures out into batches of BATCH vectors or a few more; none is split."""
    batch: list[Key] = []
    for key in vectors:
        batch.append(key)
        if sum(len(vectors[one]) for one in batch) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _search(collection: Collection, queries: Vector, limit: int, *, negatives: bool) -> list[list[Hit]]:
    found = collection.query(
        query_embeddings=queries,
        n_results=limit,
        where=None if negatives else {"negative": False},
        include=["metadatas", "distances"],
    )
    rows = []
    for metadatas, distances in zip(found["metadatas"] or [], found["distances"] or [], strict=True):
        if negatives and len(distances) * 2 < limit:
            raise StoreError(f"The index has lost vectors: {len(distances)} of {limit} were found. {ADVICE}")
        rows.append(
            [
                Hit(str(m["concept"]), str(m["view"]), max(-1.0, min(1.0, 1.0 - distance)), bool(m["negative"]))
                for m, distance in zip(metadatas, distances, strict=True)
            ]
        )
    return rows


def _is_full(error: BaseException) -> bool:
    """Tell whether a failure is that of a full disk, by the words of SQLite or the system."""
    return getattr(error, "errno", None) in disk.FULL or "is full" in str(error)


def _answers(collection: Collection) -> bool:
    """Tell whether a collection can be read."""
    try:
        collection.get(limit=1, include=[])
    except _failures():
        return False
    return True


def _segments(store: Path) -> set[str]:
    """List the ids of a store's parts, which name their folders."""
    with _database(store) as database:
        return {str(row[0]) for row in database.execute("SELECT id FROM segments WHERE scope = 'VECTOR'")}


def _put_aside(database: sqlite3.Connection, since: int) -> int:
    """Take what is newer than `since` in Chroma's journal out of its sight, vectors stay; tell what is newest now."""
    database.execute(
        "UPDATE embeddings_queue SET topic = '', metadata = NULL WHERE seq_id > ? AND topic != ''", [since]
    )
    return int(database.execute("SELECT coalesce(max(seq_id), 0) FROM embeddings_queue").fetchone()[0])


def _tidy(database: sqlite3.Connection) -> int:
    """Keep of the journal what is indexed, out of Chroma's sight, and the newest, from which Chroma counts on."""
    database.execute(SEEN)
    newest = _put_aside(database, 0)
    gone = "seq_id NOT IN (SELECT seq_id FROM embeddings)"
    database.execute(f"DELETE FROM embeddings_queue WHERE seq_id < ? AND {gone}", [newest])
    database.execute(f"UPDATE embeddings_queue SET id = '', vector = NULL WHERE seq_id = ? AND {gone}", [newest])
    return newest


@contextmanager
def _database(store: Path) -> Iterator[sqlite3.Connection]:
    """Open Chroma's database beside it; every statement is a transaction."""
    database = sqlite3.connect(store / DATABASE, timeout=30, isolation_level=None)
    try:
        yield database
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

    client = cast("Client", chromadb.PersistentClient(store, settings=_settings()))
    with _database(store) as database:
        database.execute("UPDATE embeddings_queue_config SET config_json_str = ?", [json.dumps(KEEPING)])
    return client


def _settings() -> Any:
    from chromadb.config import Settings

    return Settings(anonymized_telemetry=False)


def _failures() -> tuple[type[BaseException], ...]:
    """All that Chroma, its Rust core, its database and its HTTP client raise when they fail."""
    import httpx
    from chromadb.errors import ChromaError

    return (ChromaError, httpx.HTTPError, sqlite3.Error, OSError, ValueError, TypeError, KeyError, RuntimeError)

"""Chroma: pictures' vectors on a server or in a folder. The only module that imports chromadb.

A picture has one vector or several. On a server, which searches, each is a record `concept.view.place`: `+` for a view
or `-` for a negative, then the vector's number and how many there are, `+0/3`. A picture is written in one call, so it
is there as a whole or not at all. In a folder, which is only written and read, a picture is one record `concept.view.+`
whose embedding is its vectors one after another. Records hold nothing that a person wrote.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import numpy as np
import numpy.typing as npt

from personal.concepts import Hit, Key
from personal.errors import StoreError
from personal.remember import disk

if TYPE_CHECKING:
    from chromadb.api.client import Client
    from chromadb.api.collection_configuration import CreateCollectionConfiguration
    from chromadb.api.models.Collection import Collection as ChromaCollection
    from chromadb.api.types import Where

Vector = npt.NDArray[np.float32]

BATCH = 500
"""Vectors written in one call, or a few more: no picture is split."""
PAGE = 5000
"""Records read in one call."""

PREFIX = "vectors-"
UNSEARCHED = {"space": "l2", "max_neighbors": 2, "ef_construction": 2, "ef_search": 2, "sync_threshold": 10**9}
"""Configuration of a graph that is never searched (the least Chroma takes) nor saved; vectors stay as they are."""

ADVICE = "Press “Rebuild recognition index” in Settings (or run `python -m personal reindex`) to rebuild it."

log = logging.getLogger(__name__)


@contextmanager
def translate_errors(where: str, folder: Path | None = None) -> Iterator[None]:
    """Raise the failures of Chroma and its HTTP client as a StoreError about the index `where`."""
    import httpx
    from chromadb.errors import ChromaError

    try:
        yield
    except (ChromaError, httpx.HTTPError) as error:
        if folder and "is full" in str(error):
            raise disk.full(folder) from error
        log.warning("The index %s failed", where, exc_info=True)
        reason = str(error) or type(error).__name__
        raise StoreError(f"The index {where} failed ({reason}). {ADVICE}") from error


def open_folder(folder: Path) -> Folder:
    """Open the database in a folder, or make it. Raises StoreError."""
    import chromadb

    where = f"in {folder}"
    with translate_errors(where, folder):
        try:
            client = cast("Client", chromadb.PersistentClient(folder, settings=_settings()))
        except ValueError as error:  # what Chroma makes of any failure to open
            log.warning("The index %s cannot be opened", where, exc_info=True)
            raise StoreError(f"The index {where} cannot be opened ({error}). {ADVICE}") from error
    return Folder(client)


def connect(url: str) -> Client:
    """Connect to a server at http://host:port or https://host:port. Raises StoreError."""
    import chromadb

    try:
        parts = urlsplit(url)
        secure = {"http": False, "https": True}[parts.scheme]
        host, port = parts.hostname or "", parts.port or (443 if secure else 8000)
        if not host or parts.path not in {"", "/"}:
            raise ValueError(url)
    except (KeyError, ValueError) as error:
        raise StoreError(
            f"PERSONAL_CHROMA_URL={url!r} cannot be used: it takes http://host:port or https://host:port."
        ) from error
    try:
        with translate_errors(f"on {url}"):
            return cast("Client", chromadb.HttpClient(host=host, port=port, ssl=secure, settings=_settings()))
    except (StoreError, ValueError) as error:
        raise StoreError(
            f"No Chroma server answers at {url}. Start one (`chroma run`), or leave PERSONAL_CHROMA_URL empty to keep "
            "the index in the data folder."
        ) from error


class Folder:
    """Pictures in a folder's database; those of n vectors lie in the collection `vectors-n`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def close(self) -> None:
        """Close the client."""
        self._client.close()

    def pictures(self) -> Iterator[tuple[Key, Vector]]:
        """Yield all pictures."""
        for found in self._client.list_collections():
            count = int(found.name.removeprefix(PREFIX))
            for ids, vectors in _pages(found):
                for id, of_picture in zip(ids, vectors.reshape(len(ids), count, -1), strict=True):
                    concept_id, view, sign = id.split(".")
                    yield (concept_id, view, sign == "-"), of_picture

    def upsert(self, pictures: Mapping[Key, Vector]) -> None:
        """Write pictures, each (n, dimension), over those that are there with as many vectors."""
        for count in {len(vectors) for vectors in pictures.values()}:
            keys = [key for key, vectors in pictures.items() if len(vectors) == count]
            self._client.get_or_create_collection(
                f"{PREFIX}{count}",
                configuration=cast("CreateCollectionConfiguration", {"hnsw": UNSEARCHED}),
                embedding_function=None,
            ).upsert(
                ids=[f"{concept_id}.{view}.{'-' if negative else '+'}" for concept_id, view, negative in keys],
                embeddings=np.stack([pictures[key].ravel() for key in keys]),
            )


class Collection:
    """Pictures' vectors in the collection `name` of a client; it is made when the first are written.

    `hnsw` configures Chroma's graph, `metadata` stands with the collection.
    """

    def __init__(
        self, client: Client, name: str, hnsw: Mapping[str, Any], metadata: Mapping[str, Any] | None = None
    ) -> None:
        self._client = client
        self._name = name
        self._hnsw = dict(hnsw)
        self._metadata = dict(metadata) if metadata else None
        self._found: ChromaCollection | None = None

    def close(self) -> None:
        """Close the client."""
        self._client.close()

    def ids(self, views: Iterable[str] | None = None) -> list[str]:
        """Return the ids of all records, or of those of some views."""
        found = self._find()
        where = None if views is None else cast("Where", {"view": {"$in": sorted(views)}})
        return found.get(where=where, include=[])["ids"] if found else []

    def count(self) -> int:
        """Return the number of records."""
        found = self._find()
        return found.count() if found else 0

    def pictures(self, concept_ids: Sequence[str] | None = None) -> Iterator[tuple[Key, Vector]]:
        """Yield the pictures that are there as a whole, all or those of some concepts."""
        found = self._find()
        if found is None:
            return
        where = None if concept_ids is None else cast("Where", {"concept": {"$in": list(concept_ids)}})
        parts: dict[tuple[Key, int], dict[int, Any]] = {}
        for ids, vectors in _pages(found, where):
            for id, vector in zip(ids, vectors, strict=True):
                key, number, count = parse_id(id)
                part = parts.setdefault((key, count), {})
                part[number] = vector
                if len(part) == count:
                    yield key, np.stack([part[place] for place in range(count)])
                    del parts[key, count]

    def upsert(self, pictures: Mapping[Key, Vector]) -> None:
        """Write pictures, each (n, dimension), over those that are there with as many vectors."""
        for batch in _batches(pictures):
            self._make().upsert(
                ids=[id for key in batch for id in ids_of(key, len(pictures[key]))],
                embeddings=np.concatenate([pictures[key] for key in batch]),
                metadatas=[_metadata(key) for key in batch for _ in pictures[key]],
            )

    def delete(self, ids: Sequence[str]) -> None:
        """Delete records."""
        found = self._find()
        for start in range(0, len(ids) if found else 0, BATCH):
            cast("ChromaCollection", found).delete(ids=list(ids[start : start + BATCH]))

    def nearest(self, queries: Vector, limit: int, *, negatives: bool = True) -> list[list[Hit]]:
        """Search Chroma's graph: for each query the `limit` most similar vectors, best first, approximately.

        Without `negatives` only those of views.
        """
        found, limit = self._find(), min(limit, self.count())
        if not found or not limit:
            return [[] for _ in queries]
        result = found.query(
            query_embeddings=queries,
            n_results=limit,
            where=None if negatives else {"negative": False},
            include=["metadatas", "distances"],
        )
        rows = []
        for metadatas, distances in zip(result["metadatas"] or [], result["distances"] or [], strict=True):
            if negatives and len(distances) * 2 < limit:
                raise StoreError(f"The index has lost vectors: {len(distances)} of {limit} were found. {ADVICE}")
            rows.append(
                [
                    Hit(str(m["concept"]), str(m["view"]), max(-1.0, min(1.0, 1.0 - distance)), bool(m["negative"]))
                    for m, distance in zip(metadatas, distances, strict=True)
                ]
            )
        return rows

    def _find(self) -> ChromaCollection | None:
        from chromadb.errors import NotFoundError

        if self._found is None:
            try:
                self._found = self._client.get_collection(self._name, embedding_function=None)
            except NotFoundError:
                return None
        return self._found

    def _make(self) -> ChromaCollection:
        self._found = self._find() or self._client.create_collection(
            self._name,
            metadata=self._metadata,
            configuration=cast("CreateCollectionConfiguration", {"hnsw": self._hnsw}),
            embedding_function=None,
        )
        return self._found


def _pages(collection: ChromaCollection, where: Where | None = None) -> Iterator[tuple[list[str], Vector]]:
    """Yield the ids and embeddings of a collection's records, PAGE at a time."""
    offset = 0
    while (page := collection.get(where=where, include=["embeddings"], limit=PAGE, offset=offset))["ids"]:
        offset += len(page["ids"])
        yield page["ids"], np.asarray(page["embeddings"], np.float32)


def ids_of(key: Key, count: int) -> list[str]:
    """Return the ids of a picture's records."""
    concept_id, view, negative = key
    return [f"{concept_id}.{view}.{'-' if negative else '+'}{number}/{count}" for number in range(count)]


def parse_id(id: str) -> tuple[Key, int, int]:
    """Return the picture of a record, the record's number, and how many the picture has. Raises StoreError."""
    try:
        concept_id, view, place = id.rsplit(".", 2)
        number, _, count = place[1:].partition("/")
        return (concept_id, view, place[0] == "-"), int(number), int(count)
    except ValueError as error:
        raise StoreError("The index holds a record that is not of this app.") from error


def _metadata(key: Key) -> dict[str, str | bool]:
    concept_id, view, negative = key
    return {"concept": concept_id, "view": view, "negative": negative}


def _batches(pictures: Mapping[Key, Vector]) -> Iterator[list[Key]]:
    batch: list[Key] = []
    for key in pictures:
        batch.append(key)
        if sum(len(pictures[one]) for one in batch) >= BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _settings() -> Any:
    from chromadb.config import Settings

    return Settings(anonymized_telemetry=False)

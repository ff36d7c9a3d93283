"""Vectors held in memory: all pictures of an owner, searched one by one, or some concepts that a server indexes.

Neither knows threads: whoever has one takes turns.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from personal.concepts import Hit, IndexedView, Key

Vector = npt.NDArray[np.float32]

ROWS = 8192
"""Vectors that are compared with a photo's regions at a time: what comes of it stays in the processor's cache."""
WIDE = 32
"""Neighbouring vectors of which only the most similar is noted at first."""
QUERIES = 64
"""Queries that are answered at a time at most."""


class FlatIndex:
    """All pictures of one owner. A search compares with every vector, so it is exact and takes time in proportion.

    Vectors lie in blocks of ROWS, which never move; the rows of what was dropped are used again.
    """

    def __init__(self, dimension: int) -> None:
        self.dimension = dimension
        self._blocks: list[Vector] = []
        self._keys: list[Key | None] = []
        self._live = np.zeros(0, bool)
        self._negative = np.zeros(0, bool)
        self._rows: dict[Key, slice] = {}
        self._concepts: dict[str, list[Key]] = {}
        self._free: defaultdict[int, list[int]] = defaultdict(list)

    def keys(self) -> set[Key]:
        """List the pictures."""
        return set(self._rows)

    def put(self, key: Key, vectors: Vector) -> None:
        """Hold a picture's vectors, (n, dimension) with n from 1 to ROWS, in place of those it had."""
        self.drop(key)
        count = len(vectors)
        start = self._free[count].pop() if self._free[count] else self._room(count)
        rows = self._rows[key] = slice(start, start + count)
        self._block(rows)[:] = _unit(vectors)
        self._keys[rows] = [key] * count
        self._live[rows], self._negative[rows] = True, key[2]
        self._concepts.setdefault(key[0], []).append(key)

    def drop(self, key: Key) -> None:
        """Let go of a picture, if it is there."""
        rows = self._rows.pop(key, None)
        if rows is None:
            return
        self._block(rows)[:] = 0
        self._keys[rows] = [None] * (rows.stop - rows.start)
        self._live[rows] = False
        self._free[rows.stop - rows.start].append(rows.start)
        self._concepts[key[0]].remove(key)
        if not self._concepts[key[0]]:
            del self._concepts[key[0]]

    def concept(self, concept_id: str) -> list[IndexedView]:
        """Copy what is held of a concept, views first, in the order of their hashes."""
        stored = []
        for key in sorted(self._concepts.get(concept_id, ()), key=lambda key: key[::-1]):
            vectors = self._block(self._rows[key]).copy()
            vectors.flags.writeable = False
            stored.append(IndexedView(key[1], key[2], vectors))
        return stored

    def nearest(self, queries: Vector, limit: int, *, negatives: bool = True) -> list[list[Hit]]:
        """Find for each query the `limit` most similar vectors, best first; without `negatives` those of views."""
        if not self._rows:
            return [[] for _ in queries]
        found: list[list[Hit]] = []
        live = self._live if negatives else self._live & ~self._negative
        for start in range(0, len(queries), QUERIES):
            found += self._nearest(_unit(queries[start : start + QUERIES]), limit, live)
        return found

    def _nearest(self, queries: Vector, limit: int, live: npt.NDArray[np.bool_]) -> list[list[Hit]]:
        """Look closely at the `limit` groups with the most similar vector each: what is sought can only be there."""
        tops = np.concatenate([self._tops(start, queries, live) for start in range(0, len(self._keys), ROWS)])
        groups = _largest(np.ascontiguousarray(tops.T), limit)
        near, of_query = np.unique(groups, return_inverse=True)
        similarity = np.stack([self._group(group) for group in near]) @ queries.T
        own = similarity[of_query.reshape(groups.shape), :, np.arange(len(queries))[:, None]].reshape(len(queries), -1)
        rows = (groups[:, :, None] * WIDE + np.arange(WIDE)).reshape(len(queries), -1)
        own = np.where(live[rows], own.clip(-1, 1), -np.inf)
        best = _largest(own, limit)
        best = np.take_along_axis(best, np.argsort(-np.take_along_axis(own, best, axis=1), axis=1), axis=1)
        rows, own = np.take_along_axis(rows, best, axis=1), np.take_along_axis(own, best, axis=1)
        return [
            [
                Hit(*key[:2], value, key[2])
                for row, value in zip(*hits, strict=True)
                if live[row] and (key := self._keys[row])
            ]
            for hits in zip(rows.tolist(), own.tolist(), strict=True)
        ]

    def _tops(self, start: int, queries: Vector, live: npt.NDArray[np.bool_]) -> Vector:
        """Find the largest similarity of each group of a block, (groups, queries)."""
        used = -(-min(ROWS, len(self._keys) - start) // WIDE) * WIDE
        similarity = self._block(slice(start, start + used)) @ queries.T
        similarity[~live[start : start + used]] = -np.inf
        return np.asarray(similarity.reshape(-1, WIDE, len(queries)).max(axis=1))

    def _room(self, count: int) -> int:
        """Find rows never used, in one block."""
        start = len(self._keys)
        if start % ROWS + count > ROWS or start == len(self._blocks) * ROWS:
            start = len(self._blocks) * ROWS
            self._blocks.append(np.zeros((ROWS, self.dimension), np.float32))
            self._live = np.concatenate([self._live, np.zeros(ROWS, bool)])
            self._negative = np.concatenate([self._negative, np.zeros(ROWS, bool)])
        self._keys += [None] * (start + count - len(self._keys))
        return start

    def _block(self, rows: slice) -> Vector:
        start = rows.start % ROWS
        block: Vector = self._blocks[rows.start // ROWS][start : start + rows.stop - rows.start]
        return block

    def _group(self, group: int) -> Vector:
        return self._block(slice(group * WIDE, (group + 1) * WIDE))


class VectorCache:
    """Each owner's concepts with what is indexed of them; what was used longest ago goes beyond `most_bytes`."""

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.bytes = 0
        self._held: OrderedDict[tuple[str, str], list[IndexedView]] = OrderedDict()

    def get(self, owner: str, concept_id: str) -> list[IndexedView] | None:
        """Return what is held of a concept, or None."""
        held = self._held.get((owner, concept_id))
        if held is not None:
            self._held.move_to_end((owner, concept_id))
        return held

    def put(self, owner: str, concept_id: str, stored: list[IndexedView]) -> None:
        """Hold a concept's vectors; let go of those used longest ago, were it these."""
        self.drop(owner, [concept_id])
        self._held[owner, concept_id] = stored
        self.bytes += _size(stored)
        while self.bytes > self.most_bytes:
            self.bytes -= _size(self._held.popitem(last=False)[1])

    def drop(self, owner: str, concept_ids: Iterable[str]) -> None:
        """Let go of some concepts."""
        for concept_id in concept_ids:
            self.bytes -= _size(self._held.pop((owner, concept_id), []))

    def erase(self, owner: str) -> None:
        """Let go of an owner's concepts."""
        self.drop(owner, [concept_id for of, concept_id in self._held if of == owner])

    def clear(self) -> None:
        """Let go of everything."""
        self._held.clear()
        self.bytes = 0


def _largest(values: Vector, count: int) -> npt.NDArray[np.int64]:
    """Tell where the `count` largest of each row are, in no order."""
    count = min(count, values.shape[1])
    return np.argpartition(values, -count, axis=1)[:, -count:]


def _unit(vectors: Vector) -> Vector:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12), np.float32)


def _size(stored: list[IndexedView]) -> int:
    return sum(one.vectors.nbytes for one in stored)

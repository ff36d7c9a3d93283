"""Flat index: all vectors of one owner in memory, searched exactly. Not thread-safe."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import numpy.typing as npt

from personal.concepts import Hit, IndexedView, Key

Vector = npt.NDArray[np.float32]

ROWS = 8192
"""Vectors in a block, compared with the queries at a time: the similarities stay in the processor's cache."""
GROUP = 32
"""Neighbouring vectors of which only the highest similarity is kept at first."""
QUERIES = 64
"""Queries that are answered at a time at most."""


class FlatIndex:
    """All pictures of one owner. A search compares every vector, so it is exact and linear in their number.

    Vectors lie in blocks of ROWS, which never move. Rows of deleted pictures are used again.
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

    def __len__(self) -> int:
        """Return the number of vectors."""
        return int(self._live.sum())

    def keys(self) -> set[Key]:
        """Return the pictures."""
        return set(self._rows)

    def count(self, key: Key) -> int:
        """Return how many vectors a picture has, 0 if it is not there."""
        rows = self._rows.get(key)
        return rows.stop - rows.start if rows else 0

    def vectors(self, key: Key) -> Vector:
        """Return a picture's vectors, unit rows, as they lie in memory."""
        return self._block(self._rows[key])

    def put(self, key: Key, vectors: Vector) -> None:
        """Set a picture's vectors, (n, dimension) with n from 1 to ROWS."""
        self.drop(key)
        count = len(vectors)
        start = self._free[count].pop() if self._free[count] else self._new_rows(count)
        rows = self._rows[key] = slice(start, start + count)
        self._block(rows)[:] = unit(vectors)
        self._keys[rows] = [key] * count
        self._live[rows], self._negative[rows] = True, key[2]
        self._concepts.setdefault(key[0], []).append(key)

    def drop(self, key: Key) -> None:
        """Delete a picture if it is there."""
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
        """Copy the pictures of a concept, views first, in the order of their hashes."""
        found = []
        for key in sorted(self._concepts.get(concept_id, ()), key=lambda key: key[::-1]):
            vectors = self._block(self._rows[key]).copy()
            vectors.flags.writeable = False
            found.append(IndexedView(key[1], key[2], vectors))
        return found

    def nearest(self, queries: Vector, limit: int, *, negatives: bool = True) -> list[list[Hit]]:
        """Return for each query the `limit` most similar vectors, best first; without `negatives` only views'."""
        if not self._rows:
            return [[] for _ in queries]
        found: list[list[Hit]] = []
        live = self._live if negatives else self._live & ~self._negative
        for start in range(0, len(queries), QUERIES):
            found += self._nearest(unit(queries[start : start + QUERIES]), limit, live)
        return found

    def _nearest(self, queries: Vector, limit: int, live: npt.NDArray[np.bool_]) -> list[list[Hit]]:
        """Search the `limit` groups with the highest similarity for each query: the answers can only be there."""
        tops = np.concatenate([self._group_maxima(start, queries, live) for start in range(0, len(self._keys), ROWS)])
        groups = _largest(np.ascontiguousarray(tops.T), limit)
        near, of_query = np.unique(groups, return_inverse=True)
        similarity = np.stack([self._group(group) for group in near]) @ queries.T
        own = similarity[of_query.reshape(groups.shape), :, np.arange(len(queries))[:, None]].reshape(len(queries), -1)
        rows = (groups[:, :, None] * GROUP + np.arange(GROUP)).reshape(len(queries), -1)
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

    def _group_maxima(self, start: int, queries: Vector, live: npt.NDArray[np.bool_]) -> Vector:
        """Return the highest similarity in each group of a block, (groups, queries)."""
        used = -(-min(ROWS, len(self._keys) - start) // GROUP) * GROUP
        similarity = self._block(slice(start, start + used)) @ queries.T
        similarity[~live[start : start + used]] = -np.inf
        return np.asarray(similarity.reshape(-1, GROUP, len(queries)).max(axis=1))

    def _new_rows(self, count: int) -> int:
        """Return the first of `count` unused rows in one block."""
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
        return self._block(slice(group * GROUP, (group + 1) * GROUP))


def unit(vectors: Vector) -> Vector:
    """Scale rows to unit length; rows of zeros stay."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12), np.float32)


def _largest(values: Vector, count: int) -> npt.NDArray[np.int64]:
    """Return the places of the `count` largest values of each row, unordered."""
    count = min(count, values.shape[1])
    return np.argpartition(values, -count, axis=1)[:, -count:]

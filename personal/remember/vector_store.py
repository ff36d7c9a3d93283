"""Vector store: one owner's flat index on disk, in shards, so that a change costs the same however large it is."""

from __future__ import annotations

import logging
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from personal.concepts import Key
from personal.errors import StoreError
from personal.remember import disk
from personal.remember.flat_index import FlatIndex
from personal.remember.shard import Shard

Vector = npt.NDArray[np.float32]

SHARD_VECTORS = 2048
"""Vectors in a shard: a deletion rewrites it, and each costs about 10 ms to open (docs/experiments.md, "Index")."""

log = logging.getLogger(__name__)


class VectorStore:
    """What `flat` holds, in shards `<name>-<number>` of `folder`. Methods raise StoreError where the disk fails."""

    def __init__(self, folder: Path, name: str, flat: FlatIndex) -> None:
        """Read the shards into `flat`; one that cannot be read is removed, to be rebuilt from the photos."""
        self._folder = folder
        self._name = name
        self._flat = flat
        self._shards: list[Shard] = []
        self._home: dict[Key, Shard] = {}
        self._vectors: Counter[Shard] = Counter()
        with disk.translate_errors(folder):
            numbered = [re.match(re.escape(name) + r"-(\d+)-", path.name) for path in disk.entries(folder)]
        for number in range(1 + max((int(found[1]) for found in numbered if found), default=-1)):
            self._read(self._shard(number))

    def put(self, pictures: Mapping[Key, Vector]) -> None:
        """Write pictures; `flat` gets them afterwards."""
        parts: defaultdict[Shard, dict[Key, Vector]] = defaultdict(dict)
        room = self._vectors.copy()
        for key, vectors in pictures.items():
            shard = self._home.get(key) or self._with_room(room, len(vectors))
            room[shard] += len(vectors) - self._flat.count(key)
            parts[shard][key] = vectors
        try:
            for shard, part in parts.items():
                if any(self._flat.count(key) not in (0, len(vectors)) for key, vectors in part.items()):
                    shard.sound = False  # records of vectors that are no more: rewritten as a whole
                shard.put(part, lambda: {**self._content(shard), **part})  # noqa: B023
                self._close_all_but(shard)
        except StoreError:
            for shard in parts:
                shard.sound = False
            raise
        self._home |= {key: shard for shard, part in parts.items() for key in part}
        self._vectors = room

    def drop(self, keys: Iterable[Key]) -> None:
        """Remove pictures, which `flat` has dropped already, down to their bytes; make up for failures before."""
        changed = {self._home.pop(key) for key in keys if key in self._home}
        for shard in self._shards:
            if shard in changed:
                shard.sound = False
        self.repair()

    def repair(self) -> None:
        """Rewrite the shards that are not as they should be."""
        for shard in self._shards:
            if not shard.intact:
                content = self._content(shard)
                shard.rewrite(content)
                self._vectors[shard] = sum(map(len, content.values()))
                self._close_all_but(shard)

    def close(self) -> None:
        """Close the databases. Closing twice is harmless."""
        for shard in self._shards:
            shard.close()

    def _read(self, shard: Shard) -> None:
        try:
            found = shard.read()
            if any(vectors.shape[1] != self._flat.dimension for vectors in found.values()):
                raise StoreError("The vectors of a shard have another dimension.")
        except StoreError:
            log.warning("A shard of the index cannot be read and is rebuilt from the photos.", exc_info=True)
            shard.rewrite({})
            return
        for key, vectors in found.items():
            self._flat.put(key, vectors)
            self._home[key] = shard
            self._vectors[shard] += len(vectors)

    def _content(self, shard: Shard) -> dict[Key, Vector]:
        return {key: self._flat.vectors(key) for key, home in self._home.items() if home is shard}

    def _with_room(self, used: Mapping[Shard, int], count: int) -> Shard:
        fitting = (shard for shard in self._shards if used[shard] + count <= SHARD_VECTORS)
        return next(fitting, None) or self._shard(len(self._shards))

    def _shard(self, number: int) -> Shard:
        self._shards.append(Shard(self._folder, f"{self._name}-{number:04}"))
        return self._shards[-1]

    def _close_all_but(self, last: Shard) -> None:
        for shard in self._shards:
            if shard is not last:
                shard.close()

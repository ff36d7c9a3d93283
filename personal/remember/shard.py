"""Shard: some of an owner's vectors on disk, in a Chroma folder of their own, `<folder>/<name>-<token>/`.

A shard is read once and then only written: searches run in memory (`personal.remember.flat_index`). Chroma's graph is
therefore as small as Chroma allows and never saved. Chroma makes its files all the same, filled with whatever memory of
this process it was given, so they are removed. Chroma keeps the bytes of deleted records. Deleting is therefore a
rewrite: a new folder is written, then the old one is removed. Of several complete folders the newest counts.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt

from personal.concepts import Key
from personal.errors import StoreError
from personal.remember import disk
from personal.remember.chroma import Folder, open_folder, translate_errors

Vector = npt.NDArray[np.float32]
Pictures = Mapping[Key, Vector]

DATABASE = "chroma.sqlite3"
INCOMPLETE = "incomplete"
"""A file in a folder that is still being written."""

FORM = 2
"""Version of what is in a folder; those of another are rebuilt from the photos."""

log = logging.getLogger(__name__)


class Shard:
    """The shard `name` in `folder`; nothing is opened or made before it is needed. Methods raise StoreError.

    `sound` is false where what is on disk is not what was written last: a write failed.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = name
        self._place: Path | None = None
        self._database: Folder | None = None
        self.sound = True

    @property
    def intact(self) -> bool:
        """Whether it is sound, and its folder was not deleted meanwhile."""
        return self.sound and (self._place is None or (self._place / DATABASE).is_file())

    def read(self) -> dict[Key, Vector]:
        """Return all pictures, having removed what an interrupted rewrite left. The database is closed again."""
        with self._changing():
            places = self._places()
            complete = [path for path in places if (path / DATABASE).is_file() and not (path / INCOMPLETE).exists()]
            self._place = complete[-1] if complete else None
            self._remove_others()
            found = dict(self._open(self._place).pictures()) if self._place else {}
        self.close()
        return found

    def put(self, pictures: Pictures, everything: Callable[[], Pictures]) -> None:
        """Write pictures; where that fails, or something was lost before, `everything` that should be there."""
        if self.intact:
            try:
                with self._changing():
                    (self._database or self._open(self._place or self._new_place())).upsert(pictures)
                return
            except StoreError:
                log.warning("A shard of the index is rewritten, for a change to it failed.", exc_info=True)
        self.rewrite(everything())

    def rewrite(self, pictures: Pictures) -> None:
        """Replace everything by these pictures; no byte of any other is left."""
        self.close()
        old, done = self._place, False
        with self._changing():
            try:
                self._place = self._new_place() if pictures else None
                if self._place:
                    (self._place / INCOMPLETE).touch(mode=0o600)
                    self._open(self._place).upsert(pictures)
                    (self._place / INCOMPLETE).unlink()
                    disk.sync_dir(self._place)
                done = True
            finally:
                if not done:
                    self.close()
                    self._place = old
                self._remove_others()

    def close(self) -> None:
        """Close the database. Closing twice is harmless."""
        if self._database:
            self._database.close()
        self._database = None

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Translate errors, note a failure, and remove the files of Chroma's graph."""
        self.sound = False
        with disk.translate_errors(self._folder), translate_errors(f"in {self._folder}", self._folder):
            yield
            for path in disk.entries(self._place) if self._place else []:
                if path.is_dir():
                    disk.remove(path)
        self.sound = True

    def _places(self) -> list[Path]:
        return [path for path in disk.entries(self._folder) if path.name.startswith(f"{self._name}-")]

    def _remove_others(self) -> None:
        for path in self._places():
            if path != self._place:
                disk.remove(path)

    def _new_place(self) -> Path:
        """Make a folder that sorts behind the others. Chroma remembers a path, so each is used once."""
        place = self._folder / f"{self._name}-{time.time_ns():020}{secrets.token_hex(4)}"
        disk.make_dir(place)
        return place

    def _open(self, place: Path) -> Folder:
        self._place = place
        self._database = open_folder(place)
        return self._database

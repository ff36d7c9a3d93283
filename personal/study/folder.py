"""All studies of a data folder: list them, open them, make one from an example."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from personal.errors import PersonalError
from personal.remember import disk
from personal.study.commands import EXAMPLES
from personal.study.loading import read_study
from personal.study.store import FILE, StudyStore

FOLDER = "studies"
"""Where studies are within a data folder."""
ID = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


class Studies:
    """The studies under `data_dir`/studies, each opened once. Arguments as for `StudyStore`. Thread-safe."""

    def __init__(
        self,
        data_dir: Path,
        *,
        erase: Callable[[str], None] = lambda owner: None,
        versions: Callable[[], Mapping[str, str]] = dict,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._folder = data_dir / FOLDER
        self._erase, self._versions, self._clock = erase, versions, clock
        self._lock = threading.Lock()
        self._opened: dict[str, StudyStore] = {}

    def ids(self) -> list[str]:
        """List the ids of all studies, also of those whose file is damaged."""
        return [path.name for path in disk.entries(self._folder) if ID.fullmatch(path.name) and path.is_dir()]

    def get(self, study_id: str) -> StudyStore:
        """Return a study. Raises PersonalError if there is none, or its file is wrong."""
        with self._lock:
            if study_id not in self._opened:
                folder = self._folder / study_id
                if not ID.fullmatch(study_id) or not (folder / FILE).is_file():
                    raise PersonalError("There is no such study. Check the link.")
                self._opened[study_id] = StudyStore(
                    folder, erase=self._erase, versions=self._versions, clock=self._clock
                )
            return self._opened[study_id]

    def create(self, study_id: str, text: str) -> StudyStore:
        """Make a study of a file's text; photos are put beside it later. Raises PersonalError."""
        if not ID.fullmatch(study_id):
            raise PersonalError("A study's id has small letters, digits and hyphens, at most 40. It is in its link.")
        folder = self._folder / study_id
        read_study(folder / FILE, text=text, photos=False)
        with self._lock, disk.translate_errors(folder):
            if folder.exists():
                raise PersonalError(f"There is a study {study_id} already. Take another id.")
            disk.make_dir(folder)
            disk.write(folder / FILE, text.encode())
            disk.sync_dir(folder)
        return self.get(study_id)


def examples() -> dict[str, str]:
    """Return the texts of the examples that ship with the app, by name."""
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(EXAMPLES.glob("*.yaml"))}

"""What a participant is in the middle of, so that a page can be drawn again: never part of the data.

    work/<participant>/<step>.json          what was asked and answered in a step, until it is done
    work/<participant>/photos/<sha256>.jpg  photos that they brought, until the end of the study

Erased with the participant, and for everybody when the study is closed.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from personal.concepts import Photo
from personal.errors import PersonalError
from personal.images import read_photo
from personal.remember import disk


class Work:
    """The working files of a participant, in `folder`. Raises StoreError where the disk cannot be used."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def thread(self, step_id: str) -> list[dict[str, Any]]:
        """Return what was asked and answered in a step so far, in full; empty once it is done."""
        path = self._thread(step_id)
        with disk.translate_errors(path):
            try:
                found: list[dict[str, Any]] = json.loads(path.read_bytes()) if path.is_file() else []
            except ValueError:
                return []
            return found

    def save(self, step_id: str, thread: list[dict[str, Any]]) -> None:
        """Write what was asked and answered in a step so far."""
        path = self._thread(step_id)
        with disk.translate_errors(path):
            disk.make_dir(path.parent)
            disk.write_json(path, thread)

    def keep(self, photo: Photo) -> None:
        """Hold a photo that the participant brought."""
        path = self._photo(photo.sha256)
        with disk.translate_errors(path):
            disk.make_dir(path.parent)
            disk.write(path, photo.jpeg)

    def photo(self, sha256: str) -> Photo | None:
        """Return a photo that is held, None if it is not."""
        if not re.fullmatch(r"[0-9a-f]{64}", sha256):
            return None
        try:
            return read_photo(self._photo(sha256)) if self._photo(sha256).is_file() else None
        except PersonalError:
            return None

    def photos(self) -> list[str]:
        """List the photos that are held, the oldest first."""
        paths = [path for path in disk.entries(self._folder / "photos") if path.suffix == ".jpg"]
        return [path.stem for path in sorted(paths, key=lambda path: path.stat().st_mtime_ns)]

    def end(self, step_id: str) -> None:
        """Erase what was asked and answered in a step."""
        with disk.translate_errors(self._folder):
            disk.remove(self._thread(step_id))

    def erase(self) -> None:
        """Erase everything."""
        with disk.translate_errors(self._folder):
            disk.remove(self._folder)

    def _thread(self, step_id: str) -> Path:
        return self._folder / f"{step_id}.json"

    def _photo(self, sha256: str) -> Path:
        return self._folder / "photos" / f"{sha256}.jpg"

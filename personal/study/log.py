"""The records of one participant: a JSONL file that only grows, each line durable once `append` has returned.

A line that a crash cut short is dropped by the next append. An empty file is a withdrawal in progress.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from personal.remember import disk

Record = dict[str, Any]
"""One line: `event`, `at` (UTC, ISO 8601, milliseconds), and what the event tells."""


class ParticipantLog:
    """Records in `path`, made with the first. Raises StoreError where the disk cannot be used."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[Record]:
        """Return the whole records, oldest first."""
        with disk.translate_errors(self.path):
            return parse(self.path.read_bytes()) if self.path.is_file() else []

    def append(self, record: Mapping[str, Any]) -> None:
        """Write a record, durable on return; one that cannot be written leaves the file as it was."""
        line = json.dumps(record, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace") + b"\n"
        with disk.translate_errors(self.path):
            disk.make_dir(self.path.parent)
            fresh = not self.path.exists()
            with open(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
                end = _end(file.read())
                try:
                    file.truncate(end)
                    file.seek(end)
                    file.write(line)
                    file.flush()
                    os.fsync(file.fileno())
                except OSError:
                    os.truncate(self.path, end)
                    raise
            if fresh:
                disk.sync_dir(self.path.parent)

    def empty(self) -> None:
        """Erase every byte, durable on return; the empty file stays."""
        with disk.translate_errors(self.path), self.path.open("r+b") as file:
            file.truncate(0)
            os.fsync(file.fileno())


def _end(data: bytes) -> int:
    """Return where the last whole line ends."""
    return data.rfind(b"\n") + 1


def parse(data: bytes) -> list[Record]:
    """Return the records of a file's whole lines; what is no JSON object is skipped."""
    found = []
    for line in data[: _end(data)].splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            found.append(record)
    return found

"""The answers of a run on disk, so that an interrupted run continues where it stopped.

A JSONL file: first the settings of the run, then a line for the questions that were answered together. Damaged lines
are skipped. Knows nothing of models or protocols: questions are keys, replies are values.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from personal.errors import PersonalError

SYNC_S = 2.0
"""Seconds between two fsyncs: a killed process loses nothing, a power failure as much as this."""
VERSION = 2
"""Of the file's format."""

Reply = dict[str, Any]
"""A reply as JSON has it."""


class Journal:
    """Replies by question, in a file if there is a `path`; `known` is how many were read from it.

    Its lines hold questions, answers and hashes of photos.
    """

    def __init__(self, path: Path | None = None, made_with: Mapping[str, Any] | None = None) -> None:
        """Open the journal of a run `made_with` settings. Raises PersonalError if the file is of a run with others."""
        self._path = path
        self._replies: dict[str, Reply] = {}
        self._file: Any = None
        self._lock: FileLock | None = None
        self._synced = 0.0
        if path is not None:
            made_with = json.loads(json.dumps(made_with or {}))
            try:
                self._acquire(path)
                end = self._read(path, made_with)
                self._file = path.open("r+b" if path.exists() else "w+b")
                self._file.truncate(end)
                self._file.seek(end)
                if not end:
                    self._write({"journal": VERSION, "made_with": made_with})
            except OSError as error:
                self.close()
                raise _unusable(path, error) from error
            except PersonalError:
                self.close()
                raise
        self.known = len(self._replies)

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def recall(self, asked: Mapping[str, Any], answer: Callable[[], Reply]) -> Reply:
        """Return the reply to `asked`, computed by `answer` if it is not known."""
        return self.recall_all([asked], lambda _: [answer()])[0]

    def recall_all(
        self, asked: Sequence[Mapping[str, Any]], answers: Callable[[list[int]], Sequence[Reply]]
    ) -> list[Reply]:
        """Return the replies to all `asked`; `answers` computes those at the places that are not known.

        These are written together: an interrupted run has all of them or none.
        """
        keys = [_key(one) for one in asked]
        places = {key: place for place, key in enumerate(keys) if key not in self._replies}
        if places:
            missing = list(places.values())
            found = dict(zip(places, answers(missing), strict=True))
            self._replies |= found
            if self._file is not None:
                self._write({"asked": [asked[place] for place in missing], "replies": list(found.values())})
        return [self._replies[key] for key in keys]

    def close(self) -> None:
        """Close the file, for the next run to continue from. Closing twice is harmless."""
        if self._file is not None:
            with suppress(OSError):  # a full disk, which writing the answer reported
                self._file.close()
            self._file = None
        if self._lock is not None:
            with suppress(OSError):  # Windows wants it released first, and leaves an empty file
                Path(self._lock.lock_file).unlink()
            self._lock.release()
            self._lock = None

    def remove(self) -> None:
        """Delete the file, once the report is written."""
        self.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _acquire(self, path: Path) -> None:
        """Lock the file, so that two runs do not mix their lines."""
        lock = FileLock(path.with_suffix(".lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise PersonalError(f"{path} is being written by another run: wait for it, or take another OUT.") from error
        self._lock = lock

    def _read(self, path: Path, made_with: Mapping[str, Any]) -> int:
        """Read the replies of a file. Return where its last whole line ends, 0 if there is none."""
        data = path.read_bytes() if path.exists() else b""
        head, *lines = data[: data.rfind(b"\n") + 1].splitlines() or [b""]
        if not head:
            return 0
        record = _parse(head)
        if record.get("journal") != VERSION or not isinstance(record.get("made_with"), dict):
            raise PersonalError(f"{path} is no journal of an evaluation: move it away, or take another OUT.")
        for row in map(_parse, lines):
            for asked, reply in zip(row.get("asked", ()), row.get("replies", ()), strict=False):
                self._replies[_key(asked)] = reply
        if differences := _differences(record["made_with"], made_with):
            raise PersonalError(
                f"{path} holds {len(self._replies)} answers of a run with other settings ({differences}). Run it with "
                "those to finish it, take another OUT, or delete the file to start afresh."
            )
        return data.rfind(b"\n") + 1

    def _write(self, record: Mapping[str, Any]) -> None:
        try:
            self._file.write(json.dumps(record, ensure_ascii=False).encode("utf-8", "replace") + b"\n")
            self._file.flush()
            if time.monotonic() - self._synced > SYNC_S:
                os.fsync(self._file.fileno())
                self._synced = time.monotonic()
        except OSError as error:
            assert self._path is not None
            raise _unusable(self._path, error) from error


def _key(asked: Mapping[str, Any]) -> str:
    return json.dumps(asked, sort_keys=True, ensure_ascii=False)


def _parse(line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}


def _differences(then: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    names = [name for name in sorted({*then, *now}) if then.get(name) != now.get(name)]
    return ", ".join(f"{name} {then.get(name)}, now {now.get(name)}" for name in names[:4])


def _unusable(path: Path, error: OSError) -> PersonalError:
    return PersonalError(
        f"{path} cannot be written or read ({error.strerror or error}). Make room for it, or take another OUT; what it "
        "holds is kept."
    )

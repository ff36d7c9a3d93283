"""Install a folder of files in the cache once: under a lock, written beside its place and renamed at the end."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from personal.concepts import Progress
from personal.errors import ModelError
from personal.tiny.parts import Part, wheel

LOCK_WAIT_S = 1.0
"""Seconds between two reports that another process holds the lock."""


def install(
    home: Path,
    build: Callable[[Path], Iterator[Progress]],
    ready: Callable[[], bool],
    *,
    title: str,
    free_bytes: int,
    done: Progress,
) -> Iterator[Progress]:
    """Let `build` write into a temporary folder and move it to `home`, unless `ready`; yield its progress, then `done`.

    `title` names what is installed. Closing the iterator stops it cleanly. Raises ModelError if the disk is full or
    cannot be written.
    """
    if ready():
        return
    from filelock import FileLock, Timeout

    cache = home.parent
    try:
        cache.mkdir(parents=True, exist_ok=True)
        lock = FileLock(home.with_suffix(".lock"), thread_local=False)
        while True:
            try:
                lock.acquire(timeout=LOCK_WAIT_S)
                break
            except Timeout:
                yield Progress(f"Another process is installing {title}; waiting for it")
        try:
            if not ready():
                yield from _install(home, build, title, free_bytes)
                yield done
        finally:
            lock.release()
    except OSError as error:
        raise ModelError(f"{title.capitalize()} cannot be written into {cache}: {error}.") from error


def _install(
    home: Path, build: Callable[[Path], Iterator[Progress]], title: str, free_bytes: int
) -> Iterator[Progress]:
    free = shutil.disk_usage(home.parent).free
    if free < free_bytes:
        raise ModelError(f"{home.parent} has {free >> 20} MB free; {title} needs {free_bytes >> 20} MB.")
    partial = home.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    yield from build(partial)
    shutil.rmtree(home, ignore_errors=True)
    partial.rename(home)


def require_wheel(part: Part, folder: Path) -> Path:
    """Return a fetched part's wheel. Raises ModelError if it is gone."""
    path = wheel(part, folder)
    if path is None:
        raise ModelError(f"A downloaded file vanished from {folder}. Start again.")
    return path


def size_of(path: Path) -> int:
    """Return a file's size in bytes, -1 if it is not there."""
    try:
        return path.stat().st_size
    except OSError:
        return -1

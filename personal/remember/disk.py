"""Writing files so that a crash leaves the old or the new, never half of one; one process a folder; errors in words.

Knows nothing of concepts.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from personal.errors import StoreError

log = logging.getLogger(__name__)

TMP = ".tmp"
FULL = {errno.ENOSPC, errno.EDQUOT}


@contextmanager
def translate_errors(place: Path) -> Iterator[None]:
    """Raise an OSError of the block as a StoreError that says what to do about `place`."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise full(place) from error
        if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            words = f"{place} may not be read or written. Check its permissions or use another --data-dir."
        else:
            words = f"{place} cannot be used ({error.strerror or error}). Check the disk or use another --data-dir."
        raise StoreError(words) from error


def full(place: Path) -> StoreError:
    """Return the error for a full disk that holds `place`."""
    return StoreError(f"The disk that holds {place} is full. Free some space and try again.")


def make_private(folder: Path) -> None:
    """Close a folder and all folders in it to other users; folders that others own are left alone."""
    for parent, _, _ in os.walk(folder):
        if os.stat(parent).st_mode & 0o077:
            try:
                os.chmod(parent, 0o700)
            except PermissionError:
                log.warning("%s can be read by others, and is not this user's to shut.", parent)


def make_dir(path: Path) -> None:
    """Make a folder, and those above it that are missing, for this user alone; durable on return."""
    if path.is_dir():
        return
    make_dir(path.parent)
    path.mkdir(mode=0o700)
    sync_dir(path.parent)


def sync_dir(path: Path) -> None:
    """Make renames and deletions in a folder durable (a no-op where folders cannot be opened: Windows)."""
    if os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write(path: Path, data: bytes) -> None:
    """Write a file for this user alone: to a temporary beside it, fsync, rename. The folder is left to `sync_dir`."""
    temporary = path.with_name(path.name + TMP)
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError:
        if temporary.is_file():
            temporary.unlink()
        raise


def write_json(path: Path, value: Any) -> None:
    """Write a readable JSON file, durable on return, the folder's entry included."""
    write(path, (json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode())
    sync_dir(path.parent)


def move(source: Path, target: Path) -> None:
    """Rename within one disk, durable on return."""
    source.rename(target)
    sync_dir(target.parent)
    if source.parent != target.parent:
        sync_dir(source.parent)


def entries(folder: Path) -> list[Path]:
    """List a folder in the order of names; one that is not there is empty."""
    return sorted(folder.iterdir()) if folder.is_dir() else []


def remove(path: Path) -> None:
    """Remove a file or a whole folder."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def remove_all(paths: Iterable[Path]) -> None:
    """Remove files, durable on return; missing ones are skipped."""
    paths = list(paths)
    for path in paths:
        path.unlink(missing_ok=True)
    for place in {path.parent for path in paths if path.parent.is_dir()}:
        sync_dir(place)


def lock_folder(folder: Path, what: str) -> FileLock:
    """Lock a folder for this process. Raises StoreError, which names the process that holds it."""
    lock = FileLock(folder / "lock", timeout=0, thread_local=False, mode=0o600)
    holder = folder / "holder.json"
    try:
        lock.acquire()
    except Timeout as error:
        try:
            record = json.loads(holder.read_bytes())
            who = f"process {record['pid']} ({record['what']})"
        except (OSError, ValueError, KeyError, TypeError):
            who = "another process"
        raise StoreError(f"The library in {folder} is in use by {who}. Close it or use another --data-dir.") from error
    try:
        write_json(holder, {"pid": os.getpid(), "what": what})
    except OSError:
        lock.release()
        raise
    return lock

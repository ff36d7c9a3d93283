"""Backup: all that people keep in a data folder as one zip, taken while the app runs; and putting it back elsewhere.

    backup.json                         {"format": "personal-backup", "version": 1, "library": <library.json>}
    users.json, owners/<owner>/…        as in the data folder (`personal.remember.library_reader`)

Guests, the trash and uploads are left out, and so are sign-ins and the index: it is rebuilt at the next start, by
whatever encoder there is then.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from personal.errors import ImportExportError, StoreError
from personal.owners import lasts
from personal.remember import conversations, disk, record, users
from personal.remember.library import Library

FORMAT, VERSION = "personal-backup", 1
MANIFEST = "backup.json"
AGAIN = 5
"""How often a folder is read that changes meanwhile."""
JSON_MOST = 2**24
"""Bytes of a JSON file at most, when it is put back."""

_ID, _PICTURE = r"[A-Za-z0-9-]{1,64}", r"[0-9a-f]{64}\.jpg"
_NAME = re.compile(
    rf"users\.json|owners/([a-z0-9-]{{1,64}})/(preferences\.json"
    rf"|concepts/{_ID}/(concept\.json|views/{_PICTURE}|negatives/{_PICTURE})"
    rf"|conversations/{_ID}/(conversation\.json|photos/{_PICTURE}))"
)
"""All that a backup may hold beside its manifest."""


@dataclass(frozen=True, slots=True)
class Backup:
    """What a backup holds, in numbers."""

    owners: int
    concepts: int
    conversations: int
    files: int


# -- out -------------------------------------------------------------------------------------------------------------


def back_up(library: Library, target: Path) -> Backup:
    """Write a backup; the library may be in use. The file appears whole or not at all. Raises ImportExportError."""
    temporary = target.with_name(target.name + disk.TMP)
    names: list[str] = []
    try:
        try:
            private = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(private, "wb") as stream, zipfile.ZipFile(stream, "w") as archive:
                manifest = {"format": FORMAT, "version": VERSION, "library": {"schema": record.SCHEMA}}
                archive.writestr(MANIFEST, json.dumps(manifest))
                for path, data in _files(library):
                    names.append(path.relative_to(library.data_dir).as_posix())
                    kind = zipfile.ZIP_DEFLATED if path.suffix == ".json" else zipfile.ZIP_STORED
                    archive.writestr(names[-1], data, kind)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise ImportExportError(f"{target} cannot be written ({error.strerror or error}). Choose another.") from error
    return _counted(names)


def _files(library: Library) -> Iterator[tuple[Path, bytes]]:
    """Yield the files of all owners who last, each concept and conversation as it was at one moment."""
    yield from _present(library.data_dir / users.FILE)
    for owner in filter(lasts, library.owners()):
        home = library.data_dir / "owners" / owner
        yield from _present(home / "preferences.json")
        for kind, name in (("concepts", record.FILE), (conversations.FOLDER, conversations.FILE)):
            for folder in disk.entries(home / kind):
                yield from _snapshot(folder, name)


def _present(path: Path) -> Iterator[tuple[Path, bytes]]:
    if path.is_file():
        yield path, path.read_bytes()


def _snapshot(folder: Path, name: str) -> list[tuple[Path, bytes]]:
    """Return a folder's files at a moment when its record did not change; none if it is gone. Raises OSError."""
    for _ in range(AGAIN):
        try:
            before = (folder / name).read_bytes()
            pictures = sorted(folder.glob("*/*.jpg"))
            found = [(folder / name, before), *((path, path.read_bytes()) for path in pictures)]
            if (folder / name).read_bytes() == before:
                return found
        except FileNotFoundError:
            continue
    if not (folder / name).exists():
        return []
    raise OSError(None, f"{folder} changes all the time")


# -- in --------------------------------------------------------------------------------------------------------------


def restore(source: Path, data_dir: Path) -> Backup:
    """Put a backup into a data folder that holds nothing yet. Raises ImportExportError and StoreError.

    Everything is checked before anything is in place.
    """
    with disk.translate_errors(data_dir):
        disk.make_dir(data_dir)
        lock = disk.lock_folder(data_dir, "the shell")
        try:
            if any(disk.entries(data_dir / "owners")) or (data_dir / users.FILE).exists():
                raise StoreError(f"{data_dir} holds a library already. Restore into another --data-dir.")
            staged = data_dir / "gone" / secrets.token_hex(16)  # what a crash leaves there is removed at the next start
            try:
                names = _unpack(source, staged)
                return _put_in_place(staged, data_dir, names)
            finally:
                shutil.rmtree(staged, ignore_errors=True)
        finally:
            lock.release()


def _put_in_place(staged: Path, data_dir: Path, names: list[str]) -> Backup:
    if (staged / "owners").is_dir():
        if (data_dir / "owners").is_dir():
            (data_dir / "owners").rmdir()
        disk.move(staged / "owners", data_dir / "owners")
    record.library_id(data_dir, write=True)  # another library by its id, though of the same content
    if (staged / users.FILE).is_file():
        disk.move(staged / users.FILE, data_dir / users.FILE)
    return _counted(names)


def _unpack(source: Path, staged: Path) -> list[str]:
    try:
        with zipfile.ZipFile(source) as archive:
            _check_manifest(archive, source)
            entries = [entry for entry in archive.infolist() if entry.filename != MANIFEST]
            _check_entries(entries, source, shutil.disk_usage(staged.parent.parent).free)
            for entry in entries:
                _write(staged / entry.filename, archive.read(entry), source)
    except FileNotFoundError as error:
        raise ImportExportError(f"There is no file {source}.") from error
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, UnicodeDecodeError) as error:
        raise ImportExportError(f"{source} is no backup, or a damaged one.") from error
    return [entry.filename for entry in entries]


def _check_manifest(archive: zipfile.ZipFile, source: Path) -> None:
    try:
        if archive.getinfo(MANIFEST).file_size > JSON_MOST:
            raise ValueError
        told: Any = json.loads(archive.read(MANIFEST))
        version, schema = told["version"], told["library"]["schema"]
        if told["format"] != FORMAT or type(version) is not int or type(schema) is not int:
            raise ValueError
    except (KeyError, ValueError, TypeError, RecursionError) as error:
        raise ImportExportError(f"{source} is no backup of this app.") from error
    if version > VERSION or schema > record.SCHEMA:
        raise ImportExportError(f"{source} was written by a newer version. Update Personal.")


def _check_entries(entries: list[zipfile.ZipInfo], source: Path, free: int) -> None:
    names = [entry.filename for entry in entries]
    for name in names:
        found = _NAME.fullmatch(name)
        if not found or (found[1] and not lasts(found[1])):
            raise ImportExportError(f"{source} holds something that is no part of a backup. Nothing was restored.")
    if len(set(names)) != len(names):
        raise ImportExportError(f"{source} holds a file twice. Nothing was restored.")
    if any(entry.file_size > JSON_MOST for entry in entries if entry.filename.endswith(".json")):
        raise ImportExportError(f"{source} holds a record that is too large. Nothing was restored.")
    if sum(entry.file_size for entry in entries) > free:
        raise ImportExportError(f"There is not enough room on the disk for {source}. Nothing was restored.")


def _write(path: Path, data: bytes, source: Path) -> None:
    if path.suffix == ".jpg" and hashlib.sha256(data).hexdigest() != path.stem:
        raise ImportExportError(f"{source} is damaged: a photo in it is not what it was. Nothing was restored.")
    disk.make_dir(path.parent)
    disk.write(path, data)


def _counted(names: list[str]) -> Backup:
    homes = {name.split("/")[1] for name in names if name.startswith("owners/")}
    concepts, talks = (sum(name.endswith("/" + file) for name in names) for file in (record.FILE, conversations.FILE))
    return Backup(len(homes), concepts, talks, len(names))

"""Archive: the files of a .zip or folder that came from outside, behind one door that trusts nothing.

Names that lead elsewhere, links, bombs, encrypted and torn archives end here. Knows nothing of concepts.
"""

from __future__ import annotations

import lzma
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from personal.errors import ExchangeError

MAX_ENTRIES = 20_000
MAX_TOTAL = 2 * 2**30
MAX_RATIO = 200
"""Uncompressed over compressed size of one entry above 1 MiB; photos do not compress, JSON rarely beyond 50."""

JUNK = ("__MACOSX/", ".DS_Store", "Thumbs.db", "desktop.ini")

_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    LookupError,
    struct.error,
)
"""All that zipfile raises on bytes that are not what they seem."""


@dataclass
class Archive:
    """Files by their path (posix, relative, never leading out). `label` names the source, `skipped` what was left."""

    label: str
    files: dict[str, zipfile.ZipInfo | Path]
    skipped: list[str] = field(default_factory=list)
    zip: zipfile.ZipFile | None = None

    def read(self, path: str, limit: int) -> bytes:
        """Read a file of at most `limit` bytes. Raises ExchangeError where it is larger or damaged."""
        entry = self.files[path]
        try:
            with self._open(entry) as stream:
                data: bytes = stream.read(limit + 1)
        except _DAMAGE as error:
            raise ExchangeError(f"{path} in {self.label} is damaged and cannot be read.") from error
        if len(data) > limit:
            raise ExchangeError(f"{path} in {self.label} is larger than {limit // 2**20 or 1} MB.")
        return data

    def _open(self, entry: zipfile.ZipInfo | Path):  # type: ignore[no-untyped-def]
        if isinstance(entry, Path):
            return entry.open("rb")
        assert self.zip is not None
        return self.zip.open(entry)


@contextmanager
def opened(source: Path) -> Iterator[Archive]:
    """Open a .zip or folder. Raises ExchangeError where it is neither, or is not to be trusted."""
    if not source.exists():
        raise ExchangeError(f"{source} is not there. Give a .zip or a folder.")
    try:
        archive = None if source.is_dir() else zipfile.ZipFile(source)
        files = (
            _folder(source) if archive is None else Archive(source.name, _entries(archive, source.name), zip=archive)
        )
    except _DAMAGE as error:
        raise ExchangeError(f"{source.name} is no .zip, or a damaged one. Export or download it again.") from error
    try:
        yield files
    finally:
        if archive is not None:
            archive.close()


def _entries(archive: zipfile.ZipFile, label: str) -> dict[str, zipfile.ZipInfo | Path]:
    """Check all that a zip's directory says before any of it is read."""
    infos = archive.infolist()
    if len(infos) > MAX_ENTRIES:
        raise ExchangeError(f"{label} has {len(infos)} entries; {MAX_ENTRIES} are the most. Split it.")
    if sum(info.file_size for info in infos) > MAX_TOTAL:
        raise ExchangeError(f"{label} unpacks to more than {MAX_TOTAL // 2**30} GB. Split it.")
    found: dict[str, zipfile.ZipInfo | Path] = {}
    for info in infos:
        name = info.filename
        if _leads_out(name) or stat.S_ISLNK(info.external_attr >> 16):
            raise ExchangeError(f"{label} holds an entry that leads out of it ({name[:80]!r}). It was not touched.")
        if info.flag_bits & 1:
            raise ExchangeError(f"{label} is encrypted. Unpack it and import the folder.")
        if info.file_size > 2**20 and info.file_size > MAX_RATIO * max(1, info.compress_size):
            raise ExchangeError(f"{label} holds an entry that unpacks to far more than it should ({name[:80]!r}).")
        if info.is_dir() or _is_junk(name):
            continue
        if name in found:
            raise ExchangeError(f"{label} holds {name[:80]!r} twice. Make it anew.")
        found[name] = info
    return found


def _folder(source: Path) -> Archive:
    archive = Archive(source.resolve().name, {})
    root, total = source.resolve(), 0
    for parent, folders, names in os.walk(root):
        folders.sort()
        for link in [name for name in folders if (Path(parent) / name).is_symlink()]:
            archive.skipped.append(f"{(Path(parent) / link).relative_to(root).as_posix()} is a link and was skipped.")
        for name in sorted(names):
            path = Path(parent) / name
            relative = path.relative_to(root).as_posix()
            if _is_junk(relative):
                continue
            if not path.resolve().is_relative_to(root) or not path.is_file():
                archive.skipped.append(f"{relative} is no file of this folder and was skipped.")
                continue
            total += path.stat().st_size
            archive.files[relative] = path
            if len(archive.files) > MAX_ENTRIES or total > MAX_TOTAL:
                raise ExchangeError(
                    f"{source} holds more than {MAX_ENTRIES} files or {MAX_TOTAL // 2**30} GB. Import a part of it."
                )
    return archive


def _leads_out(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return "\\" in name or "\0" in name or name.startswith("/") or ".." in parts or bool(re.match(r"[A-Za-z]:", name))


def _is_junk(name: str) -> bool:
    return name.startswith(JUNK[0]) or name.rsplit("/", 1)[-1] in JUNK[1:]

"""Archive: the files of a .zip or folder that came from outside, behind one door that trusts nothing.

Names that lead elsewhere, links, bombs, encrypted and torn archives end here. Knows nothing of concepts.
"""

from __future__ import annotations

import lzma
import os
import re
import stat
import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from personal.errors import ImportExportError
from personal.remember import filenames

MAX_ENTRIES = 20_000
MAX_TOTAL = 2 * 2**30
GUEST_ENTRIES, GUEST_TOTAL = 2000, 200 * 2**20
"""What a guest's zip may hold: it is read in the memory that all share."""
ENTRY_BYTES = 300
"""Longest entry of a zip's directory on average; the directory is read as a whole."""
MAX_RATIO = 200
"""Uncompressed over compressed size of one entry above 1 MiB; photos do not compress, JSON rarely beyond 50."""

JUNK_FILES = frozenset({".ds_store", ".localized", ".directory", "thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"})
"""What file managers leave in folders, in lower case."""

HIDDEN = (".", "$", "@")
"""How the names of folders begin that systems and network drives keep for themselves."""

JUNK_FOLDERS = frozenset(
    ("__macosx", "thumbnails", "thumbnail", "thumbs", "_thumbs", "#recycle", "recycler", "recycled", "recycle.bin")
) | {
    *("recycle bin", "trash", "papierkorb", "corbeille", "papelera", "papelera de reciclaje", "cestino", "lixeira"),
    *("prullenbak", "lost+found", "system volume information", "network trash folder", "temporary items"),
}
"""Folders that hold no concepts at any depth, in lower case: recycle bins, thumbnails, a zip's resource forks."""

RECOVERED = re.compile(r"found\.\d{3}")
"""Folders in which Windows puts what it recovers from a disk."""

MAX_NAMED = 5
"""Files of a folder that are named one by one where nobody asked for them."""

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
    """Files by their path: posix, relative, never leading out, in NFC.

    `label` names the source, `skipped` says what was left out, `used` are the paths that were read.
    """

    label: str
    files: dict[str, zipfile.ZipInfo | Path] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    zip: zipfile.ZipFile | None = None
    used: set[str] = field(default_factory=set)

    def read(self, path: str, limit: int) -> bytes:
        """Read a file of at most `limit` bytes. Raises ImportExportError if it is larger or damaged."""
        self.used.add(path)
        data = self.head(path, limit + 1)
        if len(data) > limit:
            raise ImportExportError(f"{path} in {self.label} is larger than {limit // 2**20 or 1} MB.")
        return data

    def head(self, path: str, size: int) -> bytes:
        """Read the first `size` bytes of a file. Raises ImportExportError where they are damaged."""
        try:
            with self._open(self.files[path]) as stream:
                data: bytes = stream.read(size)
        except _DAMAGE as error:
            raise ImportExportError(f"{path} in {self.label} is damaged and cannot be read.") from error
        return data

    def unused(self) -> list[str]:
        """Return a sentence for each file that was not used; for many in one folder one with their number."""
        folders: dict[str, list[str]] = {}
        for path in self.files:
            if path not in self.used:
                folders.setdefault(path.rpartition("/")[0], []).append(path)
        notes = []
        for folder, paths in folders.items():
            if len(paths) > MAX_NAMED:
                what = f"{len(paths)} files in {folder or self.label}, {paths[0]} the first, are no photos"
                notes.append(f"{what} of a concept and were skipped.")
            else:
                notes += [f"{path} is no photo of a concept and was skipped." for path in paths]
        return notes

    def _open(self, entry: zipfile.ZipInfo | Path):  # type: ignore[no-untyped-def]
        if isinstance(entry, Path):
            return entry.open("rb")
        assert self.zip is not None
        return self.zip.open(entry)


@contextmanager
def open_archive(source: Path, *, guest: bool = False) -> Iterator[Archive]:
    """Open a .zip or folder; a `guest` may bring a smaller one. Raises ImportExportError if it is neither or unsafe."""
    if not source.exists():
        raise ImportExportError(f"{source} is not there. Give a .zip or a folder.")
    entries, total = (GUEST_ENTRIES, GUEST_TOTAL) if guest else (MAX_ENTRIES, MAX_TOTAL)
    try:
        if not source.is_dir():
            _check_directory(source, entries)
        zipped = None if source.is_dir() else zipfile.ZipFile(source)
        archive = _folder(source) if zipped is None else _zip(zipped, source.name, entries, total)
    except _DAMAGE as error:
        raise ImportExportError(f"{source.name} is no .zip, or a damaged one. Export or download it again.") from error
    try:
        yield archive
    finally:
        if zipped is not None:
            zipped.close()


def of_uploads(files: Sequence[tuple[str, Path]], label: str, *, guest: bool = False) -> Archive:
    """Make an archive of files by the paths that a browser gave them. Raises ImportExportError if there is too much."""
    most, total = (GUEST_ENTRIES, GUEST_TOTAL) if guest else (MAX_ENTRIES, MAX_TOTAL)
    if len(files) > most or sum(file.stat().st_size for _, file in files) > total:
        raise ImportExportError(f"{label} hold more than {most} files or {total // 2**20} MB. Bring a part of them.")
    archive, hidden = Archive(label), dict[str, None]()
    for name, file in files:
        path = unicodedata.normalize("NFC", name.replace("\\", "/"))
        if _leads_out(path) or path in archive.files:
            archive.skipped.append(f"{path[:80]!r} is no file of a folder and was skipped.")
        elif folder := _hidden(path):
            hidden[folder] = None
        elif not is_junk(path.rpartition("/")[2]):
            archive.files[path] = file
    archive.skipped += [_skipped(folder) for folder in hidden]
    return archive


def is_junk(name: str) -> bool:
    """Return whether a file of this name was left by a file manager or an office program."""
    return name.casefold() in JUNK_FILES or name.startswith(("._", "~$"))


_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR64 = struct.Struct("<4sLQL")


def _check_directory(source: Path, most: int) -> None:
    """Refuse a zip by what its last bytes say of its directory, which zipfile would read as a whole."""
    with source.open("rb") as stream:
        start = max(0, stream.seek(0, os.SEEK_END) - _END.size - 0xFFFF)
        stream.seek(start)
        tail = stream.read()
        end = tail.rfind(b"PK\5\6")
        if end < 0 or len(tail) - end < _END.size:
            return  # no zip: zipfile says so
        _, _, _, _, entries, size, _, _ = _END.unpack_from(tail, end)
        if end >= _LOCATOR64.size and tail[end - _LOCATOR64.size :].startswith(b"PK\6\7"):
            stream.seek(_LOCATOR64.unpack_from(tail, end - _LOCATOR64.size)[2])
            record = stream.read(_END64.size)
            if len(record) == _END64.size and record.startswith(b"PK\6\6"):
                *_, entries, size, _ = _END64.unpack(record)
    if size > most * ENTRY_BYTES or entries > most:
        raise ImportExportError(f"{source.name} has {entries} entries; {most} are the most. Split it.")


def _zip(zipped: zipfile.ZipFile, label: str, most: int, total: int) -> Archive:
    """Check all that a zip's directory says before any of it is read."""
    infos = zipped.infolist()
    if len(infos) > most:
        raise ImportExportError(f"{label} has {len(infos)} entries; {most} are the most. Split it.")
    if sum(info.file_size for info in infos) > total:
        raise ImportExportError(f"{label} unpacks to more than {total / 2**30:.1f} GB. Split it.")
    archive, hidden = Archive(label, zip=zipped), dict[str, None]()
    names, guess = filenames.of_zip(infos)
    for info, name in zip(infos, names, strict=True):
        name = name.replace("\\", "/")  # what Windows' own tools separate with
        if _leads_out(name) or stat.S_ISLNK(info.external_attr >> 16):
            raise ImportExportError(f"{label} holds an entry that leads out of it ({name[:80]!r}). It was not touched.")
        if info.flag_bits & 1:
            raise ImportExportError(f"{label} is encrypted. Unpack it and import the folder.")
        if info.file_size > 2**20 and info.file_size > MAX_RATIO * max(1, info.compress_size):
            raise ImportExportError(f"{label} holds an entry that unpacks to far more than it should ({name[:80]!r}).")
        path = unicodedata.normalize("NFC", PurePosixPath(name).as_posix())
        if name.endswith("/") or is_junk(path.rpartition("/")[2]):
            continue
        folder = _hidden(path)
        if folder:
            hidden[folder] = None
        elif path in archive.files:
            raise ImportExportError(f"{label} holds {name[:80]!r} twice. Make it anew.")
        else:
            archive.files[path] = info
    archive.skipped += [_skipped(folder) for folder in hidden]
    if guess:
        archive.skipped.append(
            f"The names in {label} do not say how they are encoded and were read as {guess}. Check them."
        )
    return archive


def _folder(source: Path) -> Archive:
    root, total = source.resolve(), 0
    archive = Archive(root.name)
    for parent, folders, names in os.walk(root):
        for link in [name for name in sorted(folders) if (Path(parent) / name).is_symlink()]:
            archive.skipped.append(f"{_relative(Path(parent) / link, root)} is a link and was skipped.")
        for folder in [name for name in sorted(folders) if _hidden(f"{name}/")]:
            if any(not is_junk(name) for _, _, inside in os.walk(Path(parent) / folder) for name in inside):
                archive.skipped.append(_skipped(_relative(Path(parent) / folder, root)))
        folders[:] = sorted(name for name in folders if not _hidden(f"{name}/"))
        for name in sorted(names):
            path = Path(parent) / name
            relative = _relative(path, root)
            if is_junk(name):
                continue
            if not path.resolve().is_relative_to(root) or not path.is_file() or relative in archive.files:
                archive.skipped.append(f"{relative} is no file of this folder and was skipped.")
                continue
            total += path.stat().st_size
            archive.files[relative] = path
            if len(archive.files) > MAX_ENTRIES or total > MAX_TOTAL:
                raise ImportExportError(
                    f"{source} holds more than {MAX_ENTRIES} files or {MAX_TOTAL // 2**30} GB. Import a part of it."
                )
    return archive


def _relative(path: Path, root: Path) -> str:
    return unicodedata.normalize("NFC", filenames.of_disk(path.relative_to(root)))


def _hidden(path: str) -> str:
    """Return the topmost folder of a path that is a system's own, or nothing."""
    folders = path.split("/")[:-1]
    for depth, folder in enumerate(folders, 1):
        junk = folder.casefold() in JUNK_FOLDERS or RECOVERED.fullmatch(folder.casefold())
        if junk or folder.startswith(HIDDEN):
            return "/".join(folders[:depth])
    return ""


def _skipped(folder: str) -> str:
    return f"{folder} was skipped: such folders hold no concepts."


def _leads_out(name: str) -> bool:
    return (
        "\0" in name
        or name.startswith("/")
        or ".." in PurePosixPath(name).parts
        or bool(re.match(r"[A-Za-z]:", name))
        or name in ("", ".")
    )

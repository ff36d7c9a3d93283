"""What is known of an owner's photos: one SQLite file, in which every photo is written whole or not at all.

The photos themselves stay where they are. Erasing overwrites what was there, and removing the file removes everything.
Knows nothing of models.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from personal.concepts import Box, Concept, Match
from personal.errors import StoreError
from personal.remember import disk

VERSION = 1
FILE = "photos.sqlite"
BUSY_S = 30.0
"""How long to wait for another writer of the file."""
SCHEMA = """
CREATE TABLE folders (id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, exif INTEGER NOT NULL);
CREATE TABLE photos (
    id INTEGER PRIMARY KEY, sha256 TEXT NOT NULL UNIQUE, width INTEGER NOT NULL, height INTEGER NOT NULL,
    gallery TEXT NOT NULL, labels TEXT NOT NULL, vector BLOB NOT NULL, thumbnail BLOB NOT NULL
);
CREATE TABLE files (
    path TEXT PRIMARY KEY, folder INTEGER NOT NULL REFERENCES folders ON DELETE CASCADE, size INTEGER NOT NULL,
    modified INTEGER NOT NULL, photo INTEGER REFERENCES photos, error TEXT NOT NULL, taken TEXT, latitude REAL,
    longitude REAL
) WITHOUT ROWID;
CREATE INDEX files_of_photo ON files (photo);
CREATE TABLE findings (
    photo INTEGER NOT NULL REFERENCES photos ON DELETE CASCADE, concept TEXT NOT NULL, similarity REAL NOT NULL,
    certainty TEXT NOT NULL, x0 REAL NOT NULL, y0 REAL NOT NULL, x1 REAL NOT NULL, y1 REAL NOT NULL
);
CREATE INDEX findings_of_photo ON findings (photo);
CREATE TABLE revision (number INTEGER NOT NULL);
INSERT INTO revision VALUES (abs(random() / 1000000));
"""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of photos; `exif` tells whether dates and places are read from its files."""

    id: int
    path: Path
    exif: bool


@dataclass(frozen=True, slots=True)
class Exif:
    """When (ISO 8601, local time) and where (degrees) a photo was taken, as far as its file says."""

    taken: str | None = None
    latitude: float | None = None
    longitude: float | None = None


@dataclass(frozen=True, slots=True)
class FileState:
    """How a file was when it was read: its size in bytes, and when it was changed, in nanoseconds."""

    size: int
    modified: int


@dataclass(frozen=True, slots=True)
class Finding:
    """A concept that was recognised in a photo; `certainty` is "sure" or "maybe"."""

    concept: str
    similarity: float
    certainty: str
    box: Box


@dataclass(frozen=True, slots=True)
class IndexedPhoto:
    """What is known of a photo's content.

    `vector` is float16 (dimension,), of unit length; `gallery` names the concepts that were looked for.
    """

    sha256: str
    width: int
    height: int
    gallery: str
    labels: tuple[str, ...]
    vector: bytes = field(repr=False)
    thumbnail: bytes = field(repr=False)
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """A photo as search and pages know it; `path` is the first of the files that hold it."""

    id: int
    sha256: str
    width: int
    height: int
    labels: frozenset[str]
    path: Path
    exif: Exif
    findings: tuple[Finding, ...]

    def known(self, concepts: Iterable[Concept]) -> list[tuple[Concept, Finding]]:
        """Return who is in the photo, and how; who was forgotten is left out."""
        by_id = {concept.id: concept for concept in concepts}
        return [(by_id[one.concept], one) for one in self.findings if one.concept in by_id]


@dataclass(frozen=True, slots=True)
class Counts:
    """How many folders, photos, and files that cannot be read there are."""

    folders: int
    photos: int
    errors: int


def finding_of(match: Match) -> Finding:
    """Return what is kept of a match in a photo."""
    return Finding(match.concept.id, match.similarity or 0.0, match.certainty, match.box or (0.0, 0.0, 1.0, 1.0))


class PhotoStore:
    """The file of one owner, `folder`/photos.sqlite. Methods raise StoreError if it cannot be used.

    Nothing is there until the first folder is added; what was erased is not made anew by work that goes on.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.path = folder / FILE

    @property
    def exists(self) -> bool:
        """Whether a folder was ever added."""
        return self.path.is_file()

    # -- folders -----------------------------------------------------------------------------------------------------

    def add_folder(self, path: Path, *, exif: bool | None = None) -> Folder:
        """Add a folder, or set its `exif`, which is off at first; None leaves it.

        On, dates and places are read at the next scan; off, they are erased now.
        """
        self._create()
        with self._writing() as db:
            db.execute("INSERT INTO folders (path, exif) VALUES (?, 0) ON CONFLICT DO NOTHING", (str(path),))
            number, before = db.execute("SELECT id, exif FROM folders WHERE path = ?", (str(path),)).fetchone()
            exif = bool(before) if exif is None else exif
            if bool(before) != exif:
                db.execute("UPDATE folders SET exif = ? WHERE id = ?", (exif, number))
                change = "size = -1" if exif else "taken = NULL, latitude = NULL, longitude = NULL"
                db.execute(f"UPDATE files SET {change} WHERE folder = ?", (number,))
        return Folder(number, path, exif)

    def remove_folder(self, folder: Folder) -> None:
        """Remove a folder and what is known of photos that are in no other; the photos stay where they are."""
        with self._writing() as db:
            db.execute("DELETE FROM folders WHERE id = ?", (folder.id,))
            _drop_orphans(db)

    def folders(self) -> list[Folder]:
        """List the folders in the order in which they were added."""
        with self._reading() as db:
            rows = db.execute("SELECT id, path, exif FROM folders ORDER BY id").fetchall() if db else []
        return [Folder(number, Path(path), bool(exif)) for number, path, exif in rows]

    # -- files -------------------------------------------------------------------------------------------------------

    def files(self, folder: Folder) -> dict[str, FileState]:
        """Return how each file of a folder was when it was read, by its path."""
        with self._reading() as db:
            rows = db.execute("SELECT path, size, modified FROM files WHERE folder = ?", (folder.id,)) if db else ()
            return {path: FileState(size, modified) for path, size, modified in rows}

    def errors(self) -> list[tuple[str, str]]:
        """List the files that cannot be read, and why."""
        with self._reading() as db:
            return db.execute("SELECT path, error FROM files WHERE error != '' ORDER BY path").fetchall() if db else []

    def forget_files(self, paths: Iterable[str]) -> None:
        """Drop files that are gone, and what is known of photos that no other file holds."""
        with self._writing() as db:
            db.executemany("DELETE FROM files WHERE path = ?", ((path,) for path in paths))
            _drop_orphans(db)

    def put_error(self, folder: Folder, path: Path, state: FileState, words: str) -> None:
        """Note that a file cannot be read, unless its folder was removed meanwhile."""
        with self._writing() as db:
            if not _is_there(db, folder):
                return
            _put_file(db, folder, path, state, None, words, Exif())

    # -- photos ------------------------------------------------------------------------------------------------------

    def has(self, sha256: str) -> bool:
        """Return whether a photo's content is known."""
        with self._reading() as db:
            return bool(db and db.execute("SELECT 1 FROM photos WHERE sha256 = ?", (sha256,)).fetchone())

    def put(
        self, folder: Folder, path: Path, state: FileState, sha256: str, photo: IndexedPhoto | None, exif: Exif
    ) -> None:
        """Write a file and, unless it is known, its photo; nothing where its folder was removed meanwhile."""
        with self._writing() as db:
            if not _is_there(db, folder):
                return
            if photo:
                db.execute(
                    "INSERT INTO photos (sha256, width, height, gallery, labels, vector, thumbnail)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                    (sha256, photo.width, photo.height, "", json.dumps(photo.labels), photo.vector, photo.thumbnail),
                )
            row = db.execute("SELECT id FROM photos WHERE sha256 = ?", (sha256,)).fetchone()
            if row is None:  # its other file was forgotten meanwhile: the next scan reads this one
                return
            (number,) = row
            if photo:
                _put_findings(db, number, photo.gallery, photo.findings)
            _put_file(db, folder, path, state, number, "", exif)

    def put_findings(self, sha256: str, gallery: str, findings: Sequence[Finding]) -> None:
        """Replace what was recognised in a photo."""
        with self._writing() as db:
            row = db.execute("SELECT id FROM photos WHERE sha256 = ?", (sha256,)).fetchone()
            if row:
                _put_findings(db, row[0], gallery, findings)

    def forget_concepts(self, known: Iterable[str]) -> None:
        """Drop what was found of concepts whose ids are not among these."""
        with self._reading() as db:
            found = {concept for (concept,) in db.execute("SELECT DISTINCT concept FROM findings")} if db else set()
        gone = found - set(known)
        if gone:
            with self._writing() as db:
                db.executemany("DELETE FROM findings WHERE concept = ?", ((concept,) for concept in gone))

    def outdated(self, gallery: str) -> list[tuple[str, list[str]]]:
        """List the photos in which other concepts were looked for than `gallery` names, with their files."""
        query = (
            "SELECT sha256, files.path FROM photos JOIN files ON files.photo = photos.id"
            " WHERE gallery != ? ORDER BY photos.id, files.path"
        )
        found: dict[str, list[str]] = {}
        with self._reading() as db:
            for sha256, path in db.execute(query, (gallery,)) if db else ():
                found.setdefault(sha256, []).append(path)
        return list(found.items())

    def thumbnail(self, sha256: str) -> bytes | None:
        """Return a photo's thumbnail, a JPEG."""
        with self._reading() as db:
            row = db.execute("SELECT thumbnail FROM photos WHERE sha256 = ?", (sha256,)).fetchone() if db else None
        return bytes(row[0]) if row else None

    def paths(self, sha256: str) -> list[Path]:
        """List the files that hold a photo."""
        query = "SELECT path FROM files WHERE photo = (SELECT id FROM photos WHERE sha256 = ?) ORDER BY path"
        with self._reading() as db:
            return [Path(path) for (path,) in db.execute(query, (sha256,))] if db else []

    def counts(self) -> Counts:
        """Count what there is."""
        query = "SELECT (SELECT COUNT(*) FROM folders), (SELECT COUNT(*) FROM photos),"
        query += " (SELECT COUNT(*) FROM files WHERE error != '')"
        with self._reading() as db:
            return Counts(*db.execute(query).fetchone()) if db else Counts(0, 0, 0)

    def revision(self) -> int:
        """Return a number that grows with every change; -1 while nothing is there."""
        with self._reading() as db:
            return int(db.execute("SELECT number FROM revision").fetchone()[0]) if db else -1

    def rows(self) -> tuple[list[Row], bytes]:
        """Return all photos, newest first where dates are known, and their vectors one after the other."""
        with self._reading() as db:
            if not db:
                return [], b""
            found: dict[int, list[Finding]] = {}
            for number, concept, similarity, certainty, *box in db.execute("SELECT * FROM findings"):
                found.setdefault(number, []).append(Finding(concept, similarity, certainty, _box(box)))
            rows = db.execute(
                "SELECT photos.id, sha256, width, height, labels, vector, MIN(path), taken, latitude, longitude"
                " FROM photos JOIN files ON files.photo = photos.id GROUP BY photos.id"
                " ORDER BY taken IS NULL, taken DESC, MIN(path)"
            ).fetchall()
        photos = [
            Row(
                *(number, sha256, width, height, frozenset(json.loads(labels)), Path(path), Exif(*exif)),
                tuple(found.get(number, ())),
            )
            for number, sha256, width, height, labels, _, path, *exif in rows
        ]
        return photos, b"".join(row[5] for row in rows)

    # -- the file ----------------------------------------------------------------------------------------------------

    def _create(self) -> None:
        with disk.translate_errors(self._folder):
            disk.make_dir(self._folder)
            self.path.touch(mode=0o600)
        with self._connected() as db:
            if db.execute("PRAGMA user_version").fetchone() == (0,):
                db.executescript(f"BEGIN EXCLUSIVE; {SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=rw", timeout=BUSY_S, uri=True)) as db:
                db.execute("PRAGMA secure_delete = ON")
                db.execute("PRAGMA foreign_keys = ON")
                yield db
        except sqlite3.Error as error:
            raise StoreError(
                f"The photo library {self.path} cannot be used ({error}). Try again; if it is damaged, delete the file "
                "and add your folders again: the photos themselves are not in it."
            ) from error

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        if not self.exists:
            yield None
            return
        with self._connected() as db:
            self._check_version(db)
            db.execute("BEGIN")  # all that is read is of one moment
            yield db

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """Make a change as a whole."""
        with self._connected() as db:
            self._check_version(db)
            with db:
                db.execute("BEGIN IMMEDIATE")
                yield db
                db.execute("UPDATE revision SET number = number + 1")

    def _check_version(self, db: sqlite3.Connection) -> None:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version != VERSION:
            raise StoreError(f"The photo library {self.path} was written by another version. Update, or delete it.")


def _box(edges: Sequence[float]) -> Box:
    x0, y0, x1, y1 = edges
    return x0, y0, x1, y1


def _is_there(db: sqlite3.Connection, folder: Folder) -> bool:
    row = db.execute("SELECT 1 FROM folders WHERE id = ? AND path = ?", (folder.id, str(folder.path))).fetchone()
    return row is not None


def _put_file(
    db: sqlite3.Connection, folder: Folder, path: Path, state: FileState, photo: int | None, error: str, exif: Exif
) -> None:
    before = db.execute("SELECT photo FROM files WHERE path = ?", (str(path),)).fetchone()
    values: Mapping[str, Any] = {
        "path": str(path), "folder": folder.id, "size": state.size, "modified": state.modified, "photo": photo,
        "error": error, "taken": exif.taken, "latitude": exif.latitude, "longitude": exif.longitude,
    }  # fmt: skip
    marks = ", ".join(f":{name}" for name in values)
    db.execute(f"INSERT OR REPLACE INTO files ({', '.join(values)}) VALUES ({marks})", values)
    if before and before[0] not in (None, photo):
        db.execute("DELETE FROM photos WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM files WHERE photo = ?1)", before)


def _put_findings(db: sqlite3.Connection, photo: int, gallery: str, findings: Sequence[Finding]) -> None:
    db.execute("DELETE FROM findings WHERE photo = ?", (photo,))
    db.executemany(
        "INSERT INTO findings VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [(photo, one.concept, one.similarity, one.certainty, *one.box) for one in findings],
    )
    db.execute("UPDATE photos SET gallery = ? WHERE id = ?", (gallery, photo))


def _drop_orphans(db: sqlite3.Connection) -> None:
    db.execute("DELETE FROM photos WHERE id NOT IN (SELECT photo FROM files WHERE photo IS NOT NULL)")

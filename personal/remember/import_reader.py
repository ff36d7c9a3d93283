"""Reading what is to be imported: our .zip, RAP's `database.json` folder, a folder of folders; of folders also a .zip.

Everything is read and checked here before anything is written; `personal.remember.import_export` does the writing.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from personal.concepts import Photo
from personal.errors import ConceptError, ImageError, ImportExportError
from personal.folding import folded
from personal.images import read_photo
from personal.remember.archive import Archive, of_uploads, open_archive
from personal.remember.names import clean_attributes, clean_category, clean_info, clean_name
from personal.remember.record import MAX_NEGATIVES, MAX_VIEWS
from personal.settings import Settings
from personal.signatures import is_picture

FORMAT = "personal"
VERSION = 1
MAX_JSON = 16 * 2**20
SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"),
    *(".heic", ".heif", ".hif", ".avif"),
)
"""What a photo's name ends in; a file of another name is one if its content is."""


@dataclass(frozen=True, slots=True)
class ImportedConcept:
    """A concept as it arrives. `problems` lists what was left out; `refused` says why it cannot come in, if so."""

    name: str
    category: str = ""
    info: str = ""
    photos: tuple[Photo, ...] = ()
    avatar: str = ""
    problems: tuple[str, ...] = ()
    refused: str = ""
    negatives: tuple[Photo, ...] = ()
    attributes: tuple[str, ...] = ()
    by_face: bool = False


def read(source: Path, settings: Settings | None = None, *, guest: bool = False) -> list[ImportedConcept]:
    """Read our .zip, RAP's folder (or its database.json), or a folder of folders; of folders also a .zip.

    Photos are taken in by `personal.images` within the limits of `settings`; a damaged one is left out and listed. What
    a `guest` brings must be smaller.
    Raises ImportExportError where nothing can be imported.
    """
    if source.name == "database.json" and source.is_file():
        source = source.parent
    with open_archive(source, guest=guest) as archive:
        return _read(archive, settings or Settings())


def read_uploads(
    files: Sequence[tuple[str, Path]], settings: Settings, *, guest: bool = False
) -> list[ImportedConcept]:
    """Read folders that a browser uploaded, file by file, each with its path among them; as `read` does."""
    return _read(of_uploads(files, "these folders", guest=guest), settings)


def _read(archive: Archive, settings: Settings) -> list[ImportedConcept]:
    incoming = _once_each(list(_Reader(archive, settings).concepts()))
    left_out = (*archive.skipped, *archive.unused())
    if not incoming:
        needed = f"There are no concepts in {archive.label}: a folder of photos for each is what is needed."
        raise ImportExportError(" ".join([needed, *left_out[:3]]))
    if all(concept.refused for concept in incoming):
        reasons = " ".join(f"<{c.name}>: {c.refused}" for c in incoming[:3])
        raise ImportExportError(f"Nothing in {archive.label} can be imported. {reasons}")
    incoming[0] = replace(incoming[0], problems=(*incoming[0].problems, *left_out))
    return incoming


class _Reader:
    """Detects which of the three forms an archive has, and reads its concepts."""

    def __init__(self, archive: Archive, settings: Settings) -> None:
        self.archive = archive
        self.settings = settings

    def concepts(self) -> Iterator[ImportedConcept]:
        root = self._root("manifest.json")
        if root is not None:
            return self._ours(root)
        root = self._root("database.json")
        if root is not None:
            return self._rap(root)
        return self._folders()

    def _root(self, name: str) -> str | None:
        """Find the folder that holds `name`: the archive itself, or the only folder in it."""
        if name in self.archive.files:
            return ""
        tops = {path.split("/", 1)[0] for path in self.archive.files}
        top = tops.pop() if len(tops) == 1 else ""
        return f"{top}/" if f"{top}/{name}" in self.archive.files else None

    def _ours(self, root: str) -> Iterator[ImportedConcept]:
        manifest = self._json_object(f"{root}manifest.json")
        version = manifest.get("version")
        if manifest.get("format") != FORMAT or type(version) is not int:
            raise ImportExportError(
                f"{self.archive.label} has a manifest.json that is not Personal's. Choose an export."
            )
        if version > VERSION:
            raise ImportExportError(f"{self.archive.label} was written by a newer version. Update Personal.")
        paths = [path for path in self.archive.files if path.startswith(f"{root}concepts/")]
        self.archive.used |= set(paths)  # what no record names there is no photo of a concept any more
        records = [path for path in paths if path.endswith("/concept.json") and path.count("/") == root.count("/") + 2]
        for path in sorted(records, key=lambda path: (len(path), path)):
            record = self._json_object(path)
            views, negatives = (
                [f"{path.removesuffix('concept.json')}{folder}/{view}.jpg" for view in self._hashes(path, listed)]
                for folder, listed in (("views", record.get("views")), ("negatives", record.get("negatives", [])))
            )
            concept = self._incoming(record, views, record.get("avatar"), negatives)
            yield replace(concept, by_face=record.get("by_face") is True and not concept.refused)

    def _hashes(self, path: str, listed: object) -> list[str]:
        if not isinstance(listed, list) or not all(isinstance(view, str) for view in listed):
            raise ImportExportError(f"{path} in {self.archive.label} has a list of views that makes no sense.")
        return listed

    def _rap(self, root: str) -> Iterator[ImportedConcept]:
        """RAP's database (github.com/Hoar012/RAP-MLLM): concept_dict {"<bo>": {name, image, info, category}}."""
        path = f"{root}database.json"
        database = self._json_object(path).get("concept_dict")
        if not isinstance(database, dict):
            raise ImportExportError(f"{path} in {self.archive.label} has no concept_dict: it is not RAP's.")
        for key, record in database.items():
            if not isinstance(record, dict):
                raise ImportExportError(f"{key[:80]!r} in {path} is not of RAP's form.")
            images = record.get("image", [])
            images = [images] if isinstance(images, str) else images
            if not isinstance(images, list) or not all(isinstance(image, str) for image in images):
                raise ImportExportError(f"{key[:80]!r} in {path} has an image that is no path.")
            named = {k: record.get(k) for k in ("category", "info")} | {"name": record.get("name") or key}
            yield self._incoming(named, [self._suffix(root, image) or image for image in images], None)

    def _suffix(self, root: str, image: str) -> str | None:
        """Find a photo whose path is relative to the database's folder, or to any folder above it."""
        parts = PurePosixPath(image.replace("\\", "/")).parts
        tails = (unicodedata.normalize("NFC", "/".join(parts[start:])) for start in range(len(parts)))
        return next((root + tail for tail in tails if root + tail in self.archive.files), None)

    def _folders(self) -> Iterator[ImportedConcept]:
        photos = [path for path in self.archive.files if path.lower().endswith(SUFFIXES) or self._is_picture(path)]
        depth = 0
        while photos and all(path.count("/") > depth + 1 for path in photos) and len(_at(photos, depth)) == 1:
            depth += 1
        named = [path for path in photos if path.count("/") > depth]
        for name in _at(named, depth):
            inside = [path for path in named if path.split("/")[depth] == name]
            yield self._incoming({"name": name}, sorted(inside), None)

    def _is_picture(self, path: str) -> bool:
        try:
            return is_picture(self.archive.head(path, 4096))
        except ImportExportError:
            return False

    def _incoming(
        self, record: dict[str, Any], paths: list[str], avatar: object, negatives: Sequence[str] = ()
    ) -> ImportedConcept:
        name = record.get("name")
        self.archive.used |= {*paths, *negatives}
        try:
            name = clean_name(name)  # type: ignore[arg-type]
            category = clean_category(record.get("category") or "")
            info = clean_info(record.get("info") or "")
            attributes = clean_attributes(record.get("attributes") or [])
        except ConceptError as error:
            return ImportedConcept(str(name)[:64], refused=str(error))
        problems: list[str] = []
        photos = self._photos(paths, MAX_VIEWS, problems, f"<{name}> has more than {MAX_VIEWS} photos")
        hashes = {photo.sha256 for photo in photos.values()}
        against = self._photos(negatives[-MAX_NEGATIVES:], MAX_NEGATIVES, problems)
        if len(negatives) > MAX_NEGATIVES:
            problems.append(f"<{name}> has more than {MAX_NEGATIVES} negatives; the oldest were left out.")
        chosen = next((photo.sha256 for path, photo in photos.items() if PurePosixPath(path).stem == avatar), "")
        unique = tuple({photo.sha256: photo for photo in photos.values()}.values())
        not_it = tuple({photo.sha256: photo for photo in against.values() if photo.sha256 not in hashes}.values())
        refused = "" if photos else " ".join(["None of its photos can be used.", *problems[:1]])
        return ImportedConcept(name, category, info, unique, chosen, tuple(problems), refused, not_it, attributes)

    def _photos(self, paths: Sequence[str], most: int, problems: list[str], beyond: str = "") -> dict[str, Photo]:
        """Read photos by their paths; what cannot be read, or is beyond `most`, is listed in `problems`."""
        photos: dict[str, Photo] = {}
        for path in paths:
            if len(photos) == most:
                problems.append(f"{beyond}; the others were left out.")
                break
            try:
                photos[path] = photo = self._photo(path)
                problems += [f"{path}: {photo.hint}."] if photo.hint else []
            except (ImageError, ImportExportError) as error:
                problems.append(f"{path} was left out: {error}")
        return photos

    def _photo(self, path: str) -> Photo:
        if path not in self.archive.files:
            raise ImportExportError(f"it is not in {self.archive.label}.")
        limits = self.settings
        data = self.archive.read(path, limits.max_bytes)
        return read_photo(data, max_bytes=limits.max_bytes, max_pixels=limits.max_pixels, max_side=limits.max_side)

    def _json_object(self, path: str) -> dict[str, Any]:
        try:
            value = json.loads(self.archive.read(path, MAX_JSON))
        except (ValueError, RecursionError) as error:
            raise ImportExportError(f"{path} in {self.archive.label} is no JSON. Export it again.") from error
        if not isinstance(value, dict):
            raise ImportExportError(f"{path} in {self.archive.label} is not of a form that can be imported.")
        return value


def _at(paths: list[str], depth: int) -> list[str]:
    return sorted({path.split("/")[depth] for path in paths})


def _once_each(incoming: list[ImportedConcept]) -> list[ImportedConcept]:
    """Refuse a concept whose name came before."""
    seen: set[str] = set()
    checked = []
    for concept in incoming:
        if not concept.refused and folded(concept.name) in seen:
            concept = replace(concept, refused="Its name is there twice. Rename one.")
        if not concept.refused:
            seen.add(folded(concept.name))
        checked.append(concept)
    return checked

"""A dataset, into which every published layout is read, and what the readers share.

Photos are paths, read when they are needed. Concepts and photos are known by name and path, never by position, so that
an unreadable photo shifts nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from personal.concepts import Box
from personal.errors import ImageError, PersonalError
from personal.images import open_photo, read_photo

PICTURES = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif")


@dataclass(frozen=True, slots=True)
class Subject:
    """A concept of a dataset. `references` are empty if the layout has no split; `negatives` do not show it."""

    name: str
    references: tuple[Path, ...] = ()
    category: str = ""
    info: str = ""
    negatives: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Query:
    """A photo to ask about, and the `concepts` in it that count; naming one of `others` counts neither way.

    `together` are the concepts that the layout's own protocol registers for it, empty for all. A concept may have a
    box or a mask.
    """

    path: Path
    concepts: frozenset[str]
    others: frozenset[str] = frozenset()
    together: frozenset[str] = frozenset()
    captions: tuple[str, ...] = ()
    condition: str = ""
    boxes: Mapping[str, Box] = field(default_factory=dict)
    masks: Mapping[str, Path] = field(default_factory=dict)

    def known_boxes(self) -> dict[str, Box]:
        """Return the boxes, and those around the bright parts of masks; an unusable mask gives none."""
        found = dict(self.boxes)
        for name, path in self.masks.items():
            try:
                bright = np.asarray(open_photo(read_photo(path)).convert("L")) > 127
            except ImageError:
                continue
            if bright.any():
                (height, width), (down, across) = bright.shape, np.nonzero(bright)
                found[name] = (
                    float(across.min() / width),
                    float(down.min() / height),
                    float((across.max() + 1) / width),
                    float((down.max() + 1) / height),
                )
        return found


@dataclass(frozen=True, slots=True)
class Search:
    """A search by "<name> + context": `text` has a * for each of `concepts`, in this order; `photos` are right."""

    text: str
    concepts: tuple[str, ...]
    photos: frozenset[Path]


@dataclass(frozen=True, slots=True)
class Question:
    """A question about concepts and its answer, a letter if there are options in `options` or in `text`."""

    concepts: tuple[str, ...]
    text: str
    answer: str
    options: tuple[str, ...] = ()
    photo: Path | None = None


@dataclass(frozen=True)
class Dataset:
    """A dataset of any layout; `notes` tell what was left out."""

    layout: str
    folder: Path
    subjects: tuple[Subject, ...]
    queries: tuple[Query, ...]
    searches: tuple[Search, ...] = ()
    questions: tuple[Question, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def split(self) -> bool:
        """Whether the layout itself has reference photos."""
        return any(subject.references for subject in self.subjects)

    def file(self, path: Path) -> str:
        """Return a photo's name in reports: its path below the dataset's folder if it is there, else its file name."""
        return path.relative_to(self.folder).as_posix() if path.is_relative_to(self.folder) else path.name


def pictures(folder: Path) -> tuple[Path, ...]:
    """Return the picture files of a folder by name, none if there is no such folder."""
    if not folder.is_dir():
        return ()
    files = (path for path in folder.iterdir() if path.suffix.lower() in PICTURES and not path.name.startswith("."))
    return tuple(sorted(path for path in files if path.is_file()))


def folders(folder: Path) -> list[Path]:
    """Return the folders in a folder by name without hidden ones, none if there is no such folder."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith((".", "__")))


def load(path: Path) -> Any:
    """Read a json file. Raises PersonalError."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise PersonalError(f"{path} cannot be read as json ({error}). Download it again.") from error


def find(roots: Sequence[Path], name: str) -> Path | None:
    """Find a file by a path of another machine: by its longest ending that exists below one of `roots`."""
    parts = [part for part in PurePosixPath(name.replace("\\", "/")).parts if part.strip("./")]
    tails = (parts[start:] for start in range(len(parts)))
    paths = (root.joinpath(*tail) for tail in tails for root in roots)
    return next((path for path in paths if path.is_file()), None)

"""The drawn samples of the first run: three concepts, three photos (made by `assets/draw.py`)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from personal.concepts import Photo
from personal.images import read_photo

FOLDER = Path(__file__).parents[2] / "assets" / "samples"


@dataclass(frozen=True)
class Sample:
    """A concept to try things with."""

    name: str
    category: str
    info: str
    photos: tuple[Photo, ...]


@dataclass(frozen=True)
class Samples:
    concepts: tuple[Sample, ...]
    photos: tuple[Photo, ...]


@cache
def read_samples() -> Samples:
    """Read the samples that ship with the app."""
    listing = json.loads((FOLDER / "samples.json").read_text(encoding="utf-8"))
    return Samples(
        tuple(
            Sample(c["name"], c["category"], c["info"], tuple(read_photo(FOLDER / file) for file in c["views"]))
            for c in listing["concepts"]
        ),
        tuple(read_photo(FOLDER / photo["file"]) for photo in listing["photos"]),
    )

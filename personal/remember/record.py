"""concept.json and preferences.json: values to readable JSON and back, with nothing taken on trust.

People may edit these files by hand; whatever does not fit is a ValueError in words, never half a concept.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from personal.concepts import Concept, Preferences, View
from personal.errors import ConceptError
from personal.remember.names import clean_category, clean_info, clean_name

SCHEMA = 1
"""The form of the data folder that this version writes; newer ones are refused."""

FILE = "concept.json"
VIEWS = "views"
MAX_VIEWS = 100

_SHA256 = re.compile(r"[0-9a-f]{64}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def as_json(concept: Concept) -> dict[str, Any]:
    """Lay a concept out as it stands in its concept.json."""
    return {
        "schema": SCHEMA,
        "id": concept.id,
        "name": concept.name,
        "category": concept.category,
        "info": concept.info,
        "avatar": concept.avatar,
        "created": concept.created,
        "updated": concept.updated,
        "views": [{"sha256": v.sha256, "width": v.width, "height": v.height} for v in concept.views],
    }


def view_file(folder: Path, sha256: str) -> Path:
    """Tell where a concept's folder keeps a view."""
    return folder / VIEWS / f"{sha256}.jpg"


def read(folder: Path, concept_id: str) -> Concept:
    """Read the concept of a folder. Raises ValueError, in words, where it is damaged, and OSError."""
    record = json.loads((folder / FILE).read_text("utf-8"))
    try:
        views = tuple(View(v["sha256"], _size(v["width"]), _size(v["height"])) for v in record["views"])
        concept = Concept(
            id=record["id"],
            name=clean_name(record["name"]),
            category=clean_category(record["category"]),
            info=clean_info(record["info"]),
            views=views,
            avatar=record["avatar"],
            created=record["created"],
            updated=record["updated"],
        )
        hashes = [view.sha256 for view in views]
        if record["schema"] != SCHEMA or concept.id != concept_id:
            raise ValueError("its schema or id is not what it should be")
        if not all(_TIME.fullmatch(when) for when in (concept.created, concept.updated)):
            raise ValueError("a time in it is no time")
        if not views or len(set(hashes)) < len(hashes) or not all(_SHA256.fullmatch(sha) for sha in hashes):
            raise ValueError("its list of views makes no sense")
        if concept.avatar not in hashes:
            raise ValueError("its avatar is none of its views")
    except (KeyError, TypeError) as error:
        raise ValueError(f"something is missing or of the wrong kind ({error})") from error
    except ConceptError as error:
        raise ValueError(str(error)) from error
    lost = sum(not view_file(folder, sha).is_file() for sha in hashes)
    if lost:
        raise ValueError(f"{lost} of its {len(views)} photos are missing")
    return concept


def read_preferences(path: Path) -> Preferences:
    """Read an owner's wishes; no file means none. Raises ValueError where it is damaged, and OSError."""
    if not path.is_file():
        return Preferences()
    record = json.loads(path.read_text("utf-8"))
    try:
        return checked(Preferences(record["threshold"], record["top_k"]))
    except (KeyError, TypeError) as error:
        raise ValueError(f"something is missing or of the wrong kind ({error})") from error


def checked(wishes: Preferences) -> Preferences:
    """Return the wishes, or raise a ValueError where they are out of range."""
    if wishes.threshold is not None and not -1.0 <= wishes.threshold <= 1.0:
        raise ValueError("the threshold must be from -1 to 1")
    if wishes.top_k is not None and not (type(wishes.top_k) is int and 1 <= wishes.top_k <= 20):
        raise ValueError("top_k must be a whole number from 1 to 20")
    return wishes


def _size(value: object) -> int:
    if type(value) is not int or not 0 < value < 1_000_000:
        raise ValueError("the size of a view makes no sense")
    return value

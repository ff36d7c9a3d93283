"""library.json, concept.json and preferences.json: values to readable JSON and back, with nothing taken on trust.

People may edit these files by hand; whatever does not fit is a ValueError in words, never half a concept.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from personal.concepts import Concept, Preferences, View
from personal.errors import ConceptError, StoreError
from personal.remember import disk
from personal.remember.names import clean_attributes, clean_category, clean_info, clean_name

SCHEMA = 2
"""The form of the data folder that this version writes; newer ones are refused. 2: negatives and attributes."""

FILE = "concept.json"
VIEWS = "views"
NEGATIVES = "negatives"
MAX_VIEWS = 100
MAX_NEGATIVES = 24
"""The oldest go where there would be more."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def library_id(data_dir: Path, *, write: bool) -> str:
    """Return the id of a data folder from its library.json; with `write` bring that file up to date.

    Raises StoreError if it is damaged or of a newer version, and OSError.
    """
    path, found = data_dir / "library.json", {"schema": SCHEMA}
    if path.is_file():
        try:
            found = json.loads(path.read_bytes())
            if type(found["schema"]) is not int or found["schema"] < 1 or not isinstance(found.get("id", ""), str):
                raise ValueError
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreError(f'{path} is damaged: it should hold {{"schema": {SCHEMA}}}. Mend or move it.') from error
    if found["schema"] > SCHEMA:
        raise StoreError(
            f"The library in {data_dir} was written by a newer version (schema {found['schema']}, this one "
            f"knows {SCHEMA}). Update Personal, or use another --data-dir."
        )
    now = {**found, "schema": SCHEMA, "id": found.get("id") or uuid.uuid4().hex}
    if write and (now != found or not path.is_file()):
        disk.write_json(path, now)  # before any concept is written in the newer form
    return str(now["id"])


def as_json(concept: Concept) -> dict[str, Any]:
    """Return the content of a concept's concept.json."""
    return {
        "schema": SCHEMA,
        "id": concept.id,
        "name": concept.name,
        "category": concept.category,
        "info": concept.info,
        "avatar": concept.avatar,
        "created": concept.created,
        "updated": concept.updated,
        "attributes": list(concept.attributes),
        **({"by_face": True} if concept.by_face else {}),
        "views": _pictures_as_json(concept.views),
        "negatives": _pictures_as_json(concept.negatives),
    }


def view_file(folder: Path, sha256: str, *, negative: bool = False) -> Path:
    """Return the path of a view, or a negative, in a concept's folder."""
    return folder / (NEGATIVES if negative else VIEWS) / f"{sha256}.jpg"


def files(folder: Path, concept: Concept) -> list[Path]:
    """Return the paths of a concept's pictures: its views, then its negatives."""
    views = [view_file(folder, view.sha256) for view in concept.views]
    return views + [view_file(folder, view.sha256, negative=True) for view in concept.negatives]


def read(folder: Path, concept_id: str) -> Concept:
    """Read the concept of a folder. Raises ValueError with a message if it is damaged, and OSError."""
    record = json.loads((folder / FILE).read_bytes())
    try:
        views = _pictures(record["views"])
        schema, later = record["schema"], record["schema"] != 1
        concept = Concept(
            id=record["id"],
            name=clean_name(record["name"]),
            category=clean_category(record["category"]),
            info=clean_info(record["info"]),
            views=views,
            avatar=record["avatar"],
            created=record["created"],
            updated=record["updated"],
            negatives=_pictures(record["negatives"]) if later else (),
            attributes=clean_attributes(record["attributes"]) if later else (),
            by_face=record.get("by_face", False),
        )
        hashes = [view.sha256 for view in views]
        every = hashes + [view.sha256 for view in concept.negatives]
        if type(schema) is not int or not 1 <= schema <= SCHEMA or concept.id != concept_id:
            raise ValueError("its schema or id is not what it should be")
        if type(concept.by_face) is not bool:
            raise ValueError("by_face must be true or false")
        if not all(_TIME.fullmatch(when) for when in (concept.created, concept.updated)):
            raise ValueError("a time in it is no time")
        if not views or len(set(every)) < len(every) or not all(_SHA256.fullmatch(sha) for sha in every):
            raise ValueError("its list of views makes no sense")
        if concept.avatar not in hashes:
            raise ValueError("its avatar is none of its views")
    except (KeyError, TypeError) as error:
        raise ValueError(f"something is missing or of the wrong kind ({error})") from error
    except ConceptError as error:
        raise ValueError(str(error)) from error
    lost = sum(not path.is_file() for path in files(folder, concept))
    if lost:
        raise ValueError(f"{lost} of its {len(every)} photos are missing")
    return concept


def read_preferences(path: Path) -> Preferences:
    """Read an owner's preferences; no file means none. Raises ValueError if it is damaged, and OSError."""
    if not path.is_file():
        return Preferences()
    record = json.loads(path.read_bytes())
    try:
        return validated(Preferences(record["threshold"], record["top_k"], record.get("confidence")))
    except (KeyError, TypeError) as error:
        raise ValueError(f"something is missing or of the wrong kind ({error})") from error


def validated(wishes: Preferences) -> Preferences:
    """Return the preferences. Raises ValueError if one is out of range."""
    if wishes.threshold is not None and not -1.0 <= wishes.threshold <= 1.0:
        raise ValueError("the threshold must be from -1 to 1")
    if wishes.confidence is not None and not 0.0 < wishes.confidence < 1.0:
        raise ValueError("the confidence must be between 0 and 1")
    if wishes.top_k is not None and not (type(wishes.top_k) is int and 1 <= wishes.top_k <= 20):
        raise ValueError("top_k must be a whole number from 1 to 20")
    return wishes


def _pictures_as_json(views: Iterable[View]) -> list[dict[str, Any]]:
    return [{"sha256": view.sha256, "width": view.width, "height": view.height} for view in views]


def _pictures(value: Iterable[Any]) -> tuple[View, ...]:
    return tuple(View(v["sha256"], _size(v["width"]), _size(v["height"])) for v in value)


def _size(value: object) -> int:
    if type(value) is not int or not 0 < value < 1_000_000:
        raise ValueError("the size of a view makes no sense")
    return value

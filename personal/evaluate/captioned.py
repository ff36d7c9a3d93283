"""The captioned photos that protocols ask about."""

from __future__ import annotations

from personal.concepts import Photo
from personal.data.photos import CaptionedPhoto, Photos
from personal.errors import PersonalError
from personal.images import read_photo


def photos_of_test_split(photos: Photos, limit: int | None = None) -> list[CaptionedPhoto]:
    """Return the first `limit` captioned photos of the test split. Raises PersonalError if there are none."""
    rows = [row for row in photos.split("test") if row.captions][:limit]
    if not rows:
        raise PersonalError(
            f'{photos.folder} has no photo to test on: a line of its captions.jsonl needs "split": "test" and captions.'
        )
    return rows


def read_captioned(photos: Photos, row: CaptionedPhoto, notes: list[str]) -> Photo | None:
    """Read a captioned photo; an unusable one adds a note and gives None."""
    try:
        return read_photo(photos.read(row.image))
    except PersonalError as error:
        notes.append(f"{row.image} left out: {error}")
        return None

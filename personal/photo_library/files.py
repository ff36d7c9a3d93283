"""The photos of a folder: which files they are, and what their EXIF says of when and where they were taken.

Reads only. EXIF is read only by `read_exif`, for folders whose owner wishes it.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import ExifTags, Image

from personal.errors import PersonalError
from personal.images import DECODER_ERRORS
from personal.photo_library.store import Exif, FileState

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif"}
_TAKEN = re.compile(r"(\d{4}):(\d\d):(\d\d)[ T](\d\d):(\d\d):(\d\d)")


def check_folder(path: Path, data_dir: Path) -> Path:
    """Return a folder's full path. Raises PersonalError if it cannot be a folder of photos."""
    try:
        folder = path.expanduser().resolve()
        there = folder.is_dir()
    except (OSError, RuntimeError, ValueError) as error:
        raise PersonalError(f"The folder {path} cannot be used. Type its full path.") from error
    if not there:
        raise PersonalError(f"There is no folder {folder}. Type the full path of a folder with photos.")
    if not os.access(folder, os.R_OK | os.X_OK):
        raise PersonalError(f"The folder {folder} may not be read. Check its permissions.")
    data = data_dir.resolve()
    if folder == data or data in folder.parents or folder in data.parents:
        raise PersonalError(f"{folder} holds the app's own data, or is in it. Choose a folder with photos.")
    return folder


def photos_in(folder: Path) -> Iterator[tuple[Path, FileState]]:
    """Yield the pictures in a folder and those below it in the order of names; hidden ones and links are left out."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(parent, name)
            if name.startswith(".") or path.suffix.lower() not in SUFFIXES or path.is_symlink():
                continue
            try:
                found = path.stat()
            except OSError:  # it went while the folder was listed
                continue
            yield path, FileState(found.st_size, found.st_mtime_ns)


def read_exif(path: Path) -> Exif:
    """Return when and where a photo was taken; what its file does not say, or not so that it makes sense, is None."""
    try:
        with Image.open(path) as image:
            exif = image.getexif()
            details, gps = exif.get_ifd(ExifTags.IFD.Exif), exif.get_ifd(ExifTags.IFD.GPSInfo)
    except DECODER_ERRORS:
        return Exif()
    taken = details.get(ExifTags.Base.DateTimeOriginal) or exif.get(ExifTags.Base.DateTime)
    latitude = _degrees(gps.get(ExifTags.GPS.GPSLatitude), gps.get(ExifTags.GPS.GPSLatitudeRef), 90)
    longitude = _degrees(gps.get(ExifTags.GPS.GPSLongitude), gps.get(ExifTags.GPS.GPSLongitudeRef), 180)
    placed = latitude is not None and longitude is not None
    return Exif(_iso(taken), latitude if placed else None, longitude if placed else None)


def _iso(taken: Any) -> str | None:
    found = _TAKEN.match(taken) if isinstance(taken, str) else None
    if not found or not (found[1] > "1800" and "01" <= found[2] <= "12" and "01" <= found[3] <= "31"):
        return None
    year, month, day, *time = found.groups()
    return f"{year}-{month}-{day}T{':'.join(time)}"


def _degrees(parts: Any, reference: Any, most: int) -> float | None:
    """Return degrees, minutes and seconds as one number, south and west below 0."""
    try:
        degrees, minutes, seconds = (float(part) for part in parts)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    value = degrees + minutes / 60 + seconds / 3600
    if not math.isfinite(value) or not 0 <= value <= most:
        return None
    return round(-value if reference in ("S", "W") else value, 6)

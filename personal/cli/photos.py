"""library: folders of photos. Adding and removing folders, and the status, work beside a running app."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from typing import Any

from personal import compose, settings
from personal.cli.output import emit, show_progress
from personal.compose import LOCAL
from personal.concepts import Concept
from personal.photo_library.store import Row


def add(options: argparse.Namespace, knobs: settings.Settings) -> int:
    from personal.photo_library.library import PhotoLibrary

    folder = PhotoLibrary(knobs).add(LOCAL, options.folder, exif=options.exif)
    if options.json:
        emit({"folder": str(folder.path), "exif": folder.exif})
    else:
        dates = "Dates and places are read, too. " if folder.exif else ""
        print(f"Added {folder.path}. {dates}Now read it: personal library scan")
    return 0


def remove(options: argparse.Namespace, knobs: settings.Settings) -> int:
    from personal.photo_library.library import PhotoLibrary

    folder = PhotoLibrary(knobs).remove(LOCAL, options.folder)
    if options.json:
        emit({"removed": str(folder.path)})
    else:
        print(f"Removed {folder.path} from the library. Its photos are where they were.")
    return 0


def scan(options: argparse.Namespace, knobs: settings.Settings) -> int:
    from personal.photo_library.library import PhotoLibrary

    began = time.monotonic()
    with compose.build(knobs, holder="the shell") as assistant:
        photos = PhotoLibrary(knobs, assistant)
        before = photos.store(LOCAL).counts().photos
        show_progress(photos.scan(LOCAL))
    store = photos.store(LOCAL)
    counts, errors = store.counts(), store.errors()
    if options.json:
        seconds = round(time.monotonic() - began, 2)
        rows = [{"file": path, "error": error} for path, error in errors]
        emit({"photos": counts.photos, "new": counts.photos - before, "errors": rows, "seconds": seconds})
    else:
        print(f"{counts.photos} photos are in the library, {max(0, counts.photos - before)} of them new.")
        _print_errors(errors)
    return 0


def search(options: argparse.Namespace, knobs: settings.Settings) -> int:
    from personal.photo_library.library import PhotoLibrary

    with compose.build(knobs, holder="the shell") as assistant:
        concepts = assistant.concepts(LOCAL)
        found = PhotoLibrary(knobs, assistant).search(LOCAL, options.words)
    rows, near = found.photos[: options.limit], found.nearest[: options.limit]
    if options.json:
        photos, nearest = ([photo_record(row, concepts) for row in some] for some in (rows, near))
        emit({"photos": photos, "found": len(found.photos), "nearest": nearest, "note": found.note})
        return 0
    if not rows:
        print("Nothing found." + (f" {found.note}" if found.note else "") + (" Nearest:" if near else ""))
    for row in rows or near:
        names = ", ".join(one.tag + "?" * (how.certainty == "maybe") for one, how in row.known(concepts))
        print(f"{row.path}\t{names}")
    if len(found.photos) > len(rows):
        print(f"And {len(found.photos) - len(rows)} more: --limit {len(found.photos)}")
    return 0


def status(options: argparse.Namespace, knobs: settings.Settings) -> int:
    from personal.photo_library.library import PhotoLibrary

    with compose.library(knobs, read_only=True) as library:
        concepts = library.concepts(LOCAL)
    photos = PhotoLibrary(knobs)
    counts, outdated = photos.status(LOCAL, concepts)
    folders, errors = photos.store(LOCAL).folders(), photos.store(LOCAL).errors()
    if options.json:
        emit(
            {
                "folders": [{"path": str(f.path), "exif": f.exif, "there": f.path.is_dir()} for f in folders],
                "photos": counts.photos,
                "to_recognise_again": outdated,
                "errors": [{"file": path, "error": error} for path, error in errors],
            }
        )
        return 0
    if not folders:
        print("No folders yet. Add one: personal library add ~/Pictures")
    for folder in folders:
        print(f"{folder.path}{'' if folder.path.is_dir() else ' (not there now)'}")
    print(f"{counts.photos} photos are known; in {outdated} your concepts are to be looked for again.")
    _print_errors(errors)
    return 0


def photo_record(row: Row, concepts: Sequence[Concept]) -> dict[str, Any]:
    """Return a photo of the library for programs; boxes are fractions of 0..1."""
    return {
        "file": str(row.path),
        "sha256": row.sha256,
        "concepts": [
            {
                "name": concept.name,
                "similarity": round(how.similarity, 4),
                "box": [round(edge, 4) for edge in how.box],
                "certainty": how.certainty,
            }
            for concept, how in row.known(concepts)
        ],
        "labels": sorted(row.labels),
        "taken": row.exif.taken,
        "latitude": row.exif.latitude,
        "longitude": row.exif.longitude,
    }


def _print_errors(errors: Sequence[tuple[str, str]]) -> None:
    for path, error in errors:
        print(f"{path}: {error}")

"""Recovery at start-up from an interrupted write: finish deletions, remove unconfirmed files, leave all else alone."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from personal.remember import disk, record
from personal.remember.catalogue import ID
from personal.remember.record import FILE, NEGATIVES, VIEWS

_VIEW = re.compile(r"[0-9a-f]{64}\.jpg")


def recover(gone: Path, owners: Sequence[Path]) -> None:
    """Empty `gone` and clean up each owner's folder. Damaged concepts are left as they are. Raises OSError."""
    for path in disk.entries(gone):
        disk.remove(path)
    for owner in owners:
        _sweep(owner)
        for folder in disk.entries(owner / "trash"):
            _sweep(folder)
        for folder in disk.entries(owner / "concepts"):
            if ID.fullmatch(folder.name) and folder.is_dir():
                _recover_concept(folder)


def _recover_concept(folder: Path) -> None:
    if not (folder / FILE).exists():
        disk.remove(folder)
        return
    pictures = (folder / VIEWS, folder / NEGATIVES)
    for place in (folder, *pictures):
        _sweep(place)
    try:
        known = set(record.files(folder, record.read(folder, folder.name)))
    except (ValueError, OSError):
        return
    for path in (path for place in pictures for path in disk.entries(place)):
        if path not in known and _VIEW.fullmatch(path.name):
            disk.remove(path)


def _sweep(folder: Path) -> None:
    """Remove temporaries that were never renamed."""
    for path in disk.entries(folder):
        if path.name.endswith((".json" + disk.TMP, ".jpg" + disk.TMP)):
            disk.remove(path)

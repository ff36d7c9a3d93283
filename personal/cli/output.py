"""What the commands share: reading photos, printing JSON and progress."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from personal import settings, terminal
from personal.concepts import Photo, Progress


def read_photo(path: Path, knobs: settings.Settings) -> Photo:
    """Read a photo within the limits of the settings, and warn of what is odd about it. Raises ImageError."""
    from personal.images import read_photo as read

    photo = read(path, max_bytes=knobs.max_bytes, max_pixels=knobs.max_pixels, max_side=knobs.max_side)
    if photo.hint:
        print(f"personal: {path.name}: {photo.hint}", file=sys.stderr)
    return photo


def emit(value: Any) -> None:
    """Print a value as JSON."""
    print(terminal.as_json(value))


def show_progress(steps: Iterable[Progress]) -> None:
    """Do the work of a generator, with a progress bar on standard error."""
    from tqdm import tqdm

    with tqdm(file=sys.stderr, disable=None, leave=False) as bar:
        for step in steps:
            bar.total, bar.n = step.total or None, step.done
            bar.set_description(step.text, refresh=True)

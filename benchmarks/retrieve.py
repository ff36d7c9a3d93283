"""Measure recognition: `python -m benchmarks.retrieve DREAMBOOTH [--strangers IMAGES.tar]` → JSON.

DREAMBOOTH holds a folder of photos for each concept. Measured on a warm encoder, at the shipped threshold: seconds of a
look and of registering five photos; pairs of concepts side by side, in ten draws of three references each; and with
--strangers the share of the archive's photos (300 drawn with a fixed seed) in which anybody is claimed.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tarfile
import tempfile
import time
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from personal import compose
from personal.assistant import Assistant
from personal.concepts import Photo
from personal.evaluate.identify import Folder, draw
from personal.evaluate.layouts.identified import read_folder
from personal.images import open_photo, read_photo
from personal.settings import load

DRAWS = 10
REFERENCES = 3


def jpeg(image: Image.Image) -> Photo:
    """Make a photo of a picture."""
    data = BytesIO()
    image.convert("RGB").save(data, "JPEG", quality=92)
    return read_photo(data.getvalue())


def beside(left: Photo, right: Photo) -> Photo:
    """Put two photos side by side, each scaled to 512 x 512."""
    both = Image.new("RGB", (1024, 512))
    for x, photo in ((0, left), (512, right)):
        both.paste(open_photo(photo).resize((512, 512)), (x, 0))
    return jpeg(both)


def pairs(assistant: Assistant, photos: dict[str, list[Photo]], count: int) -> dict[str, Any]:
    """Look at pairs of different concepts: are both named, each in its half, and who else is?"""
    random = np.random.default_rng(0)
    named = placed = extra = 0
    seconds = []
    for pair in range(count):
        owner = f"draw-{pair * DRAWS // count}"
        chosen, queries = draw(Folder(photos), REFERENCES, 0, pair * DRAWS // count)
        if not assistant.concepts(owner):
            for name, views in chosen.items():
                assistant.remember(owner, name, views)
        left, right = (str(name) for name in random.choice(sorted(photos), 2, replace=False))
        photo = beside(*(queries[name][random.integers(len(queries[name]))] for name in (left, right)))
        look = assistant.look(owner, photo, top_k=4)
        seconds.append(look.seconds)
        boxes = {match.concept.name: match.box for match in look.matches if match.box}
        centres = {name: (box[0] + box[2]) / 2 for name, box in boxes.items()}
        named += left in boxes and right in boxes
        placed += centres.get(left, 1) < 0.5 < centres.get(right, 0)
        extra += len(boxes.keys() - {left, right})
    return {
        "pairs": count,
        "both_named": named / count,
        "both_placed": placed / count,
        "extra_names": extra / count,
        "look_s": round(statistics.median(seconds), 3),
    }


def strangers(assistant: Assistant, archive: Path, count: int) -> dict[str, Any]:
    """Look at photos of nobody we know, with the first draw's concepts registered."""
    with tarfile.open(archive) as tar:
        members = sorted((m for m in tar.getmembers() if m.isfile()), key=lambda member: member.name)
        drawn = np.random.default_rng(0).choice(len(members), min(count, len(members)), replace=False)
        files = (tar.extractfile(members[i]) for i in drawn)
        claimed = [bool(assistant.look("draw-0", read_photo(f.read())).said) for f in files if f is not None]
    return {"photos": len(claimed), "claimed": sum(claimed) / len(claimed)}


def speed(assistant: Assistant, photos: dict[str, list[Photo]]) -> dict[str, float]:
    """Time a look with five views of each concept, and registering five photos; medians, in seconds."""
    for name, views in photos.items():
        assistant.remember("speed", name, views[:5])
    wide = [beside(views[0], views[-1]) for views in list(photos.values())[:8]]
    looks: list[float] = []
    for photo in [*(views[-1] for views in list(photos.values())[:8]), *wide]:
        assistant.retriever.clear("")
        looks.append(assistant.look("speed", photo).seconds)
    registering = []
    for name, views in list(photos.items())[:3]:
        assistant.retriever.clear("")
        began = time.perf_counter()
        assistant.remember("fresh", name, views[:5])
        registering.append(time.perf_counter() - began)
    return {
        "look_s": round(statistics.median(looks[:8]), 3),
        "look_wide_s": round(statistics.median(looks[8:]), 3),
        "register_5_s": round(statistics.median(registering), 3),
    }


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--strangers", type=Path)
    parser.add_argument("--pairs", type=int, default=200)
    options = parser.parse_args()
    photos = read_folder(options.folder, REFERENCES).photos
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home,
        compose.build(replace(load(), data_dir=Path(home), chroma_url=""), holder="a benchmark") as assistant,
    ):
        figures: dict[str, Any] = {"confidence": assistant.default_confidence, **speed(assistant, photos)}
        figures["pairs"] = pairs(assistant, photos, options.pairs)
        if options.strangers:
            figures["strangers"] = strangers(assistant, options.strangers, 300)
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()

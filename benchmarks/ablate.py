"""What each rule of recognition is worth: `python -m benchmarks.ablate DREAMBOOTH FLICKR8K [--seeds N] [--json OUT]`.

Every row looks at the same drawn photos as the whole pipeline does, with one rule left out: mosaics of two, three and
four registered subjects, photos of one, and photos of subjects that are not registered. Maps of photos are made once.
Differences come with the 95 % interval of a paired bootstrap over photos; a rule whose gain lies within it can go.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.recognise import PARTS, Bench, Material, Outcome, Scene, maybe, mosaics, overlap, sure
from personal import settings
from personal.retrieve.encoder import Encoder
from personal.tiny.assemble import encoder_dir

UNREGISTERED = 4
"""Subjects of each draw that stay unregistered."""
DRAWS = 2000


class Cached:
    """An encoder that makes the maps of a photo, and the vectors of a reference, once."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self.maps: dict[tuple[str, bool], Any] = {}
        self.references: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)

    def dense(self, image: Image.Image, *, fine: bool = False) -> Any:
        key = (_digest(image), fine)
        if key not in self.maps:
            self.maps[key] = self._encoder.dense(image, fine=fine).astype(np.float16)
        return self.maps[key].astype(np.float32)

    def embed_reference(self, image: Image.Image) -> Any:
        key = _digest(image)
        if key not in self.references:
            self.references[key] = self._encoder.embed_reference(image)
        return self.references[key]


def _digest(image: Image.Image) -> str:
    return hashlib.sha256(image.tobytes()).hexdigest()


def scenes(material: Material, seed: int, references: int, count: int) -> tuple[dict[str, Any], dict[str, list[Scene]]]:
    """Draw a seed's references and, by what they show, its photos: `count` mosaics of each size and all single ones."""
    chosen, queries = material.draw(seed, references)
    random = np.random.default_rng(5000 + seed)
    strangers = set(random.choice(material.names, UNREGISTERED, replace=False).tolist())
    known = [name for name in material.names if name not in strangers]
    grounds = [material.background(name) for name in random.choice(material.grounds, 40, replace=False)]
    drawn = {
        f"mosaics of {subjects}": list(mosaics(random, queries, grounds, subjects, count, known))
        for subjects in (2, 3, 4)
    }
    drawn["one subject"] = [Scene(photo, {name: (0, 0, 1, 1)}) for name in known for photo in queries[name]]
    drawn["strangers"] = [Scene(photo, {}) for name in sorted(strangers) for photo in material.photos[name]]
    return {name: chosen[name] for name in known}, drawn


def tally(outcomes: Sequence[Outcome]) -> np.ndarray:
    """Count names of each photo: right, wrong and missed where it is sure, then where it is sure or maybe: (n, 6)."""
    rows = []
    for outcome in outcomes:
        truth = set(outcome.scene.truth)
        row: list[int] = []
        for said in (sure, maybe):
            names = {match.concept.name for match in [one for one in outcome.matches if said(one)][:4]}
            row += [len(names & truth), len(names - truth), len(truth - names)]
        rows.append(row)
    return np.array(rows, float).reshape(-1, 6)


def f1(sums: np.ndarray) -> np.ndarray:
    """Compute F1 from right, wrong and missed names, (..., 3)."""
    return np.asarray(2 * sums[..., 0] / np.maximum(2 * sums[..., 0] + sums[..., 1] + sums[..., 2], 1))


def compare(row: np.ndarray, whole: np.ndarray, *, empty: bool) -> dict[str, list[float]]:
    """Return a figure at sure, and at sure or maybe, and how far it lies from the whole's, with its interval.

    The figure is F1 over names; of photos that show nobody (`empty`) the share that gets a name.
    """
    size = len(row)
    drawn = np.random.default_rng(0).multinomial(size, np.full(size, 1 / size), size=DRAWS)
    found = {}
    for way, columns in (("sure", slice(0, 3)), ("sure or maybe", slice(3, 6))):
        if empty:
            named, before = (tallied[:, columns][:, 1] > 0 for tallied in (row, whole))
            value, apart = named.mean(), drawn @ (named * 1.0 - before * 1.0) / size
            difference = value - before.mean()
        else:
            value = f1(row[:, columns].sum(0))
            difference = value - f1(whole[:, columns].sum(0))
            apart = f1(drawn @ row[:, columns]) - f1(drawn @ whole[:, columns])
        found[way] = [round(float(v), 4) for v in (value, difference, *np.percentile(apart, (2.5, 97.5)))]
    return found


def main() -> None:
    """Measure every row and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dreambooth", type=Path)
    parser.add_argument("flickr8k", type=Path)
    parser.add_argument("--references", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=100, help="the first seed")
    parser.add_argument("--count", type=int, default=33, help="mosaics of each size a seed")
    parser.add_argument("--without", nargs="+", default=list(PARTS[1:]), help="parts, and several at once joined by +")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    material = Material(options.dreambooth, options.flickr8k)
    encoder = Encoder(str(encoder_dir(settings.load().cache_dir)))
    for _ in encoder.load():
        pass
    cached = Cached(encoder)
    rows: dict[str, dict[str, list[np.ndarray]]] = {}
    boxes: dict[str, list[float]] = {}
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        benches = {"": Bench(cached, frozenset(), Path(folder))}
        benches |= {part: Bench(cached, frozenset(part.split("+")), Path(folder)) for part in options.without}
        for seed in range(options.first, options.first + options.seeds):
            chosen, drawn = scenes(material, seed, options.references, options.count)
            for part, bench in benches.items():
                bench.register(chosen)
                began = time.process_time()
                for title, some in drawn.items():
                    outcomes = bench.outcomes(some)
                    rows.setdefault(part, {}).setdefault(title, []).append(tally(outcomes))
                    if title.startswith("mosaics"):
                        boxes.setdefault(part, []).append(overlap(outcomes, maybe))
                bench.retriever.clear("")
                seconds[part] = seconds.get(part, 0) + time.process_time() - began
            cached.maps.clear()
            report = _report(rows, boxes, seconds)
            print(seed, json.dumps(report), flush=True)
            if options.json:
                options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _report(
    rows: dict[str, dict[str, list[np.ndarray]]], boxes: dict[str, list[float]], seconds: dict[str, float]
) -> dict[str, Any]:
    every = {part: {title: np.concatenate(some) for title, some in by.items()} for part, by in rows.items()}
    for by in every.values():
        by["all mosaics"] = np.concatenate([some for title, some in by.items() if title.startswith("mosaics")])
    report: dict[str, Any] = {}
    for part, by in every.items():
        row: dict[str, Any] = {"IoU": round(float(np.nanmean(boxes[part])), 4), "CPU s": round(seconds[part])}
        for title, some in by.items():
            row[title] = {
                "photos": len(some),
                "names": some.sum(0).astype(int).tolist(),
                **compare(some, every[""][title], empty=title == "strangers"),
            }
        report[f"without {part}" if part else "all of it"] = row
    return report


if __name__ == "__main__":
    main()

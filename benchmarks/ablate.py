"""What each rule of recognition is worth: `python -m benchmarks.ablate DREAMBOOTH FLICKR8K [--seeds N] [--json OUT]`.

Every row looks at the same drawn photos as the whole pipeline does, with one rule left out: mosaics of two, three and
four registered subjects, photos of one, and photos of subjects that are not registered. Maps of photos are made once.
With `--concepts` the gallery is filled up with squares cut from photos of strangers.
Differences come with the 95 % interval of a paired bootstrap over photos; a rule whose gain lies within it can go.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.recognise import PARTS, Bench, Material, Outcome, Scene, crop, maybe, mosaics, sure
from personal import settings
from personal.concepts import WHOLE, Photo
from personal.retrieve.encoder import Encoder
from personal.retrieve.regions import pairwise_iou
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


def overlaps(outcomes: Sequence[Outcome]) -> np.ndarray:
    """Return of each photo the sum of the IoUs of names said or asked rightly, and how many these are: (n, 2)."""
    rows = []
    for outcome in outcomes:
        right = [one for one in outcome.matches if maybe(one) and one.concept.name in outcome.scene.truth]
        every = [pairwise_iou((one.box or WHOLE, outcome.scene.truth[one.concept.name]))[0, 1] for one in right]
        rows.append((float(np.sum(every)), len(every)))
    return np.array(rows, float).reshape(-1, 2)


def f1(sums: np.ndarray) -> np.ndarray:
    """Compute F1 from right, wrong and missed names, (..., 3)."""
    return np.asarray(2 * sums[..., 0] / np.maximum(2 * sums[..., 0] + sums[..., 1] + sums[..., 2], 1))


def share(sums: np.ndarray) -> np.ndarray:
    """Divide the first of two sums by the second, (..., 2)."""
    return np.asarray(sums[..., 0] / np.maximum(sums[..., 1], 1))


def compare(row: np.ndarray, whole: np.ndarray, figure: Callable[[np.ndarray], np.ndarray]) -> list[float]:
    """Return a figure of the photos' sums, how far it lies from the whole's, and the 95 % interval of that."""
    size = len(row)
    drawn = np.random.default_rng(0).multinomial(size, np.full(size, 1 / size), size=DRAWS)
    value, before = (float(figure(one.sum(0))) for one in (row, whole))
    low, high = np.percentile(figure(drawn @ row) - figure(drawn @ whole), (2.5, 97.5))
    return [round(float(one), 4) for one in (value, value - before, low, high)]


def report(rows: Mapping[str, Mapping[str, list[np.ndarray]]]) -> dict[str, Any]:
    """Compare every row with the whole: F1 over names, of photos that show nobody the share that gets a name, IoU."""
    every = {part: {title: np.concatenate(some) for title, some in by.items()} for part, by in rows.items()}
    for by in every.values():
        by["all mosaics"] = np.concatenate([some for title, some in by.items() if title.startswith("mosaics")])
    found: dict[str, Any] = {}
    for part, by in every.items():
        found[f"without {part}" if part else "all of it"] = {
            title: _compared(title, some, every[""][title]) for title, some in by.items()
        }
    return found


def _compared(title: str, some: np.ndarray, whole: np.ndarray) -> dict[str, Any]:
    if title == "boxes":
        return {"IoU": compare(some, whole, share)}
    ways = {"sure": slice(0, 3), "sure or maybe": slice(3, 6)}
    if title == "strangers":
        figures = {way: compare(_named(some[:, of]), _named(whole[:, of]), share) for way, of in ways.items()}
    else:
        figures = {way: compare(some[:, of], whole[:, of], f1) for way, of in ways.items()}
    return {"photos": len(some), "names": some.sum(0).astype(int).tolist(), **figures}


def _named(tallied: np.ndarray) -> np.ndarray:
    """Turn right, wrong and missed names into whether a photo got any, and one for the photo: (n, 2)."""
    return np.stack([tallied[:, :2].sum(1) > 0, np.ones(len(tallied))], axis=1).astype(float)


def filling(material: Material, count: int) -> dict[str, list[Photo]]:
    """Cut `count` concepts out of photos of strangers, the same for every seed."""
    random = np.random.default_rng(77)
    return {f"other {i}": [crop(material, random, i)] for i in range(count)}


def main() -> None:
    """Measure every row and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dreambooth", type=Path)
    parser.add_argument("flickr8k", type=Path)
    parser.add_argument("--references", type=int, nargs="+", default=[3, 1], help="how many of the same drawn ones")
    parser.add_argument("--concepts", type=int, default=0, help="the gallery's size, where it is filled up")
    parser.add_argument("--seeds", type=int, default=9)
    parser.add_argument("--first", type=int, default=300, help="the first seed")
    parser.add_argument("--count", type=int, default=20, help="mosaics of each size a seed")
    parser.add_argument("--without", nargs="+", default=list(PARTS[1:]), help="parts, and several at once joined by +")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    material = Material(options.dreambooth, options.flickr8k)
    encoder = Encoder(str(encoder_dir(settings.load().cache_dir)))
    for _ in encoder.load():
        pass
    cached = Cached(encoder)
    rows: dict[int, dict[str, dict[str, list[np.ndarray]]]] = {count: {} for count in options.references}
    others = filling(material, options.concepts - len(material.names) + UNREGISTERED)
    with tempfile.TemporaryDirectory() as folder:
        benches = {
            part: Bench(cached, frozenset(part.split("+")) - {""}, Path(folder)) for part in ("", *options.without)
        }
        for seed in range(options.first, options.first + options.seeds):
            chosen, drawn = scenes(material, seed, max(options.references), options.count)
            for part, bench in benches.items():
                for count, by in rows.items():
                    bench.register({**{name: photos[:count] for name, photos in chosen.items()}, **others})
                    look(bench, drawn, by.setdefault(part, {}))
                bench.retriever.clear("")
            cached.maps.clear()
            every = {f"{count} references": report(by) for count, by in rows.items()}
            print(seed, json.dumps(every), flush=True)
            if options.json:
                options.json.write_text(json.dumps(every, indent=1) + "\n", encoding="utf-8")


def look(bench: Bench, drawn: Mapping[str, Sequence[Scene]], rows: dict[str, list[np.ndarray]]) -> None:
    """Look at a seed's photos and add what was found to the rows."""
    for title, some in drawn.items():
        outcomes = bench.outcomes(some)
        rows.setdefault(title, []).append(tally(outcomes))
        if title.startswith("mosaics"):
            rows.setdefault("boxes", []).append(overlaps(outcomes))


if __name__ == "__main__":
    main()

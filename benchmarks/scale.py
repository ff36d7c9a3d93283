"""What many views cost: `python -m benchmarks.scale [--views 1000 10000 100000] [--photo IMAGE] [--json OUT]`.

Vectors, three a view, are drawn: unit, in clusters, with the encoder's dimension; three views a concept. They go
through the real Index, Library and Retriever. The encoder is none: it gives real numbers of regions, half of them near
some view, for nothing, so that what is timed is what the library costs. With --photo the embedded default looks at it
before, and its time is told and added. Ratios are to the first number of views, in one run; times are medians.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image

from benchmarks.recognise import clean
from personal import settings
from personal.concepts import Concept, Entry, Photo, View
from personal.images import read_photo
from personal.remember import record
from personal.remember.library import Library
from personal.remember.local_index import LocalIndex
from personal.retrieve import encoder as real
from personal.retrieve.config import CONFIG
from personal.retrieve.head import unit
from personal.retrieve.retriever import Retriever
from personal.tiny.assemble import encoder_dir

OWNER = "bench"
DIMENSION, COHORT = 160, 1000
VIEWS, VECTORS = 3, 3
"""Views of a concept, and vectors of a view."""
APART, SIBLINGS = 0.6, 0.45
"""Noise beside a concept's direction that makes a view, and beside a view's that makes a vector; the similarity of
two vectors of a real view is 0.72-0.88 in the middle, of these 0.83."""
TIMES = 9
DATE = "2026-11-21T00:00:00Z"
MAP = (24, 16)
"""Cells of a photo of 3:2 at a first look; a second look sees half as many again along each side."""

Array = np.ndarray[Any, np.dtype[np.float32]]


def noisy(random: np.random.Generator, directions: Array, share: float) -> Array:
    """Turn unit vectors away from where they point, each in a direction of its own."""
    return unit(directions + share * unit(random.normal(size=directions.shape)))


class Drawn:
    """An encoder that draws what it sees: regions of a photo near views that it is given, and as many that are not."""

    threshold, dimension, calibration = 0.66, DIMENSION, None

    def __init__(self, random: np.random.Generator) -> None:
        self._random = random
        self._cohort = unit(random.normal(size=(COHORT, DIMENSION)))
        self.near = np.zeros((1, DIMENSION), np.float32)

    def embed_reference(self, _: Image.Image) -> Array:
        return noisy(self._random, np.repeat(unit(self._random.normal(size=(1, DIMENSION))), VECTORS, 0), SIBLINGS)

    def embed(self, images: list[Image.Image]) -> Array:
        return np.concatenate([self.embed_reference(image)[:1] for image in images])

    def dense(self, _: Image.Image, *, fine: bool = False) -> Array:
        return np.ones((*(side * (3 if fine else 2) // 2 for side in MAP[::-1]), 1), np.float32)

    def project(self, pooled: Array) -> Array:
        """Look like the given views in half of the regions, about the threshold, so that a second look is wanted."""
        drawn = unit(self._random.normal(size=(len(pooled), DIMENSION)))
        like = self._random.random(len(drawn)) < 0.5
        drawn[like] = noisy(self._random, self.near[self._random.integers(len(self.near), size=like.sum())], 0.9)
        return drawn

    def cohort_score(self, vectors: Array) -> Array:
        similarity = vectors @ self._cohort.T
        return np.asarray(-np.partition(-similarity, 9, axis=1)[:, :10].mean(axis=1) - 0.25, np.float32)

    def regress_boxes(self, _: Array, boxes: Array) -> Array:
        return boxes


def concepts(count: int) -> list[Concept]:
    """Name as many concepts as these views make."""
    found = []
    for number in range(-(-count // VIEWS)):
        views = tuple(View(_sha(number * VIEWS + i), 640, 480) for i in range(VIEWS))
        found.append(Concept(f"{number:032x}", f"n{number}", "", "", views, views[0].sha256, DATE, DATE))
    return found


def measure(count: int, folder: Path) -> dict[str, Any]:
    """Fill a library with so many views, and time what is done with it."""
    random = np.random.default_rng(count)
    known = concepts(count)
    directions = np.repeat(unit(random.normal(size=(len(known), DIMENSION))), VIEWS, 0)
    views = noisy(random, directions, APART)
    vectors = noisy(random, np.repeat(views, VECTORS, 0), SIBLINGS).reshape(len(views), VECTORS, DIMENSION)
    keys = [(concept.id, view.sha256) for concept in known for view in concept.views]
    gc.collect()
    before = _rss()
    index = LocalIndex("drawn", DIMENSION, folder / "index")
    began = time.perf_counter()
    for start in range(0, len(keys), 1000):
        some = zip(keys[start : start + 1000], vectors[start : start + 1000], strict=True)
        index.put(OWNER, [Entry(concept_id, view, of_it) for (concept_id, view), of_it in some])
    filled = time.perf_counter() - began
    index.close()
    index = LocalIndex("drawn", DIMENSION, folder / "index")
    opened = _timed(lambda: index.views(OWNER), 1)
    held = _rss() - before
    disk = sum(path.stat().st_size for path in (folder / "index").rglob("*") if path.is_file())

    encoder = Drawn(random)
    retriever = Retriever(encoder, index)
    photos = [clean(Image.effect_noise((96, 64), 40 + i)) for i in range(TIMES + 1)]
    asked = np.concatenate([noisy(random, views[random.integers(len(views), size=CONFIG.lookups // 2)], 0.9)] * 2)
    asked[CONFIG.lookups // 2 :] = unit(random.normal(size=(CONFIG.lookups // 2, DIMENSION)))

    def look(photo: Photo) -> None:
        encoder.near = views[random.integers(len(views), size=4)]
        retriever.look(OWNER, photo, known, threshold=encoder.threshold, top_k=4)

    def register(number: int) -> None:
        index.put(OWNER, [Entry("f" * 32, _sha(-1 - number), encoder.embed_reference(Image.new("RGB", (1, 1))))])

    look(photos.pop())
    register(-1)
    figures = {
        "views": len(keys),
        "look_ms": _each(look, photos),
        "of_that_query_ms": 1e3 * _timed(lambda: index.query(OWNER, asked, CONFIG.neighbours)),
        "register_ms": _each(register, range(2 * TIMES)),
        "named_ms": 1e3 * _timed(lambda: retriever.named("Where did n7 leave the red ball?", known), 3),
        "recall": recall(index, asked, vectors),
        "index_opens_s": opened,
        "filled_views_a_second": len(keys) / filled,
        "memory_bytes_a_view": held / len(keys),
        "disk_bytes_a_view": disk / len(keys),
    }
    some = iter(known)
    figures["forget_ms"] = _each(lambda _: index.drop(OWNER, _keys(next(some))), range(TIMES))
    figures["erase_s"] = _timed(lambda: index.erase(OWNER), 1)
    figures["bytes_after_erase"] = sum(path.stat().st_size for path in (folder / "index").rglob("*") if path.is_file())
    index.close()
    return {**figures, **listing(known, folder)}


def _keys(concept: Concept) -> list[tuple[str, str, bool]]:
    return [(concept.id, view.sha256, False) for view in concept.views]


def alone(count: int) -> dict[str, Any]:
    """Measure in a process of its own, whose memory holds nothing else, once everything is loaded."""
    for views in (30, count):
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            figures = measure(views, Path(folder))
    return figures


def recall(index: LocalIndex, asked: Array, vectors: Array) -> float:
    """Tell which share of the nearest vectors of each query is found, by an exact search of all that were put."""
    found = index.query(OWNER, asked, CONFIG.neighbours)
    every = vectors.reshape(-1, DIMENSION)
    shares = []
    for query, hits in zip(asked, found, strict=True):
        least = np.partition(every @ query, -CONFIG.neighbours)[-CONFIG.neighbours]
        shares.append(sum(hit.similarity >= least - 1e-5 for hit in hits) / CONFIG.neighbours)
    return statistics.mean(shares)


def listing(known: list[Concept], folder: Path) -> dict[str, float]:
    """Open a library with the records of these concepts, whose photos are empty, and list them."""
    with Library(folder / "data") as library:
        pass
    for concept in known:
        place = folder / "data" / "owners" / OWNER / "concepts" / concept.id
        (place / record.VIEWS).mkdir(parents=True)
        for photo in record.files(place, concept):
            photo.touch()
        (place / record.FILE).write_text(json.dumps(record.as_json(concept)), encoding="utf-8")
    with Library(folder / "data") as library:
        opened = _timed(lambda: library.concepts(OWNER), 1)
        assert len(library.concepts(OWNER)) == len(known)
        return {"library_opens_s": opened, "list_ms": 1e3 * _timed(lambda: library.concepts(OWNER))}


def seen(path: Path) -> dict[str, float]:
    """Time the embedded default's own part of a look, with a photo."""
    encoder = real.Encoder(str(encoder_dir(settings.load().cache_dir)))
    for _ in encoder.load():
        pass
    photo = read_photo(path.read_bytes())
    with tempfile.TemporaryDirectory() as home:
        index = LocalIndex(encoder.id, encoder.dimension, Path(home))
        retriever = Retriever(encoder, index)

        def regions() -> None:
            retriever.clear("")
            retriever.regions(photo)

        regions()
        took = 1e3 * _timed(regions)
        index.close()
    return {"encoder_ms": took}


def compare(runs: list[dict[str, Any]], encoder_ms: float | None) -> None:
    """Add to every run its ratios to the first."""
    first = dict(runs[0])
    for run in runs:
        run["look_ratio"] = run["look_ms"] / first["look_ms"]
        if encoder_ms is not None:
            run["look_with_encoder_ratio"] = (run["look_ms"] + encoder_ms) / (first["look_ms"] + encoder_ms)
        run["register_ratio"] = run["register_ms"] / first["register_ms"]
        run["forget_ratio"] = run["forget_ms"] / first["forget_ms"]


def _each(work: Callable[[Any], None], given: Any) -> float:
    took = []
    for one in given:
        began = time.perf_counter()
        work(one)
        took.append(time.perf_counter() - began)
    return 1e3 * statistics.median(took)


def _timed(work: Callable[[], Any], times: int = TIMES) -> float:
    return _each(lambda _: work() and None, range(times)) / 1e3


def _rss() -> int:
    return int(psutil.Process().memory_info().rss)


def _sha(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def main() -> None:
    """Measure and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--views", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--photo", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    eye = seen(options.photo) if options.photo else {}
    with ProcessPoolExecutor(1, mp_context=get_context("spawn"), max_tasks_per_child=1) as processes:
        runs = list(processes.map(alone, options.views))
    compare(runs, eye.get("encoder_ms"))
    rounded = [{name: float(f"{value:.4g}") for name, value in run.items()} for run in runs]
    text = json.dumps({**eye, "runs": rounded}, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

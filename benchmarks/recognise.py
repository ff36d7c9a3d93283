"""Recognition in drawn scenes: `python -m benchmarks.recognise DREAMBOOTH FLICKR8K [--only PART] [--json OUT]`.

Mosaics: subjects pasted on photos of strangers, the pasted rectangle being the truth. All subjects are registered.
Those of one half are asked about at a threshold chosen on the other half, both ways, and as the app decides. Hard
conditions beside the plain baseline: whole photos and windows as the trunk sees them. Names that
are sure count, and beside them those that are sure or maybe; of the baseline, and where a threshold is asked for, those
from that similarity on.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter

from personal import settings
from personal.concepts import WHOLE, Box, Concept, Entry, Match, Photo, View
from personal.data.photos import Photos
from personal.evaluate.identify import auroc
from personal.evaluate.layouts.identified import read_folder
from personal.images import open_photo, read_photo
from personal.remember.local_index import LocalIndex
from personal.retrieve.config import CONFIG
from personal.retrieve.encoder import Encoder
from personal.retrieve.regions import cut, pairwise_iou, pool_whole
from personal.retrieve.retriever import Retriever
from personal.tiny.assemble import encoder_dir

CANVASES = ((1024, 768), (768, 1024), (900, 900), (1024, 683))
LOW, HIGH, TOGETHER = 0.05, 0.30, 0.80
FALSE = 0.03
LOWEST = 0.45
"""Similarity from which the baseline's matches are looked at."""
TRIES = 60
OWNER = "bench"


@dataclass(frozen=True)
class Scene:
    """A drawn photo and who is where in it."""

    photo: Photo
    truth: Mapping[str, Box]


@dataclass(frozen=True)
class Outcome:
    """What was found in a scene at every threshold: matches best first, down to a low similarity."""

    scene: Scene
    matches: Sequence[Match]


# -- drawing -----------------------------------------------------------------------------------------------------


def clean(image: Image.Image) -> Photo:
    """Turn a drawn picture into a photo, by the way that every photo takes."""
    data = BytesIO()
    image.save(data, "PNG")
    return read_photo(data.getvalue())


def mosaic(
    random: np.random.Generator,
    background: Image.Image,
    pictures: Mapping[str, Image.Image],
    *,
    low: float = LOW,
    high: float = HIGH,
) -> Scene | None:
    """Paste pictures, each `low` to `high` of the area, without overlap; None where they found no room."""
    width, height = CANVASES[random.integers(len(CANVASES))]
    shares = random.uniform(low, high, len(pictures))
    if shares.sum() > TOGETHER:
        return None
    canvas = background.resize((width, height), Image.Resampling.BICUBIC)
    placed: dict[str, tuple[int, int, int, int]] = {}
    for (name, picture), share in zip(pictures.items(), shares, strict=True):
        tall = round((share * width * height * picture.height / picture.width) ** 0.5)
        wide = round(tall * picture.width / picture.height)
        if wide > width or tall > height:
            return None
        for _ in range(TRIES):
            x, y = int(random.integers(0, width - wide + 1)), int(random.integers(0, height - tall + 1))
            if all(x + wide <= a or c <= x or y + tall <= b or d <= y for a, b, c, d in placed.values()):
                break
        else:
            return None
        placed[name] = (x, y, x + wide, y + tall)
        canvas.paste(picture.resize((wide, tall), Image.Resampling.BICUBIC), (x, y))
    boxes = {name: (a / width, b / height, c / width, d / height) for name, (a, b, c, d) in placed.items()}
    return Scene(clean(canvas), boxes)


def mosaics(
    random: np.random.Generator,
    queries: Mapping[str, Sequence[Photo]],
    backgrounds: Sequence[Image.Image],
    subjects: int,
    count: int,
    names: Sequence[str],
    **sizes: float,
) -> Iterator[Scene]:
    """Draw scenes of so many of the named subjects each."""
    while count:
        chosen = random.choice(names, subjects, replace=False)
        pictures = {str(n): open_photo(queries[n][random.integers(len(queries[n]))]) for n in chosen}
        scene = mosaic(random, backgrounds[random.integers(len(backgrounds))], pictures, **sizes)
        if scene:
            count -= 1
            yield scene


def half_hidden(image: Image.Image, side: int) -> Image.Image:
    """Cover the left half (side 0) or the right (1) in grey."""
    covered, half = image.copy(), image.width // 2
    covered.paste((128, 128, 128), (side * half, 0, (side + 1) * half, image.height))
    return covered


CONDITIONS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "left half hidden": lambda image: half_hidden(image, 0),
    "right half hidden": lambda image: half_hidden(image, 1),
    "dark": lambda image: ImageEnhance.Brightness(image).enhance(0.25),
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(min(image.size) / 80)),
    "turned by 30 degrees": lambda image: image.rotate(30, Image.Resampling.BICUBIC, fillcolor=(128, 128, 128)),
}


# -- asking ------------------------------------------------------------------------------------------------------


class Plain:
    """The encoder as the baseline has it, or without some of what was added: see PARTS."""

    def __init__(self, encoder: Encoder, without: frozenset[str]) -> None:
        self._encoder, self._without = encoder, without
        self.threshold = encoder.threshold
        self.calibration = None if "projection" in without else encoder.calibration
        self.dimension = 1280 if "projection" in without else encoder.dimension
        self.id = f"{encoder.id} {sorted(without)}"

    def embed(self, images: Sequence[Image.Image]) -> Any:
        return np.concatenate([self.project(pool_whole(self.dense(image))) for image in images])

    def embed_reference(self, image: Image.Image) -> Any:
        if "projection" not in self._without:
            every = self._encoder.embed_reference(image)
        else:
            head, self._encoder._head = self._encoder._head, None
            every = self._encoder.embed_reference(image)
            self._encoder._head = head
        kept = [
            0,
            *([] if "centre crop" in self._without else [1]),
            *([] if "reference from afar" in self._without else [2]),
        ]
        return every[kept]

    def dense(self, image: Image.Image, *, fine: bool = False) -> Any:
        return self._encoder.dense(image, fine=fine)

    def project(self, pooled: Any) -> Any:
        if "projection" not in self._without:
            return self._encoder.project(pooled)
        return pooled / np.linalg.norm(pooled, axis=1, keepdims=True)

    def cohort_score(self, vectors: Any) -> Any:
        none = self._without & {"cohort", "projection"}
        return np.zeros(len(vectors), np.float32) if none else self._encoder.cohort_score(vectors)

    def regress_boxes(self, dense: Any, boxes: Any) -> Any:
        return boxes if "box regression" in self._without else self._encoder.regress_boxes(dense, boxes)


PARTS = (
    "projection",
    "centre crop",
    "reference from afar",
    "cohort",
    "second pass",
    "wider boxes",
    "box regression",
    "confusers",
    "gallery size",
)
CHANGES: dict[str, dict[str, float]] = {
    "second pass": {"second_pass": -9.0},
    "wider boxes": {"wider": -9.0},
    "confusers": {"confuser": -9.0},
    "gallery size": {"gallery_size_penalty": 0.0},
}
"""What each part is in the config, where it is in there."""


class Bench:
    """A library of pictures by name, in an index of its own, and a retriever over it."""

    def __init__(self, encoder: Encoder, without: frozenset[str], home: Path) -> None:
        self.without = without
        plain = Plain(encoder, without)
        self.index = LocalIndex(plain.id, plain.dimension, home / str(abs(hash(plain.id))))
        changes: dict[str, Any] = {}
        for part in without & CHANGES.keys():
            changes |= CHANGES[part]
        self.retriever = Retriever(plain, self.index, config=replace(CONFIG, cached_photos=4000, **changes))
        self.concepts: list[Concept] = []

    def register(self, references: Mapping[str, Sequence[Photo]]) -> None:
        """Know these and nobody else."""
        self.index.erase(OWNER)
        self.concepts = []
        entries = []
        for name, photos in references.items():
            views = tuple(View(photo.sha256, photo.width, photo.height) for photo in photos)
            self.concepts.append(Concept(name, name, "", "", views, views[0].sha256, "", ""))
            vectors = self.retriever.embed(photos)
            entries += [Entry(name, p.sha256, v) for p, v in zip(photos, vectors, strict=True)]
        self.index.put(OWNER, entries)

    def look(self, photo: Photo, *, threshold: float | None = None, top_k: int = 20) -> list[Match]:
        """Look as the app does, with the parts that are left."""
        return self.retriever.look(OWNER, photo, self.concepts, threshold=threshold, top_k=top_k)

    def rank(self, photo: Photo) -> list[Match]:
        """Rank all as the app does, with the parts that are left."""
        return self.retriever.rank(OWNER, photo, self.concepts)

    def outcomes(self, scenes: Sequence[Scene], low: float | None = None) -> list[Outcome]:
        """Look at every scene, as the app decides or down to a low threshold; higher ones are told from that."""
        return [Outcome(scene, self.look(scene.photo, threshold=low)) for scene in scenes]


Said = Callable[[Match], bool]


def above(threshold: float) -> Said:
    """Count names from a similarity on."""
    return lambda match: (match.similarity or 0) >= threshold


def sure(match: Match) -> bool:
    """Count the names that the app says."""
    return match.said


def maybe(match: Match) -> bool:
    """Count the names that the app says or asks about."""
    return match.certainty != "silent"


def counts(outcomes: Sequence[Outcome], said: Said, top_k: int = 4) -> tuple[int, int, int]:
    """Count names said rightly, said wrongly, and not said."""
    right = wrong = missed = 0
    for outcome in outcomes:
        names = set([m.concept.name for m in outcome.matches if said(m)][:top_k])
        right += len(names & set(outcome.scene.truth))
        wrong += len(names - set(outcome.scene.truth))
        missed += len(set(outcome.scene.truth) - names)
    return right, wrong, missed


def f1(outcomes: Sequence[Outcome], said: Said) -> float:
    """Compute F1 over names."""
    right, wrong, missed = counts(outcomes, said)
    return 2 * right / max(2 * right + wrong + missed, 1)


def overlap(outcomes: Sequence[Outcome], said: Said) -> float:
    """Return the mean intersection over union of the boxes of names said rightly."""
    every = [
        float(pairwise_iou((m.box or (0, 0, 1, 1), outcome.scene.truth[m.concept.name]))[0, 1])
        for outcome in outcomes
        for m in outcome.matches
        if m.concept.name in outcome.scene.truth and said(m)
    ]
    return float(np.mean(every)) if every else float("nan")


def claimed(outcomes: Sequence[Outcome], said: Said) -> float:
    """Return the share of scenes in which anybody is named."""
    return float(np.mean([any(map(said, outcome.matches)) for outcome in outcomes]))


def fitted(outcomes: Sequence[Outcome], empty: Sequence[Outcome], low: float) -> float:
    """Choose the threshold of the best F1 among those that name somebody in at most FALSE of the empty scenes."""
    grid = np.arange(low, 0.95, 0.005)
    allowed = [t for t in grid if claimed(empty, above(t)) <= FALSE]
    return float(max(allowed or [grid[-1]], key=lambda t: f1(outcomes, above(t))))


# -- measuring ---------------------------------------------------------------------------------------------------


class Material:
    """Both folders, and what is drawn from them for one seed."""

    def __init__(self, dreambooth: Path, flickr8k: Path) -> None:
        self.photos = read_folder(dreambooth, 1).photos
        self.names = sorted(self.photos)
        self.strangers = Photos(flickr8k)
        rows = self.strangers.split("test")
        self.empty = [row.image for row in rows[:300]]
        self.grounds = [row.image for row in rows[300:]]

    def background(self, name: str) -> Image.Image:
        """Read a photo of nobody."""
        return open_photo(read_photo(self.strangers.read(name)))

    def draw(self, seed: int, references: int) -> tuple[dict[str, list[Photo]], dict[str, list[Photo]]]:
        """Draw references, and leave the rest as queries."""
        random = np.random.default_rng(seed)
        chosen, rest = {}, {}
        for name in self.names:
            order = random.permutation(len(self.photos[name]))
            chosen[name] = [self.photos[name][i] for i in order[:references]]
            rest[name] = [self.photos[name][i] for i in order[references:]]
        return chosen, rest


def measure(bench: Bench, material: Material, *, references: int, seeds: int, count: int) -> dict[str, Any]:
    """Measure mosaics of two, three and four, false names on backgrounds alone, and boxes; halves apart."""
    low = LOWEST if "projection" in bench.without else None
    halves = material.names[::2], material.names[1::2]
    seen: dict[tuple[int, int], list[Outcome]] = {}
    empty: list[list[Outcome]] = [[], []]
    seconds = []
    for seed in range(seeds):
        chosen, queries = material.draw(seed, references)
        bench.register(chosen)
        random = np.random.default_rng(1000 + seed)
        backgrounds = [material.background(name) for name in random.choice(material.grounds, 40, replace=False)]
        for side, names in enumerate(halves):
            for subjects in (2, 3, 4):
                scenes = list(mosaics(random, queries, backgrounds, subjects, count, names))
                began = time.process_time()  # of all threads, whatever else the machine does
                seen.setdefault((side, subjects), []).extend(bench.outcomes(scenes, low))
                seconds.append((time.process_time() - began) / count)
            alone = material.empty[side::2][seed * count : (seed + 1) * count]
            scenes = [Scene(read_photo(material.strangers.read(name)), {}) for name in alone]
            empty[side] += bench.outcomes(scenes, low)
    report: dict[str, Any] = {"references": references, "CPU ms": round(1000 * float(np.mean(seconds)))}
    ways: dict[str, list[Said]] = {"sure": [sure, sure], "sure or maybe": [maybe, maybe]}
    if low is not None:
        every = [list(chain(*(seen[side, n] for n in (2, 3, 4)))) for side in (0, 1)]
        chosen_on_the_other = [fitted(every[1 - side], empty[1 - side], low) for side in (0, 1)]
        report["thresholds"] = [round(threshold, 3) for threshold in chosen_on_the_other]
        ways = {"fitted": [above(threshold) for threshold in chosen_on_the_other]}
    for title, said in ways.items():
        row: dict[str, float] = {}
        for subjects in (2, 3, 4):
            sums = np.sum([counts(seen[side, subjects], said[side]) for side in (0, 1)], axis=0)
            row[f"F1 of {subjects}"] = round(float(2 * sums[0] / (2 * sums[0] + sums[1] + sums[2])), 4)
        some = [overlap(list(chain(*(seen[side, n] for n in (2, 3, 4)))), said[side]) for side in (0, 1)]
        row["IoU"] = round(float(np.mean(some)), 4)
        row["false"] = round(float(np.mean([claimed(empty[side], said[side]) for side in (0, 1)])), 4)
        report[title] = row
    return report


def hard(
    bench: Bench, material: Material, *, references: int, seeds: int, count: int, threshold: float | None = None
) -> dict[str, Any]:
    """Measure subjects that are small, hidden, dark, blurred, turned, among 300 concepts, and five dogs in mosaics."""
    seen: dict[str, list[Outcome]] = {}
    for seed in range(seeds):
        chosen, queries = material.draw(seed, references)
        random = np.random.default_rng(2000 + seed)
        backgrounds = [material.background(name) for name in random.choice(material.grounds, 40, replace=False)]
        asked = [(n, queries[n][random.integers(len(queries[n]))]) for n in random.choice(material.names, count)]
        more = np.random.default_rng(3000 + seed)  # photos of one subject say less than mosaics, and are sooner seen
        asked += [(n, queries[n][more.integers(len(queries[n]))]) for n in more.choice(material.names, 3 * count)]
        plain = [Scene(photo, {str(name): (0, 0, 1, 1)}) for name, photo in asked]
        small = list(mosaics(random, queries, backgrounds, 1, count, material.names, low=0.03, high=0.05))
        bench.register(chosen)
        seen.setdefault("3-5 % of the photo", []).extend(bench.outcomes(small, threshold))
        for title, spoil in CONDITIONS.items():
            scenes = [replace(scene, photo=clean(spoil(open_photo(scene.photo)))) for scene in plain]
            seen.setdefault(title, []).extend(bench.outcomes(scenes, threshold))
        dogs = [name for name in material.names if name.startswith("dog")]
        one = {name: photos[:1] if name in dogs else photos for name, photos in chosen.items()}
        bench.register(one)
        kennel = list(mosaics(random, queries, backgrounds, 3, count, dogs))
        seen.setdefault("five dogs, one reference each, three in a mosaic", []).extend(
            bench.outcomes(kennel, threshold)
        )
        others = {f"other {i}": [crop(material, random, i)] for i in range(300 - len(material.names))}
        bench.register({**chosen, **others})
        pairs = list(mosaics(random, queries, backgrounds, 2, count, material.names))
        seen.setdefault("300 concepts, two in a mosaic", []).extend(bench.outcomes(pairs, threshold))
    ways: dict[str, Said] = {"sure": sure, "sure or maybe": maybe} if threshold is None else {"said": sure}
    return {way: {title: round(f1(rows, said), 4) for title, rows in seen.items()} for way, said in ways.items()}


def identification(bench: Bench, material: Material, *, references: int, seeds: int) -> dict[str, Any]:
    """Identify queries of all subjects, all registered: top-1, wrong names said and asked about; AUROC of strangers.

    For AUROC three subjects of either half count as unregistered. What strangers are called is measured by
    `python -m personal.evaluate identify`.
    """
    threshold = bench.retriever.threshold if "projection" in bench.without else None
    rows: dict[str, list[float]] = {"top-1": [], "wrong names": [], "asked besides": [], "AUROC": []}
    for seed in range(seeds):
        chosen, queries = material.draw(seed, references)
        random = np.random.default_rng(4000 + seed)
        bench.register(chosen)
        for names in (material.names[::2], material.names[1::2]):
            strangers = set(random.choice(names, 3, replace=False).tolist())
            best = []
            for name in names:
                for photo in queries[name]:
                    every = bench.rank(photo)
                    rows["top-1"].append(every[0].concept.name == name)
                    found = [match for match in bench.look(photo, threshold=threshold) if match.concept.name != name]
                    rows["wrong names"].append(sum(match.said for match in found))
                    rows["asked besides"].append(sum(not match.said for match in found))
                    first = next(m for m in every if m.concept.name not in strangers)
                    best.append((name, first.similarity or 0.0))
            theirs = np.array([s for name, s in best if name not in strangers])
            others = np.array([s for name, s in best if name in strangers])
            ones = np.ones((1, len(theirs))), np.ones((1, len(others)))
            rows["AUROC"].append(float(auroc(theirs, others, *ones)[0]))
    return {"references": references, **{name: round(float(np.mean(values)), 4) for name, values in rows.items()}}


def crop(material: Material, random: np.random.Generator, number: int) -> Photo:
    """Cut a square out of a photo of strangers, to be a concept."""
    image = material.background(material.strangers.split("train")[number].image)
    side = int(min(image.size) * random.uniform(0.5, 0.9))
    x, y = random.integers(0, image.width - side + 1), random.integers(0, image.height - side + 1)
    return clean(image.crop((int(x), int(y), int(x) + side, int(y) + side)))


def feedback(bench: Bench, material: Material, *, references: int, seeds: int, count: int) -> dict[str, Any]:
    """Say "Not <x>" to all mistakes of one set of mosaics, up to three a subject, and measure another; both ways."""
    before, after = np.zeros(3, int), np.zeros(3, int)
    said, of_told = 0, np.zeros(2, int)
    for seed in range(seeds):
        chosen, queries = material.draw(seed, references)
        random = np.random.default_rng(3000 + seed)
        backgrounds = [material.background(name) for name in random.choice(material.grounds, 40, replace=False)]
        sets = [
            [s for n in (2, 3, 4) for s in mosaics(random, queries, backgrounds, n, count, material.names)]
            for _ in "ab"
        ]
        for shown, others in (sets, sets[::-1]):
            bench.register(chosen)
            outcomes = bench.outcomes(others)
            before += counts(outcomes, sure)
            told: dict[str, int] = {}
            for outcome in bench.outcomes(shown):
                for match in [match for match in outcome.matches if match.said][:4]:
                    name = match.concept.name
                    if name not in outcome.scene.truth and told.get(name, 0) < 3:
                        told[name] = told.get(name, 0) + 1
                        picture = clean(cut(open_photo(outcome.scene.photo), match.evidence_box or WHOLE))
                        (vectors,) = bench.retriever.embed([picture])
                        bench.index.put(OWNER, [Entry(name, picture.sha256, vectors, negative=True)])
            said += sum(told.values())
            again = bench.outcomes(others)
            after += counts(again, sure)
            of_told += [wrongly(outcomes, told), wrongly(again, told)]
    report = {"wrong": [int(before[1]), int(after[1])], "right": [int(before[0]), int(after[0])]}
    return {"negatives": said, **report, "wrong, of those corrected": of_told.tolist()}


def wrongly(outcomes: Sequence[Outcome], names: Collection[str]) -> int:
    """Count how often some names are said wrongly."""
    said = [
        (match.concept.name, outcome.scene.truth) for outcome in outcomes for match in outcome.matches[:4] if match.said
    ]
    return sum(name in names and name not in truth for name, truth in said)


def main() -> None:
    """Measure what is asked for and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("dreambooth", type=Path)
    parser.add_argument("flickr8k", type=Path)
    parser.add_argument("--only", choices=("identification", "mosaics", "hard", "feedback"))
    parser.add_argument("--references", type=int, nargs="+", default=[3, 1])
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--count", type=int, default=15, help="scenes of a kind for each seed (and half)")
    parser.add_argument("--encoder", help="an encoder's folder (the embedded one)")
    parser.add_argument("--alone", action="store_true", help="leave the plain baseline out")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    material = Material(options.dreambooth, options.flickr8k)
    encoder = Encoder(options.encoder or str(encoder_dir(settings.load().cache_dir)))
    for _ in encoder.load():
        pass
    report: dict[str, Any] = {}
    how = {"seeds": options.seeds, "count": options.count}
    with tempfile.TemporaryDirectory() as folder:

        def bench(*without: str) -> Bench:
            return Bench(encoder, frozenset(without), Path(folder))

        def tell(title: str, figures: Mapping[str, Any]) -> None:
            report[title] = dict(figures)
            print(title, json.dumps(figures), flush=True)
            if options.json:
                options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")

        baseline = bench(*PARTS)
        for references in options.references if options.only in (None, "mosaics") else ():
            tell(f"mosaics, {references}", measure(bench(), material, references=references, **how))
            if not options.alone:
                tell(f"mosaics, {references}, plain", measure(baseline, material, references=references, **how))
        for references in options.references if options.only in (None, "identification") else ():
            how_often = {"references": references, "seeds": 25 * options.seeds}
            tell(f"identification, {references}", identification(bench(), material, **how_often))
            if not options.alone:
                tell(f"identification, {references}, plain", identification(baseline, material, **how_often))
        if options.only in (None, "hard"):
            tell("hard", hard(bench(), material, references=3, **how))
        if options.only in (None, "hard") and not options.alone:
            cut = measure(baseline, material, references=3, seeds=1, count=options.count)["thresholds"]
            tell("hard, plain", hard(baseline, material, references=3, threshold=float(np.mean(cut)), **how))
        if options.only in (None, "feedback"):
            tell("feedback", feedback(bench(), material, references=3, **how))


if __name__ == "__main__":
    main()

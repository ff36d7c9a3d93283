"""Learn which words people's captions use of a photo: a ridge regression on pooled maps, calibrated to probabilities.

What the prompt tells of a training photo must be no surer than what it will tell of a new one, so training photos are
scored by leave-one-out predictions, which ridge regression has in closed form (Hastie et al., 2009, section 7.10).
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from personal.concepts import WHOLE
from personal.labels import Classifier, write
from personal.learn.data import Row
from personal.learn.photos import Captioned, Photos
from personal.learn.things import EVERYWHERE

if TYPE_CHECKING:
    from personal.learn.features import Features, Picture

Array = NDArray[np.float32]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


FEWEST = 12
"""Photos that a word must be said of to be learnt."""
RIDGES = (300.0, 1000.0, 3000.0, 10000.0)
"""Ridge penalties, of which the one with the least leave-one-out log-loss is taken."""
NEWTON = 12
"""Steps of Newton's method that calibrate a word's scores."""
SHRINK = 1.0
"""Ridge on each word's calibration, in photos."""
UNTOLD = _words(
    "a an the and or of in on at to with by for from is are was be being been has have it its his her their there "
    "this that "
    "he she they them while as into onto over under up down out off through near next front back behind around across "
    "along against between another other one some very two three four several many photo picture image view close "
    "who which what where looks look like something someone sits sit stands stand"
)
"""Words that say nothing of what a photo shows."""


def words_of(photo: Captioned) -> set[str]:
    """Return the words that captions, labels and scene have for a photo, plurals as they are, labels whole."""
    said = set(re.findall(r"[a-z]+", " ".join(photo.captions).lower())) - UNTOLD
    labels = {label for label in (*photo.labels, photo.scene) if label} - EVERYWHERE
    return {word for word in said if len(word) > 2} | labels


def vocabulary(photos: Sequence[Captioned]) -> list[str]:
    """Return the words that FEWEST photos or more have, the most frequent first; plurals beside their singular are left
    out."""
    counts = Counter(word for photo in photos for word in words_of(photo))
    frequent = [word for word, count in counts.most_common() if count >= FEWEST]
    known = set(frequent)
    return [word for word in frequent if not (word.endswith("s") and word[:-1] in known)]


def targets(photos: Sequence[Captioned], words: Sequence[str]) -> Array:
    """Return which words photos have: (photos, words), 0 or 1; a plural counts for its singular."""
    place = {word: number for number, word in enumerate(words)}
    found = np.zeros((len(photos), len(words)), np.float32)
    for row, photo in enumerate(photos):
        for word in words_of(photo):
            number = place.get(word, place.get(word.removesuffix("s")))
            if number is not None:
                found[row, number] = 1
    return found


def fit(pooled: Array, wanted: Array) -> tuple[Array, Array, Array]:
    """Fit the words: weight (words, channels), bias (words,), and leave-one-out logits (photos, words)."""
    mean, deviation = pooled.mean(0), pooled.std(0) + 1e-3
    x = np.concatenate([(pooled - mean) / deviation, np.ones((len(pooled), 1), np.float32)], 1)
    gram, product = x.T @ x, x.T @ wanted
    best: tuple[float, Any] = (np.inf, None)
    for ridge in RIDGES:
        penalty = np.full(x.shape[1], ridge, np.float32)
        penalty[-1] = 1e-3
        inverse = np.linalg.inv(gram + np.diag(penalty)).astype(np.float32)
        weight = inverse @ product
        leverage = np.clip(np.einsum("ij,jk,ik->i", x, inverse, x, optimize=True), 0, 0.99)[:, None]
        alone = wanted - (wanted - x @ weight) / (1 - leverage)
        slope, offset = calibrated(alone, wanted)
        logits = alone * slope + offset
        loss = float(np.mean(np.logaddexp(0, logits) - wanted * logits))
        if loss < best[0]:
            best = (loss, (weight, slope, offset, logits))
    weight, slope, offset, logits = best[1]
    plain = weight[:-1] / deviation[:, None] * slope
    bias = weight[-1] * slope + offset - mean @ plain
    return np.ascontiguousarray(plain.T, np.float32), bias.astype(np.float32), logits.astype(np.float32)


def calibrated(scores: Array, wanted: Array) -> tuple[Array, Array]:
    """Fit a slope and an offset for each word, so that the logistic of slope x score + offset is its probability."""
    rate = np.clip(wanted.mean(0), 1e-4, 1 - 1e-4)
    slope, offset = (
        np.full(scores.shape[1], 5.0, np.float32),
        (np.log(rate / (1 - rate)) - 5.0 * scores.mean(0)).astype(np.float32),
    )
    for _ in range(NEWTON):
        share = 1 / (1 + np.exp(-np.clip(scores * slope + offset, -30, 30)))
        error, spread = share - wanted, np.maximum(share * (1 - share), 1e-6)
        g = np.stack([(error * scores).sum(0) + SHRINK * 0.01 * (slope - 5.0), error.sum(0)])
        aa = (spread * scores * scores).sum(0) + SHRINK * 0.01
        ab, bb = (spread * scores).sum(0), spread.sum(0) + 1e-3
        determinant = aa * bb - ab * ab + 1e-9
        steps = (bb * g[0] - ab * g[1]) / determinant, (aa * g[1] - ab * g[0]) / determinant
        slope, offset = slope - np.clip(steps[0], -5, 5), offset - np.clip(steps[1], -3, 3)
    return slope.astype(np.float32), offset.astype(np.float32)


LINES = "labels.json"
"""In a run's folder: the prompt's line of each photo that it learns from or is examined on."""


def prepare(
    run: Path,
    classifier: Classifier,
    photos: Photos,
    features: Features,
    rows: Sequence[Row],
    held_out: Sequence[Row],
) -> dict[str, str]:
    """Learn the words from the photos of `rows`, write both into a run's folder and return the lines of all photos.

    A run that goes on keeps what it began with.
    """
    if (run / LINES).is_file():
        lines: dict[str, str] = json.loads((run / LINES).read_text(encoding="utf-8"))
        return lines
    learnt, others = ({row["image"]: None for row in some if row["image"]} for some in (rows, held_out))
    known = [photo for photo in photos.rows if photo.image in learnt]
    full, lines = with_words(classifier, known, features)
    lines |= lines_of(full, [image for image in (*learnt, *others) if image not in lines], features)
    run.mkdir(parents=True, exist_ok=True)
    write(run, full)
    (run / LINES).write_text(json.dumps(lines, ensure_ascii=False), encoding="utf-8")
    return lines


def pool(features: Features, pictures: Sequence[Picture]) -> Array:
    """Return the average-pooled maps of pictures, (pictures, channels)."""
    return np.stack([features[picture].astype(np.float32).mean(0) for picture in pictures])


def with_words(
    classifier: Classifier, photos: Sequence[Captioned], features: Features
) -> tuple[Classifier, dict[str, str]]:
    """Return the classifier with words learnt from photos, and the line of each of these, by its file name."""
    maps = pool(features, [(photo.image, WHOLE) for photo in photos])
    words = vocabulary(photos)
    weight, bias, logits = fit(maps, targets(photos, words))
    full = replace(classifier, words=tuple(words), word_weight=weight, word_bias=bias)
    lines = {
        photo.image: full.labels(own, word_scores=scores).line()
        for photo, own, scores in zip(photos, maps, logits, strict=True)
    }
    return full, lines


def lines_of(classifier: Classifier, images: Sequence[str], features: Features) -> dict[str, str]:
    """Return the prompt's line for photos that the words were not learnt from."""
    from personal.learn.features import picture

    if not images:
        return {}
    maps = pool(features, [picture(image) for image in images])
    return {image: classifier.labels(own).line() for image, own in zip(images, maps, strict=True)}

"""Fit which words people's captions use for a photo: ridge regression on pooled maps, calibrated to probabilities.

The prompt must be no surer of a training photo than it will be of a new one. So training photos are scored by
leave-one-out predictions, which ridge regression has in closed form (Hastie et al., 2009, section 7.10).
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
from personal.data.photos import CaptionedPhoto, Photos
from personal.data.phrases import word_set
from personal.data.pictures import parse_picture
from personal.data.rows import Row
from personal.data.things import UBIQUITOUS
from personal.labels import Classifier, write

if TYPE_CHECKING:
    from personal.learn.features import FeatureCache

Array = NDArray[np.float32]

MIN_PHOTOS = 12
"""Photos that a word must belong to."""
RIDGES = (300.0, 1000.0, 3000.0, 10000.0)
"""Ridge penalties, of which the one with the least leave-one-out log-loss is chosen."""
NEWTON_STEPS = 12
"""Steps of Newton's method that calibrate a word's scores."""
PRIOR_SLOPE, SLOPE_RIDGE = 5.0, 0.01
"""The slope of a word's calibration without data, and the ridge on its difference from that."""
STOP_WORDS = word_set(
    "a an the and or of in on at to with by for from is are was be being been has have it its his her their there "
    "this that he she they them while as into onto over under up down out off through near next front back behind "
    "around across along against between another other one some very two three four several many photo picture image "
    "view close who which what where looks look like something someone sits sit stands stand"
)
"""Words that do not tell what a photo shows."""
LINES = "labels.json"
"""File in a run's folder: the prompt's line of labels of each photo in its rows."""


def words_of(photo: CaptionedPhoto) -> set[str]:
    """Return the words of a photo's captions, and its labels and scene whole."""
    words = set(re.findall(r"[a-z]+", " ".join(photo.captions).lower())) - STOP_WORDS
    labels = {label for label in (*photo.labels, photo.scene) if label} - UBIQUITOUS
    return {word for word in words if len(word) > 2} | labels


def vocabulary(photos: Sequence[CaptionedPhoto]) -> list[str]:
    """Return the words of at least MIN_PHOTOS photos, the most frequent first, no plurals beside singulars."""
    counts = Counter(word for photo in photos for word in words_of(photo))
    frequent = [word for word, count in counts.most_common() if count >= MIN_PHOTOS]
    known = set(frequent)
    return [word for word in frequent if not (word.endswith("s") and word[:-1] in known)]


def targets(photos: Sequence[CaptionedPhoto], words: Sequence[str]) -> Array:
    """Return which words photos have, 0 or 1, (photos, words); a plural counts for its singular."""
    place = {word: number for number, word in enumerate(words)}
    found = np.zeros((len(photos), len(words)), np.float32)
    for row, photo in enumerate(photos):
        for word in words_of(photo):
            number = place.get(word, place.get(word.removesuffix("s")))
            if number is not None:
                found[row, number] = 1
    return found


def fit(pooled: Array, wanted: Array) -> tuple[Array, Array, Array]:
    """Fit words on pooled maps (photos, channels): weight (words, channels), bias (words,), leave-one-out logits."""
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
        left_out = wanted - (wanted - x @ weight) / (1 - leverage)
        slope, offset = calibrate(left_out, wanted)
        logits = left_out * slope + offset
        loss = float(np.mean(np.logaddexp(0, logits) - wanted * logits))
        if loss < best[0]:
            best = (loss, (weight, slope, offset, logits))
    weight, slope, offset, logits = best[1]
    plain = weight[:-1] / deviation[:, None] * slope
    bias = weight[-1] * slope + offset - mean @ plain
    return np.ascontiguousarray(plain.T, np.float32), bias.astype(np.float32), logits.astype(np.float32)


def calibrate(scores: Array, wanted: Array) -> tuple[Array, Array]:
    """Fit a slope and an offset for each word, so that the logistic of slope x score + offset is its probability.

    Platt scaling (1999) by Newton's method, (words,) each.
    """
    rate = np.clip(wanted.mean(0), 1e-4, 1 - 1e-4)
    slope = np.full(scores.shape[1], PRIOR_SLOPE, np.float32)
    offset = (np.log(rate / (1 - rate)) - PRIOR_SLOPE * scores.mean(0)).astype(np.float32)
    for _ in range(NEWTON_STEPS):
        share = 1 / (1 + np.exp(-np.clip(scores * slope + offset, -30, 30)))
        error, spread = share - wanted, np.maximum(share * (1 - share), 1e-6)
        g = np.stack([(error * scores).sum(0) + SLOPE_RIDGE * (slope - PRIOR_SLOPE), error.sum(0)])
        aa = (spread * scores * scores).sum(0) + SLOPE_RIDGE
        ab, bb = (spread * scores).sum(0), spread.sum(0) + 1e-3
        determinant = aa * bb - ab * ab + 1e-9
        steps = (bb * g[0] - ab * g[1]) / determinant, (aa * g[1] - ab * g[0]) / determinant
        slope, offset = slope - np.clip(steps[0], -5, 5), offset - np.clip(steps[1], -3, 3)
    return slope.astype(np.float32), offset.astype(np.float32)


def prepare_lines(
    run: Path,
    classifier: Classifier,
    photos: Photos,
    features: FeatureCache,
    rows: Sequence[Row],
    held_out: Sequence[Row],
) -> dict[str, str]:
    """Fit words on the photos of `rows`, write them into a run's folder and return the lines of all photos.

    A run that is resumed keeps its first lines.
    """
    if (run / LINES).is_file():
        lines: dict[str, str] = json.loads((run / LINES).read_text(encoding="utf-8"))
        return lines
    learnt, others = (dict.fromkeys(row["image"] for row in some if row["image"]) for some in (rows, held_out))
    full, lines = with_words(classifier, [photo for photo in photos.rows if photo.image in learnt], features)
    for image in (*learnt, *others):
        if image not in lines:
            lines[image] = full.labels(features.pooled(parse_picture(image))).prompt_line()
    run.mkdir(parents=True, exist_ok=True)
    write(run, full)
    (run / LINES).write_text(json.dumps(lines, ensure_ascii=False), encoding="utf-8")
    return lines


def with_words(
    classifier: Classifier, photos: Sequence[CaptionedPhoto], features: FeatureCache
) -> tuple[Classifier, dict[str, str]]:
    """Return the classifier with words fitted on photos, and the line of each of these by its file name."""
    maps = np.stack([features.pooled((photo.image, WHOLE)) for photo in photos])
    words = vocabulary(photos)
    weight, bias, logits = fit(maps, targets(photos, words))
    full = replace(classifier, words=tuple(words), word_weight=weight, word_bias=bias)
    lines = {
        photo.image: full.labels(pooled, word_logits=scores).prompt_line()
        for photo, pooled, scores in zip(photos, maps, logits, strict=True)
    }
    return full, lines

"""From similarity to probability: a logistic curve (Platt, 1999), for an encoder, a library, or one concept in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from personal.concepts import WHOLE, Stored
from personal.retrieve.regions import Regions
from personal.retrieve.score import prepare, score

Array = NDArray[np.float64]

ENOUGH = 8
"""Right and wrong similarities, of each so many, from which a curve is fitted."""
SPREAD = 0.03
"""Standard deviation of the middle among concepts: how far one's own views and negatives may move it."""
STEEP, STEPS = 30.0, 50
"""The slope that a fit starts from and is drawn to, and its steps at most."""


@dataclass(frozen=True)
class Calibration:
    """`probability` is 1/2 at the similarity `middle`, and changes there by `slope` / 4 for each unit of similarity."""

    slope: float
    middle: float

    def probability(self, similarity: float) -> float:
        """Return the chance, 0..1, that something so similar is the concept."""
        return float(1 / (1 + np.exp(-np.clip(self.slope * (similarity - self.middle), -30, 30))))


def fit(right: Sequence[float], wrong: Sequence[float]) -> Calibration | None:
    """Fit the curve to similarities of pairs that belong together and of pairs that do not; None from too few.

    Both kinds weigh the same, however many there are of each.
    """
    if min(len(right), len(wrong)) < ENOUGH:
        return None
    x = np.concatenate([right, wrong])
    truth = np.repeat([1.0, 0.0], [len(right), len(wrong)])
    weight = np.repeat([0.5 / len(right), 0.5 / len(wrong)], [len(right), len(wrong)]) * len(x)
    between = float(np.mean(right) + np.mean(wrong)) / 2
    by = np.stack([x - between, np.ones_like(x)], axis=1)
    towards, pull = np.array([STEEP, 0.0]), np.array([STEEP**-2, 1e-9])

    def loss(line: Array) -> float:
        z = by @ line
        return float((weight * (np.logaddexp(0, z) - truth * z)).sum() + (pull * (line - towards) ** 2).sum() / 2)

    line = towards
    for _ in range(STEPS):  # convex in the line's two numbers, so that halving what goes too far is enough
        p = 1 / (1 + np.exp(-np.clip(by @ line, -30, 30)))
        gradient = by.T @ (weight * (p - truth)) + pull * (line - towards)
        step = np.linalg.solve(by.T * (weight * p * (1 - p)) @ by + np.diag(pull + 1e-9), gradient)
        while loss(line - step) > loss(line) and np.abs(step).max() > 1e-6:
            step = step / 2
        line = line - step
        if np.abs(step).max() < 1e-6:
            break
    slope = max(1.0, float(line[0]))
    return Calibration(slope, float(np.clip(between - line[1] / slope, -1, 1)))


def of_library(stored: Sequence[Sequence[Stored]]) -> Calibration | None:
    """Fit the curve to a library: each view against its concept's other views, and against all other concepts."""
    pairs = [own_and_others(stored, i) for i in range(len(stored))]
    return fit([s for right, _ in pairs for s in right], [s for _, wrong in pairs for s in wrong])


def own_and_others(stored: Sequence[Sequence[Stored]], concept: int) -> tuple[list[float], list[float]]:
    """Compare a concept's views with its other views, and what it is not with all of them: similarities of each."""
    views = [one for one in stored[concept] if not one.negative]
    right = []
    if len(views) > 1:
        for i, view in enumerate(views):
            right += _likeness([view], [one for j, one in enumerate(views) if j != i])
    others = [one for i, of_one in enumerate(stored) if i != concept for one in of_one if not one.negative]
    others += [one for one in stored[concept] if one.negative]
    return right, (_likeness(others, views) if others and views else [])


def of_concept(calibration: Calibration, right: Sequence[float], wrong: Sequence[float]) -> Calibration:
    """Move the middle to where a concept's own similarities want it, as far as they outweigh what holds for all."""
    x = np.array([*right, *wrong])
    truth = np.repeat([1.0, 0.0], [len(right), len(wrong)])
    middle, slope = calibration.middle, calibration.slope
    for _ in range(STEPS if len(x) else 0):
        p = 1 / (1 + np.exp(-np.clip(slope * (x - middle), -30, 30)))
        gradient = slope * (truth - p).sum() + (middle - calibration.middle) / SPREAD**2
        step = gradient / (slope**2 * (p * (1 - p)).sum() + SPREAD**-2)
        middle = float(np.clip(middle - np.clip(step, -SPREAD, SPREAD), -1, 1))
        if abs(step) < 1e-6:
            break
    return Calibration(slope, middle)


def _likeness(pictures: Sequence[Stored], views: Sequence[Stored]) -> list[float]:
    """Compare whole pictures with a concept's views."""
    regions = Regions((WHOLE,) * len(pictures), np.stack([one.vectors[0] for one in pictures]))
    return [float(similarity) for similarity in score(regions, prepare([views])).similarity[:, 0]]

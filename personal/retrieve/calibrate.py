"""From what is measured of a match to a probability: logistic regression (Platt, 1999), for an encoder or a library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from personal.concepts import WHOLE, Certainty, IndexedView
from personal.retrieve.config import RecognitionConfig
from personal.retrieve.regions import Regions
from personal.retrieve.score import build_gallery, score

Array = NDArray[np.float64]

ENOUGH = 8
"""Right and wrong similarities, of each so many, from which a curve is fitted."""
STEEP, STEPS = 30.0, 50
"""The slope that a fit starts from and is drawn to, and its steps at most."""


@dataclass(frozen=True)
class Calibration:
    """Weights of a match's similarity and margin (per unit of cosine) and of ln(references), and the bias.

    The margin is how far the next best concept, or what this one is known not to be, lies below in the same region.
    """

    similarity: float
    margin: float
    references: float
    bias: float

    def probability(self, similarity: float, margin: float = 0.0, references: int = 1) -> float:
        """Return the chance, 0..1, that a match is right."""
        weighed = (
            self.similarity * similarity + self.margin * margin + self.references * float(np.log(max(1, references)))
        )
        return float(1 / (1 + np.exp(-np.clip(weighed + self.bias, -30, 30))))

    def similarity_at(self, probability: float, margin: float = 0.0, references: int = 1) -> float:
        """Return the similarity at which a match has a probability, strictly between 0 and 1."""
        rest = self.margin * margin + self.references * float(np.log(max(1, references))) + self.bias
        return float(np.log(probability / (1 - probability)) - rest) / self.similarity


@dataclass(frozen=True)
class Decision:
    """When a name is said: from the probability `sure` on where it is `by_probability`, else from a similarity on.

    A maybe reaches down to where the odds are as much worse than at `sure` as the config's are.
    """

    calibration: Calibration | None
    threshold: float
    sure: float
    by_probability: bool
    config: RecognitionConfig

    @property
    def maybe(self) -> float:
        """The probability from which a name is asked about."""
        odds = [p / (1 - p) for p in (self.sure, self.config.maybe, self.config.sure)]
        return odds[0] * odds[1] / (odds[2] + odds[0] * odds[1])

    def bars(self, references: Sequence[int]) -> NDArray[np.float32]:
        """Return the similarity from which each concept, with so many references, can be at least a maybe."""
        if self.calibration is None or not self.by_probability:
            return np.full(len(references), self.threshold, np.float32)
        most = self.config.margin_cap
        return np.array([self.calibration.similarity_at(self.maybe, most, n) for n in references], np.float32)

    def judge(self, similarity: float, margin: float, references: int) -> tuple[float | None, Certainty]:
        """Return a match's probability, None where nothing tells it, and what is done with its name."""
        calibration = self.calibration
        probability = calibration.probability(similarity, margin, references) if calibration else None
        if probability is None or not self.by_probability:
            return probability, "sure" if similarity >= self.threshold else "silent"
        return probability, "sure" if probability >= self.sure else "maybe" if probability >= self.maybe else "silent"

    def strictness(self, default: float) -> float:
        """Return how much stricter than the default is asked, 1 at most: by threshold, or by confidence."""
        if not self.by_probability:
            return (self.threshold - default) / (1 - default)
        return self.config.face_strictness * (self.sure - self.config.sure) / (1 - self.config.sure)


def platt(slope: float, midpoint: float) -> Calibration:
    """Return the curve of similarity alone that is 1/2 at `middle`."""
    return Calibration(slope, 0.0, 0.0, -slope * midpoint)


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
    return platt(slope, float(np.clip(between - line[1] / slope, -1, 1)))


def of_library(stored: Sequence[Sequence[IndexedView]]) -> Calibration | None:
    """Fit the curve to a library: each view against its concept's other views, and against all other concepts."""
    right: list[float] = []
    wrong: list[float] = []
    views = [[one for one in concept if not one.negative] for concept in stored]
    for i, own in enumerate(views):
        for j, view in enumerate(own if len(own) > 1 else []):
            right += _similarity([view], own[:j] + own[j + 1 :])
        others = [one for other in views[:i] + views[i + 1 :] for one in other]
        others += [one for one in stored[i] if one.negative]
        wrong += _similarity(others, own) if others and own else []
    return fit(right, wrong)


def _similarity(pictures: Sequence[IndexedView], views: Sequence[IndexedView]) -> list[float]:
    """Compare whole pictures with a concept's views."""
    regions = Regions((WHOLE,) * len(pictures), np.stack([one.vectors[0] for one in pictures]))
    return [float(similarity) for similarity in score(regions, build_gallery([views])).similarity[:, 0]]

"""The recognition head on an encoder's features: a learnt projection, a cohort, and a box regressor.

A folder's `recognition.safetensors` holds it (`personal.learn.recognition` writes it); an encoder without one works as
it is. Arrays in, arrays out: knows neither photos nor concepts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FILE = "recognition.safetensors"
NEAREST = 20
"""Nearest members of the cohort whose mean similarity is the cohort score."""
GRID, CONTEXT = 10, 2.0
"""Points along each side of what is read around a box, and how many times as wide as the box that is."""
ROUNDS = 2

Array = NDArray[np.float32]


@dataclass(frozen=True)
class Head:
    """The learnt part of recognition.

    `projection` is (channels, dimension), `cohort` (n, dimension) of unit length, `cohort_mean` the mean similarity of
    training views to it, `layers` the weights (out, in) and biases of the box regressor, and `scale` what its features
    are divided by. In the file the cohort is called "strangers" and its mean "usual".
    """

    projection: Array
    cohort: Array
    cohort_mean: float = 0.0
    layers: tuple[tuple[Array, Array], ...] = field(default=(), repr=False)
    scale: float = 1.0

    @property
    def dimension(self) -> int:
        """Return the length of projected vectors."""
        return int(self.projection.shape[1])

    def project(self, vectors: Array) -> Array:
        """Project vectors (n, channels) to (n, dimension), unit length."""
        return unit(vectors @ self.projection)

    def cohort_score(self, vectors: Array) -> Array:
        """Return how similar `vectors` (n, dimension) are to the cohort, less the mean: (n,), about 0.

        The mean similarity to the nearest of the cohort (adaptive score normalisation, AS-norm, Matějka et al.,
        Interspeech 2017).
        """
        nearest = min(NEAREST, len(self.cohort))
        similarity = vectors @ self.cohort.T
        near = -np.partition(-similarity, nearest - 1, axis=1)[:, :nearest].mean(axis=1)
        return np.asarray(near - self.cohort_mean, np.float32)

    def regress_boxes(self, dense: Array, boxes: Array) -> Array:
        """Move sides of boxes (n, 4; 0..1) towards what stands out there, by regression (Fast R-CNN, Girshick, 2015).

        `dense` is the map of their photo, (rows, columns, channels), float32; boxes that would vanish stay.
        """
        if not self.layers:
            return boxes
        width = self.layers[0][0].shape[1] // GRID**2
        features = np.maximum(dense, 0) @ self.projection[:, :width] / np.float32(self.scale)
        for _ in range(ROUNDS):
            hidden = _around(features, boxes)
            for i, (weight, bias) in enumerate(self.layers):
                hidden = (np.maximum(hidden, 0) if i else hidden) @ weight.T + bias
            moved = boxes + hidden * np.tile(boxes[:, 2:] - boxes[:, :2], 2)
            moved = np.clip(moved, 0, 1)
            sound = (moved[:, 2:] - moved[:, :2] > 1 / GRID**2).all(axis=1, keepdims=True)
            boxes = np.where(sound, moved, boxes).astype(np.float32)
        return boxes


def read(folder: Path) -> Head | None:
    """Read what was learnt for the encoder in a folder; None where there is nothing."""
    path = folder / FILE
    if not path.is_file():
        return None
    from safetensors.numpy import load_file

    found = {name: np.asarray(value, np.float32) for name, value in load_file(path).items()}
    names = sorted(name for name in found if name.startswith("boxes.") and name.endswith(".weight"))
    layers = tuple((found[name], found[name.replace(".weight", ".bias")]) for name in names)
    return Head(found["projection"], found["strangers"], found["usual"].item(), layers, found["scale"].item())


def unit(vectors: Array) -> Array:
    """Bring vectors to unit length."""
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-6), np.float32)


def _around(features: Array, boxes: Array) -> Array:
    """Read a map (rows, columns, c) bilinearly on a grid over each box and its surroundings: (n, c · GRID²).

    Outside the map lies nothing.
    """
    rows, columns = features.shape[:2]
    padded = np.pad(features, ((1, 1), (1, 1), (0, 0)))
    steps = ((np.arange(GRID) + 0.5) / GRID - 0.5) * CONTEXT
    centre, size = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    x = np.clip((centre[:, :1] + steps * size[:, :1]) * columns + 0.5, 0, columns + 1 - 1e-4)
    y = np.clip((centre[:, 1:] + steps * size[:, 1:]) * rows + 0.5, 0, rows + 1 - 1e-4)
    left, top = x.astype(int), y.astype(int)
    right_part, low_part = (x - left)[:, None, :, None], (y - top)[:, :, None, None]

    def at(row: NDArray[np.int_], column: NDArray[np.int_]) -> Array:
        return np.asarray(padded[row[:, :, None], column[:, None, :]])

    upper = at(top, left) * (1 - right_part) + at(top, left + 1) * right_part
    lower = at(top + 1, left) * (1 - right_part) + at(top + 1, left + 1) * right_part
    read = upper * (1 - low_part) + lower * low_part
    return np.asarray(read.transpose(0, 3, 1, 2), np.float32).reshape(len(boxes), -1)

"""Where to look in a photo: the whole of it and square windows of several sizes, with a vector for each.

From a dense map every window is pooled by one cumulative sum; encoders without a map get crops. Knows neither concepts
nor the index.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from personal.concepts import WHOLE, Box

if TYPE_CHECKING:
    from PIL.Image import Image

LARGE = (1.0, 0.75, 0.5)
SIZES = (*LARGE, 0.375, 0.25)
SMALL = (0.5, 0.375, 0.25, 0.18)
"""Sides of windows, as fractions of the photo's short side: where each costs an encoding, of a first look at a map, and
of a second, finer one."""
STEP = 0.34
"""Distance between windows, as a fraction of their side."""
COARSE = 0.5
"""The same where each costs an encoding."""
CROP_CELLS = 8
"""Cells along the short side of a photo when windows are crops."""
CENTRE = 0.5
"""Side of a reference photo's centre crop as a part of the short side: it mostly shows the subject alone."""

_SMALL = 1e-6

Window = tuple[int, int, int, int]
"""x0, y0, x1, y1 in cells of the map."""


@dataclass(frozen=True)
class Regions:
    """Boxes of a photo, the whole of it first, and `vectors` (n, dimension), unit length."""

    boxes: tuple[Box, ...]
    vectors: NDArray[np.float32]


def windows(columns: int, rows: int, sizes: Sequence[float] = SIZES, step: float = STEP) -> list[Window]:
    """List the windows of a map of `columns` x `rows` cells: the whole first, then squares from large to small."""
    short = min(columns, rows)
    found = [(0, 0, columns, rows)]
    for size in sizes:
        side = max(1, round(short * size))
        apart = max(1, round(short * size * step))
        found += [
            (x, y, x + side, y + side) for y in _starts(rows - side, apart) for x in _starts(columns - side, apart)
        ]
    return list(dict.fromkeys(found))


def _starts(room: int, step: int) -> list[int]:
    """Spread windows evenly over `room` cells, both ends included, at most `step` apart."""
    count = -(-room // step)
    return [round(i * room / count) for i in range(count + 1)] if count else [0]


def fractions(window: Window, columns: int, rows: int) -> Box:
    """Return a window as fractions of the photo."""
    x0, y0, x1, y1 = window
    return x0 / columns, y0 / rows, x1 / columns, y1 / rows


def pool(dense: NDArray[np.float32], sizes: Sequence[float] = SIZES) -> Regions:
    """Pool a map (rows, columns, channels) over all its windows."""
    rows, columns = dense.shape[:2]
    cells = windows(columns, rows, sizes)
    return Regions(tuple(fractions(window, columns, rows) for window in cells), _pool(dense, cells))


def centre(width: int, height: int) -> Box:
    """Return the centre crop of a picture of this size: the square that is indexed beside the whole."""
    side = min(width, height) * CENTRE
    x, y = side / width / 2, side / height / 2
    return 0.5 - x, 0.5 - y, 0.5 + x, 0.5 + y


def pool_box(dense: NDArray[np.float32], *boxes: Box) -> NDArray[np.float32]:
    """Pool a map over boxes, rounded outwards to whole cells: (boxes, channels), unit length."""
    rows, columns = dense.shape[:2]
    cells = []
    for left, top, right, bottom in boxes:
        x0, y0 = min(int(left * columns + _SMALL), columns - 1), min(int(top * rows + _SMALL), rows - 1)
        x1, y1 = int(np.ceil(right * columns - _SMALL)), int(np.ceil(bottom * rows - _SMALL))
        cells.append((x0, y0, min(columns, max(x0 + 1, x1)), min(rows, max(y0 + 1, y1))))
    return _pool(dense, cells)


def pool_whole(dense: NDArray[np.float32]) -> NDArray[np.float32]:
    """Pool a map over the whole photo: (1, channels), unit length."""
    return pool_box(dense, WHOLE)


def crops(image: Image) -> tuple[tuple[Box, ...], list[Image]]:
    """Cut the windows out of a photo, for encoders that give no map."""
    short = min(image.size)
    columns, rows = (max(1, round(side / short * CROP_CELLS)) for side in image.size)
    boxes = tuple(fractions(window, columns, rows) for window in windows(columns, rows, LARGE, COARSE))
    return boxes, [cut(image, box) for box in boxes]


def cut(image: Image, box: Box) -> Image:
    """Cut one box out of a photo, at least a pixel wide and high."""
    x0, y0 = min(int(box[0] * image.width), image.width - 1), min(int(box[1] * image.height), image.height - 1)
    return image.crop((x0, y0, max(x0 + 1, round(box[2] * image.width)), max(y0 + 1, round(box[3] * image.height))))


def intersection_area(boxes: Sequence[Box], others: Sequence[Box]) -> NDArray[np.float32]:
    """Return what every box shares with each of the others, as a share of the photo: (n, m), 0..1."""
    x0, y0, x1, y1 = np.asarray(boxes, dtype=np.float32).reshape(-1, 4).T
    left, top, right, bottom = np.asarray(others, dtype=np.float32).reshape(-1, 4).T
    wide = np.maximum(np.minimum.outer(x1, right) - np.maximum.outer(x0, left), 0)
    return np.asarray(wide * np.maximum(np.minimum.outer(y1, bottom) - np.maximum.outer(y0, top), 0))


def pairwise_iou(boxes: Sequence[Box]) -> NDArray[np.float32]:
    """Return the overlap of every two boxes, intersection over union: (n, n), 0..1."""
    both, size = intersection_area(boxes, boxes), areas(boxes).astype(np.float32)
    return np.asarray(both / (np.add.outer(size, size) - both))


def areas(boxes: Sequence[Box]) -> NDArray[np.float64]:
    """Return the share of the photo that each box takes: (n,), 0..1."""
    b = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    return np.asarray((b[:, 2:] - b[:, :2]).prod(axis=1))


def _pool(dense: NDArray[np.float32], cells: list[Window]) -> NDArray[np.float32]:
    """Take the generalised mean, exponent 4, of every window from one cumulative sum of powers."""
    sums = np.zeros((dense.shape[0] + 1, dense.shape[1] + 1, dense.shape[2]))
    inside = sums[1:, 1:]
    np.maximum(dense, _SMALL, out=inside)
    np.square(np.square(inside, out=inside), out=inside)
    inside.cumsum(axis=0, out=inside)
    inside.cumsum(axis=1, out=inside)
    x0, y0, x1, y1 = np.asarray(cells).T
    total = sums[y1, x1] - sums[y0, x1] - sums[y1, x0] + sums[y0, x0]
    means = np.sqrt(np.sqrt(np.maximum(total / ((x1 - x0) * (y1 - y0))[:, None], 0)))
    return np.asarray(means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), _SMALL), dtype=np.float32)

"""Learn to draw boxes closer: of what is pasted on a photo the box is known, and a small network learns to find it.

The scenes are those of Cut, Paste and Learn (Dwibedi et al., ICCV 2017), without its blending; the targets those of
Fast R-CNN's box regression (Girshick, ICCV 2015, section 2.3), for each side apart. What is read around a box is what
`personal.retrieve.head` reads when it tightens one. Knows the encoder as a function only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from personal.retrieve.head import GRID, Head, _around

if TYPE_CHECKING:
    from PIL import Image

Array = NDArray[np.float32]
Draw = Callable[[np.random.Generator], "Image.Image"]
"""Opens a photo at random."""
Scene = tuple[NDArray[np.float16], Array]
"""A map (rows, columns, channels), and boxes (n, 4) of what was pasted, as fractions."""
Layers = tuple[tuple[Array, Array], ...]

CANVASES = ((1024, 768), (768, 1024), (768, 768), (1152, 768), (768, 1152))
MOST_PASTED = 4
LEAST_AREA, MOST_AREA, LEAST_SIDE = 0.025, 0.35, 48
"""Of what is pasted: fractions of the scene, and pixels."""
TRIES = 30
WIDTH = 40
"""Leading channels of the projection that the regressor reads."""
HIDDEN = (192, 128)
RATE, DECAY, DROPOUT = 1.5e-3, 0.05, 0.2
SCENES_AT_ONCE, GUESSES = 8, 6
"""Scenes in a step, and guesses at each of their boxes."""
LEAST_OVERLAP, LEAST_GUESS = 0.15, 0.03
REPORT_EVERY = 50


def part(photo: Image.Image, random: np.random.Generator) -> Image.Image:
    """Cut a rectangle out of a photo: half to all of its short side long, 0.6 to 1.6 times as wide as high."""
    side, aspect = random.uniform(0.5, 1) * min(photo.size), random.uniform(0.6, 1.6)
    width, height = (max(1, int(length)) for length in (side * min(1, aspect), side / max(1, aspect)))
    x, y = (int(random.integers(0, room + 1)) for room in (photo.width - width, photo.height - height))
    return photo.crop((x, y, x + width, y + height))


def scene(draw: Draw, random: np.random.Generator) -> tuple[Image.Image, Array]:
    """Paste one to four parts of photos on another, none over another: the scene and their boxes (n, 4)."""
    size = np.array(CANVASES[random.integers(len(CANVASES))])
    while True:
        canvas, boxes = draw(random).resize(tuple(size.tolist())), np.zeros((0, 4), np.float32)
        for _ in range(int(random.integers(1, MOST_PASTED + 1))):
            pasted = part(draw(random), random)
            area = np.exp(random.uniform(np.log(LEAST_AREA), np.log(MOST_AREA))) * size.prod()
            scaled = (np.array(pasted.size) * np.sqrt(area / (pasted.width * pasted.height))).astype(int)
            place = _free(size, scaled, boxes, random)
            if place is not None and scaled.min() >= LEAST_SIDE:
                shape = tuple(scaled.tolist())
                canvas.paste(pasted.resize(shape), tuple(place.tolist()), _mask(shape, random))
                boxes = np.vstack([boxes, np.concatenate([place, place + scaled])]).astype(np.float32)
        if len(boxes):
            return canvas, np.asarray(boxes / np.tile(size, 2), np.float32)


def _free(size: NDArray[Any], scaled: NDArray[Any], boxes: Array, random: np.random.Generator) -> NDArray[Any] | None:
    """Find a place for something `scaled` where nothing was pasted yet."""
    if (scaled >= size).any():
        return None
    for _ in range(TRIES):
        place = random.integers(0, size - scaled + 1)
        if ((place + scaled <= boxes[:, :2]) | (boxes[:, 2:] <= place)).any(axis=1).all():
            return np.asarray(place)
    return None


def _mask(size: tuple[int, ...], random: np.random.Generator) -> Image.Image:
    """Draw the shape of what is pasted: its rectangle, as often an ellipse or a polygon that touches its sides."""
    from PIL import Image, ImageDraw

    width, height = size
    kind = random.random()
    mask = Image.new("L", (width, height), 255 if kind < 0.5 else 0)
    if kind >= 0.75:
        corners = int(random.integers(5, 10))
        angles, reach = np.sort(random.uniform(0, 2 * np.pi, corners)), random.uniform(0.6, 1, corners)
        points = np.stack([np.cos(angles) * reach, np.sin(angles) * reach], axis=1)
        points = (points - points.min(axis=0)) / np.maximum(np.ptp(points, axis=0), 1e-3) * (width - 1, height - 1)
        ImageDraw.Draw(mask).polygon([(x, y) for x, y in points.tolist()], fill=255)
    elif kind >= 0.5:
        ImageDraw.Draw(mask).ellipse((0, 0, width - 1, height - 1), fill=255)
    return mask


def guesses(box: Array, shape: tuple[int, ...], count: int, random: np.random.Generator) -> Array:
    """Guess at a box as windows do, off its middle and rather too small; `shape` is the map's: (count, 4).

    Seven of ten are squares of cells but for some stretching; the others are of the box's own form.
    """
    size = box[2:] - box[:2]
    cells = np.array([shape[1], shape[0]])
    square = (size * cells).mean() / cells
    found = np.zeros((0, 4), np.float32)
    while len(found) < count:
        stretch = np.exp(random.normal(0, 0.15, (count, 1)))
        sides = np.where(random.random((count, 1)) < 0.3, size, square) * np.exp(random.normal(-0.2, 0.4, (count, 1)))
        sides = sides * np.hstack([stretch, 1 / stretch])
        middle = (box[:2] + box[2:]) / 2 + random.normal(0, 0.22, (count, 2)) * size
        drawn = np.clip(np.hstack([middle - sides / 2, middle + sides / 2]), 0, 1).astype(np.float32)
        wide = (drawn[:, 2:] - drawn[:, :2]).min(axis=1) > LEAST_GUESS
        found = np.vstack([found, drawn[wide & (overlap(drawn, box[None]) > LEAST_OVERLAP)]])
    return found[:count]


def overlap(ours: Array, theirs: Array) -> Array:
    """Return intersection over union of boxes, pair by pair: (n,)."""
    low, high = np.maximum(ours[:, :2], theirs[:, :2]), np.minimum(ours[:, 2:], theirs[:, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (ours, theirs)]
    return np.asarray(shared / np.maximum(areas[0] + areas[1] - shared, 1e-9), np.float32)


def fit(scenes: Sequence[Scene], steps: int, seed: int) -> Iterator[tuple[int, float, Layers, float]]:
    """Train the regressor on maps already projected to WIDTH channels. Yields step, loss, layers and features' scale.

    A perceptron reads GRID x GRID points around a guess and tells how far each side is to move, in widths and heights
    of the guess; smooth L1 loss, AdamW, one cycle of the rate.
    """
    import torch
    from torch import nn

    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    scale = float(np.concatenate([seen.ravel() for seen, _ in scenes[:100]]).astype(np.float32).std()) or 1.0
    sizes = (GRID**2 * scenes[0][0].shape[2], *HIDDEN, 4)
    linear = [nn.Linear(a, b) for a, b in pairwise(sizes)]
    drop = nn.Dropout(DROPOUT)
    network = nn.Sequential(drop, linear[0], nn.ReLU(), drop, linear[1], nn.ReLU(), linear[2])
    optimiser = torch.optim.AdamW(network.parameters(), RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, steps)
    for step in range(1, steps + 1):
        drawn = random.choice(len(scenes), min(SCENES_AT_ONCE, len(scenes)), replace=False)
        features, moves = (torch.from_numpy(array) for array in _lesson([scenes[i] for i in drawn], scale, random))
        loss = nn.functional.smooth_l1_loss(network(features), moves, beta=0.1)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        if step % REPORT_EVERY == 0 or step == steps:
            layers = tuple((lay.weight.detach().numpy().copy(), lay.bias.detach().numpy().copy()) for lay in linear)
            yield step, loss.item(), layers, scale


def _lesson(scenes: Sequence[Scene], scale: float, random: np.random.Generator) -> tuple[Array, Array]:
    """Guess at every box of some scenes: what is read around each guess, and how far its sides are to move."""
    features, moves = [], []
    for seen, boxes in scenes:
        guessed = np.vstack([guesses(box, seen.shape, GUESSES, random) for box in boxes])
        features.append(_around(seen.astype(np.float32) / np.float32(scale), guessed))
        moves.append((np.repeat(boxes, GUESSES, axis=0) - guessed) / np.tile(guessed[:, 2:] - guessed[:, :2], 2))
    return np.vstack(features), np.vstack(moves).astype(np.float32)


def examine(head: Head, scenes: Sequence[Scene], seed: int) -> tuple[float, float]:
    """Guess at the boxes of scenes with whole maps: mean overlap of the guesses, and of what `head` makes of them."""
    random = np.random.default_rng(seed)
    before, after = [], []
    for seen, boxes in scenes:
        guessed = np.vstack([guesses(box, seen.shape, GUESSES, random) for box in boxes])
        truth = np.repeat(boxes, GUESSES, axis=0)
        before.append(overlap(guessed, truth))
        after.append(overlap(head.regress_boxes(seen.astype(np.float32), guessed), truth))
    return float(np.concatenate(before).mean()), float(np.concatenate(after).mean())

"""Train a box regressor on parts of photos pasted on other photos, whose boxes are known.

The scenes follow Cut, Paste and Learn (Dwibedi et al., ICCV 2017) without its blending, the targets Fast R-CNN's box
regression (Girshick, ICCV 2015, section 2.3), but for each side. The network reads around a box what
`personal.retrieve.head` reads there. Knows the encoder only as a function.
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
DrawPhoto = Callable[[np.random.Generator], "Image.Image"]
"""Opens a random photo."""
Scene = tuple[NDArray[np.float16], Array]
"""A map (rows, columns, channels), and the boxes (n, 4) of the pasted parts, as fractions."""
Layers = tuple[tuple[Array, Array], ...]

SCENE_SIZES = ((1024, 768), (768, 1024), (768, 768), (1152, 768), (768, 1152))
MAX_PARTS = 4
"""Parts pasted on a scene."""
MIN_AREA, MAX_AREA, MIN_SIDE = 0.025, 0.35, 48
"""Area of a pasted part as fractions of the scene, and its side in pixels."""
TRIES = 30
"""Random positions tried for a part."""
WIDTH = 40
"""Leading channels of the projection that the regressor reads."""
HIDDEN = (192, 128)
"""Widths of the network's hidden layers."""
LEARNING_RATE, WEIGHT_DECAY, DROPOUT = 1.5e-3, 0.05, 0.2
SCENES_PER_STEP, PROPOSALS = 8, 6
"""Scenes in a step, and proposals for each of their boxes."""
MIN_IOU, MIN_PROPOSAL_SIDE = 0.15, 0.03
"""Of a proposal: its IoU with the box, and its shorter side as a fraction of the photo."""
REPORT_EVERY = 50


def random_part(photo: Image.Image, random: np.random.Generator) -> Image.Image:
    """Cut a rectangle out of a photo: half to all of its short side long, 0.6 to 1.6 times as wide as high."""
    side, aspect = random.uniform(0.5, 1) * min(photo.size), random.uniform(0.6, 1.6)
    width, height = (max(1, int(length)) for length in (side * min(1, aspect), side / max(1, aspect)))
    x, y = (int(random.integers(0, room + 1)) for room in (photo.width - width, photo.height - height))
    return photo.crop((x, y, x + width, y + height))


def paste_scene(draw: DrawPhoto, random: np.random.Generator) -> tuple[Image.Image, Array]:
    """Paste one to MAX_PARTS parts of photos on another photo, none over another: the scene and their boxes (n, 4)."""
    size = np.array(SCENE_SIZES[random.integers(len(SCENE_SIZES))])
    while True:
        canvas, boxes = draw(random).resize(tuple(size.tolist())), np.zeros((0, 4), np.float32)
        for _ in range(int(random.integers(1, MAX_PARTS + 1))):
            pasted = random_part(draw(random), random)
            area = np.exp(random.uniform(np.log(MIN_AREA), np.log(MAX_AREA))) * size.prod()
            scaled = (np.array(pasted.size) * np.sqrt(area / (pasted.width * pasted.height))).astype(int)
            place = _free_position(size, scaled, boxes, random)
            if place is not None and scaled.min() >= MIN_SIDE:
                shape = tuple(scaled.tolist())
                canvas.paste(pasted.resize(shape), tuple(place.tolist()), _mask(shape, random))
                boxes = np.vstack([boxes, np.concatenate([place, place + scaled])]).astype(np.float32)
        if len(boxes):
            return canvas, np.asarray(boxes / np.tile(size, 2), np.float32)


def _free_position(
    size: NDArray[Any], scaled: NDArray[Any], boxes: Array, random: np.random.Generator
) -> NDArray[Any] | None:
    """Return a position for a part of the size `scaled` that covers none of the boxes, None if none was found."""
    if (scaled >= size).any():
        return None
    for _ in range(TRIES):
        place = random.integers(0, size - scaled + 1)
        if ((place + scaled <= boxes[:, :2]) | (boxes[:, 2:] <= place)).any(axis=1).all():
            return np.asarray(place)
    return None


def _mask(size: tuple[int, ...], random: np.random.Generator) -> Image.Image:
    """Draw the mask of a pasted part: a rectangle, as often an ellipse or a polygon, which touch all sides."""
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


def propose(box: Array, shape: tuple[int, ...], count: int, random: np.random.Generator) -> Array:
    """Draw proposals for a box as windows give them, off its centre and often too small: (count, 4).

    `shape` is the map's. Seven of ten are square in cells, a little stretched; the others have the box's own form.
    """
    size = box[2:] - box[:2]
    cells = np.array([shape[1], shape[0]])
    square = (size * cells).mean() / cells
    found = np.zeros((0, 4), np.float32)
    while len(found) < count:
        stretch = np.exp(random.normal(0, 0.15, (count, 1)))
        sides = np.where(random.random((count, 1)) < 0.3, size, square) * np.exp(random.normal(-0.2, 0.4, (count, 1)))
        sides = sides * np.hstack([stretch, 1 / stretch])
        centre = (box[:2] + box[2:]) / 2 + random.normal(0, 0.22, (count, 2)) * size
        drawn = np.clip(np.hstack([centre - sides / 2, centre + sides / 2]), 0, 1).astype(np.float32)
        wide = (drawn[:, 2:] - drawn[:, :2]).min(axis=1) > MIN_PROPOSAL_SIDE
        found = np.vstack([found, drawn[wide & (paired_iou(drawn, box[None]) > MIN_IOU)]])
    return found[:count]


def paired_iou(ours: Array, theirs: Array) -> Array:
    """Return the IoU of boxes, pair by pair: (n,)."""
    low, high = np.maximum(ours[:, :2], theirs[:, :2]), np.minimum(ours[:, 2:], theirs[:, 2:])
    intersection = np.clip(high - low, 0, None).prod(axis=1)
    areas = [(boxes[:, 2:] - boxes[:, :2]).prod(axis=1) for boxes in (ours, theirs)]
    return np.asarray(intersection / np.maximum(areas[0] + areas[1] - intersection, 1e-9), np.float32)


def fit(scenes: Sequence[Scene], steps: int, seed: int) -> Iterator[tuple[int, float, Layers, float]]:
    """Train the regressor on maps already projected to WIDTH channels. Yields step, loss, layers and features' scale.

    A perceptron reads GRID x GRID points around a proposal and returns by how much each side moves, in widths and
    heights of the proposal; smooth L1 loss, AdamW, one cycle of the learning rate.
    """
    import torch
    from torch import nn

    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    scale = float(np.concatenate([dense.ravel() for dense, _ in scenes[:100]]).astype(np.float32).std()) or 1.0
    sizes = (GRID**2 * scenes[0][0].shape[2], *HIDDEN, 4)
    linear = [nn.Linear(a, b) for a, b in pairwise(sizes)]
    drop = nn.Dropout(DROPOUT)
    network = nn.Sequential(drop, linear[0], nn.ReLU(), drop, linear[1], nn.ReLU(), linear[2])
    optimiser = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, steps)
    for step in range(1, steps + 1):
        drawn = random.choice(len(scenes), min(SCENES_PER_STEP, len(scenes)), replace=False)
        features, moves = (torch.from_numpy(array) for array in _targets([scenes[i] for i in drawn], scale, random))
        loss = nn.functional.smooth_l1_loss(network(features), moves, beta=0.1)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        if step % REPORT_EVERY == 0 or step == steps:
            layers = tuple((one.weight.detach().numpy().copy(), one.bias.detach().numpy().copy()) for one in linear)
            yield step, loss.item(), layers, scale


def _proposals(scenes: Sequence[Scene], random: np.random.Generator) -> Iterator[tuple[Array, Array, Array]]:
    """Yield each scene's map in float32, proposals for its boxes, and the box of each proposal."""
    for dense, boxes in scenes:
        proposals = np.vstack([propose(box, dense.shape, PROPOSALS, random) for box in boxes])
        yield dense.astype(np.float32), proposals, np.repeat(boxes, PROPOSALS, axis=0)


def _targets(scenes: Sequence[Scene], scale: float, random: np.random.Generator) -> tuple[Array, Array]:
    """Return the features around proposals for the boxes of scenes, and by how much their sides are to move."""
    features, moves = [], []
    for dense, proposals, truth in _proposals(scenes, random):
        features.append(_around(dense / np.float32(scale), proposals))
        moves.append((truth - proposals) / np.tile(proposals[:, 2:] - proposals[:, :2], 2))
    return np.vstack(features), np.vstack(moves).astype(np.float32)


def mean_iou(head: Head, scenes: Sequence[Scene], seed: int) -> tuple[float, float]:
    """Return the mean IoU of proposals in scenes with whole maps, before and after `head` regresses them."""
    before, after = [], []
    for dense, proposals, truth in _proposals(scenes, np.random.default_rng(seed)):
        before.append(paired_iou(proposals, truth))
        after.append(paired_iou(head.regress_boxes(dense, proposals), truth))
    return float(np.concatenate(before).mean()), float(np.concatenate(after).mean())

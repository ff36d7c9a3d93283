"""Where faces are in a picture: boxes and five points each, by a cascade of three small networks.

Method, sizes and the first two certainties are MTCNN's (Zhang et al., IEEE Signal Processing Letters 23, 2016): the
first network sweeps a pyramid of the picture, the second and the third look again, closer, at what was proposed. The
weights are facenet-pytorch's. Knows nothing of who a face is.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image

    Weights = dict[str, torch.Tensor]

LONG_SIDE = 640
"""Pixels of a picture's long side on its way through the cascade."""
SMALLEST = 1 / 24
"""The smallest face that is looked for, as a fraction of the long side."""
CERTAINTY = (0.6, 0.7, 0.95)
"""Probability of a face from which each network hands a box on."""
OVERLAP = (0.7, 0.7, 0.4)
"""Of two boxes that share more than this (intersection over union) a network hands the likelier one on."""

CELL, STEP = 12, 2
"""Pixels that the first network sees at a time, and from one place to the next."""
SHRINK = 0.709
"""Sides of the next floor of the pyramid: half the area."""
POOLS = ((2, 0, 0), (3, 3, 0), (3, 3, 2, 0))
"""For each network a number for each convolution: the side of the maximum taken after it, 0 for none."""


@dataclass(frozen=True)
class Found:
    """Faces in pixels, likeliest first: `boxes` (n, 4), x0 y0 x1 y1, which may reach beyond the picture, and `points`
    (n, 5, 2), the eyes, the nose and the corners of the mouth."""

    boxes: NDArray[np.float32]
    points: NDArray[np.float32]


class Cascade:
    """The three networks, from a folder with `pnet.pt`, `rnet.pt` and `onet.pt`."""

    def __init__(self, folder: Path) -> None:
        import torch

        names = ("pnet", "rnet", "onet")
        self._weights = [torch.load(folder / f"{name}.pt", map_location="cpu", weights_only=True) for name in names]

    def find(self, image: Image) -> Found:
        """Find the faces of an RGB picture."""
        import torch

        scale = LONG_SIDE / max(image.size)
        small = image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))))
        pixels = (torch.from_numpy(np.array(small, np.float32)).permute(2, 0, 1)[None] - 127.5) / 128
        back = torch.tensor([image.width / small.width, image.height / small.height])
        with torch.inference_mode():
            boxes = self._sweep(pixels)
            boxes, _ = self._look_again(pixels, boxes, 1)
            boxes, points = self._look_again(pixels, boxes, 2)
            return Found((boxes * back.repeat(2)).numpy(), (points * back).numpy())

    def _sweep(self, pixels: torch.Tensor) -> torch.Tensor:
        """Run the first network over every floor of the pyramid: (n, 4), boxes worth another look."""
        import torch
        from torch.nn import functional as nn
        from torchvision.ops import nms

        weights, (height, width) = self._weights[0], pixels.shape[-2:]
        boxes, chances = [torch.zeros(0, 4)], [torch.zeros(0)]
        scale = CELL / (SMALLEST * LONG_SIDE)
        while min(height, width) * scale >= CELL:
            floor = nn.interpolate(pixels, (round(height * scale), round(width * scale)), mode="area")
            x = _convolve(floor, weights, POOLS[0])
            chance = _convolution(x, weights, "conv4_1").softmax(1)[0, 1]
            row, column = (chance > CERTAINTY[0]).nonzero(as_tuple=True)
            corner = torch.stack([column, row], 1) * STEP
            cells = torch.cat([corner, corner + CELL], 1) / scale
            shift = _convolution(x, weights, "conv4_2")[0].permute(1, 2, 0)[row, column]
            kept = nms(cells, chance[row, column], 0.5)
            boxes.append(_moved(cells, shift)[kept])
            chances.append(chance[row, column][kept])
            scale *= SHRINK
        every = torch.cat(boxes)
        return every[nms(every, torch.cat(chances), OVERLAP[0])]

    def _look_again(self, pixels: torch.Tensor, boxes: torch.Tensor, stage: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Run the second or the third network over squares around boxes: better boxes, and from the third points."""
        import torch
        from torchvision.ops import nms, roi_align

        if not len(boxes):
            return boxes, torch.zeros(0, 5, 2)
        centre = (boxes[:, :2] + boxes[:, 2:]) / 2
        half = (boxes[:, 2:] - boxes[:, :2]).amax(1, keepdim=True) / 2
        squares = torch.cat([centre - half, centre + half], 1)
        weights, dense = self._weights[stage], f"{stage + 3}"
        x = _convolve(roi_align(pixels, [squares], 24 * stage, aligned=True), weights, POOLS[stage])
        x = x.permute(0, 3, 2, 1).flatten(1)  # columns before rows, as in the Matlab original
        x = torch.nn.functional.prelu(_linear(x, weights, f"dense{dense}"), weights[f"prelu{dense}.weight"])
        heads = [_linear(x, weights, f"dense{stage + 4}_{head}") for head in range(1, stage + 2)]
        chance, better = heads[0].softmax(1)[:, 1], _moved(squares, heads[1])
        kept = nms(better, chance, OVERLAP[stage])
        kept = kept[chance[kept] > CERTAINTY[stage]]
        if stage == 1:
            return better[kept], torch.zeros(len(kept), 5, 2)
        points = squares[:, None, :2] + heads[2].reshape(-1, 2, 5).transpose(1, 2) * 2 * half[:, None]
        return better[kept], points[kept]


def _convolve(x: torch.Tensor, weights: Weights, pools: tuple[int, ...]) -> torch.Tensor:
    """Apply a network's convolutions, each with its rectifier and, where `pools` says so, a maximum."""
    from torch.nn import functional as nn

    for number, side in enumerate(pools, 1):
        x = nn.prelu(_convolution(x, weights, f"conv{number}"), weights[f"prelu{number}.weight"])
        if side:
            x = nn.max_pool2d(x, side, 2, ceil_mode=True)
    return x


def _convolution(x: torch.Tensor, weights: Weights, layer: str) -> torch.Tensor:
    import torch

    return torch.nn.functional.conv2d(x, weights[f"{layer}.weight"], weights[f"{layer}.bias"])


def _linear(x: torch.Tensor, weights: Weights, layer: str) -> torch.Tensor:
    import torch

    return torch.nn.functional.linear(x, weights[f"{layer}.weight"], weights[f"{layer}.bias"])


def _moved(boxes: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """Move the corners of boxes (n, 4) by fractions (n, 4) of their sides."""
    return boxes + shift * (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)

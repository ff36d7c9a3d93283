"""Keep pictures within a number of tokens: the photo large, avatars small. Pure functions; knows processors, no models.

How many tokens a picture costs is the processor's own arithmetic: cells of its pixels (Qwen, Gemma), tiles (SmolVLM,
Idefics3, InternVL, a lone picture in LLaVA-OneVision), or always the same (LLaVA-1.5, FastVLM, several pictures in
LLaVA-OneVision). `fit` resizes each picture to what its budget allows and says what keeps the processor from undoing
that. Markers around pictures and tiles are not counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image

PHOTO_TOKENS, AVATAR_TOKENS = 1024, 128
STEEPEST = 199  # Qwen's processors refuse a picture that is more than 200 times as long as wide
GEMMA_TOKENS = (70, 140, 280, 560, 1120)

Fitted = tuple[list["Image"], dict[str, Any]]


def fit(
    processor: Any,
    pictures: Sequence[Image],
    avatars: Sequence[bool],
    *,
    photo_tokens: int = PHOTO_TOKENS,
    avatar_tokens: int = AVATAR_TOKENS,
) -> Fitted:
    """Return the pictures of one prompt, in their order, resized, and the `images_kwargs` of its processor.

    `avatars` tells of each whether it is one. No picture costs more than its budget, or else the least that its
    family allows. Where all pictures cost the same, or the processor is not known here, they come back as they are.
    """
    kind = type(processor.image_processor).__name__.removesuffix("Fast").removesuffix("Pil")
    if not pictures or kind not in FITS:
        return list(pictures), {}
    return FITS[kind](processor, pictures, [avatar_tokens if avatar else photo_tokens for avatar in avatars])


def _cells(width: float, height: float, cell: int, most: int, least: int = 1) -> tuple[int, int]:
    """Return the columns and rows of cells nearest to a size in pixels, about `least` and at most `most` in all."""
    area = width * height / cell**2
    scale = math.sqrt(min(max(area, least), most) / area) / cell
    columns, rows = max(1, round(width * scale)), max(1, round(height * scale))
    columns, rows = min(columns, STEEPEST * rows, most), min(rows, STEEPEST * columns, most)
    while columns * rows > most:
        fewer = [grid for grid in ((columns - 1, rows), (columns, rows - 1)) if all(grid)]
        columns, rows = min(fewer, key=lambda grid: abs(math.log(grid[0] / grid[1] * height / width)))
    return columns, rows


def _resized(pictures: Sequence[Image], grids: Sequence[tuple[int, int]], cell: int) -> list[Image]:
    from PIL import Image

    sizes = [(columns * cell, rows * cell) for columns, rows in grids]
    return [picture.resize(size, Image.Resampling.BICUBIC) for picture, size in zip(pictures, sizes, strict=True)]


def _qwen(processor: Any, pictures: Sequence[Image], budgets: Sequence[int]) -> Fitted:
    """Fit for Qwen2.5-VL and Qwen3-VL: a token is a square of patches; small pictures keep the family's least size."""
    images = processor.image_processor
    cell = images.patch_size * images.merge_size
    least = math.ceil(images.size["shortest_edge"] / cell**2)
    grids = [_cells(*p.size, cell, most, min(least, most)) for p, most in zip(pictures, budgets, strict=True)]
    return _resized(pictures, grids, cell), {"size": {"shortest_edge": cell**2, "longest_edge": max(budgets) * cell**2}}


def _gemma(processor: Any, pictures: Sequence[Image], budgets: Sequence[int]) -> Fitted:
    """Fit for Gemma 4: a picture fills what the processor gives one, or the largest of the family's sizes below it."""
    images = processor.image_processor
    cell = images.patch_size * images.pooling_kernel_size
    budgets = [min(budget, images.max_soft_tokens) for budget in budgets]
    most = [max((size for size in GEMMA_TOKENS if size <= budget), default=budget) for budget in budgets]
    grids = [_cells(*p.size, cell, size, size) for p, size in zip(pictures, most, strict=True)]
    room = min(size for size in GEMMA_TOKENS if size >= max(most))
    return _resized(pictures, grids, cell), {"do_resize": False, "max_soft_tokens": room}


def _smolvlm(processor: Any, pictures: Sequence[Image], budgets: Sequence[int]) -> Fitted:
    """Fit for SmolVLM and Idefics3: tiles of the enlarged picture and the whole of it, or the whole alone."""
    tile, longest = (getattr(processor.image_processor, size)["longest_edge"] for size in ("max_image_size", "size"))
    most = [_tiles(budget, processor.image_seq_len) for budget in budgets]
    sizes = [(longest * p.width / max(p.size), longest * p.height / max(p.size)) for p in pictures]
    grids = [_cells(*size, tile, number) for size, number in zip(sizes, most, strict=True)]
    return _resized(pictures, grids, tile), {"do_resize": False, "do_image_splitting": True}


def _internvl(processor: Any, pictures: Sequence[Image], budgets: Sequence[int]) -> Fitted:
    """Fit for InternVL: tiles, and the whole picture where there are several."""
    tile = processor.image_processor.size["height"]
    most = [min(_tiles(b, processor.image_seq_length), processor.image_processor.max_patches) for b in budgets]
    grids = [_cells(*p.size, tile, number) for p, number in zip(pictures, most, strict=True)]
    return _resized(pictures, grids, tile), {
        "crop_to_patches": True,
        "max_patches": max(columns * rows for columns, rows in grids),
    }


def _onevision(processor: Any, pictures: Sequence[Image], budgets: Sequence[int]) -> Fitted:
    """Fit for LLaVA-OneVision: only a picture alone is read in tiles, fewer of them where it is small."""
    from PIL import ImageOps

    if len(pictures) > 1:
        return list(pictures), {}
    picture, tile = pictures[0], processor.image_processor.size["height"]
    sides = (tile * number for number in range(max(picture.size) // tile, 0, -1))
    for side in (max(picture.size), *sides):
        picture = ImageOps.contain(pictures[0], (side, side))
        cost = processor._get_num_multimodal_tokens(image_sizes=[picture.size[::-1]])["num_image_tokens"][0]
        if cost <= budgets[0]:
            break
    return [picture], {}


def _tiles(budget: int, tokens: int) -> int:
    """Return how many tiles a budget allows beside the whole picture; one tile is the whole picture."""
    return max(1, budget // tokens - 1)


FITS: dict[str, Callable[[Any, Sequence[Image], Sequence[int]], Fitted]] = {
    "Qwen2VLImageProcessor": _qwen,
    "Gemma4ImageProcessor": _gemma,
    "SmolVLMImageProcessor": _smolvlm,
    "Idefics3ImageProcessor": _smolvlm,
    "GotOcr2ImageProcessor": _internvl,
    "LlavaOnevisionImageProcessor": _onevision,
}

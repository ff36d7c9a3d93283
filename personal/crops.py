"""Cut parts out of photos and draw on them: crops, labelled boxes, thumbnails.

Knows nothing of where photos come from or go.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from io import BytesIO
from weakref import WeakKeyDictionary

from PIL import Image, ImageDraw, ImageFont, ImageOps

from personal.concepts import WHOLE, Box, Photo
from personal.errors import ImageError
from personal.images import MIN_SIDE, encode, open_photo

LABELS = ("#c2410c", "#0369a1", "#15803d", "#7e22ce", "#b91c1c", "#0f766e")
"""Colours of boxes drawn on a photo."""

_drawn: WeakKeyDictionary[Photo, dict[tuple[int, Box | None, bool], bytes]] = WeakKeyDictionary()
"""Thumbnails by photo, then by side in pixels, box and shape; kept as long as the photo is."""


def crop(photo: Photo, box: Box, margin: float = 0.0) -> Photo:
    """Cut `box` out of a photo, widened on each side by `margin` of its own width and height.

    The crop is clipped to the photo and at least 16 pixels a side. Raises ImageError if `box` is not finite.
    """
    if box == WHOLE:
        return photo
    return encode(open_photo(photo).crop(_pixels(photo, box, margin)))


def labelled(photo: Photo, boxes: Sequence[tuple[Box, str]]) -> Photo:
    """Draw boxes with their names onto a photo, each in a colour of its own (PeKit's visual prompt, 2025)."""
    image = open_photo(photo).copy()
    line = max(2, round(max(image.size) / 250))
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(max(12, round(max(image.size) / 40)))
    for number, (box, name) in enumerate(boxes):
        colour = LABELS[number % len(LABELS)]
        left, top, right, bottom = _pixels(photo, box)
        draw.rectangle((left, top, right - 1, bottom - 1), outline=colour, width=line)
        text = draw.textbbox((left + line, top + line), name, font=font)
        draw.rectangle((left, top, text[2] + line, text[3] + line), fill=colour)
        draw.text((left + line, top + line), name, fill="white", font=font)
    return encode(image)


def thumbnail(photo: Photo, side: int, box: Box | None = None, square: bool = False) -> bytes:
    """Return a thumbnail as a JPEG, longest side at most `side` pixels, of `box` if given.

    With `square` a box is widened to a square as far as the photo allows, and the rest is cut off. A thumbnail is
    computed once and kept as long as its photo.
    """
    drawn = _drawn.setdefault(photo, {})
    if (side, box, square) not in drawn:
        drawn[side, box, square] = _thumbnail(photo, side, box, square)
    return drawn[side, box, square]


def data_url(photo: Photo, side: int) -> str:
    """Return a thumbnail as `data:image/jpeg;base64,…`, longest side at most `side` pixels."""
    return "data:image/jpeg;base64," + base64.b64encode(thumbnail(photo, side)).decode("ascii")


def _thumbnail(photo: Photo, side: int, box: Box | None, square: bool) -> bytes:
    x0, y0, x1, y1 = _pixels(photo, box or WHOLE, square=square and box is not None)
    with Image.open(BytesIO(photo.jpeg), formats=("JPEG",)) as image:
        enough = 2 * side / max(x1 - x0, y1 - y0)
        image.draft("RGB", (math.ceil(photo.width * enough), math.ceil(photo.height * enough)))
        drafted = image.width / photo.width
        cut = image.convert("RGB").crop(tuple(round(edge * drafted) for edge in (x0, y0, x1, y1)))  # type: ignore[arg-type]
    if square:
        shortest = min(side, *cut.size)
        cut = ImageOps.fit(cut, (shortest, shortest), Image.Resampling.LANCZOS)
    cut.thumbnail((side, side), Image.Resampling.LANCZOS)
    return encode(cut, quality=85).jpeg


def _pixels(photo: Photo, box: Box, margin: float = 0.0, square: bool = False) -> tuple[int, int, int, int]:
    """Convert a box of fractions to pixels inside the photo: left, top, right, bottom, at least 16 a side."""
    if not all(map(math.isfinite, (*box, margin))):
        raise ImageError("That box is not a part of the photo: mark it again.")
    x0, x1 = sorted((box[0] * photo.width, box[2] * photo.width))
    y0, y1 = sorted((box[1] * photo.height, box[3] * photo.height))
    across, down = (x1 - x0) * margin, (y1 - y0) * margin
    least = max(MIN_SIDE, round(max(x1 - x0, y1 - y0))) if square else MIN_SIDE
    left, right = _span(x0 - across, x1 + across, photo.width, least)
    top, bottom = _span(y0 - down, y1 + down, photo.height, least)
    return left, top, right, bottom


def _span(low: float, high: float, total: int, least: int) -> tuple[int, int]:
    start, end = round(min(max(low, 0), total)), round(min(max(high, 0), total))
    length = min(total, max(end - start, least))
    start = min(max((start + end - length) // 2, 0), total - length)
    return start, start + length

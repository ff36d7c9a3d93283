"""The pictures that rows name by paths: a photo, its avatar's crop, or two photos side by side."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from personal.concepts import WHOLE, Box

if TYPE_CHECKING:
    from PIL import Image

    from personal.data.photos import Photos

CROP = "crop/"
"""Path prefix of an avatar: the part of the photo that `avatar_box` gives."""
THINGS = "things/"
"""Prefix, after CROP, of the avatar of a thing beside the photo's subject."""
MOSAIC = "mosaic/"
"""Path prefix of two photos side by side, whose names are joined by `+`."""
MOSAIC_SIDE = 224
"""Pixels of a side of each photo in a mosaic."""
Picture = tuple[str, Box]
"""An image's file name, or a mosaic's path, and the part of it that is shown."""


def avatar_box(image: str) -> Box:
    """Return the box that stands for a photo's subject: 55 to 85 % of each side, drawn from a hash of the name."""
    digest = hashlib.sha256(image.encode()).digest()
    side = 0.55 + 0.3 * digest[0] / 255
    x, y = ((1 - side) * d / 255 for d in digest[1:3])
    return (round(x, 4), round(y, 4), round(x + side, 4), round(y + side, 4))


def parse_picture(path: str) -> Picture:
    """Return the picture that a row's path names."""
    if not path.startswith(CROP):
        return path, WHOLE
    image = path.removeprefix(CROP).removeprefix(THINGS)
    return image, avatar_box(image)


def open_picture(photos: Photos, picture: Picture) -> Image.Image:
    """Return a picture's pixels: a photo, a part of one, or two squashed side by side. Raises PersonalError."""
    from PIL import Image

    image, box = picture
    if image.startswith(MOSAIC):
        mosaic = Image.new("RGB", (2 * MOSAIC_SIDE, MOSAIC_SIDE))
        for number, name in enumerate(image.removeprefix(MOSAIC).split("+")):
            mosaic.paste(photos.open(name).resize((MOSAIC_SIDE, MOSAIC_SIDE)), (number * MOSAIC_SIDE, 0))
        return mosaic
    photo = photos.open(image)
    return photo if box == WHOLE else photo.crop(_pixels(box, photo.size))


def _pixels(box: Box, size: tuple[int, int]) -> tuple[int, int, int, int]:
    x0, y0, x1, y1 = box
    return round(x0 * size[0]), round(y0 * size[1]), round(x1 * size[0]), round(y1 * size[1])

"""Judge reference photos: hints about what may make one hard to recognise."""

from __future__ import annotations

import numpy as np
from PIL import Image

from personal.concepts import Photo
from personal.images import open_photo

SMALL_SIDE = 200
"""Shortest side in pixels below which a closer photo helps."""

DARK_MEAN = 40
"""Mean grey level, 0..255, below which a photo is called dark."""

BLURRED_VARIANCE = 80
"""Variance of the Laplacian at 256 pixels below which a photo is called blurred."""


def quality_hints(photo: Photo) -> list[str]:
    """Return a few words for each reason that makes this a poor reference photo; empty if there is none.

    Blur is measured by the variance of the Laplacian (Pech-Pacheco et al., 2000). Both thresholds were chosen on 107
    photos of 20 subjects (768 px): no untouched photo is called blurred and two are called dark; of those blurred with
    a Gaussian of radius 2, 3 and 4 px, 19, 69 and 100 % are called blurred.
    """
    image = open_photo(photo).convert("L")
    hints = [photo.hint] if photo.hint else []
    if min(image.size) < SMALL_SIDE:
        side = f"{photo.width} px wide" if photo.width <= photo.height else f"{photo.height} px high"
        hints.append(f"only {side}: a closer photo helps")
    image.thumbnail((256, 256), Image.Resampling.LANCZOS)
    grey = np.asarray(image, dtype=np.float32)
    neighbours = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    if grey.mean() < DARK_MEAN:
        hints.append("very dark: more light helps")
    elif float((neighbours - 4 * grey[1:-1, 1:-1]).var()) < BLURRED_VARIANCE:
        hints.append("blurred: a sharper photo helps")
    return hints

"""What a picture's numbers mean: any of Pillow's modes brought to 8 bits a channel, any colour profile to sRGB.

Serves `personal.images` alone, which says in what order; knows nothing of files.
"""

from __future__ import annotations

from io import BytesIO

from PIL import Image, ImageCms


def eight_bit(image: Image.Image) -> Image.Image:
    """Bring any of Pillow's modes to L, LA, RGB, RGBA, CMYK, YCbCr or LAB; transparency in any form becomes alpha."""
    if image.mode == "F" or image.mode.startswith("I"):
        import numpy as np

        grey = np.nan_to_num(np.asarray(image, dtype=np.float32))
        low, high = float(grey.min()), float(grey.max())
        if image.mode.startswith("I;16") or (low >= 0 and 255 < high <= 65535):
            low, high = 0.0, 65535.0
        elif low >= 0 and high <= 255:
            low, high = 0.0, 1.0 if image.mode == "F" and high <= 1 else 255.0
        return Image.fromarray(((grey - low) * (255 / (high - low)) + 0.5).clip(0, 255).astype(np.uint8))
    if image.mode == "LA":
        return image
    if image.has_transparency_data or image.mode in ("PA", "La", "RGBa"):
        return image.convert("RGBA")
    return image.convert({"1": "L", "P": "RGB", "RGBX": "RGB", "HSV": "RGB"}.get(image.mode, image.mode))


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Return RGB pixels in sRGB, by the embedded colour profile where it fits the pixels; alpha is left out."""
    plain = {"LA": "L", "RGBA": "RGB", "YCbCr": "RGB"}.get(image.mode, image.mode)
    try:
        if image.mode == "LAB":
            source = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        elif profile:
            source = ImageCms.ImageCmsProfile(BytesIO(profile))
        else:
            return image.convert("RGB")
        mode = {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK", "Lab": "LAB"}[source.profile.xcolor_space.strip()]
        if mode != plain and (mode, plain) not in {("RGB", "L"), ("L", "RGB")}:
            return image.convert("RGB")
        srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
        converted = ImageCms.profileToProfile(image.convert(mode), source, srgb, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, KeyError):
        return image.convert("RGB")  # a broken profile: colours as they are, like every viewer
    assert converted is not None  # None only with inPlace=True
    return converted

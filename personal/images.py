"""Every image enters here: decode, limit, turn upright, strip, bring to sRGB, shrink, re-encode, hash.

What leaves is a `Photo`: baseline JPEG without any metadata, the same bytes for the same input. Knows nothing of where
photos go.
"""

from __future__ import annotations

import hashlib
import math
import struct
import zlib
from dataclasses import replace
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import NoReturn

from PIL import Image, ImageOps

from personal import tiff
from personal.colours import Coding, by_chromaticities, by_code_points, eight_bit, shown, to_srgb
from personal.concepts import Photo
from personal.containers import JPEG_END, ZEROS, breaks_off, is_plain_jpeg, jpeg_without_end, png_chunk
from personal.errors import ImageError
from personal.signatures import DAMAGED, explain_unreadable

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "HEIF", "AVIF")
MAX_BYTES = 30 * 2**20
MAX_PIXELS = 100_000_000
MAX_SIDE = 1536
MIN_SIDE = 16
QUALITY = 92
MAX_RATIO = 24
"""Longest side over shortest; of longer pictures the middle is kept, 64 pixels high at the usual `MAX_SIDE`."""

LONG = "very long: only its middle is kept"
NO_END = "the file has no end marker: copy it again if anything is missing"
NOISE = (bytes(range(254, 0, -1)) * 8, b"\x55" * 2048, bytes(range(1, 255)) * 8)
"""What is appended to a JPEG without an end marker, to see whether any of its pixels are missing."""

DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    ArithmeticError,
    EOFError,
    RuntimeError,
    MemoryError,
    struct.error,
    zlib.error,
)
"""All that Pillow's and libheif's decoders raise on malformed bytes."""

ORIENTATION = 0x0112
"""The EXIF tag for the way a picture lies, 1 to 8 (EXIF 2.32)."""


def read_photo(
    source: bytes | Path, *, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS, max_side: int = MAX_SIDE
) -> Photo:
    """Read a picture file, or its bytes, as a clean photo whose longest side is at most `max_side` pixels.

    Bytes and pixels are limited before anything is decoded; of animations the first frame counts. A JPEG that already
    is as this function writes them is kept verbatim, so that reading is idempotent. Raises ImageError.
    """
    if isinstance(source, bytes):
        name, data = "This picture", source
    else:
        name = "".join(c if c.isprintable() else "�" for c in source.name) or "This folder"
        data = _read_file(source, name, max_bytes)
    _limit_bytes(len(data), name, max_bytes)
    image = _open(data, name, max_pixels)
    if min(image.size) < MIN_SIDE:
        width, height = image.size
        raise ImageError(
            f"{name} is only {width} × {height} pixels: too small to recognise anything. Use a larger one."
        )
    if breaks_off(data, image.format):
        raise _damaged(name)
    stored = image.size
    kept = _centre_crop_size(stored, max_side)
    try:
        data, image, hint = _repair_end(data, image)
        canonical = kept == stored and _is_canonical(data, image, max_side)
        clean = _normalise(image, kept, max_side, _coding(data, image))
    except Image.DecompressionBombError:
        _too_many_pixels(name, max_pixels)
    except DECODER_ERRORS as error:
        raise _damaged(name) from error
    photo = _photo(data, clean) if canonical else encode(clean)
    hint = hint or ("" if kept == stored else LONG)
    return replace(photo, hint=hint) if hint else photo


def open_photo(photo: Photo) -> Image.Image:
    """Return the photo's pixels: RGB, loaded."""
    with Image.open(BytesIO(photo.jpeg), formats=("JPEG",)) as image:
        return image.convert("RGB")


def encode(image: Image.Image, quality: int = QUALITY) -> Photo:
    """Encode pixels, mode RGB, as a photo without metadata. `quality` is JPEG's, 1..95."""
    image.info.clear()  # Pillow would write a comment found there
    stream = BytesIO()
    image.save(stream, "JPEG", quality=quality, subsampling="4:2:0")
    return _photo(stream.getvalue(), image)


def _read_file(path: Path, name: str, max_bytes: int) -> bytes:
    try:
        if path.is_dir():
            raise ImageError(f"{name} is a folder: choose the pictures inside it.")
        if path.exists() and not path.is_file():
            raise ImageError(f"{name} is not an ordinary file: choose a picture.")
        _limit_bytes(path.stat().st_size, name, max_bytes)
        with path.open("rb") as file:
            return file.read(max_bytes + 1)
    except FileNotFoundError as error:
        raise ImageError(f"{name} does not exist: check where the picture is.") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ImageError(f"{name} cannot be read ({reason}): check the file.") from error


def _limit_bytes(size: int, name: str, max_bytes: int) -> None:
    if size == 0:
        raise ImageError(f"{name} is empty (0 bytes): it may not have been copied completely.")
    if size > max_bytes:
        raise ImageError(
            f"{name} has {size / 2**20:.1f} MB, more than the limit of {max_bytes / 2**20:.1f} MB: save a smaller copy."
        )


def _too_many_pixels(name: str, max_pixels: int) -> NoReturn:
    limit = min(max_pixels, 2 * (Image.MAX_IMAGE_PIXELS or max_pixels)) / 1e6
    raise ImageError(f"{name} has too many pixels: the limit is {limit:.4g} megapixels. Save a smaller copy.")


def _damaged(name: str) -> ImageError:
    return ImageError(f"{name} {DAMAGED}")


@cache
def _register_heif() -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()


def _open(data: bytes, name: str, max_pixels: int) -> Image.Image:
    """Read the header alone and hold its size to the limits. Pillow's own limit against bombs stays as it is."""
    if tiff.is_raw(data):
        raise ImageError(f"{name} is a raw photo, as cameras keep it for developing: export it as JPEG.")
    _register_heif()
    try:
        image = _open_deep(data, max_pixels) or Image.open(BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        _too_many_pixels(name, max_pixels)
    except DECODER_ERRORS as error:
        raise ImageError(f"{name} {explain_unreadable(data)}") from error
    if image.width * image.height > max_pixels:
        _too_many_pixels(name, max_pixels)
    return image


def _open_deep(data: bytes, max_pixels: int) -> Image.Image | None:
    """Open a picture whose colours have more bits than Pillow reads, a TIFF or PNG, or return None if it is none."""
    if data[24:26] in (b"\x10\2", b"\x10\6") and data.startswith(b"\x89PNG"):
        return _open_dim_png(data, max_pixels)
    found = tiff.deep(data, max_pixels) if data.startswith(tiff.MAGIC) else None
    if found is None:
        return None
    image = _upright(_from_samples(found), tiff.orientation(data))
    image.info["icc_profile"] = tiff.profile(data)
    return image


def _open_dim_png(data: bytes, max_pixels: int) -> Image.Image | None:
    """Open a colour PNG of 16 bits that uses 14 of them or fewer, or return None: Pillow keeps the upper 8."""
    width, height = struct.unpack(">II", data[16:24])
    if not 0 < width * height <= max_pixels:
        return None
    import torch
    from torchvision.io import ImageReadMode, decode_png

    encoded = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    try:
        samples = decode_png(encoded, ImageReadMode.UNCHANGED).permute(1, 2, 0).numpy()
    except RuntimeError:
        return None  # Pillow says what is wrong
    if samples.dtype.itemsize != 2 or samples[..., :3].max() >= 1 << 14:
        return None
    image = _from_samples(tiff.Deep(samples, "RGB"))
    with Image.open(BytesIO(data), formats=("PNG",)) as plain:
        image.format, image.info = plain.format, dict(plain.info)
    return image


def _from_samples(found: tiff.Deep) -> Image.Image:
    """Return samples of any depth as a picture of 8 bits: L, RGB, RGBA or CMYK, or RGBa where alpha is multiplied."""
    count = len(found.colours)
    bands = shown(found.samples[..., :count].squeeze(2) if count == 1 else found.samples[..., :count]).split()
    image = Image.merge(found.colours, bands)
    if found.white_is_zero:
        image = ImageOps.invert(image)
    if found.samples.shape[2] == count:
        return image
    alpha = shown(found.samples[..., count])
    return Image.merge("RGBa" if found.premultiplied else "RGBA", (*image.convert("RGB").split(), alpha))


def _repair_end(data: bytes, image: Image.Image) -> tuple[bytes, Image.Image, str]:
    """Give a JPEG the end marker that it lacks, and a hint; the picture must be there to its last pixel.

    It is if what follows makes no difference: decoders take bytes for pixels as long as any are missing.
    """
    body = jpeg_without_end(data) if image.format in ("JPEG", "MPO") else None
    if body is None:
        return data, image, ""
    seen = {
        Image.open(BytesIO(body + more + JPEG_END), formats=("JPEG",)).convert("RGB").tobytes()
        for more in (b"", *NOISE)
    }
    if len(seen) > 1 or bytes(ZEROS) in body:
        raise OSError("the JPEG's data ends before its last pixel")
    ended = body + JPEG_END
    return ended, Image.open(BytesIO(ended), formats=("JPEG",)), NO_END


def _centre_crop_size(size: tuple[int, int], max_side: int) -> tuple[int, int]:
    """Return the width and height that are kept of the centre of a very long picture, else the picture's own."""
    longest = math.floor(min(size) * min(MAX_RATIO, max_side / MIN_SIDE))
    return min(size[0], longest), min(size[1], longest)


def _coding(data: bytes, image: Image.Image) -> Coding | None:
    """Find the colour space that a file names by code points or chromaticities."""
    if image.format == "PNG":
        points = png_chunk(data, b"cICP")
        if points and len(points) == 4:
            image.info.pop("icc_profile", None)  # PNG, third edition, 4.3: the first of cICP, iCCP, sRGB, gAMA
            return by_code_points(points[0], points[1], narrow=not points[3])
        if "srgb" in image.info:
            return None
        return by_chromaticities(image.info.get("gamma"), image.info.get("chromaticity"))
    nclx = image.info.get("nclx_profile")
    if image.format == "AVIF":
        import pillow_heif

        nclx = pillow_heif.HeifFile(BytesIO(data)).info.get("nclx_profile")  # Pillow does not read it
    return by_code_points(nclx["color_primaries"], nclx["transfer_characteristics"]) if nclx else None


def _normalise(image: Image.Image, kept: tuple[int, int], max_side: int, coding: Coding | None) -> Image.Image:
    """Decode, cut to the middle that is `kept`, shrink, turn upright, and bring to sRGB on white.

    `kept` is as the file lies, not upright.
    """
    profile, stored = image.info.get("icc_profile"), image.size
    scale = min(1.0, max_side / max(kept))
    size = (round(kept[0] * scale), round(kept[1] * scale))
    image.draft(None, (round(2 * stored[0] * scale), round(2 * stored[1] * scale)))
    image.load()
    try:
        orientation = image.getexif().get(ORIENTATION, 1) if image.format != "TIFF" else 1  # Pillow has turned a TIFF
    except DECODER_ERRORS:
        orientation = 1  # damaged metadata is no reason to refuse a picture that can be seen
    if image.format == "TIFF" and (image.width < image.height) != (stored[0] < stored[1]):
        size, kept, stored = size[::-1], kept[::-1], stored[::-1]
    image = eight_bit(image)
    if kept != stored:
        wide, high = (round(image.size[i] * kept[i] / stored[i]) for i in (0, 1))
        left, top = (image.width - wide) // 2, (image.height - high) // 2
        image = image.crop((left, top, left + wide, top + high))
    if image.size != size:
        image = image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    image = _upright(image, orientation)
    colours = to_srgb(image, profile, coding)
    if image.mode in ("LA", "RGBA"):
        white = Image.new("RGB", image.size, "white")
        white.paste(colours, mask=image.getchannel("A"))
        return white
    return colours


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    """Turn a picture as an EXIF orientation says; its metadata goes."""
    if orientation not in range(2, 9):
        return image
    image.info.clear()
    image.getexif()[ORIENTATION] = orientation
    turned = ImageOps.exif_transpose(image)
    assert turned is not None
    return turned


def _is_canonical(data: bytes, image: Image.Image, max_side: int) -> bool:
    """Return whether `data` is already as `encode` writes it, and small enough."""
    plain = image.format == "JPEG" and image.mode == "RGB" and is_plain_jpeg(data)
    return plain and max(image.size) <= max_side


def _photo(jpeg: bytes, image: Image.Image) -> Photo:
    return Photo(jpeg, hashlib.sha256(jpeg).hexdigest(), *image.size)

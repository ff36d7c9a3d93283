"""Every image enters here: decode, limit, turn upright, strip, bring to sRGB, shrink, re-encode, hash.

What leaves is a `Photo`: baseline JPEG without any metadata, the same bytes for the same input. Also cut from and
judged here: crops, thumbnails as data URLs, hints about a poor reference photo. Knows nothing of where photos go.
"""

from __future__ import annotations

import base64
import hashlib
import math
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import NoReturn
from weakref import WeakKeyDictionary

from PIL import Image, ImageDraw, ImageFont, ImageOps

from personal import tiff
from personal.colours import Coding, by_chromaticities, by_code_points, eight_bit, shown, to_srgb
from personal.concepts import WHOLE, Box, Photo
from personal.containers import JPEG_END, ZEROS, breaks_off, jpeg_without_end, png_chunk
from personal.errors import ImageError

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
LABELS = ("#c2410c", "#0369a1", "#15803d", "#7e22ce", "#b91c1c", "#0f766e")
"""Colours of boxes drawn on a photo."""

_KNOWN_WORDS = "JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF"
_NOISE = (bytes(range(254, 0, -1)) * 8, b"\x55" * 2048, bytes(range(1, 255)) * 8)
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"II*\0", b"MM\0*")
_BITMAPS = tuple(size.to_bytes(4, "little") for size in (12, 40, 52, 56, 64, 108, 124))  # of a BMP's second header
_BRANDS = (*b"heic heix heim heis hevc hevx hevm hevs mif1 msf1 avif avis".split(), b"crx ")
_SIDES = ((b"\x89PNG", 16, 4), (b"GIF8", 6, 2), (b"BM", 18, 4))  # where width and height stand, bytes each
_JFIF = b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0"
_DAMAGE = (  # what Pillow's and libheif's decoders raise on bytes that are not what they seem
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
_drawn: WeakKeyDictionary[Photo, dict[tuple[int, Box | None, bool], str]] = WeakKeyDictionary()
_UPRIGHT = {  # EXIF 2.32, tag 0x0112
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


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
    try:
        data, image, hint = _with_end(data, image)
        stored = image.size
        kept = _middle(stored, max_side)
        verbatim = kept == stored and _is_clean(data, image, max_side)
        clean = _normalise(image, kept, max_side, _coding(data, image))
    except Image.DecompressionBombError:
        _too_many_pixels(name, max_pixels)
    except _DAMAGE as error:
        raise _damaged(name) from error
    photo = _photo(data, clean) if verbatim else _encode(clean)
    hint = hint or ("" if kept == stored else LONG)
    return replace(photo, hint=hint) if hint else photo


def is_picture(head: bytes) -> bool:
    """Tell by the first bytes of a file (64 are enough) whether it is a picture, whatever it is called."""
    if head.startswith(b"BM"):
        return head[14:18] in _BITMAPS
    return (
        head.startswith((*_SIGNATURES, *tiff.RAW))
        or head[8:12] == b"WEBP"
        or (head[4:8] == b"ftyp" and head[8:12] in _BRANDS)
    )


def open_photo(photo: Photo) -> Image.Image:
    """Return the photo's pixels: RGB, loaded."""
    with Image.open(BytesIO(photo.jpeg), formats=("JPEG",)) as image:
        return image.convert("RGB")


def crop(photo: Photo, box: Box, margin: float = 0.0) -> Photo:
    """Cut `box` out of a photo, widened on each side by `margin` of its own width and height.

    The cut is clipped to the photo and at least 16 pixels a side. Raises ImageError where `box` holds no numbers.
    """
    if box == WHOLE:
        return photo
    return _encode(open_photo(photo).crop(_pixels(photo, box, margin)))


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
    return _encode(image)


def data_url(photo: Photo, side: int, box: Box | None = None, square: bool = False) -> str:
    """Return a thumbnail as `data:image/jpeg;base64,…`, longest side at most `side` pixels, of `box` if given.

    `square` widens a box to a square as far as the photo allows, and cuts off what then stands over. What was drawn is
    held as long as the photo is.
    """
    drawn = _drawn.setdefault(photo, {})
    if (side, box, square) not in drawn:
        drawn[side, box, square] = _thumbnail(photo, side, box, square)
    return drawn[side, box, square]


def _thumbnail(photo: Photo, side: int, box: Box | None, square: bool) -> str:
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
    return "data:image/jpeg;base64," + base64.b64encode(_encode(cut, quality=85).jpeg).decode("ascii")


def quality_hints(photo: Photo) -> list[str]:
    """Say in a few words each what may make this a poor reference photo; empty where nothing does.

    Blur is told by the variance of the Laplacian (Pech-Pacheco et al., 2000) at 256 pixels. Its threshold and the
    darkness's were chosen on 107 photos of 20 subjects (768 px): none of the untouched ones is called blurred, two are
    called dark; of those blurred with a Gaussian of radius 2, 3 and 4 px, 19, 69 and 100 % are.
    """
    import numpy as np

    image = open_photo(photo).convert("L")
    hints = [photo.hint] if photo.hint else []
    if min(image.size) < 200:
        side = f"{photo.width} px wide" if photo.width <= photo.height else f"{photo.height} px high"
        hints.append(f"only {side}: a closer photo helps")
    image.thumbnail((256, 256), Image.Resampling.LANCZOS)
    grey = np.asarray(image, dtype=np.float32)
    neighbours = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    if grey.mean() < 40:
        hints.append("very dark: more light helps")
    elif float((neighbours - 4 * grey[1:-1, 1:-1]).var()) < 80:
        hints.append("blurred: a sharper photo helps")
    return hints


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
    return ImageError(f"{name} is damaged or cut short: it cannot be shown completely. Copy or save it again.")


@cache
def _know_heif() -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()


def _open(data: bytes, name: str, max_pixels: int) -> Image.Image:
    """Read the header alone and hold its size to the limits. Pillow's own limit against bombs stays as it is."""
    if tiff.is_raw(data):
        raise ImageError(f"{name} is a raw photo, as cameras keep it for developing: export it as JPEG.")
    _know_heif()
    try:
        image = _open_deep(data, max_pixels) or Image.open(BytesIO(data), formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        _too_many_pixels(name, max_pixels)
    except _DAMAGE as error:
        if b"<svg" in data[:4096].lower():
            raise ImageError(f"{name} is an SVG drawing. SVG drawings are not photos: export it as PNG.") from error
        if any(
            data.startswith(magic) and bytes(width) in (data[at : at + width], data[at + width : at + 2 * width])
            for magic, at, width in _SIDES
        ):
            raise ImageError(f"{name} has no pixels: its width or height is 0. Save it again.") from error
        if data.startswith(_SIGNATURES) or data[8:12] == b"WEBP" or data[4:8] == b"ftyp":
            raise _damaged(name) from error
        raise ImageError(f"{name} is not a picture that can be read: use {_KNOWN_WORDS}.") from error
    if image.width * image.height > max_pixels:
        _too_many_pixels(name, max_pixels)
    return image


def _open_deep(data: bytes, max_pixels: int) -> Image.Image | None:
    """Open a TIFF whose colours have more than 8 bits, upright, or return None where it is none."""
    samples = tiff.deep(data, max_pixels) if data.startswith(tiff.MAGIC) else None
    if samples is None:
        return None
    image = shown(samples[..., :3])
    if samples.shape[2] == 4:
        image.putalpha(shown(samples[..., 3]))
    turned = _UPRIGHT.get(tiff.orientation(data))
    image = image if turned is None else image.transpose(turned)
    image.info["icc_profile"] = tiff.profile(data)
    return image


def _with_end(data: bytes, image: Image.Image) -> tuple[bytes, Image.Image, str]:
    """Give a JPEG the end marker that it lacks, and a hint; the picture must be there to its last pixel.

    It is if what follows makes no difference: decoders take bytes for pixels as long as any are missing.
    """
    body = jpeg_without_end(data) if image.format in ("JPEG", "MPO") else None
    if body is None:
        return data, image, ""
    seen = {
        Image.open(BytesIO(body + more + JPEG_END), formats=("JPEG",)).convert("RGB").tobytes()
        for more in (b"", *_NOISE)
    }
    if len(seen) > 1 or bytes(ZEROS) in body:
        raise OSError("the JPEG's data ends before its last pixel")
    ended = body + JPEG_END
    return ended, Image.open(BytesIO(ended), formats=("JPEG",)), NO_END


def _middle(size: tuple[int, int], max_side: int) -> tuple[int, int]:
    """Return how much of the middle of a very long picture is kept, so that it is not shrunk to a thread."""
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
    told = image.info.get("nclx_profile")
    if image.format == "AVIF":
        import pillow_heif

        told = pillow_heif.HeifFile(BytesIO(data)).info.get("nclx_profile")  # Pillow does not read it
    return by_code_points(told["color_primaries"], told["transfer_characteristics"]) if told else None


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
        orientation = image.getexif().get(0x0112, 1) if image.format != "TIFF" else 1  # Pillow has turned a TIFF
    except _DAMAGE:
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
    if orientation in _UPRIGHT:
        image = image.transpose(_UPRIGHT[orientation])
    colours = to_srgb(image, profile, coding)
    if image.mode in ("LA", "RGBA"):
        white = Image.new("RGB", image.size, "white")
        white.paste(colours, mask=image.getchannel("A"))
        return white
    return colours


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield a JPEG's (marker, payload) up to its first scan; then, as marker 0xD9, what follows the first EOI."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        yield marker, data[at + 4 : at + 2 + length]
        at += 2 + length
        if marker == 0xDA:
            end = data.find(b"\xff\xd9", at)
            yield 0xD9, data[end + 2 :] if end >= 0 else b"missing"
            return


def _is_clean(data: bytes, image: Image.Image, max_side: int) -> bool:
    """Tell whether `data` is as `_encode` writes: baseline JPEG, nothing beside what decoding needs, small enough."""
    if image.format != "JPEG" or image.mode != "RGB" or max(image.size) > max_side:
        return False
    found = list(_segments(data))
    only_needed = {marker for marker, _ in found} == {0xE0, 0xDB, 0xC0, 0xC4, 0xDA, 0xD9}
    return only_needed and all(
        payload == {0xE0: _JFIF, 0xD9: b""}[marker] for marker, payload in found if marker in (0xE0, 0xD9)
    )


def _encode(image: Image.Image, quality: int = QUALITY) -> Photo:
    image.info.clear()  # Pillow would write a comment found there
    stream = BytesIO()
    image.save(stream, "JPEG", quality=quality, subsampling="4:2:0")
    return _photo(stream.getvalue(), image)


def _photo(jpeg: bytes, image: Image.Image) -> Photo:
    return Photo(jpeg, hashlib.sha256(jpeg).hexdigest(), *image.size)


def _pixels(photo: Photo, box: Box, margin: float = 0.0, square: bool = False) -> tuple[int, int, int, int]:
    """Turn a box of fractions into pixels inside the photo, corners in order, at least 16 a side."""
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

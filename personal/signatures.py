"""Recognise picture files by their first bytes, and explain why one cannot be opened."""

from __future__ import annotations

from personal import tiff

DAMAGED = "is damaged or cut short: it cannot be shown completely. Copy or save it again."
READABLE = "JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF"
SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", *tiff.MAGIC)
BITMAP_HEADERS = tuple(size.to_bytes(4, "little") for size in (12, 40, 52, 56, 64, 108, 124))
"""Sizes of a BMP's second header, at offset 14."""

BRANDS = (*b"heic heix heim heis hevc hevx hevm hevs mif1 msf1 avif avis".split(), b"crx ")
"""Brands of ISO media files, at offset 8, that hold pictures."""

SIDES = ((b"\x89PNG", 16, 4), (b"GIF8", 6, 2), (b"BM", 18, 4))
"""Signature, offset of the width, and bytes of width and height each."""


def is_picture(head: bytes) -> bool:
    """Return whether a file is a picture by its first bytes (64 are enough), whatever it is called."""
    if head.startswith(b"BM"):
        return head[14:18] in BITMAP_HEADERS
    return (
        head.startswith((*SIGNATURES, *tiff.RAW))
        or head[8:12] == b"WEBP"
        or (head[4:8] == b"ftyp" and head[8:12] in BRANDS)
    )


def explain_unreadable(data: bytes) -> str:
    """Return why a file's bytes cannot be opened as a picture, as words that follow the file's name."""
    if b"<svg" in data[:4096].lower():
        return "is an SVG drawing. SVG drawings are not photos: export it as PNG."
    if any(
        data.startswith(magic) and bytes(width) in (data[at : at + width], data[at + width : at + 2 * width])
        for magic, at, width in SIDES
    ):
        return "has no pixels: its width or height is 0. Save it again."
    if data.startswith(tiff.MAGIC) and tiff.is_unknown(data):
        return "is a TIFF of a kind that cannot be read: save it as JPEG or PNG."
    if data.startswith(SIGNATURES) or data[8:12] == b"WEBP" or data[4:8] == b"ftyp":
        return DAMAGED
    return f"is not a picture that can be read: use {READABLE}."

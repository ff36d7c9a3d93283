"""What the containers of pictures say beside the pixels: whether a file is whole, and how its colours are coded.

JPEG (ITU-T T.81), PNG (third edition), WebP (RFC 9649), HEIF and AVIF (ISO/IEC 14496-12 and 23008-12). Serves
`personal.images` alone; decodes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

ZEROS = 1024
"""So many zeros at the end of coded data are a download that was never filled."""

_CODED = {b"hvc1", b"av01", b"avc1", b"vvc1", b"jpeg", b"j2k1"}
"""Items of a HEIF file whose data never ends in a thousand zeros; an uncompressed picture, or Exif, may."""

JPEG_END = b"\xff\xd9"
JFIF = b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0"
"""The payload of the JFIF header that Pillow writes: version 1.1, no units, no thumbnail."""


def breaks_off(data: bytes, format: str | None) -> bool:
    """Return whether a copy was interrupted, where the decoders would fill in grey and keep silent.

    What follows the picture does not count: padding, a `free` box.
    """
    if format == "PNG":
        return b"IEND" not in data
    if format == "WEBP":
        return any(_unfilled(data, *place) for place in _webp_frames(data, 12, min(len(data), _little(data, 4) + 8)))
    if format in {"HEIF", "AVIF"}:
        return any(_unfilled(data, *place) for place in coded_items(data))
    return False


def jpeg_without_end(data: bytes) -> bytes | None:
    """Return a JPEG's bytes up to where its end marker is missing, padding aside; None where the marker is there."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xDA:
            if JPEG_END in data[at:]:
                return None
            body = data.rstrip(b"\0")
            if not body.endswith(b"\xff"):
                return body
            return body[:-1] if len(body) == len(data) else body + b"\0"
    return None


def is_plain_jpeg(data: bytes) -> bool:
    """Return whether a JPEG is baseline and holds nothing beside what decoding needs: no metadata, nothing after it."""
    found = list(_jpeg_segments(data))
    if {marker for marker, _ in found} != {0xE0, 0xDB, 0xC0, 0xC4, 0xDA, 0xD9}:
        return False
    allowed = {0xE0: JFIF, 0xD9: b""}
    return all(payload == allowed.get(marker, payload) for marker, payload in found)


def png_chunk(data: bytes, kind: bytes) -> bytes | None:
    """Return the payload of a PNG's first chunk of a kind before its pixels, or None."""
    at = 8
    while at + 12 <= len(data) and data[at + 4 : at + 8] != b"IDAT":
        size = int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] == kind:
            return data[at + 8 : at + 8 + size]
        at += 12 + size
    return None


def coded_items(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield where the coded pictures of a HEIF or AVIF lie: start and end in the file, by its `iloc` box."""
    meta = next((place for kind, *place in _boxes(data, 0, len(data)) if kind == b"meta"), None)
    if meta is None:
        return
    inside = {kind: (start, end) for kind, start, end in _boxes(data, meta[0] + 4, meta[1])}
    if not {b"iloc", b"iinf"} <= inside.keys():
        return
    kinds = dict(_item_kinds(data, *inside[b"iinf"]))
    try:
        for item, start, end in _locations(data, *inside[b"iloc"]):
            if kinds.get(item) in _CODED:
                yield start, end
    except IndexError:
        return


def _jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield a JPEG's (marker, payload) up to its first scan; then, as marker 0xD9, what follows the first EOI."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        yield marker, data[at + 4 : at + 2 + length]
        at += 2 + length
        if marker == 0xDA:
            end = data.find(JPEG_END, at)
            yield 0xD9, data[end + 2 :] if end >= 0 else b"missing"
            return


def _unfilled(data: bytes, start: int, end: int) -> bool:
    return end > len(data) or not any(data[max(start, end - ZEROS) : end])


def _webp_frames(data: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    at = start
    while at + 8 <= end:
        kind, size = data[at : at + 4], _little(data, at + 4)
        if kind in (b"VP8 ", b"VP8L"):
            yield at + 8, at + 8 + size
        elif kind == b"ANMF":
            yield from _webp_frames(data, at + 24, at + 8 + size)
        at += 8 + size + size % 2


def _boxes(data: bytes, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield (type, start, end) of the bodies of the boxes there."""
    at = start
    while at + 8 <= end:
        size, head = _big(data, at, 4), 8
        if size == 1:
            size, head = _big(data, at + 8, 8), 16
        elif size == 0 and any(data[at + 4 : at + 8]):
            size = end - at
        if size < head:
            return
        yield data[at + 4 : at + 8], at + head, min(at + size, end)
        at += size


def _item_kinds(data: bytes, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    first = start + 4 + (2 if data[start] == 0 else 4)
    for kind, at, _ in _boxes(data, first, end):
        wide = 4 if kind == b"infe" and data[at] == 3 else 2
        yield _big(data, at + 4, wide), data[at + 6 + wide : at + 10 + wide]


def _locations(data: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Yield (item, start, end) of each extent that lies in the file itself."""
    version = data[start]
    at = start + 4
    offset_size, length_size = data[at] >> 4, data[at] & 15
    base_size, index_size = data[at + 1] >> 4, data[at + 1] & 15 if version else 0
    wide = 4 if version == 2 else 2
    count = _big(data, at + 2, wide)
    at += 2 + wide
    for _ in range(min(count, end - start)):
        item, in_file = _big(data, at, wide), not version or _big(data, at + wide, 2) & 15 == 0
        at += wide + (2 if version else 0) + 2
        base = _big(data, at, base_size)
        extents = _big(data, at + base_size, 2)
        at += base_size + 2
        for _ in range(min(extents, end - start)):
            at += index_size
            place, length = base + _big(data, at, offset_size), _big(data, at + offset_size, length_size)
            at += offset_size + length_size
            if in_file:
                yield item, place, place + length if length else len(data)


def _big(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "big")


def _little(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "little")

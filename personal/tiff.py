"""TIFF by its directories: recognise raw photos, and read samples of more than 8 bits, which Pillow does not.

TIFF 6.0 (1992) and Adobe's supplements. Serves `personal.images` alone.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

RAW = (b"FUJIFILMCCD-RAW", b"IIU\0", b"IIRO", b"IIRS", b"MMOR", b"\0MRM", b"FOVb")
"""How raw photos begin that are no TIFF: Fujifilm, Panasonic and Leica, Olympus, Minolta, Sigma."""

MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""How TIFFs begin: little and big endian, and both of BigTIFF, with offsets of 64 bits."""

WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER, STRIPS, ORIENTATION = 256, 257, 258, 259, 262, 266, 273, 274
SAMPLES, ROWS, STRIP_BYTES, PLANAR, PREDICTOR, SUB_IFDS, EXTRA, FORMAT = 277, 278, 279, 284, 317, 330, 338, 339
TILE_WIDTH, TILE_HEIGHT, TILES, TILE_BYTES = 322, 323, 324, 325
SUBFILE_TYPE, CFA_PATTERN, ICC_PROFILE, DNG_VERSION = 254, 33422, 34675, 50706
WANTED = {
    *(WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, FILL_ORDER, STRIPS, ORIENTATION, SAMPLES, ROWS, STRIP_BYTES),
    *(PLANAR, PREDICTOR, SUB_IFDS, EXTRA, FORMAT, TILE_WIDTH, TILE_HEIGHT, TILES, TILE_BYTES),
    *(SUBFILE_TYPE, CFA_PATTERN, ICC_PROFILE, DNG_VERSION),
}
DEFLATE = (8, 32946)
LIBTIFF = (5, 32773, 34925, 50000)
"""Compressions that Pillow's libtiff undoes whatever the bytes mean: LZW, PackBits, LZMA and Zstandard."""

COLOURS = {0: "L", 1: "L", 2: "RGB", 5: "CMYK"}
"""Photometric interpretation → Pillow's mode; in the first, white is 0."""

RAW_PHOTOMETRIC = {32803, 34892}
"""Colour filter array, and linear raw."""

RAW_COMPRESSION = {32767, 32769, 32770, 34713, 65000, 65535}
"""Sony's, packed, Samsung's, Nikon's, Kodak's and Pentax's."""

MOST_BYTES = 2**29
"""Samples of a larger picture are left to Pillow."""

_TYPES = {1: "B", 3: "H", 4: "I", 7: "B", 13: "I", 16: "Q", 18: "Q"}
_MOST_IFDS = 16
_MOST_VALUES = 2**20
_MOST_PARTS = 2**16

Ifd = dict[int, tuple[int, ...]]
"""Tag → its whole numbers."""


@dataclass(frozen=True, slots=True)
class Deep:
    """Samples of more than 8 bits, (height, width, channels): of `colours`, a mode of Pillow's, then alpha if any."""

    samples: npt.NDArray[Any]
    colours: str
    white_is_zero: bool = False
    premultiplied: bool = False


@dataclass(frozen=True, slots=True)
class _Parts:
    """How a picture's samples are cut into strips or tiles: their bytes in the file and what each of them holds."""

    offsets: tuple[int, ...]
    sizes: tuple[int, ...]
    width: int
    height: int
    tiled: bool


def is_raw(data: bytes) -> bool:
    """Return whether a file, or its first bytes, is a camera's raw photo, which shows as a small preview at best."""
    if data.startswith(RAW) or data[6:14] == b"HEAPCCDR" or data[4:12] == b"ftypcrx ":
        return True
    if not data.startswith(MAGIC):
        return False
    if data[8:10] == b"CR":
        return True
    found = ifds(data)
    return any(
        RAW_PHOTOMETRIC.intersection(ifd.get(PHOTOMETRIC, ()))
        or RAW_COMPRESSION.intersection(ifd.get(COMPRESSION, ()))
        or {CFA_PATTERN, DNG_VERSION} & ifd.keys()
        for ifd in found
    ) or bool(found and found[0].get(SUBFILE_TYPE, (0,))[0] % 2 == 1 and SUB_IFDS in found[0])


def ifds(data: bytes) -> list[Ifd]:
    """List a TIFF's directories, each as tag → whole numbers, and those below them; what is damaged is left out."""
    order, big = _order(data), data[2:4] in (b"+\0", b"\0+")
    offset, count_type, entry = ("Q", "Q", 20) if big else ("I", "H", 12)
    found: list[Ifd] = []
    waiting, seen = [_number(data, order + offset, 8 if big else 4)], set[int]()
    while waiting and len(found) < _MOST_IFDS:
        at = waiting.pop(0)
        if at in seen or not 8 <= at <= len(data) - 2:
            continue
        seen.add(at)
        start = at + struct.calcsize(count_type)
        end = start + entry * _number(data, order + count_type, at)
        ifd = dict(_entries(data, order, start, min(end, len(data) - entry + 1), offset))
        found.append(ifd)
        waiting += [*ifd.get(SUB_IFDS, ())[:_MOST_IFDS], _number(data, order + offset, end)]
    return found


def is_unknown(data: bytes) -> bool:
    """Return whether a TIFF's first picture lies whole in the file but is not of those that `deep` reads."""
    first = next(iter(ifds(data)), {})
    parts = _parts(first)
    if parts is None or _sample_type(first, _order(data)) is not None:
        return False
    return all(at + size <= len(data) for at, size in zip(parts.offsets, parts.sizes, strict=True))


def deep(data: bytes, max_pixels: int) -> Deep | None:
    """Return the samples of a picture of more than 8 bits a channel, or None if it is none or of a kind not read.

    Pillow keeps the upper 8 of 16 bits, which is nothing where the camera had 12, takes planes and whole numbers of 32
    bits for something else, and opens no colours in floating point. Raises ValueError, OSError and zlib.error.
    """
    first = next(iter(ifds(data)), {})
    type_, parts = _sample_type(first, _order(data)), _parts(first)
    width, height, channels = (first.get(tag, (1,))[0] for tag in (WIDTH, HEIGHT, SAMPLES))
    if type_ is None or parts is None or not 0 < width * height <= max_pixels:
        return None
    planes = channels if first.get(PLANAR, (1,))[0] == 2 else 1
    across, down = -(-width // parts.width), -(-height // parts.height)
    stored = across * down * parts.width * parts.height * channels * type_.itemsize
    if stored > MOST_BYTES or sum(parts.sizes) > len(data) or planes * across * down > _MOST_PARTS:
        return None
    if len(parts.offsets) < planes * across * down:
        raise ValueError("strips or tiles are missing")
    samples = np.empty((height, width, planes, channels // planes), type_.newbyteorder("="))
    for number, (at, size) in zip(
        range(planes * across * down), zip(parts.offsets, parts.sizes, strict=True), strict=False
    ):
        plane, place = divmod(number, across * down)
        top, left = place // across * parts.height, place % across * parts.width
        rows = parts.height if parts.tiled else min(parts.height, height - top)
        part = _decoded(data[at : at + size], first, type_, (rows, parts.width, channels // planes))
        samples[top : top + rows, left : left + parts.width, plane] = part[: height - top, : width - left]
    return _deep(first, samples.reshape(height, width, channels))


def orientation(data: bytes) -> int:
    """Return how a TIFF's first picture lies (tag 0x0112), 1 where it does not say."""
    return next(iter(ifds(data)), {}).get(ORIENTATION, (1,))[0]


def profile(data: bytes) -> bytes | None:
    """Return the ICC profile of a TIFF's first picture, or None."""
    return bytes(next(iter(ifds(data)), {}).get(ICC_PROFILE, ())) or None


def _parts(ifd: Ifd) -> _Parts | None:
    """Return how a picture is cut into parts, or None where it does not say."""
    tiled = TILES in ifd
    offsets, sizes = (ifd.get(tag, ()) for tag in ((TILES, TILE_BYTES) if tiled else (STRIPS, STRIP_BYTES)))
    tall = ifd.get(HEIGHT, (0,))[0]
    width = ifd.get(TILE_WIDTH if tiled else WIDTH, (0,))[0]
    height = ifd.get(TILE_HEIGHT, (0,))[0] if tiled else min(ifd.get(ROWS, (tall,))[0], tall)
    return (
        _Parts(offsets, sizes, width, height, tiled) if len(offsets) == len(sizes) and min(width, height) > 0 else None
    )


def _sample_type(ifd: Ifd, order: str) -> np.dtype[Any] | None:
    """Return the type of a picture's samples where `deep` reads them: more than 8 bits, in a known arrangement."""
    bits, form, channels, photometric, compression, predictor, fill = (
        ifd.get(tag, (default,))[0]
        for tag, default in (
            *((BITS, 1), (FORMAT, 1), (SAMPLES, 1), (PHOTOMETRIC, -1)),
            *((COMPRESSION, 1), (PREDICTOR, 1), (FILL_ORDER, 1)),
        )
    )
    kind = {1: "u", 2: "i", 3: "f"}.get(form, "")
    known = bits in (16, 32, 64) and kind and compression in (1, *DEFLATE, *LIBTIFF) and fill == 1
    fits = photometric in COLOURS and len(COLOURS[photometric]) <= channels and len({*ifd.get(BITS, ())}) == 1
    if not known or not fits or predictor not in (1, 2, 3) or (predictor == 3 and kind != "f"):
        return None
    return np.dtype(f"{order}{kind}{bits // 8}")


def _decoded(part: bytes, ifd: Ifd, type_: np.dtype[Any], shape: tuple[int, int, int]) -> npt.NDArray[Any]:
    """Return the samples of a strip or tile, (rows, columns, channels): decompressed, and what was predicted added."""
    rows, columns, channels = shape
    row = columns * channels * type_.itemsize
    plain = _decompressed(part, ifd.get(COMPRESSION, (1,))[0], row, rows)
    if len(plain) < row * rows:
        raise ValueError("a strip or tile is cut short")
    predictor = ifd.get(PREDICTOR, (1,))[0]
    if predictor == 3:  # Adobe's technical note 3: differences of bytes, the highest bytes of a row first
        steps = np.frombuffer(plain, np.uint8, row * rows).reshape(rows, -1, channels)
        planes = np.cumsum(steps, axis=1, dtype=np.uint8).reshape(rows, type_.itemsize, columns * channels)
        return np.ascontiguousarray(planes.transpose(0, 2, 1)).view(type_.newbyteorder(">")).reshape(shape)
    values = np.frombuffer(plain, type_, rows * columns * channels).reshape(shape).astype(type_.newbyteorder("="))
    if predictor == 2:
        whole = values.view(f"u{type_.itemsize}")
        np.cumsum(whole, axis=1, dtype=whole.dtype, out=whole)
    return values


def _decompressed(part: bytes, compression: int, row: int, rows: int) -> bytes:
    if compression == 1:
        return part
    if compression in DEFLATE:
        return zlib.decompressobj().decompress(part, row * rows)
    tags = {WIDTH: row, HEIGHT: rows, BITS: 8, COMPRESSION: compression, PHOTOMETRIC: 1, STRIPS: 122, SAMPLES: 1}
    tags |= {ROWS: rows, STRIP_BYTES: len(part)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    grey = struct.pack("<4sIH", MAGIC[0], 8, len(tags)) + entries + bytes(4) + part
    with Image.open(BytesIO(grey), formats=("TIFF",)) as image:
        return image.tobytes()


def _deep(ifd: Ifd, samples: npt.NDArray[Any]) -> Deep:
    """Return samples with their meaning: colours first, then alpha, unless the file says that it is none."""
    photometric = ifd[PHOTOMETRIC][0]
    colours = COLOURS[photometric]
    extra = ifd.get(EXTRA, (2,))[0]  # 1: alpha that colours are multiplied by, 2: alpha
    kept = len(colours) + (extra in (1, 2) and colours != "CMYK")
    if samples.dtype.kind == "i" and samples.min() >= 0:
        samples = samples.view(f"u{samples.dtype.itemsize}") << 1  # to the whole range
    return Deep(samples[..., :kept], colours, photometric == 0, extra == 1 and samples.shape[2] > len(colours))


def _entries(data: bytes, order: str, start: int, end: int, offset: str) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Yield the tags that are wanted, each once. `offset` is struct's letter for offsets and counts."""
    seen, width = set(), struct.calcsize(offset)
    for at in range(start, end, 4 + 2 * width):
        tag, kind, count = struct.unpack_from(f"{order}HH{offset}", data, at)
        if tag not in WANTED or tag in seen or not 0 < count <= _MOST_VALUES or kind not in _TYPES:
            continue
        seen.add(tag)
        size = struct.calcsize(_TYPES[kind]) * count
        place = at + 4 + width
        if size > width:
            place = _number(data, order + offset, place)
        if place + size <= len(data):
            yield tag, struct.unpack_from(f"{order}{count}{_TYPES[kind]}", data, place)


def _order(data: bytes) -> str:
    return "<" if data.startswith(b"II") else ">"


def _number(data: bytes, form: str, at: int) -> int:
    return int(struct.unpack_from(form, data, at)[0]) if at + struct.calcsize(form) <= len(data) else 0

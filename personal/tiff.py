"""TIFF by its directories: raw photos told from pictures, and colour samples deeper than Pillow reads them.

TIFF 6.0 (1992) and Adobe's supplements. Serves `personal.images` alone.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

RAW = (b"FUJIFILMCCD-RAW", b"IIU\0", b"IIRO", b"IIRS", b"MMOR", b"\0MRM", b"FOVb")
"""How raw photos begin that are no TIFF: Fujifilm, Panasonic and Leica, Olympus, Minolta, Sigma."""

MAGIC = (b"II*\0", b"MM\0*")
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, STRIPS, ORIENTATION = 256, 257, 258, 259, 262, 273, 274
SAMPLES, ROWS, STRIP_BYTES, PLANAR, PREDICTOR, SUB_IFDS, FORMAT = 277, 278, 279, 284, 317, 330, 339
SUBFILE_TYPE, CFA_PATTERN, ICC_PROFILE, DNG_VERSION = 254, 33422, 34675, 50706
WANTED = frozenset(
    (WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, STRIPS, ORIENTATION, SAMPLES, ROWS, STRIP_BYTES, PLANAR, PREDICTOR)
) | {SUB_IFDS, FORMAT, SUBFILE_TYPE, CFA_PATTERN, ICC_PROFILE, DNG_VERSION}
RAW_PHOTOMETRIC = {32803, 34892}
"""Colour filter array, and linear raw."""

RAW_COMPRESSION = {32767, 32769, 32770, 34713, 65000, 65535}
"""Sony's, packed, Samsung's, Nikon's, Kodak's and Pentax's."""

MOST_BYTES = 2**29
"""Samples of a larger picture are left to Pillow."""

_TYPES = {1: "B", 3: "H", 4: "I", 7: "B", 13: "I"}
_MOST_IFDS = 16
_MOST_VALUES = 2**20

Ifd = dict[int, tuple[int, ...]]
"""Tag → its whole numbers."""


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
    order = "<" if data.startswith(b"II") else ">"
    found: list[Ifd] = []
    waiting, seen = [_number(data, order, 4)], set[int]()
    while waiting and len(found) < _MOST_IFDS:
        at = waiting.pop(0)
        if at in seen or not 8 <= at <= len(data) - 2:
            continue
        seen.add(at)
        (count,) = struct.unpack_from(f"{order}H", data, at)
        end = at + 2 + 12 * count
        ifd = dict(_entries(data, order, at + 2, min(end, len(data) - 11)))
        found.append(ifd)
        waiting += [*ifd.get(SUB_IFDS, ())[:_MOST_IFDS], _number(data, order, end)]
    return found


def deep(data: bytes, max_pixels: int) -> npt.NDArray[Any] | None:
    """Return the samples of an RGB(A) picture of more than 8 bits, (height, width, 3 or 4), or None if it is none.

    Pillow keeps the upper 8 of 16 bits, which is nothing where the camera had 12, and opens no colours in floating
    point. Strips are read, plain or deflated; Pillow does what it can with others. Raises ValueError and zlib.error.
    """
    first = next(iter(ifds(data)), {})
    type_ = _sample_type(first, "<" if data.startswith(b"II") else ">")
    width, height, samples = (first.get(tag, (1,))[0] for tag in (WIDTH, HEIGHT, SAMPLES))
    offsets, sizes = first.get(STRIPS, ()), first.get(STRIP_BYTES, ())
    if type_ is None or not 0 < width * height <= max_pixels or not 0 < len(offsets) == len(sizes):
        return None
    row = width * samples * type_.itemsize
    if row * height > MOST_BYTES or sum(sizes) > len(data):
        return None
    rows, compression = min(first.get(ROWS, (height,))[0], height), first.get(COMPRESSION, (1,))[0]
    parts = [
        _strip(data[at : at + size], compression, row * min(rows, height - number * rows))
        for number, (at, size) in enumerate(zip(offsets, sizes, strict=True))
        if number * rows < height
    ]
    values = np.frombuffer(b"".join(parts), type_)
    if values.size != width * height * samples:
        raise ValueError("a strip is cut short")
    values = values.reshape(height, width, samples).astype(type_.newbyteorder("="))
    return np.cumsum(values, axis=1, dtype=values.dtype) if first.get(PREDICTOR, (1,))[0] == 2 else values


def orientation(data: bytes) -> int:
    """Return how a TIFF's first picture lies (tag 0x0112), 1 where it does not say."""
    return next(iter(ifds(data)), {}).get(ORIENTATION, (1,))[0]


def profile(data: bytes) -> bytes | None:
    """Return the ICC profile of a TIFF's first picture, or None."""
    return bytes(next(iter(ifds(data)), {}).get(ICC_PROFILE, ())) or None


def _sample_type(ifd: Ifd, order: str) -> np.dtype[Any] | None:
    """Return the type of a picture's samples where `deep` can read them and Pillow cannot do better."""
    bits, form, samples, photometric, planar, compression, predictor = (
        ifd.get(tag, (default,))[0]
        for tag, default in (
            *((BITS, 1), (FORMAT, 1), (SAMPLES, 1), (PHOTOMETRIC, -1), (PLANAR, 1)),
            *((COMPRESSION, 1), (PREDICTOR, 1)),
        )
    )
    kind = {(16, 1): "u2", (32, 1): "u4", (16, 3): "f2", (32, 3): "f4", (64, 3): "f8"}.get((bits, form))
    read = compression in (1, 8, 32946) and (predictor == 1 or (predictor == 2 and form == 1))
    if kind is None or not read or samples not in (3, 4) or (photometric, planar) != (2, 1) or len({*ifd[BITS]}) > 1:
        return None
    return np.dtype(f"{order}{kind}")


def _strip(data: bytes, compression: int, size: int) -> bytes:
    plain = data if compression == 1 else zlib.decompressobj().decompress(data, size)
    return plain[:size]


def _entries(data: bytes, order: str, start: int, end: int) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Yield the tags that are wanted, each once."""
    seen = set()
    for at in range(start, end, 12):
        tag, kind, count = struct.unpack_from(f"{order}HHI", data, at)
        if tag not in WANTED or tag in seen or not 0 < count <= _MOST_VALUES or kind not in _TYPES:
            continue
        seen.add(tag)
        size = struct.calcsize(_TYPES[kind]) * count
        place = at + 8 if size <= 4 else _number(data, order, at + 8)
        if place + size <= len(data):
            yield tag, struct.unpack_from(f"{order}{count}{_TYPES[kind]}", data, place)


def _number(data: bytes, order: str, at: int) -> int:
    return int(struct.unpack_from(f"{order}I", data, at)[0]) if at + 4 <= len(data) else 0

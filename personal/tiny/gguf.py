"""Read a GGUF file: its metadata and its tensors, dequantised to float32.

Knows the format (version 3 of the GGUF specification in ggml's documentation) and the three encodings that the embedded
default holds; nothing of any model. Everything is little-endian.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9
F32, Q4_1, Q8_0 = 0, 3, 8
BLOCK = 32
"""Weights that share one scale, in Q4_1 and Q8_0 alike."""


@dataclass
class Gguf:
    """An opened file: `metadata` by key, and the tensors by `tensors()`."""

    metadata: dict[str, Any]
    _data: bytes
    _directory: list[tuple[str, tuple[int, ...], int, int]]

    def tensors(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield (name, float32 array), row-major: a matrix is (outputs, inputs)."""
        for name, shape, encoding, start in self._directory:
            yield name, _decode(self._data, start, encoding, math.prod(shape)).reshape(shape)


class _Cursor:
    """Take values off the front of the file."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def scalar(self, code: str) -> Any:
        (value,) = struct.unpack_from("<" + code, self.data, self.at)
        self.at += struct.calcsize("<" + code)
        return value

    def string(self) -> str:
        length = self.scalar("Q")
        self.at += length
        return self.data[self.at - length : self.at].decode("utf-8")

    def value(self, kind: int) -> Any:
        if kind == STRING:
            return self.string()
        if kind == ARRAY:
            of, count = self.scalar("I"), self.scalar("Q")
            return [self.value(of) for _ in range(count)]
        return self.scalar(SCALARS[kind])


def parse(data: bytes) -> Gguf:
    """Parse a whole file held in memory. Raises ValueError where it is no GGUF of version 3."""
    cursor = _Cursor(data)
    if data[:4] != b"GGUF" or struct.unpack_from("<I", data, 4)[0] != 3:
        raise ValueError("not a GGUF file of version 3")
    cursor.at = 8
    tensor_count, key_count = cursor.scalar("Q"), cursor.scalar("Q")
    metadata: dict[str, Any] = {}
    for _ in range(key_count):
        key = cursor.string()
        metadata[key] = cursor.value(cursor.scalar("I"))
    entries = []
    for _ in range(tensor_count):
        name = cursor.string()
        dimensions = [cursor.scalar("Q") for _ in range(cursor.scalar("I"))]
        encoding, offset = cursor.scalar("I"), cursor.scalar("Q")
        entries.append((name, tuple(reversed(dimensions)), encoding, offset))
    alignment = metadata.get("general.alignment", 32)
    begin = -(-cursor.at // alignment) * alignment
    return Gguf(metadata, data, [(name, shape, encoding, begin + offset) for name, shape, encoding, offset in entries])


def _decode(data: bytes, start: int, encoding: int, count: int) -> np.ndarray:
    """Dequantise `count` weights. Q4_1: scale, minimum, 16 bytes of low then high nibbles; Q8_0: scale, 32 int8."""
    if encoding == F32:
        return np.frombuffer(data, "<f4", count, start)
    values: np.ndarray
    if encoding == Q8_0:
        q8 = np.frombuffer(data, np.dtype([("scale", "<f2"), ("q", "i1", BLOCK)]), count // BLOCK, start)
        values = q8["scale"].astype(np.float32)[:, None] * q8["q"]
        return values.reshape(-1)
    if encoding == Q4_1:
        q4 = np.frombuffer(
            data, np.dtype([("scale", "<f2"), ("least", "<f2"), ("q", "u1", BLOCK // 2)]), count // BLOCK, start
        )
        nibbles = np.concatenate([q4["q"] & 15, q4["q"] >> 4], axis=1)
        scale, least = q4["scale"].astype(np.float32)[:, None], q4["least"].astype(np.float32)[:, None]
        values = scale * nibbles + least
        return values.reshape(-1)
    raise ValueError(f"GGUF tensor encoding {encoding} is not supported")

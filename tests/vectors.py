"""Drawn vectors and entries for tests of the index."""

from __future__ import annotations

import hashlib

import numpy as np

from personal.concepts import Entry

D = 48


def vectors(n: int, seed: int = 0, d: int = D) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def sha(i: int) -> str:
    return hashlib.sha256(str(i).encode()).hexdigest()


def entries(x: np.ndarray, per_concept: int = 5) -> list[Entry]:
    return [Entry(f"{i // per_concept:032x}", sha(i), v) for i, v in enumerate(x)]

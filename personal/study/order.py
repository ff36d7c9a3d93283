"""In which orders participants meet the conditions: Williams' balanced Latin squares, and who gets which row."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence


def williams(count: int) -> list[tuple[int, ...]]:
    """Return the rows of a Latin square of `count` treatments that is balanced for first-order carry-over.

    Each treatment precedes each other equally often (Williams, 1949): one square for an even count, a square and its
    mirror image for an odd one.
    """
    first = [0]
    for place in range(1, count):
        first.append((place + 1) // 2 if place % 2 else count - place // 2)
    square = [tuple((start + shift) % count for start in first) for shift in range(count)]
    return square if count % 2 == 0 or count == 1 else square + [tuple(reversed(row)) for row in square]


def least_used(rows: int, taken: Iterable[int], seed: int) -> int:
    """Return the row that fewest have; which comes first among equals is drawn from `seed`."""
    used = Counter(taken)
    ranks = list(range(rows))
    random.Random(seed).shuffle(ranks)
    return min(range(rows), key=lambda row: (used[row], ranks[row]))


def shuffled(conditions: Sequence[str], seed: str) -> tuple[str, ...]:
    """Return the conditions in a random order that `seed` draws."""
    return tuple(random.Random(seed).sample(list(conditions), len(conditions)))

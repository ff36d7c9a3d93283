"""The figures of a protocol with their 95 % intervals, its answers, and its mistakes."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from personal.evaluate.mistakes import Mistake

Array = NDArray[np.float64]
Figure = Callable[[Array], Array]
"""Maps sums of counts, (counts,) or (counts, draws), to a figure, () or (draws,)."""

DRAWS = 1000
"""Draws of a bootstrap."""


def share(counts: Array) -> Array:
    """Compute hits / cases, which is recall for counts of (right, expected, named)."""
    return np.asarray(counts[0] / counts[1])


def precision(counts: Array) -> Array:
    """Compute the precision of (right, expected, named)."""
    return np.asarray(counts[0] / counts[2])


def f1(counts: Array) -> Array:
    """Compute the F1 of (right, expected, named)."""
    right, expected, named = counts
    return np.asarray(2 * right / (expected + named))


@dataclass
class Report:
    """A protocol's figures and intervals, every answer, and the mistakes among these.

    `baselines` hold the same figures of what the Assistant is compared with, by name.
    """

    figures: dict[str, float | int | None] = field(default_factory=dict)
    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)
    mistakes: list[Mistake] = field(default_factory=list)
    baselines: dict[str, Report] = field(default_factory=dict)

    def measure(
        self, name: str, groups: Sequence[Hashable], counts: Sequence[Sequence[float]], figure: Figure = share
    ) -> None:
        """Compute a figure from the sums of `counts`, (answers, k), and its 95 % interval; None without cases.

        The interval is the percentile bootstrap's (Efron, Annals of Statistics 1979) over groups of dependent answers,
        such as those about one photo.
        """
        if not counts:
            self.figures[name] = None
            return
        places = {group: place for place, group in enumerate(dict.fromkeys(groups))}
        table = np.zeros((len(places), len(counts[0])))
        for group, row in zip(groups, counts, strict=True):
            table[places[group]] += row
        with np.errstate(divide="ignore", invalid="ignore"):
            value = float(figure(table.sum(axis=0)))
            self.figures[name] = None if np.isnan(value) else round(value, 4)
            if self.figures[name] is None:
                return
            size = len(table)
            weights = np.random.default_rng(0).multinomial(size, np.full(size, 1 / size), size=DRAWS)
            low, high = np.nanpercentile(figure((weights @ table).T), (2.5, 97.5))
        self.intervals[name] = (round(float(low), 4), round(float(high), 4))

    def table(self) -> str:
        """Return the figures and intervals as a table for a shell."""
        rows = []
        for name, value in self.figures.items():
            shown = "-" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)
            low_high = self.intervals.get(name)
            rows.append(f"{name:<26}{shown}" + (f"  [{low_high[0]:.4f}, {low_high[1]:.4f}]" if low_high else ""))
        return "\n".join(rows)

"""The confusion matrix: which names the photos of each concept got."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from personal.evaluate.identify import UNNAMED

_CELL = 0.34
"""Inches of a row or column of the picture."""


def draw_confusion(confusion: Counter[tuple[str, str]], title: str, path: Path) -> None:
    """Write a PNG of a (truth, said) table: rows are concepts, columns the names said, in percent of the row."""
    from matplotlib.figure import Figure

    rows, columns, shares = as_table(confusion)
    figure = Figure(figsize=(3 + _CELL * len(columns), 2.2 + _CELL * len(rows)), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=100, aspect="equal")
    axes.set_xticks(range(len(columns)), [_short(c) for c in columns[:-1]] + ["(no name)"], rotation=90, fontsize=8)
    axes.set_yticks(range(len(rows)), [_short(row) for row in rows], fontsize=8)
    axes.set_xlabel("said")
    axes.set_ylabel("photo of")
    axes.set_title(title, fontsize=9)
    for y, row in enumerate(shares):
        for x, share in enumerate(row):
            if share >= 0.5:
                axes.text(
                    x, y, f"{share:.0f}", ha="center", va="center", fontsize=6, color="white" if share > 50 else "black"
                )
    figure.savefig(path, dpi=130, metadata={"Software": ""})


def as_table(confusion: Counter[tuple[str, str]]) -> tuple[list[str], list[str], NDArray[np.float64]]:
    """Return a (truth, said) table's rows, columns with UNNAMED last, and cells in percent of the row."""
    rows = sorted({truth for truth, _ in confusion})
    columns = [*rows, *sorted({said for _, said in confusion} - {*rows, UNNAMED}), UNNAMED]
    counts = np.array([[confusion[row, column] for column in columns] for row in rows], dtype=np.float64)
    return rows, columns, 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)


def _short(name: str) -> str:
    """Shorten a label to 24 characters and escape formulas of matplotlib."""
    return (name if len(name) <= 24 else name[:23] + "…").replace("$", r"\$")

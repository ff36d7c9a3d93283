"""The figures of a report: values by condition with each participant's line, votes, strengths. PNG and SVG.

The same data gives the same bytes: no dates, no random ids.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personal.study.measures import Measure
from personal.study.votes import Duel, Strength

if TYPE_CHECKING:
    import pandas as pd

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999999", "#F0E442")
"""Colours that people of any colour vision tell apart (Okabe & Ito, 2008)."""
INK = "#333333"


def by_condition(folder: Path, measure: Measure, table: pd.DataFrame) -> str:
    """Draw a box for each condition, and a line for each participant. Return the file's name without ending.

    `table` has a column for each condition and a row for each participant.
    """
    name = measure.id.replace(".", "-")
    with _figure(folder, name, (1.6 + 1.5 * len(table.columns), 3.6)) as axes:
        places = range(1, len(table.columns) + 1)
        for values in table.to_numpy():
            axes.plot(places, values, color=INK, alpha=0.15, linewidth=0.8, zorder=1)
        boxes = axes.boxplot(
            [table[one] for one in table.columns], widths=0.45, showmeans=True, patch_artist=True, zorder=2,
            medianprops={"color": INK}, meanprops={"markerfacecolor": "white", "markeredgecolor": INK, "marker": "o"},
        )  # fmt: skip
        for box, colour in zip(boxes["boxes"], COLOURS, strict=False):
            box.set(facecolor=colour, alpha=0.65)
        axes.set_xticks(list(places), list(table.columns))
        if measure.lowest is not None and measure.highest is not None:
            margin = 0.04 * (measure.highest - measure.lowest)
            axes.set_ylim(measure.lowest - margin, measure.highest + margin)
        axes.set_ylabel(measure.title if len(measure.title) < 50 else measure.id)
    return name


def of_votes(folder: Path, duels: Sequence[Duel]) -> str:
    """Draw how each pair of conditions was voted on. Return the file's name without ending."""
    with _figure(folder, "votes", (7.0, 1.2 + 0.6 * len(duels))) as axes:
        for place, duel in enumerate(duels):
            counts = (duel.wins, duel.both_good, duel.both_bad, duel.losses)
            total, left = sum(counts) or 1, 0.0
            for count, colour in zip(counts, (COLOURS[0], "#BBBBBB", "#E5E5E5", COLOURS[1]), strict=True):
                axes.barh(place, count / total, left=left, color=colour, alpha=0.65, edgecolor="white")
                if count:
                    axes.text(left + count / total / 2, place, str(count), ha="center", va="center", fontsize=8)
                left += count / total
        axes.set_yticks(range(len(duels)), [f"{duel.first} (left)\n{duel.second} (right)" for duel in duels])
        axes.invert_yaxis()
        axes.set_xlim(0, 1)
        axes.set_xlabel("Share of votes; grey: both good, light: both bad")
    return "votes"


def of_strengths(folder: Path, strengths: Sequence[Strength]) -> str:
    """Draw Bradley-Terry strengths with their intervals. Return the file's name without ending."""
    with _figure(folder, "strengths", (6.0, 1.2 + 0.5 * len(strengths))) as axes:
        for place, one in enumerate(strengths):
            axes.plot([one.low, one.high], [place, place], color=INK, linewidth=1.5)
            axes.plot([one.strength], [place], "o", color=COLOURS[place % len(COLOURS)], markersize=8)
        axes.axvline(0, color=INK, linewidth=0.8, linestyle=":")
        axes.set_yticks(range(len(strengths)), [one.condition for one in strengths])
        axes.invert_yaxis()
        axes.margins(y=0.3)
        axes.set_xlabel("Strength (log-odds against the mean), 95 % interval")
    return "strengths"


def files(names: Sequence[str]) -> list[str]:
    """Return the names of the files of figures."""
    return [f"{name}.{ending}" for name in names for ending in ("png", "svg")]


@contextmanager
def _figure(folder: Path, name: str, size: tuple[float, float]) -> Iterator[Any]:
    """Make a figure with one pair of axes, and write it as PNG and SVG."""
    import matplotlib
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.hashsalt": "study", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.add_subplot()
        axes.spines[["top", "right"]].set_visible(False)
        yield axes
        folder.mkdir(parents=True, exist_ok=True)
        figure.savefig(folder / f"{name}.png", dpi=150, metadata={"Software": None})
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None, "Creator": None})

"""What blind comparisons say: shares of votes, and Bradley-Terry strengths by statsmodels, with bootstrap intervals.

Participants are resampled, not votes: those of one person belong together.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

RESAMPLES = 500
SEED = 20240229
TIES = ("both_good", "both_bad")


@dataclass(frozen=True, slots=True)
class Duel:
    """Votes between two conditions; `share` is the first's of the decided ones, with a 95 % bootstrap interval.

    `p` is of Wilcoxon's signed-rank test of the participants' shares, ties counting half, against one half.
    """

    first: str
    second: str
    wins: int
    losses: int
    both_good: int
    both_bad: int
    share: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, slots=True)
class Strength:
    """A condition's Bradley-Terry strength: log-odds against the mean of all, with a 95 % bootstrap interval."""

    condition: str
    strength: float
    low: float
    high: float


def duels(votes: pd.DataFrame) -> list[Duel]:
    """Return the result of each pair of conditions that were compared."""
    if votes.empty:
        return []
    pairs = votes.apply(lambda row: tuple(sorted((row["left"], row["right"]))), axis=1)
    return [_duel(votes[pairs == pair], *pair) for pair in sorted(set(pairs))]


def _duel(votes: pd.DataFrame, first: str, second: str) -> Duel:
    from scipy import stats

    won = votes["winner"].map({first: 1.0, second: 0.0})
    shares = won.fillna(0.5).groupby(votes["participant"]).mean()
    decided = [group.dropna().to_numpy() for _, group in won.groupby(votes["participant"])]
    tied = (shares == 0.5).all()
    p = 1.0 if tied else float(stats.wilcoxon(shares - 0.5).pvalue)
    low, high = (float(value) for value in _resampled(decided, _share))
    good, bad = (int((votes["choice"] == one).sum()) for one in TIES)
    wins, losses = int((won == 1).sum()), int((won == 0).sum())
    return Duel(first, second, wins, losses, good, bad, _share(decided), low, high, p)


def _share(groups: Sequence[Any]) -> float:
    """Return the share of wins among the decided votes of some participants; one half where there is none."""
    total = sum(len(group) for group in groups)
    return float(sum(group.sum() for group in groups) / total) if total else 0.5


def strengths(votes: pd.DataFrame) -> list[Strength]:
    """Return the conditions, the strongest first (Bradley & Terry, 1952); ties are left out of the model.

    Half a vote is added each way to every pair, so that a condition that won all is not infinitely strong.
    """
    decided = votes[votes["winner"].notna()] if not votes.empty else votes
    if decided.empty:
        return []
    conditions = sorted({*decided["left"], *decided["right"]})
    groups = [_signs(group, conditions) for _, group in decided.groupby("participant")]
    fitted = _fit(groups)
    low, high = _resampled(groups, _fit)
    made = [
        Strength(condition, *(float(value) for value in row))
        for condition, *row in zip(conditions, fitted, low, high, strict=True)
    ]
    return sorted(made, key=lambda one: -one.strength)


def _signs(votes: pd.DataFrame, conditions: Sequence[str]) -> Any:
    """Return a row for each vote, with 1 for the winner and -1 for the loser."""
    import numpy as np

    rows = np.zeros((len(votes), len(conditions)))
    for row, (left, right, winner) in enumerate(zip(votes["left"], votes["right"], votes["winner"], strict=True)):
        rows[row, conditions.index(winner)] = 1
        rows[row, conditions.index(right if winner == left else left)] = -1
    return rows


def _fit(groups: Sequence[Any]) -> Any:
    """Return the strengths by a logistic regression without intercept, the mean being 0."""
    import numpy as np
    import statsmodels.api as sm

    rows = np.vstack(groups)
    pairs = np.unique(np.vstack([rows, -rows]), axis=0)  # both ways of each pair that met
    design = np.vstack([rows, pairs])[:, 1:]
    weights = np.concatenate([np.ones(len(rows)), np.full(len(pairs), 0.5)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = sm.GLM(np.ones(len(design)), design, sm.families.Binomial(), freq_weights=weights)
        found = model.fit().params
    full = np.concatenate([[0.0], found])
    return full - full.mean()


def _resampled(groups: Sequence[Any], statistic: Any) -> tuple[Any, Any]:
    """Return the 95 % percentile interval of a statistic of participants, which may be an array."""
    import numpy as np
    from scipy import stats

    if len(groups) < 2:
        unknown = np.full_like(statistic(groups), np.nan, dtype=float)
        return unknown, unknown
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        found = stats.bootstrap(
            (np.arange(len(groups)),),
            lambda chosen: np.asarray(statistic([groups[int(place)] for place in chosen])),
            n_resamples=RESAMPLES,
            vectorized=False,
            method="percentile",
            rng=SEED,
        ).confidence_interval
    return found.low, found.high

"""Compare conditions within participants: tests by scipy, corrections by statsmodels, effect sizes with intervals.

Planned comparisons are corrected among themselves. All others are exploratory, and corrected among themselves.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

from personal.study.measures import measures
from personal.study.schema import Comparison, Study

if TYPE_CHECKING:
    import pandas as pd

RESAMPLES = 2000
SEED = 20240229
"""Of the bootstrap: a report of the same data is the same."""
FEWEST = 3
"""Pairs from which on a comparison is made."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """A comparison of two conditions over the participants who have both values.

    `difference` is the mean of first minus second, with its 95 % t interval. `effect` is Cohen's d of the differences
    (dz) for `t`, the matched-pairs rank-biserial correlation for `wilcoxon`, with a 95 % bootstrap interval. `p` is as
    tested, `corrected` within its family; `claimed` tells whether that is below alpha.
    """

    measure: str
    first: str
    second: str
    test: str
    planned: bool
    pairs: int
    means: tuple[float, float]
    difference: float
    difference_low: float
    difference_high: float
    statistic: float
    p: float
    effect: float
    effect_low: float
    effect_high: float
    corrected: float = 1.0
    claimed: bool = False


def compare_all(study: Study, long: pd.DataFrame) -> list[Contrast]:
    """Return the planned comparisons, then all others of scores and totals. `long` is `Data.long`."""
    others = [_compare(long, one, False, True) for one in unplanned(study)]
    return [*compare_planned(study, long), *_corrected(study, others)]


def compare_planned(study: Study, long: pd.DataFrame, *, intervals: bool = True) -> list[Contrast]:
    """Return the planned comparisons; without `intervals` their effect sizes have none, which is quicker."""
    return _corrected(study, [_compare(long, one, True, intervals) for one in study.analysis.planned])


def unplanned(study: Study) -> Iterator[Comparison]:
    """Yield all comparisons that could be made and were not planned: of scores, ratings and totals, by t-tests."""
    planned = {(one.measure, frozenset(one.conditions)) for one in study.analysis.planned}
    for name in overall(study):
        for first, second in combinations([one.id for one in study.conditions], 2):
            if (name, frozenset((first, second))) not in planned:
                yield Comparison(measure=name, conditions=(first, second))


def overall(study: Study) -> list[str]:
    """Return the measures that are compared: not the single items of published scales, and not votes."""
    scored = {one.id for one in study.questionnaires if one.scale}
    items = {f"{one.id}.{item.id}" for one in study.questionnaires for item in one.items}

    def single(name: str) -> bool:
        questionnaire, _, item = name.partition(".")
        return (
            questionnaire in scored and name not in items and item not in ("score", "pragmatic", "hedonic", "overall")
        )

    return [name for name in measures(study) if name != "wins" and not single(name)]


def pairs_of(long: pd.DataFrame, measure: str, conditions: Sequence[str]) -> pd.DataFrame:
    """Return the values of a measure, a row for each participant who has all of `conditions`, a column for each."""
    rows = long[(long["measure"] == measure) & long["condition"].isin(list(conditions))]
    table = rows.pivot_table(index="participant", columns="condition", values="value")
    return table.reindex(columns=list(conditions)).dropna()


def friedman(long: pd.DataFrame, measure: str, conditions: Sequence[str]) -> tuple[float, float] | None:
    """Return Friedman's chi-square and p over three conditions or more; None where there is too little data."""
    from scipy import stats

    table = pairs_of(long, measure, conditions)
    if len(conditions) < 3 or len(table) < FEWEST or (table.nunique(axis=1) == 1).all():
        return None
    found = stats.friedmanchisquare(*(table[one] for one in conditions))
    return float(found.statistic), float(found.pvalue)


def _compare(long: pd.DataFrame, wanted: Comparison, planned: bool, intervals: bool) -> Contrast | None:
    from scipy import stats

    first, second = wanted.conditions
    table = pairs_of(long, wanted.measure, wanted.conditions)
    differences = (table[first] - table[second]).to_numpy()
    if len(differences) < FEWEST or not differences.std():
        return None  # nothing to test: too few, or all alike
    paired = stats.ttest_rel(table[first], table[second])
    low, high = paired.confidence_interval(0.95)
    result = paired if wanted.test == "t" else stats.wilcoxon(table[first], table[second])
    effect = _dz if wanted.test == "t" else _rank_biserial
    span = _interval(differences, effect) if intervals else (float("nan"), float("nan"))
    return Contrast(
        wanted.measure,
        first,
        second,
        wanted.test,
        planned,
        len(differences),
        (float(table[first].mean()), float(table[second].mean())),
        float(differences.mean()),
        float(low),
        float(high),
        float(result.statistic),
        float(result.pvalue),
        effect(differences),
        *span,
    )


def _dz(differences: Any) -> float:
    """Cohen's d of paired differences: their mean over their standard deviation."""
    spread = differences.std(ddof=1)
    return float(differences.mean() / spread) if spread else 0.0


def _rank_biserial(differences: Any) -> float:
    """The matched-pairs rank-biserial correlation (Kerby, 2014): favourable minus unfavourable share of ranks."""
    from scipy import stats

    kept = differences[differences != 0]
    if not len(kept):
        return 0.0
    ranks = stats.rankdata(abs(kept))
    return float((ranks[kept > 0].sum() - ranks[kept < 0].sum()) / ranks.sum())


def _interval(differences: Any, effect: Any) -> tuple[float, float]:
    from scipy import stats

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.DegenerateDataWarning)
        found = stats.bootstrap(
            (differences,), effect, n_resamples=RESAMPLES, vectorized=False, method="percentile", rng=SEED
        ).confidence_interval
    return float(found.low), float(found.high)


def _corrected(study: Study, family: Sequence[Contrast | None]) -> list[Contrast]:
    from statsmodels.stats.multitest import multipletests

    made = [one for one in family if one is not None]
    if not made:
        return []
    alpha = study.analysis.alpha
    claimed, corrected, *_ = multipletests([one.p for one in made], alpha, study.analysis.correction)
    return [
        replace(one, corrected=float(p), claimed=bool(yes))
        for one, p, yes in zip(made, corrected, claimed, strict=True)
    ]

"""Open-set figures: what a stranger of a registered kind is called, against what is missed of one's own.

Works on identification's queries: knows neither photos nor how concepts are recognised. Rates are those of biometrics'
open-set identification (ISO/IEC 19795-1): a query of a registered concept is missed unless its own name is said, a
query of an unregistered one is a false name if any is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from personal.concepts import Certainty

if TYPE_CHECKING:
    from collections.abc import Hashable

Array = NDArray[np.float64]

BINS = 10
"""Bins of the expected calibration error (Guo et al., ICML 2017)."""
DRAWS = 1000


@dataclass(frozen=True)
class Decided:
    """One query's outcome: what it is of, and the first name with its score, 0..1 where that is a probability."""

    photo: Hashable
    kind: str
    registered: bool
    right: bool
    score: float
    certainty: Certainty
    probability: float | None = None


def figures(decided: Sequence[Decided]) -> dict[str, Any]:
    """Compute the equal error rate, false names and misses at "sure" and at "maybe", and the calibration error.

    Each comes with its 95 % interval, the percentile bootstrap's over photos.
    """
    places = {photo: place for place, photo in enumerate(dict.fromkeys(one.photo for one in decided))}
    of = np.array([places[one.photo] for one in decided])
    size = len(places)
    drawn = np.random.default_rng(0).multinomial(size, np.full(size, 1 / size), size=DRAWS)
    own = np.array([one.registered for one in decided])
    sure = np.array([one.certainty == "sure" for one in decided])
    some = np.array([one.certainty != "silent" for one in decided])
    right = np.array([one.right for one in decided])

    def rate(counted: NDArray[np.bool_], among: NDArray[np.bool_]) -> dict[str, Any]:
        if not among.any():
            return {"rate": None, "interval": None, "queries": 0}
        hits, all_of = (np.bincount(of[mask], minlength=size) for mask in (counted & among, among))
        with np.errstate(divide="ignore", invalid="ignore"):
            low, high = np.nanpercentile(drawn @ hits / (drawn @ all_of), (2.5, 97.5))
        value = float(hits.sum() / all_of.sum())
        return {"rate": round(value, 4), "interval": [round(low, 4), round(high, 4)], "queries": int(among.sum())}

    report: dict[str, Any] = {
        "equal_error_rate": equal_error_rate(*scores(decided)),
        "sure": {
            "false_names": rate(sure, ~own),
            "missed": rate(~(sure & right), own),
            "wrong": rate(sure & ~right, own),
        },
        "sure_or_maybe": {"false_names": rate(some, ~own), "missed": rate(~(some & right), own)},
    }
    told = [one for one in decided if one.probability is not None]
    if told:
        report["calibration_error"] = calibration_error(
            np.array([one.probability for one in told]), np.array([one.right for one in told])
        )
    return report


def headline(report: Mapping[str, Any]) -> dict[str, float | None]:
    """Pick the figures that a table shows of what `figures` computes."""
    return {
        "equal_error_rate": report["equal_error_rate"],
        "sure_false_names": report["sure"]["false_names"]["rate"],
        "sure_missed": report["sure"]["missed"]["rate"],
        "maybe_missed": report["sure_or_maybe"]["missed"]["rate"],
        "calibration_error": report.get("calibration_error"),
    }


def by_kind(decided: Sequence[Decided]) -> dict[str, Any]:
    """Compute the figures of each kind apart."""
    kinds = sorted({one.kind for one in decided})
    return {kind: figures([one for one in decided if one.kind == kind]) for kind in kinds}


def scores(decided: Sequence[Decided]) -> tuple[Array, Array]:
    """Return the scores of own queries, -inf where another's name came first, and of strangers'."""
    own = [one.score if one.right else -np.inf for one in decided if one.registered]
    return np.array(own, float), np.array([one.score for one in decided if not one.registered], float)


def trade_off(own: Array, strangers: Array) -> tuple[Array, Array, Array]:
    """Return thresholds, and at each the share of own queries missed and of strangers' queries named."""
    thresholds = np.unique(np.concatenate([own[np.isfinite(own)], strangers, [np.inf]]))
    missed = np.searchsorted(np.sort(own), thresholds, "left") / max(1, len(own))
    named = 1 - np.searchsorted(np.sort(strangers), thresholds, "left") / max(1, len(strangers))
    return thresholds, missed, named


def equal_error_rate(own: Array, strangers: Array) -> float | None:
    """Return the rate at which as large a share of own queries is missed as of strangers' is named."""
    if not len(own) or not len(strangers):
        return None
    _, missed, named = trade_off(own, strangers)
    place = int((np.abs(missed - named) + 1e-9 * (missed + named)).argmin())
    return round(float(missed[place] + named[place]) / 2, 4)


def calibration_error(probability: Array, right: NDArray[np.bool_]) -> float:
    """Return the expected calibration error: how far stated and true shares lie apart, over BINS equal bins."""
    bins = np.minimum((probability * BINS).astype(int), BINS - 1)
    apart = np.bincount(bins, probability - right, minlength=BINS)
    return round(float(np.abs(apart).sum() / len(probability)), 4)


def draw_trade_off(curves: Mapping[str, Sequence[Decided]], title: str, path: Path) -> None:
    """Write a PNG of detection-error trade-offs on normal-deviate axes (Martin et al., Eurospeech 1997)."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 6), layout="constrained")
    axes = figure.subplots()
    ticks = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8]
    for name, decided in curves.items():
        own, strangers = scores(decided)
        if len(own) and len(strangers):
            _, missed, named = trade_off(own, strangers)
            axes.plot(_deviate(named), _deviate(missed), label=name.replace("$", r"\$"))
    axes.plot(_deviate(np.array(ticks)), _deviate(np.array(ticks)), color="0.8", linewidth=0.8)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(_deviate(np.array(ticks)).tolist(), [f"{100 * tick:g} %" for tick in ticks])
    axes.set_xlim(*_deviate(np.array([0.003, 0.9])))
    axes.set_ylim(*_deviate(np.array([0.003, 0.9])))
    axes.set_xlabel("strangers' photos that get a name")
    axes.set_ylabel("own photos missed")
    axes.set_title(title, fontsize=9)
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=130, metadata={"Software": ""})


def _deviate(rate: Array) -> Array:
    """Map rates to normal deviates."""
    from statistics import NormalDist

    return np.array([NormalDist().inv_cdf(min(max(float(one), 0.001), 0.999)) for one in np.atleast_1d(rate)])

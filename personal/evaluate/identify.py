"""Identification on a folder, `DIR/<concept>/<photo>`: who is it, and is it anybody we know?

Per seed, K photos of each concept are registered under an owner of its own and all others are asked about; some
concepts may stay unregistered: any, or a quarter of each kind. A query's score is its best similarity over views and
regions; whether a name is said is the app's own decision. References never serve as queries. Knows nothing of how
concepts are recognised: it asks the Assistant.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from personal.concepts import Box, Certainty, Photo
from personal.errors import PersonalError
from personal.evaluate import openset
from personal.evaluate.asking import CACHED, ProgressBar, left_out, no_progress_bar, register
from personal.evaluate.mistakes import Mistake
from personal.evaluate.report import DRAWS, Report

if TYPE_CHECKING:
    from personal.assistant import Assistant

UNNAMED = "—"
"""How the confusion table writes that no name was said."""

Array = NDArray[np.float64]
Drawn = dict[str, list[Photo]]
"""Photos by concept, as `draw` gives them."""


class Ranker(Protocol):
    """What identification measures: the Assistant, or what it is compared with (`personal.evaluate.baselines`)."""

    @property
    def name(self) -> str: ...
    def register(self, seed: int, chosen: Drawn) -> None: ...
    def rank(self, photo: Photo) -> Ranked: ...


@dataclass(frozen=True)
class Ranked:
    """What ranked highest for a photo, with which similarity, in which part of it, and what ranked next.

    `certainty` is what the app would do with the name, `probability` that of its being right, where that is known.
    """

    name: str
    similarity: float
    second: str = ""
    box: Box | None = None
    certainty: Certainty = "sure"
    probability: float | None = None


@dataclass(frozen=True)
class Folder:
    """Photos by concept, sorted by file name; what was left out and why, in words; file names by the photo's sha256.

    Where a layout says which photos are `asked` about, references are drawn from `photos` and these are the queries.
    `kinds` tells what kind of thing each concept is, where a file beside the photos does.
    """

    photos: Drawn
    notes: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    asked: Drawn = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """How many photos there are."""
        return sum(map(len, [*self.photos.values(), *self.asked.values()]))


@dataclass(frozen=True)
class QueryResult:
    """One query: the right name, whether that is registered, and what ranked highest, as `Ranked` has it."""

    truth: str
    registered: bool
    name: str
    similarity: float
    second: str = ""
    photo: Photo | None = None
    box: Box | None = None
    certainty: Certainty = "sure"
    probability: float | None = None

    @property
    def said(self) -> bool:
        """Whether the app says the name."""
        return self.certainty == "sure"


@dataclass
class Result:
    """The figures as the report's JSON holds them, and `confusion`: (truth, said) → how often.

    `decided` are the queries as open-set figures know them.
    """

    report: dict[str, Any]
    confusion: Counter[tuple[str, str]] = field(default_factory=Counter)
    mistakes: list[Mistake] = field(default_factory=list)
    decided: list[openset.Decided] = field(default_factory=list)

    def summary(self) -> Report:
        """Lay the figures out as every protocol's are."""
        found = Report(_figures(self.report), self.report.get("intervals", {}), self.report["notes"])
        found.mistakes = self.mistakes
        for name, row in self.report.get("baselines", {}).items():
            found.baselines[name] = Report(_figures(row), row["intervals"])
        return found


def identify(
    assistant: Assistant,
    folder: Folder,
    *,
    references: int = 1,
    seeds: int = 20,
    unregistered: int = 0,
    same_kinds: bool = False,
    baselines: Sequence[Ranker] = (),
    progress: ProgressBar = no_progress_bar,
) -> Result:
    """Measure identification over seeds 0..N-1 (NumPy's default generator), and `baselines` on the same photos.

    With `same_kinds` a quarter of each kind stays unregistered, of those with two concepts or more. Raises
    PersonalError where `unregistered` leaves nobody to register, and where no kinds are known.
    """
    open_set = unregistered > 0 or same_kinds
    assistant.retriever.cache_size = min(folder.size, CACHED)
    drawn = [draw(folder, references, unregistered, seed, same_kinds=same_kinds) for seed in range(seeds)]
    results = _ranked(drawn, [Ours(assistant), *baselines], progress)
    ours = results.pop(Ours.name)
    report = {
        **measured(ours, open_set=open_set),
        "threshold": assistant.default_confidence if assistant.threshold is None else assistant.threshold,
        **{"concepts": len(folder.photos), "references": references, "seeds": seeds, "unregistered": unregistered},
        **{"same_kinds": same_kinds, "notes": list(folder.notes)},
    }
    report["baselines"] = {
        name: {key: value for key, value in measured(rows, open_set=open_set).items() if key != "per_seed"}
        for name, rows in results.items()
    }
    report["answers"] = [_row(seed, query, folder) for seed, queries in enumerate(ours) for query in queries]
    every = [query for queries in ours for query in queries]
    decided = [_decided(query, folder) for query in every] if open_set else []
    if open_set:
        report["open_set"] = openset.figures(decided)
        report |= openset.headline(report["open_set"])
        report["open_set"]["by_kind"] = openset.by_kind(decided) if folder.kinds else {}
    confusion = Counter((query.truth, query.name if query.said else UNNAMED) for query in every)
    return Result(report, confusion, [m for query in every if (m := _mistake(query, open_set=open_set))], decided)


def _ranked(
    drawn: Sequence[tuple[Drawn, Drawn]], rankers: Sequence[Ranker], progress: ProgressBar
) -> dict[str, list[list[QueryResult]]]:
    """Register each seed's references with every ranker and ask it the seed's queries: by its name and the seed."""
    asked = [
        (seed, truth, photo)
        for seed, (_, queries) in enumerate(drawn)
        for truth, some in queries.items()
        for photo in some
    ]
    results: dict[str, list[list[QueryResult]]] = {ranker.name: [[] for _ in drawn] for ranker in rankers}
    last = -1
    for seed, truth, photo in progress(asked, "identify"):
        chosen, _ = drawn[seed]
        for ranker in rankers:
            if seed != last:
                ranker.register(seed, chosen)
            best = ranker.rank(photo)
            scores = (best.name, best.similarity, best.second)
            result = QueryResult(truth, truth in chosen, *scores, photo, best.box, best.certainty, best.probability)
            results[ranker.name][seed].append(result)
        last = seed
    return results


def _row(seed: int, query: QueryResult, folder: Folder) -> dict[str, Any]:
    return {
        "seed": seed,
        "photo": folder.files.get(query.photo.sha256, "") if query.photo else "",
        "concept": query.truth,
        "registered": query.registered,
        "answer": query.name,
        "similarity": round(query.similarity, 4),
        "probability": query.probability and round(query.probability, 4),
        "certainty": query.certainty,
    }


def draw(
    folder: Folder, references: int, unregistered: int, seed: int, *, same_kinds: bool = False
) -> tuple[Drawn, Drawn]:
    """Draw one seed's references of the registered concepts, and the queries of all, both by concept.

    With `same_kinds` a quarter of each kind is left unregistered, one at least, instead of `unregistered`. Where the
    layout has a split, all photos of a concept are taken that has fewer than `references`.
    """
    photos = folder.photos
    random = np.random.default_rng(seed)
    names = sorted(photos)
    strangers = left_out(names, unregistered, random)
    for some in _kinds(folder) if same_kinds else ():
        strangers |= set(random.choice(some, max(1, round(len(some) / 4)), replace=False))
    chosen: Drawn = {}
    queries: Drawn = {}
    for name in names:
        size = min(references, len(photos[name])) if folder.asked else references
        picks = set(random.choice(len(photos[name]), size, replace=False).tolist())
        rest = [photo for i, photo in enumerate(photos[name]) if i not in picks]
        queries[name] = folder.asked.get(name, []) if folder.asked else rest
        if name not in strangers:
            chosen[name] = [photos[name][i] for i in sorted(picks)]
    return chosen, queries


def _kinds(folder: Folder) -> list[list[str]]:
    """List the concepts of each kind that has two or more. Raises PersonalError where none has."""
    by_kind: dict[str, list[str]] = {}
    for name in sorted(folder.photos):
        by_kind.setdefault(folder.kinds.get(name, name), []).append(name)
    several = [names for names in by_kind.values() if len(names) > 1]
    if not several:
        raise PersonalError(
            "No two concepts are known to be of one kind: a categories.json beside the photos tells each one's kind, "
            '{"bo": "dog", "mo": "dog"}.'
        )
    return several


def measured(seen: Sequence[Sequence[QueryResult]], *, open_set: bool) -> dict[str, Any]:
    """Compute the figures of every seed, their means, and 95 % intervals of these.

    The intervals are the percentile bootstrap's over photos: one that was asked about in several seeds is drawn or left
    out in all of them together.
    """
    per_seed = [{"seed": seed, **figures(queries, open_set=open_set)} for seed, queries in enumerate(seen)]
    report: dict[str, Any] = {
        **{name: _mean([row[name] for row in per_seed]) for name in ("top1", "auroc", "f1", "top2")},
        "queries": sum(map(len, seen)),
        "intervals": {},
        "per_seed": per_seed,
    }
    keys = [[_photo_of(query, place) for place, query in enumerate(queries)] for queries in seen]
    places = {key: place for place, key in enumerate(dict.fromkeys(key for row in keys for key in row))}
    size = len(places)
    drawn = np.random.default_rng(0).multinomial(size, np.full(size, 1 / size), size=DRAWS).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        rows = [
            _weighted(queries, drawn[:, [places[key] for key in row]], open_set=open_set)
            for queries, row in zip(seen, keys, strict=True)
        ]
        for name in dict.fromkeys(name for row in rows for name in row):
            table = np.array([row.get(name, np.full(DRAWS, np.nan)) for row in rows])
            means = np.nansum(table, axis=0) / np.isfinite(table).sum(axis=0)
            if report[name] is not None:
                low, high = np.nanpercentile(means, (2.5, 97.5))
                report["intervals"][name] = (round(float(low), 4), round(float(high), 4))
    return report


def figures(seen: Sequence[QueryResult], *, open_set: bool) -> dict[str, Any]:
    """Compute one seed's `top1`, `top2` (first or second), `auroc` and `f1`; the last two are None unless `open_set`.

    So is `top2` where nobody ranked second, and whatever there was no query for.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        found = _weighted(seen, np.ones((1, len(seen))), open_set=open_set)
    row: dict[str, Any] = dict.fromkeys(("top1", "auroc", "f1", "top2"))
    row |= {name: float(value[0]) for name, value in found.items() if np.isfinite(value[0])}
    return {**row, "queries": len(seen)}


def _weighted(seen: Sequence[QueryResult], weights: Array, *, open_set: bool) -> dict[str, Array]:
    """Compute a seed's figures, each (draws,), where a query counts as often as `weights`, (draws, queries), say."""
    known = np.array([query.registered for query in seen], bool)
    right = np.array([query.registered and query.name == query.truth for query in seen], bool)
    near = np.array([query.registered and query.truth in (query.name, query.second) for query in seen], bool)
    similarity = np.array([query.similarity for query in seen], float)
    found = {"top1": weights @ right / (weights @ known)}
    if any(query.second for query in seen):
        found["top2"] = weights @ near / (weights @ known)
    if open_set:
        said = np.array([query.said for query in seen], bool)
        found["auroc"] = auroc(similarity[known], similarity[~known], weights[:, known], weights[:, ~known])
        found["f1"] = 2 * (weights @ (right & said)) / np.maximum(weights @ said + weights @ known, 1)
    return found


def auroc(positive: Array, negative: Array, positive_weights: Array, negative_weights: Array) -> Array:
    """Return the chance that a positive scores above a negative, ties counting half (Mann-Whitney): (draws,).

    Weights are (draws, positives) and (draws, negatives): how often each counts.
    """
    wins = (positive[:, None] > negative[None]) + (positive[:, None] == negative[None]) / 2
    pairs = positive_weights.sum(axis=1) * negative_weights.sum(axis=1)
    return np.asarray(((positive_weights @ wins) * negative_weights).sum(axis=1) / pairs)


class Ours:
    """The Assistant: an owner a seed, and `Assistant.rank`."""

    name = "assistant"

    def __init__(self, assistant: Assistant) -> None:
        self._assistant = assistant
        self._owner = ""

    def register(self, seed: int, chosen: Drawn) -> None:
        """Remember a seed's references under an owner of its own."""
        self._owner = f"seed-{seed}"
        register(self._assistant, self._owner, chosen)

    def rank(self, photo: Photo) -> Ranked:
        """Ask for the best two, whether their names would be said or not."""
        best, *others = self._assistant.rank(self._owner, photo)
        second = others[0].concept.name if others else ""
        similarity = best.similarity or 0.0
        return Ranked(best.concept.name, similarity, second, best.box, best.certainty, best.probability)


def _decided(query: QueryResult, folder: Folder) -> openset.Decided:
    score = query.similarity if query.probability is None else query.probability
    return openset.Decided(
        query.photo.sha256 if query.photo else query,
        folder.kinds.get(query.truth, query.truth),
        query.registered,
        query.registered and query.name == query.truth,
        score,
        query.certainty,
        query.probability,
    )


def _mistake(query: QueryResult, *, open_set: bool) -> Mistake | None:
    """Return what was wrong: another's name, any for an unregistered concept, or in an open set none at all."""
    said = query.said or not open_set
    if (said and query.registered and query.name == query.truth) or not (said or query.registered):
        return None
    right = f"<{query.truth}>" if query.registered else f"nobody: <{query.truth}> is not registered"
    words = f"<{query.name}>" if said else f"nobody: <{query.name}> is {query.certainty}"
    boxes = ((query.box, query.name),) if query.box else ()
    return Mistake(query.photo, "Who is it?", words, right, query.similarity, boxes)


def _figures(report: Mapping[str, Any]) -> dict[str, float | int | None]:
    plain = {name: value for name, value in report.items() if not isinstance(value, bool)}
    return {name: value for name, value in plain.items() if value is None or isinstance(value, float | int)}


def _photo_of(query: QueryResult, place: int) -> str:
    return query.photo.sha256 if query.photo else str(place)


def _mean(values: Sequence[float | None]) -> float | None:
    numbers = [value for value in values if value is not None]
    return float(np.mean(numbers)) if numbers else None

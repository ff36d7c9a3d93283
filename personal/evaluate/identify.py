"""Identification on a folder, `DIR/<concept>/<photo>`: who is it, and is it anybody we know?

Per seed, K photos of each concept are registered under an owner of its own and all others are asked about; some
concepts may stay unregistered. A query's score is its best similarity over views and regions. References never serve
as queries. Knows nothing of how concepts are recognised: it asks the Assistant.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from personal.concepts import Photo
from personal.errors import ImageError, PersonalError
from personal.evaluate.asking import register
from personal.images import read_photo

if TYPE_CHECKING:
    from personal.assistant import Assistant

UNNAMED = "—"
"""How the confusion table writes that no name was said."""


@dataclass(frozen=True)
class Folder:
    """Photos by concept, sorted by file name; what was left out and why, in words; file names by the photo's sha256."""

    photos: dict[str, list[Photo]]
    notes: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Seen:
    """One query: the right name, whether that is registered, and what ranked highest with which similarity."""

    truth: str
    registered: bool
    name: str
    similarity: float


@dataclass
class Result:
    """The figures as the report's JSON holds them, and `confusion`: (truth, said) → how often at the threshold."""

    report: dict[str, Any]
    confusion: Counter[tuple[str, str]] = field(default_factory=Counter)


def read_folder(folder: Path, references: int) -> Folder:
    """Read a folder of concept folders; one photo or more must remain beside the references.

    Unreadable photos, repeated ones and concepts with too few are left out with a note. Raises PersonalError where
    fewer than two concepts remain.
    """
    if not folder.is_dir():
        raise PersonalError(f"{folder} is not a folder: give one that holds a folder of photos for each concept.")
    photos: dict[str, list[Photo]] = {}
    notes: list[str] = []
    files: dict[str, str] = {}
    for home in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        kept: dict[str, Photo] = {}
        for file in sorted(path for path in home.iterdir() if path.is_file() and not path.name.startswith(".")):
            try:
                photo = read_photo(file)
            except ImageError as error:
                notes.append(f"{home.name}/{file.name} left out: {error}")
                continue
            if photo.sha256 in kept:
                notes.append(f"{home.name}/{file.name} left out: the same photo is there already.")
            kept.setdefault(photo.sha256, photo)
            files.setdefault(photo.sha256, f"{home.name}/{file.name}")
        if len(kept) > references:
            photos[home.name] = list(kept.values())
        else:
            notes.append(f"{home.name} left out: {len(kept)} usable photos, {references + 1} needed.")
    if len(photos) < 2:
        raise PersonalError(
            f"{folder} holds {len(photos)} concepts with at least {references + 1} usable photos: two or more are "
            "needed, as folders of photos. Fewer references may help." + "".join(f"\n{note}" for note in notes[:10])
        )
    return Folder(photos, tuple(notes), files)


def identify(
    assistant: Assistant,
    folder: Folder,
    *,
    references: int = 1,
    seeds: int = 20,
    unregistered: int = 0,
    each_seed: Callable[[], object] = lambda: None,
) -> Result:
    """Measure identification over seeds 0..N-1 (NumPy's default generator); `each_seed` is called after each.

    Raises PersonalError where `unregistered` leaves nobody to register.
    """
    photos = folder.photos
    if unregistered >= len(photos):
        raise PersonalError(f"{unregistered} of {len(photos)} concepts cannot stay unregistered: leave one or more.")
    threshold = assistant.default_threshold
    assistant.retriever.cache_size = sum(map(len, photos.values()))
    per_seed: list[dict[str, Any]] = []
    result = Result({})
    for seed in range(seeds):
        seen = _ask(assistant, photos, references, unregistered, seed)
        per_seed.append({"seed": seed, **figures(seen, threshold, open_set=unregistered > 0)})
        result.confusion.update(
            (query.truth, query.name if query.similarity >= threshold else UNNAMED) for query in seen
        )
        each_seed()
    result.report = {
        **{figure: _mean([row[figure] for row in per_seed]) for figure in ("top1", "auroc", "f1")},
        "threshold": threshold,
        "queries": sum(row["queries"] for row in per_seed),
        "concepts": len(photos),
        "references": references,
        "seeds": seeds,
        "unregistered": unregistered,
        "notes": list(folder.notes),
        "per_seed": per_seed,
    }
    return result


def draw(
    photos: dict[str, list[Photo]], references: int, unregistered: int, seed: int
) -> tuple[dict[str, list[Photo]], dict[str, list[Photo]]]:
    """Draw one seed's references of the registered concepts, and the queries of all, both by concept."""
    random = np.random.default_rng(seed)
    names = sorted(photos)
    strangers = set(random.choice(names, unregistered, replace=False)) if unregistered else set()
    chosen: dict[str, list[Photo]] = {}
    queries: dict[str, list[Photo]] = {}
    for name in names:
        picks = set(random.choice(len(photos[name]), references, replace=False).tolist())
        queries[name] = [photo for i, photo in enumerate(photos[name]) if i not in picks]
        if name not in strangers:
            chosen[name] = [photos[name][i] for i in sorted(picks)]
    return chosen, queries


def figures(seen: Sequence[Seen], threshold: float, *, open_set: bool) -> dict[str, Any]:
    """Compute one seed's `top1`, `auroc` and `f1`; the latter two are None unless `open_set`."""
    known = [query for query in seen if query.registered]
    row: dict[str, Any] = {
        "top1": float(np.mean([query.name == query.truth for query in known])),
        "auroc": None,
        "f1": None,
        "queries": len(seen),
    }
    if open_set:
        row["auroc"] = auroc(
            [query.similarity for query in known], [query.similarity for query in seen if not query.registered]
        )
        said = [query for query in seen if query.similarity >= threshold]
        right = sum(query.registered and query.name == query.truth for query in said)
        silent = sum(query.similarity < threshold for query in known)
        row["f1"] = 2 * right / (len(said) + right + silent) if said or silent else 0.0
    return row


def auroc(positive: Sequence[float], negative: Sequence[float]) -> float:
    """Return the chance that a positive scores above a negative, ties counting half (Mann-Whitney)."""
    high, low = np.asarray(positive)[:, None], np.asarray(negative)[None, :]
    return float((high > low).mean() + (high == low).mean() / 2)


def _ask(
    assistant: Assistant, photos: dict[str, list[Photo]], references: int, unregistered: int, seed: int
) -> list[Seen]:
    """Register one seed's references under an owner of its own and rank every query."""
    owner = f"seed-{seed}"
    chosen, queries = draw(photos, references, unregistered, seed)
    register(assistant, owner, chosen)
    seen = []
    for truth, asked in queries.items():
        for photo in asked:
            best = assistant.rank(owner, photo)[0]
            seen.append(Seen(truth, truth in chosen, best.concept.name, best.similarity or 0.0))
    return seen


def _mean(values: Sequence[float | None]) -> float | None:
    numbers = [value for value in values if value is not None]
    return float(np.mean(numbers)) if numbers else None

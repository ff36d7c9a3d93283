"""Photos with several concepts: which of them are found in the photo, and which are named in its caption.

MC-LLaVA's recall (An et al., 2411.11706) and RePIC's captions (Oh et al., NeurIPS 2025): an item counts for the
fraction of its concepts that are named. Stricter than both: all concepts are registered at once unless `together` is
set, a name that does not belong costs precision, and the question for retrieval has no names. If the layout has boxes
the report has the IoU of the boxes of those named rightly. Drawn mosaics are items too: `Item(photo, {name: box})`, and
backgrounds alone `Item(photo, {})`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from personal.concepts import Box, Photo
from personal.data.templates import CAPTION_REQUEST
from personal.errors import PersonalError
from personal.evaluate.asking import ProgressBar, ask, library_digest, no_progress_bar, register
from personal.evaluate.journal import Journal
from personal.evaluate.layouts import deal, photos_of
from personal.evaluate.mistakes import MAX_MISTAKES, Mistake
from personal.evaluate.report import Report, f1, precision
from personal.images import read_photo

if TYPE_CHECKING:
    from personal.assistant import Assistant
    from personal.evaluate.layouts import Dataset, Query

FOUND, TOP_N, CAPTION = "found", "top_n", "caption"
"""Tasks: look at a photo; look for as many concepts as it has, without a threshold; caption it."""
PREFIX = {FOUND: "", TOP_N: "top_n_", CAPTION: "caption_"}

Hit = tuple[str, float, Box | None]
"""A name, its similarity, and where."""


class Baseline(Protocol):
    """A baseline of retrieval (`evaluate.baselines`); `names_said` is how many names it always says."""

    @property
    def name(self) -> str: ...
    @property
    def names_said(self) -> int: ...
    def register(self, seed: int, chosen: dict[str, list[Photo]]) -> None: ...
    def hits(self, photo: Photo) -> list[Hit]: ...


@dataclass(frozen=True)
class Item:
    """A photo, or its path, and the concepts in it with their boxes if known; naming `others` counts neither way."""

    photo: Photo | Path
    boxes: Mapping[str, Box | None]
    others: frozenset[str] = frozenset()
    file: str = ""
    info: Mapping[str, Any] = field(default_factory=dict)

    def read(self) -> Photo:
        """Return the photo. Raises ImageError."""
        return read_photo(self.photo) if isinstance(self.photo, Path) else self.photo


def multi(
    assistant: Assistant,
    dataset: Dataset,
    *,
    references: int,
    seeds: int = 1,
    together: bool = False,
    captions: bool = True,
    least: int = 2,
    baselines: Sequence[Baseline] = (),
    journal: Journal | None = None,
    progress: ProgressBar = no_progress_bar,
) -> Report:
    """Measure all photos with at least `least` concepts of a `usable` dataset, with each seed's references.

    `together` registers for each photo only the concepts that the layout's own protocol registers with it, as MC-LLaVA
    and RePIC do; else all are registered. Raises PersonalError if the dataset has no such photo.
    """
    dataset = require_shared_photos(dataset, least)
    answers: list[dict[str, Any]] = []
    every: list[Item] = []
    how: dict[str, Any] = {"captions": captions, "baselines": baselines, "journal": journal, "progress": progress}
    for seed in range(seeds):
        dealt = deal(dataset, references, seed=seed)
        groups: dict[frozenset[str], list[Query]] = {}
        for query in dealt.queries:
            if len(query.concepts) >= least:
                groups.setdefault(query.together if together else frozenset(), []).append(query)
        for number, (cast, queries) in enumerate(groups.items()):
            owner = f"seed-{seed}-{number}"
            chosen = photos_of({n: paths for n, paths in dealt.references.items() if not cast or n in cast})
            register(assistant, owner, chosen)
            for baseline in baselines:
                baseline.register(seed, chosen)
            items = [to_item(dataset, query, {"seed": seed}) for query in queries]
            answers += measure_items(assistant, owner, items, **how, words=f"photos, seed {seed}")
            every += items
    ours = [answer for answer in answers if "by" not in answer]
    report = score(ours)
    report.baselines = {b.name: score(a for a in answers if a.get("by") == b.name) for b in baselines}
    report.mistakes = mistakes(every, ours)
    report.notes = list(dataset.notes)
    return report


def require_shared_photos(dataset: Dataset, least: int = 2) -> Dataset:
    """Return the dataset. Raises PersonalError if it has no photo with at least `least` concepts."""
    if not any(len(query.concepts) >= least for query in dataset.queries):
        raise PersonalError(
            f"{dataset.folder} has no usable photo with {least} concepts or more: give MC-LLaVA, RePIC or ConCon-Chi."
        )
    return dataset


def to_item(dataset: Dataset, query: Query, info: Mapping[str, Any]) -> Item:
    """Return a dataset's query as an item."""
    boxes: dict[str, Box | None] = {name: None for name in sorted(query.concepts)}
    boxes |= {name: box for name, box in query.known_boxes().items() if name in boxes}
    return Item(query.path, boxes, query.others, dataset.file(query.path), info)


def measure_items(
    assistant: Assistant,
    owner: str,
    items: Sequence[Item],
    *,
    threshold: float | None = None,
    captions: bool = True,
    baselines: Sequence[Baseline] = (),
    journal: Journal | None = None,
    progress: ProgressBar = no_progress_bar,
    words: str = "photos",
) -> Iterator[dict[str, Any]]:
    """Look at every item with the threshold, by default the encoder's, and without, and caption it: rows for `score`.

    Rows of baselines have their name as `by`. A photo of several items is looked at and captioned once.
    """
    journal = journal or Journal()
    tags = {concept.name: concept.tag for concept in assistant.concepts(owner)}
    known = {"threshold": threshold, "library": library_digest(assistant, owner)}
    for item in progress(items, words):
        photo = item.read()
        about = {"photo": item.file or photo.sha256, "concepts": list(item.boxes), "others": sorted(item.others)}
        row, most = {**item.info, **about}, len(item.boxes)
        asked = {"photo": photo.sha256, **known}
        look = partial(_look, assistant, owner, photo)
        hits = _recalled(journal, {"look": FOUND, **asked}, partial(look, threshold))
        yield {"task": FOUND, **row, **_named(item, hits)}
        if most:
            hits = _recalled(journal, {"look": TOP_N, "most": most, **asked}, partial(look, -1.0, most))
            yield {"task": TOP_N, **row, **_named(item, hits)}
        for baseline in baselines:
            hits = _recalled(journal, {"look": baseline.name, **asked}, partial(baseline.hits, photo))
            yield {"task": FOUND, "by": baseline.name, **row, **_named(item, hits[: baseline.names_said])}
            if most:
                yield {"task": TOP_N, "by": baseline.name, **row, **_named(item, hits[:most])}
        if captions:
            answer = ask(assistant, owner, CAPTION_REQUEST, photo, journal=journal)
            said = [name for name, tag in tags.items() if tag in answer]
            yield {"task": CAPTION, **row, "named": said, "answer": answer}


def _recalled(journal: Journal, asked: Mapping[str, Any], find: Callable[[], list[Hit]]) -> list[Hit]:
    hits: list[Hit] = journal.recall(asked, lambda: {"hits": find()})["hits"]
    return hits


def _look(
    assistant: Assistant, owner: str, photo: Photo, threshold: float | None, top_k: int | None = None
) -> list[Hit]:
    found = assistant.look(owner, photo, threshold=threshold, top_k=top_k, names=False)
    return [(match.concept.name, match.similarity or 0.0, match.box) for match in found.said]


def _named(item: Item, hits: Iterable[Hit]) -> dict[str, Any]:
    """Return who was named, with which similarity, and the overlap with the true box of those named rightly."""
    found = {name: (similarity, box) for name, similarity, box in hits}
    truth = {name: box for name, box in item.boxes.items() if box is not None}
    boxes = {name: box for name, (_, box) in found.items() if box is not None}
    return {
        "named": list(found),
        "similarity": {name: round(similarity, 4) for name, (similarity, _) in found.items()},
        "box": {name: [round(side, 4) for side in box] for name, box in boxes.items()},
        "iou": {name: round(iou(box, truth[name]), 4) for name, box in boxes.items() if name in truth},
    }


def mistakes(items: Iterable[Item], answers: Iterable[dict[str, Any]]) -> list[Mistake]:
    """Return the items with a wrong or a missing name, those of the highest similarity first."""
    photo = {item.file: item for item in items}
    wrong = [row for row in answers if row["task"] == FOUND and row["photo"] in photo and not _is_right(row)]
    found = []
    for row in sorted(wrong, key=_wrong_similarity, reverse=True)[:MAX_MISTAKES]:
        boxes = tuple((tuple(box), name) for name, box in row["box"].items())
        named, expected = (", ".join(row[key]) for key in ("named", "concepts"))
        similarity = max(row["similarity"].values(), default=None)
        question = "Who is in the photo?"
        found.append(Mistake(photo[row["photo"]].read(), question, named, expected or "nobody", similarity, boxes))
    return found


def _is_right(row: Mapping[str, Any]) -> bool:
    return not _wrong(row) and _right(row) == len(row["concepts"])


def _wrong_similarity(row: Mapping[str, Any]) -> float:
    """Return the highest similarity of a wrong name, -1 if names are only missing."""
    wrong = set(row["named"]) - set(row["concepts"]) - set(row["others"])
    return max((row["similarity"][name] for name in wrong), default=-1.0)


def iou(a: Box, b: Box) -> float:
    """Return the intersection over union of two boxes."""
    across = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    down = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    both = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)) - across * down
    return across * down / both if both > 0 else 0.0


def score(answers: Iterable[dict[str, Any]]) -> Report:
    """Compute figures of rows with their `task`, `photo`, `concepts`, `others` and `named`.

    `named` is the mean fraction of an item's concepts that are named, `all_named` the share of items with all of them;
    `recall`, `precision` and `f1` count names over all items, `f1_of_N` over those with N concepts; `too_many` is the
    share of items with a wrong name. Items without concepts count for `false_names` only. The same with `top_n_` if the
    number of concepts was given and there was no threshold, and with `caption_` for captions.
    """
    report = Report(answers=list(answers))
    for task, prefix in PREFIX.items():
        rows = [answer for answer in report.answers if answer["task"] == task]
        filled = [row for row in rows if row["concepts"]]
        empty = [row for row in rows if not row["concepts"]]
        if filled:
            _measure(report, prefix, filled)
        if empty:
            report.measure(f"{prefix}false_names", [r["photo"] for r in empty], [[bool(_wrong(r)), 1] for r in empty])
    items = [answer for answer in report.answers if answer["task"] == FOUND]
    report.figures["items"] = sum(bool(item["concepts"]) for item in items)
    report.figures["items_without"] = sum(not item["concepts"] for item in items)
    return report


def _measure(report: Report, prefix: str, rows: Sequence[dict[str, Any]]) -> None:
    photo = [row["photo"] for row in rows]
    counts = [[_right(row), len(row["concepts"]), _right(row) + _wrong(row)] for row in rows]
    report.measure(f"{prefix}named", photo, [[right / targets, 1] for right, targets, _ in counts])
    report.measure(f"{prefix}all_named", photo, [[right == targets, 1] for right, targets, _ in counts])
    report.measure(f"{prefix}f1", photo, counts, f1)
    report.measure(f"{prefix}recall", photo, counts)
    report.measure(f"{prefix}precision", photo, counts, precision)
    report.measure(f"{prefix}too_many", photo, [[_wrong(row) > 0, 1] for row in rows])
    for size in sorted({targets for _, targets, _ in counts}):
        some = [(at, count) for at, count in zip(photo, counts, strict=True) if count[1] == size]
        report.measure(f"{prefix}f1_of_{size}", [at for at, _ in some], [count for _, count in some], f1)
    overlaps = [(row["photo"], value) for row in rows for value in row.get("iou", {}).values()]
    if overlaps:
        report.measure(f"{prefix}iou", [at for at, _ in overlaps], [[value, 1] for _, value in overlaps])


def _right(row: Mapping[str, Any]) -> int:
    return len(set(row["named"]) & set(row["concepts"]))


def _wrong(row: Mapping[str, Any]) -> int:
    return len(set(row["named"]) - set(row["concepts"]) - set(row["others"]))

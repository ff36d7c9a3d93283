"""Photos with several concepts: who of them is found in the photo, and who is named in its caption.

MC-LLaVA's recall (An et al., 2411.11706) and RePIC's captions (Oh et al., NeurIPS 2025): an item counts for the
fraction of its concepts that are named. Stricter than both: everybody is registered at once unless `together` is
asked for, a name that does not belong costs precision, and retrieval is asked without any name in the question. Where
the layout has boxes, so has the report: intersection over union of the boxes of those named rightly. Drawn mosaics are
items too: `Item(photo, {name: box})`, backgrounds alone `Item(photo, {})`. Other retrievers may be tried beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from personal.concepts import Box, Photo
from personal.data.templates import CAPTION_REQUEST
from personal.errors import PersonalError
from personal.evaluate.asking import Report, Watch, ask, digest, register, unwatched
from personal.evaluate.journal import Journal
from personal.evaluate.layouts.shape import deal, photos
from personal.evaluate.sheet import MOST, Mistake
from personal.images import read_photo

if TYPE_CHECKING:
    from personal.assistant import Assistant
    from personal.evaluate.layouts.shape import Dataset, Query

FOUND, TOP_N, CAPTION = "found", "top_n", "caption"
"""How an item was tried: looked at, looked at for as many as it has without a threshold, captioned."""
PREFIX = {FOUND: "", TOP_N: "top_n_", CAPTION: "caption_"}

Hit = tuple[str, float, Box | None]
"""A name, its similarity, and where."""


class Compared(Protocol):
    """What retrieval is compared with (`evaluate.baselines`); `names_said` is how many names it always says."""

    @property
    def name(self) -> str: ...
    @property
    def names_said(self) -> int: ...
    def register(self, seed: int, chosen: dict[str, list[Photo]]) -> None: ...
    def hits(self, photo: Photo) -> list[Hit]: ...


@dataclass(frozen=True)
class Item:
    """A photo, or its path, and who is in it, each with a box where one is known; `others` may be named for nothing."""

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
    baselines: Sequence[Compared] = (),
    journal: Journal | None = None,
    watch: Watch = unwatched,
) -> Report:
    """Try every photo with `least` concepts or more of a dataset that is `usable`, with each seed's references.

    `together` registers for each photo only whom the layout's own protocol registers with it, as MC-LLaVA and RePIC
    do; else everybody is registered. Raises PersonalError where the dataset has no such photo.
    """
    dataset = shared(dataset, least)
    answers: list[dict[str, Any]] = []
    every: list[Item] = []
    how: dict[str, Any] = {"captions": captions, "baselines": baselines, "journal": journal, "watch": watch}
    for seed in range(seeds):
        dealt = deal(dataset, references, seed=seed)
        groups: dict[frozenset[str], list[Query]] = {}
        for query in dealt.queries:
            if len(query.concepts) >= least:
                groups.setdefault(query.together if together else frozenset(), []).append(query)
        for number, (cast, queries) in enumerate(groups.items()):
            owner = f"seed-{seed}-{number}"
            chosen = photos({n: paths for n, paths in dealt.references.items() if not cast or n in cast})
            register(assistant, owner, chosen)
            for baseline in baselines:
                baseline.register(seed, chosen)
            items = [as_item(dataset, query, {"seed": seed}) for query in queries]
            answers += tried(assistant, owner, items, **how, words=f"photos, seed {seed}")
            every += items
    ours = [answer for answer in answers if "by" not in answer]
    report = score(ours)
    report.baselines = {b.name: score(a for a in answers if a.get("by") == b.name) for b in baselines}
    report.mistakes = mistakes(every, ours)
    report.notes = list(dataset.notes)
    return report


def shared(dataset: Dataset, least: int = 2) -> Dataset:
    """Return a dataset that has a photo with `least` concepts or more. Raises PersonalError where it has none."""
    if not any(len(query.concepts) >= least for query in dataset.queries):
        raise PersonalError(
            f"{dataset.folder} has no usable photo with {least} concepts or more: give MC-LLaVA, RePIC or ConCon-Chi."
        )
    return dataset


def as_item(dataset: Dataset, query: Query, info: Mapping[str, Any]) -> Item:
    """Turn a dataset's query into an item."""
    boxes: dict[str, Box | None] = {name: None for name in sorted(query.concepts)}
    boxes |= {name: box for name, box in query.where().items() if name in boxes}
    return Item(query.path, boxes, query.others, dataset.file(query.path), info)


def tried(
    assistant: Assistant,
    owner: str,
    items: Sequence[Item],
    *,
    threshold: float | None = None,
    captions: bool = True,
    baselines: Sequence[Compared] = (),
    journal: Journal | None = None,
    watch: Watch = unwatched,
    words: str = "photos",
) -> Iterator[dict[str, Any]]:
    """Look at every item with the threshold (the encoder's by default) and without, and caption it: answers to `score`.

    What `baselines` find comes with their name as `by`. The same photo is looked at and captioned once, however many
    items it has.
    """
    journal = journal or Journal()
    tags = {concept.name: concept.tag for concept in assistant.concepts(owner)}
    known = {"threshold": threshold, "library": digest(assistant, owner)}
    for item in watch(items, words):
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
    """Tell who was named, with which similarity, and the overlap with the true box of those named rightly."""
    found = {name: (similarity, box) for name, similarity, box in hits}
    truth = {name: box for name, box in item.boxes.items() if box is not None}
    boxes = {name: box for name, (_, box) in found.items() if box is not None}
    return {
        "named": list(found),
        "similarity": {name: round(similarity, 4) for name, (similarity, _) in found.items()},
        "box": {name: [round(side, 4) for side in box] for name, box in boxes.items()},
        "iou": {name: round(overlap(box, truth[name]), 4) for name, box in boxes.items() if name in truth},
    }


def mistakes(items: Iterable[Item], answers: Iterable[dict[str, Any]]) -> list[Mistake]:
    """Gather the items in which somebody was named wrongly or not found, the surest first; their photos are read."""
    photo = {item.file: item for item in items}
    wrong = [row for row in answers if row["task"] == FOUND and row["photo"] in photo and not _is_right(row)]
    found = []
    for row in sorted(wrong, key=_sureness, reverse=True)[:MOST]:
        boxes = tuple((tuple(box), name) for name, box in row["box"].items())
        said, right = (", ".join(row[key]) for key in ("named", "concepts"))
        sure = max(row["similarity"].values(), default=None)
        found.append(Mistake(photo[row["photo"]].read(), "Who is in the photo?", said, right or "nobody", sure, boxes))
    return found


def _is_right(row: Mapping[str, Any]) -> bool:
    return not _wrong(row) and _right(row) == len(row["concepts"])


def _sureness(row: Mapping[str, Any]) -> float:
    """Return the similarity of the surest wrong name, -1 where somebody is only missing."""
    wrong = set(row["named"]) - set(row["concepts"]) - set(row["others"])
    return max((row["similarity"][name] for name in wrong), default=-1.0)


def overlap(a: Box, b: Box) -> float:
    """Return the intersection of two boxes over their union."""
    across = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    down = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    both = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)) - across * down
    return across * down / both if both > 0 else 0.0


def score(answers: Iterable[dict[str, Any]]) -> Report:
    """Count who is named in answers, each with its `task`, `photo`, `concepts`, `others` and `named`.

    `named` is the mean fraction of an item's concepts that are named, `all_named` the share of items with every one;
    `recall`, `precision` and `f1` count names over all items, `f1_of_N` over those with N concepts; `too_many` is the
    share of items with a name that does not belong. Items with nobody in them count for `false_names` alone. The same
    with `top_n_` when the number of concepts was told and there was no threshold, with `caption_` for captions.
    """
    report = Report(answers=list(answers))
    for task, prefix in PREFIX.items():
        rows = [answer for answer in report.answers if answer["task"] == task]
        there = [row for row in rows if row["concepts"]]
        empty = [row for row in rows if not row["concepts"]]
        if there:
            _measure(report, prefix, there)
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
    report.measure(f"{prefix}f1", photo, counts, _f1)
    report.measure(f"{prefix}recall", photo, counts, lambda sums: np.asarray(sums[0] / sums[1]))
    report.measure(f"{prefix}precision", photo, counts, lambda sums: np.asarray(sums[0] / sums[2]))
    report.measure(f"{prefix}too_many", photo, [[_wrong(row) > 0, 1] for row in rows])
    for size in sorted({targets for _, targets, _ in counts}):
        some = [(at, count) for at, count in zip(photo, counts, strict=True) if count[1] == size]
        report.measure(f"{prefix}f1_of_{size}", [at for at, _ in some], [count for _, count in some], _f1)
    overlaps = [(row["photo"], value) for row in rows for value in row.get("iou", {}).values()]
    if overlaps:
        report.measure(f"{prefix}iou", [at for at, _ in overlaps], [[value, 1] for _, value in overlaps])


def _right(row: Mapping[str, Any]) -> int:
    return len(set(row["named"]) & set(row["concepts"]))


def _wrong(row: Mapping[str, Any]) -> int:
    return len(set(row["named"]) - set(row["concepts"]) - set(row["others"]))


def _f1(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    right, targets, said = sums
    return np.asarray(2 * right / (targets + said))

"""Train connector and LoRA on rows: resumable to the step, on two CPU cores or CUDA.

The order of the batches is a function of seed and step alone, so a run that was killed goes on exactly as if it had not
been. The rate warms up, stays, and falls to zero over the last third of the steps: more steps may be asked for later.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from personal.concepts import Progress
from personal.errors import PersonalError
from personal.learn.data import Row
from personal.learn.features import Features
from personal.learn.layout import Batch, Layout, Tree, collate
from personal.learn.optimiser import Optimiser, Recipe

if TYPE_CHECKING:
    import torch

    from personal.learn.model import Learner

SORTED_TOGETHER = 16
"""Batches drawn at once and sorted by length, so that little is padded."""
ENOUGH = 200
"""Photos from which on the connector can be fitted before training; with fewer it starts as it is."""
CHECKPOINT, LOG = "checkpoint.pt", "log.jsonl"


class Course:
    """Groups of rows in the order they are learnt, batch by batch, a function of seed and step."""

    def __init__(self, rows: Sequence[Row], layout: Layout, recipe: Recipe) -> None:
        self._layout, self._recipe = layout, recipe
        self._groups = [list(g) for _, g in groupby(rows, key=lambda r: (r["image"], list(r["extra"].items())))]
        personal = groupby(range(len(self._groups)), key=lambda g: self._photo(g) or g)
        self._units = [list(unit) for _, unit in personal]
        self._plans: dict[int, list[list[int]]] = {}

    def batch(self, step: int) -> list[Tree]:
        """Return the trees of a step."""
        epoch, number = 0, step
        while number >= len(self._planned(epoch)):
            number -= len(self._planned(epoch))
            epoch += 1
        return [self._tree(epoch, group) for group in self._planned(epoch)[number]]

    def _planned(self, epoch: int) -> list[list[int]]:
        if epoch not in self._plans:
            self._plans[epoch] = self._plan(epoch)
        return self._plans[epoch]

    def _tree(self, epoch: int, group: int) -> Tree:
        shown = Random(f"{self._recipe.seed} {epoch} {group}").random() < self._recipe.avatars
        rows = self._groups[group]
        return self._layout.tree(rows, avatars=shown or rows[0]["image"] is None)

    def _plan(self, epoch: int) -> list[list[int]]:
        random, size = Random(f"{self._recipe.seed} {epoch}"), self._recipe.trees
        order = list(range(len(self._units)))
        random.shuffle(order)
        plan = []
        for start in range(0, len(order), size * SORTED_TOGETHER):
            drawn = sorted(
                order[start : start + size * SORTED_TOGETHER], key=lambda u: self._weight(self._units[u][-1])
            )
            groups = [group for unit in drawn for group in self._units[unit]]
            batches = [groups[i : i + size] for i in range(0, len(groups), size)]
            random.shuffle(batches)
            plan += batches
        full = [batch for batch in plan if len(batch) == size]
        return full or plan

    def _photo(self, group: int) -> str | None:
        """Return the photo where concepts are supplied: its groups, with them there and without, stay together."""
        row = self._groups[group][0]
        return row["image"] if row["extra"] else None

    def _weight(self, group: int) -> int:
        rows = self._groups[group]
        text = sum(len(r["conversations"][0]["value"]) // 3 + len(r["conversations"][1]["value"]) for r in rows)
        return text + 200 * bool(rows[0]["image"]) + sum(60 + len(str(v)) for v in rows[0]["extra"].values())


def train(
    rows: Sequence[Row], held_out: Sequence[Row], checkpoint: Path, features: Features, out: Path, recipe: Recipe
) -> Iterator[Progress]:
    """Train until `recipe.steps`, from the last saved step on if `out` holds one. Raises PersonalError on no rows."""
    if not rows:
        raise PersonalError("There is nothing to train on: the data holds no rows.")
    _keep_memory()
    out.mkdir(parents=True, exist_ok=True)
    layout = Layout(checkpoint)
    course, examination = Course(rows, layout, recipe), Course(held_out, layout, recipe)
    learner = _learner(rows, checkpoint, features, layout, recipe, fresh=not (out / CHECKPOINT).is_file())
    optimiser = Optimiser(learner, recipe)
    step = optimiser.resume(out / CHECKPOINT)
    started = time.monotonic()
    with (out / LOG).open("a", encoding="utf-8") as log:
        log.write(json.dumps({"step": step, "recipe": asdict(recipe), "device": str(learner.device)}) + "\n")
        while step < recipe.steps:
            batch = collate(course.batch(step), layout.pad)
            loss = learner.loss(batch, _maps(batch, features))
            loss.backward()  # type: ignore[no-untyped-call]
            norm = optimiser.move(step)
            step += 1
            line = {
                "step": step,
                "loss": round(loss.item(), 4),
                "norm": round(norm, 3),
                "nodes": int(batch.sizes.sum()),
            }
            line |= {"targets": int(batch.counts.sum()), "seconds": round(time.monotonic() - started, 1)}
            if held_out and (step % recipe.validate_every == 0 or step == recipe.steps):
                line["held_out"] = round(_examine(learner, examination, features, layout.pad), 4)
            log.write(json.dumps(line) + "\n")
            log.flush()
            if step % recipe.save_every == 0 or step == recipe.steps:
                optimiser.save(out / CHECKPOINT, step)
            yield Progress(f"Training: loss {line['loss']}", step, recipe.steps)


def _learner(
    rows: Sequence[Row], checkpoint: Path, features: Features, layout: Layout, recipe: Recipe, *, fresh: bool
) -> Learner:
    import torch

    from personal.learn.connector import prior
    from personal.learn.model import Learner

    device = "cuda" if torch.cuda.is_available() else "cpu"
    learner = Learner(checkpoint, features.statistics(), rank=recipe.rank, device=device, seed=recipe.seed)
    captions = _captions(rows)
    if fresh and len(captions) >= ENOUGH:
        embeddings = learner.model.get_input_embeddings().weight
        learner.start(prior(captions, features, embeddings, layout.processor.tokenizer))
    return learner


def _captions(rows: Sequence[Row]) -> dict[str, list[str]]:
    captions: dict[str, list[str]] = {}
    for row in rows:
        if row["type"] in {"caption", "noise"}:
            captions.setdefault(row["image"], []).append(row["conversations"][1]["value"])
    return captions


def _maps(batch: Batch, features: Features) -> torch.Tensor:
    import numpy as np
    import torch

    return torch.from_numpy(np.stack([features[picture] for picture in batch.pictures]))


def _examine(learner: Learner, course: Course, features: Features, pad: int) -> float:
    import torch

    losses = []
    with torch.inference_mode():
        for step in range(3):
            batch = collate(course.batch(step), pad)
            losses.append(learner.loss(batch, _maps(batch, features)).item())
    return sum(losses) / len(losses)


def _keep_memory() -> None:
    """Keep glibc from giving freed memory back and asking for it again at every step: a third of the time on CPUs."""
    import ctypes

    try:
        libc = ctypes.CDLL("libc.so.6")
    except OSError:
        return
    for option, value in ((-4, 0), (-1, 2**31 - 1), (-2, 2**28)):  # M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD
        libc.mallopt(option, value)

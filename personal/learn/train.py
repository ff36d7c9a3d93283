"""Train connector and LoRA on rows: resumable to the step, on two CPU cores or CUDA.

The order of the batches is a function of seed and step alone, so a run that was killed goes on exactly as if it had not
been. The rate warms up, stays, and falls to zero over the last third of the steps: more steps may be asked for later.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Protocol

from personal.concepts import Progress
from personal.errors import PersonalError
from personal.learn.data import Row
from personal.learn.optimiser import Optimiser, Recipe

if TYPE_CHECKING:
    import torch

SORTED_TOGETHER = 16
"""Batches drawn at once and sorted by length, so that little is padded."""
EXAMINED = 3
"""Held-out batches whose loss is taken."""
CHECKPOINT, BEST, LOG = "checkpoint.pt", "best.pt", "log.jsonl"
REINFORCED, SETTLED = "reinforced.pt", "settled.pt"
"""What `personal.learn.reinforce` makes of a run's weights: void once these are trained further."""


Lesson = tuple[list[Row], bool]
"""The rows of one photo and one `extra`, and whether the avatars are shown."""


class Teacher(Protocol):
    """What can learn lessons: `personal.learn.model.Cached`, `personal.learn.direct.Direct`."""

    trained: dict[str, torch.nn.Parameter]
    standard: tuple[torch.Tensor, torch.Tensor]

    def study(self, lessons: Sequence[Lesson], *, learn: bool = True) -> Studied: ...


@dataclass(frozen=True, slots=True)
class Studied:
    """What a batch gave: mean cross-entropy of its targets, tokens read, tokens that were targets."""

    loss: float
    tokens: int
    targets: int


class Course:
    """Groups of rows in the order they are learnt, batch by batch, a function of seed and step."""

    def __init__(self, rows: Sequence[Row], recipe: Recipe) -> None:
        self._recipe = recipe
        self._groups = [list(g) for _, g in groupby(rows, key=lambda r: (r["image"], list(r["extra"].items())))]
        personal = groupby(range(len(self._groups)), key=lambda g: self._photo(g) or g)
        self._units = [list(unit) for _, unit in personal]
        self._plans: dict[int, list[list[int]]] = {}

    def batch(self, step: int) -> list[Lesson]:
        """Return the lessons of a step."""
        epoch, number = 0, step
        while number >= len(self._planned(epoch)):
            number -= len(self._planned(epoch))
            epoch += 1
        return [self._lesson(epoch, group) for group in self._planned(epoch)[number]]

    def _planned(self, epoch: int) -> list[list[int]]:
        if epoch not in self._plans:
            self._plans[epoch] = self._plan(epoch)
        return self._plans[epoch]

    def _lesson(self, epoch: int, group: int) -> Lesson:
        shown = Random(f"{self._recipe.seed} {epoch} {group}").random() < self._recipe.avatars
        rows = self._groups[group]
        return rows, shown

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
    rows: Sequence[Row], held_out: Sequence[Row], teacher: Callable[[bool], Teacher], out: Path, recipe: Recipe
) -> Iterator[Progress]:
    """Train until `recipe.steps`, from the last saved step on if `out` holds one. Raises PersonalError on no rows.

    `teacher(fresh)` opens what learns; `fresh` where nothing is saved yet. Where the loss on `held_out` has not fallen
    for `recipe.patience` looks at it, training stops; the weights at its lowest are kept beside.
    """
    if not rows:
        raise PersonalError("There is nothing to train on: the data holds no rows.")
    give_back = keep_memory()
    out.mkdir(parents=True, exist_ok=True)
    course, examination = Course(rows, recipe), Course(held_out, recipe)
    learner = teacher(not (out / CHECKPOINT).is_file())
    optimiser = Optimiser(learner.trained, learner.standard, recipe)
    step = optimiser.resume(out / CHECKPOINT)
    marks = _marks(out / LOG, step)
    started = time.monotonic()
    with (out / LOG).open("a", encoding="utf-8") as log:
        log.write(json.dumps({"step": step, "recipe": asdict(recipe), "machine": machine()}) + "\n")
        while step < recipe.steps and not _stale(marks, recipe.patience):
            forget(out, REINFORCED, SETTLED)
            studied = learner.study(course.batch(step))
            norm = optimiser.move(step)
            step += 1
            line: dict[str, float] = {"step": step, "loss": round(studied.loss, 4), "norm": round(norm, 3)}
            line |= {"tokens": studied.tokens, "targets": studied.targets}
            line["seconds"] = round(time.monotonic() - started, 1)
            if held_out and (step % recipe.validate_every == 0 or step == recipe.steps):
                marks.append(line.setdefault("held_out", round(_examine(learner, examination), 4)))
                if marks[-1] == min(marks):
                    optimiser.save(out / BEST, step)
            log.write(json.dumps(line) + "\n")
            log.flush()
            if step % recipe.save_every == 0 or step == recipe.steps or _stale(marks, recipe.patience):
                optimiser.save(out / CHECKPOINT, step)
                give_back()
            yield Progress(f"Training: loss {studied.loss:.3f}", step, recipe.steps)
    if step < recipe.steps:
        yield Progress("Stopped: the held-out loss falls no more", step, recipe.steps)


def saved(run: Path) -> Path:
    """Tell which weights of a run to keep: those with the lowest held-out loss, or else the last."""
    return run / BEST if (run / BEST).is_file() else run / CHECKPOINT


def forget(run: Path, *names: str) -> None:
    """Delete what was learnt on from weights that change now."""
    for name in names:
        (run / name).unlink(missing_ok=True)


def machine() -> str:
    """Name what computes here."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{torch.get_num_threads()} threads of {platform.processor() or platform.machine()}"


def _marks(log: Path, step: int) -> list[float]:
    """Read the held-out losses up to a step; what a killed run logged after its last save does not count."""
    if not step or not log.is_file():
        return []
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    found = {line["step"]: line["held_out"] for line in lines if "held_out" in line and line["step"] <= step}
    return [found[at] for at in sorted(found)]


def _stale(marks: Sequence[float], patience: int) -> bool:
    return patience > 0 and len(marks) > patience and min(marks[-patience:]) > min(marks)


def _examine(learner: Teacher, course: Course) -> float:
    losses = [learner.study(course.batch(step), learn=False).loss for step in range(EXAMINED)]
    return sum(losses) / len(losses)


def keep_memory() -> Callable[[], None]:
    """Keep glibc from giving freed memory back and asking for it again at every step: a third of the time on CPUs.

    Returns what gives back what lies in pieces, to be called now and then: without it the process grows to many GB.
    """
    import ctypes

    try:
        libc = ctypes.CDLL("libc.so.6")
    except OSError:
        return lambda: None
    for option, value in ((-4, 0), (-1, 2**31 - 1), (-2, 2**28)):  # M_MMAP_MAX, M_TRIM_THRESHOLD, M_TOP_PAD
        libc.mallopt(option, value)
    return lambda: libc.malloc_trim(0)

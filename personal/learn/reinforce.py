"""Learn on from one's own captions: what people's captions agree with is made likelier, what they do not, less likely.

Self-critical sequence training (Rennie et al., CVPR 2017): captions are sampled, rewarded by CIDEr-D (Vedantam et al.,
CVPR 2015), and each is weighed against the mean of the photo's others (Kool et al., ICLR 2019 workshop). RePIC (Oh et
al., 2025) learns to name in the same way. Between them ordinary lessons go on, so that nothing is unlearnt.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from random import Random
from statistics import mean
from typing import TYPE_CHECKING

from personal.concepts import Progress
from personal.errors import PersonalError
from personal.learn.data import Row
from personal.learn.optimiser import Optimiser, Recipe
from personal.learn.templates import STANDARD
from personal.learn.train import CHECKPOINT, REINFORCED, SETTLED, Course, forget, keep_memory, machine, saved

if TYPE_CHECKING:
    from personal.learn.model import Cached

LOG = "reinforced.jsonl"
RECIPE = Recipe(steps=120, trees=4, lora_rate=2e-4, connector_rate=1e-4, warm_up=5, decay=0.5, validate_every=40)
SETTLING = Recipe(steps=40, lora_rate=2e-4, connector_rate=5e-5, warm_up=3, decay=0.6, seed=5)
PHOTOS, SAMPLES = 12, 5
"""Photos of a step, and captions sampled of each."""
WEIGHT = 4.0
"""Of the reward's gradient beside that of the ordinary lessons."""
GRAMS = 4
DEVIATION = 6.0
"""Of lengths, in CIDEr-D."""
FULL_STOP = "."
"""Stands for a sentence that was ended: without it, captions that break off are rewarded."""


class Agreement:
    """CIDEr-D of captions against their photos' own; an n-gram weighs the less, the more photos have it."""

    def __init__(self, references: Mapping[str, Sequence[str]]) -> None:
        counted = {image: [_grams(_words(text)) for text in texts] for image, texts in references.items()}
        self._photos_with = Counter(gram for texts in counted.values() for gram in {g for t in texts for g in t})
        self._log_photos = math.log(len(counted)) if counted else 0.0
        self._known = {image: [self._weighed(text) for text in texts] for image, texts in counted.items()}

    def reward(self, image: str, caption: str) -> float:
        """Return how far a caption agrees with its photo's: 0 to 10."""
        grams, norms, length = self._weighed(_grams(_words(caption)))
        total = 0.0
        for known, known_norms, known_length in self._known[image]:
            alike = [0.0] * GRAMS
            for gram, weight in grams.items():
                if gram in known:
                    alike[len(gram) - 1] += min(weight, known[gram]) * known[gram]
            both = (a / (n * k) if n and k else 0.0 for a, n, k in zip(alike, norms, known_norms, strict=True))
            total += mean(both) * math.exp(-((length - known_length) ** 2) / (2 * DEVIATION**2))
        return 10 * total / len(self._known[image])

    def _weighed(self, grams: Counter[tuple[str, ...]]) -> tuple[dict[tuple[str, ...], float], list[float], int]:
        """Return n-grams by weight, the norm of each n's, and the number of pairs of words."""
        weighed = {g: n * (self._log_photos - math.log(max(1, self._photos_with[g]))) for g, n in grams.items()}
        squares = [0.0] * GRAMS
        for gram, weight in weighed.items():
            squares[len(gram) - 1] += weight**2
        return weighed, [math.sqrt(s) for s in squares], sum(n for g, n in grams.items() if len(g) == 2)


def _words(caption: str) -> list[str]:
    stop = [FULL_STOP] if caption.rstrip().endswith(FULL_STOP) else []
    return re.findall(r"[^\W_]+(?:[-'][^\W_]+)*", caption.lower()) + stop


def _grams(words: Sequence[str]) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[i : i + n]) for n in range(1, GRAMS + 1) for i in range(len(words) - n + 1))


def captions_of(rows: Sequence[Row]) -> dict[str, list[str]]:
    """Collect the photos' own captions, each ended by a full stop, from rows."""
    captions: dict[str, list[str]] = {}
    for row in rows:
        if row["type"] == "caption" and row["image"] and not row["extra"]:
            text = row["conversations"][1]["value"].rstrip(" .") + FULL_STOP
            captions.setdefault(row["image"], []).append(text)
    return captions


def reinforce(
    rows: Sequence[Row], held_out: Sequence[Row], teacher: Cached, run: Path, recipe: Recipe = RECIPE
) -> Iterator[Progress]:
    """Go on from a run's trained weights; what was learnt lies beside them. Resumable, like `train`.

    Raises PersonalError where nothing was trained, or where no row is a plain caption.
    """
    captions, unseen = captions_of(rows), captions_of(held_out)
    if not captions or not (run / CHECKPOINT).is_file():
        raise PersonalError(f"{run} holds no trained weights, or the data no plain captions: run `train` first.")
    give_back = keep_memory()
    agreement, strict = Agreement(captions), Agreement(unseen)
    course = Course(rows, replace(recipe, seed=recipe.seed + 1))
    optimiser = Optimiser(teacher.trained, teacher.standard, recipe)
    optimiser.adopt(saved(run))
    step, began = optimiser.resume(run / REINFORCED), time.monotonic()
    with (run / LOG).open("a", encoding="utf-8") as log:
        log.write(json.dumps({"step": step, "recipe": asdict(recipe), "machine": machine()}) + "\n")
        while step < recipe.steps:
            forget(run, SETTLED)
            photos = _drawn(list(captions), step, recipe.seed)
            said = teacher.say(STANDARD, photos, SAMPLES, seed=recipe.seed + step)
            rewards = [[agreement.reward(i, teacher.text(s)) for s in own] for i, own in zip(photos, said, strict=True)]
            teacher.weigh(STANDARD, photos, said, [[WEIGHT * a for a in advantages(own)] for own in rewards])
            studied = teacher.study(course.batch(step))
            optimiser.move(step)
            step += 1
            line = {"step": step, "reward": round(mean(map(mean, rewards)), 4), "loss": round(studied.loss, 4)}
            if unseen and (step % recipe.validate_every == 0 or step == recipe.steps):
                greedy = teacher.say(STANDARD, list(unseen), 1, seed=None)
                line["held_out"] = round(
                    mean(strict.reward(i, teacher.text(s)) for i, [s] in zip(unseen, greedy, strict=True)), 4
                )
            log.write(json.dumps({**line, "seconds": round(time.monotonic() - began, 1)}) + "\n")
            log.flush()
            if step % recipe.save_every == 0 or step == recipe.steps:
                optimiser.save(run / REINFORCED, step)
                give_back()
            yield Progress(f"Reinforcing: reward {line['reward']:.3f}", step, recipe.steps)


def settle(rows: Sequence[Row], teacher: Cached, run: Path, recipe: Recipe = SETTLING) -> Iterator[Progress]:
    """Learn once more from lessons with concepts alone: rewards for plain captions make names rarer. Resumable."""
    give_back = keep_memory()
    course = Course([row for row in rows if row["extra"] and row["image"]], recipe)
    optimiser = Optimiser(teacher.trained, teacher.standard, recipe)
    optimiser.adopt(run / REINFORCED)
    step, began = optimiser.resume(run / SETTLED), time.monotonic()
    with (run / LOG).open("a", encoding="utf-8") as log:
        log.write(json.dumps({"settled": step, "recipe": asdict(recipe), "machine": machine()}) + "\n")
        while step < recipe.steps:
            studied = teacher.study(course.batch(step))
            optimiser.move(step)
            step += 1
            line = {"settled": step, "loss": round(studied.loss, 4), "tokens": studied.tokens}
            log.write(json.dumps({**line, "seconds": round(time.monotonic() - began, 1)}) + "\n")
            log.flush()
            if step % recipe.save_every == 0 or step == recipe.steps:
                optimiser.save(run / SETTLED, step)
                give_back()
            yield Progress(f"Settling: loss {studied.loss:.3f}", step, recipe.steps)


def advantages(rewards: Sequence[float]) -> list[float]:
    """Weigh each of a photo's rewards against the mean of the others."""
    return [(r - mean(rewards)) * len(rewards) / (len(rewards) - 1) for r in rewards]


def _drawn(images: list[str], step: int, seed: int) -> list[str]:
    """Draw a step's photos: every photo comes once before any comes again."""
    size = min(PHOTOS, len(images))
    each = len(images) // size
    order = sorted(images)
    Random(f"{seed} {step // each}").shuffle(order)
    return order[step % each * size :][:size]

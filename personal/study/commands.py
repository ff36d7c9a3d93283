"""The commands of `python -m personal.study` and `personal study`: their arguments, and what they print."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path

from personal.errors import PersonalError
from personal.remember import disk
from personal.study.advice import advice
from personal.study.folder import EXAMPLES
from personal.study.loading import read_study
from personal.study.order import williams
from personal.study.plan import steps
from personal.study.schema import Study


def add_commands(parser: argparse.ArgumentParser) -> None:
    """Add the commands to a parser; `run_study` of the parsed options runs the one that was chosen."""
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    names = sorted(path.stem for path in EXAMPLES.glob("*.yaml"))
    one = commands.add_parser("new", help="write a study file to begin with")
    one.add_argument("file", type=Path, metavar="FILE.yaml")
    one.add_argument("--example", choices=names, default=names[0], help=f"which of the examples ({names[0]})")
    one.set_defaults(run_study=_new)

    one = commands.add_parser("check", help="say what is wrong with a study file, or what it will be like")
    one.add_argument("file", type=Path, metavar="FILE.yaml")
    one.set_defaults(run_study=_check)


def _new(options: argparse.Namespace) -> int:
    file: Path = options.file
    if file.exists():
        raise PersonalError(f"{file} is there already. Take another name.")
    with disk.translate_errors(file):
        file.write_text((EXAMPLES / f"{options.example}.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    print(f"Wrote {file}. Change it as you need it, then: python -m personal.study check {file}")
    return 0


def _check(options: argparse.Namespace) -> int:
    study = read_study(options.file)
    print(outline(study))
    for sentence in advice(study, datetime.now(UTC).date()):
        print(f"Note: {sentence}")
    return 0


def outline(study: Study) -> str:
    """Return what a participant's way will be like, for the researcher."""
    way = steps(study, [one.id for one in study.conditions], "")
    rows = len(williams(len(study.conditions)))
    order = f"{rows} balanced orders" if study.order.kind == "balanced" else "random orders"
    lines = [
        f"{study.title}: fine.",
        f"{study.participants} participants, {len(study.conditions)} conditions in {order}, {len(way)} pages:",
    ]
    for number, step in enumerate(way, 1):
        where = f" ({step.condition})" if step.condition else ""
        where = f" ({' against '.join(sorted(step.sides))}, blind)" if step.sides else where
        lines.append(f"{number:4}. {step.id}{where}")
    planned = [f"{one.measure}: {one.conditions[0]} against {one.conditions[1]}" for one in study.analysis.planned]
    return "\n".join([*lines, f"Planned comparisons: {'; '.join(planned) or 'none'}."])

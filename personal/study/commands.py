"""The commands of `python -m personal.study` and `personal study`: their arguments, and what they print."""

from __future__ import annotations

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from personal.errors import PersonalError
from personal.settings import ASSETS

if TYPE_CHECKING:
    from personal.study.schema import Study
    from personal.study.store import StudyStore

EXAMPLES = ASSETS / "studies"


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

    one = commands.add_parser("simulate", help="let scripted participants take part, and report on their data")
    one.add_argument("file", type=Path, metavar="FILE.yaml")
    one.add_argument("--out", type=Path, metavar="FOLDER", help="a new folder for data and report")
    one.add_argument("--participants", type=_positive, metavar="N", help="as the study plans")
    one.add_argument(
        "--effect",
        action="append",
        default=[],
        metavar="MEASURE:CONDITION=D",
        help="plant an effect of D standard deviations",
    )
    one.add_argument("--seed", type=int, default=0)
    one.add_argument(
        "--power", type=_positive, metavar="RUNS", help="repeat RUNS times: how often is each effect found?"
    )
    one.add_argument("--url", metavar="URL", help="take part over HTTP in the study that runs there")
    one.set_defaults(run_study=_simulate)

    one = commands.add_parser("report", help="write the report of a study's data")
    one.add_argument("study", type=Path, metavar="FOLDER", help="the study's folder, which holds study.yaml")
    one.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    one.set_defaults(run_study=_report)

    one = commands.add_parser("export", help="write a study's data: CSV, JSONL, codebook, BIDS-like folder")
    one.add_argument("study", type=Path, metavar="FOLDER", help="the study's folder, which holds study.yaml")
    one.add_argument("--out", type=Path, required=True, metavar="FOLDER")
    one.set_defaults(run_study=_export)


def _positive(text: str) -> int:
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError("takes a whole number from 1 on")
    return value


def _new(options: argparse.Namespace) -> int:
    from personal.remember import disk

    file: Path = options.file
    if file.exists():
        raise PersonalError(f"{file} is there already. Take another name.")
    with disk.translate_errors(file):
        file.write_text((EXAMPLES / f"{options.example}.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    print(f"Wrote {file}. Change it as you need it, then: python -m personal.study check {file}")
    return 0


def _check(options: argparse.Namespace) -> int:
    from personal.study.advice import advice
    from personal.study.loading import read_study

    study = read_study(options.file)
    print(outline(study))
    for sentence in advice(study, datetime.now(UTC).date()):
        print(f"Note: {sentence}")
    return 0


def outline(study: Study) -> str:
    """Return what a participant's way will be like, for the researcher."""
    from personal.study.order import williams
    from personal.study.plan import steps

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


def _simulate(options: argparse.Namespace) -> int:
    from personal.study import rehearsal

    print(rehearsal.run(options))
    return 0


def _report(options: argparse.Namespace) -> int:
    from personal.study.report import write_report

    print(f"Wrote {write_report(_store(options.study), options.out)}.")
    return 0


def _export(options: argparse.Namespace) -> int:
    from personal.study.export import export

    for path in export(_store(options.study), options.out):
        print(path)
    return 0


def _store(folder: Path) -> StudyStore:
    from personal.study.store import FILE, StudyStore

    if not (folder / FILE).is_file():
        raise PersonalError(f"{folder} holds no {FILE}. Name a study's folder: the app's are in studies/ of its data.")
    return StudyStore(folder, read_only=True)

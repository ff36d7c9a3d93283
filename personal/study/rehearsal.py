"""`simulate`: rehearse a study with scripted participants, see its report, and how often its effects would be found."""

from __future__ import annotations

import argparse
import json
import shutil
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from personal.errors import PersonalError
from personal.remember import disk
from personal.settings import ASSETS
from personal.study.coherence import SAMPLE, photos_of
from personal.study.compare import Contrast, compare_planned
from personal.study.export import export
from personal.study.loading import read_study
from personal.study.measures import measures
from personal.study.personas import Persona, Truth, read_truth
from personal.study.report import fresh, write_report
from personal.study.schema import Study
from personal.study.simulate import Clock, Direct, in_memory, take_part
from personal.study.store import FILE, StudyStore
from personal.study.tables import collect
from personal.study.visitor import Http, Samples, connect

USUAL = 0.1
"""Effect that is planted for the first planned comparison where none is given, as a fraction of the measure's range."""
AT_ONCE = 8
"""Participants over HTTP who take part at the same time."""


def usual_truth(study: Study) -> Truth:
    """Return an effect for the first planned comparison, so that there is something to see; else none."""
    for one in study.analysis.planned:
        measure = measures(study)[one.measure]
        if measure.lowest is not None and measure.highest is not None:
            points = round(USUAL * (measure.highest - measure.lowest), 2)
            return read_truth(study, [f"{one.measure}:{one.conditions[0]}={points}"])
    return Truth()


def rehearse(study_file: Path, out: Path, truth: Truth, count: int, seed: int) -> StudyStore:
    """Let scripted participants go through a copy of a study in `out`/study, then export and report their data."""
    fresh(out)
    folder = out / "study"
    with disk.translate_errors(out):
        _copy(study_file, folder)
    clock = Clock(datetime.now(UTC))
    store = StudyStore(folder, clock=clock, versions=lambda: {"participants": "simulated"})
    store.change("running")
    for number in range(count):
        identifier = f"simulated-{seed}-{number}"
        participant = store.arrive({store.study.parameters.participant: identifier})
        take_part(Direct(participant, clock), Persona(store.study, truth, identifier))
    report_on(store, out, truth)
    return store


def _copy(study_file: Path, folder: Path) -> None:
    """Copy a study's file and the photos that it names."""
    folder.mkdir(parents=True)
    shutil.copyfile(study_file, folder / FILE)
    for name in photos_of(read_study(study_file)):
        if not name.startswith(SAMPLE):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(study_file.parent / name, folder / name)


def report_on(store: StudyStore, out: Path, truth: Truth) -> None:
    """Write the export and the report into `out`, and what was planted."""
    export(store, out / "data")
    write_report(store, out / "report")
    planted = {f"{measure}:{condition}": points for (measure, condition), points in truth.effects.items()}
    disk.write_json(out / "planted.json", planted)


def visit(url: str, folder: Path, truth: Truth, count: int, seed: int, at_once: int = AT_ONCE) -> Counter[str]:
    """Let scripted participants take part over HTTP in the study in `folder`, which the app at `url` runs.

    Return how many ended in which status. Raises PersonalError where somebody cannot go on.
    """
    study = read_study(folder / FILE)
    shipped = samples()

    def one(number: int) -> str:
        identifier = f"simulated-{seed}-{number}"
        with connect(url) as client:
            return take_part(Http(client, folder, identifier, shipped), Persona(study, truth, identifier))

    with ThreadPoolExecutor(at_once) as pool:
        return Counter(pool.map(one, range(count)))


def samples() -> Samples:
    """Return the app's sample photos, for participants to bring along."""
    folder = ASSETS / "samples"
    listing = json.loads((folder / "samples.json").read_text(encoding="utf-8"))
    views = [(one["name"], [(folder / file).read_bytes() for file in one["views"]]) for one in listing["concepts"]]
    return Samples(views, [(folder / photo["file"]).read_bytes() for photo in listing["photos"]])


def power(study: Study, truth: Truth, count: int, runs: int, seed: int) -> list[tuple[Contrast, float]]:
    """Return each planned comparison of one run, with the share of `runs` in which its difference is claimed."""
    claims: Counter[tuple[str, str, str]] = Counter()
    shown: dict[tuple[str, str, str], Contrast] = {}
    for run in range(runs):
        data = collect(study, in_memory(study, truth, count, f"{seed}/{run}"))
        for one in compare_planned(study, data.long, intervals=False):
            key = (one.measure, one.first, one.second)
            shown.setdefault(key, one)
            claims[key] += one.claimed
    return [(one, claims[key] / runs) for key, one in shown.items()]


def describe(truth: Truth) -> str:
    """Return what is planted, in words."""
    effects = [f"{points:+g} on {measure} for {condition}" for (measure, condition), points in truth.effects.items()]
    return f"Planted: {', '.join(effects)}." if effects else "Planted: no effect."


def power_table(found: Sequence[tuple[Contrast, float]], count: int, runs: int) -> str:
    """Return the shares of runs in which planned comparisons were claimed."""
    lines = [f"  {one.measure}: {one.first} against {one.second}: {share:.0%}" for one, share in found]
    head = f"With {count} participants, differences were claimed in so many of {runs} runs:"
    return "\n".join([head, *(lines or ["  no comparison is planned"])])


def run(options: argparse.Namespace) -> str:
    """Do what `simulate` asks for, and return what to print. Raises PersonalError."""
    given = vars(options)
    file: Path = given["file"]
    study = read_study(file)
    count: int = given["participants"] or study.participants
    seed: int = given["seed"]
    chosen = [one for one in given["effect"] if one != "none"]
    truth = read_truth(study, chosen) if given["effect"] else usual_truth(study)
    lines = [describe(truth)]
    if given["power"]:
        lines.append(power_table(power(study, truth, count, given["power"], seed), count, given["power"]))
        return "\n".join(lines)
    if given["out"] is None:
        raise PersonalError("Name a new folder for data and report: --out FOLDER.")
    out: Path = given["out"]
    if given["url"]:
        ended = visit(given["url"], file.parent, truth, count, seed)
        fresh(out)
        store = StudyStore(file.parent, read_only=True)
        report_on(store, out, truth)
    else:
        store = rehearse(file, out, truth, count, seed)
        ended = Counter(one.status for one in store.participants())
    counts = ", ".join(f"{number} {status}" for status, number in ended.items())
    lines.append(f"{count} participant{'s' if count != 1 else ''}: {counts}.")
    lines.append(f"Data: {out / 'data'}\nReport: {out / 'report' / 'report.html'}")
    return "\n".join(lines)

"""The protocols as commands: read what they need, open the Assistant over a temporary library, write the figures.

Bad input is found before any model is opened. Each returns its notes and its table for the shell.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from personal.errors import PersonalError
from personal.learn.photos import CAPTIONS

if TYPE_CHECKING:
    from personal.assistant import Assistant
    from personal.evaluate.asking import Report
    from personal.evaluate.identify import Result

T = TypeVar("T")
Shown = tuple[Sequence[str], str]


@contextmanager
def _opened() -> Iterator[Assistant]:
    """Open the Assistant that the settings describe, over a library that is gone afterwards."""
    from personal import compose, settings

    with tempfile.TemporaryDirectory(prefix="personal-", ignore_cleanup_errors=True) as home:
        knobs = replace(settings.load(), data_dir=Path(home), chroma_url="")
        with compose.build(knobs, holder="an evaluation") as assistant:
            yield assistant


def _watch(things: Sequence[T], words: str, /) -> Iterable[T]:
    from tqdm import tqdm

    bar: Iterable[T] = tqdm(things, desc=words, file=sys.stderr)
    return bar


def _written(options: argparse.Namespace, report: Report, assistant: Assistant | None = None) -> Shown:
    """Write a report with the settings it was made under. Return its notes and its table."""
    from personal import settings

    knobs = settings.load()
    made = {"computed": assistant.generator.description, "threshold": assistant.default_threshold} if assistant else {}
    asked = {name: value for name, value in vars(options).items() if name not in {"run", "json", "data_dir"}}
    record = {
        **report.figures,
        "intervals": report.intervals,
        "settings": {
            **{name: str(value) if isinstance(value, Path) else value for name, value in asked.items()},
            **{name: getattr(knobs, name) for name in ("model", "quantization", "encoder", "device", "top_k")},
            **made,
        },
        "notes": report.notes,
        "answers": report.answers,
    }
    options.json.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return report.notes, report.table()


def caption(options: argparse.Namespace) -> Shown:
    """Caption photos: of a folder with captions plainly, of folders of concepts with these registered."""
    captioned = (options.folder / CAPTIONS).is_file()
    if captioned and (options.unregistered or options.strangers):
        raise PersonalError(f"{options.folder} has captions: --unregistered and --strangers go with concepts' folders.")
    if not captioned and options.names is not None:
        raise PersonalError(f"{options.folder} has no {CAPTIONS}: --names goes with one.")
    return _plain(options) if captioned else _naming(options)


def _plain(options: argparse.Namespace) -> Shown:
    from personal.evaluate.asking import of_test_split
    from personal.evaluate.caption import plain, with_names
    from personal.learn.photos import Photos

    photos = Photos(options.folder)
    rows = of_test_split(photos, options.limit)
    with _opened() as assistant:
        report = plain(assistant, photos, rows, watch=_watch)
        if options.names is not None:
            usable = {answer["photo"] for answer in report.answers}
            rows = [row for row in rows if row.image in usable]
            named = with_names(assistant.generator, photos, rows, count=options.names or None, watch=_watch)
            report.figures |= named.figures
            report.intervals |= named.intervals
            report.answers += named.answers
        return _written(options, report, assistant)


def _naming(options: argparse.Namespace) -> Shown:
    from personal.evaluate.asking import of_test_split, read
    from personal.evaluate.identify import read_folder
    from personal.evaluate.naming import naming
    from personal.learn.photos import Photos

    folder = read_folder(options.folder, options.references)
    notes: list[str] = []
    strangers = []
    if options.strangers:
        others = Photos(options.strangers)
        read_in = ((row.image, read(others, row, notes)) for row in of_test_split(others, options.limit or 100))
        strangers = [(image, photo) for image, photo in read_in if photo is not None]
    how = {name: getattr(options, name) for name in ("references", "seeds", "unregistered")}
    with _opened() as assistant:
        report = naming(assistant, folder, **how, strangers=strangers, watch=_watch)
        report.notes += notes
        return _written(options, report, assistant)


def recognition(options: argparse.Namespace) -> Shown:
    """Ask of every photo and concept whether one is in the other."""
    from personal.evaluate import recognition as protocol
    from personal.evaluate.identify import read_folder

    folder = read_folder(options.folder, options.references)
    how = {"references": options.references, "seeds": options.seeds, "names": not options.no_names}
    with _opened() as assistant:
        report = protocol.recognition(assistant, folder, **how, watch=_watch)
        return _written(options, report, assistant)


def choice(options: argparse.Namespace) -> Shown:
    """Ask two-option questions about the concepts of a database."""
    from personal.evaluate import choice as protocol
    from personal.remember import exchange

    questions, notes = protocol.with_photos(protocol.read_questions(options.file), options.photos)
    incoming = exchange.read(options.database)
    with _opened() as assistant:
        notes += protocol.remember(assistant, incoming)
        report = protocol.choice(assistant, questions, watch=_watch)
        report.notes += notes
        return _written(options, report, assistant)


def search(options: argparse.Namespace) -> Shown:
    """Find photos by their captions."""
    from personal import settings
    from personal.evaluate.asking import of_test_split
    from personal.evaluate.search import search as protocol
    from personal.learn.photos import Photos

    photos = Photos(options.folder)
    report = protocol(settings.load(), photos, of_test_split(photos, options.limit), watch=_watch)
    return _written(options, report)


def identify(options: argparse.Namespace) -> Shown:
    """Rank the concepts for every photo; the confusion picture lands beside the figures."""
    from tqdm import tqdm

    from personal.evaluate import identify as protocol
    from personal.evaluate.confusion import draw_confusion

    folder = protocol.read_folder(options.folder, options.references)
    with _opened() as assistant, tqdm(total=options.seeds, desc="identify", unit="seed", file=sys.stderr) as bar:
        how = {name: getattr(options, name) for name in ("references", "seeds", "unregistered")}
        result = protocol.identify(assistant, folder, **how, each_seed=bar.update)
    options.json.write_text(json.dumps(result.report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    title = (
        f"{options.references} references, {options.seeds} seeds, threshold {result.report['threshold']:.2f}, percent"
    )
    draw_confusion(result.confusion, title, options.json.with_suffix(".png"))
    return result.report["notes"], _summary(result)


def _summary(result: Result) -> str:
    rows = ("top1", "auroc", "f1", "threshold", "queries", "concepts", "references", "seeds", "unregistered")
    return "\n".join(
        f"{row:<13}{'-' if value is None else f'{value:.4f}' if isinstance(value, float) else value}"
        for row in rows
        for value in [result.report[row]]
    )

"""The protocols as commands: read what they need, open the Assistant over a temporary library, write the figures.

Bad input is found before any model is opened. Each returns its notes and its table for the shell. Beside OUT.json lie
OUT.md, the table beside published figures, and OUT.mistakes.png; until a run is done, OUT.partial.jsonl, its answers.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from personal.data.photos import CAPTIONS
from personal.errors import PersonalError

if TYPE_CHECKING:
    from personal.assistant import Assistant
    from personal.evaluate.asking import Report
    from personal.evaluate.baselines import WholePhoto
    from personal.evaluate.identify import Folder
    from personal.evaluate.journal import Journal
    from personal.evaluate.layouts import Dataset

T = TypeVar("T")
Shown = tuple[Sequence[str], str]
KNOBS = (
    "model",
    "llm_model",
    "quantization",
    "encoder",
    "detector",
    "device",
    "photo_tokens",
    "avatar_tokens",
    "visual_prompt",
    "max_new_tokens",
    "top_k",
)
"""Settings that an answer depends on."""
LIBRARY = "personal-evaluation-"
"""How the folder of a run's library begins, in the system's temporary folder."""


@contextmanager
def _opened() -> Iterator[Assistant]:
    """Open the Assistant that the settings describe, over a library that is gone afterwards."""
    from personal import compose, settings

    _clear_away()
    with tempfile.TemporaryDirectory(prefix=f"{LIBRARY}{os.getpid()}-", ignore_cleanup_errors=True) as home:
        knobs = replace(settings.load(), data_dir=Path(home), chroma_url="")
        with compose.build(knobs, holder="an evaluation") as assistant:
            yield assistant


def _clear_away() -> None:
    """Erase the libraries that evaluations left behind which were killed: they hold the photos registered."""
    import psutil  # type: ignore[import-untyped]

    for folder in Path(tempfile.gettempdir()).glob(f"{LIBRARY}*"):
        made_by = folder.name.removeprefix(LIBRARY).partition("-")[0]
        if made_by.isdecimal() and not psutil.pid_exists(int(made_by)):
            shutil.rmtree(folder, ignore_errors=True)


def _watch(things: Sequence[T], words: str, /) -> Iterable[T]:
    from tqdm import tqdm

    bar: Iterable[T] = tqdm(things, desc=words, file=sys.stderr)
    return bar


def _settings(
    options: argparse.Namespace, assistant: Assistant | None = None, *, answering: bool = True
) -> dict[str, Any]:
    """Tell what a run is made with: the command's options, and the settings that an answer depends on.

    Of a model server the model is told, and its address as a hash. Raises ModelError where it cannot be asked.
    """
    from personal import __version__, settings

    knobs = settings.load()
    asked = {name: value for name, value in vars(options).items() if name not in {"run", "json", "data_dir"}}
    made: dict[str, Any] = {}
    if assistant:
        computed = assistant.generator.description
        if knobs.llm_url and answering:
            for _ in assistant.generator.load():
                pass
        if knobs.llm_url:  # a server's description says where it is, and how it was last found
            computed = f"server {hashlib.sha256(knobs.llm_url.encode()).hexdigest()[:12]}"
        made = {"computed": computed, "threshold": assistant.threshold, "confidence": assistant.default_confidence}
        made |= {"answered_by": assistant.generator.name} if answering else {}
    return {
        **{name: str(value) if isinstance(value, Path) else value for name, value in asked.items()},
        **{name: getattr(knobs, name) for name in KNOBS},
        **made,
        "version": __version__,
    }


def _usable(dataset: Dataset, options: argparse.Namespace) -> Dataset:
    from personal.evaluate.layouts import usable

    return usable(dataset, options.references, watch=_watch)


def _folder(options: argparse.Namespace) -> Folder:
    """Read what the protocols about one concept a photo ask about, from a dataset of any layout."""
    from personal.evaluate.layouts.identified import read_folder

    return read_folder(options.folder, options.references, watch=_watch)


@contextmanager
def _journal(options: argparse.Namespace, assistant: Assistant | None = None) -> Iterator[Journal]:
    """Open the journal beside OUT: what a run with the same settings left there is not asked again."""
    from tqdm import tqdm

    from personal.evaluate.journal import Journal

    path = options.json.with_suffix(".partial.jsonl")
    with Journal(path, _settings(options, assistant)) as journal:
        if journal.known:
            tqdm.write(f"Going on from {path}: {journal.known} answers are there already.", file=sys.stderr)
        yield journal


def _written(
    options: argparse.Namespace,
    report: Report,
    assistant: Assistant | None = None,
    journal: Journal | None = None,
    *,
    table: str = "",
    **more: Any,
) -> Shown:
    """Write a report with the settings it was made under: OUT, and beside it the table and the worst mistakes.

    `table` is what `published` calls the protocol, the command's name by default. OUT comes last, and all at once; only
    then the journal goes. Return the notes and the table for the shell.
    """
    from personal.evaluate.published import beside
    from personal.evaluate.sheet import draw_sheet

    made_with = _settings(options, assistant, answering=journal is not None)
    baselines = {
        name: {**baseline.figures, "intervals": baseline.intervals} for name, baseline in report.baselines.items()
    }
    record = {
        **report.figures,
        **more,
        "intervals": report.intervals,
        **({"baselines": baselines} if baselines else {}),
        "settings": made_with,
        "notes": report.notes,
        **({"answers": report.answers} if report.answers else {}),
    }
    out: Path = options.json
    sheet = out.with_suffix(".mistakes.png")
    try:
        sheet.unlink(missing_ok=True)
        if report.mistakes:
            draw_sheet(report.mistakes, sheet)
        _replace(out.with_suffix(".md"), beside(table or options.protocol, report, made_with))
        _replace(out, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    except OSError as error:
        raise PersonalError(
            f"{out} cannot be written ({error.strerror or error}): make room, and run it again."
        ) from error
    if journal:
        journal.remove()
    return report.notes, report.table()


def _replace(path: Path, text: str) -> None:
    """Write a file so that it is there as a whole or as it was."""
    path = path.resolve()
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("w", encoding="utf-8", errors="replace") as file:  # file names may be no UTF-8
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def caption(options: argparse.Namespace) -> Shown:
    """Caption photos: of a folder with captions plainly, of folders of concepts with these registered."""
    captioned = (options.folder / CAPTIONS).is_file()
    if captioned and (options.unregistered or options.strangers):
        raise PersonalError(f"{options.folder} has captions: --unregistered and --strangers go with concepts' folders.")
    if not captioned and options.names is not None:
        raise PersonalError(f"{options.folder} has no {CAPTIONS}: --names goes with one.")
    return _plain(options) if captioned else _naming(options)


def _plain(options: argparse.Namespace) -> Shown:
    from personal.data.photos import Photos
    from personal.evaluate.asking import of_test_split
    from personal.evaluate.caption import plain, with_names

    photos = Photos(options.folder)
    rows = of_test_split(photos, options.limit)
    with _opened() as assistant, _journal(options, assistant) as journal:
        report = plain(assistant, photos, rows, journal=journal, watch=_watch)
        if options.names is not None:
            usable = {answer["photo"] for answer in report.answers}
            rows = [row for row in rows if row.image in usable]
            count = options.names or None
            named = with_names(assistant.generator, photos, rows, count=count, journal=journal, watch=_watch)
            report.figures |= named.figures
            report.intervals |= named.intervals
            report.answers += named.answers
        return _written(options, report, assistant, journal, table="description")


def _naming(options: argparse.Namespace) -> Shown:
    from personal.data.photos import Photos
    from personal.evaluate.asking import of_test_split, read
    from personal.evaluate.naming import naming

    folder = _folder(options)
    notes: list[str] = []
    strangers = []
    if options.strangers:
        others = Photos(options.strangers)
        read_in = ((row.image, read(others, row, notes)) for row in of_test_split(others, options.limit or 100))
        strangers = [(image, photo) for image, photo in read_in if photo is not None]
    how = {name: getattr(options, name) for name in ("references", "seeds", "unregistered")}
    with _opened() as assistant, _journal(options, assistant) as journal:
        report = naming(assistant, folder, **how, strangers=strangers, journal=journal, watch=_watch)
        report.notes += notes
        return _written(options, report, assistant, journal)


def recognition(options: argparse.Namespace) -> Shown:
    """Ask of every photo and concept whether one is in the other."""
    from personal.evaluate import recognition as protocol

    folder = _folder(options)
    how = {"references": options.references, "seeds": options.seeds, "names": not options.no_names}
    with _opened() as assistant, _journal(options, assistant) as journal:
        report = protocol.recognition(assistant, folder, **how, journal=journal, watch=_watch)
        return _written(options, report, assistant, journal)


def choice(options: argparse.Namespace) -> Shown:
    """Ask two-option questions about the concepts of a database."""
    from personal.evaluate import choice as protocol
    from personal.remember import import_export

    questions, notes = protocol.with_photos(protocol.read_questions(options.file), options.photos)
    incoming = import_export.read(options.database)
    with _opened() as assistant, _journal(options, assistant) as journal:
        notes += protocol.remember(assistant, incoming)
        report = protocol.choice(assistant, questions, journal=journal, watch=_watch)
        report.notes += notes
        return _written(options, report, assistant, journal)


def _retrievers(assistant: Assistant) -> list[WholePhoto]:
    """Make the retrievers that the Assistant's is compared with, on its encoder."""
    from personal.evaluate.baselines import Rap, WholePhoto

    return [WholePhoto(assistant.retriever), Rap(assistant.retriever)]


def multi(options: argparse.Namespace) -> Shown:
    """Look at and caption photos with several concepts."""
    from personal.evaluate import multi as protocol
    from personal.evaluate.layouts import read

    dataset = _usable(protocol.shared(read(options.folder)), options)
    how = {name: getattr(options, name) for name in ("references", "seeds", "together")}
    with _opened() as assistant, _journal(options, assistant) as journal:
        how |= {"captions": not options.no_captions, "journal": journal, "watch": _watch}
        report = protocol.multi(assistant, dataset, **how, baselines=_retrievers(assistant))
        return _written(options, report, assistant, journal)


def search(options: argparse.Namespace) -> Shown:
    """Find photos: of a folder with captions by these, of a dataset with concepts by name and context."""
    return _by_caption(options) if (options.folder / CAPTIONS).is_file() else _by_name(options)


def _by_caption(options: argparse.Namespace) -> Shown:
    from personal import settings
    from personal.data.photos import Photos
    from personal.evaluate.asking import of_test_split
    from personal.evaluate.search import search as protocol

    photos = Photos(options.folder)
    rows = of_test_split(photos, options.limit)
    with _journal(options) as journal:
        report = protocol(settings.load(), photos, rows, journal=journal, watch=_watch)
        return _written(options, report, journal=journal, table="search by caption")


def _by_name(options: argparse.Namespace) -> Shown:
    from personal import settings
    from personal.evaluate import search as protocol
    from personal.evaluate.layouts import read

    dataset = _usable(protocol.searched(read(options.folder)), options)
    how = {name: getattr(options, name) for name in ("references", "seeds")}
    with _opened() as assistant, _journal(options, assistant) as journal:
        sides = protocol.Towers(settings.load())
        report = protocol.in_library(assistant, sides, dataset, **how, journal=journal, watch=_watch)
        return _written(options, report, assistant, journal)


def identify(options: argparse.Namespace) -> Shown:
    """Rank the concepts for every photo; the confusion picture lands beside the figures."""
    from personal.evaluate import identify as protocol
    from personal.evaluate.baselines import Majority
    from personal.evaluate.confusion import draw_confusion
    from personal.evaluate.openset import draw_trade_off

    folder = _folder(options)
    how = {name: getattr(options, name) for name in ("references", "seeds", "unregistered", "same_kinds")}
    with _opened() as assistant:
        compared: list[protocol.Ranker] = [Majority()]
        if not options.no_baselines:
            compared = [*_retrievers(assistant), *compared]
        result = protocol.identify(assistant, folder, **how, baselines=compared, watch=_watch)
        title = f"{options.references} references, {options.seeds} seeds"
        notes, table = _written(
            options,
            result.summary(),
            assistant,
            **{key: result.report[key] for key in ("per_seed", "open_set") if key in result.report},
        )
        picture = options.json.with_suffix(".png")
        try:
            draw_confusion(result.confusion, f"{title}, percent", picture)
            if result.decided:
                draw_trade_off({"all": result.decided}, title, picture.with_suffix(".det.png"))
        except (OSError, ValueError) as error:  # a full disk, or more concepts than a picture has room for
            return [*notes, f"{picture} could not be drawn: {error}"], table
        return notes, table

"""A run of a protocol: the Assistant over a temporary library, the journal, and the files that it writes.

Beside OUT.json are OUT.md, a table with published figures, and OUT.mistakes.png; until a run is done, OUT.partial.jsonl
holds its answers.
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

from personal.errors import PersonalError

if TYPE_CHECKING:
    from personal.assistant import Assistant
    from personal.evaluate.journal import Journal
    from personal.evaluate.report import Report

T = TypeVar("T")
Shown = tuple[Sequence[str], str]
"""Notes and a table for the shell."""
SETTINGS = (
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
"""Prefix of the folder of a run's library, in the system's temporary folder."""


@contextmanager
def open_assistant() -> Iterator[Assistant]:
    """Open the Assistant of the settings over a temporary library."""
    from personal import compose, settings

    erase_left_libraries()
    with tempfile.TemporaryDirectory(prefix=f"{LIBRARY}{os.getpid()}-", ignore_cleanup_errors=True) as home:
        knobs = replace(settings.load(), data_dir=Path(home), chroma_url="")
        with compose.build(knobs, holder="an evaluation") as assistant:
            yield assistant


def erase_left_libraries() -> None:
    """Erase the libraries of killed evaluations, which hold the photos registered."""
    import psutil  # type: ignore[import-untyped]

    for folder in Path(tempfile.gettempdir()).glob(f"{LIBRARY}*"):
        made_by = folder.name.removeprefix(LIBRARY).partition("-")[0]
        if made_by.isdecimal() and not psutil.pid_exists(int(made_by)):
            shutil.rmtree(folder, ignore_errors=True)


def progress_bar(things: Sequence[T], words: str, /) -> Iterable[T]:
    """Show a progress bar on stderr."""
    from tqdm import tqdm

    bar: Iterable[T] = tqdm(things, desc=words, file=sys.stderr)
    return bar


def describe_settings(
    options: argparse.Namespace, assistant: Assistant | None = None, *, answering: bool = True
) -> dict[str, Any]:
    """Return the command's options and the settings that an answer depends on.

    A model server is described by its model and a hash of its address. Raises ModelError if it cannot be asked.
    """
    from personal import __version__, settings

    knobs = settings.load()
    asked = {name: value for name, value in vars(options).items() if name not in {"run", "json", "data_dir"}}
    computed: dict[str, Any] = {}
    if assistant:
        description = assistant.generator.description
        if knobs.llm_url and answering:
            for _ in assistant.generator.load():
                pass
        if knobs.llm_url:  # a server's description has its address, and how it was last found
            description = f"server {hashlib.sha256(knobs.llm_url.encode()).hexdigest()[:12]}"
        computed = {"computed": description, "threshold": assistant.threshold}
        computed |= {"confidence": assistant.default_confidence}
        computed |= {"answered_by": assistant.generator.name} if answering else {}
    return {
        **{name: str(value) if isinstance(value, Path) else value for name, value in asked.items()},
        **{name: getattr(knobs, name) for name in SETTINGS},
        **computed,
        "version": __version__,
    }


@contextmanager
def open_journal(options: argparse.Namespace, assistant: Assistant | None = None) -> Iterator[Journal]:
    """Open the journal beside OUT, with the answers of an unfinished run with the same settings."""
    from tqdm import tqdm

    from personal.evaluate.journal import Journal

    path = options.json.with_suffix(".partial.jsonl")
    with Journal(path, describe_settings(options, assistant)) as journal:
        if journal.known:
            tqdm.write(f"Going on from {path}: {journal.known} answers are there already.", file=sys.stderr)
        yield journal


def write_report(
    options: argparse.Namespace,
    report: Report,
    assistant: Assistant | None = None,
    journal: Journal | None = None,
    *,
    table: str = "",
    **more: Any,
) -> Shown:
    """Write a report with its settings: OUT, the table and the sheet of mistakes. Return notes and table for the shell.

    `table` is the protocol's name in `published`, by default the command's. OUT is written last and atomically; then
    the journal is removed. Raises PersonalError if the disk is full.
    """
    from personal.evaluate.mistakes import draw_sheet
    from personal.evaluate.published import comparison

    made_with = describe_settings(options, assistant, answering=journal is not None)
    out: Path = options.json
    sheet = out.with_suffix(".mistakes.png")
    try:
        sheet.unlink(missing_ok=True)
        if report.mistakes:
            draw_sheet(report.mistakes, sheet)
        _replace(out.with_suffix(".md"), comparison(table or options.protocol, report, made_with))
        _replace(out, json.dumps(_record(report, made_with, more), indent=1, ensure_ascii=False) + "\n")
    except OSError as error:
        raise PersonalError(
            f"{out} cannot be written ({error.strerror or error}): make room, and run it again."
        ) from error
    if journal:
        journal.remove()
    return report.notes, report.table()


def _record(report: Report, made_with: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    baselines = {
        name: {**baseline.figures, "intervals": baseline.intervals} for name, baseline in report.baselines.items()
    }
    return {
        **report.figures,
        **more,
        "intervals": report.intervals,
        **({"baselines": baselines} if baselines else {}),
        "settings": made_with,
        "notes": report.notes,
        **({"answers": report.answers} if report.answers else {}),
    }


def _replace(path: Path, text: str) -> None:
    """Write a file atomically."""
    path = path.resolve()
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("w", encoding="utf-8", errors="replace") as file:  # file names may be no UTF-8
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)

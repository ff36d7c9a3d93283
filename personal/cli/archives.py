"""export and import of concepts; backup and restore of everything."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from personal import compose, settings
from personal.cli.output import emit, show_progress
from personal.compose import LOCAL

if TYPE_CHECKING:
    from personal.remember.backup import Backup


def export(options: argparse.Namespace, knobs: settings.Settings) -> int:
    from personal.remember import import_export

    with compose.library(knobs, read_only=True) as library:
        left_out = import_export.export(library, LOCAL, options.file)
        count = len(library.concepts(LOCAL))
    if options.json:
        emit({"concepts": count, "file": str(options.file), "left_out": left_out})
    else:
        for words in left_out:
            print(words, file=sys.stderr)
        print(f"{count} concepts are in {options.file}.")
    return 0


def import_(options: argparse.Namespace, knobs: settings.Settings) -> int:
    from personal.remember import import_export

    incoming = import_export.read(options.source, knobs)
    parts = compose.build(knobs, holder="the shell")
    with parts as assistant:
        changes = import_export.plan(parts.library, LOCAL, incoming)
        show_progress(import_export.apply(assistant, LOCAL, incoming))
    rows = [{"name": change.name, "change": change.words} for change in changes]
    notes = [note for concept in incoming for note in concept.problems]
    if options.json:
        emit({"changes": rows, "notes": notes})
    else:
        for row in rows:
            print(f"<{row['name']}>\t{row['change']}")
        for note in notes:
            print(f"note: {note}")
    return 0


def back_up(options: argparse.Namespace, knobs: settings.Settings) -> int:
    from personal.remember import backup

    with compose.library(knobs, read_only=True) as library:
        made = backup.back_up(library, options.file)
    _tell(options, made, f"{options.file} holds")
    return 0


def restore(options: argparse.Namespace, knobs: settings.Settings) -> int:
    from personal.remember import backup

    made = backup.restore(options.file, knobs.data_dir)
    _tell(options, made, f"{knobs.data_dir} holds")
    return 0


def _tell(options: argparse.Namespace, made: Backup, begin: str) -> None:
    if options.json:
        emit(asdict(made))
    else:
        print(f"{begin} {made.concepts} concepts and {made.conversations} chats of {made.owners} owners.")

"""export and import."""

from __future__ import annotations

import argparse
import sys

from personal import compose, settings
from personal.cli.output import emit, show_progress
from personal.compose import LOCAL


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

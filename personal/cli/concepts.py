"""add, list, show, forget, merge, reindex and doctor."""

from __future__ import annotations

import argparse

from personal import compose, settings
from personal.cli.output import emit, read_photo, show_progress
from personal.compose import LOCAL
from personal.errors import PersonalError
from personal.records import concept_record


def list_all(options: argparse.Namespace, knobs: settings.Settings) -> int:
    with compose.library(knobs, read_only=True) as library:
        concepts = library.concepts(LOCAL)
    if options.json:
        emit([concept_record(c) for c in concepts])
    elif not concepts:
        print("No concepts yet. Add one: personal add bo photo1.jpg photo2.jpg")
    else:
        for c in concepts:
            print(f"{c.tag}\t{c.category}\t{len(c.views)} view{'s' if len(c.views) > 1 else ''}\t{c.info}")
    return 0


def show(options: argparse.Namespace, knobs: settings.Settings) -> int:
    with compose.library(knobs, read_only=True) as library:
        concept = library.find(LOCAL, options.name)
        files = [str(library.path(LOCAL, concept.id, view.sha256)) for view in concept.views]
    record = {
        **concept_record(concept),
        "files": files,
        "attributes": list(concept.attributes),
        "negatives": len(concept.negatives),
        "by_face": concept.by_face,
    }
    if options.json:
        emit(record)
    else:
        for key, value in record.items():
            print(f"{key:10} {value if not isinstance(value, list) else chr(10).join(['', *value])}")
    return 0


def doctor(options: argparse.Namespace, knobs: settings.Settings) -> int:
    from personal.doctor import checks

    rows = list(checks(knobs))
    ok = all(row["ok"] for row in rows)
    if options.json:
        emit({"ok": ok, "checks": rows})
    else:
        for row in rows:
            print(f"{'ok  ' if row['ok'] else 'BAD '} {row['name']:12} {row['detail']}")
    return 0 if ok else 1


def add(options: argparse.Namespace, knobs: settings.Settings) -> int:
    photos = [read_photo(path, knobs) for path in options.images]
    if options.by_face and not knobs.looks_at_faces:
        raise PersonalError("Faces are not looked at here: set PERSONAL_FACES=on.")
    with compose.build(knobs, holder="the shell") as assistant:
        if options.by_face:
            show_progress(assistant.open_faces())
        given = (options.category, options.info, options.attribute, options.by_face)
        concept = assistant.remember(LOCAL, options.name, photos, *given)
    if options.json:
        emit(concept_record(concept))
    else:
        print(f"Added {concept.tag}: {len(concept.views)} photo{'s' if len(concept.views) > 1 else ''}.")
    return 0


def forget(options: argparse.Namespace, knobs: settings.Settings) -> int:
    from personal.photo_library.library import PhotoLibrary

    with compose.library(knobs, read_only=True) as library:
        concept = library.find(LOCAL, options.name)
    with compose.build(knobs, holder="the shell") as assistant:
        assistant.forget(LOCAL, concept.id)
        assistant.library.empty_trash(LOCAL)
        PhotoLibrary(knobs, assistant).forget_erased()
    if options.json:
        emit({"forgotten": concept.name})
    else:
        count = len(concept.views) + len(concept.negatives)
        print(f"Deleted {concept.tag} and its {count} photos.")
    return 0


def merge(options: argparse.Namespace, knobs: settings.Settings) -> int:
    with compose.library(knobs, read_only=True) as library:
        kept, other = library.find(LOCAL, options.name), library.find(LOCAL, options.other)
    with compose.build(knobs, holder="the shell") as assistant:
        concept = assistant.merge(LOCAL, kept.id, other.id).after
        assistant.library.empty_trash(LOCAL)
    if options.json:
        emit(concept_record(concept))
    else:
        print(f"{other.tag} is merged into {concept.tag}, which has {len(concept.views)} photos now.")
    return 0


def reindex(options: argparse.Namespace, knobs: settings.Settings) -> int:
    with compose.build(knobs, holder="the shell") as assistant:
        for owner in assistant.library.owners():
            show_progress(assistant.reindex(owner, afresh=True))
        views = sum(len(c.views) for owner in assistant.library.owners() for c in assistant.concepts(owner))
    if options.json:
        emit({"views": views})
    else:
        print(f"{views} views are indexed.")
    return 0

"""The protocols as commands: read their data, open the Assistant over a temporary library, write the figures.

Bad input is found before any model is opened. Each command returns its notes and its table for the shell.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from personal.data.photos import CAPTIONS
from personal.errors import PersonalError
from personal.evaluate.run import Shown, open_assistant, open_journal, progress_bar, write_report

if TYPE_CHECKING:
    from personal.assistant import Assistant
    from personal.evaluate.baselines import WholePhoto
    from personal.evaluate.identify import Folder
    from personal.evaluate.layouts import Dataset


def caption(options: argparse.Namespace) -> Shown:
    """Caption photos: of a folder with captions plainly, of folders of concepts with these registered."""
    captioned = (options.folder / CAPTIONS).is_file()
    if captioned and (options.unregistered or options.strangers):
        raise PersonalError(f"{options.folder} has captions: --unregistered and --strangers go with concepts' folders.")
    if not captioned and options.names is not None:
        raise PersonalError(f"{options.folder} has no {CAPTIONS}: --names goes with one.")
    return _plain_captions(options) if captioned else _named_captions(options)


def _plain_captions(options: argparse.Namespace) -> Shown:
    from personal.data.photos import Photos
    from personal.evaluate.caption import plain, with_names
    from personal.evaluate.captioned import photos_of_test_split

    photos = Photos(options.folder)
    rows = photos_of_test_split(photos, options.limit)
    with open_assistant() as assistant, open_journal(options, assistant) as journal:
        report = plain(assistant, photos, rows, journal=journal, progress=progress_bar)
        if options.names is not None:
            readable = {answer["photo"] for answer in report.answers}
            rows = [row for row in rows if row.image in readable]
            count = options.names or None
            named = with_names(assistant.generator, photos, rows, count=count, journal=journal, progress=progress_bar)
            report.figures |= named.figures
            report.intervals |= named.intervals
            report.answers += named.answers
        return write_report(options, report, assistant, journal, table="description")


def _named_captions(options: argparse.Namespace) -> Shown:
    from personal.data.photos import Photos
    from personal.evaluate.captioned import photos_of_test_split, read_captioned
    from personal.evaluate.named_captions import named_captions

    folder = _folder(options)
    notes: list[str] = []
    strangers = []
    if options.strangers:
        others = Photos(options.strangers)
        rows = photos_of_test_split(others, options.limit or 100)
        read = ((row.image, read_captioned(others, row, notes)) for row in rows)
        strangers = [(image, photo) for image, photo in read if photo is not None]
    how = _chosen(options, "references", "seeds", "unregistered")
    with open_assistant() as assistant, open_journal(options, assistant) as journal:
        report = named_captions(assistant, folder, **how, strangers=strangers, journal=journal, progress=progress_bar)
        report.notes += notes
        return write_report(options, report, assistant, journal)


def recognition(options: argparse.Namespace) -> Shown:
    """Ask for every photo and concept whether one is in the other."""
    from personal.evaluate import recognition as protocol

    folder = _folder(options)
    how = {**_chosen(options, "references", "seeds"), "names": not options.no_names}
    with open_assistant() as assistant, open_journal(options, assistant) as journal:
        report = protocol.recognition(assistant, folder, **how, journal=journal, progress=progress_bar)
        return write_report(options, report, assistant, journal)


def choice(options: argparse.Namespace) -> Shown:
    """Ask two-option questions about the concepts of a database."""
    from personal.evaluate import choice as protocol
    from personal.remember import import_export

    questions, notes = protocol.with_photos(protocol.read_questions(options.file), options.photos)
    imported = import_export.read(options.database)
    with open_assistant() as assistant, open_journal(options, assistant) as journal:
        notes += protocol.remember(assistant, imported)
        report = protocol.choice(assistant, questions, journal=journal, progress=progress_bar)
        report.notes += notes
        return write_report(options, report, assistant, journal)


def multi(options: argparse.Namespace) -> Shown:
    """Look at and caption photos with several concepts."""
    from personal.evaluate import multi as protocol
    from personal.evaluate.layouts import read

    dataset = _usable(protocol.require_shared_photos(read(options.folder)), options)
    how = _chosen(options, "references", "seeds", "together")
    with open_assistant() as assistant, open_journal(options, assistant) as journal:
        how |= {"captions": not options.no_captions, "journal": journal, "progress": progress_bar}
        report = protocol.multi(assistant, dataset, **how, baselines=_retrievers(assistant))
        return write_report(options, report, assistant, journal)


def search(options: argparse.Namespace) -> Shown:
    """Search photos: of a folder with captions by these, of a dataset with concepts by name and context."""
    return _search_by_caption(options) if (options.folder / CAPTIONS).is_file() else _search_by_name(options)


def _search_by_caption(options: argparse.Namespace) -> Shown:
    from personal import settings
    from personal.data.photos import Photos
    from personal.evaluate.captioned import photos_of_test_split
    from personal.evaluate.search import search as protocol

    photos = Photos(options.folder)
    rows = photos_of_test_split(photos, options.limit)
    with open_journal(options) as journal:
        report = protocol(settings.load(), photos, rows, journal=journal, progress=progress_bar)
        return write_report(options, report, journal=journal, table="search by caption")


def _search_by_name(options: argparse.Namespace) -> Shown:
    from personal import settings
    from personal.evaluate import search as protocol
    from personal.evaluate.layouts import read

    dataset = _usable(protocol.require_searches(read(options.folder)), options)
    how = _chosen(options, "references", "seeds")
    with open_assistant() as assistant, open_journal(options, assistant) as journal:
        towers = protocol.OpenClipTowers(settings.load())
        report = protocol.in_library(assistant, towers, dataset, **how, journal=journal, progress=progress_bar)
        return write_report(options, report, assistant, journal)


def identify(options: argparse.Namespace) -> Shown:
    """Rank the concepts for every photo; pictures of the confusions and the trade-off are drawn beside the figures."""
    from personal.evaluate import identify as protocol
    from personal.evaluate.baselines import Majority
    from personal.evaluate.confusion import draw_confusion
    from personal.evaluate.openset import draw_trade_off

    folder = _folder(options)
    how = _chosen(options, "references", "seeds", "unregistered", "same_kinds")
    with open_assistant() as assistant:
        compared: list[protocol.Ranker] = [Majority()]
        if not options.no_baselines:
            compared = [*_retrievers(assistant), *compared]
        result = protocol.identify(assistant, folder, **how, baselines=compared, progress=progress_bar)
        title = f"{options.references} references, {options.seeds} seeds"
        more = {key: result.report[key] for key in ("per_seed", "open_set") if key in result.report}
        notes, table = write_report(options, result.summary(), assistant, **more)
        picture = options.json.with_suffix(".png")
        try:
            draw_confusion(result.confusion, f"{title}, percent", picture)
            if result.decided:
                draw_trade_off({"all": result.decided}, title, picture.with_suffix(".det.png"))
        except (OSError, ValueError) as error:  # a full disk, or more concepts than a picture has room for
            return [*notes, f"{picture} could not be drawn: {error}"], table
        return notes, table


def _chosen(options: argparse.Namespace, *names: str) -> dict[str, Any]:
    return {name: getattr(options, name) for name in names}


def _usable(dataset: Dataset, options: argparse.Namespace) -> Dataset:
    from personal.evaluate.layouts import usable

    return usable(dataset, options.references, progress=progress_bar)


def _folder(options: argparse.Namespace) -> Folder:
    """Read a dataset of any layout for the protocols about one concept a photo."""
    from personal.evaluate.layouts.identified import read_folder

    return read_folder(options.folder, options.references, progress=progress_bar)


def _retrievers(assistant: Assistant) -> list[WholePhoto]:
    """Return the retrievers that the Assistant's is compared with, on its encoder."""
    from personal.evaluate.baselines import Rap, WholePhoto

    return [WholePhoto(assistant.retriever), Rap(assistant.retriever)]

"""The Library tab: folders and their scan, filters, and the grid of photos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from personal.concepts import Concept, Progress
from personal.photo_library.scan import THUMBNAIL
from personal.photo_library.store import Folder, Row
from personal.ui.render.elements import act, busy, icon, plural

GRID = 120
"""Photos of a page of the grid."""
CHIPS = 24
"""Concepts that are offered as filters."""
ERRORS = 20
"""Files that cannot be read, of which the words are shown."""

EMPTY_LIBRARY = (
    '<div class="empty"><h2>All your photos</h2><p>Add a folder of photos. They are read where they are: nothing is '
    "copied, changed or sent. Then everybody you named is found in them, and you can search in words: "
    "<i>bo on the beach</i>, <i>bo and rex</i>, <i>snow, without people</i>.</p></div>"
)
GUEST_LIBRARY = (
    '<div class="empty"><h2>All your photos</h2><p>This app runs on somebody else\'s computer: only its owner can add '
    "folders. Drop your photos into Chat to find who is in them.</p></div>"
)


def folders(every: Sequence[Folder], errors: Sequence[tuple[str, str]]) -> str:
    """The folders, each with what can be done with it, and the files that cannot be read."""
    if not every:
        return ""
    rows = "".join(_folder(one) for one in every)
    failed = "".join(f"<li><b>{escape(Path(path).name)}</b> {escape(words)}</li>" for path, words in errors[:ERRORS])
    more = f"<li>And {len(errors) - ERRORS} more.</li>" if len(errors) > ERRORS else ""
    wrong = (
        f'<details class="used"><summary>{plural(len(errors), "file")} cannot be read</summary>'
        f"<ul>{failed}{more}</ul></details>"
        if errors
        else ""
    )
    return f'<ul class="folders">{rows}</ul>{wrong}'


def _folder(folder: Folder) -> str:
    there = "" if folder.path.is_dir() else " <small>not there now</small>"
    turn, said = ("off", "Dates and places: read") if folder.exif else ("on", "Dates and places: not read")
    return (
        f'<li><span class="path" dir="auto">{escape(str(folder.path))}</span>{there}<small>{said}</small>'
        f"<button {act('exif', folder=folder.id)}>Turn {turn}</button>"
        f"<button {act('remove', folder=folder.id)}>Remove</button></li>"
    )


def scanning(step: Progress, left_s: float | None) -> str:
    """How far a scan is."""
    if not step.total:
        return busy(f"{step.text} …")
    minutes = "" if left_s is None else f" – about {plural(max(1, round(left_s / 60)), 'minute')} left"
    return busy(f"{step.text}: {step.done:,} of {step.total:,}{minutes}", step)


def filters(concepts: Sequence[Concept], counts: Mapping[str, int], chosen: Mapping[str, bool]) -> str:
    """Who can be filtered by: a click asks for a concept, another leaves out who shows it, a third does neither."""
    listed = [one for one in concepts if counts.get(one.id) or one.id in chosen]
    listed.sort(key=lambda one: (one.id not in chosen, -counts.get(one.id, 0)))
    chips = "".join(_filter(one, counts.get(one.id, 0), chosen.get(one.id)) for one in listed[:CHIPS])
    return f'<div class="filters" role="group" aria-label="Filter by who is there">{chips}</div>' if chips else ""


def _filter(concept: Concept, count: int, shown: bool | None) -> str:
    state = {None: "", True: "with", False: "without"}[shown]
    sign = {None: "", True: icon("check"), False: icon("close")}[shown]
    said = {None: "not a filter", True: "must be there", False: "must not be there"}[shown]
    return (
        f'<button class="filter {state}" {act("filter", concept=concept.id)} title="{said}" '
        f'aria-label="{escape(concept.name)}, {plural(count, "photo")}: {said}">{sign}'
        f'<span dir="auto">{escape(concept.name)}</span> <small>{count:,}</small></button>'
    )


def grid(rows: Sequence[Row], concepts: Sequence[Concept], page: int, said: str) -> str:
    """A page of photos, from 0, and the way to the others; `said` stands above."""
    pages = max(1, -(-len(rows) // GRID))
    page = min(max(0, page), pages - 1)
    tiles = "".join(_tile(row, concepts) for row in rows[page * GRID : (page + 1) * GRID])
    return f'<p class="sum" role="status">{said}</p><ul class="photos">{tiles}</ul>{_pages(page, pages)}'


def _tile(row: Row, concepts: Sequence[Concept]) -> str:
    known = row.known(concepts)
    names = "".join(f'<span dir="auto">{escape(_name(one, how.certainty))}</span>' for one, how in known[:3])
    more = f"<span>+{len(known) - 3}</span>" if len(known) > 3 else ""
    alt = " and ".join(_name(one, how.certainty) for one, how in known) or "A photo"
    return (
        f'<li><button {act("photo", photo=row.sha256)} title="{escape(row.path.name)}">'
        f'<img data-picture="{row.sha256}?side={THUMBNAIL}" alt="{escape(alt)}">'
        f"{f'<span class=who>{names}{more}</span>' if known else ''}</button></li>"
    )


def _name(concept: Concept, certainty: str) -> str:
    return concept.name + "?" * (certainty == "maybe")


def _pages(page: int, pages: int) -> str:
    if pages == 1:
        return ""
    before = f"<button {act('page', page=page - 1)}{'' if page else ' disabled'}>{icon('left')}Previous</button>"
    after = (
        f"<button {act('page', page=page + 1)}{'' if page + 1 < pages else ' disabled'}>Next{icon('right')}</button>"
    )
    return f'<nav class="pages" aria-label="Pages">{before}<span>Page {page + 1} of {pages:,}</span>{after}</nav>'

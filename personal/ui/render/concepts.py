"""The Concepts tab: cards, a concept's photos, what it is confused with, and what an import would change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from html import escape

from personal.concepts import Concept, Photo
from personal.ui.render.elements import act, picture, plural, strip

PAGE = 60
"""Cards shown before "show all"."""


def cards(
    concepts: Sequence[Concept],
    avatars: Mapping[str, Photo | None],
    alike: Mapping[str, Sequence[str]],
    *,
    total: int,
    chosen: str | None,
    everything: bool,
    picked: Set[str] | None = None,
    samples: Set[str] = frozenset(),
    unsaved: Set[str] = frozenset(),
) -> str:
    """The gallery: one card a concept, equal in size.

    `alike` maps concept ids to the names of those that they are hard to tell from. `picked` are the ids of the selected
    ones; None where cards are not being selected. `samples` are the ids of the samples, `unsaved` of those with changes
    that are not saved.
    """
    if not total:
        return EMPTY_CONCEPTS
    if not concepts:
        return '<div class="empty small"><p>No matches. Clear the search to see everything.</p></div>'
    shown = concepts if everything else concepts[:PAGE]
    html = "".join(
        _card(
            concept,
            avatars.get(concept.id),
            alike.get(concept.id, ()),
            chosen=concept.id == chosen,
            picked=None if picked is None else concept.id in picked,
            sample=concept.id in samples,
            unsaved=concept.id in unsaved,
        )
        for concept in shown
    )
    more = f'<button class="more" {act("all")}>Show all {len(concepts)}</button>' if len(concepts) > len(shown) else ""
    above = _samples(len(samples)) if picked is None else _picking(concepts, picked)
    return f'{above}<ul class="cards">{html}</ul>{more}'


def _samples(count: int) -> str:
    """How many samples there are, and deleting them."""
    if not count:
        return ""
    return (
        f'<p class="picking note"><span>{plural(count, "sample")} to try things with.</span>'
        f"<button {act('forget-samples')}>Delete {'it' if count == 1 else 'samples'}</button></p>"
    )


def _picking(concepts: Sequence[Concept], picked: Set[str]) -> str:
    """What can be done with the selected concepts."""
    chosen = [concept for concept in concepts if concept.id in picked]
    none = "" if picked else " disabled"
    merging = "".join(
        f"<button {act('merge', concept=kept.id, other=other.id)}>Merge, keep <bdi>{escape(kept.name)}</bdi></button>"
        for kept, other in ([chosen, chosen[::-1]] if len(chosen) == 2 else [])
    )
    return (
        f'<div class="picking" role="group" aria-label="Selected concepts"><b role="status">{len(picked)} selected</b>'
        f"<button {act('pick-all')}>Select all</button>{merging}<button{none} {act('export-picked')}>Export</button>"
        f'<button{none} class="danger" {act("forget-picked")}>Delete</button></div>'
    )


EMPTY_CONCEPTS = (
    '<div class="empty"><h2>Your people, pets and things</h2>'
    "<p>Give a name to a few photos of something that is yours. It is then recognised in your other photos. "
    "You can drop the photos here, or a folder of photos for each.</p>"
    f'<p class="row"><button class="primary" {act("samples")}>Try it with samples</button>'
    f"<button {act('first')}>Add your first concept</button></p></div>"
)


def unsaved() -> str:
    """Say that what was typed is not saved."""
    return f'<p class="note unsaved">Unsaved changes. <button {act("discard")}>Discard</button></p>'


def _card(
    concept: Concept,
    cover: Photo | None,
    alike: Sequence[str],
    *,
    chosen: bool,
    picked: bool | None,
    sample: bool,
    unsaved: bool,
) -> str:
    image = picture(cover, 240, square=True, subject=True) if cover else '<div class="noimage"></div>'
    hint = "Only 1 photo – add another" if len(concept.views) == 1 else ""
    if unsaved:
        hint, alike = "Unsaved changes", ()
    elif cover is None:
        hint = "Its photo is damaged – open it to remove that"
    elif alike:
        more = f" and {len(alike) - 1} more" if len(alike) > 1 else ""
        hint = f"Looks like <bdi>{escape(alike[0])}</bdi>{more}"
    hint = hint and f'<span class="hint{" alike" if alike else ""}">{hint}</span>'
    if picked is None:
        state, click = " chosen" if chosen else "", act("open", concept=concept.id)
    else:
        state, click = "", act("pick", concept=concept.id)
        click += f' aria-pressed="{"true" if picked else "false"}"'
    return (
        f'<li><button class="card{state}" {click}>{image}'
        f'<b dir="auto">{escape(concept.name)}</b><span dir="auto">{escape(concept.category) or "&nbsp;"}</span>'
        f"<small>{plural(len(concept.views), 'photo')}{' · sample' if sample else ''}</small>{hint}</button></li>"
    )


def draft_hint(model: str, *, sees: bool, any_photo: bool) -> str:
    """Why the model cannot draft something from photos now, or nothing where it can."""
    if not sees:
        return (
            f'<p class="note">{escape(model)} cannot see photos: to have this written, choose a model that does. '
            "Settings says how.</p>"
        )
    return "" if any_photo else '<p class="note">Add a photo first, to draft it from.</p>'


def new_photos(photos: Sequence[Photo]) -> str:
    """Photos chosen for a new concept, each with a cross and what could be better about it."""
    return strip(
        (
            photo,
            f'<button class="cross" {act("drop", photo=photo.sha256)} aria-label="Remove this photo">×</button>',
            "",
        )
        for photo in photos
    )


def views_strip(concept: Concept, photos: Sequence[Photo]) -> str:
    """A concept's views, with the avatar marked and what can be done with each; one that is damaged can be removed."""
    rows: list[tuple[Photo | None, str, str]] = []
    readable = {photo.sha256: photo for photo in photos}
    for view in concept.views:
        if view.sha256 not in readable:
            chosen = "<em>damaged: remove it, and add it again</em>"
        elif view.sha256 == concept.avatar:
            chosen = '<span class="hint">Cover</span>'
        else:
            chosen = f"<button {act('avatar', photo=view.sha256)}>Use as cover</button>"
        cross = ""
        if len(concept.views) > 1:
            cross = (
                f'<button class="cross" {act("remove", photo=view.sha256)} aria-label="Remove this photo">×</button>'
            )
        rows.append((readable.get(view.sha256), cross, chosen))
    return strip(rows)


def negatives(concept: Concept, photos: Sequence[Photo]) -> str:
    """Pictures of what a concept is not, each with a cross; nothing where there are none."""
    if not photos:
        return ""
    pictures = "".join(
        f'<figure><div>{picture(photo, 120, square=True)}<button class="cross" '
        f'{act("own", photo=photo.sha256)} aria-label="Remove this picture">×</button></div></figure>'
        for photo in photos
    )
    name = escape(concept.name)
    return (
        f'<section class="negatives"><h3>Not <bdi>{name}</bdi></h3><p class="note">You said that these are not '
        f"<bdi>{name}</bdi>: what looks like them is not taken for <bdi>{name}</bdi> again.</p>"
        f'<div class="strip">{pictures}</div></section>'
    )


def look_alikes(concept: Concept, pairs: Sequence[tuple[Concept, Photo | None, Photo | None]]) -> str:
    """What a concept is hard to tell from: the other, and the two most similar photos; with what would help."""
    name = escape(concept.name)
    sections = []
    for other, mine, theirs in pairs:
        others = escape(other.name)
        shown = "".join(
            f"<figure>{picture(photo, 240, square=True, alt=f'Photo of {owner.name}')}"
            f'<figcaption dir="auto">{whose}</figcaption></figure>'
            for photo, whose, owner in ((mine, name, concept), (theirs, others, other))
            if photo
        )
        if mine and theirs and mine.sha256 == theirs.sha256:
            advice = "Both have this photo: remove it from the one that it does not show best."
        else:
            only = f"There is one photo of <bdi>{name}</bdi> only. " if len(concept.views) == 1 else ""
            words = "" if concept.attributes else f" Below you can also write what tells <bdi>{name}</bdi> apart."
            advice = (
                f"{only}Add a photo of <bdi>{name}</bdi> from another angle and in another place, without "
                f"<bdi>{others}</bdi> in it.{words}"
            )
        sections.append(
            f'<section class="look-alike"><h3>Looks like <bdi>{others}</bdi></h3>'
            f'<div class="pair">{shown}</div><p class="note">{advice}</p>'
            f'<p class="merging"><span>Are they the same?</span>'
            f"<button {act('merge', concept=concept.id, other=other.id)}>Merge, keep <bdi>{name}</bdi></button>"
            f"<button {act('merge', concept=other.id, other=concept.id)}>Merge, keep <bdi>{others}</bdi></button></p>"
            f"</section>"
        )
    return "".join(sections)


def forgotten(rows: Sequence[tuple[str, str, int]]) -> str:
    """What was forgotten lately and can still come back: (token, name, minutes left)."""
    html = "".join(
        f"<li><span dir='auto'>{escape(name)}</span><small>{plural(minutes, 'minute')} left</small>"
        f"<button {act('restore', token=token)}>Undo</button></li>"
        for token, name, minutes in rows
    )
    return f'<section class="forgotten"><h3>Recently deleted</h3><ul>{html}</ul></section>' if html else ""


def import_preview(rows: Sequence[tuple[str, str]], notes: Sequence[str]) -> str:
    """What an import would change: (name, change in words); and what was skipped."""
    html = "".join(f"<tr><td dir='auto'>{escape(name)}</td><td>{escape(change)}</td></tr>" for name, change in rows)
    skipped = "".join(f"<li>{escape(note)}</li>" for note in notes)
    summary = f"{plural(len(notes), 'note')} on what was left out or guessed"
    skipped = f"<details><summary>{summary}</summary><ul>{skipped}</ul></details>" if notes else ""
    return f'<section class="preview"><h3>Review import</h3><table>{html}</table>{skipped}</section>'

"""From values to HTML: pure functions, tested without a browser.

Everything a person or a model wrote is escaped here, and nowhere else; pictures travel inside the page as data, so
that no file of anybody's is ever served. What is clicked carries `data-act`, which `assets/app.js` hands to the tab's
handler.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from html import escape
from itertools import count
from typing import Any

from markdown_it import MarkdownIt

from personal.assistant import VERIFIED_BETWEEN
from personal.concepts import Answer, Box, Concept, Match, Photo, PhotoFindings, Preferences, Progress, Waiting
from personal.crops import data_url
from personal.folding import folded
from personal.quality import quality_hints
from personal.settings import TINY
from personal.ui.sessions import Conversation, Entry

_MARKDOWN = MarkdownIt("commonmark", {"html": False, "breaks": True}).disable(
    ["image", "link", "autolink", "reference"]
)
"""No links and no pictures from answers: a page that fetched one would tell its server what was asked."""
_HELD, _HOLDS = "\ue000{}\ue001", re.compile("\ue000(\\d*)\ue001")
"""Where a chip goes, in signs that mean nothing to anybody."""

PAGE = 60
"""Cards shown before "show all"."""

SURE = ((0.95, "very sure"), (0.8, "quite sure"), (VERIFIED_BETWEEN[1], "fairly sure"), (VERIFIED_BETWEEN[0], "unsure"))
"""Probabilities from which a match is called that."""


def act(name: str, **data: Any) -> str:
    """The attributes of something that can be clicked."""
    more = "".join(f" data-{key}='{escape(str(value))}'" for key, value in data.items() if value is not None)
    return f'data-act="{name}"{more}'


_ICONS = {
    "moon": "M20 14.5A8 8 0 0 1 9.5 4a8 8 0 1 0 10.5 10.5z",
    "plus": "M12 5v14M5 12h14",
    "edit": "M4 20h4L19 9l-4-4L4 16z",
    "again": "M4 12a8 8 0 1 0 2.5-5.8M4 4v4.5h4.5",
    "copy": "M9 9h11v11H9zM5 15H4V4h11v1",
}


def icon(name: str) -> str:
    """A line icon."""
    return f'<svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d="{_ICONS[name]}"/></svg>'


def plural(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"


# -- chat ------------------------------------------------------------------------------------------------------------


def chip(concept: Concept, colour: int) -> str:
    """A concept's name in its colour."""
    return f'<span class="chip c{colour}" data-concept="{concept.id}" dir="auto">{escape(concept.name)}</span>'


def prose(
    text: str, concepts: Mapping[str, Concept], colours: Mapping[str, int], spoken: Sequence[Concept] = ()
) -> str:
    """Answer text as HTML: Markdown, with every `<name>` of `concepts` (id → concept) as a chip.

    `spoken` are concepts as they were called then: who has another name now stands there by that one, and who was
    forgotten by the name alone.
    """
    names = {folded(concept.name): concept for concept in (*concepts.values(), *spoken)}
    names |= {concept.name: concept for concept in (*concepts.values(), *spoken)}
    chips: list[str] = []

    def held(found: re.Match[str]) -> str:
        concept = names.get(found[1].strip()) or names.get(folded(found[1]))
        if concept is None:
            return found[0]
        now = concepts.get(concept.id)
        chips.append(
            chip(now, colours.get(now.id, 0) % 8)
            if now
            else f'<span class="gone" dir="auto">{escape(found[1].strip())}</span>'
        )
        return _HELD.format(len(chips) - 1)

    text = _HOLDS.sub("", text)
    if names:  # before Markdown makes something of a name's own signs
        # Blanks inside the brackets: a name that is also a control token of some model is written that way to it.
        text = re.sub("<([^<>\n]+)>", held, text)
    html: str = _MARKDOWN.render(text)
    return _HOLDS.sub(lambda found: chips[int(found[1])], html)


def describe(found: PhotoFindings) -> str:
    """Alternative text of a photo, made of what was recognised in it."""
    names = [match.concept.name for match in found.seen if match.box]
    return f"Photo with {', '.join(names)}" if names else "Photo in which nothing of yours was recognised"


def log(conversation: Conversation, concepts: Mapping[str, Concept]) -> str:
    """The conversation so far; the answer that is being written is drawn elsewhere (`live`)."""
    if not conversation.entries:
        return "" if conversation.photos else EMPTY_CHAT if concepts else FIRST_CHAT
    return "".join(
        entry_html(conversation, number, entry, concepts) for number, entry in enumerate(conversation.entries)
    )


def _shot(conversation: Conversation, photo: Photo, url: str) -> str:
    words = escape(describe(conversation.of(photo)))
    return (
        f'<button class="shot" {act("photo", photo=photo.sha256)} aria-label="Show this photo beside">'
        f'<img src="{url}" alt="{words}"></button>'
    )


EMPTY_CHAT = (
    '<div class="empty"><h2>Ask about a photo</h2>'
    "<p>Drop one below, paste it, or take one with the camera. Your people, pets and things are recognised at once, "
    "and the answers call them by name.</p></div>"
)
FIRST_CHAT = (
    '<div class="empty"><h2>Who are you going to talk about?</h2>'
    "<p>Give a name to a few photos of your dog, your mug or your friend. From then on they are recognised in every "
    "other photo, and answers call them by name.</p>"
    f'<p class="row"><button class="primary" {act("samples")}>Try it with samples</button>'
    f"<button {act('first')}>Add your first concept</button></p></div>"
)


def entry_html(conversation: Conversation, number: int, entry: Entry, concepts: Mapping[str, Concept]) -> str:
    """One exchange: the question with its photos, the answer with what it used."""
    shots = "".join(_shot(conversation, photo, data_url(photo, 320)) for photo in entry.turn.photos)
    edited = " editing" if conversation.editing == number else ""
    question = (
        f'<article class="said you{edited}">{shots and f"<div class=shots>{shots}</div>"}'
        f'<p dir="auto">{escape(entry.turn.question)}</p>'
        f"<footer><button {act('edit', entry=number)}>{icon('edit')}Edit</button></footer></article>"
    )
    if entry is conversation.answering:
        return question
    return question + answer_html(conversation, number, entry, concepts)


def answer_html(conversation: Conversation, number: int, entry: Entry, concepts: Mapping[str, Concept]) -> str:
    """A finished answer, or the words of what went wrong with the way to try again."""
    last = number == len(conversation.entries) - 1
    again = (
        f"<button {act('again')}>{icon('again')}{'Try again' if entry.error else 'Answer again'}</button>"
        if last
        else ""
    )
    if entry.answer is None:
        words = entry.error or "This was stopped before an answer came."
        return f'<article class="said it failed" role="alert"><p>{escape(words)}</p><footer>{again}</footer></article>'
    answer = entry.answer
    spoken = [match.concept for match in answer.look.matches]
    text = prose(answer.text, concepts, conversation.colours, spoken) or "<p><em>Nothing was said.</em></p>"
    stopped = '<p class="note">Stopped.</p>' if answer.stopped else ""
    failed = f'<p class="note" role="alert">{escape(entry.error)}</p>' if entry.error else ""
    copy = f'<button {act("copy")} data-text="{escape(answer.text)}">{icon("copy")}Copy</button>'
    return (
        f'<article class="said it"><div class="words" dir="auto">{text}</div>{stopped}{failed}'
        f"{used(answer, conversation)}<footer>{copy}{again}</footer></article>"
    )


def used(answer: Answer, conversation: Conversation) -> str:
    """What an answer rests on, folded: each match with its card, what was turned down, and how long it took."""
    names = ", ".join(match.concept.name for match in answer.matches) or "no memories"
    denied = ", ".join(match.concept.name for match in answer.look.denied)
    turned_down = f"turned down {escape(denied)}" if denied else ""
    retrieve_s = answer.look.seconds
    time = f"{retrieve_s:.1f} s" + (f" + {answer.total_s - retrieve_s:.1f} s" if answer.tokens else "")
    rows = "".join(
        f'<li><i class="dot c{conversation.colour(match.concept.id)}"></i>'
        f'<b dir="auto">{escape(match.concept.name)}</b>'
        f"<span>{how(match)}</span><p dir='auto'>{escape(match.concept.info)}</p></li>"
        for match in (*(answer.matches if answer.tokens else answer.look.matches), *answer.look.denied)
    )
    model = escape(answer.model) if answer.tokens else "Recognised without asking the language model."
    left_out = f"{plural(answer.dropped_turns, 'exchange')} left out" if answer.dropped_turns else ""
    why = (
        f"<p>The conversation is longer than the model can hold: its first {plural(answer.dropped_turns, 'exchange')} "
        "did not reach it. The concepts did.</p>"
        if answer.dropped_turns
        else ""
    )
    said = " · ".join(part for part in (f"used {escape(names)}", turned_down, time, left_out) if part)
    return f'<details class="used"><summary>{said}</summary><ul>{rows}</ul>{why}<p>{model}</p></details>'


def how(match: Match) -> str:
    """How a match came about, in words."""
    if match.similarity is None:
        return "named in your question"
    verdict = {None: "", True: ", confirmed by the language model", False: ", turned down by the language model"}
    return f"seen{' by the face' if match.by_face else ''}, {sure(match)}{verdict[match.confirmed]}"


def sure(match: Match) -> str:
    """How sure recognition is of a match, in words where it can tell, and its similarity."""
    similarity = f"similarity {match.similarity:.2f}"
    if match.probability is None:
        return similarity
    words = next((words for least, words in SURE if match.probability >= least), "unlikely")
    return f"{words}, {similarity}"


def place(waiting: Waiting) -> str:
    """Tell a place in the queue, and the expected wait where it is known."""
    where = "You're next in line" if waiting.place == 1 else f"You're number {waiting.place} in line"
    if waiting.seconds is None:
        return f"{where} …"
    if waiting.seconds < 5:
        return f"{where}: a few seconds …"
    if waiting.seconds < 90:
        return f"{where}: about {5 * round(waiting.seconds / 5)} seconds …"
    return f"{where}: about {round(waiting.seconds / 60)} minutes …"


def live(text: str, status: str, concepts: Mapping[str, Concept], colours: Mapping[str, int]) -> str:
    """The answer being streamed, with a caret; `status` stands there until the first words."""
    if not text:
        return f'<article class="said it waiting"><p><span class="pulse"></span>{escape(status)}</p></article>'
    return (
        f'<article class="said it live"><div class="words" dir="auto">{prose(text, concepts, colours)}</div></article>'
    )


def drafts(conversation: Conversation) -> str:
    """Photos that go with the next question, each with a cross; and the notice that a question is being edited."""
    parts = []
    if conversation.editing is not None:
        parts.append(
            f'<p class="note">Editing a question: what came after it is replaced. '
            f"<button {act('unedit')}>Cancel</button></p>"
        )
    parts += [
        f'<span class="draft">{_shot(conversation, photo, data_url(photo, 96, square=True))}'
        f'<button class="cross" {act("undraft", photo=photo.sha256)} aria-label="Remove this photo">×</button></span>'
        for photo in conversation.draft
    ]
    return f'<div class="drafts">{"".join(parts)}</div>' if parts else ""


def panel(
    conversation: Conversation,
    avatars: Mapping[str, Photo | None],
    views: Mapping[str, Photo | None],
    *,
    wishes: Preferences,
    any_concepts: bool,
) -> str:
    """The photo with a box a match, and the matches with their evidence.

    `avatars` maps concept ids to pictures, `views` maps view hashes to the reference photos that matched.
    """
    photo = conversation.photo(conversation.active)
    if photo is None:
        return EMPTY_PANEL
    found = conversation.of(photo)
    matches = found.matches
    boxes = "".join(
        _box(match, conversation.colour(match.concept.id))
        for match in matches
        if match.box and match.confirmed is not False
    )
    mark = _marked(conversation.marked) if conversation.marked else ""
    rows = "".join(_match(match, conversation, avatars, views, wishes) for match in matches)
    if not rows:
        hint = (
            "Nobody and nothing of yours was recognised here."
            if any_concepts
            else "Nothing is remembered yet: click “This is …” and give what you see a name."
        )
        rows = f'<li class="none">{hint}</li>'
    shape = f"aspect-ratio:{photo.width}/{photo.height}"
    return (
        f'<section class="panel"><h2>In this photo</h2><div class="stage" data-stage="{photo.sha256}" style="{shape}">'
        f'<img src="{data_url(photo, 900)}" alt="{escape(describe(found))}">{boxes}{mark}</div>'
        f'<p class="note">Click a box, or draw one (by mouse, or by its two corners), to say who or what it is.</p>'
        f'<ul class="matches">{rows}</ul>'
        f'<button class="this" {act("mark", box="[0,0,1,1]")}>{icon("plus")}This is …</button></section>'
    )


EMPTY_PANEL = (
    '<section class="panel"><h2>In this photo</h2><div class="empty small"><p>Drop a photo: who and what is in it '
    "appears here, before you ask anything.</p></div></section>"
)


def nearest(known: Sequence[tuple[Concept, Photo | None]], box: Box) -> str:
    """The concepts that a marked part of a photo may show, each a button with its picture."""
    buttons = []
    for concept, picture in known:
        face = f'<img class="face" src="{data_url(picture, 64, square=True)}" alt="">' if picture else ""
        name = f'<span dir="auto">{escape(concept.name)}</span>'
        buttons.append(f"<button {act('is', concept=concept.id, box=json.dumps(box))}>{face}{name}</button>")
    return f'<div class="singles" role="group" aria-label="Or one of yours">{"".join(buttons)}</div>' if buttons else ""


def _place(box: Box) -> str:
    x0, y0, x1, y1 = box
    return f"left:{x0:.2%};top:{y0:.2%};width:{x1 - x0:.2%};height:{y1 - y0:.2%}"


def _box(match: Match, colour: int) -> str:
    assert match.box is not None
    name = escape(match.concept.name)
    maybe = match.certainty == "maybe"
    how = "perhaps" if maybe else "recognised as"
    return (
        f'<button class="box c{colour}{" maybe" if maybe else ""}" style="{_place(match.box)}" '
        f'data-concept="{match.concept.id}" {act("mark", box=json.dumps(match.box))} '
        f'aria-label="Say who this is ({how} {name})">'
        f'<span dir="auto">{name}{"?" if maybe else ""}</span></button>'
    )


def _marked(box: Box) -> str:
    return f'<div class="box marked" style="{_place(box)}"></div>'


def _match(
    match: Match,
    conversation: Conversation,
    avatars: Mapping[str, Photo | None],
    views: Mapping[str, Photo | None],
    wishes: Preferences,
) -> str:
    concept = match.concept
    name = escape(concept.name)
    picture = avatars.get(concept.id)
    face = f'<img class="face" src="{data_url(picture, 96, square=True)}" alt="">' if picture else ""
    similarity = ""
    if match.similarity is not None:
        similarity = f'<span class="similarity" title="{sure(match)}">{match.similarity:.2f}</span>'
    reference = views.get(match.view or "")
    crop = conversation.photo(match.photo)
    why = ""
    if reference and crop and match.similarity is not None:
        why = (
            '<details class="why"><summary>Why?</summary><div class="pair">'
            f'<img src="{data_url(crop, 200, match.box)}" alt="What was seen here">'
            f'<img src="{data_url(reference, 200)}" alt="The photo of {name} it resembles most">'
            f"</div><p>This part of the photo resembles that photo of {name}: <b>{sure(match)}</b>. "
            f"{_bar(match, wishes)}{_verdict(match)}</p></details>"
        )
    denied = match.confirmed is False
    maybe = match.certainty == "maybe" and not denied
    asked = (
        f'<p class="ask"><button {act("is", concept=concept.id, box=json.dumps(match.box))}>Is {name}</button>'
        f"<button {act('not', concept=concept.id)}>Not {name}</button></p>"
        if maybe
        else ""
    )
    title = f"<b>Is this <bdi>{name}</bdi>?</b>" if maybe else f'<b dir="auto">{name}</b>'
    about = "A closer look by the language model says: no." if denied else concept.info or concept.category
    return (
        f'<li class="match{" denied" if denied else " maybe" if maybe else ""}" data-concept="{concept.id}">{face}'
        f'<i class="dot c{conversation.colour(concept.id)}"></i>'
        f'<div class="who">{title}{similarity}<p dir="auto">{escape(about)}</p>{asked}</div>'
        f'<details class="menu"><summary aria-label="More about {name}">⋯</summary><div>'
        f"<button {act('open', concept=concept.id)}>Open {name}</button>"
        f"<button {act('not', concept=concept.id)}>Not {name}</button>"
        f"<button {act('is', concept=concept.id, box=json.dumps(match.box))}>Is {name}: add this view</button>"
        f"</div></details>{why}</li>"
    )


def _verdict(match: Match) -> str:
    """What the language model said, where it was asked."""
    if match.confirmed is None:
        return ""
    said = f"this is {match.concept.name}" if match.confirmed else f"this is not {match.concept.name}"
    return f" That left a doubt, so the language model was asked. It said: {escape(said)}."


# -- concepts ----------------------------------------------------------------------------------------------------------


def cards(
    concepts: Sequence[Concept],
    avatars: Mapping[str, Photo | None],
    alike: Mapping[str, Sequence[str]],
    *,
    total: int,
    chosen: str | None,
    everything: bool,
) -> str:
    """The gallery: one card a concept, equal in size.

    `alike` maps concept ids to the names of those that they are hard to tell from.
    """
    if not total:
        return EMPTY_CONCEPTS
    if not concepts:
        return (
            '<div class="empty small"><p>Nothing of yours is called that. Clear the search to see everything.</p></div>'
        )
    shown = concepts if everything else concepts[:PAGE]
    html = "".join(
        _card(concept, avatars.get(concept.id), alike.get(concept.id, ()), concept.id == chosen) for concept in shown
    )
    more = f'<button class="more" {act("all")}>Show all {len(concepts)}</button>' if len(concepts) > len(shown) else ""
    return f'<div class="cards" role="list">{html}</div>{more}'


EMPTY_CONCEPTS = (
    '<div class="empty"><h2>Your people, pets and things</h2>'
    "<p>Give a name to a few photos of something that is yours, and it is recognised in every other photo.</p>"
    f'<p class="row"><button class="primary" {act("samples")}>Try it with samples</button>'
    f"<button {act('first')}>Add your first concept</button></p></div>"
)


def _card(concept: Concept, picture: Photo | None, alike: Sequence[str], chosen: bool) -> str:
    image = f'<img src="{data_url(picture, 240, square=True)}" alt="">' if picture else '<div class="noimage"></div>'
    hint = "one photo only: add another angle" if len(concept.views) == 1 else ""
    if picture is None:
        hint = "its photo is damaged: open it to remove that"
    elif alike:
        more = f" and {len(alike) - 1} more" if len(alike) > 1 else ""
        hint = f"hard to tell from <bdi>{escape(alike[0])}</bdi>{more}"
    hint = hint and f'<span class="hint{" alike" if alike else ""}">{hint}</span>'
    return (
        f'<button class="card{" chosen" if chosen else ""}" role="listitem" {act("open", concept=concept.id)}>{image}'
        f'<b dir="auto">{escape(concept.name)}</b><span dir="auto">{escape(concept.category) or "&nbsp;"}</span>'
        f"<small>{plural(len(concept.views), 'photo')}</small>{hint}</button>"
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
            chosen = '<span class="hint">on the card</span>'
        else:
            chosen = f"<button {act('avatar', photo=view.sha256)}>Put on the card</button>"
        cross = ""
        if len(concept.views) > 1:
            cross = (
                f'<button class="cross" {act("remove", photo=view.sha256)} aria-label="Remove this photo">×</button>'
            )
        rows.append((readable.get(view.sha256), cross, chosen))
    return strip(rows)


def _bar(match: Match, wishes: Preferences) -> str:
    """Say from where on a name is said."""
    if wishes.threshold is not None or match.probability is None:
        return "" if wishes.threshold is None else f"A name is said from the threshold {wishes.threshold:.2f} on."
    return f"Probability {match.probability:.0%}; a name is said from {wishes.confidence or 0.0:.0%} on."


def negatives(concept: Concept, photos: Sequence[Photo]) -> str:
    """Pictures of what a concept is not, each with a cross; nothing where there are none."""
    if not photos:
        return ""
    pictures = "".join(
        f'<figure><div><img src="{data_url(photo, 120, square=True)}" alt=""><button class="cross" '
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
            f'<figure><img src="{data_url(photo, 240, square=True)}" alt="Photo of {whose}">'
            f'<figcaption dir="auto">{whose}</figcaption></figure>'
            for photo, whose in ((mine, name), (theirs, others))
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
            f'<section class="look-alike"><h3>Hard to tell from <bdi>{others}</bdi></h3>'
            f'<div class="pair">{shown}</div><p class="note">{advice}</p></section>'
        )
    return "".join(sections)


def strip(rows: Any) -> str:
    """A row of thumbnails: (photo, what lies on it, what stands under it)."""
    html = ""
    for photo, over, under in rows:
        image = f'<img src="{data_url(photo, 200, square=True)}" alt="">' if photo else '<div class="noimage"></div>'
        hints = "".join(f"<em>{escape(hint)}</em>" for hint in quality_hints(photo)) if photo else ""
        html += f"<figure><div>{image}{over}</div><figcaption>{under}{hints}</figcaption></figure>"
    return f'<div class="strip">{html}</div>' if html else ""


def forgotten(rows: Sequence[tuple[str, str, int]]) -> str:
    """What was forgotten lately and can still come back: (token, name, minutes left)."""
    html = "".join(
        f"<li><span dir='auto'>{escape(name)}</span><small>{plural(minutes, 'minute')} left</small>"
        f"<button {act('restore', token=token)}>Undo</button></li>"
        for token, name, minutes in rows
    )
    return f'<section class="forgotten"><h3>Forgotten just now</h3><ul>{html}</ul></section>' if html else ""


def import_preview(rows: Sequence[tuple[str, str]], notes: Sequence[str]) -> str:
    """What an import would change: (name, change in words); and what was skipped."""
    html = "".join(f"<tr><td dir='auto'>{escape(name)}</td><td>{escape(change)}</td></tr>" for name, change in rows)
    skipped = "".join(f"<li>{escape(note)}</li>" for note in notes)
    summary = f"{plural(len(notes), 'note')} on what was left out or guessed"
    skipped = f"<details><summary>{summary}</summary><ul>{skipped}</ul></details>" if notes else ""
    return f'<section class="preview"><h3>This would change</h3><table>{html}</table>{skipped}</section>'


# -- everywhere --------------------------------------------------------------------------------------------------------


_TOASTS = count()


def toast(words: str, *, undo: bool = False) -> str:
    """A short notice at the bottom of the screen, with a way back where there is one.

    Each is an element of another name: Gradio mends the one that stands there, whose time is over, instead of drawing
    a new one.
    """
    if not words:
        return ""
    button = f"<button {act('undo')}>Undo</button>" if undo else ""
    tag = f"toast-{next(_TOASTS)}"
    return f'<{tag} class="toast" role="status"><span dir="auto">{escape(words)}</span>{button}</{tag}>'


def problem(words: str) -> str:
    """Something went wrong, said where it happened."""
    return f'<p class="problem" role="alert">{escape(words)}</p>' if words else ""


def opening(progress: Progress, error: str = "") -> str:
    """The first page: what is being made ready, and how far it is."""
    if error:
        return (
            f'<section class="opening"><h2>This did not start</h2><p role="alert">{escape(error)}</p>'
            f'<button class="primary" {act("retry")}>Try again</button></section>'
        )
    share = 100 * progress.done / progress.total if progress.total else None
    bar = f'<progress max="100" {"" if share is None else f"value={share:.0f}"}></progress>'
    return (
        '<section class="opening"><h2>Getting ready</h2><p>The first time, the built-in model is put together on this '
        f'machine; that takes about a minute.</p>{bar}<p role="status">{escape(progress.text)}</p></section>'
    )


def busy(words: str, step: Progress | None = None) -> str:
    """Something long is going on."""
    bar = (
        f'<progress max="{step.total}" value="{step.done}"></progress>'
        if step and step.total
        else "<progress></progress>"
    )
    return f'<div class="busy" role="status"><p>{escape(words)}</p>{bar}</div>'


def facts(rows: Sequence[tuple[str, str]]) -> str:
    """A short table of facts."""
    html = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in rows)
    return f'<dl class="facts">{html}</dl>'


def header(model: str, note: str) -> str:
    """The line at the top: whose app this is, what runs, and the switch between light and dark."""
    return (
        f'<header class="top"><a class="brand" href="/"><span class="mark" aria-hidden="true"></span>Personal</a>'
        f'<span class="running" title="{escape(note)}">{escape(model)}</span>'
        f'<button {act("theme")} aria-label="Light or dark">{icon("moon")}</button></header>'
    )


def banner(*, shared: bool, sees: bool, model: str, server: str = "", ended: str = "") -> str:
    """What a visitor must know before the first photo: that an earlier visit `ended`, where it goes, what the model
    can do."""
    lines = [ended] if ended else []
    if shared:
        lines.append(
            "You are a guest here: your photos and concepts are visible to you alone and are erased when you leave. "
            "Export what you want to keep."
        )
    if server:
        lines.append(
            f"Answers come from {server}: your questions, the photos in them and what you wrote about your concepts "
            "are sent there."
        )
    if not sees:
        lines.append(
            f"{model} does not look at photos: it is told which of your concepts are there, where, and what you wrote "
            "about them. Recognition does look."
        )
    if not sees and model == TINY:
        lines[-1] += " What it has learnt is missing from this installation: python -m personal doctor says more."
    return "".join(f'<p class="banner">{escape(line)}</p>' for line in lines)

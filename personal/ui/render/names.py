"""The names in a photo of the thread: each can be confirmed or denied where it stands, and a missing one added."""

from __future__ import annotations

import json
from collections.abc import Mapping
from html import escape

from personal.concepts import Box, Concept, Match, Photo
from personal.conversations import Conversation
from personal.ui.render.elements import act, icon

NOBODY = "I don't recognise anyone or anything of yours here."
LOOKING = "Looking …"
CAPTIONED = 2
"""Names under a thumbnail; of more it is said how many there are."""


def names(conversation: Conversation, photo: Photo, concepts: Mapping[str, Concept] | None = None) -> str:
    """Return a row with who is recognised in a photo, what is only maybe as a question; "" before it was looked at.

    `concepts` are today's by their ids, so that an edited one has its new name.
    """
    found = conversation.findings.get(photo.sha256)
    if found is None:
        return ""
    found = found if concepts is None else found.up_to_date(concepts)
    rows = [_name(match, photo, conversation) for match in (*found.seen, *found.unsure) if match.box]
    nobody = "" if rows else f'<span class="nobody">{NOBODY}</span>'
    add = f"<button {act('mark', photo=photo.sha256, box='[0,0,1,1]')}>{icon('plus')}Name someone</button>"
    return f'<div class="names" role="group" aria-label="Who is in this photo">{"".join(rows)}{nobody}{add}</div>'


def _name(match: Match, photo: Photo, conversation: Conversation) -> str:
    name, colour = escape(match.concept.name), conversation.colour(match.concept.id)
    confirmed = "true" if (photo.sha256, match.concept.id) in conversation.confirmed else "false"
    maybe = match.certainty == "maybe"
    data = {"photo": photo.sha256, "concept": match.concept.id}
    words = f"Is this <b dir='auto'>{name}</b>?" if maybe else f"<b dir='auto'>{name}</b>"
    yes = (
        f"<button class='yes' aria-pressed='{confirmed}' {act('is', **data, box=json.dumps(match.box))} "
        f'aria-label="Yes, this is {name} – learn this photo" title="Yes, this is {name} – learn this photo">'
        f"{icon('check')}</button>"
    )
    no = (
        f"<button class='no' {act('not', **data)} aria-label=\"This isn't {name}\" title=\"This isn't {name}\">"
        f"{icon('close')}</button>"
    )
    return (
        f'<span class="name c{colour}{" maybe" if maybe else ""}" data-concept="{match.concept.id}">'
        f"<span>{words}</span>{yes}{no}</span>"
    )


def caption(conversation: Conversation, photo: Photo) -> str:
    """Return who is recognised in a photo, in the few words that stand under its thumbnail."""
    found = conversation.findings.get(photo.sha256)
    if found is None:
        return f'<span class="nobody">{LOOKING}</span>'
    matches = [match for match in (*found.seen, *found.unsure) if match.box]
    if not matches:
        return '<span class="nobody">Nobody of yours</span>'
    more = f"<span>+{len(matches) - CAPTIONED}</span>" if len(matches) > CAPTIONED else ""
    return (
        "".join(
            f'<span data-concept="{match.concept.id}"><i class="dot c{conversation.colour(match.concept.id)}"></i>'
            f"<bdi>{escape(match.concept.name)}{'?' if match.certainty == 'maybe' else ''}</bdi></span>"
            for match in matches[:CAPTIONED]
        )
        + more
    )


def boxes(conversation: Conversation, photo: Photo) -> str:
    """Return the boxes of a photo's matches with their names, to lie on the photo."""
    found = conversation.of(photo)
    return "".join(
        f'<span class="box c{conversation.colour(match.concept.id)}{" maybe" if match.certainty == "maybe" else ""}" '
        f'style="{place_of(match.box)}" data-concept="{match.concept.id}"><span dir="auto">{escape(match.concept.name)}'
        f"{'?' if match.certainty == 'maybe' else ''}</span></span>"
        for match in (*found.seen, *found.unsure)
        if match.box
    )


def place_of(box: Box) -> str:
    """Return a box as a style: where it lies on its photo."""
    x0, y0, x1, y1 = box
    return f"left:{x0:.2%};top:{y0:.2%};width:{x1 - x0:.2%};height:{y1 - y0:.2%}"

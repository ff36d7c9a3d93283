"""The photo with its boxes, its matches with their evidence, and what a marked part may show."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape

from personal.concepts import Box, Concept, Match, Photo, Preferences
from personal.conversations import Conversation
from personal.ui.render.certainty import describe, sure
from personal.ui.render.elements import act, icon, picture
from personal.ui.render.names import LOOKING, place_of


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
    if photo.sha256 not in conversation.findings:
        rows = f'<li class="looking">{LOOKING}</li>'
    elif not rows:
        hint = (
            "I don't recognise anyone or anything of yours here."
            if any_concepts
            else "No concepts yet. Press “Name something” and give what you see a name."
        )
        rows = f'<li class="none">{hint}</li>'
    shape = f"--w:{photo.width};--h:{photo.height}"
    return (
        f'<section class="panel"><h2>In this photo</h2>{VIEWER}'
        f'<div class="stage" data-stage="{photo.sha256}" style="{shape}">'
        f"{picture(photo, 1200, alt=describe(found))}{boxes}{mark}</div>"
        f'<p class="note">Wrong or missing? Click a box, or drag to draw one, and name it.</p>'
        f'<ul class="matches">{rows}</ul>'
        f'<button class="this" {act("mark", box="[0,0,1,1]")}>{icon("plus")}Name something</button></section>'
    )


VIEWER = (
    f'<p class="viewer"><button {act("previous")} aria-label="Previous photo">{icon("left")}</button>'
    f'<button {act("next")} aria-label="Next photo">{icon("right")}</button>'
    f'<button {act("close")} aria-label="Close">{icon("close")}</button></p>'
)
"""The buttons of a photo that is opened large (`assets/chat.js`)."""

EMPTY_PANEL = (
    '<section class="panel"><h2>In this photo</h2><div class="empty small"><p>Add a photo to see who’s in it.</p></div>'
    "</section>"
)


def nearest(known: Sequence[tuple[Concept, Photo | None]], box: Box) -> str:
    """The concepts that a marked part of a photo may show, each a button with its picture."""
    buttons = []
    for concept, avatar in known:
        face = picture(avatar, 64, square=True, subject=True, classes="face") if avatar else ""
        name = f'<span dir="auto">{escape(concept.name)}</span>'
        buttons.append(f"<button {act('is', concept=concept.id, box=json.dumps(box))}>{face}{name}</button>")
    return f'<div class="singles" role="group" aria-label="Or one of yours">{"".join(buttons)}</div>' if buttons else ""


def _box(match: Match, colour: int) -> str:
    assert match.box is not None
    name = escape(match.concept.name)
    maybe = match.certainty == "maybe"
    how = "perhaps" if maybe else "recognised as"
    return (
        f'<button class="box c{colour}{" maybe" if maybe else ""}" style="{place_of(match.box)}" '
        f'data-concept="{match.concept.id}" {act("mark", box=json.dumps(match.box))} '
        f'aria-label="Say who this is ({how} {name})">'
        f'<span dir="auto">{name}{"?" if maybe else ""}</span></button>'
    )


def _marked(box: Box) -> str:
    return f'<div class="box marked" style="{place_of(box)}"></div>'


def _match(
    match: Match,
    conversation: Conversation,
    avatars: Mapping[str, Photo | None],
    views: Mapping[str, Photo | None],
    wishes: Preferences,
) -> str:
    concept = match.concept
    name = escape(concept.name)
    avatar = avatars.get(concept.id)
    face = picture(avatar, 96, square=True, subject=True, classes="face") if avatar else ""
    similarity = ""
    if match.similarity is not None:
        similarity = f'<span class="similarity" title="{sure(match)}">{match.similarity:.2f}</span>'
    denied = match.confirmed is False
    maybe = match.certainty == "maybe" and not denied
    asked = (
        f'<p class="ask"><button {act("is", concept=concept.id, box=json.dumps(match.box))}>Is {name}</button>'
        f"<button {act('not', concept=concept.id)}>Not {name}</button></p>"
        if maybe
        else ""
    )
    title = f"<b>Is this <bdi>{name}</bdi>?</b>" if maybe else f'<b dir="auto">{name}</b>'
    about = "Checked again: probably not." if denied else concept.info or concept.category
    return (
        f'<li class="match{" denied" if denied else " maybe" if maybe else ""}" data-concept="{concept.id}">{face}'
        f'<i class="dot c{conversation.colour(concept.id)}"></i>'
        f'<div class="who">{title}{similarity}<p dir="auto">{escape(about)}</p>{asked}</div>'
        f'<details class="menu"><summary aria-label="More about {name}">⋯</summary><div>'
        f"<button {act('open', concept=concept.id)}>Open {name}</button>"
        f"<button {act('not', concept=concept.id)}>This isn't {name}</button>"
        f"<button {act('is', concept=concept.id, box=json.dumps(match.box))}>"
        f"Yes, this is {name} – learn this photo</button>"
        f"</div></details>{_why(match, conversation.photo(match.photo), views.get(match.view or ''), wishes)}</li>"
    )


def _why(match: Match, crop: Photo | None, reference: Photo | None, wishes: Preferences) -> str:
    """The part of the photo beside the view that it resembles most."""
    if not reference or not crop or match.similarity is None:
        return ""
    name = match.concept.name
    return (
        '<details class="why"><summary>Why?</summary><div class="pair">'
        f"{picture(crop, 200, box=match.box, alt='What was seen here')}"
        f"{picture(reference, 200, alt=f'The photo of {name} it resembles most')}"
        f"</div><p>This part of the photo resembles that photo of {escape(name)}: <b>{sure(match)}</b>. "
        f"{_bar(match, wishes)}{_verdict(match)}</p></details>"
    )


def _verdict(match: Match) -> str:
    """What the language model said, where it was asked."""
    if match.confirmed is None:
        return ""
    said = f"this is {match.concept.name}" if match.confirmed else f"this is not {match.concept.name}"
    return f" That left a doubt, so the language model was asked. It said: {escape(said)}."


def _bar(match: Match, wishes: Preferences) -> str:
    """Say from where on a name is said."""
    if wishes.threshold is not None or match.probability is None:
        return "" if wishes.threshold is None else f"A name is said from the threshold {wishes.threshold:.2f} on."
    return f"Probability {match.probability:.0%}; a name is said from {wishes.confidence or 0.0:.0%} on."

"""The review: a photo with the part that is asked about, beside what it may show, and the answers."""

from __future__ import annotations

from html import escape

from personal.concepts import Match, Photo
from personal.conversations import Conversation
from personal.ui.render.elements import act, icon, picture, plural
from personal.ui.render.names import place_of


def review(conversation: Conversation, photo: Photo, match: Match, reference: Photo | None, *, left: int) -> str:
    """Ask whether a part of a photo is a concept, of which `reference` is the photo that it is most like."""
    name, data = escape(match.concept.name), {"photo": photo.sha256, "concept": match.concept.id}
    box = ""
    if match.box:
        colour = conversation.colour(match.concept.id)
        box = f'<span class="box maybe c{colour}" style="{place_of(match.box)}"></span>'
    beside = ""
    if reference:
        image = picture(reference, 200, square=True, alt=f"Photo of {match.concept.name}")
        beside = f'<figure>{image}<figcaption dir="auto">{name}</figcaption></figure>'
    return (
        f'<section class="review"><h2>Review</h2><p class="note">{plural(left, "photo")} where I am not sure · '
        f'<span dir="auto">{escape(conversation.title)}</span></p>'
        f'<div class="stage" style="--w:{photo.width};--h:{photo.height}">'
        f"{picture(photo, 900, alt='The photo in question')}{box}</div>"
        f'<div class="asked">{beside}<h3 role="status">Is this <bdi>{name}</bdi>?</h3></div>'
        '<div class="answers">'
        f'<button class="primary" data-answer="yes" {act("is", **data)}>{icon("check")}Yes</button>'
        f'<button data-answer="no" {act("not", **data)}>{icon("close")}No</button>'
        f'<button data-answer="skip" {act("skip", **data)}>Skip</button></div>'
        '<p class="note keys">Keys: <kbd>Y</kbd> yes, <kbd>N</kbd> no, <kbd>S</kbd> skip, <kbd>U</kbd> undo</p>'
        "</section>"
    )


def nothing_to_review(*, any_concepts: bool, photos: int, skipped: int) -> str:
    """Say why there is nothing to review."""
    again = ""
    if skipped:
        words = f"You skipped {plural(skipped, 'photo')}. The others are done."
        again = f"<p><button {act('unskip')}>Show {'it' if skipped == 1 else 'them'} again</button></p>"
    elif not any_concepts:
        words = "Nothing to review yet. Add a concept first; where I am not sure of it in a photo, I ask you here."
    elif not photos:
        words = "Nothing to review yet. Add photos in Chat; where I am not sure who is in one, I ask you here."
    else:
        words = f"Nothing to review. I am sure of every name in the {plural(photos, 'photo')} of your conversations."
    return f'<section class="review"><h2>Review</h2><div class="empty small"><p>{words}</p>{again}</div></section>'

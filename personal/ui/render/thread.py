"""The conversation: questions with their photos, answers with names as chips and what they rest on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from personal.concepts import Concept, Photo
from personal.conversations import Conversation, Entry
from personal.ui.render.answer import answer_html
from personal.ui.render.certainty import describe
from personal.ui.render.elements import act, icon, picture
from personal.ui.render.names import boxes, names


def log(conversation: Conversation, concepts: Mapping[str, Concept], examples: Sequence[tuple[Photo, str]] = ()) -> str:
    """The conversation so far; the answer that is being written is drawn elsewhere (`live`)."""
    if not conversation.entries:
        return "" if conversation.photos else EMPTY_CHAT if concepts else _first_chat(examples)
    return "".join(
        entry_html(conversation, number, entry, concepts) for number, entry in enumerate(conversation.entries)
    )


def _shot(conversation: Conversation, photo: Photo, *, small: bool = False) -> str:
    words = describe(conversation.of(photo))
    image = picture(photo, 96, square=True, alt=words) if small else picture(photo, 480, alt=words)
    return (
        f'<button class="shot" {act("photo", photo=photo.sha256)} aria-label="Show in side panel: {escape(words)}">'
        f"{image}{'' if small else boxes(conversation, photo)}</button>"
    )


EMPTY_CHAT = (
    '<div class="empty"><h2>Ask about a photo</h2><p>Add, paste or take a photo. Your people, pets and things are '
    "recognised at once and called by name.</p></div>"
)


def _first_chat(examples: Sequence[tuple[Photo, str]]) -> str:
    """Return what a newcomer sees: examples, one click each, and the way to a concept of one's own."""
    cards = "".join(
        f'<button class="example" {act("example", example=number)}>{picture(photo, 320, square=True)}'
        f"<span>{escape(question)}</span></button>"
        for number, (photo, question) in enumerate(examples)
    )
    return (
        '<div class="empty"><h2>Teach it who and what matters to you</h2>'
        "<p>Give a name to a few photos of your dog, your mug or your friend. They are then recognised in your other "
        "photos and called by name.</p>"
        f'<p class="row"><button class="primary" {act("first")}>Add your first concept</button>'
        f"<button {act('samples')}>Try it with samples</button></p>"
        f'<p class="or">Or see how it answers:</p><div class="examples">{cards}</div></div>'
    )


def entry_html(conversation: Conversation, number: int, entry: Entry, concepts: Mapping[str, Concept]) -> str:
    """One exchange: the question with its photos, the answer with what it used."""
    shots = "".join(_shot(conversation, photo) for photo in entry.turn.photos)
    edited = " editing" if conversation.editing == number else ""
    question = (
        f'<article class="said you{edited}">{shots and f"<div class=shots>{shots}</div>"}'
        f'<p dir="auto">{escape(entry.turn.question)}</p>'
        f"<footer><button {act('edit', entry=number)}>{icon('edit')}Edit</button></footer></article>"
    )
    rows = "".join(names(conversation, photo, concepts) for photo in entry.turn.photos)
    if entry is conversation.answering:
        return question + rows
    return question + rows + answer_html(conversation, number, entry, concepts)


def drafts(conversation: Conversation) -> str:
    """Photos that go with the next question, each with a cross; and the notice that a question is being edited."""
    parts = []
    if conversation.editing is not None:
        parts.append(
            f'<p class="note">Editing – later messages will be replaced. <button {act("unedit")}>Cancel</button></p>'
        )
    parts += [
        f'<span class="draft">{_shot(conversation, photo, small=True)}'
        f'<button class="cross" {act("undraft", photo=photo.sha256)} aria-label="Remove this photo">×</button></span>'
        for photo in conversation.draft
    ]
    rows = "".join(names(conversation, photo) for photo in conversation.draft)
    return f'<div class="drafts">{"".join(parts)}{rows}</div>' if parts else ""

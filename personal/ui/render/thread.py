"""The conversation: questions with their photos, answers with names as chips and what they rest on."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from personal.concepts import Concept, Photo
from personal.ui.render.answer import answer_html
from personal.ui.render.certainty import describe
from personal.ui.render.elements import act, icon, picture
from personal.ui.sessions import Conversation, Entry


def log(conversation: Conversation, concepts: Mapping[str, Concept]) -> str:
    """The conversation so far; the answer that is being written is drawn elsewhere (`live`)."""
    if not conversation.entries:
        return "" if conversation.photos else EMPTY_CHAT if concepts else FIRST_CHAT
    return "".join(
        entry_html(conversation, number, entry, concepts) for number, entry in enumerate(conversation.entries)
    )


def _shot(conversation: Conversation, photo: Photo, side: int, *, square: bool = False) -> str:
    words = describe(conversation.of(photo))
    return (
        f'<button class="shot" {act("photo", photo=photo.sha256)} aria-label="Show this photo beside">'
        f"{picture(photo, side, square=square, alt=words)}</button>"
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
    shots = "".join(_shot(conversation, photo, 320) for photo in entry.turn.photos)
    edited = " editing" if conversation.editing == number else ""
    question = (
        f'<article class="said you{edited}">{shots and f"<div class=shots>{shots}</div>"}'
        f'<p dir="auto">{escape(entry.turn.question)}</p>'
        f"<footer><button {act('edit', entry=number)}>{icon('edit')}Edit</button></footer></article>"
    )
    if entry is conversation.answering:
        return question
    return question + answer_html(conversation, number, entry, concepts)


def drafts(conversation: Conversation) -> str:
    """Photos that go with the next question, each with a cross; and the notice that a question is being edited."""
    parts = []
    if conversation.editing is not None:
        parts.append(
            f'<p class="note">Editing a question: what came after it is replaced. '
            f"<button {act('unedit')}>Cancel</button></p>"
        )
    parts += [
        f'<span class="draft">{_shot(conversation, photo, 96, square=True)}'
        f'<button class="cross" {act("undraft", photo=photo.sha256)} aria-label="Remove this photo">×</button></span>'
        for photo in conversation.draft
    ]
    return f'<div class="drafts">{"".join(parts)}</div>' if parts else ""

"""The conversation: questions with their photos, answers with names as chips and what they rest on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape

from personal.concepts import Concept, Photo
from personal.conversations import Conversation, Entry
from personal.folding import folded
from personal.ui.render.answer import answer_html, chip
from personal.ui.render.certainty import describe
from personal.ui.render.elements import act, icon, picture
from personal.ui.render.names import boxes, caption, names

HEADING = '<h2 class="unseen">Conversation</h2>'


def log(conversation: Conversation, concepts: Mapping[str, Concept], examples: Sequence[tuple[Photo, str]] = ()) -> str:
    """The conversation so far; the answer that is being written is drawn elsewhere (`live`)."""
    if not conversation.entries:
        return "" if conversation.photos else EMPTY_CHAT if concepts else _first_chat(examples)
    return HEADING + "".join(
        entry_html(conversation, number, entry, concepts) for number, entry in enumerate(conversation.entries)
    )


def _shot(conversation: Conversation, photo: Photo, *, small: bool = False) -> str:
    """Return a photo that is opened large with a click, marked if it is the one in the panel."""
    words = describe(conversation.of(photo))
    image = picture(photo, 160, square=True, alt=words) if small else picture(photo, 480, alt=words)
    active = ' aria-current="true"' if photo.sha256 == conversation.active and len(conversation.photos) > 1 else ""
    shape = f"--w:{photo.width};--h:{photo.height}"  # its place is kept until it is there
    return (
        f'<button class="shot"{active} style="{shape}" {act("photo", photo=photo.sha256)} '
        f'aria-label="Open large: {escape(words)}">'
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
    photos = entry.turn.photos
    figures = "".join(
        f"<figure>{_shot(conversation, photo)}{names(conversation, photo, concepts)}</figure>" for photo in photos
    )
    shots = f'<div class="shots{" many" if len(photos) > 1 else ""}">{figures}</div>' if figures else ""
    edited = " editing" if conversation.editing == number else ""
    question = (
        f'{shots}<article class="said you{edited}" aria-label="Your question">'
        f'<p dir="auto">{_asked(entry.turn.question, conversation, concepts)}</p>'
        f"<footer><button {act('edit', entry=number)}>{icon('edit')}Edit</button></footer></article>"
    )
    if entry is conversation.answering:
        return question
    return question + answer_html(conversation, number, entry, concepts)


def _asked(question: str, conversation: Conversation, concepts: Mapping[str, Concept]) -> str:
    """Return a question as it was typed, with every `<name>` of a concept as a chip."""
    known = {folded(concept.name): concept for concept in concepts.values()}

    def named(found: re.Match[str]) -> str:
        concept = known.get(folded(found[1]))
        return chip(concept, conversation.colour(concept.id)) if concept else escape(found[0])

    parts, end = [], 0
    for found in re.finditer("<([^<>\n]+)>", question):
        parts += [escape(question[end : found.start()]), named(found)]
        end = found.end()
    return "".join(parts) + escape(question[end:])


def drafts(conversation: Conversation) -> str:
    """Photos that go with the next question, each with its names and a cross; and that a question is being edited."""
    editing = (
        f'<p class="note">Editing – later messages will be replaced. <button {act("unedit")}>Cancel</button></p>'
        if conversation.editing is not None
        else ""
    )
    photos = "".join(
        f'<figure class="draft">{_shot(conversation, photo, small=True)}'
        f'<button class="cross" {act("undraft", photo=photo.sha256)} aria-label="Remove this photo">×</button>'
        f"<figcaption>{caption(conversation, photo)}</figcaption></figure>"
        for photo in conversation.draft
    )
    return f'<div class="drafts">{editing}{photos}</div>' if editing or photos else ""

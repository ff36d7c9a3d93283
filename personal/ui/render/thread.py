"""The conversation: questions with their photos, answers with names as chips and what they rest on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape

from markdown_it import MarkdownIt

from personal.concepts import Answer, Concept, Photo, Waiting
from personal.folding import folded
from personal.ui.render.certainty import describe, how
from personal.ui.render.elements import act, icon, picture, plural
from personal.ui.sessions import Conversation, Entry

_MARKDOWN = MarkdownIt("commonmark", {"html": False, "breaks": True}).disable(
    ["image", "link", "autolink", "reference"]
)
"""No links and no pictures from answers: a page that fetched one would tell its server what was asked."""
_HELD, _HOLDS = "\ue000{}\ue001", re.compile("\ue000(\\d*)\ue001")
"""Where a chip goes, in signs that mean nothing to anybody."""


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
        f'<span class="draft">{_shot(conversation, photo, 96, square=True)}'
        f'<button class="cross" {act("undraft", photo=photo.sha256)} aria-label="Remove this photo">×</button></span>'
        for photo in conversation.draft
    ]
    return f'<div class="drafts">{"".join(parts)}</div>' if parts else ""

"""An answer: what is known stands first with its source, the model's words beneath, and what both rest on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from html import escape

from markdown_it import MarkdownIt

from personal.concepts import Answer, Concept, Statement, Waiting
from personal.conversations import Conversation, Entry, with_concepts
from personal.folding import folded
from personal.settings import TINY
from personal.ui.render.certainty import how
from personal.ui.render.elements import SMALL_MODEL, act, icon, plural
from personal.ui.render.rating import remark, thumbs

_MARKDOWN = MarkdownIt("commonmark", {"html": False, "breaks": True}).disable(
    ["image", "link", "autolink", "reference"]
)
"""No links and no pictures from answers: a page that fetched one would tell its server what was asked."""
_HELD, _HOLDS = "\ue000{}\ue001", re.compile("\ue000(\\d*)\ue001")
"""Where a chip goes: private-use characters, which mean nothing to anybody."""
SOURCES = {"recognition": "From recognition", "notes": "From your notes"}
NOT_RECOGNISED = "not recognised in this photo"


def chip(concept: Concept, colour: int) -> str:
    """Return a concept's name in its colour."""
    return f'<span class="chip c{colour}" data-concept="{concept.id}" dir="auto">{escape(concept.name)}</span>'


def prose(
    text: str,
    concepts: Mapping[str, Concept],
    colours: Mapping[str, int],
    spoken: Sequence[Concept] = (),
    recognised: Set[str] | None = None,
) -> str:
    """Return answer text as HTML: Markdown, with every `<name>` of `concepts` (id → concept) as a chip.

    `spoken` are concepts as they were called then: who has another name now stands there by that one, and who was
    forgotten by the name alone. A concept whose id is not in `recognised` is plain text with a mark; None marks nobody.
    """
    names = {folded(concept.name): concept for concept in (*concepts.values(), *spoken)}
    names |= {concept.name: concept for concept in (*concepts.values(), *spoken)}
    chips: list[str] = []

    def held(found: re.Match[str]) -> str:
        concept = names.get(found[1].strip()) or names.get(folded(found[1]))
        if concept is None:
            return found[0]
        now = concepts.get(concept.id)
        if now is None:
            chips.append(f'<span class="gone" dir="auto">{escape(found[1].strip())}</span>')
        elif recognised is not None and now.id not in recognised:
            chips.append(
                f'<span class="unrecognised" dir="auto">{escape(now.name)}<small> ({NOT_RECOGNISED})</small></span>'
            )
        else:
            chips.append(chip(now, colours.get(now.id, 0) % 8))
        return _HELD.format(len(chips) - 1)

    text = _HOLDS.sub("", text)
    if names:  # before Markdown makes something of a name's own signs
        # Blanks inside the brackets: a name that is also a control token of some model is written that way to it.
        text = re.sub("<([^<>\n]+)>", held, text)
    html: str = _MARKDOWN.render(text)
    return _HOLDS.sub(lambda found: chips[int(found[1])], html)


def answer_html(conversation: Conversation, number: int, entry: Entry, concepts: Mapping[str, Concept]) -> str:
    """Return a finished answer, or what went wrong in words with the way to try again."""
    last = number == len(conversation.entries) - 1
    again = (
        f"<button {act('again')}>{icon('again')}{'Try again' if entry.error else 'Regenerate'}</button>" if last else ""
    )
    if entry.answer is None:
        words = entry.error or "Stopped."
        return (
            f'<article class="said it failed" role="alert" aria-label="Answer"><p>{escape(words)}</p>'
            f"<footer>{again}</footer></article>"
        )
    answer, earlier = entry.answer, set[str]()
    spoken = [match.concept for match in answer.look.matches]
    statement = answer.look.statement
    if answer.tokens or answer.stopped:
        known = _statement(statement, concepts, conversation.colours)
        recognised = conversation.recognised(entry, answer.look)
        earlier = set() if entry.turn.photos else recognised or set()
        text = prose(answer.text, concepts, conversation.colours, spoken, recognised)
        silent = "" if answer.stopped else "<p><em>No answer.</em></p>"
        words = _written(text or silent, answer.model) if text or silent else ""
    else:  # what is known is the whole answer
        whole = Statement(answer.text, statement.source) if statement else None
        known = _statement(whole, concepts, conversation.colours, spoken)
        words = "" if known else f'<div class="words" dir="auto">{prose(answer.text, concepts, {}, spoken)}</div>'
    shown = [concepts[one] for one in sorted(earlier) if one in concepts]
    stopped = '<p class="note">Stopped.</p>' if answer.stopped else ""
    failed = f'<p class="note" role="alert">{escape(entry.error)}</p>' if entry.error else ""
    copy = f'{thumbs(number, entry)}<button {act("copy")} data-text="{escape(answer.text)}">{icon("copy")}Copy</button>'
    return (
        f'<article class="said it" aria-label="Answer">{known}{words}{stopped}{failed}'
        f"{used(_today(answer, concepts), conversation, shown)}<footer>{copy}{again}</footer>"
        f"{remark(number, entry)}</article>"
    )


def _today(answer: Answer, concepts: Mapping[str, Concept]) -> Answer:
    """Return an answer that rests on the concepts as they are now; of a forgotten one the name is left."""
    return replace(answer, look=with_concepts(answer.look, lambda concept: concepts.get(concept.id)))


def _statement(
    statement: Statement | None,
    concepts: Mapping[str, Concept],
    colours: Mapping[str, int],
    spoken: Sequence[Concept] = (),
) -> str:
    """Return what is known, with its source."""
    if statement is None:
        return ""
    text = prose(statement.text, concepts, colours, [*spoken, *statement.concepts])
    return (
        f'<div class="known"><div class="words" dir="auto">{text}</div><small>{SOURCES[statement.source]}</small></div>'
    )


def _written(text: str, model: str) -> str:
    """Return the model's words, marked as such."""
    doubt = f" · {SMALL_MODEL}" if model == TINY else ""
    by = f'<small class="by">{escape(model)}{doubt}</small>' if model else ""
    return f'<div class="model">{by}<div class="words" dir="auto">{text}</div></div>'


def used(answer: Answer, conversation: Conversation, recognised: Sequence[Concept] = ()) -> str:
    """Return what an answer rests on, folded: each match with its card, what was ruled out, and how long it took.

    `recognised` are those in the photos of an earlier question, which it is about if it brings none.
    """
    known = [*recognised, *(answer.look.statement.concepts if answer.look.statement else ())]
    rests_on = [*known, *(match.concept for match in answer.matches)]
    names = ", ".join({concept.id: concept.name for concept in rests_on}.values())
    denied = ", ".join(match.concept.name for match in answer.look.denied)
    ruled_out = f"ruled out {escape(denied)}" if denied else ""
    retrieve_s = answer.look.seconds
    time = f"{retrieve_s:.1f} s" + (f" + {answer.total_s - retrieve_s:.1f} s" if answer.tokens and names else "")
    if answer.tokens and not names:
        time = f"{answer.total_s:.1f} s"
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
    rests = f"used {escape(names)}" if names else "General answer" if answer.tokens else "No concept used"
    said = " · ".join(part for part in (rests, ruled_out, time, left_out) if part)
    return f'<details class="used"><summary>{said}</summary><ul>{rows}</ul>{why}<p>{model}</p></details>'


def place(waiting: Waiting) -> str:
    """Return a place in the queue, and the expected wait where it is known."""
    where = "You're next in line" if waiting.place == 1 else f"You're number {waiting.place} in line"
    if waiting.seconds is None:
        return f"{where} …"
    if waiting.seconds < 5:
        return f"{where}: a few seconds …"
    if waiting.seconds < 90:
        return f"{where}: about {5 * round(waiting.seconds / 5)} seconds …"
    return f"{where}: about {round(waiting.seconds / 60)} minutes …"


def live(
    text: str,
    status: str,
    concepts: Mapping[str, Concept],
    colours: Mapping[str, int],
    *,
    statement: Statement | None = None,
    recognised: Set[str] | None = None,
    model: str = "",
) -> str:
    """Return the answer being streamed, with a caret, below what is known; `status` stands until the first words."""
    known = _statement(statement, concepts, colours)
    if not text:
        return (
            f'<article class="said it waiting">{known}'
            f'<p role="status"><span class="pulse"></span>{escape(status)}</p></article>'
        )
    words = _written(prose(text, concepts, colours, (), recognised), model)
    return f'<article class="said it live">{known}{words}</article>'

"""What a person made of an answer: a thumb up or down, and a word about it."""

from __future__ import annotations

from html import escape

from personal.conversations import MAX_REMARK, Entry
from personal.ui.render.elements import act, icon

_THUMBS = {"up": "Good answer", "down": "Bad answer"}


def thumbs(number: int, entry: Entry) -> str:
    """Return the buttons that rate an entry's answer."""
    return "".join(
        f"<button class='thumb' {act('rate', entry=number, rating=rating)} aria-label='{words}' title='{words}' "
        f"aria-pressed='{'true' if entry.rating == rating else 'false'}'>{icon(f'thumb-{rating}')}</button>"
        for rating, words in _THUMBS.items()
    )


def remark(number: int, entry: Entry) -> str:
    """Return the field for a word about a rated answer."""
    if not entry.rating:
        return ""
    asked = "What was good?" if entry.rating == "up" else "What was wrong?"
    return (
        f'<form class="remark" data-send="remark" data-entry="{number}"><input name="remark" maxlength="{MAX_REMARK}" '
        f'value="{escape(entry.remark)}" aria-label="{asked}" placeholder="{asked} (optional)" autocomplete="off" '
        f'dir="auto"><button>Save</button></form>'
    )

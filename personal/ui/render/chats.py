"""The list of conversations: grouped by day, each with its photo, title and time, and what can be done with it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from html import escape
from itertools import groupby

from personal.conversations import MAX_TITLE
from personal.remember.conversations import KeptConversation
from personal.ui.render.elements import act, icon, picture

LISTED = 30
"""Conversations that are listed before "Show all" is pressed."""


def chats(listed: Sequence[KeptConversation], current: str, *, searched: bool, everything: bool, note: str = "") -> str:
    """Return the list, the conversation asked last first; `current` is the id of that shown, `note` stands below."""
    shown = listed if everything else listed[:LISTED]
    today = date.today()
    groups = "".join(
        f"<h3>{day}</h3><ul>{''.join(_item(one, current, today) for one in some)}</ul>"
        for day, some in groupby(shown, key=lambda one: day_of(_local(one.updated).date(), today))
    )
    if not groups:
        groups = f'<p class="note">{"No matches." if searched else "Your chats appear here."}</p>'
    more = f"<button class='more' {act('all')}>Show all {len(listed)}</button>" if len(shown) < len(listed) else ""
    below = f'<p class="note">{escape(note)}</p>' if note else ""
    return f'<nav aria-label="Chats"><h2>Chats</h2>{groups}{more}</nav>{below}'


def day_of(day: date, today: date) -> str:
    """Return the heading under which a day's conversations stand."""
    if day >= today:
        return "Today"
    if day == today - timedelta(days=1):
        return "Yesterday"
    if day > today - timedelta(days=7):
        return "Previous 7 days"
    return f"{day:%B %Y}"


def _item(one: KeptConversation, current: str, today: date) -> str:
    title, when = escape(one.title[:MAX_TITLE]), _local(one.updated)
    said = f"{when:%H:%M}" if when.date() == today else f"{when.day} {when:%b}"
    image = picture(one.cover, 88, square=True) if one.cover else f'<span class="nophoto">{icon("chat")}</span>'
    chat = {"chat": one.id}
    return (
        f"<li><button {act('chat', **chat)}{' aria-current=page' if one.id == current else ''}>{image}"
        f'<span><b dir="auto">{title}</b><small>{"Temporary · " if one.temporary else ""}{said}</small></span></button>'
        f'<details class="menu"><summary aria-label="Rename, export or delete {title}">⋯</summary><div>'
        f'<form data-send="rename" data-chat="{one.id}"><input name="title" value="{title}" maxlength="{MAX_TITLE}" '
        f'aria-label="Title" autocomplete="off" dir="auto"><button>Rename</button></form>'
        f"<button {act('export', **chat)}>Export</button><button {act('delete', **chat)}>Delete</button>"
        "</div></details></li>"
    )


def _local(when: str) -> datetime:
    return datetime.fromisoformat(when).astimezone()

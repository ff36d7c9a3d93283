"""Small pieces that every part of the page is made of: clickable elements, icons, notices, tables of facts."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import count
from typing import Any

from personal.concepts import Box, Photo, Progress, View
from personal.quality import quality_hints

SMALL_MODEL = "small model, may be wrong"
"""What is said of the built-in language model wherever it is named."""


def act(name: str, **data: Any) -> str:
    """The attributes of something that can be clicked."""
    more = "".join(f" data-{key}='{escape(str(value))}'" for key, value in data.items() if value is not None)
    return f'data-act="{name}"{more}'


def picture(
    photo: Photo | View,
    side: int,
    *,
    box: Box | None = None,
    subject: bool = False,
    square: bool = False,
    alt: str = "",
    classes: str = "",
) -> str:
    """Return an image of a photo, longest side at most `side` pixels, of `box` or of its `subject` if given.

    The page's script fetches it where it is shown (`personal.ui.pictures`): what is drawn again is not sent again.
    """
    name = picture_name(photo.sha256, side, box=box, subject=subject, square=square)
    return f'<img class="{classes}" data-picture="{escape(name)}" alt="{escape(alt)}">'


def picture_name(sha256: str, side: int, *, box: Box | None = None, subject: bool = False, square: bool = False) -> str:
    """Return by what name the page fetches an image of a photo (`personal.ui.pictures`)."""
    part = f"&box={','.join(f'{edge:.4f}' for edge in box)}" if box else "&box=subject" if subject else ""
    return f"{sha256}?side={side}{'&square=1' if square else ''}{part}"


_ICONS = {
    "moon": "M20 14.5A8 8 0 0 1 9.5 4a8 8 0 1 0 10.5 10.5z",
    "user": "M12 12a4 4 0 1 0-.01 0zM4 21a8 8 0 0 1 16 0",
    "plus": "M12 5v14M5 12h14",
    "edit": "M4 20h4L19 9l-4-4L4 16z",
    "again": "M4 12a8 8 0 1 0 2.5-5.8M4 4v4.5h4.5",
    "check": "M5 12.5l5 5L19.5 7",
    "left": "M15 5l-7 7 7 7",
    "right": "M9 5l7 7-7 7",
    "down": "M5 9l7 7 7-7",
    "camera": "M4 8h4l2-3h4l2 3h4v11H4zM12 10a3.5 3.5 0 1 0 .01 0z",
    "close": "M6 6l12 12M18 6L6 18",
    "chat": "M4 5h16v11H9.5L5 20v-4H4z",
    "thumb-up": "M7 11v9H4v-9zM7 11l4-8c1.6 0 2.6 1 2.6 2.6V9H19a2 2 0 0 1 2 2.3l-1.2 7a2 2 0 0 1-2 1.7H7",
    "thumb-down": "M7 13V4H4v9zM7 13l4 8c1.6 0 2.6-1 2.6-2.6V15H19a2 2 0 0 0 2-2.3l-1.2-7a2 2 0 0 0-2-1.7H7",
    "copy": "M9 9h11v11H9zM5 15H4V4h11v1",
}


def icon(name: str) -> str:
    """A line icon."""
    return f'<svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d="{_ICONS[name]}"/></svg>'


def plural(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"


def problem(words: str) -> str:
    """Something went wrong, said where it happened."""
    return f'<p class="problem" role="alert">{escape(words)}</p>' if words else ""


def note(words: str) -> str:
    """Something worth knowing, said quietly."""
    return f'<p class="note" role="status">{escape(words)}</p>' if words else ""


def busy(words: str, step: Progress | None = None) -> str:
    """Something long is going on."""
    bar = (
        f'<progress max="{step.total}" value="{step.done}"></progress>'
        if step and step.total
        else "<progress></progress>"
    )
    return f'<div class="busy" role="status"><p>{escape(words)}</p>{bar}</div>'


def facts(rows: Sequence[tuple[str, str]]) -> str:
    """A short table of facts."""
    html = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in rows)
    return f'<dl class="facts">{html}</dl>'


def strip(rows: Any) -> str:
    """A row of thumbnails: (photo, what lies on it, what stands under it)."""
    html = ""
    for photo, over, under in rows:
        image = picture(photo, 200, square=True) if photo else '<div class="noimage"></div>'
        hints = "".join(f"<em>{escape(hint)}</em>" for hint in quality_hints(photo)) if photo else ""
        html += f"<figure><div>{image}{over}</div><figcaption>{under}{hints}</figcaption></figure>"
    return f'<div class="strip">{html}</div>' if html else ""


_TOASTS = count()


def toast(words: str, *, undo: bool = False) -> str:
    """A short notice at the bottom of the screen, with a way back where there is one.

    Each is an element of another name: Gradio mends the one that stands there, whose time is over, instead of drawing
    a new one.
    """
    if not words:
        return ""
    button = f"<button {act('undo')}>Undo</button>" if undo else ""
    tag = f"toast-{next(_TOASTS)}"
    return f'<{tag} class="toast" role="status"><span dir="auto">{escape(words)}</span>{button}</{tag}>'

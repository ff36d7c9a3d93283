"""Merging two concepts, with its undo: what the cards and an open concept offer."""

from __future__ import annotations

from personal.assistant.merging import Merge
from personal.ui import render
from personal.ui.context import AppContext
from personal.ui.sessions import Session


def merge(context: AppContext, session: Session, kept_id: str, other_id: str) -> str:
    """Merge a concept into another, open that one, and return the toast. Raises PersonalError."""
    merged = context.assistant.merge(session.owner, kept_id, other_id)

    session.undo, session.picked = lambda: part(context, session, merged), None
    session.merges[merged.token] = merged
    session.open(kept_id)
    photos = render.plural(len(merged.after.views), "photo")
    return render.toast(f"Merged {merged.other.name} into {merged.after.name}, now {photos}.", undo=True)


def part(context: AppContext, session: Session, merged: Merge) -> str:
    """Take a merge back, and return what to say. Raises PersonalError."""
    other = context.assistant.unmerge(session.owner, merged)
    return f"{merged.before.name} and {other.name} are two again."

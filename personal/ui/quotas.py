"""Quotas as the Settings tab shows them: what of each limit is used. Pure functions."""

from __future__ import annotations

from collections.abc import Sequence

from personal.concepts import Concept
from personal.generate.fair_queue import PENDING_MAX
from personal.owners import lasts
from personal.remember.quota import photos, size
from personal.settings import Settings

Row = tuple[str, str]


def rows(knobs: Settings, owner: str, concepts: Sequence[Concept], used_bytes: int, asked: int) -> list[Row]:
    """Return the limits of an owner and what of them is used; none on one's own machine.

    `used_bytes` is what their concepts take on disk, `asked` how many questions of the last hour count.
    """
    if not knobs.shared:
        return []
    limits: list[tuple[int, Row]] = [
        (knobs.max_concepts, ("Concepts", f"{len(concepts)} of {knobs.max_concepts}")),
        (knobs.max_photos, ("Photos of concepts", f"{sum(map(photos, concepts))} of {knobs.max_photos}")),
        (knobs.max_owner_bytes, ("Size", f"{size(used_bytes)} of {size(knobs.max_owner_bytes)}")),
        (knobs.questions_per_hour, ("Questions", f"{asked} of {knobs.questions_per_hour} in the last hour")),
        (1, ("Questions waiting", f"{PENDING_MAX} at once")),
        (1, ("Answers", f"{knobs.max_new_tokens} tokens each")),
        (1, ("Uploads", f"{size(knobs.max_upload_bytes)} in ten minutes")),
    ]
    if not lasts(owner):
        minutes = knobs.session_grace_s / 60
        limits.append((1, ("Your visit", f"ends {minutes:g} minutes after its last page was closed")))
    return [row for limit, row in limits if limit]

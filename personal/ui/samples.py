"""The drawn samples of the first run: three concepts, three photos (made by `assets/draw.py`)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache

from personal.assistant import Assistant
from personal.concepts import Photo
from personal.images import read_photo
from personal.settings import ASSETS
from personal.ui.sessions import Conversation, Session

FOLDER = ASSETS / "samples"


@dataclass(frozen=True)
class Sample:
    """A concept to try things with."""

    name: str
    category: str
    info: str
    photos: tuple[Photo, ...]


@dataclass(frozen=True)
class Samples:
    concepts: tuple[Sample, ...]
    photos: tuple[Photo, ...]


@cache
def read_samples() -> Samples:
    """Read the samples that ship with the app."""
    listing = json.loads((FOLDER / "samples.json").read_text(encoding="utf-8"))
    return Samples(
        tuple(
            Sample(c["name"], c["category"], c["info"], tuple(read_photo(FOLDER / file) for file in c["views"]))
            for c in listing["concepts"]
        ),
        tuple(read_photo(FOLDER / photo["file"]) for photo in listing["photos"]),
    )


def remember(assistant: Assistant, session: Session) -> str:
    """Register the sample concepts and lay each sample photo into a conversation of its own; say so."""
    samples = read_samples()
    for sample in samples.concepts:
        assistant.remember(session.owner, sample.name, sample.photos, sample.category, sample.info)
    for photo in reversed(samples.photos):
        look = assistant.look(session.owner, photo)
        talk = Conversation(draft=[photo], active=photo.sha256)
        talk.found(look.photos[0])
        session.conversations.append(talk)
        session.current = talk.id
    return f"{', '.join(sample.name for sample in samples.concepts)} are remembered; their photos wait in the Chat tab."

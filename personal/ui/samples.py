"""The drawn samples of the first run: three concepts, and three photos with a question each (`assets/draw.py`)."""

from __future__ import annotations

import json
import threading
from contextlib import suppress
from dataclasses import dataclass
from functools import cache

from personal.assistant import Assistant
from personal.concepts import Concept, Photo
from personal.conversations import Conversation
from personal.errors import PersonalError
from personal.images import read_photo
from personal.settings import ASSETS
from personal.ui.sessions import Session

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
    """The sample concepts; `photos` are scenes with them, `questions` one about each that findings answer."""

    concepts: tuple[Sample, ...]
    photos: tuple[Photo, ...]
    questions: tuple[str, ...]


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
        tuple(photo["example"] for photo in listing["photos"]),
    )


_preparing = threading.Lock()


def prepare(assistant: Assistant) -> None:
    """Encode the samples in the background, for who is about to try one; once at a time."""

    def encode() -> None:
        with _preparing, suppress(PersonalError):
            samples = read_samples()
            views = [photo for sample in samples.concepts for photo in sample.photos]
            assistant.retriever.encode_ahead(views, samples.photos)

    if not _preparing.locked():
        threading.Thread(target=encode, name="samples", daemon=True).start()


def is_sample(concept: Concept) -> bool:
    """Return whether a concept is a sample to which no photo of one's own was added."""
    shipped = {photo.sha256 for sample in read_samples().concepts for photo in sample.photos}
    return all(view.sha256 in shipped for view in concept.views)


def remember(assistant: Assistant, session: Session) -> str:
    """Register the sample concepts and put each sample photo into a conversation of its own; return what to say."""
    samples = read_samples()
    for sample in samples.concepts:
        assistant.remember(session.owner, sample.name, sample.photos, sample.category, sample.info)
    for photo in reversed(samples.photos):  # each is recognised once its conversation is shown
        talk = Conversation(draft=[photo], active=photo.sha256)
        session.history.add(talk)
        session.current = talk.id
    return f"Added {len(samples.concepts)} sample concepts. Try them in Chat."


def begin_example(assistant: Assistant, session: Session, number: int) -> str:
    """Register the samples, open the conversation about a sample photo, and return the question about it."""
    samples = read_samples()
    number = number if 0 <= number < len(samples.photos) else 0
    remember(assistant, session)
    photo = samples.photos[number]
    session.current = next(talk.id for talk in reversed(session.history.live()) if talk.draft == [photo])
    return samples.questions[number]

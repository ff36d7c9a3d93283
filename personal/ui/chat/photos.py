"""The photos of a conversation: reading uploads, and recognising what is in them."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from personal.concepts import Look, Photo
from personal.conversations import Conversation
from personal.errors import PersonalError
from personal.ui.context import AppContext
from personal.ui.sessions import Session

DRAFT_PHOTOS, DRAFT_BYTES = 20, 50 * 2**20
"""Photos that can wait for one question, in number and in bytes."""


class Photos:
    """Reads and recognises photos; holds none of them."""

    def __init__(self, context: AppContext) -> None:
        self._context = context
        self._taking = threading.Lock()

    def take(self, session: Session, files: list[Any]) -> list[str]:
        """Add uploads to the next question, recognised, and return what is wrong with any."""
        photos, problems = self.read(session, files)
        for photo in photos:
            self.show(session, session.conversation, photo)
        return problems

    def read(self, session: Session, files: list[Any]) -> tuple[list[Photo], list[str]]:
        """Add uploads to the next question, not yet recognised; return them, and what is wrong with any."""
        talk = session.conversation
        photos: list[Photo] = []
        problems: list[str] = []
        for number, file in enumerate(files):
            if len(talk.draft) >= DRAFT_PHOTOS or sum(len(photo.jpeg) for photo in talk.draft) >= DRAFT_BYTES:
                problems.append(f"{len(talk.draft)} photos are the most for one question. The others were left out.")
                self._context.drop(files[number:])
                break
            try:
                with self._taking:
                    if not Path(file).exists():  # one drop can arrive twice, also with a question
                        continue
                    photo = self._context.take(file)
                    if photo.sha256 not in {p.sha256 for p in talk.draft}:
                        talk.draft.append(photo)
                    photos.append(photo)
            except PersonalError as error:
                problems.append(str(error))
        return photos, problems

    def show(self, session: Session, talk: Conversation, photo: Photo) -> None:
        """Recognise a photo and put it into the panel."""
        talk.active, talk.marked = photo.sha256, None
        self.look(session, talk, photo)

    def look(self, session: Session, talk: Conversation, photo: Photo) -> Look:
        """Recognise; what the language model made of the same match before still counts."""
        assistant = self._context.assistant
        look = session.retry_if_stale(lambda: assistant.look(session.owner, photo, before=talk.of(photo)))
        talk.found(look.photos[0])
        return look

    def look_again(self, session: Session) -> None:
        """Recognise the photo in the panel anew: concepts may have changed."""
        talk = session.conversation
        photo = talk.photo(talk.active)
        if photo:
            self.look(session, talk, photo)

"""The studies of the app, once it is ready, and the rooms of those who take part."""

from __future__ import annotations

import threading
import time
from functools import partial
from typing import cast

import personal
from personal.assistant import Assistant
from personal.compose import Opening
from personal.concepts import Answer, Photo, Turn
from personal.errors import PersonalError
from personal.recent import Recent
from personal.remember.library import Library
from personal.study.answering import Answering
from personal.study.folder import Studies
from personal.study.participant import Participant
from personal.study.schema import Study
from personal.study.store import StudyStore, is_participant
from personal.ui.samples import read_samples
from personal.ui.study.room import Room

SWEEP_EVERY_S = 3600.0
PRACTICE = "practice"
"""The owner of the samples in tutorials: nothing of anybody's is theirs."""
PHOTOS = 200
"""Photos of studies that are held in memory."""


class NotReady(PersonalError):
    """The app has only just been started."""


class Rooms:
    """Opens studies and rooms, one of each for the process."""

    def __init__(self, opening: Opening) -> None:
        self.settings = opening.settings
        self._opening = opening
        self._lock = threading.RLock()
        self._studies: Studies | None = None
        self._rooms: dict[str, Room] = {}
        self._sweep_at = 0.0
        self._practising = threading.Lock()
        self._photos: Recent[tuple[str, str], Photo] = Recent(PHOTOS)
        self._answering: dict[str, tuple[Study, Answering]] = {}

    @property
    def assistant(self) -> Assistant:
        """Return the Assistant. Raises PersonalError while it is still being made."""
        assistant = self._opening.assistant
        if assistant is None:
            raise self._opening.error or NotReady("The app is getting ready. This page goes on by itself in a moment.")
        return assistant

    @property
    def studies(self) -> Studies:
        """Return the studies of the data folder. Raises PersonalError while the app is getting ready."""
        with self._lock:
            if self._studies is None:
                erase = self.assistant.erase
                self._studies = Studies(self.settings.data_dir, erase=erase, versions=self._versions)
            return self._studies

    def _versions(self) -> dict[str, str]:
        generator = self.assistant.generator
        return {"app": personal.__version__, "model": generator.name, "encoder": self.settings.encoder}

    def room(self, store: StudyStore, participant: Participant) -> Room:
        """Return where a participant works."""
        with self._lock:
            room = self._rooms.get(participant.owner)
            if room is None or room.participant is not participant:
                conversations = cast(Library, self.assistant.library).conversations(participant.owner)
                room = Room(
                    store,
                    participant,
                    self.assistant,
                    self.answering(store),
                    conversations,
                    partial(self.photo, store),
                )
                self._rooms[participant.owner] = room
            return room

    def photo(self, store: StudyStore, name: str) -> Photo:
        """Return a photo that a study names. Raises ImageError."""
        found = self._photos.get((store.id, name))
        if found is None:
            found = store.photo(name)
            self._photos.put((store.id, name), found)
        return found

    def practise(self, question: str) -> Answer:
        """Answer a question about the first sample scene, with the samples for concepts. Raises PersonalError."""
        samples = read_samples()
        with self._practising:
            if len(self.assistant.concepts(PRACTICE)) < len(samples.concepts):
                for one in samples.concepts:
                    self.assistant.remember(PRACTICE, one.name, one.photos, one.category, one.info)
        *_, answer = self.assistant.answer(PRACTICE, [Turn(question, samples.photos[:1])])
        return cast(Answer, answer)

    def answering(self, store: StudyStore) -> Answering:
        """Return what answers under a study's conditions."""
        with self._lock:
            found = self._answering.get(store.id)
            if found is None or found[0] is not store.study:
                found = store.study, Answering(self.assistant, self.settings, store.study)
                self._answering[store.id] = found
            return found[1]

    def withdraw(self, store: StudyStore, participant: Participant) -> None:
        """Erase all that is a participant's; answers under way end first."""
        self._empty(participant)
        store.withdraw(participant)

    def finish(self, participant: Participant) -> None:
        """Erase what a participant worked with once they have finished: what is recorded stays."""
        self._empty(participant)
        for owner in set(self.assistant.library.owners()).intersection(participant.owners):
            self.assistant.erase(owner)

    def _empty(self, participant: Participant) -> None:
        with self._lock:
            rooms = [room for owner in participant.owners if (room := self._rooms.pop(owner, None))]
        for room in rooms:
            room.leave()

    def close(self, store: StudyStore) -> None:
        """Erase what the participants of a study that is over worked with."""
        for participant in store.participants():
            self.finish(participant)

    def sweep(self) -> None:
        """Erase the data of studies whose retention is over, and what nobody works with any more, once an hour."""
        if self._opening.assistant is None or time.monotonic() < self._sweep_at:
            return
        self._sweep_at = time.monotonic() + SWEEP_EVERY_S
        working: set[str] = set()
        for study_id in self.studies.ids():
            store = self.studies.get(study_id)
            if store.expired:
                store.purge()
            going_on = [one for one in store.participants() if one.status == "active" and store.status != "closed"]
            working.update(owner for participant in going_on for owner in participant.owners)
        for owner in self.assistant.library.owners():
            if is_participant(owner) and owner not in working and owner not in self._rooms:
                self.assistant.erase(owner)

    def stop(self) -> None:
        """End all answers that are being written."""
        with self._lock:
            rooms = list(self._rooms.values())
        for room in rooms:
            if room.growing:
                room.growing.stop.set()

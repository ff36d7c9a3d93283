"""A study on disk: its file, its status, its participants; who is let in, in which order, and what is erased.

studies/<id>/study.yaml                     the study, with photos beside it
studies/<id>/status.json                    status, salt, when it began
studies/<id>/participants/<id>.jsonl        a participant's records
studies/<id>/photos/<participant>/<sha256>.jpg   photos that were kept with consent
studies/<id>/withdrawn/<random>             an empty file for each withdrawal
studies/<id>/previews/…                     a researcher's own tries, which count for nothing
"""

from __future__ import annotations

import json
import re
import secrets
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from personal.concepts import Photo
from personal.errors import PersonalError
from personal.images import read_photo
from personal.remember import disk
from personal.study.admission import first_record
from personal.study.coherence import photo_path
from personal.study.loading import read_study
from personal.study.log import ParticipantLog, Record
from personal.study.participant import Participant
from personal.study.recording import Recorder

FILE = "study.yaml"
OWNER = "study-"
"""What the owners of participants begin with: what is theirs lasts until they withdraw or the data is erased."""

PASSERS_BY = 500
"""Visitors who have not consented that are held in memory at most; the others arrive again."""
PHOTO_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.(?:jpe?g|png|webp|heic)", re.IGNORECASE)
"""Names of photos that are put beside a study's file."""

Running = Literal["draft", "running", "paused", "closed"]
CHANGES: dict[Running, tuple[Running, ...]] = {
    "draft": ("running",),
    "running": ("paused", "closed"),
    "paused": ("running", "closed"),
    "closed": (),
}


class StudyStore:
    """One study in its folder. Thread-safe; one process holds it.

    `erase(owner)` erases the concepts of a participant who withdraws; `versions` of app, model and encoder are written
    into each participant's first record. With `read_only` nothing is written, beside the process that holds it. Raises
    PersonalError where the file is not a study.
    """

    def __init__(
        self,
        folder: Path,
        *,
        erase: Callable[[str], None] = lambda owner: None,
        versions: Callable[[], Mapping[str, str]] = dict,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        read_only: bool = False,
    ) -> None:
        self.folder = folder
        self.id = folder.name
        self.study = read_study(folder / FILE)
        self._erase = erase
        self._versions = versions
        self._clock = clock
        self._lock = threading.RLock()
        self._state = self._read_state(write=not read_only)
        self.recorder = Recorder(self.study.log, bytes.fromhex(self._state["salt"]))
        self._participants: dict[tuple[str, bool], Participant] = {}
        if not read_only:
            self._finish_withdrawals()
        for path in disk.entries(self._place(preview=False)):
            if path.suffix == ".jsonl" and path.stat().st_size:
                self._participants[path.stem, False] = self._open(path.stem, preview=False)

    # -- the study -----------------------------------------------------------------------------------------------

    @property
    def status(self) -> Running:
        """Whether it is a draft, runs, is paused (nobody new is let in) or closed."""
        status: Running = self._state["status"]
        return status

    @property
    def expired(self) -> bool:
        """Whether its data must be erased by now."""
        return self._clock().date() > self.study.retention

    def change(self, status: Running) -> None:
        """Start, pause, go on or close. Raises PersonalError for a change that cannot be."""
        with self._lock:
            if status not in CHANGES[self.status]:
                raise PersonalError(f"A study that is {self.status} cannot become {status}.")
            if status == "running" and self.expired:
                raise PersonalError(f"Its retention date ({self.study.retention}) is over. Set a later one first.")
            if status == "running" and self.status == "draft":
                self._discard_previews()
            self._state = {**self._state, "status": status, status: self._clock().isoformat(timespec="seconds")}
            disk.write_json(self.folder / "status.json", self._state)

    def revise(self, text: str) -> None:
        """Replace the file of a draft. Raises PersonalError if it runs already, or the text is no study."""
        with self._lock:
            if self.status != "draft":
                raise PersonalError("A study that has begun cannot be changed. Copy it into a new one.")
            study = read_study(self.folder / FILE, text=text)
            self._discard_previews()
            disk.write(self.folder / FILE, text.encode())
            self.study, self.recorder = study, Recorder(study.log, self.recorder.salt)

    def photo(self, name: str) -> Photo:
        """Return a photo that the study names: one beside its file, or a sample. Raises ImageError."""
        return read_photo(photo_path(self.folder, name))

    def photo_names(self) -> list[str]:
        """List the photos beside the file by their names."""
        return [path.name for path in disk.entries(self.folder) if path.is_file() and PHOTO_NAME.fullmatch(path.name)]

    def add_photo(self, name: str, photo: Photo) -> None:
        """Put a photo beside the file of a draft, or in the place of the one of that name. Raises PersonalError."""
        if not PHOTO_NAME.fullmatch(name):
            raise PersonalError(f"{name[:80]} cannot be a photo's name here: use letters, digits, dots and hyphens.")
        with self._lock, disk.translate_errors(self.folder):
            if self.status != "draft":
                raise PersonalError("A study that has begun cannot be changed. Copy it into a new one.")
            disk.write(self.folder / name, photo.jpeg)
            disk.sync_dir(self.folder)

    # -- participants --------------------------------------------------------------------------------------------

    def arrive(self, query: Mapping[str, str], *, preview: bool = False) -> Participant:
        """Return the participant of a link's parameters; nothing is written before they consent.

        Raises PersonalError where the link names nobody, or the study does not let anybody new in. `new_identifier`
        makes a name for visitors of a link without one, to be put into the link.
        """
        names = self.study.parameters
        given = {name: query.get(name, "").strip()[:200] for name in (names.participant, names.study, names.session)}
        identifier = given[names.participant]
        if not identifier:
            raise PersonalError(
                f"This link is incomplete: {names.participant} is missing. Open the one you were given."
            )
        participant_id = self.recorder.hashed(f"participant/{identifier}")
        with self._lock:
            known = self._participants.get((participant_id, preview))
            if known is not None and not known.withdrawn:
                if self.status == "closed" and known.status in ("new", "active"):
                    raise PersonalError("This study is over. Thank you for your interest.")
                return known
            self._check_open(preview)
            self._forget_passers_by()
            made = self._open(participant_id, preview=preview, identifiers=given)
            self._participants[participant_id, preview] = made
            return made

    def participant(self, participant_id: str, *, preview: bool = False) -> Participant | None:
        """Return somebody who has arrived, by their id; None for nobody and for those who withdrew."""
        with self._lock:
            found = self._participants.get((participant_id, preview))
            return None if found is None or found.withdrawn else found

    def participants(self) -> list[Participant]:
        """List those who consented and did not withdraw, in the order of their ids."""
        with self._lock:
            return [one for (_, preview), one in sorted(self._participants.items()) if not preview and one.records]

    @property
    def withdrawn(self) -> int:
        """How many have withdrawn: all that is left of them."""
        return len(disk.entries(self.folder / "withdrawn"))

    def withdraw(self, participant: Participant) -> None:
        """Erase all that is recorded of a participant, and what is theirs; a count is left."""
        self._erase_owners(participant)
        disk.remove(self.folder / "photos" / participant.id)
        participant.withdraw()
        with self._lock:
            self._participants.pop((participant.id, participant.preview), None)
            self._finish_withdrawals()

    def keep(self, participant: Participant, photo: Photo) -> None:
        """Keep a photo with the data if the participant agreed to that; else do nothing."""
        if participant.keeps_photos and not participant.withdrawn:
            folder = self.folder / "photos" / participant.id
            with disk.translate_errors(folder):
                disk.make_dir(folder)
                disk.write(folder / f"{photo.sha256}.jpg", photo.jpeg)

    def purge(self) -> None:
        """Erase all participants' data, once the retention date is over or the researcher wishes it."""
        with self._lock:
            for participant in list(self._participants.values()):
                self._erase_owners(participant)
                participant.withdrawn = True
            self._participants.clear()
            for name in ("participants", "photos", "previews"):
                disk.remove(self.folder / name)

    # -- inside --------------------------------------------------------------------------------------------------

    def _erase_owners(self, participant: Participant) -> None:
        for owner in participant.owners:
            self._erase(owner)

    def _place(self, *, preview: bool) -> Path:
        return self.folder / ("previews" if preview else "participants")

    def _read_state(self, *, write: bool) -> dict[str, Any]:
        path = self.folder / "status.json"
        with disk.translate_errors(path):
            if path.is_file():
                state: dict[str, Any] = json.loads(path.read_bytes())
                return state
            state = {"status": "draft", "salt": secrets.token_hex(16)}
            if write:
                disk.write_json(path, state)
            return state

    def _check_open(self, preview: bool) -> None:
        if preview:
            return
        if self.status == "draft":
            raise PersonalError("This study has not begun yet. Please come back later.")
        if self.status == "paused":
            raise PersonalError("This study is paused. Please come back later with the same link.")
        if self.status == "closed" or self.expired:
            raise PersonalError("This study is over. Thank you for your interest.")

    def _open(self, participant_id: str, *, preview: bool, identifiers: Mapping[str, str] | None = None) -> Participant:
        return Participant(
            self.study,
            participant_id,
            f"{OWNER}{participant_id}" + ("-preview" if preview else ""),
            ParticipantLog(self._place(preview=preview) / f"{participant_id}.jsonl"),
            self.recorder,
            self._admit,
            identifiers=identifiers,
            preview=preview,
            clock=self._clock,
        )

    def _admit(self, participant: Participant, record: Record) -> None:
        """Draw a participant's order and write their first record, one participant at a time."""
        with self._lock:
            self._check_open(participant.preview)
            if self._participants.get((participant.id, participant.preview)) is not participant:
                raise PersonalError("This page was open for long. Please reload it, and agree again.")
            others = self.participants() if not participant.preview else []
            participant.admitted(first_record(participant, record, self.id, others, self._versions()))

    def _forget_passers_by(self) -> None:
        """Keep no more than PASSERS_BY who have not consented: anybody can make up links."""
        new = [key for key, one in self._participants.items() if not one.records]
        for key in new[: max(0, len(new) - PASSERS_BY + 1)]:
            del self._participants[key]

    def _finish_withdrawals(self) -> None:
        """Turn the empty files of those who withdrew into counts, also after a crash in the middle."""
        with disk.translate_errors(self.folder):
            for preview in (False, True):
                for path in disk.entries(self._place(preview=preview)):
                    if path.suffix == ".jsonl" and path.stat().st_size == 0:
                        if preview:
                            disk.remove(path)
                            continue
                        disk.make_dir(self.folder / "withdrawn")
                        disk.move(path, self.folder / "withdrawn" / secrets.token_hex(8))

    def _discard_previews(self) -> None:
        for key in [key for key in self._participants if key[1]]:
            gone = self._participants.pop(key)
            self._erase_owners(gone)
            gone.withdrawn = True
        disk.remove(self._place(preview=True))


def new_identifier() -> str:
    """Return a name for a visitor whose link has none; put into their link, it brings them back."""
    return secrets.token_hex(12)


def is_participant(owner: str) -> bool:
    """Return whether an owner is a study's participant."""
    return owner.startswith(OWNER)

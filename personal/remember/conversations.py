"""Conversations of an owner on disk. A save that has returned survives a crash; one that raised changed nothing.

    owners/<owner>/conversations/<id>/photos/<sha256>.jpg   written first
    owners/<owner>/conversations/<id>/conversation.json     written last: a folder without one is an unconfirmed save
    owners/<owner>/trash/<token>/                           what was deleted, until its undo is over

Nothing that a person wrote is in a path. The list is read once, photos when a conversation is opened.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from personal.concepts import Concept, Photo, View
from personal.conversations import Conversation
from personal.errors import StoreError
from personal.folding import folded, unaccented
from personal.remember import conversation_record, disk
from personal.remember.catalogue import ID, new_token

FOLDER = "conversations"
FILE = "conversation.json"
PHOTOS = "photos"
MAX_CONVERSATIONS = 500
"""Conversations that are kept; no further one is, until some are deleted."""
MAX_BYTES = 4 * 2**30
"""Bytes of conversations that are kept, their photos included."""

_PHOTO = re.compile(r"[0-9a-f]{64}\.jpg")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class KeptConversation:
    """What a list shows of a conversation: `words` is all its text, folded, `updated` is UTC, `size` is in bytes."""

    id: str
    title: str
    updated: str
    photos: tuple[View, ...]
    words: str
    size: int
    temporary: bool = False

    @property
    def cover(self) -> View | None:
        """The photo that stands for it."""
        return self.photos[0] if self.photos else None


class ConversationStore:
    """One owner's conversations, in `folder`. Thread-safe. Methods raise StoreError.

    `writing` opens the data folder for a change, and refuses where it is read only.
    """

    def __init__(
        self,
        folder: Path,
        writing: Callable[[], AbstractContextManager[object]],
        *,
        max_conversations: int = MAX_CONVERSATIONS,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._folder = folder / FOLDER
        self._trash = folder / "trash"
        self._writing = writing
        self._max_conversations = max_conversations
        self._max_bytes = max_bytes
        self._lock = threading.RLock()
        self._table: dict[str, KeptConversation] | None = None
        self._written: dict[str, bytes] = {}

    def all(self) -> list[KeptConversation]:
        """List the conversations, the one asked last first."""
        with self._known() as known:
            return sorted(known.values(), key=lambda kept: (kept.updated, kept.id), reverse=True)

    def load(self, conversation_id: str, concepts: Mapping[str, Concept]) -> Conversation | None:
        """Read a conversation with its photos and today's concepts by id; None where it is not kept."""
        with self._known() as known:
            kept = known.get(conversation_id)
            if kept is None:
                return None
            try:
                record = _record(self._folder / kept.id)
                photos = {view.sha256: self.photo(conversation_id, view) for view in kept.photos}
                talk = conversation_record.read(record, photos, concepts)
            except ValueError as error:
                raise StoreError(f"This chat cannot be read: {error}.") from error
            self._written[talk.id] = _digest(_encoded(talk))
            return talk

    def photo(self, conversation_id: str, view: View) -> Photo:
        """Read a photo of a conversation."""
        path = self._folder / conversation_id / PHOTOS / f"{view.sha256}.jpg"
        with disk.translate_errors(path):
            jpeg = path.read_bytes()
        if hashlib.sha256(jpeg).hexdigest() != view.sha256:
            log.warning("%s is damaged.", path)
            raise StoreError("A photo of this chat is damaged, and it cannot be opened.")
        return Photo(jpeg, view.sha256, view.width, view.height)

    def save(self, talk: Conversation) -> None:
        """Write a conversation, unless it is on disk as it is or was deleted; photos that left it are erased."""
        with self._known() as known:
            if talk.deleted:
                return
            encoded = _encoded(talk)
            if talk.id in known and self._written.get(talk.id) == _digest(encoded):
                return
            photos, folder = {photo.sha256: photo for photo in talk.photos}, self._folder / talk.id
            before = known.get(talk.id)
            there = {view.sha256 for view in before.photos} if before else set()
            fresh = [photo for photo in photos.values() if photo.sha256 not in there]
            self._check_room(known, fresh, new=before is None)
            self._write(folder, encoded, fresh)
            self._written[talk.id] = _digest(encoded)
            size = len(encoded) + sum(len(photo.jpeg) for photo in photos.values())
            known[talk.id] = summary(talk, size)
            disk.remove_all(_photo_file(folder, sha256) for sha256 in there - photos.keys())

    def delete(self, conversation_id: str) -> str:
        """Move a conversation to the trash, and return the token that brings it back until that is emptied."""
        with self._known() as known:
            if conversation_id not in known:
                raise StoreError("This chat is no longer there.")
            token = new_token()
            disk.make_dir(self._trash)
            disk.move(self._folder / conversation_id, self._trash / token)
            del known[conversation_id]
        return token

    def restore(self, conversation_id: str, token: str) -> None:
        """Undo a deletion."""
        with self._known() as known:
            if not (self._trash / token / FILE).is_file() or conversation_id in known:
                raise StoreError("This can no longer be brought back: its time is over.")
            disk.make_dir(self._folder)
            disk.move(self._trash / token, self._folder / conversation_id)
            known.update(_read_all(self._folder, only=conversation_id)[0])

    def forget_all_but(self, concepts: Mapping[str, Concept]) -> None:
        """Remove from all conversations what is known of concepts other than these; the text that was said stays."""
        with self._known() as known:
            for kept in known.values():
                folder = self._folder / kept.id
                stand_ins = {view.sha256: Photo(b"", view.sha256, view.width, view.height) for view in kept.photos}
                try:
                    record = _record(folder)
                    talk = conversation_record.read(record, stand_ins, concepts)
                except ValueError:
                    continue  # damaged since it was listed
                if conversation_record.as_json(talk) != record:
                    self._write(folder, _encoded(talk), [])

    def close(self) -> None:
        """Let go of the list: what is on disk was erased."""
        with self._lock:
            self._table = None
            self._written.clear()

    # -- inside --------------------------------------------------------------------------------------------------

    @contextmanager
    def _known(self) -> Iterator[dict[str, KeptConversation]]:
        with self._lock, self._writing():
            if self._table is None:
                self._table, problems = _read_all(self._folder, mend=True)
                for problem in problems:
                    log.warning("%s", problem)
            yield self._table

    def _check_room(self, known: Mapping[str, KeptConversation], fresh: list[Photo], *, new: bool) -> None:
        if new and len(known) >= self._max_conversations:
            raise StoreError(f"{len(known)} chats are kept, the most. Delete some to keep this one.")
        if fresh and sum(kept.size for kept in known.values()) + sum(len(p.jpeg) for p in fresh) > self._max_bytes:
            most = f"{self._max_bytes / 2**30:.1f} GB"
            raise StoreError(f"The chats that are kept fill {most}, the most. Delete some to keep this one.")

    def _write(self, folder: Path, encoded: bytes, fresh: list[Photo]) -> None:
        """Write the photos, then the record, each durable before the next."""
        disk.make_dir(folder / PHOTOS)
        written: list[Path] = []
        try:
            for photo in fresh:
                written.append(_photo_file(folder, photo.sha256))
                disk.write(written[-1], photo.jpeg)
            if fresh:
                disk.sync_dir(folder / PHOTOS)
            disk.write(folder / FILE, encoded)
            disk.sync_dir(folder)
        except OSError:
            if (folder / FILE).is_file():
                disk.remove_all(written)
            else:
                disk.remove(folder)
            raise


def summary(talk: Conversation, size: int = 0) -> KeptConversation:
    """Return what a list shows of a conversation; `size` is what it takes on disk."""
    views = {photo.sha256: View(photo.sha256, photo.width, photo.height) for photo in talk.photos}
    said = [f"{entry.turn.question}\n{entry.answer.text if entry.answer else ''}" for entry in list(talk.entries)]
    words = unaccented(folded("\n".join([talk.title, *said])))
    return KeptConversation(talk.id, talk.title, talk.updated, tuple(views.values()), words, size, talk.temporary)


def problems(folder: Path) -> list[str]:
    """List in words which conversations in an owner's folder are damaged, and passed over. Reads only."""
    return _read_all(folder / FOLDER)[1]


def _read_all(folder: Path, *, mend: bool = False, only: str = "") -> tuple[dict[str, KeptConversation], list[str]]:
    """Read all conversations of a folder, and say which are damaged.

    With `mend`, what an interrupted save left is removed.
    """
    found: dict[str, KeptConversation] = {}
    wrong: list[str] = []
    for path in disk.entries(folder):
        if not ID.fullmatch(path.name) or not path.is_dir() or (only and path.name != only):
            continue
        if not (path / FILE).exists():
            if mend:
                disk.remove(path)
            continue
        try:
            found[path.name] = _read(path, mend=mend)
        except (ValueError, OSError) as error:
            words = error.strerror if isinstance(error, OSError) else error
            wrong.append(f"{path} is skipped: {words}. Mend its {FILE}, or remove the folder.")
    return found, wrong


def _read(folder: Path, *, mend: bool) -> KeptConversation:
    """Check a conversation without reading its photos. Raises ValueError if it is damaged, and OSError."""
    record = _record(folder)
    sizes = conversation_record.sizes(record)
    stand_ins = {sha256: Photo(b"", sha256, *size) for sha256, size in sizes.items()}
    talk = conversation_record.read(record, stand_ins, {})
    if talk.id != folder.name:
        raise ValueError("its id is not what it should be")
    place = folder / PHOTOS
    there = {path.name: path.stat().st_size for path in disk.entries(place)}
    lost = sum(f"{sha256}.jpg" not in there for sha256 in sizes)
    if lost:
        raise ValueError(f"{lost} of its {len(sizes)} photos are missing")
    if mend:
        stale = [place / name for name in there if name.removesuffix(".jpg") not in sizes and _PHOTO.match(name)]
        disk.remove_all(path for path in (*stale, folder / (FILE + disk.TMP)) if path.exists())
    return summary(talk, (folder / FILE).stat().st_size + sum(there.values()))


def _record(folder: Path) -> Any:
    try:
        return json.loads((folder / FILE).read_bytes())
    except (UnicodeDecodeError, RecursionError) as error:
        raise ValueError("its text is no JSON") from error


def _encoded(talk: Conversation) -> bytes:
    return (json.dumps(conversation_record.as_json(talk), ensure_ascii=False, indent=1, default=float) + "\n").encode()


def _digest(encoded: bytes) -> bytes:
    return hashlib.sha256(encoded).digest()


def _photo_file(folder: Path, sha256: str) -> Path:
    return folder / PHOTOS / f"{sha256}.jpg"

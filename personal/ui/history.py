"""A visitor's conversations: those of the machine's owner and of who signs in are kept on disk, guests' in memory.

`Kept` is one for an owner. However many browsers the owner has open, a conversation is one value that all of them
share, so that nothing written by one is lost to another. `History` is a visitor's own view: what is kept, and what is
theirs alone, such as a temporary chat, a guest's conversations, and one that nothing was said in yet.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from weakref import WeakValueDictionary

from personal.compose import LOCAL
from personal.concepts import Concept, Photo
from personal.conversations import Conversation
from personal.errors import PersonalError, StoreError
from personal.folding import folded, unaccented
from personal.logs import report
from personal.remember.conversations import ConversationStore, KeptConversation, summary
from personal.remember.library import Library

OPEN = 4
"""Conversations that are held in memory with their photos, those used last."""

GONE = "This chat is no longer there."


class Kept:
    """The owner's conversations: on disk, and those in use in memory. Methods raise StoreError.

    `library` returns None while the data folder is not open.
    """

    def __init__(self, library: Callable[[], Library | None], owner: str = LOCAL) -> None:
        self._library = library
        self._owner = owner
        self._opened: ConversationStore | None = None
        self._lock = threading.RLock()
        self._live: WeakValueDictionary[str, Conversation] = WeakValueDictionary()
        self._recent: OrderedDict[str, Conversation] = OrderedDict()
        self._known: set[str] | None = None

    def all(self) -> list[KeptConversation]:
        """List what is kept, the one asked last first."""
        store = self._store
        return store.all() if store else []

    def live(self) -> list[Conversation]:
        """List the conversations that are in memory."""
        with self._lock:
            return list(self._live.values())

    def get(self, conversation_id: str) -> Conversation | None:
        """Return a conversation, read from the disk if it is not in use; None where it is not kept."""
        with self._lock:
            talk = self._live.get(conversation_id)
            if talk is None:
                store = self._store
                talk = store.load(conversation_id, self._concepts()) if store else None
            if talk is None or talk.deleted:
                return None
            self._use(talk)
            return talk

    def photo(self, sha256: str) -> Photo | None:
        """Return a photo of a conversation that is not in use."""
        store = self._store
        for kept in store.all() if store else ():
            for view in kept.photos:
                if store and view.sha256 == sha256:
                    return store.photo(kept.id, view)
        return None

    def keep(self, talk: Conversation) -> None:
        """Write a conversation to the disk if it has changed."""
        store = self._store
        if store is None:
            return
        store.save(talk)
        with self._lock:
            if not talk.deleted:
                self._use(talk)

    def delete(self, conversation_id: str) -> Callable[[], None]:
        """Delete a conversation, and return what brings it back while the trash holds it."""
        with self._lock:
            store, talk = self._store, self._live.get(conversation_id)
            if store is None:
                raise StoreError("The app is still getting ready. Just a moment, please.")
            token = store.delete(conversation_id)
            self._recent.pop(conversation_id, None)
            if talk:
                talk.deleted = True
                talk.stop.set()

        def back() -> None:
            store.restore(conversation_id, token)
            if talk:
                talk.deleted = False
                self.keep(talk)

        return back

    def erase(self) -> None:
        """Let go of all conversations before they are erased: nothing that is still being written is kept."""
        with self._lock:
            for talk in self.live():
                talk.deleted = True
                talk.stop.set()
            self._live.clear()
            self._recent.clear()

    def erased(self) -> None:
        """Forget the list: what was on disk is erased."""
        store = self._store
        if store:
            store.close()

    def rest(self) -> None:
        """Let go of the conversations that nobody uses: the owner is not visiting."""
        with self._lock:
            self._recent.clear()

    def stop(self) -> None:
        """End all answers that are being written."""
        for talk in self.live():
            talk.stop.set()

    def forget(self) -> None:
        """Drop what conversations hold of concepts that were erased since the last time; what was said stays."""
        store, library = self._store, self._library()
        if store is None or library is None or library.damaged(self._owner):  # what is damaged may be mended
            return
        concepts = self._concepts() | {one.concept.id: one.concept for one in library.trash(self._owner)}
        before, self._known = self._known, set(concepts)
        if before is not None and before <= self._known:
            return
        for talk in self.live():
            talk.forget_all_but(concepts)
            store.save(talk)
        store.forget_all_but(concepts)

    @property
    def _store(self) -> ConversationStore | None:
        library = self._library()
        if library is not None and self._opened is None:
            self._opened = library.conversations(self._owner)
        return self._opened if library else None

    def _concepts(self) -> dict[str, Concept]:
        library = self._library()
        return {concept.id: concept for concept in library.concepts(self._owner)} if library else {}

    def _use(self, talk: Conversation) -> None:
        self._live[talk.id] = talk
        self._recent[talk.id] = talk
        self._recent.move_to_end(talk.id)
        while len(self._recent) > OPEN:
            self._recent.popitem(last=False)


class History:
    """One visitor's conversations. `own` are those in memory alone; `problem` says why one is not on disk."""

    def __init__(self, kept: Kept | None = None) -> None:
        self.own: list[Conversation] = []
        self.problem = ""
        self._kept = kept

    @property
    def keeps(self) -> bool:
        """Whether conversations are kept on disk."""
        return self._kept is not None

    def live(self) -> list[Conversation]:
        """List the conversations in memory, the visitor's own last."""
        others = [talk for talk in (self._kept.live() if self._kept else []) if talk not in self.own]
        return [*others, *self.own]

    def all(self, search: str = "") -> list[KeptConversation]:
        """List the conversations that hold something, the one asked last first; `search` is any part of their text."""
        own = [summary(talk) for talk in reversed(self.own) if not talk.blank]
        found = {one.id: one for one in [*(self._kept.all() if self._kept else []), *own]}
        wanted = unaccented(folded(search))
        listed = [one for one in found.values() if wanted in one.words]
        return sorted(listed, key=lambda one: one.updated, reverse=True)

    def open(self, conversation_id: str) -> Conversation:
        """Return a conversation. Raises PersonalError where it is not there, or cannot be read."""
        own = next((talk for talk in self.own if talk.id == conversation_id), None)
        found = own or (self._kept.get(conversation_id) if self._kept else None)
        if found is None:
            raise PersonalError(GONE)
        return found

    def get(self, conversation_id: str) -> Conversation | None:
        """Return a conversation; None where it is not there, or cannot be read."""
        try:
            return self.open(conversation_id)
        except PersonalError as error:
            report(error)
            return None

    def blank(self) -> Conversation:
        """Return a conversation in which nothing was said yet."""
        found = next((talk for talk in self.own if talk.blank and not talk.temporary), None)
        if found is None:
            found = Conversation()
            self.own.append(found)
        return found

    def latest(self) -> Conversation:
        """Return the conversation asked last, else a blank one."""
        found = next((talk for one in self.all() if (talk := self.get(one.id))), None)
        return found or self.blank()

    def begin_temporary(self) -> Conversation:
        """Begin a conversation of which nothing is kept on disk."""
        talk = next((talk for talk in self.own if talk.blank and talk.temporary), None) or Conversation(temporary=True)
        if talk not in self.own:
            self.own.append(talk)
        return talk

    def add(self, talk: Conversation) -> None:
        """Take a conversation in."""
        self.own.append(talk)
        self.keep(talk)

    def keep(self, talk: Conversation) -> None:
        """Write a conversation to the disk, if this visitor's are kept; one that cannot be stays in memory."""
        if self._kept is None or talk.temporary or talk.blank or talk.deleted:
            return
        try:
            self._kept.keep(talk)
        except StoreError as error:
            report(error)
            self.problem = str(error)
            if talk not in self.own:
                self.own.append(talk)
            return
        self.problem = ""
        if talk in self.own:
            self.own.remove(talk)

    def delete(self, conversation_id: str) -> Callable[[], None]:
        """Delete a conversation, and return what brings it back. Raises PersonalError where it is not there."""
        own = next((talk for talk in self.own if talk.id == conversation_id), None)
        kept = self._kept and any(one.id == conversation_id for one in self._kept.all())
        if own is None and not kept:
            raise PersonalError(GONE)
        backs = [self._kept.delete(conversation_id)] if self._kept and kept else []
        if own:
            place = self.own.index(own)
            own.deleted = True
            own.stop.set()
            self.own.remove(own)

        def back() -> None:
            for one in backs:
                one()
            if own:
                own.deleted = False
                self.own.insert(place, own)

        return back

    def photo(self, sha256: str) -> Photo | None:
        """Return a photo of any of the conversations."""
        live = next((photo for talk in self.live() if (photo := talk.photo(sha256))), None)
        return live or (self._kept.photo(sha256) if self._kept else None)

    def stop(self) -> None:
        """End the answers that are being written in the visitor's own conversations."""
        for talk in list(self.own):
            talk.stop.set()

    def clear(self) -> None:
        """Let go of the visitor's own conversations: they are erased."""
        for talk in self.own:
            talk.deleted = True
            talk.stop.set()
        self.own.clear()
        self.problem = ""

"""Who is visiting: browsers, the owner each works for, their conversations, their pages, and when they end.

A visitor is known by a random cookie that scripts cannot read, and by a key that their pages send; the owner is taken
from the server's own table, never from the client. Visitors stay as long as one of their pages is connected, and a
grace after that, so that a reload loses nothing; then a temporary owner's bytes are erased, and whatever the web server
keeps. A page belongs to the visitor who named it first. What it shows is its own: two tabs of a browser do not meddle
with each other's forms. Requests are checked by `personal.ui.visitors`.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar

from personal.assistant.merging import Merge
from personal.concepts import Concept, Photo
from personal.conversations import Conversation
from personal.errors import PersonalError
from personal.owners import GUEST, LOCAL, lasts, new_guest
from personal.ui.history import History, Kept

COOKIE = "personal"
TABS = 16
"""Pages of a visitor whose state is held, those used last."""
AGAIN = 3
"""How often at most something is done that the visitor overtakes by asking for more."""

ENDED_GUEST = "Your visit has ended, and what you added as a guest was erased."
ENDED_HERE = "The app was started again, or this page was away for long. Your concepts and chats are here."

T = TypeVar("T")


def ended(owner: str) -> str:
    """Return what an owner is told whose visit has ended."""
    return ENDED_HERE if lasts(owner) else ENDED_GUEST


@dataclass
class Writing:
    """A description that is being written into a form; `stop` ends it.

    `settled` is cleared while a part of it is on its way to the page: what is drawn once it is set arrives later.
    """

    stop: threading.Event = field(default_factory=threading.Event)
    settled: threading.Event = field(default_factory=threading.Event)


@dataclass(eq=False)
class Visitor:
    """One browser: whose concepts it works on, its conversations, and its pages by Gradio's name of each.

    `name` is what they signed in by, "" for all others. `key` is the secret that their pages send, `folder` what the
    names of their uploads' folders begin with. `returned` tells that an earlier visit of the same browser has ended.
    `checked` is what the last check of their concepts said, and of which views; it shows photos, and goes with the
    visitor. `connections` counts the requests that are not over, `revision` what the browser has asked for.
    """

    owner: str
    name: str = ""
    key: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    folder: str = field(default_factory=lambda: secrets.token_hex(8))
    returned: bool = False
    history: History = field(default_factory=History)
    tabs: dict[str, Session] = field(default_factory=dict)
    downloads: dict[str, tuple[float, str | Set[str]]] = field(default_factory=dict)
    checked: tuple[set[tuple[str, str, str]], str] = field(default_factory=lambda: (set(), ""))
    connections: int = 0
    revision: int = 0
    seen_at: float = field(default_factory=time.monotonic)

    def tab(self, page: str) -> Session:
        """Return what is held of a page; a new one begins with the conversation of the page used last."""
        last = next(reversed(self.tabs.values()), None)
        found = self.tabs.pop(page, None) or Session(
            self, current=last.current if last else "", returned=self.returned and last is None
        )
        self.tabs[page] = found
        return found

    def photo(self, sha256: str) -> Photo | None:
        """Return a photo that one of their pages holds, with a question or in a form."""
        held = (photo for tab in list(self.tabs.values()) for photo in (*tab.new_photos, *tab.faces.values()))
        return next((photo for photo in held if photo.sha256 == sha256), None) or self.history.photo(sha256)

    def stop(self) -> None:
        """End all that is being written for them alone."""
        self.history.stop()
        for tab in self.tabs.values():
            if tab.writing:
                tab.writing.stop.set()


@dataclass
class Session:
    """One page of a visitor: which conversation it shows, and what it is in the middle of.

    `side` is the form that stands beside the cards; where there is none, the concept `open_concept` does, of which
    `drawn` is what its fields were filled with. `unsaved` is what was typed into the fields of a concept, by its id,
    and not saved. `search`, `sort` and `everything` tell which cards are shown, `faces` are the photos on those that
    are in sight; `chat_search` and `all_chats` tell which conversations are listed. `picked` are the ids of the cards
    that are selected; None: none can be. `reviewed` are conversations that the review holds in memory, `skipped` the
    pairs of a photo and a concept that it does not ask about now. `merges` are those of the page, by the token that
    brings the merged concept back. `returned`: the page says that an earlier visit has
    ended. `photo_search` and `photo_filters` tell which photos of the library are listed, by concepts that must (True)
    or must not be there, `photo_page` which page of them is shown, and `photo_revision` as of when. `streams` are the
    numbers of the open streams of the page's events, `last_stream` is that of the last which ended.
    """

    visitor: Visitor
    current: str = ""
    returned: bool = False
    streams: set[int] = field(default_factory=set)
    last_stream: int = 0
    side: Literal["", "new", "import", "review"] = ""
    open_concept: str | None = None
    drawn: Concept | None = None
    unsaved: dict[str, tuple[str, str, str, str, bool]] = field(default_factory=dict)
    search: str = ""
    sort: str = ""
    picked: set[str] | None = None
    reviewed: list[Conversation] = field(default_factory=list)
    skipped: set[tuple[str, str]] = field(default_factory=set)
    everything: bool = False
    new_photos: list[Photo] = field(default_factory=list)
    faces: dict[str, Photo] = field(default_factory=dict)
    incoming: list[Any] = field(default_factory=list)
    writing: Writing | None = None
    undo: Callable[[], str] | None = None
    merges: dict[str, Merge] = field(default_factory=dict)
    chat_search: str = ""
    all_chats: bool = False
    photo_search: str = ""
    photo_filters: dict[str, bool] = field(default_factory=dict)
    photo_page: int = 0
    photo_revision: int = -1

    @property
    def owner(self) -> str:
        """Whose concepts the page works on."""
        return self.visitor.owner

    @property
    def history(self) -> History:
        """The conversations of all of the visitor's pages."""
        return self.visitor.history

    @property
    def conversation(self) -> Conversation:
        """The conversation that the page shows, until another is chosen or it is deleted.

        The first page after a visit that ended begins with the one asked last, a new visitor's with a blank one.
        """
        found = self.history.get(self.current) if self.current else None
        if found is None:
            found = self.history.latest() if self.current or self.returned else self.history.blank()
        self.current = found.id
        return found

    def open(self, concept_id: str) -> None:
        """Open a concept beside the cards, with what is saved of it."""
        self.side, self.open_concept, self.drawn = "", concept_id, None

    def close(self) -> None:
        """Close whatever form is open, and drop what was put into it."""
        self.side, self.open_concept, self.drawn = "", None, None
        self.new_photos, self.incoming, self.reviewed = [], [], []

    def retry_if_stale(self, work: Callable[[], T]) -> T:
        """Return what `work` makes, made again (AGAIN times at most) if the browser asked for more meanwhile."""
        for _ in range(AGAIN):
            revision = self.visitor.revision
            made = work()
            if self.visitor.revision == revision:
                return made
        return made


class Request(Protocol):
    """What of `gr.Request` is needed to know a visitor."""

    session_hash: str | None

    @property
    def cookies(self) -> Any: ...


def _keep(pages: list[str], folder: str, *, ended: bool) -> None:
    """Release nothing: there is no web server."""


class Release(Protocol):
    """Clear what the web server keeps of some pages and their uploads; no page comes back once they have `ended`."""

    def __call__(self, pages: list[str], folder: str, *, ended: bool) -> None: ...


class Sessions:
    """The table of visitors. `erase(owner)` is called for a temporary owner whose session has ended.

    `paused`: no new visitor is let in. `keep` makes what keeps an owner's conversations on disk, for each who lasts;
    without they are in memory.
    """

    def __init__(
        self,
        *,
        shared: bool,
        grace_s: float,
        erase: Callable[[str], None],
        release: Release = _keep,
        keep: Callable[[str], Kept] | None = None,
    ) -> None:
        self.shared = shared
        self._keep = keep
        self._kept: dict[str, Kept] = {}
        self.paused = False
        self._grace_s = grace_s
        self._erase = erase
        self._release = release
        self._table: dict[str, Visitor] = {}
        self._pages: dict[str, Visitor] = {}
        self._lock = threading.Lock()
        self._left: set[str] = set()

    @property
    def ended(self) -> str:
        """What is said where a visit has ended."""
        return ended(GUEST if self.shared else LOCAL)

    def kept(self, owner: str) -> Kept | None:
        """Return what keeps an owner's conversations on disk; None for guests."""
        if self._keep is None or not lasts(owner):
            return None
        with self._lock:
            if owner not in self._kept:
                self._kept[owner] = self._keep(owner)
            return self._kept[owner]

    def of(self, request: Request) -> Session:
        """Return what is held of the page that asks. Raises PersonalError where the visit has ended."""
        visitor = self.known(dict(request.cookies).get(COOKIE, ""))
        session = self.claim(visitor, request.session_hash or "") if visitor else None
        if session is None:
            raise PersonalError(self.ended)
        return session

    def claim(self, visitor: Visitor, page: str) -> Session | None:
        """Return what is held of a page, which belongs to whoever names it first; None where it is another's."""
        with self._lock:
            if self._pages.setdefault(page, visitor) is not visitor:
                return None
            session = visitor.tab(page)
            surplus = list(visitor.tabs)[:-TABS]
            for old in surplus:
                del visitor.tabs[old], self._pages[old]
        if surplus:
            self._release(surplus, "", ended=True)
        return session

    def known(self, token: str) -> Visitor | None:
        """Return the visitor with a cookie or key."""
        with self._lock:
            visitor = self._table.get(token)
            if visitor:
                visitor.seen_at = time.monotonic()
            return visitor

    def new(self, *, returned: bool = False, owner: str = "", name: str = "") -> str:
        """Welcome a visitor and return the secret token for their cookie. Without `owner` it is the usual one."""
        token = secrets.token_urlsafe(32)
        owner = owner or (new_guest() if self.shared else LOCAL)
        visitor = Visitor(owner, name, returned=returned, history=History(self.kept(owner)))
        with self._lock:
            self._table[token] = self._table[visitor.key] = visitor
        return token

    def erase(self, owner: str, erase: Callable[[str], None]) -> None:
        """Erase all that is an owner's by `erase`, and what their pages and the web server hold; they go on."""
        visitors, kept = self.visitors(owner), self.kept(owner)
        for visitor in visitors:
            visitor.stop()
            visitor.history.clear()
        if kept:
            kept.erase()
        try:
            erase(owner)
        finally:
            if kept:
                kept.erased()
        for visitor in visitors:
            for tab in visitor.tabs.values():
                tab.close()
                tab.unsaved.clear()
                tab.undo = None
            self._release(list(visitor.tabs), visitor.folder, ended=False)

    def has(self, owner: str) -> bool:
        """Tell whether an owner is still visiting."""
        return bool(self.visitors(owner))

    def visitors(self, owner: str) -> list[Visitor]:
        """List the browsers of an owner."""
        with self._lock:
            return [visitor for visitor in dict.fromkeys(self._table.values()) if visitor.owner == owner]

    def count(self) -> tuple[int, int]:
        """Return how many visitors there are, and how many of them have a page open."""
        with self._lock:
            visitors = set(self._table.values())
        return len(visitors), sum(visitor.connections > 0 for visitor in visitors)

    @contextmanager
    def connected(self, visitor: Visitor) -> Iterator[None]:
        """Keep a visitor while one of their requests lasts."""
        visitor.connections += 1
        try:
            yield
        finally:
            visitor.connections -= 1
            visitor.seen_at = time.monotonic()

    def sweep(self) -> None:
        """Let go of the visitors that nobody is connected of since the grace, and erase what was theirs.

        Raises PersonalError where something could not be erased; the next sweep tries that again.
        """
        with self._lock:
            latest = time.monotonic() - self._grace_s
            gone = dict.fromkeys(v for v in self._table.values() if not v.connections and v.seen_at < latest)
            kept = list(self._kept.items())
        self.end(gone)
        for owner, conversations in kept:
            if owner != LOCAL and not self.has(owner):
                conversations.rest()

    def forget_erased(self) -> None:
        """Drop what conversations hold of concepts that were erased. Raises PersonalError; to be tried again."""
        with self._lock:
            kept = list(self._kept.values())
        for conversations in kept:
            conversations.forget()

    def end(self, gone: Collection[Visitor]) -> None:
        """Let go of visitors, and erase what was theirs if they were guests. Raises PersonalError as `sweep` does."""
        with self._lock:
            self._table = {token: v for token, v in self._table.items() if v not in gone}
            self._pages = {page: v for page, v in self._pages.items() if v not in gone}
        for visitor in gone:
            visitor.stop()
            self._release(list(visitor.tabs), visitor.folder, ended=True)
        failed: PersonalError | None = None
        for owner in [*self._left, *(visitor.owner for visitor in gone if not lasts(visitor.owner))]:
            try:
                self._erase(owner)
                self._left.discard(owner)
            except PersonalError as error:
                self._left.add(owner)
                failed = error
        if failed:
            raise failed

    def stop(self) -> None:
        """End all that is being written for anybody."""
        with self._lock:
            visitors = set(self._table.values())
        for visitor in visitors:
            visitor.stop()
        for kept in list(self._kept.values()):
            kept.stop()

    def download(self, session: Session, what: str | Set[str] = "") -> str:
        """Issue a token for an export that works once, within five minutes.

        It is of a conversation by its id, of concepts by their ids, or of all concepts where `what` is empty.
        """
        token = secrets.token_urlsafe(24)
        session.visitor.downloads = {token: (time.monotonic() + 300, what)}
        return token

    def redeem(self, token: str) -> tuple[Visitor, str | Set[str]] | None:
        """Turn a download token into its visitor and what is to be exported, once."""
        with self._lock:
            for visitor in dict.fromkeys(self._table.values()):
                until, what = visitor.downloads.pop(token, (0.0, ""))
                if until > time.monotonic():
                    return visitor, what
        return None

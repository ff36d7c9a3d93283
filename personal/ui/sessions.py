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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar

from personal.compose import LOCAL
from personal.concepts import Answer, Box, Concept, Look, Photo, PhotoFindings, Turn
from personal.errors import PersonalError

COOKIE = "personal"
TABS = 16
"""Pages of a visitor whose state is held, those used last."""
AGAIN = 3
"""How often at most something is done that the visitor overtakes by asking for more."""

ENDED_GUEST = "Your visit has ended, and what you added as a guest was erased."
ENDED_HERE = (
    "The app was started again, or this page was away for long. Your concepts are here; the conversation is gone."
)

T = TypeVar("T")


@dataclass(eq=False)
class Entry:
    """One exchange on the screen: the turn, and its answer or the words of what went wrong."""

    turn: Turn
    answer: Answer | None = None
    error: str = ""


@dataclass
class Conversation:
    """What one conversation holds, for as long as the browser session lasts.

    `findings` are what is known about its photos, by their sha256; nothing else keeps that. `confirmed` are pairs of a
    photo and a concept that the visitor said is right. `active` is the photo in the panel, `marked` the part of it
    being named, `editing` the number of the entry whose question is being edited; `answering` is the entry whose answer
    is being written, which `stop` ends.
    """

    id: str = field(default_factory=lambda: secrets.token_hex(8))
    entries: list[Entry] = field(default_factory=list)
    draft: list[Photo] = field(default_factory=list)
    findings: dict[str, PhotoFindings] = field(default_factory=dict)
    confirmed: set[tuple[str, str]] = field(default_factory=set)
    colours: dict[str, int] = field(default_factory=dict)
    active: str | None = None
    marked: Box | None = None
    editing: int | None = None
    answering: Entry | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def title(self) -> str:
        """The first question, else that it is new."""
        return next((entry.turn.question for entry in self.entries if entry.turn.question), "New conversation")

    @property
    def photos(self) -> list[Photo]:
        """Every photo of the conversation, those not yet sent last."""
        return [photo for entry in self.entries for photo in entry.turn.photos] + self.draft

    def photo(self, sha256: str | None) -> Photo | None:
        return next((photo for photo in self.photos if photo.sha256 == sha256), None)

    def of(self, photo: Photo) -> PhotoFindings:
        """Return what is known about a photo."""
        return self.findings.get(photo.sha256) or PhotoFindings(photo)

    def found(self, found: PhotoFindings) -> None:
        """Keep what was found in a photo; what was rejected while it was searched counts."""
        self.findings[found.photo.sha256] = found.rejecting(self.of(found.photo).rejected)

    def reject(self, photo: Photo, concept_id: str) -> None:
        """Note that a concept is not in a photo."""
        self.findings[photo.sha256] = self.of(photo).rejecting(self.of(photo).rejected | {concept_id})

    def accept(self, photo: Photo, concept_id: str) -> None:
        """Take a rejection back."""
        self.findings[photo.sha256] = self.of(photo).rejecting(self.of(photo).rejected - {concept_id})

    def about(self, entry: Entry) -> tuple[Photo, ...]:
        """List the photos that an entry's question is about: its own, or else the last one before it."""
        before = self.entries[: self.entries.index(entry)]
        return entry.turn.photos or tuple([photo for one in before for photo in one.turn.photos][-1:])

    def recognised(self, entry: Entry, look: Look) -> set[str] | None:
        """Return the ids of concepts that an answer may name: recognised in its photos or asked about; None: any.

        `look` is what was found for the question. None where there is no photo in which one could be recognised.
        """
        photos = self.about(entry)
        if not photos:
            return None
        asked = {match.concept.id for match in look.named} | {
            concept.id for concept in (look.statement.concepts if look.statement else ())
        }
        return asked | {match.concept.id for photo in photos for match in self.of(photo).seen}

    def activate(self, sha256: str) -> None:
        """Put a photo of the conversation into the panel; anything else changes nothing."""
        if self.photo(sha256):
            self.active, self.marked = sha256, None

    def colour(self, concept_id: str) -> int:
        """The concept's colour in this conversation: 0..7, in order of appearance."""
        return self.colours.setdefault(concept_id, len(self.colours)) % 8


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

    `key` is the secret that their pages send, `folder` what the names of their uploads' folders begin with. `returned`
    tells that an earlier visit of the same browser has ended. `checked` is what the last check of their concepts said,
    and of which views; it shows photos, and goes with the visitor. `connections` counts the requests that are not over,
    `revision` what the browser has asked for.
    """

    owner: str
    key: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    folder: str = field(default_factory=lambda: secrets.token_hex(8))
    returned: bool = False
    conversations: list[Conversation] = field(default_factory=lambda: [Conversation()])
    tabs: dict[str, Session] = field(default_factory=dict)
    downloads: dict[str, float] = field(default_factory=dict)
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
        found = (conversation.photo(sha256) for conversation in list(self.conversations))
        held = (photo for tab in list(self.tabs.values()) for photo in (*tab.new_photos, *tab.faces.values()))
        return next((p for p in (*found, *held) if p and p.sha256 == sha256), None)

    def stop(self) -> None:
        """End all that is being written for them."""
        for conversation in self.conversations:
            conversation.stop.set()
        for tab in self.tabs.values():
            if tab.writing:
                tab.writing.stop.set()


@dataclass
class Session:
    """One page of a visitor: which conversation it shows, and what it is in the middle of.

    `side` is the form that stands beside the cards; where there is none, the concept `open_concept` does, of which
    `drawn` is what its fields were filled with. `search` and `everything` tell which cards are shown, `faces` are the
    photos on those that are in sight. `returned`: the page says that an earlier visit has ended.
    """

    visitor: Visitor
    current: str = ""
    returned: bool = False
    side: Literal["", "new", "import"] = ""
    open_concept: str | None = None
    drawn: Concept | None = None
    search: str = ""
    everything: bool = False
    new_photos: list[Photo] = field(default_factory=list)
    faces: dict[str, Photo] = field(default_factory=dict)
    incoming: list[Any] = field(default_factory=list)
    writing: Writing | None = None
    undo: Callable[[], str] | None = None
    deleted_at: float = 0.0

    @property
    def owner(self) -> str:
        """Whose concepts the page works on."""
        return self.visitor.owner

    @property
    def conversations(self) -> list[Conversation]:
        """The conversations of all of the visitor's pages."""
        return self.visitor.conversations

    @property
    def conversation(self) -> Conversation:
        """The conversation that the page shows, until another is chosen or it is deleted."""
        found = next((c for c in self.conversations if c.id == self.current), self.conversations[-1])
        self.current = found.id
        return found

    def open(self, concept_id: str) -> None:
        """Open a concept beside the cards, with what is saved of it."""
        self.side, self.open_concept, self.drawn = "", concept_id, None

    def close(self) -> None:
        """Close whatever form is open, and drop what was put into it."""
        self.side, self.open_concept, self.drawn, self.new_photos, self.incoming = "", None, None, [], []

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
    """The table of visitors. `erase(owner)` is called for a temporary owner whose session has ended."""

    def __init__(self, *, shared: bool, grace_s: float, erase: Callable[[str], None], release: Release = _keep) -> None:
        self.shared = shared
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
        return ENDED_GUEST if self.shared else ENDED_HERE

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

    def new(self, *, returned: bool = False) -> str:
        """Welcome a visitor and return the secret token for their cookie."""
        token = secrets.token_urlsafe(32)
        visitor = Visitor(f"visitor-{secrets.token_hex(12)}" if self.shared else LOCAL, returned=returned)
        with self._lock:
            self._table[token] = self._table[visitor.key] = visitor
        return token

    def clear(self, visitor: Visitor) -> None:
        """Clear what the web server keeps of a visitor who goes on."""
        self._release(list(visitor.tabs), visitor.folder, ended=False)

    def has(self, owner: str) -> bool:
        """Tell whether an owner is still visiting."""
        with self._lock:
            return any(visitor.owner == owner for visitor in self._table.values())

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
            self._table = {token: v for token, v in self._table.items() if v not in gone}
            self._pages = {page: v for page, v in self._pages.items() if v not in gone}
        for visitor in gone:
            visitor.stop()
            self._release(list(visitor.tabs), visitor.folder, ended=True)
        failed: PersonalError | None = None
        for owner in [*self._left, *(visitor.owner for visitor in gone if visitor.owner != LOCAL)]:
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

    def download(self, session: Session) -> str:
        """Issue a token with which this session's owner can fetch an export once, within five minutes."""
        token = secrets.token_urlsafe(24)
        session.visitor.downloads = {token: time.monotonic() + 300}
        return token

    def redeem(self, token: str) -> str | None:
        """Turn a download token into its owner, once."""
        with self._lock:
            for visitor in self._table.values():
                if visitor.downloads.pop(token, 0.0) > time.monotonic():
                    return visitor.owner
        return None

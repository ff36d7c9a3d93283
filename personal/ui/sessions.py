"""Who is visiting: browser sessions, the owner each works for, their conversations, and when they end.

A session is known by a random cookie that scripts cannot read; the owner is taken from the server's own table, never
from the client. A browser that keeps no cookies gets a session a page. A session lives as long as one of its pages is
connected, and a grace after that, so that a reload loses nothing; then a temporary owner's bytes are erased.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Any, Literal, Protocol, TypeVar

from personal.compose import LOCAL
from personal.concepts import Answer, Box, Match, Photo, Turn
from personal.errors import PersonalError

COOKIE = "personal"
HEARTBEAT = "/gradio_api/heartbeat/"
AGAIN = 3
"""How often at most something is done that the visitor overtakes by asking for more."""
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")

T = TypeVar("T")


@dataclass
class Entry:
    """One exchange on the screen: the turn, and its answer or the words of what went wrong."""

    turn: Turn
    answer: Answer | None = None
    error: str = ""


@dataclass
class Conversation:
    """What one conversation holds, for as long as the browser session lasts.

    `active` is the photo in the panel, `marked` the part of it being named, `editing` the number of the entry whose
    question is being edited; `answering` is the entry whose answer is being written, which `stop` ends.
    """

    id: str = field(default_factory=lambda: secrets.token_hex(8))
    entries: list[Entry] = field(default_factory=list)
    draft: list[Photo] = field(default_factory=list)
    looks: dict[str, tuple[Match, ...]] = field(default_factory=dict)
    rejected: dict[str, set[str]] = field(default_factory=dict)
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


@dataclass
class Session:
    """One visitor's browser: whose concepts it works on, its conversations, and what it is in the middle of.

    `side` is the form that stands beside the cards; where there is none, the concept `open_concept` does. `faces` are
    the photos on the cards that are in sight; `asked` counts what the browser has asked for.
    """

    owner: str
    conversations: list[Conversation] = field(default_factory=lambda: [Conversation()])
    current: str = ""
    side: Literal["", "new", "import"] = ""
    open_concept: str | None = None
    new_photos: list[Photo] = field(default_factory=list)
    faces: dict[str, Photo] = field(default_factory=dict)
    incoming: list[Any] = field(default_factory=list)
    writing: Writing | None = None
    undo: Callable[[], str] | None = None
    downloads: dict[str, float] = field(default_factory=dict)
    pages: int = 0
    asked: int = 0
    seen_at: float = field(default_factory=time.monotonic)

    @property
    def conversation(self) -> Conversation:
        return next((c for c in self.conversations if c.id == self.current), self.conversations[-1])

    def newest(self, work: Callable[[], T]) -> T:
        """Do something, and again where the browser asked for more meanwhile: what was made is of before that."""
        for _ in range(AGAIN):
            asked = self.asked
            made = work()
            if self.asked == asked:
                return made
        return made


class Request(Protocol):
    """What of `gr.Request` is needed to know a visitor."""

    session_hash: str | None

    @property
    def cookies(self) -> Any: ...


class Sessions:
    """The table of visitors. `erase(owner)` is called for a temporary owner whose session has ended."""

    def __init__(self, *, shared: bool, grace_s: float, erase: Callable[[str], None]) -> None:
        self.shared = shared
        self._grace_s = grace_s
        self._erase = erase
        self._table: dict[str, Session] = {}
        self._lock = threading.Lock()
        self._left: set[str] = set()

    def of(self, request: Request) -> Session:
        """Return the visitor's session, making one for a page whose browser kept no cookie."""
        session = self.known(dict(request.cookies).get(COOKIE, ""))
        return session or self.page(request.session_hash or "")

    def known(self, token: str) -> Session | None:
        with self._lock:
            session = self._table.get(token)
            if session:
                session.seen_at = time.monotonic()
            return session

    def page(self, session_hash: str) -> Session:
        """The session of one page alone."""
        return self._make(f"page {session_hash}")

    def new(self) -> str:
        """Begin a session and return its secret token."""
        token = secrets.token_urlsafe(32)
        self._make(token)
        return token

    def _make(self, token: str) -> Session:
        with self._lock:
            if token not in self._table:
                self._table[token] = Session(owner=f"visitor-{secrets.token_hex(12)}" if self.shared else LOCAL)
            self._table[token].seen_at = time.monotonic()
            return self._table[token]

    def has(self, owner: str) -> bool:
        """Tell whether an owner's session is alive."""
        with self._lock:
            return any(session.owner == owner for session in self._table.values())

    @contextmanager
    def connected(self, session: Session) -> Iterator[None]:
        """Hold a session alive while one of its pages is connected."""
        session.pages += 1
        try:
            yield
        finally:
            session.pages -= 1
            session.seen_at = time.monotonic()

    def sweep(self) -> None:
        """End the sessions that nobody is connected to since the grace, and erase what was theirs.

        Raises PersonalError where something could not be erased; the next sweep tries that again.
        """
        with self._lock:
            latest = time.monotonic() - self._grace_s
            ended = [t for t, s in self._table.items() if not s.pages and s.seen_at < latest]
            gone = [self._table.pop(token) for token in ended]
        for session in gone:
            for conversation in session.conversations:
                conversation.stop.set()
            if session.writing:
                session.writing.stop.set()
        failed: PersonalError | None = None
        for owner in [*self._left, *(session.owner for session in gone if session.owner != LOCAL)]:
            try:
                self._erase(owner)
                self._left.discard(owner)
            except PersonalError as error:
                self._left.add(owner)
                failed = error
        if failed:
            raise failed

    def download(self, session: Session) -> str:
        """Issue a token with which this session's owner can fetch an export once, within five minutes."""
        token = secrets.token_urlsafe(24)
        session.downloads = {token: time.monotonic() + 300}
        return token

    def redeem(self, token: str) -> str | None:
        """Turn a download token into its owner, once."""
        with self._lock:
            for session in self._table.values():
                if session.downloads.pop(token, 0.0) > time.monotonic():
                    return session.owner
        return None


Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Visitors:
    """ASGI middleware: gives each browser its cookie, keeps sessions alive while pages are connected.

    On loopback it also turns away requests that were not addressed to this machine by name, or that another site's
    page makes: a web page must not be able to read a person's library through their own browser (DNS rebinding).
    """

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]], sessions: Sessions) -> None:
        self._app = app
        self._sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
        if not self._sessions.shared and not _meant_for_us(headers):
            await _refuse(send)
            return
        session = self._sessions.known(_token(headers.get("cookie", "")))
        path: str = scope["path"]
        if path.startswith(HEARTBEAT):
            with self._sessions.connected(session or self._sessions.page(path.removeprefix(HEARTBEAT))):
                await self._app(scope, receive, send)
            return
        if session is None and path == "/" and scope["method"] == "GET":
            secure = headers.get("x-forwarded-proto", scope.get("scheme")) == "https"
            send = _with_cookie(send, self._sessions.new(), secure)
        await self._app(scope, receive, send)


def _token(cookies: str) -> str:
    try:
        morsel = SimpleCookie(cookies).get(COOKIE)
    except CookieError:
        return ""
    return morsel.value if morsel else ""


def _meant_for_us(headers: dict[str, str]) -> bool:
    host = headers.get("host", "")
    origin = headers.get("origin", "")
    return host.rsplit(":", 1)[0] in LOOPBACK and (not origin or origin.split("//")[-1].rsplit(":", 1)[0] in LOOPBACK)


async def _refuse(send: Send) -> None:
    await send({"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"This app answers only to its own page on this machine."})


def _with_cookie(send: Send, token: str, secure: bool) -> Send:
    # A Space is shown in a frame of another site: there the cookie must say that it may travel (and is partitioned).
    manner = "SameSite=None; Secure; Partitioned" if secure else "SameSite=Lax"

    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            cookie = f"{COOKIE}={token}; Path=/; HttpOnly; {manner}"
            message["headers"] = [*message.get("headers", []), (b"set-cookie", cookie.encode())]
        await send(message)

    return sending

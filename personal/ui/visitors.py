"""Who asks: each request is taken to its visitor, and gets nothing that is another's.

An ASGI middleware. It sets `scope["visitor"]`, which routes of our own read; Gradio's handlers find the visitor by the
cookie (`Sessions.of`). A browser that keeps no cookies, in some frames of other sites, is known by a key: the page is
told it when it opens, and sends it with all it asks for (`assets/app.js`).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, quote

from starlette.requests import cookie_parser

from personal.owners import USER
from personal.ui.accounts import Accounts, Who
from personal.ui.doors import Receive, Refused, Scope, Send, replay, respond
from personal.ui.gradio_internals import has_events
from personal.ui.routes import SIGN_IN, UPLOAD
from personal.ui.sessions import COOKIE, Session, Sessions, Visitor, ended

KEY = "x-personal"
"""The header with a page's key."""
VISIT = "/personal/visit"
"""Where a page asks for its key."""
API = "/gradio_api/"
UPLOAD_PROGRESS, FILE, HEARTBEAT = (API + part for part in ("upload_progress", "file=", "heartbeat/"))
EVENTS, JOIN = API + "queue/data", API + "queue/join"
STREAM, STREAM_END = b"x-personal-stream", b'data: {"msg":"close_stream"'
"""A stream's number, from its page, and with an event's receipt the last stream's if none is open; how one ends."""
ALIAS = "/uploads/"
"""What pages are told in place of the folder that uploads are in: paths of this machine are nobody's business."""
PAGE = re.compile(r"[\w-]{1,64}", re.ASCII)
"""A page's name, as Gradio's script makes it."""
ANYBODY = frozenset({API + part for part in ("info", "startup-events", "theme.css")})
"""What tells nothing of anybody: no visitor need be known."""
FOREIGN = "This belongs to somebody else, or to nobody."
IDLE = "Nothing is on its way to this page."
SWITCHED = "You have signed in or out. Nothing of your account is lost."
SIGN_IN_FIRST = "Sign in first."
PAUSED = "Nobody new is let in at this moment. Come back later."
FULL = "As many people are here as fit. Come back in a few minutes."


class Visitors:
    """Give each browser its cookie, hold visitors while any request of theirs lasts, keep what is theirs from others.

    A page keeps one request open for as long as it is there: Gradio's heartbeat. `uploads` is Gradio's upload folder,
    `most` is how many visitors there can be at once (0: any number).
    """

    def __init__(
        self, app: Any, sessions: Sessions, uploads: Path, accounts: Accounts | None = None, most: int = 0
    ) -> None:
        self._app = app
        self._sessions = sessions
        self._accounts = accounts
        self._most = most
        self._uploads = uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
        cookies = cookie_parser(headers.get("cookie", ""))
        cookie, key = cookies.get(COOKIE, ""), headers.get(KEY, "")  # other programs of the machine set cookies, too
        who = scope["who"] = self._accounts.who(scope, cookies) if self._accounts else Who()
        known = self._sessions.known(key or cookie)
        visitor = scope["visitor"] = known if known and _is(known, who) else None
        path: str = scope["path"]
        try:
            if path == VISIT and scope["method"] == "POST":
                await _respond(send, 200, {"key": self._welcome(cookie, key, who).key})
                return
            if visitor is None:
                await self._meet(who, scope, receive, send, known=known, returned=bool(cookie))
                return
            with self._sessions.connected(visitor):
                if key:
                    scope["headers"] = _with_key_for_cookie(scope["headers"], visitor)
                receive = await self._check(visitor, scope, receive)
                if path == UPLOAD:
                    send = self._with_aliases(send)
                elif path == JOIN:
                    send = _with_stream(send, scope["tab"])
                await (self._stream if path == EVENTS else self._app)(scope, receive, send)
        except Refused as refusal:
            if path == "/":
                await respond(send, refusal.status, str(refusal))
            else:
                await _respond(send, refusal.status, {"detail": str(refusal)})

    async def _meet(
        self, who: Who, scope: Scope, receive: Receive, send: Send, *, known: Visitor | None, returned: bool
    ) -> None:
        """Take a request of no visitor: a page that opens makes one, and nothing of anybody's is given out.

        `known` is somebody else whose cookie the browser has: it has signed in or out since.
        """
        path: str = scope["path"]
        if path.startswith(API) and path not in ANYBODY:
            raise Refused(410, SWITCHED if known else ended(who.owner) if who.owner else self._sessions.ended)
        if path in {"/", "/config"} and scope["method"] == "GET":
            if not who.admitted and path == "/":
                await _redirect(send, SIGN_IN)
                return
            token = self._new(who, returned=returned and known is None)
            send = with_cookies(send, cookie_header(COOKIE, token, secure=scope.get("scheme") == "https", framed=True))
        await self._app(scope, receive, send)

    def _new(self, who: Who, *, returned: bool) -> str:
        if not who.admitted:
            raise Refused(401, SIGN_IN_FIRST)
        if self._sessions.paused:
            raise Refused(503, PAUSED)
        if self._most and self._sessions.count()[0] >= self._most:
            raise Refused(503, FULL)
        return self._sessions.new(returned=returned, owner=who.owner, name=who.name)

    def _welcome(self, cookie: str, key: str, who: Who) -> Visitor:
        """Return the visitor whose page opens: a new one where the browser keeps no cookies, and the page no key."""
        held = (self._sessions.known(cookie), self._sessions.known(key))
        known = next((visitor for visitor in held if visitor and _is(visitor, who)), None)
        return known or cast(Visitor, self._sessions.known(self._new(who, returned=bool(key))))

    async def _check(self, visitor: Visitor, scope: Scope, receive: Receive) -> Receive:
        """Let a request through that is about the visitor's own pages and uploads; raises Refused for any other."""
        path: str = scope["path"]
        query = scope.get("query_string", b"")
        if not path.startswith(API) or path in ANYBODY:
            return receive
        if path in {UPLOAD, UPLOAD_PROGRESS}:  # browsers choose the ids of their uploads: here each visitor's are apart
            mark = visitor.folder.encode()
            scope["query_string"] = re.sub(rb"(^|&)upload_id=", lambda found: found[0] + mark, query)
        elif path.startswith(FILE):
            file = self._place(path.removeprefix(FILE))
            if not self._owns(visitor, file) or not Path(file).is_file():
                raise Refused(404, FOREIGN)
            scope["path"], scope["raw_path"] = FILE + file, quote(FILE + file).encode()
        elif scope["method"] == "POST":
            receive = self._check_event(visitor, scope, await _read(receive), receive)
        elif path.startswith(HEARTBEAT):
            self._check_page(visitor, path.removeprefix(HEARTBEAT))
        else:
            pages = parse_qs(query.decode("latin-1")).get("session_hash", [""])
            scope["tab"] = self._check_page(visitor, *pages)
            if path == EVENTS and "app" in scope:
                blocks = scope["app"].get_blocks()
                if not all(has_events(blocks, page) for page in pages):
                    raise Refused(404, IDLE)
        return receive

    def _check_event(self, visitor: Visitor, scope: Scope, body: bytes, receive: Receive) -> Receive:
        """Check an event's page and files, and return what gives it to the app, with the files' real places."""
        try:
            event = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise Refused(400, "This cannot be read.") from error
        scope["tab"] = self._check_page(visitor, event.get("session_hash") if isinstance(event, dict) else None)
        files = list(_files(event))
        for file in files:
            if not self._owns(visitor, self._place(file["path"])):
                raise Refused(403, FOREIGN)
            file["path"] = self._place(file["path"])
        if files:
            body = json.dumps(event).encode()
            kept = [(key, value) for key, value in scope["headers"] if key.lower() != b"content-length"]
            scope["headers"] = [*kept, (b"content-length", str(len(body)).encode())]
        return replay(body, receive)

    def _check_page(self, visitor: Visitor, *pages: Any) -> Session:
        """Return what is held of the first of a visitor's pages; raises Refused where one is another's."""
        held = [self._sessions.claim(visitor, page) if _names_page(page) else None for page in pages or ("",)]
        if held[0] is None or None in held:
            raise Refused(403, FOREIGN)
        return held[0]

    def _place(self, path: str) -> str:
        """Return where an upload really is, of which the page knows an alias."""
        return f"{self._uploads}/{path.removeprefix(ALIAS)}" if path.startswith(ALIAS) else path

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send a page its events; the stream, which the page numbers, counts as open until its end is on its way."""
        tab, number = scope["tab"], dict(scope["headers"]).get(STREAM, b"")
        number = int(number) if len(number) < 10 and number.isdigit() else 0
        tab.streams.add(number)

        def end() -> None:
            tab.streams.discard(number)
            tab.last_stream = max(tab.last_stream, number)

        async def sending(message: Any) -> None:
            if message.get("body", b"").startswith(STREAM_END):
                end()
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            end()

    def _with_aliases(self, send: Send) -> Send:
        """Tell a page aliases of the places of its uploads."""
        messages: list[Any] = []

        async def sending(message: Any) -> None:
            messages.append(message)
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                start, *bodies = messages
                body = b"".join(one.get("body", b"") for one in bodies)
                body = body.replace(json.dumps(f"{self._uploads}/")[1:-1].encode(), ALIAS.encode())
                kept = [(key, value) for key, value in start["headers"] if key.lower() != b"content-length"]
                start["headers"] = [*kept, (b"content-length", str(len(body)).encode())]
                await send(start)
                await send({"type": "http.response.body", "body": body})

        return sending

    def _owns(self, visitor: Visitor, path: str) -> bool:
        parts, root = Path(os.path.abspath(path)).parts, self._uploads.parts
        inside = parts[len(root) :] if parts[: len(root)] == root else ()
        return bool(inside) and inside[0].startswith(f"{visitor.folder}-")


def _files(event: Any) -> Iterator[dict[str, Any]]:
    """List what names a file in an event, at any depth."""
    left = [event]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            if isinstance(value.get("path"), str):
                yield value
            left += value.values()
        elif isinstance(value, list):
            left += value


async def _read(receive: Receive) -> bytes:
    """Return a request's body, whose length `personal.ui.doors` has bounded."""
    body, more = bytearray(), True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return bytes(body)


async def _respond(send: Send, status: int, content: dict[str, str]) -> None:
    headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(content).encode()})


async def _redirect(send: Send, path: str) -> None:
    headers = [(b"location", path.encode()), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": 303, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def _is(visitor: Visitor, who: Who) -> bool:
    """Tell whether a visitor is whom a request comes from: guests come in as long as any do."""
    signed_in = visitor.owner if visitor.owner.startswith(USER) else ""
    return who.admitted and signed_in == who.owner


def _names_page(page: Any) -> bool:
    return isinstance(page, str) and bool(PAGE.fullmatch(page))


def _with_stream(send: Send, tab: Session) -> Send:
    """Tell a page with an event's receipt which stream was its last, if none is open: its script may know of no end."""

    async def sending(message: Any) -> None:
        if message["type"] == "http.response.start" and not tab.streams:
            message["headers"] = [*message.get("headers", []), (STREAM, str(tab.last_stream).encode())]
        await send(message)

    return sending


def _with_key_for_cookie(headers: list[tuple[bytes, bytes]], visitor: Visitor) -> list[tuple[bytes, bytes]]:
    """Return headers whose cookie is the page's key, so that all that follows knows the visitor in one way."""
    kept = [(key, value) for key, value in headers if key.lower() != b"cookie"]
    return [*kept, (b"cookie", f"{COOKIE}={visitor.key}".encode())]


def cookie_header(name: str, value: str, *, secure: bool, framed: bool, max_age_s: int | None = None) -> str:
    """Return a Set-Cookie header of a cookie that scripts cannot read; without `max_age_s` it goes with the browser."""
    # A Space is shown in a frame of another site: there the cookie must say that it may travel (and is partitioned).
    manner = "SameSite=None; Secure; Partitioned" if secure and framed else "SameSite=Lax" + "; Secure" * secure
    age = "" if max_age_s is None else f"; Max-Age={max_age_s}"
    return f"{name}={value}; Path=/; HttpOnly; {manner}{age}"


def with_cookies(send: Send, *cookies: str) -> Send:
    """Return what sends a response with cookies set."""

    async def sending(message: Any) -> None:
        if message["type"] == "http.response.start":
            added = [(b"set-cookie", cookie.encode()) for cookie in cookies]
            message["headers"] = [*message.get("headers", []), *added]
        await send(message)

    return sending

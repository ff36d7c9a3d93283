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

from personal.ui.doors import UPLOAD, Receive, Refused, Scope, Send, replay
from personal.ui.gradio_internals import has_events
from personal.ui.sessions import COOKIE, Sessions, Visitor

KEY = "x-personal"
"""The header with a page's key."""
VISIT = "/personal/visit"
"""Where a page asks for its key."""
API = "/gradio_api/"
UPLOAD_PROGRESS, FILE, HEARTBEAT = (API + part for part in ("upload_progress", "file=", "heartbeat/"))
EVENTS, JOIN = API + "queue/data", API + "queue/join"
STREAM, STREAM_END = b"x-personal-stream", b'data: {"msg":"close_stream"'
"""The header that tells a page with an event's receipt that no stream of its is open; how Gradio ends one."""
ALIAS = "/uploads/"
"""What pages are told in place of the folder that uploads are in: paths of this machine are nobody's business."""
PAGE = re.compile(r"[\w-]{1,64}", re.ASCII)
"""A page's name, as Gradio's script makes it."""
ANYBODY = frozenset({API + part for part in ("info", "startup-events", "theme.css")})
"""What tells nothing of anybody: no visitor need be known."""
FOREIGN = "This belongs to somebody else, or to nobody."
IDLE = "Nothing is on its way to this page."


class Visitors:
    """Give each browser its cookie, hold visitors while any request of theirs lasts, keep what is theirs from others.

    A page keeps one request open for as long as it is there: Gradio's heartbeat. `uploads` is Gradio's upload folder.
    """

    def __init__(self, app: Any, sessions: Sessions, uploads: Path) -> None:
        self._app = app
        self._sessions = sessions
        self._uploads = uploads
        self._streams: set[tuple[str, object]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
        cookie, key = token_in(headers.get("cookie", "")), headers.get(KEY, "")
        visitor = scope["visitor"] = self._sessions.known(key or cookie)
        path: str = scope["path"]
        try:
            if path == VISIT and scope["method"] == "POST":
                await _respond(send, 200, {"key": self._welcome(cookie, key).key})
                return
            if visitor is None:
                if path.startswith(API) and path not in ANYBODY:
                    raise Refused(410, self._sessions.ended)
                if path in {"/", "/config"} and scope["method"] == "GET":
                    secure = scope.get("scheme") == "https"
                    send = _with_cookie(send, self._sessions.new(returned=bool(cookie)), secure)
                await self._app(scope, receive, send)
                return
            with self._sessions.connected(visitor):
                if key:
                    scope["headers"] = _with_key_for_cookie(scope["headers"], visitor)
                receive = await self._check(visitor, scope, receive)
                if path == UPLOAD:
                    send = self._with_aliases(send)
                elif path == JOIN:
                    send = self._with_stream(send, scope["page"])
                await (self._stream if path == EVENTS else self._app)(scope, receive, send)
        except Refused as refusal:
            await _respond(send, refusal.status, {"detail": str(refusal)})

    def _welcome(self, cookie: str, key: str) -> Visitor:
        """Return the visitor whose page opens: a new one where the browser keeps no cookies, and the page no key."""
        known = self._sessions.known(cookie) or self._sessions.known(key)
        return known or cast(Visitor, self._sessions.known(self._sessions.new(returned=bool(key))))

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
            self._check_page(visitor, *pages)
            scope["page"] = pages[0]
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
        self._check_page(visitor, event.get("session_hash") if isinstance(event, dict) else None)
        scope["page"] = event["session_hash"]
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

    def _check_page(self, visitor: Visitor, *pages: Any) -> None:
        for page in pages or ("",):
            named = isinstance(page, str) and PAGE.fullmatch(page)
            if not named or self._sessions.claim(visitor, page) is None:
                raise Refused(403, FOREIGN)

    def _place(self, path: str) -> str:
        """Return where an upload really is, of which the page knows an alias."""
        return f"{self._uploads}/{path.removeprefix(ALIAS)}" if path.startswith(ALIAS) else path

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send a page its events; the stream counts as open until its end is on its way."""
        stream = (scope["page"], object())
        self._streams.add(stream)

        async def sending(message: Any) -> None:
            if message.get("body", b"").startswith(STREAM_END):
                self._streams.discard(stream)
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            self._streams.discard(stream)

    def _with_stream(self, send: Send, page: str) -> Send:
        """Tell a page with an event's receipt if its stream is over: Gradio's script may not know that yet."""

        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start" and all(page != other for other, _ in self._streams):
                message["headers"] = [*message.get("headers", []), (STREAM, b"over")]
            await send(message)

        return sending

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


def token_in(cookies: str) -> str:
    """Return the visitor's cookie; those that other programs of the same machine set beside it may hold anything."""
    return cookie_parser(cookies).get(COOKIE, "")


def _with_key_for_cookie(headers: list[tuple[bytes, bytes]], visitor: Visitor) -> list[tuple[bytes, bytes]]:
    """Return headers whose cookie is the page's key, so that all that follows knows the visitor in one way."""
    kept = [(key, value) for key, value in headers if key.lower() != b"cookie"]
    return [*kept, (b"cookie", f"{COOKIE}={visitor.key}".encode())]


def _with_cookie(send: Send, token: str, secure: bool) -> Send:
    # A Space is shown in a frame of another site: there the cookie must say that it may travel (and is partitioned).
    manner = "SameSite=None; Secure; Partitioned" if secure else "SameSite=Lax"

    async def sending(message: Any) -> None:
        if message["type"] == "http.response.start":
            cookie = f"{COOKIE}={token}; Path=/; HttpOnly; {manner}"
            message["headers"] = [*message.get("headers", []), (b"set-cookie", cookie.encode())]
        await send(message)

    return sending

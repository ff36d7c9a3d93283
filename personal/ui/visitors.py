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
from urllib.parse import parse_qs

from starlette.requests import cookie_parser

from personal.ui.doors import UPLOAD, Receive, Refused, Scope, Send
from personal.ui.sessions import COOKIE, Sessions, Visitor

KEY = "x-personal"
"""The header with a page's key."""
VISIT = "/personal/visit"
"""Where a page asks for its key."""
API = "/gradio_api/"
UPLOAD_PROGRESS, FILE, HEARTBEAT = (API + part for part in ("upload_progress", "file=", "heartbeat/"))
ANYBODY = frozenset({API + part for part in ("info", "app_id", "startup-events", "theme.css")})
"""What tells nothing of anybody: no visitor need be known."""
FOREIGN = "This belongs to somebody else, or to nobody."


class Visitors:
    """Give each browser its cookie, hold visitors while any request of theirs lasts, keep what is theirs from others.

    A page keeps one request open for as long as it is there: Gradio's heartbeat. `uploads` is Gradio's upload folder.
    """

    def __init__(self, app: Any, sessions: Sessions, uploads: Path) -> None:
        self._app = app
        self._sessions = sessions
        self._uploads = uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
        cookie, key = _token(headers.get("cookie", "")), headers.get(KEY, "")
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
                await self._app(scope, receive, send)
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
            if not self._owns(visitor, path.removeprefix(FILE)):
                raise Refused(404, FOREIGN)
        elif scope["method"] == "POST":
            body, receive = await _read(receive)
            self._check_event(visitor, body)
        elif path.startswith(HEARTBEAT):
            self._check_page(visitor, path.removeprefix(HEARTBEAT))
        else:
            self._check_page(visitor, *parse_qs(query.decode("latin-1")).get("session_hash", [""]))
        return receive

    def _check_event(self, visitor: Visitor, body: bytes) -> None:
        try:
            event = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise Refused(400, "This cannot be read.") from error
        self._check_page(visitor, event.get("session_hash") if isinstance(event, dict) else None)
        if not all(self._owns(visitor, path) for path in _paths(event)):
            raise Refused(403, FOREIGN)

    def _check_page(self, visitor: Visitor, *pages: Any) -> None:
        for page in pages or ("",):
            if not isinstance(page, str) or not page or self._sessions.claim(visitor, page) is None:
                raise Refused(403, FOREIGN)

    def _owns(self, visitor: Visitor, path: str) -> bool:
        parts, root = Path(os.path.abspath(path)).parts, self._uploads.parts
        inside = parts[len(root) :] if parts[: len(root)] == root else ()
        return bool(inside) and inside[0].startswith(f"{visitor.folder}-")


def _paths(event: Any) -> Iterator[str]:
    """List the files that an event is about, at any depth."""
    left = [event]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            if isinstance(value.get("path"), str):
                yield value["path"]
            left += value.values()
        elif isinstance(value, list):
            left += value


async def _read(receive: Receive) -> tuple[bytes, Receive]:
    """Return a request's body, whose length `personal.ui.doors` has bounded, and what gives it to the app again."""
    body, more = bytearray(), True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    messages = iter([{"type": "http.request", "body": bytes(body), "more_body": False}])

    async def again() -> Any:
        return next(messages, None) or await receive()

    return bytes(body), again


async def _respond(send: Send, status: int, content: dict[str, str]) -> None:
    headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(content).encode()})


def _token(cookies: str) -> str:
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

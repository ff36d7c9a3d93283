"""Doors: what is checked of every request before Gradio sees it.

`Doors` is the outermost ASGI layer: who may ask (hosts, origins, proxies), what may be asked for (an allow-list of
routes), how much may be sent, and the headers every response carries. It knows nothing of visitors or concepts.
docs/deployment.md lists the limits.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from personal.settings import Settings
from personal.ui import proxies
from personal.ui.access_log import AccessLog
from personal.ui.routes import FORMS, HEALTH, PAGES, READ, ROBOTS, STUDIES, UPLOAD, WRITE

log = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
UNASKED = frozenset({"/", "/config"})
"""What is the same whatever is asked of it: Gradio would look for pages and saved states by the names in a query."""

MAX_QUERY = 4096
"""Longest path and query of a request, bytes."""
BODY_S = 20.0
"""Longest that a body other than an upload may take to arrive, seconds."""
LINGER_S = 2.0
"""How long a refused sender is listened to, so that it reads why, seconds."""
PER_VISITOR, IN_TOTAL = 256, 800
"""Requests open at once: of one address (a class may share one), and of all."""

HERE_ONLY = "This app answers only to its own page on this machine."
FOREIGN = "This app answers only to its own page."
NOTHING = "There is nothing here."
BUSY = "Too many requests are open at once. Try again in a moment."
BEHIND_A_PROXY = (
    "This app is used through a proxy that it does not know. Whoever runs it: name the proxy's address in "
    "PERSONAL_TRUSTED_PROXIES (see docs/deployment.md)."
)


class Refused(Exception):
    """A request that is turned away: the HTTP status, and words for whoever sent it."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


class ConcurrencyLimit:
    """Count what is open at once, by key and in total."""

    def __init__(self, per_key: int, total: int) -> None:
        self._per_key, self._total = per_key, total
        self._open: Counter[str] = Counter()

    @contextmanager
    def hold(self, key: str, words: str) -> Iterator[None]:
        """Hold one place. Raises Refused (429 or 503) where there is none."""
        if self._open[key] >= self._per_key:
            raise Refused(429, words)
        if self._open.total() >= self._total:
            raise Refused(503, words)
        self._open[key] += 1
        try:
            yield
        finally:
            self._open[key] -= 1
            if not self._open[key]:
                del self._open[key]


class Doors:
    """ASGI middleware that turns away, in words and before any work, what the app must not answer.

    On loopback these are also requests that were not addressed to this machine by name (DNS rebinding); everywhere
    those that another site's page makes. Other ports of this machine are other sites.
    """

    def __init__(self, app: App, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._limit = ConcurrencyLimit(PER_VISITOR, IN_TOTAL)
        self._headers = _security_headers(bool(settings.space))
        self._ancestors = frame_ancestors(bool(settings.space)).encode()
        self._nothing = b"default-src 'none'; sandbox; " + self._ancestors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        sending = self._with_headers(scope, send)
        if scope["method"] == "POST":
            receive, sending = lingering(receive, sending)
        try:
            headers = self._admit(scope)
            if scope["path"] == HEALTH:  # also where so many requests are open that no other is answered
                await respond(sending, 200, "ok\n")
                return
            with self._limit.hold(_address(scope), BUSY):
                if scope["path"] == ROBOTS:
                    await respond(sending, 200, "User-agent: *\nDisallow: /\n")
                    return
                if scope["method"] == "POST" and scope["path"] != UPLOAD and not FORMS.fullmatch(scope["path"]):
                    body = await read_body(receive, headers, self._settings.max_request_bytes)
                    receive = replay(body, receive)
                await self._app(scope, receive, sending)
        except Refused as refusal:
            await respond(sending, refusal.status, str(refusal))

    def _admit(self, scope: Scope) -> dict[str, str]:
        """Check where a request comes from and what it asks for, and return its headers. Raises Refused."""
        knobs = self._settings
        proxied = proxies.resolve(
            scope, knobs.trusted_proxies, everyone=bool(knobs.space), user_header=knobs.user_header
        )
        if proxied is proxies.Proxied.UNKNOWN and not knobs.shared:
            log.warning("A request came through a proxy that PERSONAL_TRUSTED_PROXIES does not name; it was refused.")
            raise Refused(403, BEHIND_A_PROXY)
        scope["proxied"] = proxied is not proxies.Proxied.NO
        headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
        local = proxied is not proxies.Proxied.TRUSTED and not knobs.shared
        host, origin = headers.get("host", ""), headers.get("origin")
        if local and (host.rsplit(":", 1)[0] not in LOOPBACK or origin not in (None, f"http://{host}")):
            raise Refused(403, HERE_ONLY)
        if origin is not None and (not host or origin.partition("://")[2] != host):
            raise Refused(403, FOREIGN)
        if not self._by_its_own_page(scope, headers):
            raise Refused(403, HERE_ONLY if local else FOREIGN)
        _check_route(scope)
        return headers

    def _by_its_own_page(self, scope: Scope, headers: dict[str, str]) -> bool:
        """Tell whether the app's own page asks, a person came by a link, or what asks is no browser."""
        if headers.get("sec-fetch-site", "none") in {"none", "same-origin"}:
            return True
        if scope["method"] != "GET" or headers.get("sec-fetch-mode") != "navigate":
            return False
        if scope["path"] not in PAGES and not STUDIES.fullmatch(scope["path"]):
            return False
        return headers.get("sec-fetch-dest") == "document" or bool(self._settings.space)

    def _with_headers(self, scope: Scope, send: Send) -> Send:
        path = scope.get("path", "")

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [(key, value) for key, value in message.get("headers", []) if key.lower() not in OVERRIDDEN]
                present = {key.lower() for key, _ in kept}
                added = [(key, value) for key, value in self._headers if key not in present]
                if b"content-security-policy" not in present:
                    own = path.startswith(("/assets/", "/static/"))
                    added.append((b"content-security-policy", self._ancestors if own else self._nothing))
                message["headers"] = [*kept, *added]
            await send(message)

        return sending


OVERRIDDEN = frozenset({b"access-control-allow-origin", b"access-control-allow-credentials"})
"""Gradio lets any site read its answers, cookies included, wherever it is not on loopback."""


def frame_ancestors(space: bool) -> str:
    """Return the CSP directive that says who may show the page in a frame."""
    return "frame-ancestors " + ("'self' https://huggingface.co https://*.huggingface.co" if space else "'self'")


def _security_headers(space: bool) -> list[tuple[bytes, bytes]]:
    headers = {
        "x-content-type-options": "nosniff",
        "referrer-policy": "same-origin",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(self), microphone=(), geolocation=(), payment=(), usb=()",
        **({} if space else {"x-frame-options": "SAMEORIGIN"}),
    }
    return [(key.encode(), value.encode()) for key, value in headers.items()]


def _check_route(scope: Scope) -> None:
    path, method = scope["path"], scope["method"]
    if len(scope.get("raw_path") or b"") + len(scope.get("query_string", b"")) > MAX_QUERY:
        raise Refused(414, "This address is too long.")
    if method in {"GET", "HEAD"} and READ.fullmatch(path) and _is_plain(path):
        if path in UNASKED:
            scope["query_string"] = b""
        return
    if method == "POST" and (WRITE.fullmatch(path) or FORMS.fullmatch(path)):
        return
    raise Refused(404, NOTHING)


def _is_plain(path: str) -> bool:
    """Tell whether no part of a path leads elsewhere, or is longer than any file's name."""
    return not any(part == ".." or len(part.encode()) > 255 for part in path.split("/"))


def _address(scope: Scope) -> str:
    return (scope.get("client") or ("",))[0]


# -- bodies ------------------------------------------------------------------------------------------------------------


async def read_body(receive: Receive, headers: dict[str, str], most: int) -> bytes:
    """Read a whole body of at most `most` bytes within BODY_S. Raises Refused."""
    words = f"This is too large to be sent: {most:,} bytes are the most."
    length = headers.get("content-length", "0")
    if length.isdecimal() and int(length) > most:
        raise Refused(413, words)
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Refused(400, "The request ended before it was whole.")
                body += message.get("body", b"")
                if len(body) > most:
                    raise Refused(413, words)
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError as error:
        raise Refused(408, "This request took too long to arrive. Try again.") from error


def replay(body: bytes, receive: Receive) -> Receive:
    """Return what gives a body that was read to the app, and after it what else arrives."""
    messages = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def again() -> Any:
        return next(messages, None) or await receive()

    return again


async def respond(send: Send, status: int, words: str) -> None:
    """Send plain words."""
    body = words.encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def lingering(receive: Receive, send: Send) -> tuple[Receive, Send]:
    """Return a `receive` and a `send` by which an answer that comes before the end of the request ends both.

    The answer is sent at once; what still comes is thrown away for LINGER_S, so that the sender reads the answer
    (closing at once would reset the connection), and then the connection is closed.
    """
    ended = False

    async def receiving() -> Any:
        nonlocal ended
        message = await receive()
        ended = ended or not message.get("more_body", False)
        return message

    async def sending(message: Message) -> None:
        if not ended and message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), (b"connection", b"close")]
        if ended or message.get("more_body", False) or message["type"] != "http.response.body":
            await send(message)
            return
        await send({**message, "more_body": True})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                while not ended:
                    await receiving()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    return receiving, sending


def outermost(settings: Settings) -> Callable[[Any], Any]:
    """Return a lifespan that puts the doors, and the log before them, around everything of an app, Gradio's own too."""

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        app.middleware_stack = AccessLog(Doors(app.middleware_stack, settings))
        yield

    return lifespan

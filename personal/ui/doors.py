"""Doors: what is checked of every request before Gradio sees it.

An ASGI middleware that knows nothing of visitors or concepts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Doors:
    """ASGI middleware that turns away requests which the app must not answer.

    On loopback these are requests that were not addressed to this machine by name, or that another site's page makes:
    a web page must not be able to read a person's library through their own browser (DNS rebinding). Other ports of
    this machine are other sites.
    """

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]], *, shared: bool) -> None:
        self._app = app
        self._shared = shared

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._shared:
            headers = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in scope["headers"]}
            if not _meant_for_us(headers):
                await _refuse(send)
                return
        await self._app(scope, receive, send)


def _meant_for_us(headers: dict[str, str]) -> bool:
    host, origin = headers.get("host", ""), headers.get("origin")
    return host.rsplit(":", 1)[0] in LOOPBACK and origin in (None, f"http://{host}")


async def _refuse(send: Send) -> None:
    await send({"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"This app answers only to its own page on this machine."})

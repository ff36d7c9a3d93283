"""Access log: a line for each request in the log's JSON form, with the route and never what is particular to anybody.

Addresses, cookies, queries, ids and names of files are left out. `personal.ui.metrics` counts what is logged here.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from personal.logs import ACCESS
from personal.ui.routes import route

if TYPE_CHECKING:
    from personal.ui.doors import App, Message, Receive, Scope, Send

METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PATCH"})
GONE = 499
"""Status of a request whose sender left before it was answered, as nginx has it."""
OTHER = "other"
"""A route or method that the app does not serve."""

log = logging.getLogger(ACCESS)


class AccessLog:
    """ASGI middleware around everything, the doors included."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status, size = time.perf_counter(), GONE, 0
        method = scope["method"] if scope["method"] in METHODS else OTHER
        asked = {"method": method, "route": route(scope["path"]) or OTHER}  # the path may be rewritten further in

        async def sending(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
            size += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            seconds = round(time.perf_counter() - began, 3)
            log.info("Request.", extra={**asked, "status": status, "seconds": seconds, "bytes": size})

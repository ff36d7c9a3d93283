"""Connections: how much of a request may be waited for before it is one, and how long.

The web server knows no bound on a request's head (its first line and headers), nor on the time it takes to arrive, nor
on the connections that never send one. `BoundedProtocol` is uvicorn's own HTTP protocol with these three bounds; a head
of more than 64 KiB is refused by h11. `personal.ui.doors` checks the requests.
"""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.config import HTTP_PROTOCOLS
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S = 20.0
"""Longest that a request's head may take to arrive, seconds: a connection without one ends after once or twice that."""
MOST = 900
"""Connections at once; the oldest that has sent no request makes way for another. Below most systems' 1024 files."""


class BoundedProtocol(H11Protocol):
    """A connection, which ends where no whole request head arrives in time."""

    _watch: asyncio.TimerHandle | None = None
    _before: Any = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._made_at = self.loop.time()
        self._watch = self.loop.call_later(HEAD_S, self._look)
        if len(self.connections) > MOST:
            idle = [one for one in self.connections if isinstance(one, BoundedProtocol) and one.waits]
            if idle:
                min(idle, key=lambda one: one._made_at).transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._watch:
            self._watch.cancel()
        super().connection_lost(exc)

    @property
    def waits(self) -> bool:
        """Tell whether no request has arrived whole that is not answered yet."""
        return bool(self.conn.their_state is h11.IDLE)

    def _look(self) -> None:
        """End the connection if it waits, and has since the last look; else look again."""
        if self.waits and self.cycle is self._before:
            self.transport.abort()
            return
        self._before = self.cycle
        self._watch = self.loop.call_later(HEAD_S, self._look)


def bound() -> None:
    """Let the web server use `BoundedProtocol`: Gradio leaves it no other way to be told."""
    HTTP_PROTOCOLS["auto"] = f"{__name__}:{BoundedProtocol.__name__}"

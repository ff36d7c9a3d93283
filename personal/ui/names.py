"""The names of a visitor's concepts, which the page completes after "@" without asking for every key."""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from personal.errors import PersonalError
from personal.folding import folded
from personal.ui.context import AppContext
from personal.ui.render.elements import picture_name
from personal.ui.sessions import Visitor

NAMES = "/personal/names"
SIDE = 64
"""Longest side of an avatar, pixels."""


class Names:
    """The route of names, an ASGI endpoint."""

    def __init__(self, context: AppContext) -> None:
        self._context = context

    async def send(self, request: Request) -> Response:
        """Send the visitor's own names as `[{"name", "category", "picture"}]`, by the alphabet."""
        visitor: Visitor | None = request.scope.get("visitor")
        if visitor is None:
            return PlainTextResponse("There are no such names.", status_code=404)
        try:
            concepts = await run_in_threadpool(lambda: self._context.assistant.concepts(visitor.owner))
        except PersonalError:
            concepts = []
        rows = [
            {
                "name": one.name,
                "category": one.category,
                "picture": picture_name(one.avatar, SIDE, subject=True, square=True),
            }
            for one in sorted(concepts, key=lambda concept: folded(concept.name))
        ]
        return JSONResponse(rows, headers={"cache-control": "no-store"})

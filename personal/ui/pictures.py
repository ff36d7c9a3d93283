"""Photos by URL: a thumbnail is sent to the visitor whose photo it is, and to nobody else; no cache keeps it.

A photo is found by its sha256 among what the visitor has at that moment, so what was erased is gone here too.
"""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from personal.concepts import Box, Photo
from personal.crops import thumbnail
from personal.errors import PersonalError
from personal.ui.context import AppContext
from personal.ui.samples import read_samples
from personal.ui.sessions import Visitor

PICTURES = "/personal/picture/"
LARGEST = 1200
"""Longest side of a thumbnail, pixels."""
NOTHING = "There is no such photo."


class Pictures:
    """The route of thumbnails, an ASGI endpoint."""

    def __init__(self, context: AppContext) -> None:
        self._context = context

    async def send(self, request: Request) -> Response:
        """Send a thumbnail: `side` in pixels, `square=1` cuts it square, `box` is the part, four fractions of 0..1."""
        visitor: Visitor | None = request.scope.get("visitor")
        wanted = _wanted(request)
        if visitor is None or wanted is None:
            return PlainTextResponse(NOTHING, status_code=404)
        try:
            jpeg = await run_in_threadpool(self._draw, visitor, request.path_params["sha256"], *wanted)
        except PersonalError:
            jpeg = None
        if jpeg is None:
            return PlainTextResponse(NOTHING, status_code=404)
        return Response(jpeg, media_type="image/jpeg", headers={"cache-control": "no-store"})

    def _draw(self, visitor: Visitor, sha256: str, side: int, square: bool, box: Box | None) -> bytes | None:
        shipped = (photo for photo in read_samples().photos if photo.sha256 == sha256)
        photo = visitor.photo(sha256) or next(shipped, None) or self._stored(visitor.owner, sha256)
        return thumbnail(photo, side, box, square) if photo else None

    def _stored(self, owner: str, sha256: str) -> Photo | None:
        """Return a photo of one of the owner's concepts."""
        assistant = self._context.assistant
        for concept in assistant.concepts(owner):
            if any(view.sha256 == sha256 for view in (*concept.views, *concept.negatives)):
                return assistant.library.photo(owner, concept.id, sha256)
        return None


def _wanted(request: Request) -> tuple[int, bool, Box | None] | None:
    """Read what a request asks for: side, whether square, and which part; None if it makes no sense."""
    query = request.query_params
    try:
        side = int(query.get("side", LARGEST))
        edges = [float(edge) for edge in query["box"].split(",")] if "box" in query else None
    except ValueError:
        return None
    if not 1 <= side <= LARGEST:
        return None
    if edges is None:
        return side, query.get("square") == "1", None
    if len(edges) != 4 or not all(0 <= edge <= 1 for edge in edges):
        return None
    return side, query.get("square") == "1", (edges[0], edges[1], edges[2], edges[3])

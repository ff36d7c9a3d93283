"""Photos by URL: a thumbnail is sent to the visitor whose photo it is, and to nobody else; no cache keeps it.

A photo is found by its sha256 among what the visitor has at that moment, so what was erased is gone here too.
"""

from __future__ import annotations

from typing import Literal

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from personal.concepts import Box, Photo
from personal.crops import thumbnail
from personal.errors import PersonalError
from personal.photo_library.scan import THUMBNAIL
from personal.ui.context import AppContext
from personal.ui.samples import read_samples
from personal.ui.sessions import Visitor

PICTURES = "/personal/picture/"
LARGEST = 1200
"""Longest side of a thumbnail, pixels."""
MARGIN = 0.1
"""Margin around a photo's subject, in parts of its width and height."""
NOTHING = "There is no such photo."

Part = Box | Literal["subject"] | None
"""What of a photo is sent: a box, the box around its subject, or all of it."""


class Pictures:
    """The route of thumbnails, an ASGI endpoint."""

    def __init__(self, context: AppContext) -> None:
        self._context = context

    async def send(self, request: Request) -> Response:
        """Send a thumbnail: `side` in pixels, `square=1` cuts it square, `box` is the part, four fractions of 0..1.

        With `box=subject` it is cut around what the photo shows foremost.
        """
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

    def _draw(self, visitor: Visitor, sha256: str, side: int, square: bool, part: Part) -> bytes | None:
        kept = self._context.photos.store(visitor.owner)
        if side == THUMBNAIL and not square and part is None and (jpeg := kept.thumbnail(sha256)):
            return jpeg
        shipped = (photo for photo in read_samples().photos if photo.sha256 == sha256)
        photo = visitor.photo(sha256) or next(shipped, None) or self._stored(visitor.owner, sha256)
        if photo is None:
            return None
        return thumbnail(photo, side, self._around_subject(photo) if part == "subject" else part, square)

    def _around_subject(self, photo: Photo) -> Box:
        x0, y0, x1, y1 = self._context.assistant.retriever.subject(photo)
        across, down = MARGIN * (x1 - x0), MARGIN * (y1 - y0)
        return max(0.0, x0 - across), max(0.0, y0 - down), min(1.0, x1 + across), min(1.0, y1 + down)

    def _stored(self, owner: str, sha256: str) -> Photo | None:
        """Return a photo of one of the owner's concepts."""
        assistant = self._context.assistant
        for concept in assistant.concepts(owner):
            if any(view.sha256 == sha256 for view in (*concept.views, *concept.negatives)):
                return assistant.library.photo(owner, concept.id, sha256)
        return None


def _wanted(request: Request) -> tuple[int, bool, Part] | None:
    """Read what a request asks for: side, whether square, and which part; None if it makes no sense."""
    query = request.query_params
    try:
        side = int(query.get("side", LARGEST))
        subject = query.get("box") == "subject"
        edges = [float(edge) for edge in query["box"].split(",")] if "box" in query and not subject else None
    except ValueError:
        return None
    if not 1 <= side <= LARGEST:
        return None
    if edges is None:
        return side, query.get("square") == "1", "subject" if subject else None
    if len(edges) != 4 or not all(0 <= edge <= 1 for edge in edges):
        return None
    return side, query.get("square") == "1", (edges[0], edges[1], edges[2], edges[3])

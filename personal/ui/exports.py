"""Downloads of what is a visitor's, by a link that works once: all or some concepts, or one conversation."""

from __future__ import annotations

import io
from collections.abc import Set

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from personal.errors import PersonalError
from personal.remember import conversation_export, import_export
from personal.ui.context import AppContext
from personal.ui.places import hidden
from personal.ui.sessions import Visitor

EXPORTS = "/personal/export/"
DOWNLOAD = "watch('value', () => { if (props.value) { const a = document.createElement('a'); a.href = props.value; \
a.download = ''; document.body.append(a); a.click(); a.remove(); props.value = ''; } });"
"""Script of a component that fetches what the server offers, once."""


class Exports:
    """The route of downloads, an ASGI endpoint."""

    def __init__(self, context: AppContext) -> None:
        self._context = context

    def send(self, request: Request) -> Response:
        """Send what a link stands for as a zip, once."""
        found = self._context.sessions.redeem(request.path_params["token"])
        if found is None:
            return PlainTextResponse("This link has been used or is over. Press Export again.", status_code=410)
        try:
            content, name = self._zip(*found)
        except PersonalError as error:
            return PlainTextResponse(hidden(self._context.settings)(str(error)), status_code=409)
        headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
        return Response(content, media_type="application/zip", headers=headers)

    def _zip(self, visitor: Visitor, what: str | Set[str]) -> tuple[bytes, str]:
        stream = io.BytesIO()
        if not what or not isinstance(what, str):
            import_export.export(self._context.library, visitor.owner, stream, frozenset(what))
            return stream.getvalue(), "personal.zip"
        talk = visitor.history.open(what)
        conversation_export.export(talk, stream)
        return stream.getvalue(), f"conversation-{talk.updated[:10]}.zip"

"""The page's Content-Security-Policy: nothing from elsewhere, no scripts but those that it came with, framed by whom.

`PagePolicy` is an ASGI middleware next to the app; `personal.ui.doors` guards everything else.
"""

from __future__ import annotations

import base64
import hashlib
import re

from personal.ui.doors import App, Message, Receive, Scope, Send, frame_ancestors

_INLINE = re.compile(rb"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL | re.IGNORECASE)


class PagePolicy:
    """ASGI middleware that writes `head`, HTML, into the page, and gives the page its Content-Security-Policy.

    It stands within Gradio's compression. What Gradio itself is given as `head` it adds in the browser, after its first
    requests: too late for the page's own script. The policy allows the inline scripts that are there, by their hashes.
    Gradio makes functions of strings (`js=`, `js_on_load`), so 'unsafe-eval' stays; inline styles stay, too.
    """

    def __init__(self, app: App, *, space: bool, head: str) -> None:
        self._app = app
        self._space = space
        self._head = head.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != "/":
            await self._app(scope, receive, send)
            return
        started: list[Message] = []
        page = bytearray()

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                started.append(message)
                return
            page.extend(message.get("body", b""))
            if not message.get("more_body", False):
                body = bytes(page).replace(b"<head>", b"<head>" + self._head, 1)
                policy = content_security_policy(_hashes(body), space=self._space)
                headers = [(key, value) for key, value in started[0].get("headers", []) if key != b"content-length"]
                headers += [(b"content-security-policy", policy.encode())]
                headers += [(b"content-length", str(len(body)).encode())] if body else []
                await send({**started[0], "headers": headers})
                await send({"type": "http.response.body", "body": body, "more_body": False})

        await self._app(scope, receive, sending)


def content_security_policy(scripts: list[str], *, space: bool) -> str:
    """Return the page's policy: nothing from elsewhere, no scripts but its own and those with the given hashes."""
    directives = (
        "default-src 'self'",
        " ".join(["script-src 'self' 'unsafe-eval'", *dict.fromkeys(scripts)]),
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "media-src 'self' data: blob:",
        "font-src 'self' data:",
        "connect-src 'self'",
        "worker-src 'self' blob:",
        "object-src 'none'",
        "frame-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        frame_ancestors(space),
    )
    return "; ".join(directives)


def _hashes(html: bytes) -> list[str]:
    digests = (hashlib.sha256(script).digest() for script in _INLINE.findall(html))
    return [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]

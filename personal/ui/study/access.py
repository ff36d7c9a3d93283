"""The researcher's way in: one password, which the settings hold, and a cookie for a day.

Wrong passwords are counted: after a few, the next must wait, so that nobody can try many. Passwords are compared in
constant time.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time

from starlette.requests import Request
from starlette.responses import Response

from personal.ui.accounts import Attempts
from personal.ui.visitors import cookie_header

COOKIE = "personal-researcher"
LASTS_S = 86_400
"""How long somebody stays signed in, seconds."""
PER_ADDRESS, IN_TOTAL = 10, 100
"""Wrong passwords of one address, and of all, before the next must wait (`personal.ui.accounts.WINDOW_S`)."""


class Access:
    """Who is signed in. Without a password nobody can be."""

    def __init__(self, password: str) -> None:
        self._password = _digest(password)
        self.possible = bool(password)
        self._signed_in: dict[str, float] = {}
        self._by_address, self._by_all = Attempts(PER_ADDRESS), Attempts(IN_TOTAL)
        self._lock = threading.Lock()

    def sign_in(self, password: str, address: str) -> str | None:
        """Return a token for the cookie; None for a wrong password. Raises TooManyAttempts."""
        self._by_all.check("")
        self._by_address.begin(address)
        self._by_all.begin("")
        if not hmac.compare_digest(_digest(password), self._password) or not self.possible:
            return None
        self._by_address.right(address)
        self._by_all.right("")
        now = time.monotonic()
        with self._lock:
            token = secrets.token_urlsafe(32)
            self._signed_in = {one: until for one, until in self._signed_in.items() if until > now}
            self._signed_in[token] = now + LASTS_S
        return token

    def known(self, request: Request) -> bool:
        """Tell whether a request is the researcher's."""
        with self._lock:
            return self._signed_in.get(request.cookies.get(COOKIE, ""), 0.0) > time.monotonic()

    def sign_out(self, request: Request) -> None:
        """Let the cookie of a request be worth nothing."""
        with self._lock:
            self._signed_in.pop(request.cookies.get(COOKIE, ""), None)


def remember(response: Response, token: str, *, secure: bool) -> Response:
    """Give the researcher's browser its cookie; no other site's page can make it be sent."""
    response.headers.append("set-cookie", cookie_header(COOKIE, token, secure=secure, framed=False, max_age_s=LASTS_S))
    return response


def _digest(password: str) -> bytes:
    return hashlib.sha256(password.encode()).digest()

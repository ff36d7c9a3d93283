"""Signing in with an account elsewhere: OpenID Connect's authorization code flow with PKCE, as on a Hugging Face Space.

Who somebody is the provider tells this server itself, over its own connection; nothing that came by the browser is
believed but a code that only the provider can make something of. The flow ends in the browser that began it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx

from personal.errors import AccountError
from personal.settings import Settings

COOKIE = "personal-provider"
"""The cookie that ties a flow to the browser that began it."""
LASTS_S = 600.0
"""How long somebody may take to sign in at the provider, seconds."""
PENDING_MAX = 1000
"""Flows under way at most; the oldest makes way."""
TIMEOUT_S = 10.0
ENDPOINTS = ("authorization_endpoint", "token_endpoint", "userinfo_endpoint")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Flow:
    """A sign-in under way: the secret of PKCE, where the browser comes back to, and whether concepts come along."""

    verifier: str
    back: str
    along: bool
    until: float


@dataclass(frozen=True, slots=True)
class Person:
    """Whom the provider vouches for: `subject` is the provider's own id of them, `name` what they are called."""

    subject: str
    name: str
    along: bool


class Provider:
    """The settings' provider of accounts. Methods raise AccountError where it cannot be reached or makes no sense."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._url = settings.oauth_provider.rstrip("/")
        self._flows: dict[str, Flow] = {}
        self._lock = threading.Lock()
        self._found: dict[str, str] = {}

    @property
    def host(self) -> str:
        """The provider's host, which its users know it by."""
        return urlsplit(self._url).netloc

    async def begin(self, back: str, *, along: bool) -> tuple[str, str]:
        """Begin a sign-in that comes back to the address `back`; return where it goes on and its state for a cookie."""
        endpoints = await self._endpoints()
        state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
        with self._lock:
            now = time.monotonic()
            under_way = [(key, flow) for key, flow in self._flows.items() if flow.until > now]
            self._flows = dict(under_way[-PENDING_MAX + 1 :])
            self._flows[state] = Flow(verifier, back, along, now + LASTS_S)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": self._settings.oauth_client,
            "redirect_uri": back,
            "scope": "openid profile",
            "state": state,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        where = endpoints["authorization_endpoint"]
        return f"{where}{'&' if '?' in where else '?'}{urlencode(query)}", state

    async def finish(self, query: Mapping[str, str], cookie: str) -> Person:
        """End a sign-in: `query` is what the browser came back with, `cookie` the state of the flow that it began."""
        state = query.get("state", "")
        with self._lock:
            flow = self._flows.pop(state, None) if hmac.compare_digest(state.encode(), cookie.encode()) else None
        if flow is None or flow.until < time.monotonic():
            raise AccountError("This sign-in was begun too long ago, or in another browser. Try again.")
        if not query.get("code"):
            raise AccountError(f"{self.host} did not sign you in. Try again, or choose another way.")
        return await self._person(flow, query["code"])

    async def _person(self, flow: Flow, code: str) -> Person:
        endpoints, knobs = await self._endpoints(), self._settings
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": flow.back,
            "client_id": knobs.oauth_client,
            "code_verifier": flow.verifier,
        }
        auth = httpx.BasicAuth(knobs.oauth_client, knobs.oauth_secret) if knobs.oauth_secret else None
        token = _text(await self._ask("POST", endpoints["token_endpoint"], data=form, auth=auth), "access_token")
        headers = {"authorization": f"Bearer {token}"}
        told = await self._ask("GET", endpoints["userinfo_endpoint"], headers=headers)
        subject = _text(told, "sub")
        if not token or not subject:
            raise AccountError(f"{self.host} did not say who you are. Try again.")
        names = (_text(told, claim) for claim in ("preferred_username", "name", "nickname", "email"))
        return Person(subject, next(filter(None, names), "") or subject, flow.along)

    async def _endpoints(self) -> dict[str, str]:
        """Return where the provider does what, as it says itself (OpenID Connect Discovery 1.0, section 4)."""
        if not self._found:
            told = await self._ask("GET", f"{self._url}/.well-known/openid-configuration")
            found = {name: _text(told, name) for name in ENDPOINTS}
            scheme = urlsplit(self._url).scheme
            if _text(told, "issuer").rstrip("/") != self._url or not all(
                urlsplit(url).scheme in {"https", scheme} and urlsplit(url).netloc for url in found.values()
            ):
                raise AccountError(f"{self.host} does not say how to sign in. Check OPENID_PROVIDER_URL.")
            self._found = found
        return self._found

    async def _ask(self, method: str, url: str, **more: Any) -> Any:
        try:
            async with httpx.AsyncClient(timeout=TIMEOUT_S) as client:
                answer = await client.request(method, url, **more)
                answer.raise_for_status()
                return answer.json()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise AccountError(f"{self.host} cannot be asked who you are at this moment. Try again.") from error


def _text(record: Any, name: str) -> str:
    value = record.get(name) if isinstance(record, dict) else None
    return value if isinstance(value, str) and value.isprintable() else ""

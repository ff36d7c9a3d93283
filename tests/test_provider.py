"""Signing in with an account elsewhere, by a provider of OpenID Connect on this machine that checks all it is sent."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from personal.owners import lasts
from personal.ui import provider as providers
from tests.conftest import RED, picture
from tests.test_accounts import Browser, Shared

CLIENT, SECRET = "personal-client", "hush"
BACK = "http://lab.example/personal/provider/back"


class Fake(BaseHTTPRequestHandler):
    """The provider. `server` holds who is signed in at it, and what goes wrong."""

    def log_message(self, *_):
        """Say nothing."""

    def answer(self, value, status=200):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        place, told = urlsplit(self.path), self.server
        query = {name: values[0] for name, values in parse_qs(place.query).items()}
        if place.path.startswith("/.well-known"):
            ends = {f"{name}_endpoint": f"{told.url}/{name}" for name in ("authorization", "token", "userinfo")}
            self.answer({"issuer": told.url, **ends, **told.wrong.get("discovery", {})})
        elif place.path == "/authorization":
            assert (query["client_id"], query["redirect_uri"], query["response_type"]) == (CLIENT, BACK, "code")
            code = secrets.token_hex(8)
            told.codes[code] = (told.person, query["code_challenge"])
            given = {"error": "access_denied"} if told.wrong.get("denied") else {"code": code}
            self.send_response(302)
            self.send_header("location", f"{BACK}?{urlencode({**given, 'state': query['state']})}")
            self.end_headers()
        elif place.path == "/userinfo":
            person = told.tokens.get(self.headers["authorization"].removeprefix("Bearer "))
            self.answer(told.wrong.get("userinfo", person), 200 if person else 401)

    def do_POST(self):
        told = self.server
        form = {n: v[0] for n, v in parse_qs(self.rfile.read(int(self.headers["content-length"])).decode()).items()}
        basic = base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode()
        person, challenge = told.codes.pop(form["code"], (None, ""))
        digest = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        right = self.headers["authorization"] == f"Basic {basic}" and digest == challenge
        if not (person and right and form["redirect_uri"] == BACK and form["grant_type"] == "authorization_code"):
            self.answer({"error": "invalid_grant"}, 400)
            return
        token = secrets.token_hex(8)
        told.tokens[token] = person
        self.answer({"access_token": token, "token_type": "Bearer"})


@pytest.fixture
def fake():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Fake)
    server.url = f"http://127.0.0.1:{server.server_port}"
    server.person, server.codes, server.tokens, server.wrong = {"sub": "42", "preferred_username": "anna"}, {}, {}, {}
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def app(tmp_path, assistant, fake):
    return Shared(
        tmp_path / "data",
        assistant,
        OAUTH_CLIENT_ID=CLIENT,
        OAUTH_CLIENT_SECRET=SECRET,
        OPENID_PROVIDER_URL=fake.url,
    )


def there(browser, **query):
    """Go to the provider, sign in there, and return the path by which it sends the browser back."""
    answer = browser.ask("GET", "/personal/provider", follow=False, params=query)
    assert answer.status_code == 303, answer.text
    answer = httpx.get(answer.headers["location"], trust_env=False)
    return answer.headers["location"].removeprefix("http://lab.example")


def test_who_the_provider_vouches_for_is_signed_in_and_is_the_same_next_time(app, fake, assistant):
    browser, other, ben = Browser(app), Browser(app), Browser(app)
    assert f"Sign in with 127.0.0.1:{fake.server_port}" in browser.ask("GET", "/personal/sign-in").text
    browser.ask("GET", there(browser))
    anna = browser.open()
    assert (anna.name, lasts(anna.owner)) == ("anna", True)
    assistant.remember(anna.owner, "bo", [picture(RED)])
    fake.person = {"sub": "42", "name": "Anna B."}
    other.ask("GET", there(other))
    assert (other.open().owner, other.open().name) == (anna.owner, "Anna B.")
    fake.person = {"sub": "43", "preferred_username": "anna"}
    ben.ask("GET", there(ben))
    assert ben.open().owner != anna.owner
    app.start()
    assert browser.open().owner == anna.owner
    browser.sign_out(everywhere="1")
    assert other.open().owner.startswith("visitor-")


def test_a_guest_may_take_their_concepts_along_to_an_account_elsewhere(app, assistant):
    browser = Browser(app)
    guest = browser.open()
    assistant.remember(guest.owner, "bo", [picture(RED)])
    assert "take my 1 concept along" in browser.ask("GET", "/personal/sign-in").text
    browser.ask("GET", there(browser, along="1"))
    assert [concept.name for concept in assistant.concepts(browser.open().owner)] == ["bo"]
    assert app.erased == [guest.owner]


def test_a_flow_ends_only_once_and_only_in_the_browser_that_began_it(app):
    browser, victim = Browser(app), Browser(app)
    back = there(browser)
    answer = victim.ask("GET", back)
    assert answer.status_code == 401
    assert "in another browser" in answer.text
    assert victim.open().owner.startswith("visitor-")
    for path in (back.replace("state=", "state=x"), "/personal/provider/back", "/personal/provider/back?code=1"):
        assert browser.ask("GET", path).status_code == 401
    assert browser.open().owner.startswith("visitor-")
    back = there(browser)
    browser.ask("GET", back)
    assert browser.open().name == "anna"
    browser.sign_out()
    assert browser.ask("GET", back).status_code == 401


def test_a_flow_that_took_too_long_is_over(app, monkeypatch):
    browser = Browser(app)
    back = there(browser)
    now = providers.time.monotonic()
    monkeypatch.setattr(providers.time, "monotonic", lambda: now + providers.LASTS_S + 1)
    assert "too long ago" in browser.ask("GET", back).text


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"denied": True}, "did not sign you in"),
        ({"userinfo": {}}, "did not say who you are"),
        ({"userinfo": {"sub": 42}}, "did not say who you are"),
        ({"userinfo": ["sub"]}, "did not say who you are"),
        ({"discovery": {"issuer": "https://evil.example"}}, "does not say how to sign in"),
        ({"discovery": {"token_endpoint": "file:///etc/passwd"}}, "does not say how to sign in"),
        ({"discovery": {"userinfo_endpoint": 7}}, "does not say how to sign in"),
    ],
)
def test_a_provider_that_makes_no_sense_signs_nobody_in_and_is_named(app, fake, wrong, words):
    fake.wrong = wrong
    browser = Browser(app)
    answer = browser.ask("GET", "/personal/provider", follow=False)
    if answer.status_code == 303:
        answer = browser.ask("GET", there(browser))
    assert answer.status_code in (401, 502)
    assert f"127.0.0.1:{fake.server_port} {words}" in answer.text
    assert browser.open().owner.startswith("visitor-")


def test_a_provider_that_cannot_be_reached_is_said_in_words(app, fake):
    fake.shutdown()
    fake.server_close()
    answer = Browser(app).ask("GET", "/personal/provider")
    assert answer.status_code == 502
    assert "cannot be asked" in answer.text


def test_a_link_of_another_site_may_come_back_but_not_begin(app):
    browser = Browser(app)
    by_link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert browser.ask("GET", "/personal/provider", headers=by_link).status_code == 403
    back = there(browser)
    assert browser.ask("GET", back, headers=by_link, follow=False).status_code == 303
    assert browser.open().name == "anna"


def test_without_a_provider_there_is_none(tmp_path, assistant):
    app = Shared(tmp_path / "data", assistant, OAUTH_CLIENT_ID=CLIENT)
    browser = Browser(app)
    assert browser.ask("GET", "/personal/provider").url.path == "/personal/sign-in"
    assert browser.ask("GET", "/personal/provider/back?code=1&state=").url.path == "/personal/sign-in"

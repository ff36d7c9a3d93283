"""Visitors: whose library a request works on, and how long a session lives."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from personal.compose import LOCAL
from personal.errors import StoreError
from personal.ui.sessions import COOKIE, TABS, Conversation, Sessions, Visitors
from tests.conftest import picture


def make(*, shared=True, grace_s=0.0):
    erased = []
    return Sessions(shared=shared, grace_s=grace_s, erase=erased.append), erased


def request(token=None, page="page1"):
    return SimpleNamespace(cookies={COOKIE: token} if token else {}, session_hash=page)


def serve(sessions, path="/", headers=(), method="GET", scheme="http"):
    """One request through the middleware; returns (status, response headers, what the session table held meanwhile)."""
    seen, sent = {}, []

    async def app(scope, receive, send):
        seen["connections"] = [visitor.connections for visitor in sessions._table.values()]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "path": path, "method": method, "scheme": scheme}
    scope["headers"] = [(k.encode(), v.encode()) for k, v in {"host": "127.0.0.1:7860", **dict(headers)}.items()]
    asyncio.run(Visitors(app, sessions)(scope, None, send))
    return sent[0]["status"], dict(sent[0]["headers"]), seen


def cookie(headers):
    return headers[b"set-cookie"].decode().split(";")[0].split("=", 1)[1]


def test_on_ones_own_machine_everybody_is_the_local_owner():
    sessions, _ = make(shared=False)
    assert sessions.of(request(sessions.new())).owner == LOCAL


def test_elsewhere_each_browser_is_an_owner_of_its_own():
    sessions, _ = make()
    first, second = sessions.of(request(sessions.new())), sessions.of(request(sessions.new()))
    assert first.owner != second.owner
    assert LOCAL not in (first.owner, second.owner)


def test_the_cookie_brings_back_the_same_session():
    sessions, _ = make()
    token = sessions.new()
    one, other = sessions.of(request(token, "a")), sessions.of(request(token, "b"))
    assert one.visitor is other.visitor
    assert one is not other
    assert sessions.of(request(token, "a")) is one


def test_a_page_holds_what_is_its_own_and_a_new_one_begins_with_the_conversation_used_last():
    sessions, _ = make()
    token = sessions.new()
    one = sessions.of(request(token, "a"))
    one.conversations.append(Conversation())
    one.current, one.side, one.new_photos = one.conversations[0].id, "new", [picture((1, 2, 3))]
    other = sessions.of(request(token, "b"))
    assert other.conversation is one.conversation
    assert (other.side, other.new_photos) == ("", [])
    other.current = other.conversations[1].id
    assert one.conversation is one.conversations[0]


def test_a_page_stays_with_its_conversation_when_another_page_begins_one():
    sessions, _ = make()
    token = sessions.new()
    one, other = sessions.of(request(token, "a")), sessions.of(request(token, "b"))
    shown = one.conversation
    other.conversations.append(Conversation())
    assert one.conversation is shown


def test_the_pages_used_last_are_held():
    sessions, _ = make()
    token = sessions.new()
    first, second = sessions.of(request(token, "first")), sessions.of(request(token, "second"))
    for i in range(TABS - 1):
        sessions.of(request(token, "first"))
        sessions.of(request(token, f"page {i}"))
    assert sessions.of(request(token, "first")) is first
    assert sessions.of(request(token, "second")) is not second


def test_a_made_up_cookie_gets_a_session_of_its_page_alone():
    sessions, _ = make()
    real = sessions.of(request(sessions.new()))
    forged = sessions.of(request(real.owner, "other"))
    assert forged is not real
    assert forged is sessions.of(request(None, "other"))


def test_a_session_nobody_is_connected_to_ends_after_the_grace_and_its_bytes_are_erased():
    sessions, erased = make(grace_s=0.0)
    session = sessions.of(request(sessions.new()))
    sessions.sweep()
    assert erased == [session.owner]


def test_a_connected_session_does_not_end():
    sessions, erased = make(grace_s=0.0)
    token = sessions.new()
    session = sessions.of(request(token))
    with sessions.connected(session.visitor):
        sessions.sweep()
        assert erased == []
        assert sessions.of(request(token)) is session
    sessions.sweep()
    assert erased == [session.owner]


def test_a_reload_within_the_grace_keeps_the_session():
    sessions, erased = make(grace_s=60)
    token = sessions.new()
    session = sessions.of(request(token))
    with sessions.connected(session.visitor):
        pass
    sessions.sweep()
    assert erased == []
    assert sessions.of(request(token)) is session


def test_the_local_owner_is_never_erased_by_a_session_that_ends():
    sessions, erased = make(shared=False)
    sessions.new()
    sessions.sweep()
    assert erased == []


def test_a_download_works_once_and_only_for_its_owner():
    sessions, _ = make()
    session = sessions.of(request(sessions.new()))
    token = sessions.download(session)
    assert sessions.redeem("something else") is None
    assert sessions.redeem(token) == session.owner
    assert sessions.redeem(token) is None


def test_the_first_page_sets_a_cookie_that_scripts_cannot_read():
    sessions, _ = make()
    _, headers, _ = serve(sessions)
    text = headers[b"set-cookie"].decode()
    assert "HttpOnly" in text
    assert "SameSite=Lax" in text
    assert "Secure" not in text
    assert sessions.known(cookie(headers))


def test_behind_https_the_cookie_may_travel_in_a_frame():
    sessions, _ = make()
    _, headers, _ = serve(sessions, headers={"x-forwarded-proto": "https"})
    assert "SameSite=None; Secure; Partitioned" in headers[b"set-cookie"].decode()


def test_a_known_browser_keeps_its_cookie():
    sessions, _ = make()
    _, headers, _ = serve(sessions)
    _, again, _ = serve(sessions, headers={"cookie": f"other=1; {COOKIE}={cookie(headers)}"})
    assert b"set-cookie" not in again


def test_a_visitor_is_held_while_any_of_their_requests_lasts():
    sessions, _ = make()
    token = sessions.new()
    _, _, seen = serve(sessions, "/gradio_api/upload", {"cookie": f"{COOKIE}={token}"}, method="POST")
    assert seen["connections"] == [1]
    assert sessions.known(token).connections == 0


def test_a_garbled_cookie_harms_nothing():
    sessions, _ = make()
    assert serve(sessions, headers={"cookie": 'personal="\x01\\;=;;=,'})[0] == 200


def test_what_cannot_be_erased_now_is_erased_later_and_keeps_nothing_of_others():
    erased, broken = [], set()

    def erase(owner):
        if owner in broken:
            raise StoreError("the disk is full")
        erased.append(owner)

    sessions = Sessions(shared=True, grace_s=0.0, erase=erase)
    owners = [sessions.of(request(sessions.new())).owner for _ in range(3)]
    broken.add(owners[0])
    with pytest.raises(StoreError):
        sessions.sweep()
    assert erased == owners[1:]
    with pytest.raises(StoreError):
        sessions.sweep()
    broken.clear()
    sessions.sweep()
    sessions.sweep()
    assert erased == [*owners[1:], owners[0]]

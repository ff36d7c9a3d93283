"""Visitors: whose library a request works on, and how long a session lives."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from personal.compose import LOCAL
from personal.conversations import Conversation
from personal.errors import PersonalError, StoreError
from personal.ui.sessions import COOKIE, TABS, Sessions
from tests.conftest import picture


def make(*, shared=True, grace_s=0.0):
    erased = []
    return Sessions(shared=shared, grace_s=grace_s, erase=erased.append), erased


def request(token=None, page=None):
    return SimpleNamespace(cookies={COOKIE: token} if token else {}, session_hash=page or f"page of {token}")


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
    one.history.add(Conversation())
    one.history.add(Conversation())
    one.current, one.side, one.new_photos = one.history.live()[0].id, "new", [picture((1, 2, 3))]
    other = sessions.of(request(token, "b"))
    assert other.conversation is one.conversation
    assert (other.side, other.new_photos) == ("", [])
    other.current = other.history.live()[1].id
    assert one.conversation is one.history.live()[0]


def test_a_page_stays_with_its_conversation_when_another_page_begins_one():
    sessions, _ = make()
    token = sessions.new()
    one, other = sessions.of(request(token, "a")), sessions.of(request(token, "b"))
    shown = one.conversation
    other.history.add(Conversation())
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


@pytest.mark.parametrize("token", [None, "", "made up"])
def test_who_is_not_known_gets_nothing(token):
    sessions, _ = make()
    real = sessions.of(request(sessions.new()))
    for given in (token, real.owner, real.visitor.folder):
        with pytest.raises(PersonalError, match="Your visit has ended"):
            sessions.of(request(given, "other"))


def test_a_page_belongs_to_whoever_named_it_first():
    sessions, _ = make()
    one, other = sessions.new(), sessions.new()
    sessions.of(request(one, "page"))
    with pytest.raises(PersonalError):
        sessions.of(request(other, "page"))


def test_the_key_of_its_pages_stands_for_the_cookie():
    sessions, _ = make()
    visitor = sessions.known(sessions.new())
    assert sessions.known(visitor.key) is visitor


def test_only_the_first_page_after_a_visit_that_ended_says_so():
    sessions, _ = make()
    token = sessions.new(returned=True)
    assert sessions.of(request(token, "a")).returned
    assert sessions.of(request(token, "a")).returned
    assert not sessions.of(request(token, "b")).returned
    assert not sessions.of(request(sessions.new(), "c")).returned


def test_what_the_web_server_keeps_is_released_with_a_visitor_and_with_old_pages():
    released = []
    sessions = Sessions(
        shared=True,
        grace_s=0.0,
        erase=lambda owner: None,
        release=lambda pages, folder, *, ended: released.append((pages, folder, ended)),
    )
    token = sessions.new()
    visitor = sessions.known(token)
    for number in range(TABS + 1):
        sessions.of(request(token, f"page {number}"))
    assert released == [(["page 0"], "", True)]
    sessions.erase(visitor.owner, lambda owner: None)
    sessions.sweep()
    pages = [f"page {number + 1}" for number in range(TABS)]
    assert released[1:] == [(pages, visitor.folder, False), (pages, visitor.folder, True)]
    assert sessions.of(request(sessions.new(), "page 3"))


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
    assert sessions.redeem(token) == (session.visitor, "")
    assert sessions.redeem(token) is None


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

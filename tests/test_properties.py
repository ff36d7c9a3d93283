"""Properties that hold for any name, note, question, setting, user, header and backup, tried with made-up ones."""

from __future__ import annotations

import unicodedata
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.soak import soak
from personal import settings as knobs
from personal.concepts import ConceptEdit, Turn
from personal.errors import PersonalError, SettingsError
from personal.owners import lasts, user_of
from personal.remember.users import Users
from personal.ui.proxies import Proxied, resolve
from personal.ui.routes import READ, WRITE, route
from tests.conftest import RED, open_assistant, picture
from tests.test_accounts import quick_hashes

__all__ = ["quick_hashes"]

ME, OTHER = "local", "user-0a1b"
TEXT = st.text(st.characters(), max_size=200)
"""Any text, surrogates, controls and marks of direction included."""
quick = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def assistant(tmp_path_factory):
    with open_assistant(tmp_path_factory.mktemp("properties") / "data") as made:
        yield made


@settings(quick, max_examples=25)
@given(name=TEXT, info=TEXT, category=TEXT)
def test_a_concept_of_any_name_is_kept_as_it_is_told_or_refused_in_words_and_changes_nothing(
    assistant, name, info, category
):
    before = assistant.concepts(ME)
    try:
        made = assistant.remember(ME, name, [picture(RED)], category, info)
    except PersonalError as refused:
        told = str(refused)
        assert told
        assert assistant.concepts(ME) == before
        return
    assert assistant.library.lookup(ME, f"<{made.name}>") == made
    assert made.name == made.name.strip()
    assert {unicodedata.category(char) for char in made.name}.isdisjoint({"Cc", "Cs"})
    assert not set(made.name) & set("<>")
    folder = assistant.library.data_dir / "owners" / ME
    inside = [path.relative_to(folder).as_posix() for path in folder.rglob("*")]
    assert [path for path in inside if not path.isascii()] == []
    assert assistant.concepts(OTHER) == []
    token = assistant.forget(ME, made.id)
    assert assistant.restore(ME, token).name == made.name
    assistant.revise(ME, made.id, ConceptEdit(info=""))
    assistant.forget(ME, made.id)
    assert assistant.concepts(ME) == before


@quick
@given(question=TEXT)
def test_any_question_is_answered_or_refused_in_words(assistant, question):
    with suppress(PersonalError):
        *_, answer = assistant.answer(ME, [Turn(question, (picture(RED),))])
        assert isinstance(answer.text, str)


@quick
@given(
    variable=st.sampled_from(sorted(knobs.KNOBS)), value=st.one_of(TEXT, st.integers().map(str), st.floats().map(str))
)
def test_any_value_of_a_setting_is_taken_or_refused_by_its_name(variable, value):
    try:
        loaded = knobs.load({variable: value})
    except SettingsError as refused:
        told = str(refused)
        assert variable in told
        assert len(told) < 500
    else:
        assert isinstance(loaded, knobs.Settings)


@quick
@given(name=TEXT, password=TEXT, wrong=TEXT)
def test_any_name_and_password_that_are_taken_sign_their_user_in_and_nobody_else(
    tmp_path_factory, quick_hashes, name, password, wrong
):
    users = Users(tmp_path_factory.mktemp("users"))
    try:
        user = users.add(name, password)
    except PersonalError:
        assert users.all() == ()
        return
    assert users.check(name, password) == user
    assert lasts(user.owner)
    if wrong != password:
        assert users.check(name, wrong) is None


@quick
@given(
    names=st.lists(st.binary(max_size=60), max_size=4),
    client=st.sampled_from(["127.0.0.1", "203.0.113.9", "", "nonsense", "::1"]),
    forwarded=st.lists(
        st.tuples(st.sampled_from([b"x-forwarded-for", b"x-forwarded-proto", b"forwarded"]), st.binary(max_size=40))
    ),
)
def test_whatever_headers_come_nobody_but_a_trusted_proxy_says_who_somebody_is(names, client, forwarded):
    trusted = knobs.load({"PERSONAL_TRUSTED_PROXIES": "127.0.0.1"}).trusted_proxies
    scope = {"client": (client, 1), "headers": [*forwarded, *((b"X-Forwarded-User", name) for name in names)]}
    proxied = resolve(scope, trusted, user_header="x-forwarded-user")
    assert scope["headers"] == []
    if client != "127.0.0.1" or not forwarded or len(names) != 1:
        assert scope["told_user"] == ""
    assert (proxied is Proxied.TRUSTED) == (client == "127.0.0.1" and bool(forwarded))


@quick
@given(one=st.tuples(TEXT, TEXT), other=st.tuples(TEXT, TEXT))
def test_two_who_are_vouched_for_are_the_same_owner_only_if_provider_and_name_are(one, other):
    owners = [user_of(*(part.encode("utf-8", "replace").decode() for part in who)) for who in (one, other)]
    assert all(lasts(owner) and owner.isascii() for owner in owners)


@quick
@given(path=st.one_of(TEXT, st.text("/abc.:=_-~%\\ \0\n", max_size=60).map(lambda rest: "/gradio_api/file=" + rest)))
def test_a_route_that_is_logged_is_one_of_a_few(path):
    found = route(path)
    assert (found == "") == (not READ.fullmatch(path) and not WRITE.fullmatch(path))
    assert len(found) < 40
    assert "\n" not in found


def test_two_thousand_mutated_pictures_and_zips_give_words_and_no_file_elsewhere(tmp_path):
    told = soak(2000, seed=7, folder=tmp_path)
    assert told["outside"] == []
    assert told["grown_mb"] < 100
    assert min(told["photo refused"], told["photo taken"], told["import refused"], told["restore refused"]) > 50

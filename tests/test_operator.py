"""The operator's page: behind a password, of numbers and names alone, with export, erasure and a closed door."""

from __future__ import annotations

import base64
import io
import logging
import zipfile

import pytest

from personal import logs
from personal.errors import StoreError
from personal.ui import operator
from personal.ui.context import AppContext
from personal.ui.operator import OperatorPage
from personal.ui.visitors import PAUSED
from tests.conftest import RED, picture
from tests.test_accounts import ANNA, Browser, Shared, quick_hashes

__all__ = ["quick_hashes"]

WORD = "open sesame"
FIGURES = dict.fromkeys(
    ("visitors", "visitors_connected", "questions_running", "questions_waiting", "disk_free_bytes"), ("", 3.0)
)


def basic(password=WORD, name="op"):
    return {"authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


@pytest.fixture
def make(tmp_path, assistant):
    made = []

    def start(**environment):
        app = Shared(tmp_path / "data", assistant, **environment)
        opening = type("Opening", (), {"assistant": assistant, "error": None, "settings": app.settings})()
        made.append(OperatorPage(AppContext(opening, app.sessions, app.accounts), lambda: FIGURES))
        app.app.routes.extend(made[-1].routes())
        app.accounts.users.add(*ANNA)
        return app

    yield start
    for one in made:
        one.close()


@pytest.fixture
def app(make):
    return make(PERSONAL_OPERATOR_PASSWORD=WORD)


@pytest.fixture
def anna(app, assistant):
    browser = Browser(app)
    browser.sign_in(*ANNA)
    visitor = browser.open()
    assistant.remember(visitor.owner, "Zaphod", [picture(RED)], info="He hides two heads.")
    return visitor


def test_without_a_password_there_is_no_such_page(make):
    browser = Browser(make())
    assert browser.ask("GET", "/personal/operator").status_code == 404
    assert browser.ask("GET", "/personal/operator", headers=basic("")).status_code == 404


def test_whoever_does_not_know_the_password_gets_nothing_and_may_try_so_often(app, monkeypatch):
    browser = Browser(app)
    answer = browser.ask("GET", "/personal/operator")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic")
    for wrong in ({"authorization": "Basic !!!"}, {"authorization": f"Bearer {WORD}"}, basic("open"), basic("")):
        for method in ("GET", "POST"):
            assert browser.ask(method, "/personal/operator", headers=wrong).status_code == 401
    codes = [browser.ask("GET", "/personal/operator", headers=basic("x")).status_code for _ in range(20)]
    assert codes[-1] == 429
    assert browser.ask("GET", "/personal/operator", headers=basic()).status_code == 429
    assert Browser(app, client="203.0.113.10").ask("GET", "/personal/operator", headers=basic()).status_code == 200
    assert app.sessions.count() == (0, 0), "nobody became a visitor"


def test_it_shows_numbers_and_names_and_nothing_that_anybody_keeps(app, anna, caplog):
    caplog.set_level(logging.INFO, "personal")
    Browser(app).open()
    try:
        raise StoreError("Zaphod's disk is full.")
    except StoreError as error:
        logs.report(error)
    answer = Browser(app).ask("GET", "/personal/operator", headers=basic())
    assert answer.status_code == 200
    for words in ("anna", "1 concept", "here now", "StoreError", "personal.logs", "3, 3 with a page open"):
        assert words in answer.text
    assert [word for word in ("Zaphod", "heads") if word in answer.text] == []
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert "<script" not in answer.text


def test_an_owners_concepts_can_be_exported_and_erased(app, anna, assistant):
    browser = Browser(app)
    answer = browser.ask("GET", "/personal/operator", headers=basic(), params={"export": anna.owner})
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert b"Zaphod" in archive.read("concepts/1/concept.json")
    form = {"act": "erase", "owner": anna.owner}
    answer = browser.ask("POST", "/personal/operator", headers=basic(), data={**form, "confirm": "no"})
    assert "Nothing was erased" in answer.text
    assert assistant.concepts(anna.owner)
    answer = browser.ask("POST", "/personal/operator", headers=basic(), data={**form, "confirm": "erase"})
    assert "Everything of this owner was erased" in answer.text
    assert assistant.concepts(anna.owner) == []


@pytest.mark.parametrize("owner", ["", "nobody", "../local", "visitor-1", "local"])
def test_an_owner_who_is_not_there_is_said_in_words(app, owner):
    form = {"act": "erase", "owner": owner, "confirm": "erase"}
    answer = Browser(app).ask("POST", "/personal/operator", headers=basic(), data=form)
    assert "no longer there" in answer.text
    if owner:
        answer = Browser(app).ask("GET", "/personal/operator", headers=basic(), params={"export": owner})
        assert "no longer there" in answer.text


def test_new_visitors_can_be_kept_out_while_those_who_are_there_go_on(app, anna):
    inside, outside = Browser(app), Browser(app)
    assert inside.open()
    outside.ask("POST", "/personal/operator", headers=basic(), data={"act": "pause"})
    assert (outside.ask("GET", "/").status_code, outside.ask("GET", "/").text) == (503, PAUSED)
    assert inside.open()
    outside.ask("POST", "/personal/operator", headers=basic(), data={"act": "resume"})
    assert outside.open()


def test_another_sites_page_does_nothing_though_the_browser_knows_the_password(app, anna, assistant):
    form = {"act": "erase", "owner": anna.owner, "confirm": "erase"}
    for by_another in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}):
        headers = {**basic(), **by_another}
        assert Browser(app).ask("POST", "/personal/operator", headers=headers, data=form).status_code == 403
    assert assistant.concepts(anna.owner)


def test_the_last_errors_are_so_many_and_without_words(make):
    before = list(logging.getLogger("personal").handlers)
    errors = operator.LastErrors()
    for number in range(30):
        try:
            raise StoreError(f"Zaphod {number}")
        except StoreError as error:
            record = logging.LogRecord("personal.x", logging.INFO, "", 1, "shown", (), (type(error), error, None))
        errors.emit(record)
    assert len(errors.found) == operator.ERRORS
    assert all(found[1:] == ("StoreError", "personal.x") for found in errors.found)
    assert logging.getLogger("personal").handlers == before

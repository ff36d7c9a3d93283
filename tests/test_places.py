"""What guests are not told: where things are on the machine, and which servers it uses."""

from __future__ import annotations

import asyncio
from html import escape
from types import SimpleNamespace

import pytest

from personal import settings
from personal.errors import StoreError
from personal.ui.places import hidden
from personal.ui.sessions import COOKIE
from tests.conftest import RED, open_assistant, picture
from tests.test_bad_input import Browser

ENVIRONMENT = {
    "PERSONAL_DATA_DIR": "/srv/o'hara & sons/personal data",
    "PERSONAL_CACHE_DIR": "/srv/models",
    "PERSONAL_LLM_URL": "http://gpu-7.intern:8000/v1",
    "PERSONAL_CHROMA_URL": "http://10.0.0.9:8001",
}
SECRETS = ("/srv", "sons", "gpu-7", "10.0.0.9", "8001")


def told():
    place = "/srv/o'hara & sons/personal data/owners/visitor-1/concepts/2/views/3.jpg"
    return [
        f"A photo of <bo> is damaged: {place}. Remove it.",
        f"<p>{escape(place)} cannot be used</p>",
        "http://gpu-7.intern:8000/v1/chat/completions was silent",
        "Answers come from gpu-7.intern:8000: your questions",
        {"value": [{"label": "The index on http://10.0.0.9:8001 failed"}]},
    ]


def test_guests_are_told_neither_folders_nor_servers_wherever_they_stand():
    hide = hidden(settings.load({**ENVIRONMENT, "SPACE_ID": "somebody/personal"}))
    shown = str(hide(told()))
    assert not [secret for secret in SECRETS if secret in shown]
    assert "A photo of <bo> is damaged: the data of the app" in shown
    assert "Answers come from the model server: your questions" in shown


def test_on_ones_own_machine_they_are_told_everything():
    assert hidden(settings.load(ENVIRONMENT))(told()) == told()


def test_a_models_folder_is_told_by_its_name_alone(tmp_path):
    (tmp_path / "my-model").mkdir()
    hide = hidden(settings.load({"PERSONAL_ENCODER": str(tmp_path / "my-model"), "SPACE_ID": "x"}))
    assert hide(f"{tmp_path}/my-model. Another one: PERSONAL_ENCODER.") == "my-model. Another one: PERSONAL_ENCODER."


@pytest.fixture
def guest(tmp_path, monkeypatch):
    load = settings.load
    monkeypatch.setattr(settings, "load", lambda given: load({**given, **ENVIRONMENT, "SPACE_ID": "x"}))
    with open_assistant(tmp_path / "data") as assistant:
        browser = Browser(assistant, tmp_path / "data")
        browser.context.sessions.shared = True
        browser.request = SimpleNamespace(
            cookies={COOKIE: browser.context.sessions.new()}, session_hash="a guest's page"
        )
        assert browser.session.owner != "local"
        yield browser


def test_an_error_that_names_a_folder_reaches_a_guest_without_it(guest, monkeypatch):
    place = f"{guest.context.settings.data_dir}/owners"
    failing = StoreError(f"The disk that holds {place} is full. Free some space and try again.")
    assistant = guest.context.assistant
    assistant.remember(guest.session.owner, "bo", [picture(RED)])
    monkeypatch.setattr(assistant.library, "prefer", lambda *_: (_ for _ in ()).throw(failing))
    (function,) = {f.fn.__name__: f for f in guest.blocks.fns.values() if f.fn and f.fn.__name__ == "defaults"}.values()
    shown = guest.settings.defaults(guest.request)
    sent = asyncio.run(guest.blocks.postprocess_data(function, shown, None))
    assert "The disk that holds the data of the app is full" in str(sent)
    assert not [secret for secret in SECRETS if secret in str(sent)]


def test_a_guest_cannot_ask_which_server_answers(guest):
    assert guest.settings.models.describe("server", guest.request)[guest.settings.models.about] == ""


def test_a_guest_is_told_what_is_running_without_where(guest):
    shown = guest.settings.draw(guest.session)
    sent = str(guest.blocks.hide([str(value) for value in shown.values()]))
    assert not [secret for secret in SECRETS if secret in sent]

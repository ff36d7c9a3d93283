"""The endpoints for programs, called as gradio_client calls them; each client works on concepts of its own."""

from __future__ import annotations

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from tests.test_browser import SAMPLES, samples
from tests.test_strangers import server  # noqa: F401

SCENE = SAMPLES / samples()["photos"][0]["file"]
FIRST = samples()["concepts"][0]


@pytest.fixture
def client(server):  # noqa: F811
    return Client(f"http://127.0.0.1:{server.page.server_port}", verbose=False)


def add(client, name="bo", notes="Loves the beach."):
    views = [handle_file(str(SAMPLES / file)) for file in FIRST["views"]]
    return client.predict(name, views, "dog", notes, api_name="/add")


def test_a_program_adds_looks_asks_lists_and_forgets(client):
    assert client.predict(api_name="/list") == []
    added = add(client)
    assert (added["name"], added["views"], added["category"]) == ("bo", len(FIRST["views"]), "dog")
    assert client.predict(api_name="/list") == [added]
    (match,) = client.predict(handle_file(str(SCENE)), api_name="/look")["matches"]
    assert match["name"] == "bo"
    assert all(0 <= edge <= 1 for edge in match["box"])
    answer = client.predict(handle_file(str(SCENE)), "Who is here?", api_name="/ask")
    assert answer["answer"] == answer["known"] == "<bo> is in this photo."
    assert "beach" in client.predict(None, "What does bo love?", api_name="/ask")["answer"]
    assert client.predict("bo", api_name="/forget") == {"forgotten": "bo"}
    assert client.predict(api_name="/list") == []


def test_every_program_is_a_guest_of_its_own(client, server):  # noqa: F811
    add(client)
    other = Client(f"http://127.0.0.1:{server.page.server_port}", verbose=False)
    assert other.predict(api_name="/list") == []
    assert other.predict(handle_file(str(SCENE)), api_name="/look")["matches"] == []


def test_what_a_program_may_not_is_refused_in_words_and_changes_nothing(client):
    add(client)
    before = client.predict(api_name="/list")
    for arguments, name, words in (
        (("mia", [], "", ""), "/add", "at least one photo"),
        (("a" * 65, [handle_file(str(SCENE))], "", ""), "/add", "under 65"),
        (("mia", [handle_file(__file__)], "", ""), "/add", "picture"),
        ((None, " "), "/ask", "empty"),
        (("nobody",), "/forget", "no concept called nobody"),
    ):
        with pytest.raises(AppError, match=words):
            client.predict(*arguments, api_name=name)
    assert client.predict(api_name="/list") == before

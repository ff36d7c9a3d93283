"""Photos by URL: each visitor gets their own, nobody else does, and an update of the page carries none of them."""

from __future__ import annotations

import html
import io
import re
import secrets

import httpx
import pytest
from PIL import Image

from personal.images import read_photo
from tests.test_strangers import Guest, server  # noqa: F401

PICTURE = re.compile(r'data-picture=\\"([0-9a-f]{64}\?[^\\"]+)')


def photo(seed):
    """A photo of a busy pattern, which compresses badly: 1200 by 900."""
    import numpy as np

    pixels = np.random.default_rng(seed).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).resize((1200, 900), Image.Resampling.BICUBIC).save(stream, "JPEG", quality=92)
    return stream.getvalue()


def pictures(shown):
    return ["/personal/picture/" + html.unescape(name) for name in PICTURE.findall(shown)]


@pytest.fixture
def guest(server):  # noqa: F811
    return Guest(server, secrets.token_hex(5))


def test_a_photo_is_sent_to_the_visitor_whose_it_is_and_kept_by_no_cache(guest):
    names = pictures(guest.drop(guest.upload(photo(1))))
    assert names
    for name in names:
        answer = guest.http.get(name)
        assert answer.status_code == 200, name
        assert answer.headers["cache-control"] == "no-store"
        side = int(re.search(r"side=(\d+)", name)[1])
        assert max(Image.open(io.BytesIO(answer.content)).size) <= side


def test_a_photo_is_sent_to_nobody_else(guest, server):  # noqa: F811
    (name, *_) = pictures(guest.drop(guest.upload(photo(2))))
    stranger = Guest(server, secrets.token_hex(5))
    nobody = httpx.Client(base_url=guest.http.base_url, trust_env=False)
    assert {one.get(name).status_code for one in (stranger.http, nobody)} == {404}
    assert guest.http.get(name).status_code == 200


def test_an_erased_photo_is_sent_no_more(guest):
    (name, *_) = pictures(guest.drop(guest.upload(photo(3))))
    guest.call("erase", "click", ["erase"])
    assert guest.http.get(name).status_code == 404


@pytest.mark.parametrize(
    "query",
    ["side=0", "side=99999", "side=x", "box=1,2", "box=a,b,c,d", "box=-1,0,1,1", "box=nan,0,1,1", "side=-5&square=1"],
)
def test_what_makes_no_sense_of_a_photo_is_refused(guest, query):
    (name, *_) = pictures(guest.drop(guest.upload(photo(4))))
    assert guest.http.get(f"{name.split('?')[0]}?{query}").status_code == 404


def test_one_question_sends_the_page_less_than_300_kilobytes_and_no_photo(guest):
    shown = guest.drop(guest.upload(photo(5)))
    assert "data:image" not in shown
    asked = guest.call("ask", "submit", [{"text": "Who is in this photo?", "files": []}])
    assert "recognise anyone" in asked
    assert "data:image" not in asked
    assert len(asked.encode()) < 300_000


def test_names_for_the_composer_are_the_visitors_own(guest, server):  # noqa: F811
    assistant = server.opening.assistant
    owner = server.sessions.known(guest.http.cookies["personal"]).owner
    concept = assistant.remember(owner, "bo of mine", [read_photo(photo(6))], "dog")
    (row,) = guest.http.get("/personal/names").json()
    assert (row["name"], row["category"]) == ("bo of mine", "dog")
    assert row["picture"].startswith(concept.avatar)
    assert guest.http.get("/personal/picture/" + row["picture"]).status_code == 200
    stranger = Guest(server, secrets.token_hex(5))
    nobody = httpx.Client(base_url=guest.http.base_url, trust_env=False)
    assert stranger.http.get("/personal/names").json() == []
    assert nobody.get("/personal/names").status_code == 404


def test_a_photo_is_sent_around_its_subject(guest):
    (name, *_) = pictures(guest.drop(guest.upload(photo(3))))
    place = name.partition("?")[0]
    answer = guest.http.get(f"{place}?side=100&square=1&box=subject")
    assert Image.open(io.BytesIO(answer.content)).size == (100, 100)
    assert guest.http.get(f"{place}?side=100&box=somebody").status_code == 404

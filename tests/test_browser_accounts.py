"""Two who sign in and two guests, in four browsers at once: whose concepts are where, and how one becomes the other."""

from __future__ import annotations

import pytest

from personal.remember.users import Users
from tests.test_browser import SAMPLES, card, chromium, create, samples, served, tab, visit

__all__ = ["chromium"]
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """An app that others can reach, with two users."""
    data = tmp_path_factory.mktemp("shared") / "data"
    users = Users(data)
    for name in ("anna", "ben"):
        users.add(name, f"password of {name}")
    with served(data, GRADIO_SERVER_NAME="0.0.0.0", PERSONAL_SESSION_GRACE_S="5") as address:
        yield address, data


def sign_in(page, name):
    page.locator("a.account").click()
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(f"password of {name}")
    page.get_by_role("button", name="Sign in").click()
    page.locator("#main #ask textarea").wait_for(timeout=120_000)


def sign_out(page, words="Sign out"):
    page.locator("details.account summary").click()
    page.get_by_role("button", name=words, exact=True).click()
    page.locator("a.account").wait_for(timeout=60_000)
    page.locator("#main #ask textarea").wait_for(timeout=120_000)


def test_who_signs_in_keeps_what_guests_lose_and_nobody_sees_anothers(shared, chromium):
    address, data = shared
    sizes = [(1440, 1000), (1440, 1000), (390, 844), (390, 844)]
    contexts = [chromium.new_context(viewport={"width": w, "height": h}) for w, h in sizes]
    anna, ben, guest, other = (visit(context, address) for context in contexts)
    photo = SAMPLES / samples()["concepts"][0]["views"][0]
    try:
        create(anna, "bo", photo)
        anna.locator("a.account").click()
        anna.get_by_text("Take my 1 concept along").wait_for()
        anna.get_by_label("Name").fill("anna")
        anna.get_by_label("Password").fill("wrong password")
        anna.get_by_role("button", name="Sign in").click()
        anna.get_by_text("The name or the password is wrong.").wait_for()
        anna.get_by_label("Password").fill("password of anna")
        anna.get_by_role("button", name="Sign in").click()
        anna.locator("details.account").wait_for(timeout=120_000)
        assert "guest" not in anna.locator("#banner").inner_text()
        tab(anna, "Concepts")
        card(anna, "bo").wait_for()
        sign_in(ben, "ben")
        for page in (ben, guest, other):
            tab(page, "Concepts")
            page.locator("#cards .empty, #cards").first.wait_for()
            assert card(page, "bo").count() == 0
        assert "Sign in" in guest.locator("#banner").inner_text()
        sign_in(guest, "anna")  # the same person, on a phone
        tab(guest, "Concepts")
        card(guest, "bo").wait_for()
        sign_out(anna, "Sign out everywhere")
        tab(anna, "Concepts")
        assert card(anna, "bo").count() == 0
        guest.get_by_role("tab", name="Settings").click()
        guest.locator("#lost button").click()  # this page was anna's, too
        guest.locator("a.account").wait_for(timeout=60_000)
        sign_in(guest, "anna")
        tab(guest, "Concepts")
        card(guest, "bo").wait_for()
        assert len(list((data / "owners").glob("user-*"))) >= 1
    finally:
        for context in contexts:
            context.close()

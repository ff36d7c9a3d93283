"""Pages left open, in a real browser: what a visitor has stays while a page of theirs is open, and no longer."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.test_browser import SAMPLES, ask, card, chromium, create, everything, samples, served, tab, upload, visit  # noqa: F401

pytestmark = pytest.mark.browser
GRACE_S = 3
SWEEP_S = 5
IDLE_S = 3 * GRACE_S + SWEEP_S
"""Long enough for three graces, and for the sweeper to have come by since."""
GUESTS = {"GRADIO_SERVER_NAME": "0.0.0.0", "PERSONAL_SESSION_GRACE_S": str(GRACE_S)}


class Network:
    """What lies between the browser and the app: it can go away, and come back."""

    def __init__(self, address: str, *, cookies: bool = True, late_s: float = 0) -> None:
        self.there = True
        self._cookies = cookies
        self._late_s = late_s
        self.lead_to(address)
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._listener.getsockname()[1]}/"
        threading.Thread(target=self._accept, daemon=True).start()

    def lead_to(self, address: str) -> None:
        self._to = (urlsplit(address).hostname, urlsplit(address).port)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if not self.there:
                near.close()
                continue
            try:
                far = socket.create_connection(self._to)
            except OSError:
                near.close()
                continue
            self._open |= {near, far}
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                rest = data.find(b'data: {"msg":"close_stream"') if self._late_s else -1
                if rest >= 0:  # the end of a page's stream comes late
                    other.sendall(data[:rest])
                    time.sleep(self._late_s)
                    data = data[rest:]
                other.sendall(data if self._cookies else data.replace(b"set-cookie:", b"not-cookie:"))
        for end in (one, other):
            self._open.discard(end)
            self._hang_up(end)

    def _hang_up(self, end: socket.socket) -> None:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()

    def lose(self) -> None:
        self.there = False
        for end in list(self._open):
            self._hang_up(end)

    def close(self) -> None:
        self.lose()
        self._listener.close()


@contextmanager
def network(address, **more):
    made = Network(address, **more)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(scope="module")
def guests(tmp_path_factory):
    """The app as guests find it, with a short grace, and its data folder."""
    data = tmp_path_factory.mktemp("presence") / "data"
    with served(data, **GUESTS) as address:
        yield address, data


def arrive(chromium, address, name):  # noqa: F811
    page = visit(chromium.new_context(), address)
    create(page, name, SAMPLES / samples()["concepts"][0]["views"][0])
    return page


def held(data: Path, name: str) -> bool:
    return name.encode() in everything(data / "owners")


def erased(data: Path, name: str) -> bool:
    deadline = time.monotonic() + 60
    while held(data, name) and time.monotonic() < deadline:
        time.sleep(0.3)
    return not held(data, name)


def goes_for_lunch(address, data, chromium):  # noqa: F811
    page = arrive(chromium, address, "lunch")
    yield
    assert held(data, "lunch")
    page.bring_to_front()
    tab(page, "Chat")
    tab(page, "Concepts")
    card(page, "lunch").wait_for()
    page.close()
    assert erased(data, "lunch")


def is_in_the_background(address, data, chromium):  # noqa: F811
    page = arrive(chromium, address, "behind")  # the browser shows others' pages: its timers stand still
    page.context.new_cdp_session(page).send("Page.setWebLifecycleState", {"state": "frozen"})
    yield
    assert held(data, "behind")
    page.context.new_cdp_session(page).send("Page.setWebLifecycleState", {"state": "active"})
    page.bring_to_front()
    page.reload()
    tab(page, "Concepts")
    card(page, "behind").wait_for()
    page.context.close()
    assert erased(data, "behind")


def leaves(address, data, chromium):  # noqa: F811
    page = arrive(chromium, address, "gone")
    page.context.close()
    yield
    assert erased(data, "gone")


def has_no_network_for_less_than_the_grace(address, data, chromium):  # noqa: F811
    with network(address) as between:
        page = arrive(chromium, between.address, "traveller")
        between.lose()
        time.sleep(GRACE_S / 2)
        between.there = True
        yield
        assert held(data, "traveller")
        page.context.close()


def opens_many_pages(address, data, chromium):  # noqa: F811
    page = arrive(chromium, address, "crowd")
    pages = [visit(page.context, address) for _ in range(7)]  # a browser opens six connections to an address
    page.close()  # it was the one that kept the visitor
    yield
    assert held(data, "crowd")
    pages[-1].bring_to_front()
    tab(pages[-1], "Concepts")
    card(pages[-1], "crowd").wait_for()
    page.context.close()
    assert erased(data, "crowd")


def keeps_no_cookies(address, data, chromium):  # noqa: F811
    scene = next(p for p in samples()["photos"] if samples()["concepts"][0]["name"] in p["concepts"])
    with network(address, cookies=False) as between:
        page = arrive(chromium, between.address, "crumbless")
        assert not page.context.cookies()
        other = visit(page.context, between.address)
        tab(other, "Concepts")
        other.locator("#cards [data-act=samples]").wait_for()
        yield
        assert held(data, "crumbless")
        page.bring_to_front()
        tab(page, "Chat")
        upload(page, "#ask", SAMPLES / scene["file"])
        page.locator("#panel .box", has_text="crumbless").wait_for()
        other.close()
        page.reload()
        page.locator("#panel .box", has_text="crumbless").wait_for(timeout=60_000)
        yield
        assert held(data, "crumbless")
        page.context.close()
        assert erased(data, "crumbless")


def is_on_their_own_machine(_address, data, chromium):  # noqa: F811
    (data.parent / "own").mkdir()
    with served(data.parent / "own" / "data", PERSONAL_SESSION_GRACE_S=str(GRACE_S)) as address:
        page = visit(chromium.new_context(), address)
        ask(page, "Hello, who are you?")
        yield
        page.bring_to_front()
        page.reload()
        page.locator("#log .said.you", has_text="Hello, who are you?").wait_for()
        page.context.close()


SOMEBODY_WHO = (
    goes_for_lunch,
    is_in_the_background,
    leaves,
    has_no_network_for_less_than_the_grace,
    opens_many_pages,
    keeps_no_cookies,
    is_on_their_own_machine,
)


def test_after_three_graces_who_has_a_page_finds_everything_and_who_has_none_is_erased(guests, chromium):  # noqa: F811
    visits = [somebody_who(*guests, chromium) for somebody_who in SOMEBODY_WHO]
    while visits:
        visits = [one for one in visits if next(one, "over") != "over"]
        time.sleep(IDLE_S if visits else 0)


def test_guests_who_drop_the_same_photo_at_once_all_see_it(guests, chromium):  # noqa: F811
    address, _ = guests
    pages = [visit(chromium.new_context(), address) for _ in range(3)]
    for page in pages:
        upload(page, "#ask", SAMPLES / samples()["photos"][0]["file"])
    for page in pages:
        page.locator("#panel .stage img").wait_for(timeout=60_000)
        page.context.close()


def test_what_is_clicked_while_the_stream_before_it_ends_is_answered(guests, chromium):  # noqa: F811
    with network(guests[0], late_s=1.5) as between:
        page = visit(chromium.new_context(), between.address)
        tab(page, "Concepts")
        page.locator("#new").click()
        page.locator("#creator #new-name").wait_for()
        page.context.close()


def say(page, question):
    page.locator("#ask textarea").fill(question)


def typed(page):
    from playwright.sync_api import expect

    return expect(page.locator("#ask textarea"))


def test_a_page_whose_visit_ended_says_so_and_keeps_the_question(guests, chromium):  # noqa: F811
    address, data = guests
    with network(address) as between:
        page = arrive(chromium, between.address, "asleep")
        second = visit(page.context, between.address)
        tab(page, "Chat")
        say(page, "What was I going to ask?")
        between.lose()
        page.locator("#lost", has_text="cannot be reached").wait_for()
        assert erased(data, "asleep")
        between.there = True
        for shown in (page, second):
            shown.locator(
                "#lost", has_text="Your visit has ended, and what you added as a guest was erased."
            ).wait_for()
        typed(page).to_have_value("What was I going to ask?")
        page.bring_to_front()  # a page in the background computes at low priority, and nobody clicks there
        page.locator("#lost").get_by_role("button", name="Start again").click()
        page.locator("#banner", has_text="Your visit has ended").wait_for()
        typed(page).to_have_value("What was I going to ask?")
        assert not page.locator("#lost").count()
        page.reload()  # once is enough
        page.locator("#banner", has_text="You are a guest here").wait_for()
        assert "ended" not in page.locator("#banner").inner_text()
        page.context.close()


def test_after_a_restart_the_page_says_what_is_there_still(tmp_path, chromium):  # noqa: F811
    with ExitStack() as first:
        address = first.enter_context(served(tmp_path / "data"))
        with network(address) as between:
            page = arrive(chromium, between.address, "kept")
            tab(page, "Chat")
            ask(page, "Hello, who are you?")
            say(page, "And one thing more")
            first.close()
            with served(tmp_path / "data") as address:
                between.lead_to(address)
                page.locator("#lost", has_text="Your concepts and chats are here.").wait_for()
                page.locator("#lost").get_by_role("button", name="Start again").click()
                page.locator("#banner", has_text="Your concepts and chats are here").wait_for(timeout=120_000)
                page.locator("#log .said.you", has_text="Hello, who are you?").wait_for()
                typed(page).to_have_value("And one thing more")
                tab(page, "Concepts")
                card(page, "kept").wait_for()
                page.context.close()

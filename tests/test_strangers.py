"""Visitors side by side, over real HTTP: ten with the same file, and one who asks for what is another's."""

from __future__ import annotations

import gc
import threading
import types
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from personal import settings
from personal.ui.app import Server
from personal.ui.sessions import COOKIE
from tests.test_browser import SAMPLES, samples
from tests.test_visitors import DATA, JOIN

PHOTO = (SAMPLES / samples()["photos"][0]["file"]).read_bytes()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    data = tmp_path_factory.mktemp("strangers") / "data"
    knobs = {"PERSONAL_DATA_DIR": str(data), "GRADIO_SERVER_NAME": "0.0.0.0", "PERSONAL_SESSION_GRACE_S": "3600"}
    made = Server(settings.load(knobs))
    made.opening.wait(300)
    made.start()
    yield made
    made.close()


class Guest:
    """A visitor by HTTP alone, as a page of theirs asks."""

    def __init__(self, server, page):
        self.page, self._server = page, server
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{server.page.server_port}", timeout=120, trust_env=False)
        assert self.http.get("/").status_code == 200

    def upload(self, content=PHOTO, name="photo.jpg"):
        answer = self.http.post("/gradio_api/upload", files={"files": (name, content)})
        assert answer.status_code == 200, answer.text
        return answer.json()[0]

    def event(self, component, kind, data, page=None):
        """What is posted to call a handler: that of a component, by its id in the page."""
        blocks = self._server.page
        block = next(b for b in blocks.blocks.values() if getattr(b, "elem_id", None) == component)
        number = next(i for i, fn in blocks.fns.items() if fn.fn and (block._id, kind) in fn.targets)
        return {"fn_index": number, "session_hash": page or self.page, "data": data, "trigger_id": block._id}

    def call(self, component, kind, data):
        """Call a handler and return all that it shows, as one text."""
        joined = self.http.post(JOIN, json=self.event(component, kind, data))
        assert joined.status_code == 200, joined.text
        return self.results()

    def results(self):
        with self.http.stream("GET", DATA, params={"session_hash": self.page}) as stream:
            return "".join(stream.iter_lines())

    def drop(self, path):
        return self.call("dropped", "change", [[file(path)]])


def file(path):
    return {"path": path, "orig_name": "photo.jpg", "meta": {"_type": "gradio.FileData"}}


def test_ten_visitors_who_drop_the_same_photo_at_once_all_get_it(server):
    guests = [Guest(server, f"ten-{number}") for number in range(10)]
    together = threading.Barrier(10)

    def both(guest):
        together.wait()
        path = guest.upload()
        together.wait()
        return path, guest.drop(path)

    with ThreadPoolExecutor(10) as pool:
        done = list(pool.map(both, guests))
    assert len({path for path, _ in done}) == 10
    for _, shown in done:
        assert "data-stage" in shown, shown[-500:]


def test_two_pages_of_one_visitor_can_drop_the_same_photo_at_once(server):
    guest = Guest(server, "two-a")
    first, second = guest.upload(), guest.upload()
    assert "data-stage" in guest.drop(first)
    guest.page = "two-b"
    assert "data-stage" in guest.drop(second)


def test_a_stranger_gets_no_upload_of_anothers(server):
    guest, stranger = Guest(server, "mine"), Guest(server, "theirs")
    path = guest.upload(name="my secret.jpg")
    assert guest.http.get(f"/gradio_api/file={path}").content == PHOTO
    nobody = httpx.Client(base_url=stranger.http.base_url, trust_env=False)
    for http in (stranger.http, nobody):
        assert http.get(f"/gradio_api/file={path}").status_code in {403, 404, 410}
        assert http.post(JOIN, json=stranger.event("dropped", "change", [[file(path)]])).status_code in {403, 410}
    assert "data-stage" in guest.drop(path)


def test_nothing_that_a_guest_is_sent_names_a_folder_of_the_server(server):
    guest = Guest(server, "curious")
    path = guest.upload()
    told = [path, guest.http.get("/").text, guest.http.get("/config").text, guest.drop(path)]
    told += [guest.http.get(f"/gradio_api/file={path}").text, guest.http.get(f"/gradio_api/file={path}x").text]
    assert all(str(server.settings.data_dir) not in text for text in told)


def test_a_page_that_waits_for_nothing_is_told_so(server):
    answer = Guest(server, "idle").http.get(DATA, params={"session_hash": "idle"})
    assert (answer.status_code, "on its way" in answer.text) == (404, True)


def test_a_stranger_gets_no_results_of_anothers_and_stops_nothing(server):
    guest, stranger = Guest(server, "asks"), Guest(server, "listens")
    joined = guest.http.post(JOIN, json=guest.event("dropped", "change", [[file(guest.upload())]]))
    event = joined.json()["event_id"]
    nobody = httpx.Client(base_url=stranger.http.base_url, trust_env=False)
    for http in (stranger.http, nobody):
        assert http.get(DATA, params={"session_hash": "asks"}).status_code in {403, 410}
        cancelled = http.post("/gradio_api/cancel", json={"session_hash": "asks", "fn_index": 1, "event_id": event})
        assert cancelled.status_code in {403, 410}
        assert http.get(f"/gradio_api/call/name/{event}").status_code in {403, 404, 410}
        assert http.post(JOIN, json=guest.event("dropped", "change", [None])).status_code in {403, 410}
        assert http.get("/gradio_api/heartbeat/asks").status_code in {403, 410}
        assert http.get("/gradio_api/deep_link", params={"session_hash": "asks"}).status_code in {403, 404, 410}
    assert "data-stage" in guest.results()


def readable(server, *secrets):
    """Which of the secrets stand in anything that can be reached from Gradio's tables."""
    blocks = server.page
    kept = (blocks.state_holder, blocks._queue, blocks.app, blocks.temp_file_sets, blocks.pending_diff_streams)
    found, seen, left = set(), set(), list(kept)
    while left:
        value = left.pop()
        if id(value) in seen or isinstance(value, types.ModuleType | types.FrameType | type | threading.Thread):
            continue
        seen.add(id(value))
        if isinstance(value, str | bytes):
            text = value if isinstance(value, str) else value.decode("latin-1")
            found |= {secret for secret in secrets if secret in text}
        left += gc.get_referents(value)
    return found


def test_nothing_of_a_guest_who_left_or_erased_everything_is_readable_in_gradios_state(server):
    def live(guest):
        guest.call("files", "upload", [[file(guest.upload(name=f"{guest.page}-picture.jpg"))]])
        name, info = f"{guest.page}-dog", f"{guest.page} is afraid of thunder"
        assert name in guest.call("create", "click", [name, None, info, "", False])
        assert f"{guest.page}-left.jpg" in guest.upload(name=f"{guest.page}-left.jpg")
        return [name, info, f"{guest.page}-left", f"{guest.page}-picture"]

    goes, erases = Guest(server, "goes"), Guest(server, "erases")
    of_first, of_second = live(goes), live(erases)
    assert readable(server, *of_first, *of_second) >= {of_first[0], of_second[0]}

    assert "erased" in erases.call("erase", "click", ["erase"])
    server.sessions.known(goes.http.cookies[COOKIE]).seen_at -= 3600
    goes.http.close()
    server.sessions.sweep()
    assert readable(server, *of_first, *of_second) == set()
    assert "goes" not in server.page.state_holder
    assert list(server.uploads.glob("*/*")) == []
    assert "data-stage" in erases.drop(erases.upload())

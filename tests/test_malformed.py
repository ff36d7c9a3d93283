"""Hand-written HTTP: events that no page of ours sends get words, and leave no traceback in the log."""

from __future__ import annotations

import http.cookiejar
import json
import socket
import urllib.error
import urllib.request

import pytest

from personal import settings
from personal.ui.app import Server
from tests.conftest import RED, open_assistant, picture
from tests.test_bad_input import Ready, state

ODD = {
    "numbers": 7,
    "objects": {"a": [1]},
    "nothing": None,
    "a file that was never uploaded": [1, {"path": "/etc/passwd"}],
    "a file of nobody": {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}},
    "text": "x",
}
CLICKS = [
    None,
    "nonsense",
    7,
    [],
    {},
    {key: {"x": [1]} for key in ("act", "photo", "concept", "entry", "box", "token")},
]


class Stranger:
    """Somebody with a cookie of the page and an HTTP client."""

    def __init__(self, url):
        self.url = url
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self.open = urllib.request.build_opener(urllib.request.ProxyHandler({}), cookies).open
        self.open(url).read()
        self.functions = json.load(self.open(url + "config"))["dependencies"]
        self.sent = 0

    def post(self, body, path="gradio_api/queue/join"):
        """Send an event; returns the status, and what was answered at once."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, headers={"content-type": "application/json"})
        try:
            with self.open(request, timeout=120) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def act(self, function, data, event_data=None):
        """Send an event and wait for its end; returns what it says went wrong, or nothing."""
        self.sent += 1
        body = {"fn_index": function["id"], "data": data, "session_hash": f"s{self.sent}", "event_data": event_data}
        status, said = self.post(body)
        if status != 200:
            assert status in {400, 403, 422}, (function["api_name"], data, event_data, said)
            return json.loads(said)["detail"]
        with self.open(f"{self.url}gradio_api/queue/data?session_hash=s{self.sent}", timeout=120) as lines:
            for line in lines:
                message = json.loads(line[5:]) if line.startswith(b"data:") else {}
                if message.get("msg") == "process_completed":
                    assert message["success"] or message["output"]["error"], (function["api_name"], data, event_data)
                    return message["output"].get("error")
        raise AssertionError("the event did not end")


class Opened(Ready):
    """An opening that is over, of fake models."""

    def wait(self, timeout_s=None):
        return self.assistant

    def close(self):
        """The test closes what it opened."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("malformed") / "data"


@pytest.fixture(scope="module")
def stranger(folder):
    """Somebody who talks to the whole server, doors included; the models alone are made up."""
    with open_assistant(folder) as assistant, socket.socket() as free, pytest.MonkeyPatch.context() as patch:
        assistant.remember("local", "bo", [picture(RED)])
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        patch.setattr("personal.ui.app.Opening", lambda knobs: Opened(assistant, knobs))
        server = Server(settings.load({"PERSONAL_DATA_DIR": str(folder), "GRADIO_SERVER_PORT": str(port)}))
        try:
            yield Stranger(server.start())
        finally:
            server.close()


def test_values_of_the_wrong_kind_get_words_and_leave_no_traceback(stranger, capfd, caplog, folder):
    before = state(folder)
    for function in stranger.functions:
        count = len(function["inputs"])
        if not count:
            continue
        for value in ODD.values():
            if function["api_name"].startswith(("prefer", "remember", "revise")) and value == "x":
                continue  # that makes sense
            stranger.act(function, [value] * count)
        assert "makes no sense" in stranger.act(function, [])
    assert state(folder) == before
    shown = capfd.readouterr()
    assert "Traceback" not in shown.err + shown.out + caplog.text


def test_clicks_of_the_wrong_kind_get_words_and_leave_no_traceback(stranger, capfd, caplog, folder):
    before = state(folder)
    for function in stranger.functions:
        name = function["api_name"]
        if name.startswith("on_") or name.startswith("go"):
            for click in CLICKS:
                stranger.act(function, [], click)
    assert state(folder) == before
    shown = capfd.readouterr()
    assert "Traceback" not in shown.err + shown.out + caplog.text


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"null",
        [],
        {},
        {"fn_index": 9999, "data": [], "session_hash": "a"},
        {"fn_index": -1, "data": [], "session_hash": "a"},
        {"fn_index": "a", "data": [], "session_hash": "a"},
        {"fn_index": None, "data": [], "session_hash": "a"},
        {"fn_index": 0, "data": None, "session_hash": "a"},
        {"fn_index": 0, "data": {}, "session_hash": "a"},
        {"fn_index": 0, "data": ["x"], "session_hash": 7},
        {"fn_index": 0, "data": ["x"]},
        {"fn_index": 0, "data": ["x"], "session_hash": "a", "trigger_id": "z"},
        {"api_name": "nope", "data": [], "session_hash": "a"},
    ],
)
def test_a_request_that_is_no_event_is_refused_and_leaves_no_traceback(stranger, capfd, body):
    status, said = stranger.post(body)
    assert status in {400, 403, 422}
    assert len(said) > 15
    shown = capfd.readouterr()
    assert "Traceback" not in shown.err + shown.out


@pytest.mark.parametrize("path", ["gradio_api/call/nope", "gradio_api/call/v2/nope"])
def test_an_endpoint_that_does_not_exist_gets_words_and_leaves_no_traceback(stranger, capfd, path):
    status, said = stranger.post({"data": [], "session_hash": "a"}, path)
    assert status == 404
    assert "makes no sense" in said
    assert "Traceback" not in capfd.readouterr().err


def test_what_only_the_page_itself_does_cannot_be_asked_of_the_server(stranger, capfd):
    for function in stranger.functions:
        if not function["backend_fn"]:
            assert "makes no sense" in stranger.act(function, ["x"] * len(function["inputs"]))
    assert "Traceback" not in capfd.readouterr().err

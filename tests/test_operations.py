"""What an operator sees: health, readiness, metrics and the log of requests, none of which tells of anybody."""

from __future__ import annotations

import asyncio
import json
import logging
from types import SimpleNamespace

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

from personal import logs
from personal.concepts import Turn
from personal.errors import StoreError
from personal.settings import load
from personal.ui import health
from personal.ui.doors import outermost
from personal.ui.health import Health
from personal.ui.metrics import Metrics, free_bytes
from personal.ui.routes import METRICS, READY, route
from personal.ui.sessions import Sessions
from personal.ui.visitors import Visitors
from tests.conftest import RED, picture

SHARED = {"GRADIO_SERVER_NAME": "0.0.0.0"}
PROXIED = {"PERSONAL_TRUSTED_PROXIES": "127.0.0.1"}
TOKEN = {"PERSONAL_METRICS_TOKEN": "let-me-see"}
ME = "local"


class Operated:
    """The routes of an operator, behind the doors and the visitors of the served app."""

    def __init__(self, folder, assistant=None, **environment):
        self.settings = load({**environment, "PERSONAL_DATA_DIR": str(folder)})
        self.opening = SimpleNamespace(assistant=assistant, error=None, settings=self.settings)
        self.sessions = Sessions(shared=self.settings.shared, grace_s=60, erase=lambda owner: None)
        self.metrics = Metrics(
            lambda: {"visitors": ("Visitors.", self.sessions.count()[0])}, self.settings.metrics_token
        )
        self.app = Starlette(
            routes=[Route(READY, Health(self.opening).send), Route(METRICS, self.metrics.send)],
            middleware=[Middleware(Visitors, sessions=self.sessions, uploads=folder / "uploads")],
            lifespan=outermost(self.settings),
        )

    def get(self, path, *, client="127.0.0.1", host="127.0.0.1:7860", **headers):
        async def asked():
            transport = httpx.ASGITransport(self.app, client=(client, 5000))
            async with (
                self.app.router.lifespan_context(self.app),
                httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as http,
            ):
                return await http.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})

        self.app.middleware_stack = self.app.build_middleware_stack()
        return asyncio.run(asked())


@pytest.fixture
def operated(tmp_path, assistant):
    made = []

    def make(**environment):
        made.append(Operated(tmp_path, assistant, **environment))
        return made[-1]

    yield make
    for one in made:
        one.metrics.close()


@pytest.fixture
def logged(capsys):
    def begin(kind):
        logs.configure(kind, verbose=True)
        return lambda: capsys.readouterr().err

    yield begin
    logs.configure(verbose=False)


# -- alive and ready ---------------------------------------------------------------------------------------------------


def test_whoever_asks_how_the_app_is_becomes_no_visitor(operated):
    app = operated(**SHARED)
    for path in ("/healthz", "/readyz", "/metrics"):
        answer = app.get(path)
        assert answer.status_code == 200, path
        assert "set-cookie" not in answer.headers
    assert app.sessions.count() == (0, 0)


def test_the_app_is_ready_once_models_store_and_disk_are(operated, monkeypatch):
    app = operated()
    assert app.get(READY).json() == {"ready": True, "checks": {"model": "ok", "store": "ok", "disk": "ok"}}
    monkeypatch.setattr(health, "MIN_FREE_BYTES", 2**62)
    answer = app.get(READY)
    assert (answer.status_code, answer.json()["checks"]["disk"]) == (503, "full")


@pytest.mark.parametrize(("error", "state"), [(None, "loading"), (StoreError("In use."), "failed")])
def test_while_the_app_gets_ready_it_is_alive_and_says_so(operated, error, state):
    app = operated()
    app.opening.assistant, app.opening.error = None, error
    answer = app.get(READY)
    assert (answer.status_code, answer.json()["checks"]["model"]) == (503, state)
    assert app.get("/healthz").status_code == 200


def test_an_app_whose_index_has_gone_is_not_ready_and_tells_no_path(operated, tmp_path):
    app = operated()
    (tmp_path / "data" / "index").rename(tmp_path / "data" / "elsewhere")
    answer = app.get(READY)
    assert (answer.status_code, answer.json()["checks"]["store"]) == (503, "failed")
    assert str(tmp_path) not in answer.text


def test_health_is_told_also_where_so_many_requests_are_open_that_no_other_is(operated, monkeypatch):
    from personal.ui import doors

    monkeypatch.setattr(doors, "IN_TOTAL", 0)
    app = operated()
    assert app.get("/readyz").status_code == 503
    assert app.get("/healthz").text == "ok\n"


def test_another_sites_page_learns_not_even_that_the_app_is_there(operated):
    assert operated().get("/healthz", origin="https://evil.example").status_code == 403
    assert operated().get("/healthz", host="evil.example").status_code == 403


# -- metrics -----------------------------------------------------------------------------------------------------------


def test_without_a_token_this_machine_alone_has_the_metrics(operated):
    app = operated(**SHARED)
    assert "personal_visitors 0.0" in app.get(METRICS).text
    for other in ({"client": "192.168.0.7"}, {"host": "photos.example"}, {"x_forwarded_for": "127.0.0.1"}):
        assert app.get(METRICS, **other).status_code == 404, other


def test_who_comes_through_the_proxy_has_no_metrics_whatever_they_say(operated):
    app = operated(**PROXIED)
    assert app.get(METRICS).status_code == 200
    for said in ({"x_forwarded_for": "127.0.0.1"}, {"x_forwarded_proto": "https"}, {"forwarded": "for=127.0.0.1"}):
        assert app.get(METRICS, **said).status_code == 404, said


def test_with_a_token_whoever_sends_it_has_them_and_nobody_else(operated):
    app = operated(**SHARED, **TOKEN)
    far = {"client": "192.168.0.7", "host": "photos.example"}
    assert app.get(METRICS, **far, authorization="Bearer let-me-see").status_code == 200
    for wrong in ("Bearer let-me-se", "Bearer", "Basic let-me-see", "Bearer ſ", ""):
        assert app.get(METRICS, **far, authorization=wrong.encode()).status_code == 401, wrong
    assert app.get(METRICS).status_code == 401


def test_looks_answers_errors_and_requests_are_counted_and_nothing_of_anybody(operated, assistant, logged):
    logged("human")
    app = operated()
    photo = picture(RED)
    assistant.remember(ME, "Zaphod", [photo], info="He hides two heads.")
    assistant.look(ME, photo)
    list(assistant.answer(ME, [Turn("What is he doing?", (photo,))]))
    logs.report(StoreError("Zaphod's disk is full."))
    app.get("/personal/picture/" + "a" * 64)
    app.get("/wp-login.php")
    said = app.get(METRICS).text
    for line in (
        "personal_look_seconds_count 1.0",
        "personal_first_token_seconds_count 1.0",
        "personal_answer_seconds_count 1.0",
        "personal_answer_tokens_total 3.0",
        'personal_errors_total{type="StoreError"} 1.0',
        'personal_requests_total{method="GET",route="/personal/picture/…",status="404"} 1.0',
        'personal_requests_total{method="GET",route="other",status="404"} 1.0',
        "process_resident_memory_bytes",
    ):
        assert line in said
    assert [word for word in ("Zaphod", "heads", "doing", photo.sha256, "aaaa", "wp-login") if word in said] == []


def test_an_app_that_was_closed_counts_no_further(operated):
    before = list(logging.getLogger("personal").handlers)
    app = operated()
    app.metrics.close()
    assert logging.getLogger("personal").handlers == before


def test_the_room_on_a_disk_is_known_before_the_folder_is_there(tmp_path):
    assert free_bytes(tmp_path / "not" / "yet") > 0


# -- the log of requests -----------------------------------------------------------------------------------------------


def test_as_json_each_request_is_a_line_without_anything_particular(operated, logged):
    said = logged("json")
    app = operated(**SHARED)
    secret = "b" * 64
    app.get(f"/personal/picture/{secret}?side=3&name=Zaphod", client="203.0.113.9", cookie="personal=token-of-mine")
    app.get("/Zaphod/is/here", client="203.0.113.9")
    text = said()
    lines = [json.loads(line) for line in text.splitlines()]
    lines = [line for line in lines if line["logger"] == logs.ACCESS]
    assert [(line["method"], line["route"], line["status"]) for line in lines] == [
        ("GET", "/personal/picture/…", 404),
        ("GET", "other", 404),
    ]
    assert all(line["seconds"] >= 0 and line["bytes"] > 0 for line in lines)
    assert [word for word in (secret, "Zaphod", "203.0.113.9", "token-of-mine", "side") if word in text] == []


def test_for_people_no_request_is_logged(operated, logged):
    said = logged("human")
    operated().get("/healthz")
    assert said() == ""


@pytest.mark.parametrize(
    ("path", "known"),
    [
        ("/", "/"),
        ("/gradio_api/queue/join", "/gradio_api/queue/join"),
        ("/gradio_api/file=/uploads/abc/picture/bo.jpg", "/gradio_api/file=…"),
        ("/gradio_api/file=/a\nheartbeat/b", "/gradio_api/file=…"),
        ("/gradio_api/call/look/e5f1", "/gradio_api/call/…"),
        ("/gradio_api/call/v2/ask", "/gradio_api/call/…"),
        ("/gradio_api/heartbeat/abc", "/gradio_api/heartbeat/…"),
        ("/personal/export/tok-en", "/personal/export/…"),
        ("/assets/index-1a2b.js", "/assets/…"),
        ("/personal/visit", "/personal/visit"),
        ("/personal/visits", ""),
        ("/etc/passwd", ""),
    ],
)
def test_a_route_is_named_without_what_is_particular_to_a_request(path, known):
    assert route(path) == known

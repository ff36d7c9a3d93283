"""Requests and whose they are: the cookie, the key of a page, and what is refused because it is another's."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from personal.ui.sessions import COOKIE, Sessions
from personal.ui.visitors import KEY, VISIT, Visitors

JOIN, DATA = "/gradio_api/queue/join", "/gradio_api/queue/data"
UPLOADS = Path("/data/uploads/1").absolute()


@pytest.fixture
def sessions():
    return Sessions(shared=True, grace_s=0.0, erase=lambda owner: None)


def serve(sessions, path="/", headers=(), method="GET", scheme="http", query="", body=b""):
    """One request through the middleware; returns (status, response headers, body, what the app was given)."""
    given, sent = {}, []

    async def app(scope, receive, send):
        given.update(scope, connections=scope["visitor"] and scope["visitor"].connections)
        if method == "POST":
            given["body"] = (await receive())["body"]
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "path": path, "method": method, "scheme": scheme, "query_string": query.encode()}
    scope["headers"] = [(k.encode(), v.encode()) for k, v in dict(headers).items()]
    asyncio.run(Visitors(app, sessions, UPLOADS)(scope, receive, send))
    return sent[0]["status"], dict(sent[0]["headers"]), sent[1]["body"], given


def cookie(headers):
    return headers[b"set-cookie"].decode().split(";")[0].split("=", 1)[1]


def by_cookie(token):
    return {"cookie": f"{COOKIE}={token}"}


def post(sessions, headers, path=JOIN, **event):
    return serve(sessions, path, headers, "POST", body=json.dumps(event).encode())


# -- who asks ----------------------------------------------------------------------------------------------------------


def test_the_first_page_sets_a_cookie_that_scripts_cannot_read(sessions):
    _, headers, _, _ = serve(sessions)
    text = headers[b"set-cookie"].decode()
    assert "HttpOnly" in text
    assert "SameSite=Lax" in text
    assert "Secure" not in text
    assert sessions.known(cookie(headers))


def test_behind_https_the_cookie_may_travel_in_a_frame(sessions):
    _, headers, _, _ = serve(sessions, scheme="https")
    assert "SameSite=None; Secure; Partitioned" in headers[b"set-cookie"].decode()


def test_a_known_browser_keeps_its_cookie(sessions):
    _, headers, _, _ = serve(sessions)
    _, again, _, _ = serve(sessions, headers={"cookie": f"other=1; {COOKIE}={cookie(headers)}"})
    assert b"set-cookie" not in again


def test_a_browser_whose_visit_has_ended_begins_another_and_is_told(sessions):
    _, headers, _, _ = serve(sessions, headers=by_cookie("of-yesterday"))
    assert sessions.known(cookie(headers)).returned
    _, headers, _, _ = serve(sessions)
    assert not sessions.known(cookie(headers)).returned


def test_a_visitor_is_held_while_any_of_their_requests_lasts(sessions):
    token = sessions.new()
    visitor = sessions.known(token)
    *_, given = serve(sessions, "/gradio_api/upload", by_cookie(token), "POST")
    assert given["connections"] == 1
    assert visitor.connections == 0


def test_a_garbled_cookie_harms_nothing(sessions):
    assert serve(sessions, headers={"cookie": 'personal="\x01\\;=;;=,'})[0] == 200


def test_a_page_is_given_the_key_of_its_visitor(sessions):
    token = sessions.new()
    status, headers, body, _ = serve(sessions, VISIT, by_cookie(token), "POST")
    assert (status, json.loads(body)["key"]) == (200, sessions.known(token).key)
    assert headers[b"cache-control"] == b"no-store"


def test_a_browser_without_cookies_is_known_by_a_key_of_its_own(sessions):
    keys = [json.loads(serve(sessions, VISIT, method="POST")[2])["key"] for _ in range(2)]
    owners = {sessions.known(key).owner for key in keys}
    assert len(owners) == 2
    status, _, _, given = post(sessions, {KEY: keys[0]}, session_hash="a")
    assert status == 200
    assert (b"cookie", f"{COOKIE}={keys[0]}".encode()) in given["headers"]
    assert given["visitor"] is sessions.known(keys[0])
    assert post(sessions, {KEY: keys[1]}, session_hash="a")[0] == 403


def test_a_page_without_cookies_that_is_loaded_anew_is_the_same_visitors(sessions):
    def loaded(kept):
        return json.loads(serve(sessions, VISIT, {KEY: kept}, "POST")[2])["key"]

    key = loaded("")
    assert loaded(key) == key
    assert not sessions.known(key).returned
    sessions.sweep()
    another = loaded(key)
    assert another != key
    assert sessions.known(another).returned


def test_the_cookie_of_a_browser_counts_before_the_key_that_a_page_kept(sessions):
    token = sessions.new()
    kept = sessions.known(sessions.new()).key
    answer = serve(sessions, VISIT, {KEY: kept, **by_cookie(token)}, "POST")[2]
    assert json.loads(answer)["key"] == sessions.known(token).key


def test_a_page_of_a_visit_that_ended_is_told_though_its_browser_has_begun_another(sessions):
    key = sessions.known(sessions.new()).key
    sessions.sweep()
    status, _, body, given = post(sessions, {KEY: key, **by_cookie(sessions.new())}, session_hash="a")
    assert status == 410
    assert "erased" in json.loads(body)["detail"]
    assert not given


@pytest.mark.parametrize(
    "path", [JOIN, DATA, "/gradio_api/upload", "/gradio_api/heartbeat/a", "/gradio_api/file=/x", "/gradio_api/cancel"]
)
def test_who_is_not_known_gets_nothing(sessions, path):
    method = "POST" if path in {JOIN, "/gradio_api/upload", "/gradio_api/cancel"} else "GET"
    for headers in ({}, by_cookie("made-up"), {KEY: "made-up"}):
        status, _, body, given = serve(sessions, path, headers, method, query="session_hash=a", body=b"{}")
        assert status == 410
        assert json.loads(body)["detail"]
        assert not given


@pytest.mark.parametrize("path", ["/", "/config", "/gradio_api/info", "/theme.css", "/assets/a.js"])
def test_what_tells_nothing_of_anybody_is_for_everybody(sessions, path):
    assert serve(sessions, path)[0] == 200


def test_an_event_is_told_which_stream_of_its_page_is_over(sessions):
    answers = []

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for body in (
            (b'data: {"msg":"process_completed"}', b'data: {"msg":"close_stream"}') if scope["path"] == DATA else ()
        ):
            await send({"type": "http.response.body", "body": body, "more_body": True})
            await join("one")
            await join("other")
        await send({"type": "http.response.body", "body": b""})

    served, headers = Visitors(app, sessions, UPLOADS), by_cookie(sessions.new())

    async def request(path, method, query="", body=b"", sent=None, number=b""):
        scope = {"type": "http", "path": path, "method": method, "scheme": "http", "query_string": query.encode()}
        scope["headers"] = [(key.encode(), value.encode()) for key, value in headers.items()]
        scope["headers"] += [(b"x-personal-stream", number)] if number else []

        async def receive():
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message):
            if sent is not None and message["type"] == "http.response.start":
                sent.append(dict(message["headers"]).get(b"x-personal-stream"))

        await served(scope, receive, send)

    async def join(page):
        await request(JOIN, "POST", body=json.dumps({"session_hash": page, "data": []}).encode(), sent=answers)

    asyncio.run(join("one"))
    asyncio.run(request(DATA, "GET", "session_hash=one", number=b"7"))
    asyncio.run(request(DATA, "GET", "session_hash=one", number=b"nonsense"))
    assert answers == [b"0", None, b"0", b"7", b"0", None, b"0", b"7", b"0"]


# -- what is whose -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [JOIN, "/gradio_api/cancel", "/gradio_api/reset"])
def test_an_event_reaches_the_app_only_for_a_page_of_ones_own(sessions, path):
    one, other = by_cookie(sessions.new()), by_cookie(sessions.new())
    assert post(sessions, one, path, session_hash="a", data=[])[0] == 200
    status, _, _, given = post(sessions, other, path, session_hash="a", data=[])
    assert (status, given) == (403, {})


def test_the_app_is_given_an_event_as_it_was_sent(sessions):
    body = b'{"session_hash":  "a", "data": ["\xc3\xa4"]}'
    *_, given = serve(sessions, JOIN, by_cookie(sessions.new()), "POST", body=body)
    assert given["body"] == body


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{", b"{}", b'{"session_hash": 3}', b'{"session_hash": ""}', b"[" * 10**5]
)
def test_an_event_that_names_no_page_is_refused(sessions, body):
    status, _, said, given = serve(sessions, JOIN, by_cookie(sessions.new()), "POST", body=body)
    assert status in {400, 403}
    assert json.loads(said)["detail"]
    assert not given


@pytest.mark.parametrize(
    ("path", "query"),
    [(DATA, "session_hash=a"), (DATA, "session_hash=mine&session_hash=a"), ("/gradio_api/heartbeat/a", "")],
)
def test_results_go_only_to_the_visitor_whose_page_asked(sessions, path, query):
    one, other = by_cookie(sessions.new()), by_cookie(sessions.new())
    post(sessions, one, session_hash="a", data=[])
    assert serve(sessions, path, one, query=query)[0] == 200
    assert serve(sessions, path, other, query=query)[0] == 403


@pytest.mark.parametrize("path", [DATA, "/gradio_api/call/name/event", "/gradio_api/queue/status"])
def test_what_is_asked_for_without_a_page_is_refused(sessions, path):
    assert serve(sessions, path, by_cookie(sessions.new()))[0] == 403


def test_an_upload_is_served_only_to_who_sent_it(sessions, monkeypatch):
    monkeypatch.setattr(Path, "is_file", lambda path: True)
    one, other = sessions.new(), sessions.new()
    path = UPLOADS / f"{sessions.known(one).folder}-secret" / "a.png"
    assert serve(sessions, f"/gradio_api/file={path}", by_cookie(one))[0] == 200
    for token in (other, "nobody"):
        assert serve(sessions, f"/gradio_api/file={path}", by_cookie(token))[0] in {404, 410}


def test_pages_know_an_alias_of_where_their_uploads_are(sessions, monkeypatch):
    monkeypatch.setattr(Path, "is_file", lambda path: True)
    token = sessions.new()
    name = f"{sessions.known(token).folder}-secret/a.png"
    *_, given = serve(sessions, f"/gradio_api/file=/uploads/{name}", by_cookie(token))
    assert given["path"] == f"/gradio_api/file={UPLOADS / name}"
    *_, given = post(sessions, by_cookie(token), session_hash="a", data=[{"path": f"/uploads/{name}", "text": "é"}])
    event = json.loads(given["body"])
    assert event["data"] == [{"path": str(UPLOADS / name), "text": "é"}]
    assert dict(given["headers"])[b"content-length"] == str(len(given["body"])).encode()


def test_an_upload_that_is_gone_tells_no_path(sessions):
    token = sessions.new()
    path = UPLOADS / f"{sessions.known(token).folder}-secret" / "gone.png"
    status, _, body, given = serve(sessions, f"/gradio_api/file={path}", by_cookie(token))
    assert (status, given) == (404, {})
    assert str(UPLOADS).encode() not in body


@pytest.mark.parametrize("page", ["x" * 65, "a b", "a/../b", "é"])
def test_a_page_has_a_short_plain_name(sessions, page):
    assert post(sessions, by_cookie(sessions.new()), session_hash=page, data=[])[0] == 403


def test_no_other_file_is_served(sessions):
    token = sessions.new()
    own = UPLOADS / f"{sessions.known(token).folder}-secret"
    for path in (UPLOADS, UPLOADS / "tmp1", own / ".." / ".." / "x", "/etc/passwd", "http://a.example", "app.py", ""):
        assert serve(sessions, f"/gradio_api/file={path}", by_cookie(token))[0] == 404


def test_an_event_can_be_about_ones_own_uploads_alone(sessions):
    one, other = sessions.new(), sessions.new()
    mine = {
        "path": str(UPLOADS / f"{sessions.known(one).folder}-secret" / "a.png"),
        "meta": {"_type": "gradio.FileData"},
    }
    for data in ([mine], [[mine]], [{"text": "", "files": [mine]}]):
        assert post(sessions, by_cookie(one), session_hash="a", data=data)[0] == 200
        assert post(sessions, by_cookie(other), session_hash="b", data=data)[0] == 403
    away = [{"path": path} for path in ("http://a.example/b.png", "/etc/passwd", f"{mine['path']}/../../../b")]
    for file in away:
        assert post(sessions, by_cookie(one), session_hash="a", data=[file])[0] == 403


def test_the_progress_of_an_upload_is_told_only_to_who_sends_it(sessions):
    ids = set()
    for token in (sessions.new(), sessions.new()):
        for path, method in (("/gradio_api/upload", "POST"), ("/gradio_api/upload_progress", "GET")):
            *_, given = serve(sessions, path, by_cookie(token), method, query="a=1&upload_id=x7")
            ids.add(given["query_string"])
            assert given["query_string"].endswith(b"x7")
    assert len(ids) == 2


@pytest.mark.parametrize("beside", ["a=b c", '{"x":1}=2', "x@y=1", 'a="b', "a"])
def test_an_odd_cookie_of_another_program_beside_it_hides_nobody(sessions, beside):
    token = sessions.new()
    _, _, _, given = serve(sessions, headers={"cookie": f"{beside}; {COOKIE}={token}"})
    assert given["visitor"] is sessions.known(token)
    _, _, _, given = serve(sessions, headers={"cookie": f"{COOKIE}={token}; {beside}"})
    assert given["visitor"] is sessions.known(token)

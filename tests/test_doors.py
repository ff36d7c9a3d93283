"""Doors: which requests reach the app at all, how much they may bring, and what every response says to browsers."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import ipaddress
import re
import time

import pytest

from personal.settings import load
from personal.ui import doors
from personal.ui.doors import Doors
from personal.ui.policy import PagePolicy

LOCAL = load({})
SHARED = load({"GRADIO_SERVER_NAME": "0.0.0.0"})
SPACE = load({"SPACE_ID": "someone/personal"})


def knock(
    path="/", headers=(), method="GET", settings=LOCAL, body=(b"",), client="127.0.0.1", query=b"", app=None, gap_s=0.0
):
    """One request at the doors; returns its status, headers, words, and what reached the app."""
    sent, reached = [], []

    async def answer(scope, receive, send):
        reached.append(dict(scope))
        if method == "POST":
            reached.append((await receive())["body"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    async def send(message):
        sent.append(message)

    pieces = [{"type": "http.request", "body": piece, "more_body": True} for piece in body]
    pieces[-1]["more_body"] = False

    async def receive():
        await asyncio.sleep(gap_s)
        return pieces.pop(0) if pieces else {"type": "http.disconnect"}

    scope = {"type": "http", "path": path, "method": method, "scheme": "http", "query_string": query}
    scope |= {"client": (client, 5000), "raw_path": path.encode()}
    scope["headers"] = [(k.encode(), v.encode()) for k, v in {"host": "127.0.0.1:7860", **dict(headers)}.items()]
    asyncio.run(Doors(app or answer, settings)(scope, receive, send))
    words = b"".join(message.get("body", b"") for message in sent).decode()
    return sent[0]["status"], {k.decode(): v.decode() for k, v in sent[0]["headers"]}, words, reached


# -- who may ask -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example:7860"},
        {"host": "evil.example"},
        {"host": ""},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "http://[::1"},
        {"origin": "http://127.0.0.1.evil.example"},
        {"origin": "http://127.0.0.1:3000"},
        {"origin": "http://localhost:7860"},
        {"origin": "https://127.0.0.1:7860"},
        {"host": "localhost:7860", "origin": "http://localhost:5173"},
    ],
)
def test_on_loopback_other_sites_and_other_ports_are_turned_away(headers):
    status, _, words, reached = knock(headers=headers)
    assert (status, reached) == (403, [])
    assert "this machine" in words


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost:7860", "localhost", "[::1]:7860"])
def test_on_loopback_its_own_page_is_served(host):
    assert knock(headers={"host": host, "origin": f"http://{host}"})[0] == 200
    assert knock(headers={"host": host})[0] == 200


@pytest.mark.parametrize("settings", [SHARED, SPACE], ids=["shared", "space"])
def test_elsewhere_another_sites_page_is_turned_away_as_well(settings):
    host = {"host": "photos.example"}
    for origin in (
        "https://evil.example",
        "null",
        "https://photos.example:8443",
        "https://photos.example.evil.example",
    ):
        assert knock(headers={**host, "origin": origin}, settings=settings)[0] == 403
    assert knock(headers={**host, "origin": "https://photos.example"}, settings=settings)[0] == 200
    assert knock(headers=host, settings=settings)[0] == 200


def fetched(site, mode="cors", dest="empty"):
    return {"sec-fetch-site": site, "sec-fetch-mode": mode, "sec-fetch-dest": dest}


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_what_another_site_embeds_or_frames_is_turned_away_though_it_names_no_origin(site):
    for path in ("/", "/config", "/theme.css", "/gradio_api/queue/data"):
        for mode, dest in (("no-cors", "image"), ("no-cors", "script"), ("navigate", "iframe"), ("navigate", "object")):
            assert knock(path, fetched(site, mode, dest))[0] == 403, (path, dest)
    assert knock("/personal/export/abc", fetched(site, "navigate", "document"))[0] == 403


def test_a_person_who_follows_a_link_to_the_app_gets_it():
    assert knock("/", fetched("cross-site", "navigate", "document"))[0] == 200
    assert knock("/config", fetched("same-origin"))[0] == 200


def test_only_a_space_may_be_framed():
    framed = fetched("cross-site", "navigate", "iframe")
    assert knock("/", {"host": "someone-personal.hf.space", **framed}, settings=SPACE)[0] == 200
    assert knock("/", framed, settings=SHARED)[0] == 403


# -- proxies -----------------------------------------------------------------------------------------------------------

FORWARDED = [
    {"forwarded": "for=203.0.113.9;host=evil.example"},
    {"x-forwarded-for": "203.0.113.9"},
    {"x-forwarded-host": "evil.example"},
    {"x-forwarded-proto": "https"},
    {"x-forwarded-port": "443"},
    {"x-real-ip": "203.0.113.9"},
]
BEHIND = load({"PERSONAL_TRUSTED_PROXIES": "127.0.0.1, 10.1.0.0/16, ::1"})
MINE = load({"PERSONAL_TRUSTED_PROXIES": "127.0.0.1", "PERSONAL_PROXY_FOR_OWNER": "1"})


@pytest.mark.parametrize("headers", FORWARDED, ids=[next(iter(headers)) for headers in FORWARDED])
def test_a_local_app_behind_a_proxy_that_nobody_named_refuses_in_words(headers):
    status, _, words, reached = knock(headers=headers)
    assert (status, reached) == (403, [])
    assert "PERSONAL_TRUSTED_PROXIES" in words


@pytest.mark.parametrize("settings", [SHARED, BEHIND, MINE, SPACE], ids=["shared", "behind", "mine", "space"])
def test_no_header_of_forwarding_reaches_the_app(settings):
    headers = {key: value for one in FORWARDED for key, value in one.items()} | {
        "x-gradio-server": "http://evil.example"
    }
    status, _, _, (scope,) = knock(headers={"host": "photos.example", **headers}, settings=settings)
    assert status == 200
    assert scope["headers"] == [(b"host", b"photos.example")]


def test_whom_a_trusted_proxy_forwards_is_known_by_their_own_address_and_scheme():
    headers = {
        "host": "photos.example",
        "x-forwarded-for": "198.51.100.7, 203.0.113.9, 10.1.2.3",
        "x-forwarded-proto": "https",
    }
    _, _, _, (scope,) = knock(headers=headers, settings=BEHIND, client="10.1.0.1")
    assert (scope["client"][0], scope["scheme"]) == ("203.0.113.9", "https")


def test_who_claims_to_be_a_proxy_is_not_believed():
    headers = {"host": "photos.example", "x-forwarded-for": "203.0.113.9", "x-forwarded-proto": "https"}
    for settings in (SHARED, BEHIND):
        _, _, _, (scope,) = knock(headers=headers, settings=settings, client="192.0.2.1")
        assert (scope["client"][0], scope["scheme"]) == ("192.0.2.1", "http")


def test_behind_a_proxy_everybody_is_a_guest_unless_the_proxy_lets_only_the_owner_through():
    assert BEHIND.shared
    assert not MINE.shared
    assert load({"GRADIO_SERVER_NAME": "0.0.0.0", "PERSONAL_PROXY_FOR_OWNER": "1"}).shared
    assert BEHIND.trusted_proxies[1] == ipaddress.ip_network("10.1.0.0/16")


def test_who_needs_no_proxy_still_reaches_their_own_app():
    assert knock(settings=MINE)[0] == 200
    assert knock(headers={"host": "evil.example"}, settings=MINE)[0] == 403


# -- what may be asked for ---------------------------------------------------------------------------------------------

SHUT = [
    "GET /pwa_icon",
    "GET /pwa_icon/12000",
    "GET /monitoring",
    "GET /monitoring/summary",
    "GET /monitoring/0123456789",
    "GET /gradio_api/dev/reload",
    "POST /gradio_api/process_recording",
    "POST /gradio_api/component_server",
    "POST /gradio_api/component_server/",
    "GET /gradio_api/deep_link",
    "GET /docs",
    "GET /redoc",
    "GET /openapi.json",
    "GET /gradio_api/openapi.json",
    "GET /manifest.json",
    "POST /gradio_api/run/receive",
    "POST /gradio_api/api/receive",
    "POST /gradio_api/stream/0",
    "GET /gradio_api/proxy=https://example.hf.space/",
    "GET /gradio_api/file=http://169.254.169.254/",
    "GET /gradio_api/file=//server/share",
    "GET /gradio_api/file=/tmp/../etc/passwd",
    "GET /gradio_api/file/etc/passwd",
    "GET /gradio_api/runs",
    "GET /gradio_api/run-history/records",
    "POST /gradio_api/vibe-edit",
    "GET /gradio_api/user",
    "GET /gradio_api/token",
    "GET /gradio_api/queue/status",
    "POST /login",
    "GET /logout",
    "GET /svelte/svelte.js",
    "GET /gradio_api/custom_component/1/client/component/index.js",
    "GET /gradio_api/profiling/traces",
    "GET /assets/../config",
    "GET //",
    f"GET /static/{'a' * 256}",
    f"GET /assets/{'a' * 256}/index.js",
    f"GET /gradio_api/file=/data/{'ä' * 128}",
    "POST /",
    "POST /config",
    "PUT /gradio_api/upload",
    "DELETE /",
    "OPTIONS /gradio_api/upload",
    "TRACE /",
    "GET /wp-login.php",
    "GET /.env",
]


@pytest.mark.parametrize("request_line", SHUT)
def test_what_the_page_does_not_need_is_not_there(request_line):
    method, path = request_line.split(" ", 1)
    status, _, words, reached = knock(path, method=method)
    assert (status, words, reached) == (404, doors.NOTHING, [])


OPEN = [
    "GET /",
    "HEAD /",
    "GET /assets/index-DphvyggB.js",
    "GET /static/js/iframeResizer.contentWindow.min.js",
    "GET /theme.css",
    "GET /favicon.ico",
    "GET /config",
    "GET /gradio_api/info",
    "GET /gradio_api/startup-events",
    "GET /gradio_api/app_id",
    "POST /personal/visit",
    "GET /gradio_api/heartbeat/agwsd4lcq7h",
    "GET /gradio_api/queue/data",
    "GET /gradio_api/upload_progress",
    "GET /gradio_api/file=/data/uploads/1/abc/photo one.jpg",
    "GET /gradio_api/file=C:\\data\\uploads\\1\\abc\\photo.jpg",
    "GET /gradio_api/call/look/0a1b",
    "GET /personal/export/a-b_c",
    "POST /gradio_api/upload",
    "POST /gradio_api/queue/join",
    "POST /gradio_api/cancel",
    "POST /gradio_api/reset",
    "POST /gradio_api/call/look",
    "POST /gradio_api/call/v2/look",
]


@pytest.mark.parametrize("request_line", OPEN)
def test_what_the_page_and_gradios_client_need_is_there(request_line):
    method, path = request_line.split(" ", 1)
    assert knock(path, method=method)[0] == 200


@pytest.mark.parametrize("path", ["/", "/config"])
def test_the_page_is_the_same_whatever_it_is_asked_for(path):
    status, _, _, reached = knock(path, query=b"page=../../x&deep_link=0a1b")
    assert (status, reached[0]["query_string"]) == (200, b"")


def test_an_origin_that_is_no_address_is_turned_away_everywhere():
    for origin in ("http://[::1", "http://", "//", "127.0.0.1:7860", "http://127.0.0.1:7860@evil.example"):
        assert knock(headers={"origin": origin}, settings=SHARED)[0] == 403


def test_no_search_engine_is_let_in():
    status, _, words, reached = knock("/robots.txt")
    assert (status, reached) == (200, [])
    assert words == "User-agent: *\nDisallow: /\n"


def test_a_websocket_is_closed():
    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(Doors(None, LOCAL)({"type": "websocket", "path": "/"}, None, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]


# -- how much may be sent ----------------------------------------------------------------------------------------------

JOIN = "/gradio_api/queue/join"
SMALL = load({"PERSONAL_MAX_REQUEST_BYTES": "65536"})


def test_a_body_reaches_the_app_whole():
    pieces = [b"a" * 30_000, b"b" * 30_000]
    status, _, _, reached = knock(JOIN, method="POST", settings=SMALL, body=pieces)
    assert (status, reached[1]) == (200, b"".join(pieces))


@pytest.mark.parametrize(
    ("headers", "body"),
    [({"content-length": "65537"}, [b""]), ({}, [b"a" * 40_000] * 2), ({"content-length": "9" * 30}, [b""])],
)
def test_a_body_that_is_too_large_is_refused_in_words_before_any_work(headers, body):
    status, _, words, reached = knock(JOIN, headers, "POST", SMALL, body)
    assert (status, reached) == (413, [])
    assert "65,536 bytes are the most" in words


def test_a_body_that_never_ends_is_given_up(monkeypatch):
    monkeypatch.setattr(doors, "BODY_S", 0.1)
    monkeypatch.setattr(doors, "LINGER_S", 0.1)
    began = time.monotonic()
    status, _, words, reached = knock(JOIN, method="POST", body=[b"a"] * 1000, gap_s=0.02)
    assert (status, reached) == (408, [])
    assert "too long" in words
    assert time.monotonic() - began < 5


def test_a_body_that_breaks_off_reaches_nobody():
    async def broken():
        return {"type": "http.disconnect"}

    with pytest.raises(doors.Refused):
        asyncio.run(doors.read_body(broken, {}, 100))


def test_an_endless_address_is_refused():
    assert knock("/", query=b"a" * 5000)[0] == 414


def test_who_opens_too_many_requests_leaves_room_for_others(monkeypatch):
    monkeypatch.setattr(doors, "PER_VISITOR", 5)

    async def scene():
        door = Doors(waiting, SHARED)
        busy = [asyncio.create_task(ask(door, "192.0.2.1")) for _ in range(20)]
        await asyncio.sleep(0.05)
        refused = [task.result() for task in busy if task.done()]
        other = asyncio.create_task(ask(door, "192.0.2.2"))
        await asyncio.sleep(0.05)
        assert not other.done()
        go.set()
        assert (await other) == 200
        assert sorted([await task for task in busy]) == [200] * 5 + [429] * 15
        assert refused == [429] * 15
        assert (await ask(door, "192.0.2.1")) == 200

    async def waiting(scope, receive, send):
        await go.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def ask(door, address):
        sent = []

        async def send(message):
            sent.append(message)

        scope = {"type": "http", "path": "/", "method": "GET", "scheme": "http", "client": (address, 1)}
        await door({**scope, "headers": [(b"host", b"photos.example")]}, None, send)
        return sent[0]["status"]

    go = asyncio.Event()
    asyncio.run(scene())


# -- what responses say to browsers ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("path", "method"), [("/", "GET"), ("/theme.css", "GET"), ("/nowhere", "GET"), (JOIN, "POST")])
def test_every_response_tells_browsers_what_not_to_do(path, method):
    _, headers, _, _ = knock(path, method=method)
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["x-frame-options"] == "SAMEORIGIN"
    assert "frame-ancestors 'self'" in headers["content-security-policy"]
    assert "huggingface" not in headers["content-security-policy"]


def test_a_file_that_somebody_uploaded_cannot_act():
    _, headers, _, _ = knock("/gradio_api/file=/data/uploads/1/abc/page.html")
    assert headers["content-security-policy"].startswith("default-src 'none'; sandbox;")


def test_a_space_is_framed_by_hugging_face_alone():
    _, headers, _, _ = knock(headers={"host": "someone-personal.hf.space"}, settings=SPACE)
    assert (
        "frame-ancestors 'self' https://huggingface.co https://*.huggingface.co" in headers["content-security-policy"]
    )
    assert "x-frame-options" not in headers


def test_gradio_lets_no_other_site_read_an_answer():
    async def generous(scope, receive, send):
        allowed = [
            (b"Access-Control-Allow-Origin", b"https://evil.example"),
            (b"access-control-allow-credentials", b"true"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": allowed})
        await send({"type": "http.response.body", "body": b""})

    _, headers, _, _ = knock(headers={"host": "photos.example"}, settings=SHARED, app=generous)
    assert not [name for name in headers if name.lower().startswith("access-control")]


def test_the_page_begins_with_its_own_script_and_may_run_no_others_than_it_came_with():
    page = b"<head><script>one()</script><script data-x>\n two() \n</script><script src='./a.js'></script></head>"
    sent = []

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(page))]})
        await send({"type": "http.response.body", "body": page[:30], "more_body": True})
        await send({"type": "http.response.body", "body": page[30:]})

    async def send(message):
        sent.append(message)

    policy = PagePolicy(app, space=False, head="<script>three()</script>")
    asyncio.run(policy({"type": "http", "path": "/"}, None, send))
    headers = dict(sent[0]["headers"])
    scripts = next(p for p in headers[b"content-security-policy"].decode().split("; ") if p.startswith("script-src"))
    wanted = [base64.b64encode(hashlib.sha256(s).digest()).decode() for s in (b"three()", b"one()", b"\n two() \n")]
    assert re.findall(r"'sha256-([^']+)'", scripts) == wanted
    assert "unsafe-inline" not in scripts
    body = b"".join(message.get("body", b"") for message in sent)
    assert body == page.replace(b"<head>", b"<head><script>three()</script>")
    assert headers[b"content-length"] == b"%d" % len(body)

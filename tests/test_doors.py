"""Doors: which requests reach the app at all."""

from __future__ import annotations

import asyncio

import pytest

from personal.ui.doors import Doors


def knock(path="/", headers=(), method="GET", shared=False):
    """One request at the doors; returns its status."""
    sent = []

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "path": path, "method": method, "scheme": "http"}
    scope["headers"] = [(k.encode(), v.encode()) for k, v in {"host": "127.0.0.1:7860", **dict(headers)}.items()]
    asyncio.run(Doors(app, shared=shared)(scope, None, send))
    return sent[0]["status"]


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example:7860"},
        {"host": "evil.example"},
        {"host": ""},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "http://127.0.0.1.evil.example"},
        {"origin": "http://127.0.0.1:3000"},
        {"origin": "http://localhost:7860"},
        {"origin": "https://127.0.0.1:7860"},
        {"host": "localhost:7860", "origin": "http://localhost:5173"},
    ],
)
def test_on_loopback_other_sites_and_other_ports_are_turned_away(headers):
    assert knock(headers=headers) == 403


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost:7860", "localhost", "[::1]:7860"])
def test_on_loopback_its_own_page_is_served(host):
    assert knock(headers={"host": host, "origin": f"http://{host}"}) == 200
    assert knock(headers={"host": host}) == 200

"""Connections: request heads without end, or that never come, stop nobody."""

from __future__ import annotations

import contextlib
import socket
import threading
import time

import httpx
import pytest
import uvicorn

from personal.ui import connections


async def answers(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def port(monkeypatch):
    """A web server as Gradio makes one."""
    monkeypatch.setattr(connections, "HEAD_S", 0.5)
    monkeypatch.setattr(connections, "MOST", 10)
    monkeypatch.setattr("uvicorn.config.HTTP_PROTOCOLS", connections.HTTP_PROTOCOLS.copy())
    monkeypatch.setattr(connections, "HTTP_PROTOCOLS", uvicorn.config.HTTP_PROTOCOLS)
    connections.bound()
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(answers, log_level="warning", lifespan="off"))
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield listening.getsockname()[1]
        server.should_exit = True
        thread.join(10)


def ended(connection):
    """Tell whether the other side ends a connection within a minute."""
    connection.settimeout(60)
    with contextlib.suppress(ConnectionError):
        while connection.recv(65536):
            pass
    return True


def ask(port):
    return httpx.get(f"http://127.0.0.1:{port}/", timeout=10, trust_env=False).text


@pytest.mark.parametrize("endless", [b"GET /", b"GET / HTTP/1.1\r\nX: ", b"GET / HTTP/1.1\r\nHost: a\r\n"])
def test_a_request_head_without_end_is_refused_soon(port, endless):
    more = b"x: y\r\n" * 10_000 if endless.endswith(b"\n") else b"a" * 60_000
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(endless)
        sent = 0
        with contextlib.suppress(ConnectionError):
            for _ in range(200):
                sent += connection.send(more)
        assert sent < 10_000_000
    assert ask(port) == "ok"


def test_a_connection_that_sends_no_request_or_drips_one_is_ended(port):
    with socket.create_connection(("127.0.0.1", port)) as silent, socket.create_connection(("127.0.0.1", port)) as slow:
        sent = 0
        with contextlib.suppress(ConnectionError):
            for sign in b"GET / HTTP/1.1\r\nX: " + b"a" * 200:
                sent += slow.send(bytes([sign]))
                time.sleep(0.05)
        assert sent < 200
        assert ended(silent)
    assert ask(port) == "ok"


def test_connections_that_ask_for_nothing_make_way_for_those_that_do(port, monkeypatch):
    monkeypatch.setattr(connections, "HEAD_S", 60)
    with contextlib.ExitStack() as stack:
        crowd = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(15)]
        assert ask(port) == "ok"
        assert ended(crowd[0])

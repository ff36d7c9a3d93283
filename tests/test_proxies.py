"""Proxies: loopback never goes through one, the rest does, and one that cannot be used is named in a sentence."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path
from urllib.request import getproxies

import pytest

from personal import proxies
from personal.errors import ModelError
from personal.generate.remote import RemoteGenerator
from tests.conftest import RED, picture
from tests.test_remote import Server, listen, refusal, refuses, warm  # noqa: F401
from tests.test_shutdown import answers, started

ROOT = Path(__file__).parents[1]
DEAD = "127.0.0.1:9"
FAR = "http://models.example/v1"


@pytest.fixture(autouse=True)
def bare(monkeypatch):
    """No proxy is set, and what a test sets is gone after it."""
    for name in list(os.environ):
        if name.upper().endswith("_PROXY"):
            monkeypatch.delenv(name)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        for spelt in (name, name.lower()):
            monkeypatch.setenv(spelt, "")  # what `prepare` sets is undone with it
            monkeypatch.delenv(spelt)
    monkeypatch.setattr(proxies, "unusable", {})


@pytest.fixture
def server():
    made = Server()
    yield made
    made.shutdown()
    made.server_close()


def hosts(server) -> set[str]:
    return {value for headers in server.headers for name, value in headers.items() if name.lower() == "host"}


class Socks5(socketserver.ThreadingTCPServer):
    """A SOCKS5 proxy (RFC 1928) that leads every address to one place, and keeps which were asked for."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, to):
        super().__init__(("127.0.0.1", 0), Socks5Handler)
        self.to, self.asked = to, []
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()


class Socks5Handler(socketserver.BaseRequestHandler):
    def handle(self):
        _, methods = self.request.recv(2)
        self.request.recv(methods)
        self.request.sendall(b"\x05\x00")
        _, _, _, kind = self.request.recv(4)
        size = {1: 4, 4: 16}.get(kind) or self.request.recv(1)[0]
        self.server.asked.append(self.request.recv(size).decode("ascii", "replace"))
        self.request.recv(2)
        with socket.create_connection(("127.0.0.1", self.server.to)) as there:
            self.request.sendall(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
            ends = {self.request: there, there: self.request}
            while True:
                for one in select.select(list(ends), [], [])[0]:
                    data = one.recv(65536)
                    if not data:
                        return
                    ends[one].sendall(data)


# -- the environment -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"])
@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("http://proxy.example:3128", "http://proxy.example:3128"),
        ("proxy.example:3128", "proxy.example:3128"),
        ("http://bo:fetch@proxy.example:3128", "http://bo:fetch@proxy.example:3128"),
        ("socks5://127.0.0.1:1080", "socks5://127.0.0.1:1080"),
        ("socks5h://127.0.0.1:1080", "socks5h://127.0.0.1:1080"),
        ("socks://127.0.0.1:1080/", "socks5://127.0.0.1:1080/"),
        ("SOCKS://127.0.0.1:1080", "socks5://127.0.0.1:1080"),
    ],
)
def test_a_proxy_that_can_be_used_stays_and_loopback_goes_past_it(monkeypatch, caplog, name, given, used):
    monkeypatch.setenv(name, given)
    proxies.prepare()
    assert os.environ[name] == used
    for url in ("http://127.0.0.1:7860", "http://localhost", "http://[::1]:8000", "https://127.0.0.1"):
        assert proxies.via(url) == proxies.trouble(url) == ""
    for spelt in ("NO_PROXY", "no_proxy"):
        assert set(proxies.LOOPBACK) <= set(os.environ[spelt].split(","))
    import httpx
    import httpx2

    for library in (httpx, httpx2):
        with library.Client() as client:
            for url in ("http://127.0.0.1:7860", "https://localhost", "http://[::1]:8000"):
                assert client._transport_for_url(library.URL(url)) is client._transport
    assert caplog.records == []


def test_what_the_user_keeps_out_of_the_proxy_stays_out(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://{DEAD}")
    monkeypatch.setenv("NO_PROXY", "intern.example, .local,127.0.0.1")
    proxies.prepare("192.168.0.7")
    wanted = "intern.example,.local,127.0.0.1,localhost,::1,192.168.0.7"
    assert os.environ["NO_PROXY"] == os.environ["no_proxy"] == wanted
    proxies.prepare("192.168.0.7")
    assert os.environ["NO_PROXY"] == wanted
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setenv("no_proxy", "*")
    proxies.prepare()
    assert os.environ["NO_PROXY"] == "*"


def test_without_a_proxy_the_environment_is_left_alone():
    before = dict(os.environ)
    proxies.prepare("0.0.0.0")
    assert dict(os.environ) == before


def test_a_proxy_of_the_system_stays_in_use(monkeypatch):
    monkeypatch.setattr(proxies, "getproxies", lambda: {"https": "http://proxy.example:3128", "no": "x"})
    proxies.prepare()
    assert os.environ["HTTPS_PROXY"] == "http://proxy.example:3128"


WRONG = [
    ("socks4://127.0.0.1:1080", "socks4"),
    ("ftp://127.0.0.1:21", "ftp"),
    ("quic://127.0.0.1", "quic"),
    ("http://", "an address"),
    ("http://host:port", "an address"),
    ("http://127.0.0.1:99999", "an address"),
    ("http://two words:80", "an address"),
]


@pytest.mark.parametrize(("value", "why"), WRONG)
@pytest.mark.parametrize("name", ["HTTP_PROXY", "all_proxy"])
def test_a_proxy_that_cannot_be_used_is_named_and_nothing_goes_past_it(monkeypatch, caplog, name, value, why):
    monkeypatch.setenv(name, value)
    proxies.prepare()
    (record,) = caplog.records
    said = record.getMessage()
    assert f"{name}={value}" in said
    assert why in said
    assert "Change it, or unset it." in said
    assert getproxies()[name[:-6].lower()] == proxies.NOWHERE
    assert said.startswith(proxies.trouble(FAR))
    generator = RemoteGenerator(FAR, model="llava", timeout_s=10)
    assert name in refusal(generator)
    assert name in generator.health()


def test_a_socks_proxy_without_its_package_is_named(monkeypatch, caplog):
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1080")
    monkeypatch.setattr(proxies.importlib.util, "find_spec", lambda name: None)
    proxies.prepare()
    assert "pip install socksio" in caplog.text


@pytest.mark.parametrize(
    "value",
    [
        f"http://bo:p@sk-secret@{DEAD}",
        f"bo:sk-secret@{DEAD}",
        f"http://bo:sk-secret/x@{DEAD}",
        f"//bo:sk-secret@{DEAD}",
    ],
)
def test_a_proxys_password_is_not_shown_whatever_signs_it_holds(monkeypatch, caplog, value):
    monkeypatch.setenv("HTTP_PROXY", value)
    proxies.prepare()
    assert "secret" not in caplog.text + proxies.trouble(FAR) + proxies.via(FAR)


def test_a_proxys_password_is_never_shown(monkeypatch, caplog):
    monkeypatch.setenv("ALL_PROXY", "socks4://bo:sk-secret@127.0.0.1:1080")
    proxies.prepare()
    assert "127.0.0.1:1080" in caplog.text
    assert "sk-secret" not in caplog.text + proxies.trouble(FAR)
    monkeypatch.setenv("ALL_PROXY", f"http://bo:sk-secret@{DEAD}")
    said = refusal(RemoteGenerator(FAR, model="llava", timeout_s=10))
    assert "sk-secret" not in said


# -- model servers and hubs ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
@pytest.mark.parametrize("value", [f"http://{DEAD}", f"socks5://{DEAD}", "socks://nowhere.invalid", "socks4://x", "!"])
@pytest.mark.parametrize("prepared", [False, True])
def test_a_model_server_on_this_machine_never_goes_through_a_proxy(server, monkeypatch, name, value, prepared):
    monkeypatch.setenv(name, value)
    if prepared:
        proxies.prepare()
    for host in ("127.0.0.1", "localhost"):
        generator = RemoteGenerator(f"http://{host}:{server.server_port}", timeout_s=10)
        assert "".join(listen(generator)) == "It is <bo>."


def test_a_foreign_model_server_is_asked_through_the_proxy(server, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", server.url)
    proxies.prepare()
    assert "".join(listen(RemoteGenerator(FAR, timeout_s=10))) == "It is <bo>."
    assert hosts(server) == {"models.example"}


@pytest.mark.parametrize("scheme", ["socks", "socks5", "socks5h"])
def test_a_foreign_model_server_is_asked_through_a_socks_proxy(server, monkeypatch, scheme):
    with Socks5(server.server_port) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"{scheme}://127.0.0.1:{proxy.server_address[1]}")
        proxies.prepare()
        assert "".join(listen(RemoteGenerator(FAR, timeout_s=10))) == "It is <bo>."
        assert set(proxy.asked) == {"models.example"}
        proxy.shutdown()


def test_a_proxy_that_does_not_answer_is_named(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", f"http://{DEAD}")
    proxies.prepare()
    said = refusal(RemoteGenerator(FAR, model="llava", timeout_s=10))
    assert f"through the proxy http://{DEAD}" in said


def test_a_model_hub_is_asked_through_the_proxy(server):
    server.models = refuses(404)
    code = (
        "from personal import proxies; proxies.prepare()\n"
        "from personal.generate import hub\n"
        "try: hub.inspect('someone/llava', False)\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    environment = {"HTTP_PROXY": server.url, "HF_ENDPOINT": "http://hub.example"}
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True
    )
    assert said.stdout.startswith("ModelError")
    assert server.headers, said.stderr
    assert hosts(server) == {"hub.example"}


@pytest.mark.parametrize("value", [f"http://{DEAD}", "socks4://127.0.0.1:1080"])
def test_a_proxy_that_keeps_from_a_model_hub_is_named(monkeypatch, value):
    from personal.generate import hub

    monkeypatch.setenv("HTTPS_PROXY", value)
    proxies.prepare()
    with pytest.raises(ModelError) as refused, hub.translate_errors("someone/llava"):
        raise ConnectionError("refused")
    assert value in str(refused.value)


# -- real processes --------------------------------------------------------------------------------------------------

ENVIRONMENTS = {
    "http": {"HTTP_PROXY": f"http://{DEAD}", "https_proxy": f"http://{DEAD}", "ALL_PROXY": f"socks5h://{DEAD}"},
    "socks": {"ALL_PROXY": f"socks://{DEAD}", "all_proxy": f"socks://{DEAD}"},
    "unusable": {"HTTP_PROXY": "socks4://127.0.0.1:1080", "ALL_PROXY": "ftp://127.0.0.1"},
}


@pytest.mark.model
@pytest.mark.parametrize("kind", ENVIRONMENTS)
def test_the_app_starts_whatever_proxies_are_set(tmp_path, monkeypatch, kind):
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    monkeypatch.setattr(urllib.request, "urlopen", direct.open)
    with started(tmp_path, forked=False, **ENVIRONMENTS[kind]) as (app, address, log):
        assert b"Personal" in answers(app, address, log)
        with contextlib.suppress(OSError):
            app.send_signal(signal.SIGTERM)
        assert app.wait(60) == 0
        said = log.read_text()
    assert "Traceback" not in said
    for name, value in ENVIRONMENTS[kind].items():
        assert (f"{name}={value} cannot be used" in said) is (kind == "unusable")


@pytest.mark.model
@pytest.mark.parametrize("kind", ["socks", "unusable"])
def test_ask_works_whatever_proxies_are_set(server, tmp_path, kind):
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(picture(RED).jpeg)
    environment = {**os.environ, **ENVIRONMENTS[kind], "PERSONAL_LLM_URL": f"http://localhost:{server.server_port}"}
    command = [sys.executable, "-m", "personal", "--data-dir", str(tmp_path / "data")]
    done = subprocess.run(
        [*command, "ask", str(photo), "Who is it?", "--json"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["answer"] == "It is <bo>."
    assert "Traceback" not in done.stderr
    environment["PERSONAL_LLM_URL"] = FAR
    done = subprocess.run([*command, "ask", "What is rain?"], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    value = {"socks": f"socks5://{DEAD}", "unusable": "HTTP_PROXY=socks4"}[kind]
    assert value in done.stderr.splitlines()[-1]


def test_an_unusable_proxy_without_being_prepared_is_a_model_error_too(monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "socks4://127.0.0.1:1080")
    with pytest.raises(ModelError, match="ALL_PROXY=socks4"):
        list(RemoteGenerator(FAR, timeout_s=10).load())

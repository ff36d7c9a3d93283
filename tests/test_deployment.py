"""The examples in docs/deployment.md, run by the programs they are for."""

from __future__ import annotations

import re
import shutil
import socket
import ssl
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from personal.ui.doors import FOREIGN
from tests.over_http import Visitor
from tests.test_browser import chromium, served, visit

__all__ = ["chromium"]

ROOT = Path(__file__).parents[1]
EXAMPLES = re.findall(
    r"^```(nginx|caddy)\n(.*?)^```", (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8"), re.DOTALL | re.M
)
SERVER = {kind: next(text for k, text in EXAMPLES if k == kind) for kind in ("nginx", "caddy")}
PASSWORD = {kind: [text for k, text in EXAMPLES if k == kind][1] for kind in ("nginx", "caddy")}
KINDS = [
    pytest.param(kind, marks=pytest.mark.skipif(not shutil.which(kind), reason=f"{kind} is not installed"))
    for kind in ("nginx", "caddy")
]


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")),
        ],
        check=True,
        capture_output=True,
    )
    return folder / "cert.pem", folder / "key.pem"


@contextmanager
def proxied(kind, app, certificate, folder, *, password=False):
    """The documented proxy in front of an app: the names of the example exchanged for those of this test."""
    port, (cert, key), text = free_port(), certificate, SERVER[kind]
    backend = app.removeprefix("http://").rstrip("/")
    assert "127.0.0.1:7860" in text
    text = text.replace("127.0.0.1:7860", backend)
    if kind == "nginx":
        text = text.replace("listen 443 ssl", f"listen 127.0.0.1:{port} ssl").replace(
            "photos.example;", "localhost;", 1
        )
        text = text.replace("/etc/ssl/certs/photos.example.pem", str(cert))
        text = text.replace("/etc/ssl/private/photos.example.key", str(key))
        if password:
            (folder / "htpasswd").write_text("you:{PLAIN}secret\n")
            added = PASSWORD[kind].replace("/etc/nginx/personal.htpasswd", str(folder / "htpasswd"))
            text = text.replace("location / {", "location / {\n" + added)
        temporary = "".join(
            f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        whole = f"pid {folder}/pid; error_log {folder}/log; events {{}} http {{ access_log off; {temporary} {text} }}"
        command = ["nginx", "-c", str(folder / "conf"), "-p", str(folder), "-g", "daemon off; user root;"]
    else:
        added = PASSWORD[kind] if password else ""
        if password:
            hashed = subprocess.run(["caddy", "hash-password", "--plaintext", "secret"], capture_output=True, text=True)
            added = re.sub(r"you \S+", lambda _: f"you {hashed.stdout.strip()}", added)
        text = text.replace("photos.example {", f"https://localhost:{port} {{\ntls {cert} {key}\n{added}")
        whole = "{\nadmin off\nauto_https disable_redirects\n}\n" + text
        command = ["caddy", "run", "--config", str(folder / "conf"), "--adapter", "caddyfile"]
    (folder / "conf").write_text(whole)
    with (folder / "out").open("w") as out:
        environment = {"HOME": str(folder), "PATH": "/usr/sbin:/usr/bin:/bin"}
        proxy = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
        try:
            deadline = time.monotonic() + 60
            while True:
                assert proxy.poll() is None, (folder / "out").read_text()
                assert time.monotonic() < deadline, (folder / "out").read_text()
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    time.sleep(0.1)
            yield f"https://localhost:{port}/"
        finally:
            proxy.terminate()
            proxy.wait(20)


def any_certificate():
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    with served(tmp_path_factory.mktemp("guests") / "data", PERSONAL_TRUSTED_PROXIES="127.0.0.1") as address:
        yield address


@pytest.fixture(scope="module")
def app_alone(tmp_path_factory):
    with served(tmp_path_factory.mktemp("alone") / "data") as address:
        yield address


@pytest.fixture(scope="module")
def app_of_owner(tmp_path_factory):
    settings = {"PERSONAL_TRUSTED_PROXIES": "127.0.0.1", "PERSONAL_PROXY_FOR_OWNER": "1"}
    with served(tmp_path_factory.mktemp("owner") / "data", **settings) as address:
        yield address


@pytest.mark.parametrize("kind", KINDS)
def test_behind_the_documented_proxy_everything_works_for_guests(kind, app, certificate, tmp_path):
    with proxied(kind, app, certificate, tmp_path) as address, Visitor(address, verify=any_certificate()) as visitor:
        cookie = visitor.first.headers["set-cookie"]
        assert "Secure" in cookie
        assert "HttpOnly" in cookie
        assert visitor.config["root"] == address.rstrip("/")
        assert visitor.run(visitor.fn(None, "load"))["data"]
        (path,) = visitor.upload(("photo.jpg", b"\xff" * 3_000_000))
        assert path.endswith("photo.jpg")
        refused = visitor.http.post("/gradio_api/cancel", headers={"origin": "https://evil.example"}, json={})
        assert (refused.status_code, refused.text) == (403, FOREIGN)
        assert visitor.http.post("/gradio_api/cancel", headers={"origin": address.rstrip("/")}, json={}).text != FOREIGN
        forged = {"x-forwarded-host": "evil.example", "x-forwarded-proto": "http", "x-forwarded-for": "127.0.0.1"}
        answer = visitor.http.get("/config", headers={**forged, "forwarded": "host=evil.example"})
        assert answer.status_code == 200
        assert "evil.example" not in answer.text
        assert answer.json()["root"] == address.rstrip("/")


@pytest.mark.browser
@pytest.mark.parametrize("kind", KINDS)
def test_behind_the_documented_proxy_the_page_works_in_a_browser(kind, app, certificate, tmp_path, chromium):
    with proxied(kind, app, certificate, tmp_path) as address:
        context = chromium.new_context(ignore_https_errors=True)
        page = visit(context, address)
        assert "guest" in page.locator("#banner").inner_text()
        context.close()


@pytest.mark.parametrize("kind", KINDS)
def test_an_app_that_was_told_of_no_proxy_refuses_in_words_through_it(kind, app_alone, certificate, tmp_path):
    with proxied(kind, app_alone, certificate, tmp_path) as address:
        answer = httpx.get(address, verify=any_certificate(), trust_env=False)
        assert answer.status_code == 403
        assert "PERSONAL_TRUSTED_PROXIES" in answer.text
        assert httpx.get(app_alone, trust_env=False).status_code == 200


@pytest.mark.parametrize("kind", KINDS)
def test_a_proxy_with_a_password_lets_the_owner_in_and_nobody_else(kind, app_of_owner, certificate, tmp_path):
    with proxied(kind, app_of_owner, certificate, tmp_path, password=True) as address:
        assert httpx.get(address, verify=any_certificate(), trust_env=False).status_code == 401
        with Visitor(address, verify=any_certificate(), auth=("you", "secret")) as visitor:
            assert visitor.run(visitor.fn(None, "load"))["data"]

"""Start and end of the app's own process: settings that make no sense, and being told to end at any moment."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests import apps
from tests.test_browser import chromium, tab, visit  # noqa: F401

ROOT = Path(__file__).parents[1]
AT_MOST_S = 10
pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM to catch")


@contextmanager
def started(folder, *, forked=True, **environment):
    """The app in a process of its own, forked or from nothing; yields it, its address and where it logs."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {"PERSONAL_DATA_DIR": str(folder / "data"), "GRADIO_SERVER_PORT": str(port), **environment}
    log = folder / "app.log"
    with log.open("w") as out:
        app = (
            apps.App(log, environment)
            if forked
            else subprocess.Popen(
                [sys.executable, str(ROOT / "app.py")],
                cwd=folder,
                env={**os.environ, **environment},
                stdout=out,
                stderr=out,
            )
        )
        try:
            yield app, f"http://127.0.0.1:{port}/", log
        finally:
            app.kill()
            app.wait()


def answers(app, address, log):
    while True:
        assert app.poll() is None, log.read_text()
        with suppress(OSError):
            return urllib.request.urlopen(address, timeout=30).read()
        time.sleep(0.05)


def end(app, log, number):
    """Tell the app to end; it must do so in time, with 0 and without a traceback."""
    began = time.monotonic()
    app.send_signal(number)
    code = app.wait(60)
    took = time.monotonic() - began
    assert (code, "Traceback" in log.read_text()) == (0, False), log.read_text()
    assert took < AT_MOST_S, f"it took {took:.1f} s"


@pytest.mark.model
@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_the_app_ends_when_told_to_while_its_model_is_loading(tmp_path, name):
    with started(tmp_path, forked=name != "SIGTERM") as (app, address, log):
        answers(app, address, log)
        end(app, log, getattr(signal, name))


@pytest.mark.browser
def test_a_guest_with_the_page_open_is_erased_when_the_app_is_told_to_end(chromium, tmp_path):  # noqa: F811
    with started(tmp_path, GRADIO_SERVER_NAME="0.0.0.0") as (app, address, log):
        answers(app, address, log)
        page = visit(chromium.new_context(), address)
        tab(page, "Concepts")
        page.get_by_role("button", name="Try it with samples").locator("visible=true").click()
        page.locator("#cards .card").nth(2).wait_for(timeout=120_000)
        data = tmp_path / "data"
        (data / "uploads" / str(app.pid) / "half").mkdir(parents=True, exist_ok=True)
        (data / "uploads" / str(app.pid) / "half" / "a photo.jpg").write_bytes(b"what a browser was sending")
        assert list((data / "owners").glob("visitor-*/concepts/*/views/*.jpg"))
        end(app, log, signal.SIGTERM)
        assert list((data / "owners").iterdir()) == []
        assert not list(data.rglob("*.jpg"))
        assert not list((data / "uploads").glob("*"))


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PERSONAL_TOP_K", "plenty"),
        ("GRADIO_SERVER_PORT", "a door"),
        ("GRADIO_SERVER_NAME", "no such host"),
        ("GRADIO_NUM_PORTS", "abc"),
        ("PERSONAL_DATA_DIR", __file__),
        ("PERSONAL_CACHE_DIR", __file__),
    ],
)
def test_a_bad_setting_is_said_in_one_line_at_once(tmp_path, variable, value):
    with started(tmp_path, **{variable: value}) as (app, _, log):
        assert app.wait(120) == 1
        said = log.read_text().strip()
    assert variable in said
    assert len(said.splitlines()) == 1, said


def test_a_port_that_is_taken_is_said_in_one_line(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        with started(tmp_path, GRADIO_SERVER_PORT=port) as (app, _, log):
            assert app.wait(120) == 1
            said = log.read_text().strip()
    assert "GRADIO_SERVER_PORT" in said
    assert port in said
    assert len(said.splitlines()) == 1, said


def test_an_empty_port_means_the_default(tmp_path):
    with started(tmp_path, GRADIO_SERVER_PORT=" ", PERSONAL_ENCODER="not/there", HF_HUB_OFFLINE="1") as (app, _, log):
        while "Personal is at" not in log.read_text():
            assert app.poll() is None, log.read_text()
            time.sleep(0.1)
        while "not/there" not in log.read_text():  # why it did not start is in the log, not on the page alone
            assert app.poll() is None, log.read_text()
            time.sleep(0.1)
        assert "Traceback" not in log.read_text()

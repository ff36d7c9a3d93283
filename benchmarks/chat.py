"""Time what a person waits for in the chat, in a real browser: `python -m benchmarks.chat [--repeats 5]` → JSON.

With a server of the fastest fake answers in the model's place: a photo dropped until its names are drawn, a question
until the first words of its answer, Stop until the answer has ended, the bytes that a question sends to the page beside
photos, and the page loaded anew with a conversation of 50 turns. With the built-in model: the first example of a first
visit until it is answered. Medians in seconds, and the most of each; wanted are the figures of `WANTED`.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from benchmarks.__main__ import ROOT, fresh
from personal.ui.samples import read_samples
from tests.chromium import ADVICE, find

WANTED = {
    "names_s": 1.0,
    "words_s": 0.5,
    "stopping_s": 0.2,
    "stopped_s": 1.0,
    "question_bytes": 300_000,
    "reload_50_turns_s": 1.5,
    "example_s": 3.0,
}
WORDS = ("A", "dog", "sits", "on", "a", "red", "blanket", "beside", "a", "mug", "in", "the", "sun", ".")
FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
TOKEN_S = 0.02
"""Seconds between two words of the fake model."""
TURNS = 50
READY_S = 120
AFTER = """([selector, act]) => new Promise((done) => {
  const seen = () => [...document.querySelectorAll(selector)].find((e) => e.checkVisibility() && e.textContent.trim());
  const before = seen();
  let began = 0;
  const watcher = new MutationObserver(() => {
    const now = seen();
    if (!began || !now || now === before) return;
    watcher.disconnect();
    requestAnimationFrame(() => done((performance.now() - began) / 1000));
  });
  watcher.observe(document.body, { childList: true, subtree: true, characterData: true, attributes: true });
  began = performance.now();
  new Function(act)();
})"""
"""Runs `act` and returns how long it took until something of `selector` that was not there is drawn, seconds."""
SEND = 'document.querySelector("#ask .submit-button").click()'


class FakeModel(ThreadingHTTPServer):
    """A server of OpenAI's chat completions that answers at once, word by word."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        body = json.dumps({"data": [{"id": "fake"}]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        long = "long" in json.dumps(asked["messages"][-1])
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            for word in WORDS * (20 if long else 1):
                self._event({"choices": [{"index": 0, "delta": {"content": f"{word} "}, "finish_reason": None}]})
                time.sleep(TOKEN_S)
            self._event({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
            self.wfile.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
        except OSError:
            self.close_connection = True  # it was stopped

    def _event(self, value: dict[str, Any]) -> None:
        data = b"data: " + json.dumps(value).encode() + b"\n\n"
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))


@contextmanager
def served(**environment: str) -> Iterator[str]:
    """Start the app with an empty library and return its address, once its model is there."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        knobs = {"GRADIO_SERVER_PORT": str(port), "PERSONAL_DATA_DIR": folder, **environment}
        app = subprocess.Popen(
            [sys.executable, "app.py"],
            cwd=ROOT,
            env={**os.environ, **knobs},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            deadline = time.monotonic() + READY_S
            while time.monotonic() < deadline:
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).read()
                    break
                except OSError:
                    time.sleep(0.2)
            yield f"http://127.0.0.1:{port}/"
        finally:
            app.kill()
            app.wait()


def opened(browser: Any, address: str) -> Any:
    """Open the page in a browser of its own, and return it once it can be used."""
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.set_default_timeout(1000 * READY_S)
    page.goto(address)
    page.locator("#main #ask textarea").wait_for()
    return page


def after(page: Any, selector: str, act: str) -> float:
    """Return how long it takes from `act`, JavaScript, until `selector` shows something new, seconds."""
    return float(page.evaluate(AFTER, [selector, act]))


def dropped(page: Any, number: int) -> float:
    """Drop a photo that was never seen; return how long it takes until its names are drawn, seconds."""
    data = base64.b64encode(fresh(read_samples().photos[0], number).jpeg).decode()
    act = (
        f"const bytes = Uint8Array.from(atob('{data}'), (sign) => sign.charCodeAt(0));"
        f"const transfer = new DataTransfer(); transfer.items.add(new File([bytes], '{number}.jpg', "
        "{ type: 'image/jpeg' }));"
        "const input = document.querySelector('#ask input[type=file]'); input.files = transfer.files;"
        "input.dispatchEvent(new Event('change', { bubbles: true }));"
    )
    return after(page, "#drafts figcaption [data-concept]", act)


def asked(page: Any, question: str) -> float:
    """Ask; return how long it takes until the first words of the answer are drawn, seconds."""
    page.locator("#ask textarea").fill(question)
    return after(page, "#live .words", SEND)


def over(page: Any) -> None:
    """Wait until no answer is being written."""
    page.locator("#ask .submit-button").wait_for()
    page.wait_for_function("() => !document.querySelector('#live .said')")


class Bytes:
    """What a page receives, but for photos, counted as it travels."""

    def __init__(self, page: Any) -> None:
        self.count = 0
        self._photos: set[str] = set()
        wire = page.context.new_cdp_session(page)
        wire.send("Network.enable")
        wire.on("Network.requestWillBeSent", self._sent)
        wire.on("Network.dataReceived", self._received)

    def _sent(self, event: dict[str, Any]) -> None:
        if "/personal/picture/" in event["request"]["url"]:
            self._photos.add(event["requestId"])

    def _received(self, event: dict[str, Any]) -> None:
        if event["requestId"] not in self._photos:
            self.count += event["encodedDataLength"] or event["dataLength"]


def with_fake_model(browser: Any, repeats: int) -> dict[str, list[float]]:
    """Measure what does not depend on a model."""
    said: dict[str, list[float]] = {name: [] for name in WANTED if name != "example_s"}
    with served(PERSONAL_LLM_URL=FakeModel().url) as address:
        page = opened(browser, address)
        page.locator("#log [data-act=samples]").click()
        page.locator("#drafts figcaption [data-concept]").first.wait_for()
        page.locator("#drafts .cross").click()
        received = Bytes(page)
        for number in range(1, repeats + 2):
            names_s = dropped(page, number)
            received.count = 0
            words_s = asked(page, "What is happening here?")
            over(page)
            if number > 1:  # the first of all opens what the others find open
                said["names_s"].append(names_s)
                said["words_s"].append(words_s)
                said["question_bytes"].append(received.count)
        for _ in range(repeats):
            asked(page, "Tell me a long story.")
            page.locator("#ask .stop-button").wait_for()
            page.evaluate("window.stopped = performance.now()")
            said["stopping_s"].append(after(page, "#stopping", 'document.querySelector("#ask .stop-button").click()'))
            over(page)
            said["stopped_s"].append(page.evaluate("(performance.now() - window.stopped) / 1000"))
            page.wait_for_timeout(500)  # as somebody who types would
        for _ in range(TURNS - page.locator("#log .said.you").count()):
            before = page.locator("#log .said.it").count()
            page.get_by_role("button", name="Who is here?").click()
            page.wait_for_function("n => document.querySelectorAll('#log .said.it').length > n", arg=before)
        for _ in range(repeats):
            page.reload()
            page.wait_for_function("n => document.querySelectorAll('#log .said.it').length >= n", arg=TURNS)
            said["reload_50_turns_s"].append(page.evaluate("performance.now() / 1000"))
    return said


def first_example(browser: Any) -> float:
    """Return how long the first example of a first visit takes to its answer, seconds."""
    with served() as address:
        page = opened(browser, address)
        page.locator("#log .example img[src]").first.wait_for()
        page.wait_for_timeout(4000)  # as long as it takes to read what stands there
        return after(page, "#log .said.it .words", 'document.querySelector("#log .example").click()')


def main() -> None:
    """Measure, and print."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    path = find()
    if not path:
        sys.exit(ADVICE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        said = with_fake_model(browser, options.repeats)
        said["example_s"] = [first_example(browser) for _ in range(max(1, options.repeats // 2))]
        browser.close()
    report = {
        name: {"median": round(statistics.median(values), 3), "most": round(max(values), 3), "wanted": WANTED[name]}
        for name, values in said.items()
    }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()

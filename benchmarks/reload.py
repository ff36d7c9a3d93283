"""A long conversation, reloaded: `python -m benchmarks.reload [--turns 50] [--reloads 7]` → JSON.

A data folder is filled with one conversation of that many turns, each with a photo of its own and an answer, and with
others beside it in the list. The app serves it to a real browser, the page is loaded anew, and the time is taken until
all turns and all photos in sight are drawn. Bytes are those of the page's requests.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, Request, sync_playwright

from benchmarks.__main__ import fresh
from personal.compose import LOCAL
from personal.concepts import Answer, Concept, Look, Match, Photo, PhotoFindings, Statement, Turn
from personal.conversations import Conversation, Entry
from personal.remember.library import Library
from personal.ui.samples import read_samples
from tests.chromium import find

ROOT = Path(__file__).parents[1]
OTHERS = 100
"""Conversations beside the long one."""
DRAWN = """turns => {
  const log = document.querySelector('#log');
  if (!log || log.querySelectorAll('.said.it').length < turns) return false;
  const inSight = (image) => {
    const { top, bottom } = image.getBoundingClientRect();
    return bottom > 0 && top < innerHeight;
  };
  const images = [...log.querySelectorAll('img')].filter(inSight);
  return images.length > 0 && images.every((image) => image.src && image.complete && image.naturalWidth);
}"""
"""Whether all turns are there and every photo in sight is drawn."""


def turn(photo: Photo, concept: Concept, number: int) -> tuple[Entry, PhotoFindings]:
    """Return a question with its photo and an answer, and what was found in the photo."""
    match = Match(concept, "seen", 0.9, (0.1, 0.1, 0.6, 0.9), concept.avatar, photo.sha256, 0.97)
    found = PhotoFindings(photo, (match,))
    statement = Statement(f"<{concept.name}> is in this photo.", "recognition", (concept,))
    answer = Answer(
        f"In photo {number} <{concept.name}> sits in the sun and looks at the camera. " * 3,
        Look((found,), (), 0.2, statement),
        "a model",
        60,
        0.4,
        2.0,
    )
    return Entry(Turn(f"What happens in photo {number}?", (photo,), answer=answer.text), answer), found


def fill(folder: Path, turns: int) -> None:
    """Write the conversations."""
    samples = read_samples()
    with Library(folder) as library:
        sample = samples.concepts[0]
        concept = library.add(LOCAL, sample.name, sample.photos, sample.category, sample.info)
        store = library.conversations(LOCAL)
        for number in range(OTHERS):
            store.save(Conversation(entries=[turn(fresh(samples.photos[1], number % 9 + 1), concept, number)[0]]))
        talk = Conversation(name="A long one")
        for number in range(turns):
            photo = fresh(samples.photos[number % len(samples.photos)], number + 1)
            entry, found = turn(photo, concept, number)
            talk.entries.append(entry)
            talk.findings[photo.sha256] = found
        talk.active = talk.photos[-1].sha256
        store.save(talk)


def timed(page: Page, turns: int) -> float:
    """Load the page anew, and return the seconds until the conversation is drawn."""
    began = time.perf_counter()
    page.reload(wait_until="commit")
    page.wait_for_function(DRAWN, arg=turns, polling="raf", timeout=120_000)
    return time.perf_counter() - began


def serve(folder: Path, port: int) -> subprocess.Popen[bytes]:
    """Start the app as `make run` does."""
    environment = {**os.environ, "GRADIO_SERVER_PORT": str(port), "PERSONAL_DATA_DIR": str(folder)}
    quiet = subprocess.DEVNULL
    return subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=quiet, stderr=quiet)


def measure(address: str, turns: int, reloads: int) -> dict[str, object]:
    """Open the conversation in a browser, and reload it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find(), args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        while True:
            try:
                page.goto(address)
                break
            except Exception:  # noqa: BLE001 - not served yet
                time.sleep(0.3)
        page.locator("#chats li", has_text="A long one").locator("button").first.click(timeout=300_000)
        page.wait_for_function(DRAWN, arg=turns, timeout=120_000)
        first, *others = [timed(page, turns) for _ in range(reloads)]
        requests: list[Request] = []
        page.on("requestfinished", lambda request: requests.append(request))
        timed(page, turns)
        received = sum(request.sizes()["responseBodySize"] for request in list(requests))
        browser.close()
    return {
        "turns": turns,
        "reload_s": round(statistics.median(others), 2),
        "slowest_s": round(max(others), 2),
        "first_reload_s": round(first, 2),
        "kilobytes": round(received / 1000),
    }


def main() -> None:
    """Fill, serve, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=50)
    parser.add_argument("--reloads", type=int, default=7)
    options = parser.parse_args()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder), options.turns)
        app = serve(Path(folder), port)
        try:
            report = measure(f"http://127.0.0.1:{port}/", options.turns, options.reloads)
        finally:
            app.kill()
            app.wait()
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}"
    print(json.dumps({"machine": machine, **report}, indent=2))


if __name__ == "__main__":
    main()

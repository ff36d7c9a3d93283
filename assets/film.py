"""Draw the README's pictures anew, on the drawn samples: `python assets/film.py` → screenshot.png and story.webp.

Starts the app with the sample concepts and the built-in model, and does in a browser what a person would: a photo, its
names, a question, the answer, a name confirmed, a name completed after "@". Needs what the tests need.
"""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ASSETS = Path(__file__).parent
ROOT = ASSETS.parent
sys.path.insert(0, str(ROOT))

from PIL import Image  # noqa: E402

from personal.ui.samples import FOLDER, read_samples  # noqa: E402
from tests.chromium import find  # noqa: E402

SIZE = (1280, 800)
SHOWN = (960, 600)
"""Size of the film, pixels."""
QUALITY = 82
LARGEST = 2_000_000
"""Bytes that the film may have."""
FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run"]
POINTER = """([x, y]) => {
  const ring = document.querySelector("#pointer") ?? document.body.appendChild(document.createElement("div"));
  ring.id = "pointer";
  ring.style.cssText = `position: fixed; left: ${x - 13}px; top: ${y - 13}px; width: 26px; height: 26px; z-index: 999;
    border-radius: 50%; border: 3px solid #b04a22; background: #b04a2244; pointer-events: none;`;
}"""
"""Shows where a click goes: a film has no mouse."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Start the app over a data folder, and return its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    knobs = {"GRADIO_SERVER_PORT": str(port), "PERSONAL_DATA_DIR": str(folder)}
    app = subprocess.Popen(
        [sys.executable, "app.py"], cwd=ROOT, env={**os.environ, **knobs}, stdout=subprocess.DEVNULL, stderr=None
    )
    try:
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).read()
                break
            except OSError:
                time.sleep(0.3)
        yield f"http://127.0.0.1:{port}/"
    finally:
        app.kill()
        app.wait()


def remember_samples(folder: Path) -> None:
    """Register the sample concepts from the shell, as anybody can."""
    for sample in read_samples().concepts:
        files = sorted(FOLDER.glob(f"{sample.name}-*.jpg"))
        words = ["--category", sample.category, "--info", sample.info]
        subprocess.run(
            [sys.executable, "-m", "personal", "--data-dir", str(folder), "add", sample.name, *map(str, files), *words],
            cwd=ROOT,
            check=True,
            stdout=subprocess.DEVNULL,
        )


class Film:
    """The frames of a page, each with how long it stands, milliseconds."""

    def __init__(self, page) -> None:
        self.page = page
        self.frames: list[Image.Image] = []
        self.durations: list[int] = []

    def take(self, duration: int) -> None:
        """Take a frame."""
        image = Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")
        self.frames.append(image.resize(SHOWN, Image.Resampling.LANCZOS))
        self.durations.append(duration)

    def click(self, selector: str) -> None:
        """Click something, with a frame that shows where."""
        found = self.page.locator(selector).first
        area = found.bounding_box()
        self.page.evaluate(POINTER, [area["x"] + area["width"] / 2, area["y"] + area["height"] / 2])
        self.take(500)
        found.click()
        self.page.evaluate("document.querySelector('#pointer').remove()")
        self.page.mouse.move(2, 2)

    def type(self, words: str) -> None:
        """Type into the field, a frame every few letters."""
        box = self.page.locator("#ask textarea")
        for start in range(0, len(words), 4):
            box.press_sequentially(words[start : start + 4])
            self.take(110)

    def save(self, path: Path) -> None:
        """Write the film; it runs for ever."""
        first, *others = self.frames
        first.save(
            path, save_all=True, append_images=others, duration=self.durations, loop=0, quality=QUALITY, method=6
        )
        assert path.stat().st_size < LARGEST, path.stat().st_size


def answered(page, count: int) -> None:
    """Wait until so many answers stand there whole, with their photos."""
    page.wait_for_function(
        "n => document.querySelectorAll('#log .said.it').length >= n && !document.querySelector('#live .said')",
        arg=count,
    )
    page.wait_for_timeout(1500)


def story(page) -> Film:
    """Play the story, and return its film."""
    film = Film(page)
    page.locator("#log .empty").wait_for()
    film.take(1200)
    page.locator("#ask input[type=file]").first.set_input_files(str(FOLDER / "picnic.jpg"))
    page.locator("#drafts figcaption [data-concept]").first.wait_for()
    page.locator("#panel .box").first.wait_for()
    page.wait_for_timeout(1500)
    film.take(2000)
    page.locator("#ask textarea").click()
    film.type("Who is at the picnic?")
    film.click("#ask .submit-button")
    answered(page, 1)
    film.take(2600)
    film.click("#log .names .yes")
    page.locator("#toast .toast").wait_for()
    page.wait_for_timeout(800)
    film.take(2200)
    page.locator("#ask textarea").click()
    film.type("When does @b")
    page.locator("#mentions img[src]").wait_for()
    page.wait_for_timeout(800)
    film.take(1200)
    page.locator("#ask textarea").press("Enter")
    film.type("nap?")
    page.locator("#toast .toast").wait_for(state="hidden")
    page.locator("#ask textarea").press("Enter")
    answered(page, 2)
    film.take(3200)
    return film


def main() -> None:
    """Play the story and save its pictures."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        remember_samples(Path(folder))
        browser = playwright.chromium.launch(executable_path=find(), args=FLAGS)
        with served(Path(folder)) as address:
            page = browser.new_context(viewport={"width": SIZE[0], "height": SIZE[1]}).new_page()
            page.set_default_timeout(120_000)
            page.goto(address)
            page.locator("#main #ask textarea").wait_for()
            story(page).save(ASSETS / "story.webp")
            page.set_viewport_size({"width": 1440, "height": 1060})
            page.evaluate("scrollTo(0, 0)")
            page.wait_for_timeout(1500)
            page.screenshot(path=ASSETS / "screenshot.png")
        browser.close()


if __name__ == "__main__":
    main()

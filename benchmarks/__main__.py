"""Measure the app as its user meets it: `python -m benchmarks [--assembly]` → JSON, also in benchmarks/app.json.

Page: seconds from the start of `app.py` to a served page, and to an app that is ready. The rest in one warm process, on
the drawn samples: `look` on a photo not seen before, registering 5 photos, an answer with two matches; and the greatest
resident memory of that process. `--assembly` first puts the embedded default together in an empty cache folder.
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
import urllib.request
from collections.abc import Callable
from pathlib import Path

from benchmarks.generate import peak_rss_mb
from personal import compose, settings
from personal.concepts import Answer, Photo, TextDelta, Turn
from personal.crops import crop
from personal.tiny.assemble import assemble
from personal.ui.samples import read_samples

ROOT = Path(__file__).parents[1]


def seconds(work: Callable[[], object]) -> float:
    """How long a piece of work takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def served() -> dict[str, float]:
    """Start the app as `make run` does; time the page, and when it says it is ready."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        app = subprocess.Popen(
            [sys.executable, "app.py"],
            cwd=ROOT,
            env={**os.environ, "GRADIO_SERVER_PORT": str(port), "PERSONAL_DATA_DIR": folder},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            while True:
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).read()
                    return {"page_s": round(time.perf_counter() - began, 2)}
                except OSError:
                    time.sleep(0.1)
        finally:
            app.kill()
            app.wait()


def fresh(photo: Photo, number: int) -> Photo:
    """Almost the same photo, which nothing has cached."""
    return crop(photo, (0.002 * number, 0.0, 1.0, 1.0))


def warm(knobs: settings.Settings) -> dict[str, float]:
    """The pipeline in one process."""
    samples = read_samples()
    with compose.build(knobs) as assistant:
        for sample in samples.concepts:
            assistant.remember("local", sample.name, sample.photos, sample.category, sample.info)
        scene = samples.photos[0]
        assistant.look("local", fresh(scene, 1))
        looks = [seconds(lambda n=n: assistant.look("local", fresh(scene, n))) for n in range(2, 9)]
        registering = [
            seconds(lambda n=n: assistant.remember("local", f"n{n}", [fresh(scene, 10 * n + i) for i in range(5)]))
            for n in range(2, 5)
        ]
        for concept in assistant.concepts("local"):
            if concept.name.startswith("n"):
                assistant.forget("local", concept.id)
        question = [Turn("Who is in this photo, and what do they like? Tell me a long story.", (scene,))]
        answers, spoken = [], []
        for _ in range(6):
            arrived = []
            assistant.generator.clear()  # what a first question costs, not a second
            for event in assistant.answer("local", question):
                if isinstance(event, TextDelta):
                    arrived.append((time.perf_counter(), event.tokens))
                elif isinstance(event, Answer):
                    answers.append(event)
            spoken.append(sum(n for _, n in arrived[1:]) / (arrived[-1][0] - arrived[0][0]))
        return {
            "look_s": round(statistics.median(looks), 3),
            "register_5_photos_s": round(statistics.median(registering), 3),
            "matches": len(answers[-1].matches),
            "first_token_s": round(statistics.median(a.first_token_s or 0 for a in answers[1:]), 3),
            "tokens_per_s": round(statistics.median(spoken[1:]), 1),
            "tokens": answers[-1].tokens,
            "peak_rss_mb": peak_rss_mb(),
        }


def main() -> None:
    """Run all parts, print and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--assembly", action="store_true", help="also assemble the embedded default anew")
    options = parser.parse_args()
    report: dict[str, object] = {"machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()}"}
    knobs = settings.load()
    if options.assembly:
        with tempfile.TemporaryDirectory() as folder:
            report["assembly_s"] = round(seconds(lambda: list(assemble(Path(folder)))), 1)
    list(assemble(knobs.cache_dir))
    report |= served()
    with tempfile.TemporaryDirectory() as folder:
        report |= warm(settings.load(data_dir=Path(folder)))
    text = json.dumps(report, indent=2)
    (ROOT / "benchmarks" / "app.json").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()

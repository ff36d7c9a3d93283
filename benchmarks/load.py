"""Load the app with visitors that add, look, ask, edit and forget, and check all that it answers.

    python -m benchmarks.load --minutes 5                      # a fast fake model behind PERSONAL_LLM_URL
    python -m benchmarks.load --minutes 5 --model personal-tiny
    python -m benchmarks.load --minutes 1 --hog 24             # visitor 0 also asks 24 questions at once
    python -m benchmarks.load --minutes 5 --users 10           # the first 10 of the visitors have signed in

The app is a process of its own, as `make run` starts it, bound so that every visitor is a guest unless they sign in;
the visitors speak to it as the page does (`benchmarks.page`). Names, infos and questions carry their visitor's secret
and every picture is unlike all others: a secret or a picture that reaches another visitor is a leak. A write that was
confirmed must be in the cards and, at the end, in the export. Prints a table, and JSON as the last line (also to --json
FILE).

`look_s`: from the start of an upload to the boxes on the screen; `wait_s`: from a question to its first words;
`fairness`: greatest / least mean `wait_s` of a visitor, the hog aside; `slope_mb_min`: that of resident memory
after the warm-up.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import json
import os
import random
import re
import secrets
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
from PIL import Image

from benchmarks.page import EventFailed, Page
from personal.remember.users import Users
from personal.ui.samples import read_samples

ROOT = Path(__file__).parents[1]
FAKE, TINY = "fake", "personal-tiny"
SECRET = re.compile(r"v\d\dx[0-9a-f]{10}")
PICTURE = re.compile(r'data-picture=\\?"([0-9a-f]{64})')
CHAT = re.compile(r"""data-chat=['"]([^'"]+)['"][^>]*aria-current""")
CARD = re.compile(r"""data-concept='([^']+)'.*?<b dir="auto">([^<]+)</b>""")
CONCEPTS = 4
"""Concepts that a visitor has at most."""
EXCHANGES = 6
"""Questions and photos of a conversation before a visitor starts another and deletes the old one."""
SAMPLE_EVERY_S = 1.0
ECHO = "I was asked: "
QUESTION = "What colour is the wall"
"""A question that only a model can answer."""


@dataclass
class Tally:
    """What was seen by all visitors together."""

    responses: int = 0
    leaks: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    server_errors: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    looks: list[float] = field(default_factory=list)
    waits: dict[int, list[float]] = field(default_factory=dict)
    answers: int = 0
    writes: int = 0
    pictures: dict[str, int] = field(default_factory=dict)
    shipped: set[str] = field(default_factory=lambda: {photo.sha256 for photo in read_samples().photos})
    secrets: set[str] = field(default_factory=set)


class Visitor:
    """One browser with a page open, who does a random thing after another."""

    def __init__(self, number: int, address: str, tally: Tally, think_s: float, user: str = "") -> None:
        self.user = user
        self.number, self.tally, self.think_s = number, tally, think_s
        self.secret = f"v{number:02d}x{secrets.token_hex(5)}"
        tally.secrets.add(self.secret)
        self.client = httpx.AsyncClient(base_url=address, timeout=300, trust_env=False)
        self.random = random.Random(number)
        self.pixels = np.random.default_rng(number)
        self.kept: dict[str, str] = {}
        self.asked = self.made = self.exchanges = 0

    # -- checks ------------------------------------------------------------------------------------------------------

    def check(self, status: int, text: str) -> None:
        """Look through a response for what is another visitor's."""
        self.tally.responses += 1
        if status >= 500:
            self.tally.server_errors.append(f"{status}: {text[:200]}")
        others = self.tally.secrets - {self.secret}  # a small model may garble a secret into one that nobody has
        for secret in others.intersection(SECRET.findall(text)):
            self.tally.leaks.append(f"visitor {self.number} was sent the words of {secret}")
        for picture in set(PICTURE.findall(text)) - self.tally.shipped:
            owner = self.tally.pictures.setdefault(picture, self.number)
            if owner != self.number:
                self.tally.leaks.append(f"visitor {self.number} was sent a picture of visitor {owner}")

    def said(self, words: str, *, lost: str) -> None:
        """Count a write that the page confirms with `words`, as they stand in the toast; else it failed."""
        toast = self.page.read("toast")
        if words in toast:
            self.tally.writes += 1
        else:
            notice = self.page.read("concepts-notice")
            raise EventFailed(f"{lost}: {re.sub('<[^>]*>', '', toast or notice)[:200]}")

    # -- what a visitor does -----------------------------------------------------------------------------------------

    def picture(self) -> bytes:
        """Draw a photo unlike all others: the visitor's own pattern at a random place before a random backdrop."""
        back = self.pixels.integers(0, 256, (24, 32, 3), dtype=np.uint8)
        image = Image.fromarray(back).resize((1024, 768), Image.Resampling.BICUBIC)
        own = np.random.default_rng(1000 + self.number).integers(0, 256, (6, 6, 3), dtype=np.uint8)
        place = self.random.randrange(600), self.random.randrange(340)
        image.paste(Image.fromarray(own).resize((400, 400), Image.Resampling.NEAREST), place)
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=90)
        return stream.getvalue()

    async def sign_in(self) -> None:
        """Sign in if the visitor is a user, whose password is their name."""
        if self.user:
            answer = await self.client.post("/personal/sign-in", data={"name": self.user, "password": self.user})
            if answer.status_code != 303:
                raise EventFailed(f"not signed in: {answer.status_code}")

    async def arrive(self) -> None:
        self.page = Page(self.client, self.check)
        await self.page.open()

    async def reload(self) -> None:
        """Load the page anew: everything is still there."""
        await self.page.close()
        await self.arrive()
        await self.see_concepts()

    async def look(self) -> None:
        """Drop a photo into the chat, and wait for what is recognised."""
        await self.fresh()
        began, data = time.perf_counter(), self.picture()
        upload = await self.page.upload("photo.jpg", data)
        await self.page.fire("dropped", "change", [upload])
        self.tally.looks.append(time.perf_counter() - began)
        if "data-stage" not in self.page.read("panel"):
            raise EventFailed(f"a photo was not shown: {self.page.read('notice')[:200]}")
        await self.see_pictures()

    async def see_pictures(self) -> None:
        """Fetch the photo in the panel, and one of another visitor, who alone may see it."""
        for picture in PICTURE.findall(self.page.read("panel"))[:1]:
            response = await self.client.get(f"/personal/picture/{picture}?side=900")
            if response.status_code != 200:
                self.tally.lost.append(f"the photo {picture[:8]} of visitor {self.number}: {response.status_code}")
            self.check(response.status_code, "")
        others = [picture for picture, owner in self.tally.pictures.items() if owner != self.number]
        if others:
            response = await self.client.get(f"/personal/picture/{self.random.choice(others)}?side=900")
            if response.status_code != 404:
                self.tally.leaks.append(f"visitor {self.number} fetched a picture of another: {response.status_code}")
            self.check(response.status_code, "")

    async def ask(self) -> None:
        """Ask about the photo, wait for the answer, and see that it is to this question."""
        await self.fresh()
        self.asked += 1
        question, began, first = f"{QUESTION} {self.secret}q{self.asked}", time.perf_counter(), 0.0

        def update() -> None:
            nonlocal first
            if not first and "said it live" in self.page.read("live"):
                first = time.perf_counter() - began

        await self.page.fire("ask", "submit", {"text": question, "files": []}, on_update=update)
        notice = re.sub("<[^>]*>", "", self.page.read("notice"))
        if notice:
            self.tally.refused.append(notice)
            return
        self.tally.waits.setdefault(self.number, []).append(first or time.perf_counter() - began)
        log = self.page.read("log")
        if question not in log:
            self.tally.lost.append(f"the question {question} is not in the conversation")
        if ECHO in log and f"{ECHO}{question}" not in log:
            self.tally.lost.append(f"the answer to {question} is another's")
        if "said it failed" in log.rsplit("<article", 1)[-1]:
            raise EventFailed(f"an answer failed: {re.sub('<[^>]*>', '', log)[-300:]}")
        self.tally.answers += 1

    async def fresh(self) -> None:
        """Delete a conversation that has become long, and begin another."""
        self.exchanges += 1
        if self.exchanges > EXCHANGES:
            self.exchanges = 0
            shown = CHAT.search(self.page.read("chats"))
            if shown:
                await self.page.fire("chats", "select", event_data={"act": "delete", "chat": shown[1]})

    async def add(self) -> None:
        """Remember a concept with two photos."""
        if len(self.kept) >= CONCEPTS:
            await self.forget()
            return
        self.made += 1
        name, info = f"{self.secret}n{self.made}", f"info of {self.secret}, {secrets.token_hex(4)}"
        await self.page.fire("new", "click")
        files = [await self.page.upload(f"{i}.jpg", self.picture()) for i in range(2)]
        await self.page.fire("files", "upload", files)
        await self.page.fire("create", "click", name, None, info, "", False)
        self.said("Added", lost=f"{name} was not remembered")
        self.kept[name] = info

    async def edit(self) -> None:
        """Change what is to be known of a concept."""
        if not self.kept:
            return await self.add()
        name, info = await self.open(), f"changed info of {self.secret}, {secrets.token_hex(4)}"
        await self.page.fire("keep", "click", name, None, info, "", False)
        self.said("is saved", lost=f"{name} was not saved")
        self.kept[name] = info

    async def forget(self) -> None:
        if not self.kept:
            return await self.add()
        name = await self.open()
        await self.page.fire("forget", "click")
        self.said(f"Deleted {name}", lost=f"{name} was not forgotten")
        del self.kept[name]

    async def open(self) -> str:
        """Open the card of one of the concepts and return its name."""
        await self.see_concepts()
        name = self.random.choice(list(self.kept))
        cards = {n: concept for concept, n in CARD.findall(self.cards)}
        await self.page.fire("cards", "select", event_data={"act": "open", "concept": cards[name]})
        return name

    async def see_concepts(self) -> None:
        """Go to the Concepts tab: its cards are the concepts that were confirmed."""
        tab = next(c["id"] for c in self.page.config["components"] if c["props"].get("id") == "concepts")
        self.page._ids.setdefault("tab concepts", tab)
        await self.page.fire("tab concepts", "select", event_data={})
        self.cards = self.page.read("cards")
        shown = set(re.findall(r'<b dir="auto">([^<]+)</b>', self.cards))
        if shown != set(self.kept):
            self.tally.lost.append(f"visitor {self.number} has {sorted(shown)} and not {sorted(self.kept)}")
            self.kept = {name: self.kept.get(name, "") for name in shown}

    async def export(self) -> None:
        """Fetch everything as a zip: it holds what was confirmed last."""
        await self.see_concepts()
        if not self.kept:
            return
        await self.page.fire("export", "click")
        response = await self.client.get(f"/{self.page.read('download')}")
        archive = zipfile.ZipFile(io.BytesIO(response.content))
        texts = [archive.read(name).decode() for name in archive.namelist() if name.endswith("concept.json")]
        self.check(response.status_code, "".join(texts))
        found = {record["name"]: record["info"] for record in map(json.loads, texts)}
        if found != self.kept:
            self.tally.lost.append(f"the export of visitor {self.number} holds {found} and not {self.kept}")

    async def flood(self, questions: int) -> None:
        """Ask many questions at once, each in a conversation of its own."""
        asking = []
        for _ in range(questions):
            await self.page.fire("new-chat", "click")
            await self.look()
            asking.append(asyncio.create_task(self.ask()))
            await asyncio.sleep(0.1)
        await asyncio.gather(*asking, return_exceptions=True)

    async def stay(self, until: float) -> None:
        """Do one thing after another until the time is over."""
        acts = [self.look, self.ask, self.add, self.edit, self.forget, self.reload]
        while time.monotonic() < until:
            (act,) = self.random.choices(acts, [8, 6, 3, 2, 1, 1])
            try:
                await act()
            except (EventFailed, httpx.HTTPError, KeyError, TimeoutError) as error:
                self.tally.failures.append(f"visitor {self.number}, {act.__name__}: {error!r}"[:400])
            await asyncio.sleep(self.random.expovariate(1 / self.think_s))


# -- the app, and a fast fake model -----------------------------------------------------------------------------------


class FakeModel(BaseHTTPRequestHandler):
    """Speak OpenAI's chat completions: repeat the question, then 40 words, 20 ms apart; none while `go` is cleared."""

    go = threading.Event()
    go.set()

    def do_GET(self) -> None:
        self._send("application/json", json.dumps({"object": "list", "data": [{"id": "fake"}]}).encode())

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))["messages"][-1]["content"]
        text = asked if isinstance(asked, str) else " ".join(part.get("text", "") for part in asked)
        question = re.findall(rf"{QUESTION} v\S+", text)
        words = [ECHO, *(question[-1:] or ["nothing"]), ".", *[" word"] * 40]
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.end_headers()
        with contextlib.suppress(OSError):
            for word in words:
                self.go.wait()
                delta = {"choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}]}
                self.wfile.write(f"data: {json.dumps(delta)}\n\n".encode())
                time.sleep(0.02)
            end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
            self.wfile.write(f"data: {json.dumps(end)}\n\ndata: [DONE]\n\n".encode())

    def _send(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def served(options: argparse.Namespace, folder: Path) -> Iterator[tuple[str, int]]:
    """Start the app, and the fake model where it is asked for; yield its address and process id."""
    with socket.socket() as free:
        free.bind((options.host, 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "PERSONAL_DATA_DIR": str(folder / "data"),
        "GRADIO_SERVER_NAME": options.host,
        "GRADIO_SERVER_PORT": str(port),
        "PERSONAL_LLM_URL": "",
        "PERSONAL_MODEL": TINY,
    }
    fake = None
    if options.model == FAKE:
        fake = ThreadingHTTPServer(("127.0.0.1", 0), FakeModel)
        fake.daemon_threads = True
        threading.Thread(target=fake.serve_forever, daemon=True).start()
        environment["PERSONAL_LLM_URL"] = f"http://127.0.0.1:{fake.server_address[1]}/v1"
    elif options.model != TINY:
        environment["PERSONAL_MODEL"] = options.model
    log = options.log or folder / "app.log"
    with log.open("w") as out:
        app = subprocess.Popen([sys.executable, "app.py"], cwd=ROOT, env=environment, stdout=out, stderr=out)
        try:
            _reach(f"http://{options.host}:{port}", app)
            yield f"http://{options.host}:{port}", app.pid
        finally:
            app.send_signal(signal.SIGINT)
            try:
                app.wait(20)
            except subprocess.TimeoutExpired:
                app.kill()
            if fake:
                fake.shutdown()
    if "Traceback" in (text := log.read_text(errors="replace")):
        print("The app's log holds a traceback:", text[text.index("Traceback") :][:2000], file=sys.stderr)


@dataclass
class Memory:
    """Resident memory of the app, in MB, and its threads, once a second."""

    process: psutil.Process
    samples: list[tuple[float, float, int]] = field(default_factory=list)

    async def watch(self) -> None:
        while self.process.is_running():
            with contextlib.suppress(psutil.Error):
                sample = (time.monotonic(), self.process.memory_info().rss / 2**20, self.process.num_threads())
                self.samples.append(sample)
            await asyncio.sleep(SAMPLE_EVERY_S)

    def report(self, since: float) -> dict[str, float]:
        """Fit a line to the memory from `since` on."""
        seconds, mb, threads = (np.array(column) for column in zip(*self.samples, strict=True))
        late = seconds >= since
        slope = np.polyfit(seconds[late], mb[late], 1)[0] * 60 if late.sum() > 2 else float("nan")
        names = {"start": mb[0], "warm": mb[late][0], "end": mb[-1], "most": mb.max(), "slope_mb_min": slope}
        return {**{name: round(float(value), 1) for name, value in names.items()}, "threads": int(threads.max())}


async def run(options: argparse.Namespace) -> dict[str, Any]:
    """Let the visitors loose on the app and return the report."""
    tally = Tally()
    with tempfile.TemporaryDirectory() as name, served(options, Path(name)) as (address, pid):
        names = [f"user number {i}" if i < options.users else "" for i in range(options.visitors)]
        for user in filter(None, names):
            Users(Path(name) / "data").add(user, user)
        visitors = [Visitor(i, address, tally, options.think, user) for i, user in enumerate(names)]
        memory = Memory(psutil.Process(pid))
        await asyncio.gather(*(visitor.sign_in() for visitor in visitors))
        await asyncio.gather(*(visitor.arrive() for visitor in visitors))
        watching = asyncio.create_task(memory.watch())
        began = time.monotonic()
        until = began + 60 * options.minutes
        work = [visitor.stay(until) for visitor in visitors]
        if options.hog:
            work.append(visitors[0].flood(options.hog))
        await asyncio.gather(*work)
        seconds = time.monotonic() - began
        await asyncio.gather(*(visitor.export() for visitor in visitors))
        watching.cancel()
        for visitor in visitors:
            await visitor.page.close()
            await visitor.client.aclose()
    return report(options, tally, memory.report(began + options.warmup * 60 * options.minutes), seconds)


def _reach(address: str, app: subprocess.Popen[bytes]) -> None:
    """Wait until the app serves its page."""
    while app.poll() is None:
        try:
            httpx.get(address, trust_env=False)
            return
        except httpx.HTTPError:
            time.sleep(0.2)
    raise RuntimeError("the app did not start; see its log (--log FILE)")


def report(options: argparse.Namespace, tally: Tally, memory: dict[str, float], seconds: float) -> dict[str, Any]:
    """Sum up what was seen."""
    means = {number: statistics.mean(waits) for number, waits in tally.waits.items() if waits}
    others = [mean for number, mean in means.items() if not (options.hog and number == 0)]
    return {
        "model": options.model,
        "visitors": options.visitors,
        "users": options.users,
        "seconds": round(seconds, 1),
        "responses": tally.responses,
        "leaks": len(tally.leaks),
        "lost": len(tally.lost),
        "server_errors": len(tally.server_errors),
        "failures": len(tally.failures),
        "refused": len(tally.refused),
        "writes": tally.writes,
        "answers": tally.answers,
        "look_s": _spread(tally.looks),
        "wait_s": _spread([wait for waits in tally.waits.values() for wait in waits]),
        "fairness": round(max(others) / min(others), 2) if others else None,
        "hog_wait_s": round(means[0], 2) if options.hog and 0 in means else None,
        "memory_mb": memory,
        "examples": {
            kind: list(dict.fromkeys(getattr(tally, kind)))[:5]
            for kind in ("leaks", "lost", "server_errors", "failures", "refused")
        },
    }


def _spread(seconds: list[float]) -> dict[str, float]:
    if not seconds:
        return {"n": 0}
    p50, p95 = np.quantile(seconds, [0.5, 0.95])
    return {"n": len(seconds), "p50": round(p50, 2), "p95": round(p95, 2), "max": round(max(seconds), 2)}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--visitors", type=int, default=20)
    parser.add_argument("--users", type=int, default=0, help="how many of the visitors sign in")
    parser.add_argument("--model", default=FAKE, help=f"{FAKE}, {TINY}, or what PERSONAL_MODEL takes")
    parser.add_argument("--think", type=float, default=4.0, help="mean seconds between two things that a visitor does")
    parser.add_argument("--hog", type=int, default=0, help="questions that visitor 0 asks at once besides")
    parser.add_argument("--warmup", type=float, default=0.4, help="part of the time after which memory must be flat")
    parser.add_argument("--host", default="127.0.0.2", help="not 127.0.0.1: there everybody is the same owner")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--log", type=Path, help="where the app's log goes")
    options = parser.parse_args()
    found = asyncio.run(run(options))
    for name, value in found.items():
        if name != "examples":
            print(
                f"{name:>14}  {', '.join(f'{k} {v}' for k, v in value.items()) if isinstance(value, dict) else value}"
            )
    for kind, examples in found["examples"].items():
        for example in examples:
            print(f"{kind:>14}: {example}")
    print(json.dumps(found))
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

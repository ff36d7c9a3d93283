"""A whole user study with scripted participants: nothing lost by kills, planted effects found, none claimed of none.

    python -m benchmarks.studies                       # 60 participants over HTTP, the app killed 3 times
    python -m benchmarks.studies --participants 20 --at-once 20 --minutes 5 --kills 0
    python -m benchmarks.studies --repeat 20           # the analysis alone: 20 studies with effects, 20 without any

The app is a process of its own with a fast fake model behind PERSONAL_LLM_URL. A participant's questions carry their
secret, and the model repeats them: a secret that reaches another is a leak. What the app confirmed must be in the
records at the end. Prints JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

from benchmarks.load import QUESTION, FakeModel
from personal.study.compare import compare_planned
from personal.study.folder import FOLDER
from personal.study.loading import read_study
from personal.study.order import williams
from personal.study.personas import Persona, Truth, read_truth
from personal.study.plan import Step
from personal.study.rehearsal import samples
from personal.study.report import write_report
from personal.study.simulate import in_memory, take_part
from personal.study.store import FILE, StudyStore
from personal.study.tables import collect
from personal.study.visitor import Http, connect
from personal.study.votes import strengths

ROOT = Path(__file__).parents[1]
STUDY = """\
title: Three ways to answer
participants: 60
consent: {text: A study without people.}
conditions:
  - {id: full}
  - {id: names_only, retrieval: false}
  - {id: without, memory: false}
concepts: {kind: samples}
tasks:
  - {id: talk, instructions: Ask., photos: ["sample:picnic.jpg"], minimum_turns: 2}
  - id: which
    type: ab
    instructions: Compare.
    photos: ["sample:beach.jpg"]
    conditions: [full, without]
    minimum_turns: 2
questionnaires:
  - {id: sus, scale: sus}
  - {id: load, scale: tlx}
  - {id: last, scale: preference}
after_condition: [sus, load]
final: [last]
log: {text: text}
retention: 2099-12-31
analysis:
  planned:
    - {measure: sus.score, conditions: [full, without]}
    - {measure: load.score, conditions: [full, without]}
    - {measure: sus.score, conditions: [names_only, without]}
"""
EFFECTS = ("sus.score:full=12", "load.score:full=-10", "wins:full=1")
"""What is planted: the third planned comparison has no effect."""


@dataclass
class Seen:
    """What the app confirmed to all participants, and what it should not have sent."""

    turns: Counter[str] = field(default_factory=Counter)
    votes: Counter[str] = field(default_factory=Counter)
    leaks: list[str] = field(default_factory=list)
    echoes: int = 0
    finished: int = 0


class Checked(Http):
    """A participant over HTTP who counts what was confirmed and looks for words of others."""

    def __init__(self, seen: Seen, *given: Any) -> None:
        super().__init__(*given)
        self._seen = seen
        self._secret = f"v{self.id}"

    def ask(self, step: Step, question: str) -> int:
        turn = super().ask(step, f"{QUESTION} {self._secret}")
        told = set(re.findall(r"v[0-9a-f]{16}", json.dumps(self.answered)))
        self._seen.leaks += sorted(told - {self._secret})
        self._seen.echoes += self._secret in told
        self._seen.turns[self.id] += 1
        return turn

    def vote(self, step: Step, turn: int, choice: str, reason: str) -> None:
        super().vote(step, turn, choice, reason)
        self._seen.votes[self.id] += 1


class App:
    """The app as a process that can be killed and started again at the same address."""

    def __init__(self, folder: Path, model: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self._log = folder / "app.log"
        self._environment = {**os.environ, "PERSONAL_DATA_DIR": str(folder / "data"), "GRADIO_SERVER_PORT": str(port)}
        self._environment |= {"PERSONAL_LLM_URL": model, "GRADIO_SERVER_NAME": "127.0.0.1"}
        self.start()

    def start(self) -> None:
        with self._log.open("a") as out:
            self._process = subprocess.Popen(
                [sys.executable, "app.py"], cwd=ROOT, env=self._environment, stdout=out, stderr=out
            )

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(30)

    def tracebacks(self) -> int:
        return self._log.read_text(errors="replace").count("Traceback")


@contextlib.contextmanager
def fake_model() -> Iterator[str]:
    """Serve a model that repeats questions; yield its address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), FakeModel)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()


def over_http(options: argparse.Namespace) -> dict[str, Any]:
    """Let participants take part in the served app, kill it in between, and compare what is recorded."""
    with tempfile.TemporaryDirectory() as name, fake_model() as model:
        folder = Path(name) / "data" / FOLDER / "bench"
        folder.mkdir(parents=True)
        (folder / FILE).write_text(STUDY, encoding="utf-8")
        StudyStore(folder).change("running")
        app = App(Path(name), model)
        began = time.monotonic()
        try:
            seen = _all_take_part(options, app, folder)
        finally:
            app.stop()
        found = _compared(options, folder, seen)
        write_report(StudyStore(folder, read_only=True), Path(name) / "report")
        return {**found, "seconds": round(time.monotonic() - began), "tracebacks": app.tracebacks()}


def _all_take_part(options: argparse.Namespace, app: App, folder: Path) -> Seen:
    study = read_study(folder / FILE)
    truth, seen, shipped = read_truth(study, EFFECTS), Seen(), samples()
    counting, over = threading.Lock(), threading.Event()
    until = time.monotonic() + 60 * options.minutes

    def one(number: int) -> None:
        again = 0
        while True:
            identifier = f"bench-{number}-{again}"
            with connect(app.url) as client:
                way = Checked(seen, client, folder, identifier, shipped)
                take_part(way, Persona(study, truth, identifier))
            with counting:
                seen.finished += 1
            again += 1
            if time.monotonic() > until:
                return

    def interrupt() -> None:
        for kill in range(1, options.kills + 1):
            while seen.finished < options.participants * kill / (options.kills + 1) and not over.is_set():
                time.sleep(0.1)
            app.kill()
            app.start()

    killing = threading.Thread(target=interrupt)
    killing.start()
    with ThreadPoolExecutor(options.at_once) as pool:
        list(pool.map(one, range(options.participants)))
    over.set()
    killing.join()
    return seen


def _compared(options: argparse.Namespace, folder: Path, seen: Seen) -> dict[str, Any]:
    """Return whether all that was confirmed is recorded, the orders are balanced and the effects found."""
    store = StudyStore(folder, read_only=True)
    people = store.participants()
    recorded = {
        event: Counter({one.id: sum(record["event"] == event for record in one.records) for one in people})
        for event in ("turn", "vote")
    }
    lost = {"turns": seen.turns - recorded["turn"], "votes": seen.votes - recorded["vote"]}
    orders = Counter(one.order for one in people)
    data = collect(store.study, people)
    return {
        "participants": len(people),
        "finished": sum(one.status == "finished" for one in people),
        "kills": options.kills,
        "leaks": len(seen.leaks),
        "echoes": seen.echoes,
        "confirmed": {"turns": seen.turns.total(), "votes": seen.votes.total()},
        "lost": {name: counts.total() for name, counts in lost.items()},
        "orders": {"different": len(orders), "possible": len(williams(3)), "counts": sorted(orders.values())},
        "planned": [_told(one) for one in compare_planned(store.study, data.long)],
        "strengths": {
            one.condition: [round(v, 2) for v in (one.strength, one.low, one.high)] for one in strengths(data.votes)
        },
    }


def _told(one: Any) -> dict[str, Any]:
    interval = [round(one.difference_low, 2), round(one.difference_high, 2)]
    told = {"measure": one.measure, "pair": [one.first, one.second], "difference": round(one.difference, 2)}
    return {**told, "interval": interval, "corrected_p": round(one.corrected, 4), "claimed": one.claimed}


def repeated(options: argparse.Namespace) -> dict[str, Any]:
    """Count in how many studies effects are within their intervals and found, and how often one is claimed of none."""
    with tempfile.TemporaryDirectory() as name:
        study = read_study(Path(name) / FILE, text=STUDY)
    truth = read_truth(study, EFFECTS)
    within: Counter[str] = Counter()
    found: Counter[str] = Counter()
    false = Counter({"studies": 0, "comparisons": 0})
    for run in range(options.repeat):
        data = collect(study, in_memory(study, truth, options.participants, f"effects/{run}"))
        for one in compare_planned(study, data.long, intervals=False):
            name = f"{one.measure}: {one.first} - {one.second}"
            planted = truth.of(one.measure, one.first) - truth.of(one.measure, one.second)
            within[name] += one.difference_low <= planted <= one.difference_high
            found[name] += one.claimed
        strong = {one.condition: one for one in strengths(data.votes)}["full"]
        within["wins: full"] += strong.low <= truth.of("wins", "full") / 2 <= strong.high
        nothing = collect(study, in_memory(study, Truth(), options.participants, f"nothing/{run}"))
        claims = [one.claimed for one in compare_planned(study, nothing.long, intervals=False)]
        false["studies"] += any(claims)
        false["comparisons"] += sum(claims)
    return {
        "repetitions": options.repeat,
        "participants": options.participants,
        "within": within,
        "claimed": found,
        "false": false,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--participants", type=int, default=60)
    parser.add_argument("--at-once", type=int, default=6)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=0, help="take part again and again for so long")
    parser.add_argument("--repeat", type=int, default=0, help="studies of the analysis alone")
    options = parser.parse_args()
    print(json.dumps(repeated(options) if options.repeat else over_http(options), indent=2))


if __name__ == "__main__":
    main()

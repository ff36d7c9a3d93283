"""A scripted participant over HTTP: the calls of the app that runs a study, repeated while the app is away."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from personal.errors import PersonalError
from personal.study.log import parse
from personal.study.plan import Step, steps
from personal.study.simulate import Call
from personal.study.store import StudyStore

AGAIN_S, PATIENCE_S = 0.2, 300.0
"""Pause before a call is repeated, and how long an app that is away is waited for, seconds."""
ANSWER_S = 900.0
"""How long an answer is waited for, seconds."""


def connect(url: str) -> httpx.Client:
    """Return what speaks to the app at an address."""
    return httpx.Client(base_url=url, trust_env=False, timeout=httpx.Timeout(10, read=ANSWER_S))


@dataclass(frozen=True)
class Samples:
    """Photos that participants over HTTP bring along, as files' names and bytes."""

    views: Sequence[tuple[str, Sequence[bytes]]]
    scenes: Sequence[bytes]


class Http:
    """Takes part in a study of the app that `client` speaks to, as whoever has the identifier.

    `answered` are the last answers by side.

    The app does not tell which condition answers; a scripted participant needs to know, to feel what is planted. It
    reads that from the study's `folder` on the same machine.
    """

    def __init__(self, client: httpx.Client, folder: Path, identifier: str, samples: Samples) -> None:
        self._store_id = folder.name
        self._folder = folder
        self._samples = samples
        store = StudyStore(folder, read_only=True)
        self._study = store.study
        self.id = store.recorder.hashed(f"participant/{identifier}")
        self.answered: dict[str, Any] = {}
        self._query = {store.study.parameters.participant: identifier}
        self._client = client
        self._state: dict[str, Any] = {}
        self._steps: Mapping[str, Step] = {}

    def order(self) -> Sequence[str]:
        path = self._folder / "participants" / f"{self.id}.jsonl"
        records = parse(path.read_bytes()) if path.is_file() else []
        return tuple(records[0]["order"]) if records else ()

    def step(self) -> tuple[str, Step]:
        self._state = self._call("GET", "state")
        order = self.order() or [one.id for one in self._study.conditions]
        by_id = {step.id: step for step in steps(self._study, order, self.id)}
        return str(self._state["status"]), by_id[self._state["step"]["id"]]

    def enter(self) -> None:
        """Asking for the state has said so."""

    def consent(self) -> None:
        self._call("POST", "consent", {})

    def submit(self, step: Step, responses: Call) -> None:
        self._call("POST", "submit", {"step": step.id, "responses": dict(responses)})

    def done(self, step: Step) -> None:
        self._call("POST", "done", {"step": step.id})

    def ask(self, step: Step, question: str) -> int:
        if self._state["step"].get("own_photos"):
            form = {"step": step.id, "question": question}
            photo = self._samples.scenes[len(question) % len(self._samples.scenes)]
            found = self._call("POST", "ask", form, [("photo", ("photo.jpg", photo, "image/jpeg"))])
        else:
            found = self._call("POST", "ask", {"step": step.id, "question": question, "photo": 0})
        self.answered = found["answers"]
        return int(found["turn"])

    def vote(self, step: Step, turn: int, choice: str, reason: str) -> None:
        self._call("POST", "vote", {"step": step.id, "turn": turn, "choice": choice, "reason": reason})

    def rate(self, step: Step, responses: Call) -> None:
        self._call("POST", "rate", {"step": step.id, "responses": dict(responses)})

    def add_concept(self, step: Step, number: int) -> None:
        name, views = self._samples.views[number % len(self._samples.views)]
        files = [("photos", (f"{place}.jpg", view, "image/jpeg")) for place, view in enumerate(views)]
        form = {"step": step.id, "name": f"{name} {number + 1}", "category": "", "info": ""}
        try:
            self._call("POST", "concept", form, files)
        except PersonalError as error:
            if "already exists" not in str(error):  # the app was ended before it could say that it has it
                raise

    def wait(self, seconds: float) -> None:
        """Real time passes by itself; tasks with a minimum are waited for."""
        if self._state.get("step", {}).get("seconds_left") and seconds > 0:
            time.sleep(min(seconds, self._state["step"]["seconds_left"]))

    def _call(self, method: str, name: str, given: Call | None = None, files: Any = None) -> dict[str, Any]:
        """Call the app, again and again while it is away. Raises PersonalError with what the app says."""
        address = f"/study/{self._store_id}/api/{name}"
        sent: dict[str, Any] = (
            {"data": given, "files": files} if files else {"json": given} if given is not None else {}
        )
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                answer = self._client.request(method, address, params=self._query, **sent)
                if answer.status_code < 500:
                    break
            except httpx.TransportError:
                if time.monotonic() > until:
                    raise PersonalError(f"Nobody answers at {self._client.base_url}.") from None
            if time.monotonic() > until:
                raise PersonalError(f"{address} failed: {answer.text[:200]}")
            time.sleep(AGAIN_S)
        found: dict[str, Any] = answer.json()
        if answer.status_code >= 400:
            raise PersonalError(str(found.get("error", answer.text)))
        return found

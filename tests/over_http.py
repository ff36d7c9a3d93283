"""A visitor without a browser: cookie, uploads and the page's events over plain HTTP."""

from __future__ import annotations

import json
import secrets

import httpx


class Visitor:
    """One browser's worth of requests to a served app."""

    def __init__(self, address: str, **client) -> None:
        self.http = httpx.Client(base_url=address, timeout=120, trust_env=False, **client)
        self.page = secrets.token_hex(5)
        self.first = self.http.get("/")
        self.first.raise_for_status()
        self.config = self.http.get("/config").json()

    def __enter__(self) -> Visitor:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def fn(self, elem_id: str | None, event: str) -> int:
        """The number of the event's first handler, of a component by its elem_id, or of the whole page."""
        ids = {c["props"].get("elem_id"): c["id"] for c in self.config["components"]}
        wanted = [ids[elem_id] if elem_id else None, event]
        for dependency in self.config["dependencies"]:
            for target, kind in dependency["targets"]:
                if kind == event and (elem_id is None or target == wanted[0]):
                    return int(dependency["id"])
        raise LookupError((elem_id, event))

    def upload(self, *files: tuple[str, bytes]) -> list[str]:
        answer = self.http.post("/gradio_api/upload", files=[("files", file) for file in files])
        answer.raise_for_status()
        return answer.json()

    def join(self, fn: int, *data: object) -> httpx.Response:
        body = {"data": list(data), "fn_index": fn, "session_hash": self.page, "event_data": None, "trigger_id": None}
        return self.http.post("/gradio_api/queue/join", json=body)

    def run(self, fn: int, *data: object) -> dict:
        """Let a handler run and return what it drew, with its steps on the way."""
        steps = []
        joined = self.join(fn, *data)
        joined.raise_for_status()
        event = joined.json()["event_id"]
        with self.http.stream("GET", "/gradio_api/queue/data", params={"session_hash": self.page}) as stream:
            for line in stream.iter_lines():
                if not line.startswith("data:"):
                    continue
                message = json.loads(line.removeprefix("data:"))
                if message.get("event_id") == event and message["msg"] == "process_generating":
                    steps.append(message["output"])
                if message.get("event_id") == event and message["msg"] == "process_completed":
                    assert message["success"], message
                    return {**message["output"], "steps": steps}
        raise AssertionError("The stream ended before the event did.")

    def look(self, photo: bytes, name: str = "photo.jpg") -> dict:
        """Drop a photo into the chat: what is in it is recognised."""
        (path,) = self.upload((name, photo))
        file = {"path": path, "orig_name": name, "meta": {"_type": "gradio.FileData"}}
        return self.run(self.fn("dropped", "change"), [file])

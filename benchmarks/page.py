"""The app's page as a browser speaks it over HTTP: cookie, heartbeat, uploads, events and their one stream of results.

Knows Gradio's protocol (sse_v3) and finds components by their `elem_id`, buttons also by what stands on them. What a
page was sent is in `shown`; every response is also handed to `on_response`, byte for byte.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx

CONFIG = "window.gradio_config = "
EVENT_TIMEOUT_S = 300.0


class EventFailed(Exception):
    """An event ended in an error instead of a screen, or was refused."""


class Page:
    """One open page of a visitor; pages that share `client` share its cookies.

    `on_response(status, text)` is called with everything that the server sends to this page.
    """

    def __init__(self, client: httpx.AsyncClient, on_response: Callable[[int, str], None] = lambda *_: None) -> None:
        self.client = client
        self.session_hash = secrets.token_hex(6)[:11]
        self.shown: dict[int, Any] = {}
        self._on_response = on_response
        self._events: dict[str, asyncio.Queue[dict[str, Any]]] = {}
        self._heartbeat: asyncio.Task[None] | None = None
        self._stream: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Fetch the page, keep its cookie, hold its heartbeat open if it has one, and wait until the app is ready."""
        html = (await self._request("GET", "/")).text
        self.config, _ = json.JSONDecoder().raw_decode(html, html.index(CONFIG) + len(CONFIG))
        self._ids: dict[str, int] = {}
        for component in self.config["components"]:
            props = component["props"]
            for name in (props.get("elem_id"), props.get("value") if component["type"] == "button" else None):
                if isinstance(name, str) and name:
                    self._ids.setdefault(name, component["id"])
            self.shown[component["id"]] = props.get("value")
        if self.config.get("connect_heartbeat"):
            self._heartbeat = asyncio.create_task(self._beat())
        while not await self._ready():
            await asyncio.sleep(0.5)

    async def close(self) -> None:
        """Leave: the heartbeat and the stream end, as they do when a tab is closed."""
        tasks = [task for task in (self._heartbeat, self._stream) if task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def read(self, name: str) -> str:
        """Return the value that a component shows, as text."""
        return str(self.shown.get(self._ids[name]) or "")

    async def upload(self, name: str, data: bytes) -> dict[str, Any]:
        """Upload a picture and return what an event takes for it. Raises EventFailed where it is refused."""
        response = await self._request(
            "POST", f"/gradio_api/upload?upload_id={secrets.token_hex(6)}", files={"files": (name, data, "image/jpeg")}
        )
        if response.status_code != 200:
            raise EventFailed(f"An upload was refused with {response.status_code}: {response.text[:200]}")
        (path,) = response.json()
        return {"path": path, "orig_name": name, "size": len(data), "meta": {"_type": "gradio.FileData"}}

    async def fire(
        self,
        name: str,
        event: str,
        *values: Any,
        event_data: dict[str, Any] | None = None,
        on_update: Callable[[], None] = lambda: None,
    ) -> None:
        """Fire an event of a component and wait until it is over; `shown` then holds the new screen.

        Inputs for which there are no `values` are sent as they are shown.

        `on_update` is called after each screen on the way. Raises EventFailed with the server's words.
        """
        dependency = self._dependency(name, event)
        body = {
            "data": [*values, *(self.shown.get(one) for one in dependency["inputs"][len(values) :])],
            "event_data": event_data,
            "fn_index": dependency["id"],
            "trigger_id": self._ids.get(name),
            "session_hash": self.session_hash,
        }
        response = await self._request("POST", "/gradio_api/queue/join?", json=body)
        if response.status_code != 200:
            raise EventFailed(response.text[:300])
        event_id = response.json()["event_id"]
        messages = self._events.setdefault(event_id, asyncio.Queue())
        if self._stream is None or self._stream.done():
            self._stream = asyncio.create_task(self._listen())
        try:
            await self._follow(messages, dependency, on_update)
        finally:
            self._events.pop(event_id, None)

    def _dependency(self, name: str, event: str) -> dict[str, Any]:
        target = [self._ids.get(name), event]
        for dependency in self.config["dependencies"]:
            wanted = any(t[1] == "load" for t in dependency["targets"]) if event == "load" else False
            if dependency["backend_fn"] and (wanted or target in [list(t) for t in dependency["targets"]]):
                return dict(dependency)
        raise KeyError(f"the page has no {event!r} on {name!r}")

    async def _ready(self) -> bool:
        await self.fire("", "load")
        return not self.read("opening")

    async def _follow(
        self, messages: asyncio.Queue[dict[str, Any]], dependency: dict[str, Any], on_update: Callable[[], None]
    ) -> None:
        drawn: list[Any] = []
        while True:
            message = await asyncio.wait_for(messages.get(), EVENT_TIMEOUT_S)
            kind = message["msg"]
            if kind in ("process_generating", "process_completed") and not message["success"]:
                raise EventFailed(str(message["output"].get("error")))
            if kind == "process_generating":
                data = message["output"]["data"]
                drawn = [_patched(old, edits) for old, edits in zip(drawn, data, strict=True)] if drawn else data
                self._show(dependency["outputs"], drawn)
                on_update()
            elif kind == "process_completed":
                self._show(dependency["outputs"], message["output"].get("data", []))
                return
            elif kind in ("unexpected_error", "server_stopped"):
                raise EventFailed(str(message.get("message")))

    def _show(self, outputs: list[int], data: list[Any]) -> None:
        for component, value in zip(outputs, data, strict=False):
            if not (isinstance(value, dict) and value.get("__type__") == "update"):
                self.shown[component] = value
            elif "value" in value:
                self.shown[component] = value["value"]

    async def _listen(self) -> None:
        """Hand the session's messages to the events that wait for them, until the server closes the stream."""
        url = f"/gradio_api/queue/data?session_hash={self.session_hash}"
        why = "the stream ended"
        try:
            async with self.client.stream("GET", url, timeout=None) as response:
                async for line in response.aiter_lines():
                    if not line.startswith("data:"):
                        continue
                    self._on_response(response.status_code, line)
                    message = json.loads(line[5:])
                    if message["msg"] == "close_stream":
                        break
                    if message.get("event_id"):
                        self._events.setdefault(message["event_id"], asyncio.Queue()).put_nowait(message)
                    elif message["msg"] == "unexpected_error":
                        why = str(message["message"])
        except httpx.HTTPError as error:
            why = repr(error)
        self._stream = None
        if why != "the stream ended":
            for messages in self._events.values():
                messages.put_nowait({"msg": "unexpected_error", "message": why})
        elif self._events:  # an event joined as the stream was closing
            self._stream = asyncio.create_task(self._listen())

    async def _beat(self) -> None:
        while True:
            with suppress(httpx.HTTPError):
                url = f"/gradio_api/heartbeat/{self.session_hash}"
                async with self.client.stream("GET", url, timeout=None) as response:
                    async for _ in response.aiter_lines():
                        pass
            await asyncio.sleep(1)

    async def _request(self, method: str, url: str, **content: Any) -> httpx.Response:
        response = await self.client.request(method, url, **content)
        self._on_response(response.status_code, response.text)
        return response


def _patched(value: Any, edits: Any) -> Any:
    """Apply the edits that Gradio sends instead of a generator's second and later screens."""
    if not isinstance(edits, list):
        return edits
    for action, path, new in edits:
        if not path:
            value = value + new if action == "append" else new
            continue
        *way, last = path
        place = value
        for step in way:
            place = place[step]
        if action == "append":
            place[last] += new
        elif action == "delete":
            del place[last]
        elif action == "add" and isinstance(place, list):
            place.insert(last, new)
        else:
            place[last] = new
    return value

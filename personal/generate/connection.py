"""A connection to a server that speaks OpenAI's chat completions, on an event loop in a thread of its own.

There a request can be cancelled whatever it is waiting for. The key goes into its header and nowhere else.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from functools import cached_property
from typing import Any, TypeVar
from urllib.parse import urlsplit

from personal import proxies
from personal.errors import ModelError
from personal.generate.events import DONE, Events
from personal.generate.protocol import NO_SERVER, Delta, Heard, delta, error_in, failure, names, said

T = TypeVar("T")

PAUSES_S = (0.25, 0.5, 1.0)
"""Seconds between the attempts to reach a server that is not there."""
HEADERS = {"host", "accept", "accept-encoding", "user-agent", "content-type", "content-length"}
"""What is sent beside the key: nothing of this machine, and nothing that the environment holds for another server."""
LINGER_S = 2.0
"""Seconds for which more is awaited from a server that has said that its answer is over."""
UNLISTED = (404, 405, 501)
"""How servers that answer without listing their models refuse the question for them."""


class Connection:
    """Talks to the server at `url`, which may lack the `/v1`."""

    def __init__(self, url: str, key: str = "") -> None:
        self.url = url.rstrip("/").removesuffix("/chat/completions")
        self.key = key
        runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._loop = runner.get_loop()
        threading.Thread(target=_run, args=(runner,), name="remote", daemon=True).start()
        weakref.finalize(self, self._loop.call_soon_threadsafe, self._loop.stop)

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Run a coroutine on the event loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    async def models(self) -> list[str]:
        """Return the models that the server lists; none if it does not list them. Raises ModelError and APIError."""
        import openai

        try:
            models = names(await self._client.get("/models", cast_to=object))
        except openai.APIStatusError as error:
            if error.status_code not in UNLISTED:
                raise
            return []
        if models is None:
            raise ModelError(f"{self.url} {NO_SERVER.format('it sent no list of models')}")
        return models

    async def ask(self, request: dict[str, Any], heard: Callable[[Heard, Delta], None]) -> Heard:
        """Send a request once, calling `heard` with every chunk of the answer; return what it was.

        What goes wrong before the first text is raised as it is, and later as a ModelError.
        """
        import openai

        answer, why = Heard(), "the connection ended"
        try:
            chunks = await self._client.post(
                "/chat/completions", body=request, cast_to=object, stream=True, stream_cls=openai.AsyncStream[object]
            )
            async with chunks:
                async for value in _values(chunks.response, answer):
                    part = delta(value)
                    answer.add(part)
                    heard(answer, part)
        except (openai.OpenAIError, ValueError, RecursionError) as error:
            if not (answer.size or answer.over):
                raise
            why = said(error, self.key)
        if answer.over and answer.anything:
            return answer
        if answer.size:
            raise ModelError(f"{self.url} broke off in the middle of the answer ({why}). Ask again.")
        raise ModelError(f"{self.url} {NO_SERVER.format('it sent no answer')}")

    async def patient(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask again after pauses if there is no connection; what the server answers is final."""
        import openai

        for pause_s in PAUSES_S:
            try:
                return await ask()
            except openai.APIConnectionError:
                await asyncio.sleep(pause_s)
        return await ask()

    async def translate_errors(self, work: Awaitable[T], not_found: Callable[[], None]) -> T:
        """Raise what the libraries raise as a ModelError that carries nothing of the request.

        `not_found` is called if the server does not know what it was asked for.
        """
        import openai

        try:
            return await work
        except (openai.OpenAIError, ValueError, RecursionError) as error:
            failed = ModelError(f"{self.url} {failure(error, self.key, proxies.via(self.url))}")
            if isinstance(error, openai.NotFoundError):
                not_found()
        raise failed

    def prepare(self) -> None:
        """Make the client, so that what is timed is the server alone. Raises ModelError for an unusable proxy."""
        _ = self._client

    @cached_property
    def _client(self) -> Any:
        import openai

        key = self.key or "none"
        if wrong := proxies.trouble(self.url):
            raise ModelError(f"{self.url} cannot be reached. {wrong}")

        async def bare(request: Any) -> None:
            for name in [name for name in request.headers if name.lower() not in HEADERS]:
                del request.headers[name]
            request.headers["authorization"] = f"Bearer {key}"
            request.headers["connection"] = "close"  # nothing is left open between answers

        http = openai.DefaultAsyncHttpxClient(
            timeout=None,  # the one clock is the reader's
            trust_env=not proxies.is_loopback(self.url),
            follow_redirects=False,
            event_hooks={"request": [bare]},
        )
        base = self.url if urlsplit(self.url).path else f"{self.url}/v1"
        return openai.AsyncOpenAI(base_url=base, api_key="none", max_retries=0, timeout=None, http_client=http)


async def _values(response: Any, heard: Heard) -> AsyncIterator[Any]:
    """Yield the JSON values of a response to its end, or LINGER_S after it has said that the answer is over.

    Marks in `heard` that the end was told. Raises ValueError for what is no JSON, and APIError for an error within.
    """
    import httpx2
    import openai

    events, body = Events(), aiter(response.aiter_bytes())
    with suppress(TimeoutError):
        while True:
            try:
                data = await asyncio.wait_for(anext(body, None), LINGER_S if heard.over else None)
            except httpx2.RequestError as error:
                raise openai.APIConnectionError(request=response.request) from error
            for value in events.finish() if data is None else events.feed(data):
                if value is DONE:
                    heard.done = True
                    return
                if wrong := error_in(value):
                    raise openai.APIError(str(wrong), response.request, body=wrong)
                yield value
            if data is None:
                return


def _run(runner: asyncio.Runner) -> None:
    """Run an event loop until it is stopped, and tidy up after it."""
    with runner:
        runner.get_loop().run_forever()

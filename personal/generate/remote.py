"""Answer with a server that speaks OpenAI's chat completions: vLLM, SGLang, TGI, llama.cpp's, a hosted one.

Photos and words go to that address and nowhere else; the key goes into its header and nowhere else. The connection
lives on an event loop in a thread of its own, where a request can be cancelled whatever it is waiting for.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

from personal import proxies
from personal.concepts import Piece, Progress
from personal.errors import ModelError
from personal.generate.dialect import Dialect
from personal.generate.events import DONE, Events
from personal.generate.prompt import Message, forget_oldest
from personal.generate.protocol import (
    NO_SERVER,
    Heard,
    as_sent,
    delta,
    error_in,
    failure,
    images_within,
    names,
    said,
    too_long,
    words,
)
from personal.generate.speech import Speech

T = TypeVar("T")

POLL_S = 0.1
PAUSES_S = (0.25, 0.5, 1.0)
"""Between the attempts to reach a server that is not there."""
RUNAWAY = 100
"""Characters a token: a server that sends more than so many does not keep to the length it was asked for."""
HEADERS = {"host", "accept", "accept-encoding", "user-agent", "content-type", "content-length"}
"""What is sent beside the key: nothing of this machine, and nothing that the environment holds for another server."""
LINGER_S = 2.0
"""How long more is awaited of a server that has said that its answer is over, seconds."""
FINAL = (401, 403, 429)
"""Refusals that asking otherwise would not change."""
UNLISTED = (404, 405, 501)
"""How servers that answer without telling with what refuse the question for their models."""
AT_ONCE = 4
"""Questions of an evaluation that a server is asked together: enough that it can batch them, few enough for most."""


log = logging.getLogger(__name__)


class NothingSaid(ModelError):
    """An answer that came to its end and shows nothing."""


class RemoteGenerator:
    """A Generator on a server. `url` may lack the `/v1`; without `model` it is the first one that the server lists.

    Images of a request travel as data URLs of at most `image_bytes` together; 0 means that the model does not see.
    It is asked `concurrency` questions at once; more wait here, where turns are shared fairly.
    No wait is longer than `timeout_s`: until the answer begins, or between any two pieces of it.
    """

    single_turn = False
    verifies = False
    """What the model behind an address is worth as a judge is not known."""

    def __init__(
        self,
        url: str,
        *,
        key: str = "",
        model: str = "",
        timeout_s: float = 60.0,
        image_bytes: int = 4 * 2**20,
        concurrency: int = 8,
    ) -> None:
        self.concurrency = concurrency
        self.url = url.rstrip("/").removesuffix("/chat/completions")
        self._key, self._wish, self._model = key, model, model
        self._timeout_s, self._image_bytes = timeout_s, image_bytes
        self._answers: bool | None = None
        self._dialect = Dialect(image_bytes)
        self._opens: bool | None = None
        runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._loop = runner.get_loop()
        threading.Thread(target=_turn, args=(runner,), name="remote", daemon=True).start()
        weakref.finalize(self, self._loop.call_soon_threadsafe, self._loop.stop)

    @property
    def name(self) -> str:
        return words(self._model, self._key, limit=80) or "the server's model"

    @property
    def sees(self) -> bool:
        """Tell whether the model is given the photos themselves."""
        return self._image_bytes > 0

    @property
    def description(self) -> str:
        """Say in words where the model is, how the server was last found, and whether others can read along."""
        state = {None: "not asked yet", True: "answers", False: "did not answer last time"}[self._answers]
        if self.url.startswith("http:") and not proxies.is_loopback(self.url):
            state += f"; {'photos' if self.sees else 'questions'} travel unencrypted"
        return f"{self.name} on {self.url} ({state})"

    def load(self) -> Iterator[Progress]:
        """Ask the server which models it has, and forget what it once refused. Raises ModelError in words."""
        yield Progress(f"Asking {self.url} for its models")
        self._dialect, self._opens = Dialect(self._image_bytes), None
        self._wait(self._named(check=True))
        yield Progress(f"{self.name} answers", 1, 1)

    def unload(self) -> None:
        """Do nothing: the model is not here."""

    def clear(self) -> None:
        """Do nothing: nothing of anybody is kept here."""

    def health(self) -> str:
        """Say in a sentence whether the server can be reached, how fast, and which models it has, or what is wrong."""
        try:
            models, seconds = self._wait(self._timed())
        except ModelError as error:
            return str(error)
        offer = words(", ".join(models), self._key) or "no list of models"
        missing = f" {self._wish} is not among them: check PERSONAL_LLM_MODEL."
        known = not models or self._wish in ("", *models)
        return f"{self.url} answers in {1000 * seconds:.0f} ms and offers {offer}.{'' if known else missing}"

    def stream(
        self,
        messages: Sequence[Message],
        *,
        max_new_tokens: int,
        stop: threading.Event,
        temperature: float = 0.0,
    ) -> Iterator[Piece]:
        """Answer the messages of `prompt.lay_out`, in Pieces as they come, without what the model thinks.

        Greedy unless `temperature` is above 0. Setting `stop`, or closing the iterator, closes the connection.
        What had come stays where the server breaks off. Raises ModelError.
        """
        import openai  # noqa: F401  here, so that the waits below are for the server alone

        came: queue.Queue[str | None] = queue.Queue()
        kept = list(messages)
        answer = self._in_words(self._answer(kept, max_new_tokens, temperature, came.put))
        running = asyncio.run_coroutine_threadsafe(answer, self._loop)
        running.add_done_callback(lambda _: came.put(None))
        first = True
        try:
            for piece in self._spoken(came, running, stop):
                yield replace(piece, forgotten=_questions(messages) - _questions(kept)) if first else piece
                first = False
        except ModelError:
            self._answers = False
            raise
        finally:
            running.cancel()

    def _spoken(self, came: queue.Queue[str | None], running: Future[Heard], stop: threading.Event) -> Iterator[Piece]:
        """Yield what of an answer is visible, also of one that breaks off. Raises ModelError, also where nothing is."""
        speech, heard, failed = Speech(self._opens), None, None
        try:
            for text in self._arriving(came, stop):
                yield from speech.hear(text)
            heard = None if stop.is_set() else running.result()
        except ModelError as error:
            failed = error
        yield from speech.end(whole=heard is not None and heard.end != "length")
        self._opens = speech.opens
        if failed:
            raise failed
        if heard and not speech.visible:
            heard.thought = heard.thought or speech.reasoned
            raise NothingSaid(f"{self.name} {heard.why_silent(self._key)}")

    def answers(self, asked: Sequence[Sequence[Message]], *, max_new_tokens: int) -> list[str]:
        """Answer conversations, AT_ONCE of them at a time; "" and a warning where nothing is said.

        Raises ModelError, for all, where one is refused or breaks off.
        """

        def answer(messages: Sequence[Message]) -> str:
            said: list[str] = []
            try:
                for piece in self.stream(messages, max_new_tokens=max_new_tokens, stop=threading.Event()):
                    if piece.retracts:
                        said.clear()
                    said.append(piece.text)
            except NothingSaid as error:  # one question of many: it counts as not answered
                log.warning("%s", error)
            return "".join(said)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(answer, asked))

    def _arriving(self, came: queue.Queue[str | None], stop: threading.Event) -> Iterator[str]:
        """Yield what comes until the end, or until `stop` is set, and "" while nothing does.

        Raises ModelError after a silence.
        """
        heard = time.monotonic()
        while not stop.is_set():
            try:
                text = came.get(timeout=POLL_S)
            except queue.Empty:
                if time.monotonic() - heard > self._timeout_s:
                    raise self._silent() from None
                yield ""
                continue
            if text is None:
                return
            heard = time.monotonic()
            yield text

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something short on the event loop. Raises ModelError, also after a silence."""
        import openai  # noqa: F401

        limited = asyncio.wait_for(self._in_words(work), self._timeout_s)
        try:
            found = asyncio.run_coroutine_threadsafe(limited, self._loop).result()
        except (ModelError, TimeoutError) as error:
            self._answers = False
            raise (error if isinstance(error, ModelError) else self._silent()) from None
        self._answers = True
        return found

    # -- on the event loop ---------------------------------------------------------------------------------------

    @cached_property
    def _client(self) -> Any:
        import openai

        key = self._key or "none"
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

    async def _answer(
        self, messages: list[Message], max_new_tokens: int, temperature: float, put: Callable[[str], None]
    ) -> Heard:
        """Put the answer's pieces, asking otherwise where the server cannot take the question; return what it was.

        `messages` is left with those that it was asked in the end. What the server did not take is remembered.
        """
        import openai

        model, dialect = await self._named(), self._dialect
        while True:
            asked = dialect.messages(messages)
            urls = await asyncio.to_thread(images_within, asked, dialect.image_bytes)
            if urls is None:
                messages[:] = _shorter(messages, f"for PERSONAL_LLM_IMAGE_BYTES={dialect.image_bytes}")
                continue
            options = dialect.options(max_new_tokens, temperature)
            request = {"model": model, "messages": as_sent(asked, urls), **options}
            try:
                heard = await self._patient(partial(self._ask, request, max_new_tokens, put))
            except openai.APIError as error:
                refused = error
            else:
                self._dialect = dialect
                return heard
            dialect = self._otherwise(refused, dialect, messages, [len(url) for url in urls])

    async def _ask(self, request: dict[str, Any], max_new_tokens: int, put: Callable[[str], None]) -> Heard:
        """Ask once. What goes wrong before the first text is raised as it is, and later as a ModelError."""
        import openai

        heard, why = Heard(), "the connection ended"
        try:
            chunks = await self._client.post(
                "/chat/completions", body=request, cast_to=object, stream=True, stream_cls=openai.AsyncStream[object]
            )
            async with chunks:
                async for value in _values(chunks.response, heard):
                    part = delta(value)
                    heard.add(part)
                    if part.text or part.thought or part.refusal:
                        self._answers = True
                        put(part.text)
                    if heard.size > RUNAWAY * max_new_tokens:
                        raise ModelError(f"{self.name} did not keep to the length it was asked for, and was stopped.")
        except (openai.OpenAIError, ValueError, RecursionError) as error:
            if not (heard.size or heard.over):
                raise
            why = said(error, self._key)
        if heard.over and heard.anything:
            return heard
        if heard.size:
            raise ModelError(f"{self.url} broke off in the middle of the answer ({why}). Ask again.")
        raise ModelError(f"{self.url} {NO_SERVER.format('it sent no answer')}")

    def _otherwise(self, error: Any, dialect: Dialect, messages: list[Message], images: Sequence[int]) -> Dialect:
        """Return how to ask instead after an APIError, or shorten `messages` where they are too long; else raise it."""
        told, param, code = said(error, self._key), error.param, str(error.code)
        param, status = param if isinstance(param, str) else "", getattr(error, "status_code", None)
        changed = dialect.after_param(param, code)
        if not changed and too_long(f"{told} {code}"):
            messages[:] = _shorter(messages, f"for {self.name} ({told})")
            return dialect
        if not changed and status not in FINAL:
            changed = dialect.after_words(f"{told} {param}", status, images)
        if not changed:
            raise error
        return changed

    async def _named(self, check: bool = False) -> str:
        """Return the model's name, asking the server for it where nobody chose one; `check` asks in any case."""
        if check or not self._model:
            models = await self._patient(self._listed)
            if not self._wish and not models:
                raise ModelError(f"{self.url} does not list its models. Say which one with PERSONAL_LLM_MODEL.")
            self._model = self._wish or models[0]
        return self._model

    async def _listed(self) -> list[str]:
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

    async def _timed(self) -> tuple[list[str], float]:
        _, began = self._client, time.perf_counter()
        return await self._listed(), time.perf_counter() - began

    async def _patient(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask again after pauses where there is no connection; what the server answers is final."""
        import openai

        for pause_s in PAUSES_S:
            try:
                return await ask()
            except openai.APIConnectionError:
                await asyncio.sleep(pause_s)
        return await ask()

    async def _in_words(self, work: Awaitable[T]) -> T:
        """Turn what the libraries raise into a ModelError that carries nothing of the request."""
        import openai

        try:
            return await work
        except (openai.OpenAIError, ValueError, RecursionError) as error:
            failed = ModelError(f"{self.url} {failure(error, self._key, proxies.via(self.url))}")
            if isinstance(error, openai.NotFoundError):
                self._model = self._wish  # the server may have another model by now
        raise failed

    def _silent(self) -> ModelError:
        return ModelError(
            f"{self.url} was silent for {self._timeout_s:g} seconds. Look whether the server is busy; "
            "PERSONAL_LLM_TIMEOUT_S says how long to wait."
        )


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


def _turn(runner: asyncio.Runner) -> None:
    """Run an event loop until it is stopped, and tidy up after it."""
    with runner:
        runner.get_loop().run_forever()


def _shorter(messages: list[Message], why: str) -> list[Message]:
    shorter = forget_oldest(messages)
    if shorter is None:
        raise ModelError(f"The question is too long {why}. Ask a shorter one, or with fewer photos and concepts.")
    return shorter


def _questions(messages: Sequence[Message]) -> int:
    return sum(message["role"] == "user" for message in messages)

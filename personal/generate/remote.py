"""Answer with a server that speaks OpenAI's chat completions: vLLM, SGLang, TGI, llama.cpp's, a hosted one.

Photos and words go to that address and nowhere else (`personal.generate.connection`). What the server does not take is
learnt from its refusals (`personal.generate.dialect`).
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

from personal import proxies
from personal.concepts import Progress, TextDelta
from personal.errors import ModelError
from personal.generate.answer_stream import AnswerStream
from personal.generate.connection import Connection
from personal.generate.dialect import Dialect
from personal.generate.prompt import drop_oldest_turn
from personal.generate.protocol import Delta, Heard, as_sent, images_within, said, too_long, words
from personal.messages import Message

T = TypeVar("T")

POLL_S = 0.1
RUNAWAY = 100
"""Characters per token: a server that sends more does not keep to the length it was asked for."""
FINAL = (401, 403, 429)
"""Refusals that asking otherwise would not change."""
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
        self._connection = Connection(url, key)
        self.url = self._connection.url
        self._key, self._wish, self._model = key, model, model
        self._timeout_s, self._image_bytes = timeout_s, image_bytes
        self._reachable: bool | None = None
        self._dialect = Dialect(image_bytes)
        self._opens_in_reasoning: bool | None = None

    @property
    def name(self) -> str:
        return words(self._model, self._key, limit=80) or "the server's model"

    @property
    def server(self) -> str:
        """The server's host."""
        return urlsplit(self.url).netloc

    @property
    def sees(self) -> bool:
        """Whether the model is given the photos themselves."""
        return self._image_bytes > 0

    @property
    def description(self) -> str:
        """Where the model is, how the server was last found, and whether others can read along."""
        state = {None: "not asked yet", True: "answers", False: "did not answer last time"}[self._reachable]
        if self.url.startswith("http:") and not proxies.is_loopback(self.url):
            state += f"; {'photos' if self.sees else 'questions'} travel unencrypted"
        return f"{self.name} on {self.url} ({state})"

    def load(self) -> Iterator[Progress]:
        """Ask the server which models it has, and forget what it once refused. Raises ModelError."""
        yield Progress(f"Asking {self.url} for its models")
        self._dialect, self._opens_in_reasoning = Dialect(self._image_bytes), None
        self._wait(self._named(check=True))
        yield Progress(f"{self.name} answers", 1, 1)

    def unload(self) -> None:
        """Do nothing: the model is not here."""

    def clear(self) -> None:
        """Do nothing: nothing of anybody is kept here."""

    def health(self) -> str:
        """Return in a sentence whether the server can be reached, how fast, and its models, or what is wrong."""
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
    ) -> Iterator[TextDelta]:
        """Answer the messages of `prompt.build_messages`, in TextDeltas without what the model thinks.

        Greedy unless `temperature` is above 0. Setting `stop`, or closing the iterator, closes the connection.
        What had come stays if the server breaks off. Raises ModelError.
        """
        import openai  # noqa: F401  here, so that the waits below are for the server alone

        came: queue.Queue[str | None] = queue.Queue()
        kept = list(messages)
        running = self._submit(self._answer(kept, max_new_tokens, temperature, came.put))
        running.add_done_callback(lambda _: came.put(None))
        first = True
        try:
            for delta in self._visible(came, running, stop):
                yield replace(delta, dropped_turns=_questions(messages) - _questions(kept)) if first else delta
                first = False
        except ModelError:
            self._reachable = False
            raise
        finally:
            running.cancel()

    def _visible(
        self, came: queue.Queue[str | None], running: Future[Heard], stop: threading.Event
    ) -> Iterator[TextDelta]:
        """Yield what of an answer is visible, also if it breaks off. Raises ModelError, also if nothing is visible."""
        stream, heard, failed = AnswerStream(self._opens_in_reasoning), None, None
        try:
            for text in self._arriving(came, stop):
                yield from stream.feed(text)
            heard = None if stop.is_set() else running.result()
        except ModelError as error:
            failed = error
        yield from stream.finish(whole=heard is not None and heard.end != "length")
        self._opens_in_reasoning = stream.opens
        if failed:
            raise failed
        if heard and not stream.visible:
            heard.thought, heard.tool = heard.thought or stream.reasoned, heard.tool or stream.tool
            raise NothingSaid(f"{self.name} {heard.why_silent(self._key)}")

    def _arriving(self, came: queue.Queue[str | None], stop: threading.Event) -> Iterator[str]:
        """Yield text until the end or `stop`, and "" while none comes. Raises ModelError after a silence."""
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

    def answers(self, asked: Sequence[Sequence[Message]], *, max_new_tokens: int) -> list[str]:
        """Answer conversations, AT_ONCE of them at a time; "" and a warning if nothing is said.

        Raises ModelError, for all, if one is refused or breaks off.
        """

        def answer(messages: Sequence[Message]) -> str:
            said: list[str] = []
            try:
                for delta in self.stream(messages, max_new_tokens=max_new_tokens, stop=threading.Event()):
                    if delta.retracts:
                        said.clear()
                    said.append(delta.text)
            except NothingSaid as error:
                log.warning("One question of many counts as not answered.", exc_info=error)
            return "".join(said)

        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(answer, asked))

    def _submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        return self._connection.submit(self._connection.translate_errors(work, self._forget_model))

    def _forget_model(self) -> None:
        self._model = self._wish  # the server may have another model by now

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something short on the event loop. Raises ModelError, also after a silence."""
        import openai  # noqa: F401

        try:
            found = self._submit(_within(work, self._timeout_s)).result()
        except (ModelError, TimeoutError) as error:
            self._reachable = False
            raise (error if isinstance(error, ModelError) else self._silent()) from None
        self._reachable = True
        return found

    # -- on the event loop ---------------------------------------------------------------------------------------

    async def _answer(
        self, messages: list[Message], max_new_tokens: int, temperature: float, put: Callable[[str], None]
    ) -> Heard:
        """Put the answer's text, asking otherwise if the server cannot take the question; return what it was.

        `messages` is left with those that it was asked in the end. What the server did not take is remembered.
        """
        import openai

        def heard(answer: Heard, part: Delta) -> None:
            if part.text or part.thought or part.refusal:
                self._reachable = True
                put(part.text)
            if answer.size > RUNAWAY * max_new_tokens:
                raise ModelError(f"{self.name} did not keep to the length it was asked for, and was stopped.")

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
                answer = await self._connection.patient(partial(self._connection.ask, request, heard))
            except openai.APIError as error:
                refused = error
            else:
                self._dialect = dialect
                return answer
            dialect = self._otherwise(refused, dialect, messages, [len(url) for url in urls])

    def _otherwise(self, error: Any, dialect: Dialect, messages: list[Message], images: Sequence[int]) -> Dialect:
        """Return how to ask instead after an APIError, or shorten `messages` if they are too long; else raise it."""
        message, param, code = said(error, self._key), error.param, str(error.code)
        param, status = param if isinstance(param, str) else "", getattr(error, "status_code", None)
        changed = dialect.after_param(param, code)
        if not changed and too_long(f"{message} {code}"):
            messages[:] = _shorter(messages, f"for {self.name} ({message})")
            return dialect
        if not changed and status not in FINAL:
            changed = dialect.after_words(f"{message} {param}", status, images)
        if not changed:
            raise error
        return changed

    async def _named(self, check: bool = False) -> str:
        """Return the model's name, asking the server for it if nobody chose one; `check` asks in any case."""
        if check or not self._model:
            models = await self._connection.patient(self._connection.models)
            if not self._wish and not models:
                raise ModelError(f"{self.url} does not list its models. Say which one with PERSONAL_LLM_MODEL.")
            self._model = self._wish or models[0]
        return self._model

    async def _timed(self) -> tuple[list[str], float]:
        self._connection.prepare()
        began = time.perf_counter()
        return await self._connection.models(), time.perf_counter() - began

    def _silent(self) -> ModelError:
        return ModelError(
            f"{self.url} was silent for {self._timeout_s:g} seconds. Look whether the server is busy; "
            "PERSONAL_LLM_TIMEOUT_S says how long to wait."
        )


async def _within(work: Coroutine[Any, Any, T], seconds: float) -> T:
    return await asyncio.wait_for(work, seconds)


def _shorter(messages: list[Message], why: str) -> list[Message]:
    shorter = drop_oldest_turn(messages)
    if shorter is None:
        raise ModelError(f"The question is too long {why}. Ask a shorter one, or with fewer photos and concepts.")
    return shorter


def _questions(messages: Sequence[Message]) -> int:
    return sum(message["role"] == "user" for message in messages)

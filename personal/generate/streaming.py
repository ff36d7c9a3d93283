"""Stream a model's tokens from the generating thread to the reader, as text without reasoning.

The model is only known as something that takes a streamer with `put` and `end`, as transformers' `generate` does.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from personal.concepts import TextDelta
from personal.errors import ModelError
from personal.generate.thinking import VisibleText
from personal.threads import give_way, use_cores

END = -1
"""Marks the end of the tokens."""
STALL_S = 600.0
"""Seconds without a token after which a generation counts as stuck."""
POLL_S = 0.1
"""Seconds that a reader may take to notice that it was stopped."""


class Tokens:
    """A streamer that `generate` puts token ids into; the prompt, which comes first, is skipped."""

    def __init__(self) -> None:
        self.ids: queue.Queue[int] = queue.Queue()
        self._prompt = True

    def put(self, value: Any) -> None:
        if self._prompt:
            self._prompt = False
            return
        for token in value.tolist():
            self.ids.put(token)
        give_way()

    def end(self) -> None:
        """Do nothing: the reader ends with the thread."""


def stream_deltas(
    generate: Callable[[Tokens], object],
    decode: Callable[[list[int]], str],
    halt: threading.Event,
    stop: threading.Event,
) -> Iterator[TextDelta]:
    """Run `generate` in a thread of its own and yield its text as it comes, until that ends or `stop` is set.

    The reader waits for nothing once `stop` is set, or the iterator closed: that sets `halt`, by which the thread must
    stop at the next token. Before the first one that may take long: a photo is encoded, a prompt read. Exceptions of
    the thread are raised here. Raises ModelError if no token comes for STALL_S.
    """
    tokens = Tokens()
    thread = ThreadPoolExecutor(1, "generate", initializer=use_cores)
    running = thread.submit(generate, tokens)
    try:
        running.add_done_callback(lambda _: tokens.ids.put(END))
        yield from decode_tokens(_arriving(tokens, stop), decode)
        if running.done() or not stop.is_set():
            running.result()
    finally:
        halt.set()
        thread.shutdown(wait=False)


def strip_reasoning(deltas: Iterator[TextDelta], opened: Callable[[], bool]) -> Iterator[TextDelta]:
    """Leave out reasoning and tool calls; `opened` tells, once there is text, if it began inside a reasoning block.

    Raises ModelError if an answer is nothing but a tool call.
    """
    visible: VisibleText | None = None
    tokens, shown = 0, False
    for delta in deltas:
        visible = visible or VisibleText(opened=opened())
        tokens += delta.tokens
        if text := visible.feed(delta.text):
            yield TextDelta(text, tokens)
            tokens, shown = 0, True
    if visible and (text := visible.finish()):
        yield TextDelta(text, tokens)
    elif visible and visible.tool and not shown:
        raise ModelError(f"The model called {visible.tool}, and gave no answer. Ask again, or in other words.")


def has_repetition(ids: Sequence[int]) -> bool:
    """Return whether token ids end in a run of at most 48 tokens that is repeated at least three times, over 32 tokens.

    Small models under greedy decoding can get into such a loop and would go on to the last token allowed.
    """
    for period in range(1, 49):
        length = period * max(3, -(-32 // period))
        if length <= len(ids) and ids[-length:-period] == ids[-length + period :]:
            return True
    return False


def _arriving(tokens: Tokens, stop: threading.Event) -> Iterator[int]:
    """Yield tokens until their end or `stop`. Raises ModelError after a silence."""
    heard = time.monotonic()
    while not stop.is_set():
        try:
            token = tokens.ids.get(timeout=POLL_S)
        except queue.Empty:
            if time.monotonic() - heard > STALL_S:
                raise ModelError("The language model gave no token for ten minutes. Restart the app.") from None
            continue
        if token == END:
            return
        heard = time.monotonic()
        yield token


def decode_tokens(ids: Iterable[int], decode: Callable[[list[int]], str]) -> Iterator[TextDelta]:
    """Decode tokens as they arrive. A character of several tokens is yielded with the last of them."""
    line: list[int] = []
    shown, pending = "", 0
    for token in ids:
        line.append(token)
        pending += 1
        text = decode(line)
        if text.endswith("\ufffd"):
            continue
        if len(text) > len(shown):
            yield TextDelta(text[len(shown) :], pending)
            shown, pending = text, 0
        if text.endswith("\n"):
            line, shown = [], ""
    rest = decode(line)[len(shown) :] if line else ""
    if rest:
        yield TextDelta(rest, pending)

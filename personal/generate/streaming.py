"""Carry a model's tokens from the generating thread to whoever reads them.

Knows nothing of the model but that it takes a streamer with `put` and `end`, as `generate` of transformers does.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from itertools import chain
from typing import Any

from personal.concepts import Piece
from personal.errors import ModelError
from personal.generate.thinking import without_thinking
from personal.threads import give_way, use_cores

END = -1
"""Comes after the last token."""
STALL_S = 600.0
"""After so long without a token a generation counts as stuck."""
PATIENCE_S = 60.0
"""How long a halted generation may take to its next token before it is left behind."""


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
        """Nothing to do: the reader knows the end by the thread's."""


def pieces(
    generate: Callable[[Tokens], object], decode: Callable[[list[int]], str], halt: threading.Event
) -> Iterator[Piece]:
    """Run `generate` in a thread of its own and yield its text as it comes.

    Closing the iterator sets `halt` and waits for the thread, which must stop at the next token. What goes wrong in the
    thread is raised here as it is; a thread that gives no token for STALL_S is left behind with a ModelError.
    """
    tokens = Tokens()
    thread = ThreadPoolExecutor(1, "generate", initializer=use_cores)
    running = thread.submit(generate, tokens)
    try:
        running.add_done_callback(lambda _: tokens.ids.put(END))
        yield from texts(_arriving(tokens), decode)
        running.result()
    finally:
        halt.set()
        wait([running], timeout=PATIENCE_S)
        thread.shutdown(wait=False)


def spoken(said: Iterator[Piece], opened: Callable[[], bool]) -> Iterator[Piece]:
    """Leave out what a thinking model says to itself; `opened` tells, once it speaks, whether it began in a thought."""
    tokens = 0

    def texts(first: Piece) -> Iterator[str]:
        nonlocal tokens
        for piece in chain([first], said):
            tokens += piece.tokens
            yield piece.text

    for first in said:
        for text in without_thinking(texts(first), opened=opened()):
            yield Piece(text, tokens)
            tokens = 0


def runs_in_circles(ids: Sequence[int]) -> bool:
    """Tell whether token ids end in one run of at most 48 tokens said over and over, three times and 32 tokens long.

    Small models under greedy decoding can get caught in such a circle and would go on to the last token allowed.
    """
    for period in range(1, 49):
        length = period * max(3, -(-32 // period))
        if length <= len(ids) and ids[-length:-period] == ids[-length + period :]:
            return True
    return False


def _arriving(tokens: Tokens) -> Iterator[int]:
    while True:
        try:
            token = tokens.ids.get(timeout=STALL_S)
        except queue.Empty:
            raise ModelError("The language model gave no token for ten minutes. Restart the app.") from None
        if token == END:
            return
        yield token


def texts(ids: Iterable[int], decode: Callable[[list[int]], str]) -> Iterator[Piece]:
    """Decode as tokens arrive; a character that is spread over several tokens waits for the last of them."""
    line: list[int] = []
    shown, pending = "", 0
    for token in ids:
        line.append(token)
        pending += 1
        text = decode(line)
        if text.endswith("\ufffd"):
            continue
        if len(text) > len(shown):
            yield Piece(text[len(shown) :], pending)
            shown, pending = text, 0
        if text.endswith("\n"):
            line, shown = [], ""
    rest = decode(line)[len(shown) :] if line else ""
    if rest:
        yield Piece(rest, pending)

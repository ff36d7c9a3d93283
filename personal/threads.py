"""Run work in short-lived threads, and what somebody looks at before what somebody reads.

On a CPU every thread that ever computed keeps its own team of workers for as long as it lives. With more of them than
cores, teams stop waiting for one another actively: on two cores a language model then speaks at a third of its speed.
Photos are encoded one at a time, for the same reason: side by side they take as long together, and each as long as all.
Photos to look at and photos to learn take turns, so that nobody's look waits for all that others add. An answer under
way pauses between two tokens while a photo is looked at.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

PAUSE_S = 0.2
"""How long an answer pauses before a token at most, about the time that one photo takes: it goes on, if slowly, while
photos come without end."""


def in_thread(work: Callable[[], T]) -> T:
    """Run work in a thread of its own and return, or raise, what it does."""
    with ThreadPoolExecutor(1, thread_name_prefix="compute") as thread:
        return thread.submit(work).result()


class Foreground:
    """Two lines, of photos to look at and of photos to learn, whose work runs one at a time, from each in turn."""

    def __init__(self) -> None:
        self._moved = threading.Condition()
        self._looking: deque[object] = deque()
        self._learning: deque[object] = deque()
        self._running: object | None = None
        self._learnt_last = True

    def run(self, work: Callable[[], T], *, learning: bool) -> T:
        """Run work when its turn comes, in a thread of its own; return, or raise, what it does."""
        place, line = object(), self._learning if learning else self._looking
        with self._moved:
            line.append(place)
            self._moved.wait_for(lambda: self._running is None and self._next() is place)
            self._running, self._learnt_last = place, learning
        try:
            return in_thread(work)
        finally:
            with self._moved:
                line.remove(place)
                self._running = None
                self._moved.notify_all()

    def give_way(self) -> float:
        """Wait until no photo is looked at, for at most PAUSE_S; return the seconds that this took."""
        began = time.monotonic()
        with self._moved:
            self._moved.wait_for(lambda: not self._looking, PAUSE_S)
        return time.monotonic() - began

    def _next(self) -> object:
        lines = (self._looking, self._learning) if self._learnt_last else (self._learning, self._looking)
        return (lines[0] or lines[1])[0]


_foreground = Foreground()


def in_foreground(work: Callable[[], T], *, learning: bool = False) -> T:
    """Run the encoding of a photo, to be looked at or learnt, when its turn comes; see `Foreground.run`."""
    return _foreground.run(work, learning=learning)


def give_way() -> float:
    """Let photos be looked at before an answer's next token; see `Foreground.give_way`."""
    return _foreground.give_way()

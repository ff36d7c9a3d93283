"""Run work in short-lived threads, and what somebody looks at before what somebody reads.

On a CPU every thread that ever computed keeps its own team of workers for as long as it lives. With more of them than
cores, teams stop waiting for one another actively: on two cores a language model then speaks at a third of its speed.
So each piece of work gets a thread, and a number of cores, of its own. Photos are encoded SIDE_BY_SIDE, each with its
share of the cores: on two cores a sharp photo takes 0.34 s with one of them and 0.42 s with both.
Photos to look at and photos to learn take turns, so that nobody's look waits for all that others add. An answer under
way pauses between two tokens while a photo is looked at. Threads `in_background` hold nobody up.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import TypeVar

T = TypeVar("T")

PAUSE_S = 0.2
"""How long an answer pauses before a token at most, about the time that one photo takes: it goes on, if slowly, while
photos come without end."""


SIDE_BY_SIDE = 2
"""Photos that are encoded at once at most."""


@cache
def cores() -> int:
    """Return how many cores torch computes with, as it was set up: call this before `use_cores`."""
    import torch

    return torch.get_num_threads()


def use_cores(share: int = 1) -> None:
    """Let this thread compute with all cores, or with one part of `share`; what others set does not count here."""
    import torch

    torch.set_num_threads(max(1, cores() // share))


def in_thread(work: Callable[[], T], *, share: int = 1) -> T:
    """Run work in a thread of its own, with one part of `share` of the cores; return, or raise, what it does."""
    with ThreadPoolExecutor(1, "compute", initializer=partial(use_cores, share)) as thread:
        return thread.submit(work).result()


class Foreground:
    """Two lines, of photos to look at and of photos to learn; work runs SIDE_BY_SIDE, from each line in turn."""

    def __init__(self) -> None:
        self._moved = threading.Condition()
        self.looking: deque[object] = deque()
        self.learning: deque[object] = deque()
        self._running: set[object] = set()
        self._learnt_last = True

    def run(self, work: Callable[[], T], *, learning: bool) -> T:
        """Run work when its turn comes, in a thread of its own; return, or raise, what it does."""
        place, line = object(), self.learning if learning else self.looking
        with self._moved:
            line.append(place)
            self._moved.wait_for(lambda: len(self._running) < SIDE_BY_SIDE and self._next() is place)
            self._running.add(place)
            self._learnt_last = learning
            self._moved.notify_all()
        try:
            return in_thread(work, share=SIDE_BY_SIDE)
        finally:
            with self._moved:
                line.remove(place)
                self._running.remove(place)
                self._moved.notify_all()

    def give_way(self) -> float:
        """Wait until no photo is looked at, for at most PAUSE_S; return the seconds that this took."""
        began = time.monotonic()
        with self._moved:
            self._moved.wait_for(lambda: not self.looking, PAUSE_S)
        return time.monotonic() - began

    def _next(self) -> object:
        lines = (self.looking, self.learning) if self._learnt_last else (self.learning, self.looking)
        return next(place for line in lines for place in line if place not in self._running)


foreground = Foreground()

BACKGROUND_NICENESS = 19
"""The least of priorities (POSIX)."""
_background = threading.local()


def in_background() -> None:
    """Let what this thread does from now on hold up nobody: its photos line up with those to learn.

    Where threads have priorities of their own, which is on Linux, it and those that it starts get the least.
    """
    _background.here = True
    if sys.platform == "linux" and threading.get_native_id() != os.getpid():
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), BACKGROUND_NICENESS)


def in_foreground(work: Callable[[], T], *, learning: bool = False) -> T:
    """Run the encoding of a photo, to be looked at or learnt, when its turn comes; see `Foreground.run`."""
    return foreground.run(work, learning=learning or getattr(_background, "here", False))


def give_way() -> float:
    """Let photos be looked at before an answer's next token; see `Foreground.give_way`."""
    return foreground.give_way()

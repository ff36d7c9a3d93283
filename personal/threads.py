"""Run work in short-lived threads, and what somebody looks at before what somebody reads.

On a CPU every thread that ever computed keeps its own team of workers for as long as it lives. With more of them than
cores, teams stop waiting for one another actively: on two cores a language model then speaks at a third of its speed.
Photos are encoded one at a time, for the same reason: side by side they take as long together, and each as long as all.
An answer under way pauses between two tokens while one is encoded.
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

_line: deque[object] = deque()
_moved = threading.Condition()


def in_thread(work: Callable[[], T]) -> T:
    """Run work in a thread of its own and return, or raise, what it does."""
    with ThreadPoolExecutor(1, thread_name_prefix="compute") as thread:
        return thread.submit(work).result()


def in_foreground(work: Callable[[], T]) -> T:
    """Run work in a thread of its own, in the order of the calls, one at a time, while answers give way to it."""
    place = object()
    with _moved:
        _line.append(place)
        _moved.wait_for(lambda: _line[0] is place)
    try:
        return in_thread(work)
    finally:
        with _moved:
            _line.remove(place)
            _moved.notify_all()


def give_way() -> float:
    """Wait for work in the foreground, for at most PAUSE_S; return the seconds that this took."""
    began = time.monotonic()
    with _moved:
        _moved.wait_for(lambda: not _line, PAUSE_S)
    return time.monotonic() - began

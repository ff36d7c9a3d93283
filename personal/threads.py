"""Compute in threads that end.

On a CPU every thread that ever computed keeps its own team of workers for as long as it lives. With more of them than
cores, teams stop waiting for one another actively: on two cores a language model then speaks at a third of its speed.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def in_thread(work: Callable[[], T]) -> T:
    """Do work in a thread of its own and return, or raise, what it does."""
    with ThreadPoolExecutor(1, thread_name_prefix="compute") as thread:
        return thread.submit(work).result()

"""Keep the process small: limit the number of heaps, and return free memory. Does nothing without glibc."""

from __future__ import annotations

import ctypes
from contextlib import suppress

M_ARENA_MAX, M_MMAP_MAX, M_TOP_PAD, M_TRIM_THRESHOLD = -8, -4, -2, -1
"""Parameters of glibc's mallopt (malloc.h)."""
ARENAS = 2
"""Heaps of the process. The default is eight per core, and each keeps the most that its threads ever needed: with tens
of visitors on two cores 1.2 GB, most of it free."""


def limit_arenas() -> None:
    """Let all threads share ARENAS heaps. Call it before any thread starts."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").mallopt(M_ARENA_MAX, ARENAS)


def keep_freed() -> None:
    """Keep freed memory in the process until `give_back`: asking for it anew takes a third of a training step."""
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        for option, value in ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, 2**31 - 1), (M_TOP_PAD, 2**28)):
            libc.mallopt(option, value)


def give_back() -> None:
    """Return free memory to the system."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)

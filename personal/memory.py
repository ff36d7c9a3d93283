"""Keep the process small: few heaps, and what is free goes back to the system. Does nothing without glibc."""

from __future__ import annotations

import ctypes
from contextlib import suppress

M_ARENA_MAX, M_MMAP_MAX, M_TOP_PAD, M_TRIM_THRESHOLD = -8, -4, -2, -1
"""Parameters of glibc's mallopt (malloc.h)."""
ARENAS = 2
"""Heaps of the process. By default there are eight a core, each of which keeps the most that its threads ever needed:
with tens of visitors on two cores 1.2 GB, most of it free."""


def limit_arenas() -> None:
    """Let all threads share ARENAS heaps; to be called before there are any."""
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

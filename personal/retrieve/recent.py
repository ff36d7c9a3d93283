"""A small cache that forgets what was used longest ago."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Recent(Generic[Value]):
    """Hold at most `size` values by key; safe for use from several threads."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._held: OrderedDict[str, Value] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> Value | None:
        """Return what is held under `key`, or None."""
        with self._lock:
            if key in self._held:
                self._held.move_to_end(key)
            return self._held.get(key)

    def put(self, key: str, value: Value) -> None:
        """Hold `value`; let go of what was used longest ago."""
        with self._lock:
            self._held[key] = value
            self._held.move_to_end(key)
            while len(self._held) > self.size:
                self._held.popitem(last=False)

    def clear(self) -> None:
        """Let go of everything."""
        with self._lock:
            self._held.clear()

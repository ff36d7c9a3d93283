"""A cache that drops what was used longest ago: the only one of this kind."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """Hold values by key that together `weigh` at most `size`; by default each weighs 1. Safe for several threads."""

    def __init__(self, size: int, weigh: Callable[[Value], int] = lambda value: 1) -> None:
        self.size = size
        self.weight = 0
        self._weigh = weigh
        self._values: OrderedDict[Key, Value] = OrderedDict()
        self._lock = threading.RLock()

    def __iter__(self) -> Iterator[Key]:
        """Yield the keys that are there now, the one used longest ago first."""
        with self._lock:
            return iter(list(self._values))

    def get(self, key: Key) -> Value | None:
        """Return the value of `key`, or None."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def put(self, key: Key, value: Value) -> None:
        """Hold `value`; drop what was used longest ago, and itself if it alone is too heavy."""
        with self._lock:
            self.drop([key])
            self._values[key] = value
            self.weight += self._weigh(value)
            while self.weight > self.size:
                self.weight -= self._weigh(self._values.popitem(last=False)[1])

    def drop(self, keys: Iterable[Key]) -> None:
        """Drop values; those that are not there are skipped."""
        with self._lock:
            for key in keys:
                if key in self._values:
                    self.weight -= self._weigh(self._values.pop(key))

    def clear(self) -> None:
        """Drop everything."""
        with self._lock:
            self._values.clear()
            self.weight = 0

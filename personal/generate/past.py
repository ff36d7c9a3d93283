"""Keep what a model has read: the next question on the same photos costs its own words alone.

The key-value cache of one conversation, the last, is kept with the tokens and pictures it stands for. A prompt that
begins alike goes on from there; whatever differs, from a changed note to another photo, is read afresh.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from transformers import DynamicCache
from transformers.cache_utils import DummyLayer, DynamicLayer, DynamicSlidingWindowLayer

ROOM = 256
"""Tokens for which room is made at once."""
GROWING = {DynamicLayer, DynamicSlidingWindowLayer}
"""Layers that Roomy stands for; what a sliding window leaves out, the mask leaves out, too."""


class Roomy(DynamicLayer):  # type: ignore[misc]
    """A layer of a cache that grows in place, instead of being copied for every token."""

    keys: Any
    values: Any
    _buffers: tuple[Any, Any] | None = None

    def update(self, key_states: Any, value_states: Any, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        known, new = self.get_seq_length(), key_states.shape[-2]
        rows, heads, _, width = key_states.shape
        if self._buffers is None or known + new > self._buffers[0].shape[-2] or self._buffers[0].shape[0] != rows:
            size = (rows, heads, known + new + ROOM)
            buffers = (key_states.new_empty(*size, width), value_states.new_empty(*size, value_states.shape[-1]))
            for buffer, old in zip(buffers, (self.keys, self.values), strict=True):
                if known:
                    buffer[..., :known, :] = old
            self._buffers = buffers
        keys, values = self._buffers
        keys.narrow(-2, known, new).copy_(key_states)
        values.narrow(-2, known, new).copy_(value_states)
        self.keys, self.values = keys.narrow(-2, 0, known + new), values.narrow(-2, 0, known + new)
        return self.keys, self.values


def empty(config: Any) -> DynamicCache:
    """Return a cache in which nothing was read yet."""
    cache = DynamicCache(config=config)
    cache.layers = [Roomy() if type(layer) in GROWING else layer for layer in cache.layers]
    return cache


class Past:
    """What was read last: a cache, its tokens, and the pictures among them by content hash."""

    def __init__(self) -> None:
        self._cache: Any = None
        self._tokens: list[int] = []
        self._pictures: list[object] = []

    def recall(self, config: Any, tokens: Sequence[int], pictures: Sequence[object], marks: Collection[int]) -> Any:
        """Return the cache of as much of a prompt as is known, at least one token short of it; empty where nothing is.

        What is left to read must hold none of the tokens `marks`.
        """
        cache, known = self._cache, 0
        if cache is not None and all(one == other for one, other in zip(self._pictures, pictures, strict=False)):
            known = min(_alike(self._tokens, tokens), len(tokens) - 1)
        self.clear()
        if known and not set(tokens[known:]) & set(marks):
            surplus = cache.get_seq_length() - known
            if surplus:
                cache.crop(-surplus)
            return cache
        return empty(config)

    def keep(self, cache: Any, tokens: Sequence[int], pictures: Sequence[object]) -> None:
        """Keep the cache of a prompt and its answer, where it can be shortened again."""
        if cache.layers and all(type(layer) in {Roomy, DummyLayer} for layer in cache.layers):
            self._cache, self._pictures = cache, list(pictures)
            self._tokens = list(tokens[: cache.get_seq_length()])

    def clear(self) -> None:
        """Forget it."""
        self._cache, self._tokens, self._pictures = None, [], []


def _alike(one: Sequence[int], other: Sequence[int]) -> int:
    """Count the tokens with which both begin."""
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))

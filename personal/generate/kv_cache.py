"""Reuse the key-value cache of the last conversation for follow-up questions.

The cache is kept with the tokens and images that it was computed from. A prompt with the same prefix continues from
there; anything that differs, from a changed note to another photo, is computed again.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from transformers import DynamicCache
from transformers.cache_utils import DummyLayer, DynamicLayer, DynamicSlidingWindowLayer

GROW_BY = 256
"""Tokens by which a buffer grows."""
GROWING = {DynamicLayer, DynamicSlidingWindowLayer}
"""Layers that PreallocatedLayer replaces; the attention mask still applies a sliding window."""


class PreallocatedLayer(DynamicLayer):  # type: ignore[misc]
    """A cache layer with spare capacity, so that a new token does not copy the whole cache."""

    keys: Any
    values: Any
    _buffers: tuple[Any, Any] | None = None

    def update(self, key_states: Any, value_states: Any, *args: Any, **kwargs: Any) -> tuple[Any, Any]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        known, new = self.get_seq_length(), key_states.shape[-2]
        rows, heads, _, width = key_states.shape
        if self._buffers is None or known + new > self._buffers[0].shape[-2] or self._buffers[0].shape[0] != rows:
            size = (rows, heads, known + new + GROW_BY)
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
    """Return an empty cache."""
    cache = DynamicCache(config=config)
    cache.layers = [PreallocatedLayer() if type(layer) in GROWING else layer for layer in cache.layers]
    return cache


class PrefixCache:
    """The cache of the last prompt, with its tokens and the content hashes of its images."""

    def __init__(self) -> None:
        self.cache: Any = None
        self.tokens: list[int] = []
        self._pictures: list[object] = []

    def recall(self, config: Any, tokens: Sequence[int], pictures: Sequence[object], marks: Collection[int]) -> Any:
        """Return the cache of the longest known prefix, at least one token shorter than the prompt; else an empty one.

        The remaining tokens must contain none of `marks`.
        """
        cache, known = self.cache, 0
        if cache is not None and all(one == other for one, other in zip(self._pictures, pictures, strict=False)):
            known = min(_common_prefix(self.tokens, tokens), len(tokens) - 1)
        self.clear()
        if known and not set(tokens[known:]) & set(marks):
            surplus = cache.get_seq_length() - known
            if surplus:
                cache.crop(-surplus)
            return cache
        return empty(config)

    def keep(self, cache: Any, tokens: Sequence[int], pictures: Sequence[object]) -> None:
        """Keep the cache of a prompt and its answer, if it can be cropped."""
        if cache.layers and all(type(layer) in {PreallocatedLayer, DummyLayer} for layer in cache.layers):
            self.cache, self._pictures = cache, list(pictures)
            self.tokens = list(tokens[: cache.get_seq_length()])

    def clear(self) -> None:
        """Drop the cache."""
        self.cache, self.tokens, self._pictures = None, [], []


def _common_prefix(one: Sequence[int], other: Sequence[int]) -> int:
    """Count the leading tokens that are equal."""
    return next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))

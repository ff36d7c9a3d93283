"""Decode answers: token by token from the cache of the last conversation, or several side by side."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch

from personal.generate.biasing import Bias
from personal.generate.image_features import ImageFeatureCache
from personal.generate.kv_cache import PrefixCache, empty
from personal.generate.streaming import Tokens, has_repetition
from personal.generate.templating import Prompt, PromptEncoder


class Decoder:
    """Decodes with one loaded model. What it caches is of its own conversation; a new Decoder knows nothing of it."""

    def __init__(self, model: Any, prompts: PromptEncoder, features: ImageFeatureCache) -> None:
        self._model = model
        self._prompts = prompts
        self.features = features
        self.prefix = PrefixCache()

    def generate(
        self, prompt: Prompt, tokens: Tokens, max_new_tokens: int, temperature: float, over: Callable[[], bool]
    ) -> None:
        """Put the tokens of an answer into `tokens` until it ends, repeats itself, or `over` returns true."""
        start = prompt.inputs["input_ids"].shape[1]
        cache, inputs = self._recall(prompt)

        def halted(ids: Any, _scores: Any, **_: Any) -> Any:
            end = over() or has_repetition(ids[0, start:].tolist())
            return torch.full((ids.shape[0],), end, device=ids.device, dtype=torch.bool)

        options = {"stopping_criteria": [halted], "logits_processor": [Bias(start, [prompt.expected])]}
        ids = self._continue(inputs, cache, max_new_tokens, temperature, streamer=tokens, **options)
        self.prefix.keep(cache, ids[0].tolist(), prompt.images)

    def batch(self, prompts: Sequence[Prompt], max_new_tokens: int) -> list[list[int]] | None:
        """Return the tokens of greedy answers; None if the model does not accept image features."""
        rows = [self._features_of(prompt) for prompt in prompts]
        if any(row is None and prompt.images for row, prompt in zip(rows, prompts, strict=True)):
            return None
        config = self._model.generation_config
        inputs = left_padded_batch([prompt.inputs for prompt in prompts], config.pad_token_id or 0)
        if any(rows):
            inputs |= self.features.as_inputs([torch.cat(layer) for layer in zip(*filter(None, rows), strict=True)], 0)
        start, ends = inputs["input_ids"].shape[1], [0] * len(prompts)
        eos = config.eos_token_id
        last = {eos} if isinstance(eos, int) else set(eos or ())

        def halted(ids: Any, _scores: Any, **_: Any) -> Any:
            for row, said in enumerate(ids[:, start:].tolist()):
                if not ends[row] and (said[-1] in last or has_repetition(said)):
                    ends[row] = len(said)
            return torch.tensor(ends, device=ids.device) > 0

        options = {"stopping_criteria": [halted], "logits_processor": [Bias(start, [p.expected for p in prompts])]}
        ids = self._continue(inputs, empty(self._model.config), max_new_tokens, 0.0, **options)
        answers = ids[:, start:].tolist()
        return [answer[: end or None] for answer, end in zip(answers, ends, strict=True)]

    def _continue(
        self, inputs: dict[str, Any], cache: Any, max_new_tokens: int, temperature: float, **options: Any
    ) -> Any:
        """Generate from a cache; return all ids, (rows, tokens)."""
        config = copy.deepcopy(self._model.generation_config)
        config.update(max_new_tokens=max_new_tokens, max_length=None, do_sample=temperature > 0)
        if temperature > 0:
            config.update(temperature=temperature)
        else:
            config.update(temperature=None, top_p=None, top_k=None)
        if hasattr(inner := self._model.base_model, "rope_deltas"):
            inner.rope_deltas = None  # Qwen-VL: positions left by the prompt before would be taken for this one's
        with torch.inference_mode():
            return self._model.generate(**inputs, past_key_values=cache, generation_config=config, **options)

    def _recall(self, prompt: Prompt) -> tuple[Any, dict[str, Any]]:
        """Return the cache to continue from, and the inputs with images still to be read, if possible as features."""
        tokens, inputs = prompt.ids, prompt.inputs
        mark = getattr(self._model.config, "image_token_id", None)
        rows = self._features_of(prompt)
        unread = set() if rows is not None or mark is None else {mark}
        cache = self.prefix.recall(self._model.config, tokens, prompt.images, unread)
        known = cache.get_seq_length()
        if known or rows is not None:
            inputs = {name: value for name, value in inputs.items() if not name.startswith("pixel_")}
        if rows is not None and mark in tokens[known:]:
            inputs |= self.features.as_inputs(rows, tokens[:known].count(mark))
        return cache, inputs

    def _features_of(self, prompt: Prompt) -> list[Any] | None:
        """Return the features of a prompt's images; None if it has none, or the model does not accept them.

        The features are those of each image alone. If a model counts other tokens for it among others, its pixels are
        read.
        """
        images = prompt.images
        rows = self.features.features(images, lambda: self._prompts.open_images(prompt.messages)) if images else None
        mark: Any = getattr(self._model.config, "image_token_id", None)
        marks = prompt.ids.count(mark)
        return rows if rows is not None and len(rows[0]) == marks else None


def left_padded_batch(prompts: Sequence[dict[str, Any]], padding: int) -> dict[str, Any]:
    """Join the inputs of prompts: token inputs padded at the left, image inputs concatenated."""
    widest = max(prompt["input_ids"].shape[1] for prompt in prompts)
    inputs: dict[str, Any] = {}
    for name in dict.fromkeys(name for prompt in prompts for name in prompt if not name.startswith("pixel_")):
        parts = [prompt[name] for prompt in prompts if name in prompt]
        if len(parts) == len(prompts) and all(
            part.shape == prompt["input_ids"].shape for part, prompt in zip(parts, prompts, strict=True)
        ):
            value = padding if name == "input_ids" else 0
            parts = [torch.nn.functional.pad(part, (widest - part.shape[1], 0), value=value) for part in parts]
        inputs[name] = torch.cat(parts)
    return inputs

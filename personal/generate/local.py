"""Answer with a language model that runs here: transformers and, for four bits, packed weights or bitsandbytes.

Opens any image-text-to-text checkpoint, or a text-only one, from a folder or the model hub. The model is loaded once,
at the first answer or by `load`, and freed by `unload`; one answer is generated at a time
(`personal.generate.switching` sees to that).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personal.concepts import Progress, TextDelta
from personal.errors import ModelError
from personal.generate.budget import AVATAR_TOKENS, PHOTO_TOKENS
from personal.generate.loading import Checkpoint, explain, free
from personal.generate.streaming import Tokens, decode_tokens, stream_deltas, strip_reasoning
from personal.generate.templating import PromptEncoder
from personal.images import open_photo
from personal.labels import Classifier
from personal.labels import read as read_classifier
from personal.messages import Message
from personal.threads import in_thread

if TYPE_CHECKING:
    from personal.generate.decoding import Decoder
    from personal.generate.labelling import Labeller


PATIENCE_S = 60.0
"""Seconds that a stopped answer may take to its next token before its model is freed all the same."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A loaded model, and what is cached of a conversation with it: `LocalGenerator.clear` replaces the latter."""

    model: Any
    processor: Any
    prompts: PromptEncoder
    decoder: Decoder
    labeller: Labeller | None

    def decode(self, ids: list[int]) -> str:
        """Return the text of token ids, without special tokens."""
        text = self.prompts.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return str(text)


class LocalGenerator:
    """A Generator on this machine. `source` is a folder or a hub id; `name` is what people call it.

    A photo costs at most `photo_tokens` tokens, an avatar `avatar_tokens`, if the model's processor leaves a choice.
    `device` and `quantization` are those of `personal.generate.loading.Checkpoint`.
    """

    concurrency = 1
    server = ""
    """No server answers: the model runs here."""

    def __init__(
        self,
        source: str,
        *,
        device: str = "auto",
        quantization: str = "4bit",
        name: str | None = None,
        photo_tokens: int = PHOTO_TOKENS,
        avatar_tokens: int = AVATAR_TOKENS,
    ) -> None:
        self.source = source
        self.name = name or source
        self.checkpoint = Checkpoint(source, self.name, device, quantization)
        self.loaded: Loaded | None = None
        self._budgets = {"photo_tokens": photo_tokens, "avatar_tokens": avatar_tokens}
        self._loading = threading.Lock()
        self._computing = threading.Lock()
        """Held while an answer is computed: one that was stopped may still be at its prompt."""

    @property
    def sees(self) -> bool:
        """Whether the model is given the photos themselves. Raises ModelError if there is no such model."""
        return self.checkpoint.multimodal and self.checkpoint.marks.get("sees") is not False

    @property
    def single_turn(self) -> bool:
        """Whether the model learnt on single questions: what was said before only confuses it."""
        return self.checkpoint.marks.get("single_turn") is True

    @property
    def verifies(self) -> bool:
        """Whether the model is asked to confirm doubtful matches (`ModelSpec.verifies`)."""
        spec = self.checkpoint.spec
        return bool(spec and spec.verifies)

    @property
    def description(self) -> str:
        """Where and in which numbers the model computes, and why."""
        plan = self.checkpoint.plan
        return f"{plan.bits} on {plan.device} ({plan.reason})"

    @cached_property
    def _classifier(self) -> Classifier | None:
        """What labels photos for a checkpoint that was trained to read labels."""
        return read_classifier(Path(self.source))

    def health(self) -> str:
        """Return where the model runs."""
        return f"{self.name} runs here: {self.description}."

    def load(self) -> Iterator[Progress]:
        """Load the model unless it is loaded, yielding progress. Raises ModelError."""
        if self.loaded is not None:
            return
        yield Progress(f"Loading {self.name}: {self.description}")
        with self._loading:
            if self.loaded is None:
                try:
                    self.loaded = in_thread(lambda: self._with_empty_caches(*self.checkpoint.open()))
                except ModelError:
                    free()
                    raise
        yield Progress(f"{self.name} is loaded", 1, 1)

    def unload(self) -> None:
        """Free the model's memory; the next answer loads it again."""
        idle = self._computing.acquire(timeout=PATIENCE_S)
        self.loaded = None
        free()
        if idle:
            self._computing.release()

    def clear(self) -> None:
        """Drop the caches of the conversation; those that an answer under way holds go with it."""
        if self.loaded is not None:
            self.loaded = self._with_empty_caches(self.loaded.model, self.loaded.processor)

    def stream(
        self, messages: Sequence[Message], *, max_new_tokens: int, stop: threading.Event, temperature: float = 0.0
    ) -> Iterator[TextDelta]:
        """Answer the messages of `prompt.build_messages`, in TextDeltas.

        Greedy unless `temperature` is above 0. Setting `stop`, or closing the iterator, ends it at the next token.
        Raises ModelError.
        """
        loaded, halt = self._ready(), threading.Event()
        dropped_turns, in_reasoning = 0, False

        def over() -> bool:
            return stop.is_set() or halt.is_set()

        def generate(tokens: Tokens) -> None:
            nonlocal dropped_turns, in_reasoning
            with self._computing:
                if over():
                    return
                self._prepare(loaded)
                prompt = loaded.prompts.fit(messages, max_new_tokens)
                dropped_turns, in_reasoning = prompt.dropped_turns, prompt.in_reasoning
                loaded.decoder.generate(prompt, tokens, max_new_tokens, temperature, over)

        silent = True
        with self._translate_errors():
            for delta in strip_reasoning(stream_deltas(generate, loaded.decode, halt, stop), lambda: in_reasoning):
                yield replace(delta, dropped_turns=dropped_turns) if silent else delta
                silent = False
        if silent and in_reasoning and not stop.is_set():
            raise self._only_reasoned(max_new_tokens)

    def answers(self, asked: Sequence[Sequence[Message]], *, max_new_tokens: int) -> list[str]:
        """Answer conversations side by side, greedily, each as `stream` would except for rounding.

        Fewer at once if the GPU's memory is too small for all; one after the other if the model does not accept image
        features. Raises ModelError, for all of them, if one cannot be answered.
        """
        import torch

        self._ready()
        with self._translate_errors():
            try:
                texts = in_thread(lambda: self.batch(asked, max_new_tokens)) if asked else []
            except torch.OutOfMemoryError:
                if len(asked) == 1:
                    raise
                texts = []
        if texts is None:
            return [self._alone(messages, max_new_tokens) for messages in asked]
        if len(texts) < len(asked):
            free()
            half = len(asked) // 2
            parts = (self.answers(part, max_new_tokens=max_new_tokens) for part in (asked[:half], asked[half:]))
            return [text for part in parts for text in part]
        return texts

    def batch(self, asked: Sequence[Sequence[Message]], max_new_tokens: int) -> list[str] | None:
        """Return the texts of answers decoded side by side; None if the model does not accept image features."""
        loaded = self._ready()
        with self._computing:
            prompts = [loaded.prompts.fit(messages, max_new_tokens) for messages in asked]
            rows = loaded.decoder.batch(prompts, max_new_tokens)
        if rows is None:
            return None
        texts = []
        for row, prompt in zip(rows, prompts, strict=True):
            deltas = strip_reasoning(decode_tokens(row, loaded.decode), partial(bool, prompt.in_reasoning))
            texts.append("".join(delta.text for delta in deltas))
            if prompt.in_reasoning and not texts[-1]:
                raise self._only_reasoned(max_new_tokens)
        return texts

    def _alone(self, messages: Sequence[Message], max_new_tokens: int) -> str:
        """Answer one conversation without the cache of another."""
        self.clear()
        deltas = self.stream(messages, max_new_tokens=max_new_tokens, stop=threading.Event())
        return "".join(delta.text for delta in deltas)

    def _prepare(self, loaded: Loaded) -> None:
        """Do nothing: the model is where it computes."""

    def _ready(self) -> Loaded:
        for _ in self.load():
            pass
        assert self.loaded is not None
        return self.loaded

    def _with_empty_caches(self, model: Any, processor: Any) -> Loaded:
        from personal.generate.decoding import Decoder
        from personal.generate.image_features import ImageFeatureCache
        from personal.generate.labelling import Labeller

        features = ImageFeatureCache(model, processor)
        classifier = self._classifier if self.checkpoint.marks.get("labels") else None
        labeller = Labeller(model, features, classifier, open_photo) if classifier else None
        prompts = PromptEncoder(
            model,
            processor,
            self.name,
            multimodal=self.checkpoint.multimodal,
            one_image=self.checkpoint.one_image,
            labels=labeller.labels if labeller else None,
            **self._budgets,
        )
        return Loaded(model, processor, prompts, Decoder(model, prompts, features), labeller)

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        """Raise what the libraries raise while they compute as a ModelError."""
        try:
            yield
        except (RuntimeError, ValueError, IndexError, MemoryError) as error:
            self.clear()
            raise ModelError(f"{self.name} could not answer: {explain(error)}") from error

    def _only_reasoned(self, max_new_tokens: int) -> ModelError:
        return ModelError(
            f"{self.name} thought for all {max_new_tokens} tokens that an answer may have. "
            "Raise PERSONAL_MAX_NEW_TOKENS."
        )

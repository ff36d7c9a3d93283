"""Answers on Hugging Face's ZeroGPU, which lends a GPU for one call at a time, to a process forked for it.

The model is loaded once, into the CPU memory of the app's own process, where no GPU may be touched. A forked process
shares it and moves it to its GPU at its first answer; it may or may not serve the next answer. Messages and TextDeltas
are pickled between the two processes. So no cache is kept between answers, because a forgotten concept could not be
removed from it, and the model cannot be switched, because running processes would not know the new one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

from personal.concepts import TextDelta
from personal.errors import ModelError
from personal.generate.local import Loaded, LocalGenerator
from personal.messages import Message

DEVICE = "cuda"
"""The device to which a forked process moves the model."""
BEFORE_S, TOKENS_PER_S, LONGEST_S = 20, 10, 120
"""The seconds asked for: to fork, move and prefill, then decoding at this speed; guessed low, not measured."""

Said = Generator[TextDelta | ModelError, None, None]

_models: dict[str, LentGenerator] = {}


class LentGenerator(LocalGenerator):
    """A LocalGenerator whose answers are computed elsewhere, on a GPU lent for each; several may be at once."""

    concurrency = 8
    """Answers at once: ZeroGPU has a queue of its own."""

    def __init__(self, source: str, *, quantization: str = "4bit", **options: Any) -> None:
        if quantization == "8bit":
            raise ModelError(
                "On ZeroGPU a model is opened without the GPU, and bitsandbytes does not carry 8 bits over to one. "
                "Set PERSONAL_QUANTIZATION to 4bit or none."
            )
        bits = "nf4" if quantization == "4bit" else quantization
        super().__init__(source, **{**options, "device": "cpu", "quantization": bits})
        _models[source] = self

    @property
    def description(self) -> str:
        """Return in words where and in which number format the model computes."""
        return f"{self.checkpoint.plan.bits} on a GPU that ZeroGPU lends for each answer"

    def stream(
        self, messages: Sequence[Message], *, max_new_tokens: int, stop: threading.Event, temperature: float = 0.0
    ) -> Iterator[TextDelta]:
        """Answer as a LocalGenerator does. Closing the iterator, or `stop`, is noticed with the next TextDelta.

        Raises ModelError, also where no GPU is lent or it is taken back.
        """
        for _ in self.load():
            pass
        said = announce()(self.source, list(messages), max_new_tokens, temperature)
        try:
            while not stop.is_set() and (piece := _next(said)):
                yield piece
        finally:
            said.close()

    def batch(self, *_: Any) -> None:
        """Return None: questions are answered one by one, each on a GPU lent for it."""

    def _prepare(self, loaded: Loaded) -> None:
        """Move the model to the GPU that was lent."""
        loaded.model.to(DEVICE)


def announce() -> Callable[[str, list[Message], int, float], Said]:
    """Register work with ZeroGPU, and return it as it is done there.

    It wants to be told in the main thread, before the page is served and before bitsandbytes is opened.
    """
    import spaces

    lent: Callable[[str, list[Message], int, float], Said] = spaces.GPU(duration=gpu_seconds)(answer_on_gpu)
    return lent


def gpu_seconds(_source: str, _messages: list[Message], max_new_tokens: int, _temperature: float) -> int:
    """Return the seconds of GPU to request: ZeroGPU ends what takes longer, and shorter requests go first."""
    return min(BEFORE_S + max_new_tokens // TOKENS_PER_S, LONGEST_S)


def answer_on_gpu(source: str, messages: list[Message], max_new_tokens: int, temperature: float) -> Said:
    """Answer, in the forked process. A ModelError is yielded: of what is raised there only its class gets across."""
    model, stop = _models[source], threading.Event()
    try:
        yield from LocalGenerator.stream(
            model, messages, max_new_tokens=max_new_tokens, stop=stop, temperature=temperature
        )
    except ModelError as error:
        yield error
    finally:
        model.clear()


def _next(said: Said) -> TextDelta | None:
    """Wait for what is said next, None at the end. Raises ModelError for whatever ZeroGPU raises."""
    try:
        piece = next(said, None)
    except Exception as error:
        reason = str(getattr(error, "message", error)).rstrip(".") or type(error).__name__
        raise ModelError(f"ZeroGPU gave no answer: {reason}. Try again in a while.") from error
    if isinstance(piece, ModelError):
        raise piece
    return piece

"""A generator whose model can be switched while the app runs, with a fair queue in front of it.

A model on this machine answers one question at a time, a server several (`concurrency`). Turns are shared among owners
(`personal.generate.fair_queue`). Questions wait while the model is switched; if the new one cannot be loaded, the old
one answers them.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Protocol

from personal.concepts import Progress, TextDelta, Waiting
from personal.errors import ModelError, PersonalError
from personal.generate.fair_queue import FairQueue
from personal.messages import Message
from personal.parts import LanguageModel

BATCH, SWITCH = "a batch of questions", "a change of models"
"""Names in the queue for work that belongs to no owner."""


class Model(LanguageModel, Protocol):
    """A model: `personal.generate.local.LocalGenerator` or `personal.generate.remote.RemoteGenerator`."""

    concurrency: int

    def unload(self) -> None: ...
    def stream(
        self, messages: Sequence[Message], *, max_new_tokens: int, stop: threading.Event, temperature: float = 0.0
    ) -> Iterator[Waiting | TextDelta]: ...


class SwitchableGenerator:
    """A Generator that answers with the current Model."""

    def __init__(self, model: Model, *, per_hour: int = 0) -> None:
        """`per_hour` is how many questions an owner may ask within an hour; 0: as many as they like."""
        self.model = model
        self.queue = FairQueue(model.concurrency, per_hour=per_hour)

    @property
    def name(self) -> str:
        return self.model.name

    @property
    def sees(self) -> bool:
        return self.model.sees

    @property
    def verifies(self) -> bool:
        """Whether the model can be trusted to tell a concept from its look-alike (`personal.generate.verify`)."""
        return self.model.verifies

    @property
    def single_turn(self) -> bool:
        return self.model.single_turn

    @property
    def description(self) -> str:
        return self.model.description

    @property
    def server(self) -> str:
        """The host that answers; empty if the model runs on this machine."""
        return self.model.server

    def health(self) -> str:
        """Return in a sentence how the server that answers is."""
        return self.model.health()

    def load(self) -> Iterator[Progress]:
        """Load the current model, yielding progress. Raises ModelError."""
        return self.model.load()

    def clear(self) -> None:
        """Drop the caches of the last conversation."""
        self.model.clear()

    def stream(
        self,
        messages: Sequence[Message],
        *,
        max_new_tokens: int,
        stop: threading.Event,
        temperature: float = 0.0,
        owner: str = "",
    ) -> Iterator[Waiting | TextDelta]:
        """Answer an owner: Waiting while others are before it, then TextDeltas. See `LocalGenerator.stream`.

        Raises ModelError, also if a model of another kind was switched in meanwhile, or too many questions wait.
        """
        asked = self.sees, self.single_turn
        ticket = self.queue.join(owner)
        try:
            yield from self.queue.wait(ticket, stop)
            if stop.is_set():
                return
            model = self.model
            if (model.sees, model.single_turn) != asked:
                raise ModelError(f"{model.name} took the place while your question waited. Ask it again.")
            yield from model.stream(messages, max_new_tokens=max_new_tokens, stop=stop, temperature=temperature)
        finally:
            self.queue.leave(ticket)

    def answers(self, asked: Sequence[Sequence[Message]], *, max_new_tokens: int) -> list[str]:
        """Answer conversations side by side once it is their turn. See `LocalGenerator.answers`. Raises ModelError."""
        ticket = self.queue.join(BATCH, alone=True)
        try:
            for _ in self.queue.wait(ticket, threading.Event()):
                pass
            return self.model.answers(asked, max_new_tokens=max_new_tokens)
        finally:
            self.queue.leave(ticket)

    def switch(self, model: Model) -> Iterator[Progress]:
        """Switch to another model once the answers under way are over, yielding progress.

        The old model's memory is freed first. If the new one cannot be loaded, or the iterator is closed before the
        end, the old one is loaded again and stays. Raises PersonalError.
        """
        old, ticket = self.model, self.queue.join(SWITCH, alone=True)
        try:
            for waiting in self.queue.wait(ticket, threading.Event()):
                yield Progress(f"Waiting for {_answers(waiting.place)} under way")
            old.unload()
            try:
                yield from model.load()
                self.model, self.queue.places = model, model.concurrency
            except PersonalError as error:
                yield Progress(f"Going back to {old.name}")
                yield from old.load()
                raise type(error)(f"{error} {old.name} goes on answering.") from error
            finally:
                if self.model is not model:
                    model.unload()
        finally:
            self.queue.leave(ticket)


def _answers(count: int) -> str:
    return "the answer" if count == 1 else f"{count} answers"

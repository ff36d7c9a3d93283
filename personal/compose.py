"""Settings → parts → Assistant: where app, shell, evaluation and benchmarks all start.

`library(settings)` opens the disk alone; `build(settings)` makes the whole Assistant, assembling the embedded default
if it is asked for and not there yet; `Opening` does that in the background, so that a screen can show how far it is.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from personal.assistant import Assistant
from personal.concepts import Progress
from personal.errors import PersonalError
from personal.settings import TINY, Settings

if TYPE_CHECKING:
    from personal.generate.switching import Model
    from personal.remember.library import Library

LOCAL = "local"
"""The owner on one's own machine."""

log = logging.getLogger(__name__)


def library(settings: Settings, *, read_only: bool = False, holder: str = "the app") -> Library:
    """Open the concepts on disk. With `read_only` beside whoever holds them, else taking the lock.

    Raises StoreError, which names the process that holds the folder.
    """
    from personal.remember.library import Library

    return Library(settings.data_dir, read_only=read_only, holder=holder)


@dataclass
class Parts:
    """A built Assistant and what must be closed after it, in the reverse order of opening."""

    assistant: Assistant
    _stack: ExitStack = field(repr=False)

    def close(self) -> None:
        self._stack.close()

    def __enter__(self) -> Assistant:
        return self.assistant

    def __exit__(self, *_: object) -> None:
        self.close()


def build(settings: Settings, *, holder: str = "the app") -> Parts:
    """Make the Assistant; wait for the assembly of the embedded default. Raises PersonalError."""
    steps = opening(settings, holder=holder)
    while True:
        try:
            progress = next(steps)
        except StopIteration as end:
            parts: Parts = end.value
            return parts
        log.info("%s %s/%s", progress.text, progress.done, progress.total)


def opening(settings: Settings, *, holder: str = "the app", warm: bool = False) -> Generator[Progress, None, Parts]:
    """Make the Assistant step by step, yielding progress; the generator returns the Parts.

    With `warm` the language model is loaded too, which otherwise happens at the first answer. Raises PersonalError,
    and has closed by then what it had opened.
    """
    with ExitStack() as stack:
        concepts = stack.enter_context(library(settings, holder=holder))
        if TINY in (settings.model, settings.encoder):
            from personal.tiny.assemble import assemble

            yield from assemble(settings.cache_dir)

        from personal.generate.prompt import lay_out
        from personal.generate.switching import Stage
        from personal.remember.index import Index
        from personal.retrieve.encoder import Encoder
        from personal.retrieve.retriever import Retriever
        from personal.tiny.assemble import encoder_dir

        encoder = Encoder(
            str(encoder_dir(settings.cache_dir)) if settings.encoder == TINY else settings.encoder,
            device=settings.device,
        )
        yield Progress("Opening the eye")
        yield from encoder.load()
        index = Index(encoder.id, encoder.dimension, folder=settings.data_dir / "index", url=settings.chroma_url)
        stack.callback(index.close)
        generator = Stage(model(settings))
        assistant = Assistant(
            concepts,
            index,
            Retriever(encoder, index),
            generator,
            lay_out,
            max_new_tokens=settings.max_new_tokens,
            threshold=settings.threshold,
            top_k=settings.top_k,
        )
        for owner in concepts.owners():
            concepts.empty_trash(owner)  # undoing a forget ends with the process
            yield from assistant.reindex(owner)
            index.drop_stale(owner)
        if warm:
            yield Progress("Waking the language model")
            yield from generator.load()
        return Parts(assistant, stack.pop_all())


def model(settings: Settings) -> Model:
    """Make the language model that the settings choose, not yet loaded."""
    from personal.generate.local import LocalGenerator
    from personal.tiny.assemble import mllm_dir

    return LocalGenerator(
        str(mllm_dir(settings.cache_dir)) if settings.model == TINY else settings.model,
        name=settings.model,
        device=settings.device,
        quantization=settings.quantization,
    )


class Opening:
    """An Assistant being made in a thread of its own. Read `progress`, `error` and `assistant` at any time."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.progress = Progress("Starting")
        self.error: PersonalError | None = None
        self._parts: Parts | None = None
        self._done = threading.Event()
        self.start()

    @property
    def assistant(self) -> Assistant | None:
        return self._parts.assistant if self._parts else None

    def start(self) -> None:
        """Begin, or begin again after an error."""
        self.error = None
        self._done.clear()
        threading.Thread(target=self._run, name="opening", daemon=True).start()

    def wait(self, timeout_s: float | None = None) -> Assistant:
        """Wait for the Assistant. Raises the PersonalError that prevented it, or TimeoutError."""
        if not self._done.wait(timeout_s):
            raise TimeoutError(self.progress.text)
        if self._parts is None:
            raise self.error or PersonalError("The assistant was closed.")
        return self._parts.assistant

    def close(self) -> None:
        if self._parts is not None:
            self._parts.close()
            self._parts = None

    def _run(self) -> None:
        steps = opening(self.settings, warm=True)
        try:
            while True:
                self.progress = next(steps)
        except StopIteration as end:
            self._parts = end.value
        except PersonalError as error:
            self.error = error
        except Exception as error:
            log.exception("opening failed")
            self.error = PersonalError(f"Starting failed: {error}. The log has the details; try again.")
        self._done.set()

"""Settings → parts → Assistant: where app, shell, evaluation and benchmarks all start.

`library(settings)` opens the disk alone; `build(settings)` makes the whole Assistant, assembling the embedded default
if it is asked for and not there yet; `Opening` does that in the background, so that a screen can show how far it is.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from personal import owners
from personal.assistant import Assistant
from personal.concepts import Progress
from personal.errors import ModelError, PersonalError
from personal.settings import MAX_TEXT, TINY, Settings
from personal.threads import in_thread

if TYPE_CHECKING:
    from personal.generate.fair_queue import FairQueue
    from personal.generate.switching import Model, SwitchableGenerator
    from personal.remember.index import Index
    from personal.remember.library import Library
    from personal.retrieve.detector import Detector
    from personal.retrieve.encoder import Encoder
    from personal.retrieve.people import People

LOCAL = owners.LOCAL
"""The owner on one's own machine."""
AUTO, SERVER = "auto", "server"
"""Sources of a language model: what fits this machine, and the settings' server."""

log = logging.getLogger(__name__)


def library(settings: Settings, *, read_only: bool = False, holder: str = "the app") -> Library:
    """Open the concepts on disk. With `read_only` beside whoever holds them, else taking the lock.

    Raises StoreError, which names the process that holds the folder.
    """
    from personal.remember.library import Library
    from personal.remember.quota import Quota

    quota = Quota(settings.max_concepts, settings.max_photos, settings.max_owner_bytes)
    return Library(settings.data_dir, read_only=read_only, holder=holder, quota=quota)


@dataclass
class Parts:
    """A built Assistant and what must be closed after it, in the reverse order of opening."""

    assistant: Assistant
    library: Library
    generator: SwitchableGenerator
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
        encoder = yield from _encoder(settings)
        from personal.crops import labelled
        from personal.generate import verify
        from personal.generate.prompt import build_messages
        from personal.generate.switching import SwitchableGenerator
        from personal.retrieve.notes import find_evidence
        from personal.retrieve.retriever import Retriever

        finder = yield from detector(settings)
        index = vector_index(settings, encoder.id, encoder.dimension, "views", concepts.id)
        stack.callback(index.close)
        generator = SwitchableGenerator((yield from model(settings)), per_hour=settings.hourly)
        people = yield from open_people(settings, concepts, stack)
        assistant = Assistant(
            concepts,
            index,
            Retriever(encoder, index, detector=finder, people=people),
            generator,
            partial(build_messages, label=labelled) if settings.visual_prompt else build_messages,
            max_new_tokens=settings.max_new_tokens,
            threshold=settings.threshold,
            top_k=settings.top_k,
            verify=verify,
            people=people,
            find_evidence=partial(find_evidence, embed=encoder.sentences) if encoder.reads_sentences else None,
        )
        yield Progress("Opening the index")
        for owner in concepts.owners():
            concepts.empty_trash(owner)  # undoing a forget ends with the process
        lasting = [owner for owner in concepts.owners() if owners.lasts(owner)]
        for owner in concepts.owners() if settings.chroma_url else {LOCAL: None, **dict.fromkeys(lasting)}:
            yield from assistant.reindex(owner)
            index.drop_stale(owner)
        if warm:
            yield from _warm(settings, generator)
        return Parts(assistant, concepts, generator, stack.pop_all())


def _encoder(settings: Settings) -> Generator[Progress, None, Encoder]:
    """Load the encoder, assembling the embedded one if it is asked for and not there yet."""
    from personal.tiny.assemble import assemble, encoder_dir

    source = settings.encoder
    if source == TINY:
        yield from assemble(settings.cache_dir)
        source = str(encoder_dir(settings.cache_dir))
    from personal.retrieve.encoder import Encoder

    encoder = Encoder(source, device=settings.device_here)
    yield Progress("Opening the eye")
    yield from encoder.load()
    return encoder


def _warm(settings: Settings, generator: SwitchableGenerator) -> Generator[Progress, None, None]:
    """Load the language model. A server that does not answer yet keeps nobody from recognising photos."""
    yield Progress("Waking the language model")
    try:
        yield from generator.load()
    except ModelError as error:
        if not settings.llm_url:
            raise
        log.warning("%s Until it answers, photos are recognised and concepts kept.", error)


def vector_index(settings: Settings, model_id: str, dimension: int, kind: str, library_id: str) -> Index:
    """Open the index of `kind`, "views" or "faces": on the settings' server, or in the data folder's `kind` folder.

    In the data folder, what is indexed of guests is in memory alone: they do not outlast the process.
    """
    from personal.remember.local_index import LocalIndex
    from personal.remember.server_index import ServerIndex

    if settings.chroma_url:
        return ServerIndex(model_id, dimension, settings.chroma_url, kind=kind, library=library_id)
    folder = settings.data_dir / {"views": "index"}.get(kind, kind)
    return LocalIndex(model_id, dimension, folder, kind=kind, in_memory=lambda owner: not owners.lasts(owner))


def open_people(settings: Settings, concepts: Library, stack: ExitStack) -> Generator[Progress, None, People | None]:
    """Make ready to recognise people by their faces, loading the face model if anybody is; off, erase all faces."""
    from personal.remember import disk
    from personal.retrieve.faces import Faces
    from personal.retrieve.people import People
    from personal.tiny import faces

    folder = settings.data_dir / "faces"
    if not settings.looks_at_faces:
        with disk.translate_errors(folder):
            disk.remove(folder)
        if not settings.chroma_url:
            return None
    index = vector_index(settings, Faces.id, Faces.dimension, "faces", concepts.id)
    stack.callback(index.close)
    if not settings.looks_at_faces:
        for owner in concepts.owners():
            index.erase(owner)
        return None
    for owner in concepts.owners():
        index.drop_stale(owner)
    people = People(Faces(settings.cache_dir, faces.assemble), index)
    if any(concept.by_face for owner in concepts.owners() for concept in concepts.concepts(owner)):
        try:
            yield from people.load()
        except ModelError as error:
            log.warning("%s Until then nobody is recognised by the face.", error)
    return people


def detector(settings: Settings) -> Generator[Progress, None, Detector | None]:
    """Load the detector that the settings choose, downloading it if it is not here. Raises PersonalError."""
    if not settings.detector:
        return None
    from personal.generate.hub import download
    from personal.generate.models import ModelSpec
    from personal.retrieve.detector import REVISIONS, Detector

    title = settings.detector.split("/")[-1]
    spec = ModelSpec(settings.detector, title, "not stated", {}, 0, revision=REVISIONS.get(settings.detector))
    found = Detector(str((yield from download(spec, offline=settings.offline))), device=settings.device_here)
    yield from found.load()
    return found


def model(settings: Settings) -> Generator[Progress, None, Model]:
    """Find the language model that the settings choose, downloading or assembling it if it is not here; not yet loaded.

    A server's address goes before a model's name; "auto" is what fits this machine. Raises PersonalError.
    """
    from personal.generate.local import LocalGenerator

    if settings.llm_url:
        from personal.generate.remote import RemoteGenerator

        return RemoteGenerator(
            settings.llm_url,
            key=settings.llm_key,
            model=settings.llm_model,
            timeout_s=settings.llm_timeout_s,
            image_bytes=settings.llm_image_bytes,
            concurrency=settings.llm_concurrency,
        )
    folder, name = yield from _local_model(settings)
    kind = LocalGenerator
    if settings.zero_gpu and settings.device != "cpu" and name != TINY:
        from personal.generate.zero import LentGenerator

        kind = LentGenerator
    return kind(
        str(folder),
        name=name,
        device=settings.device_here,
        quantization=settings.quantization,
        photo_tokens=settings.photo_tokens,
        avatar_tokens=settings.avatar_tokens,
    )


def _local_model(settings: Settings) -> Generator[Progress, None, tuple[Path, str]]:
    """Return the folder and the name of the model that the settings choose, once it is on the disk."""
    from personal.generate.hardware import choose, detect_hardware, fits

    source = settings.model
    if source == AUTO:
        spec, reason = choose(in_thread(lambda: detect_hardware(settings.device)), settings.offline)
        log.info("%s: %s", spec.id, reason)
        source = spec.id
    if source == TINY:
        from personal.tiny.assemble import assemble, mllm_dir

        yield from assemble(settings.cache_dir)
        return mllm_dir(settings.cache_dir), TINY
    from personal.generate.hub import download, inspect

    spec = inspect(source, settings.offline)
    verdict = fits(spec, in_thread(lambda: detect_hardware(settings.device)), settings.quantization)
    if not verdict.fits:
        raise ModelError(f"{spec.title} is {verdict.sentence}. Choose a smaller model.")
    folder = yield from download(spec, offline=settings.offline)
    return folder, folder.name if Path(source).expanduser().is_dir() else source


def switch_model(settings: Settings, generator: SwitchableGenerator, source: str) -> Generator[Progress, None, None]:
    """Let another model answer: `source` as in PERSONAL_MODEL, or SERVER for the settings' server.

    The current one goes on until the other is on the disk, and for good if it cannot be loaded. Raises PersonalError.
    """
    if len(source) > MAX_TEXT:
        raise ModelError(f"A model's name has at most {MAX_TEXT} characters. Choose a model, or type its name.")
    if settings.zero_gpu:
        raise ModelError("On ZeroGPU the model is chosen before the start: set PERSONAL_MODEL and restart.")
    chosen = settings if source == SERVER else replace(settings, model=source, llm_url="")
    following = yield from model(chosen)
    yield from generator.switch(following)


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

    @property
    def queue(self) -> FairQueue | None:
        """The questions at the language model, once there is one."""
        return self._parts.generator.queue if self._parts else None

    def start(self) -> None:
        """Begin, or begin again after an error."""
        self.error = None
        self._done.clear()
        threading.Thread(target=self._run, name="opening", daemon=True).start()

    def wait(self, timeout_s: float | None = None) -> Assistant:
        """Wait for the Assistant. Raises the PersonalError that prevented it, or TimeoutError."""
        if not self._done.wait(timeout_s):
            raise TimeoutError(self.progress.text)
        return self._opened().assistant

    def switch(self, source: str) -> Generator[Progress, None, None]:
        """Let another model answer; see `switch_model`."""
        return switch_model(self.settings, self._opened().generator, source)

    def _opened(self) -> Parts:
        if self._parts is None:
            raise self.error or PersonalError("The assistant was closed.")
        return self._parts

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
            reason = str(error) if isinstance(error, ModelError) else type(error).__name__
            log.error("Startup failed: %s", reason, exc_info=error)
            self.error = error
        except Exception as error:
            log.exception("Startup failed.")
            self.error = PersonalError(f"Starting failed: {error}. The log has the details; try again.")
        self._done.set()

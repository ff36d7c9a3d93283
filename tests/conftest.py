"""Fakes and folders that the tests share."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from personal.assistant import Assistant
from personal.concepts import Photo, Progress, TextDelta, Waiting
from personal.generate import verify
from personal.images import read_photo

KEPT = ("PERSONAL_CACHE_DIR", "PERSONAL_TEST_CHROMIUM", "PERSONAL_TEST_MAPS")
"""Where the assembled models and the browser are on this machine, and `tests.apps`' maps of this run."""
OURS = (
    "PERSONAL_",
    "GRADIO_",
    "HF_",
    "HUGGINGFACE_",
    "TRANSFORMERS_",
    "CHROMA_",
    "OPENAI_",
    "SPACE",
    "LC_",
    "PYTHONIO",
)
OTHERS = {"SYSTEM", "ANONYMIZED_TELEMETRY", "LANGUAGE", "PYTHONUTF8", "PYTHONCOERCECLOCALE", "PYTHONIOENCODING"}
OTHERS |= {"SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"}


def _neutral(environment) -> None:
    """Drop what a caller's environment may hold that the app, or what it stands on, goes by."""
    for name in list(environment):
        known = name.startswith(OURS) or name in OTHERS or name.upper().endswith("_PROXY")
        if known and name not in KEPT:
            del environment[name]
    environment["LANG"] = "C.UTF-8"
    environment["PERSONAL_ENV_FILE"] = os.devnull  # not the .env of the folder that the tests run in


def pytest_configure(config):
    """Make the folder of the maps that apps share, once a run: workers inherit its name."""
    if not hasattr(config, "workerinput"):
        os.environ["PERSONAL_TEST_MAPS"] = tempfile.mkdtemp(prefix="personal-maps-")


def pytest_unconfigure(config):
    """Remove it."""
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ.pop("PERSONAL_TEST_MAPS"), ignore_errors=True)


_neutral(os.environ)  # child processes get what is left; the libraries that read it are imported later


QUICK = {
    "accounts", "architecture", "assistant", "backup", "calibrate", "conversations", "data_notes", "data_rows",
    "erasure", "evaluate_layouts", "evaluate_leave_one_out", "evaluate_published", "events", "fair_queue",
    "findings", "flat_index", "gradio_internals", "head", "identify", "images",
    "import_export", "index", "labels", "learn_connector", "learn_word_classifier", "library",
    "limits", "logs", "malformed", "names", "openset", "operator", "packed",
    "operations", "page", "photo_dates", "photo_library", "photo_shell", "pictures", "prompt", "provider", "quota",
    "properties",
    "readme", "recent", "regions", "remote_dialects", "render", "retriever", "score", "sessions", "settings",
    "study_file", "study_scales", "thinking",
    "uploads", "visitors",
}  # fmt: skip
"""Test files that start no process, browser or model and do not train: 2,500 tests in 134 s of CPU."""


def pytest_collection_modifyitems(items) -> None:
    """Mark what `make test-fast` leaves out."""
    for item in items:
        quick = item.path.stem.removeprefix("test_") in QUICK
        if not quick or item.get_closest_marker("model") or item.get_closest_marker("browser"):
            item.add_marker("slow")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The project's real photos, which a user's clone does not have."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("needs the project's shared photos (../shared/data), which are not here")
    return folder


class MeanColour:
    """An encoder that knows a picture by its mean colour: enough to tell drawn squares apart, and quick."""

    id = "mean-colour"
    dimension = 4
    threshold = 0.99
    text_thresholds = (0.3, 0.5)
    calibration = None

    def clear(self):
        """Nothing is kept."""

    def load(self):
        yield Progress("Nothing to open")

    def embed(self, images):
        vectors = [np.append(np.asarray(image, np.float32).mean(axis=(0, 1)) - 127.5, 8.0) for image in images]
        unit = [v / np.linalg.norm(v) for v in vectors]
        return np.array(unit, np.float32).reshape(len(unit), self.dimension)

    def embed_reference(self, image):
        return self.embed([image])

    def dense(self, image, *, fine=False):
        return None

    def describe(self, image):
        return self.embed([image])[0], None

    def embed_texts(self, texts):
        """A text means the first colour that it names, else grey."""
        colours = {"red": RED, "green": GREEN, "blue": BLUE}
        named = [next((colours[word] for word in text.lower().split() if word in colours), GREY) for text in texts]
        return self.embed([Image.new("RGB", (8, 8), colour) for colour in named])

    def cohort_score(self, vectors):
        return np.zeros(len(vectors), np.float32)


class Scripted:
    """A language model that says what it is told to say and remembers what it was asked."""

    name = "scripted"
    sees = True
    single_turn = False
    verifies = False
    description = "made up for the tests"
    server = ""

    def __init__(self, words=("It ", "is ", "<bo>.")):
        self.words = words
        self.asked = []
        self.stops = []
        self.temperatures = []
        self.error = None
        self.go = threading.Event()
        self.go.set()

    def clear(self):
        """Nothing is kept."""

    def load(self):
        yield Progress("Nothing to load")

    def stream(self, messages, *, max_new_tokens, stop, temperature=0.0, owner=""):
        self.asked.append(messages)
        self.stops.append(stop)
        self.temperatures.append(temperature)
        yield Waiting(1)
        for word in self.words:
            self.go.wait(10)
            if stop.is_set():
                return
            if self.error:
                raise self.error
            yield TextDelta(word)

    def answers(self, asked, *, max_new_tokens):
        streams = (self.stream(one, max_new_tokens=max_new_tokens, stop=threading.Event()) for one in asked)
        return ["".join(piece.text for piece in stream if isinstance(piece, TextDelta)) for stream in streams]


def picture(colour, *, size=(64, 64), dot=None) -> Photo:
    """A photo of one colour, made different from others by a dot at a place."""
    image = Image.new("RGB", size, colour)
    if dot is not None:
        ImageDraw.Draw(image).point((dot, 1), fill=(0, 0, 0))
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return read_photo(stream.getvalue())


RED, GREEN, BLUE, GREY = (220, 30, 30), (30, 200, 40), (30, 40, 210), (128, 128, 128)


@pytest.fixture
def generator():
    return Scripted()


@pytest.fixture
def assistant(tmp_path, generator):
    """An Assistant of real parts, save the two models."""
    with open_assistant(tmp_path / "data", generator) as made:
        yield made


class open_assistant:
    """Open the Assistant over a data folder; again and again, as restarts do."""

    def __init__(self, folder, generator=None, *, verify=verify):
        from personal.generate.prompt import build_messages
        from personal.remember.library import Library
        from personal.remember.local_index import LocalIndex
        from personal.retrieve.retriever import Retriever

        encoder = MeanColour()
        self.library = Library(folder)
        self.index = LocalIndex(encoder.id, encoder.dimension, folder / "index")
        self.assistant = Assistant(
            self.library,
            self.index,
            Retriever(encoder, self.index),
            generator or Scripted(),
            build_messages,
            verify=verify,
        )
        for owner in self.library.owners():
            for _ in self.assistant.reindex(owner):
                pass

    def __enter__(self):
        return self.assistant

    def __exit__(self, *_):
        self.index.close()
        self.library.close()

"""The embedded default is told what its own classifier says of a photo, as it was in training."""

from __future__ import annotations

import numpy as np
import pytest

from personal import labels
from personal.concepts import Turn
from personal.generate.local import LocalGenerator
from personal.generate.prompt import build_messages
from personal.images import open_photo
from personal.learn.features import vision_tower
from personal.settings import load
from personal.tiny.assemble import assemble, mllm_dir
from personal.ui.samples import read_samples

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def folder():
    cache_dir = load().cache_dir
    for _ in assemble(cache_dir):
        pass
    return mllm_dir(cache_dir)


@pytest.fixture(scope="module")
def embedded(folder):
    generator = LocalGenerator(str(folder), device="cpu", name="personal-tiny")
    for _ in generator.load():
        pass
    return generator


@pytest.fixture(scope="module")
def photos():
    samples = read_samples()
    return [*samples.photos, *(concept.photos[0] for concept in samples.concepts)]


def told(generator, photo):
    """What the model reads of a question about a photo."""
    messages = build_messages([Turn("What is this?", (photo,))], avatars={}, sees=True, single_turn=True)
    read = generator.loaded.prompts.fit(messages, 8).messages
    return "".join(part["text"] for message in read for part in message["content"] if part["type"] == "text")


def test_what_the_model_reads_below_a_photo_is_what_training_wrote_there(embedded, folder, photos):
    classifier = labels.read(folder)
    maps = vision_tower(folder)([open_photo(photo) for photo in photos])
    lines = [classifier.labels(own.astype(np.float32).mean(0)).prompt_line() for own in maps]
    assert any(lines)
    for photo, line in zip(photos, lines, strict=True):
        assert f"\n{line}\nWhat is this?" in told(embedded, photo) if line else "Labels" not in told(embedded, photo)


def test_a_photo_is_labelled_once_and_again_after_it_was_forgotten(embedded, photos):
    embedded.clear()
    line = embedded.loaded.labeller.labels(photos[0]).prompt_line()
    embedded.loaded.decoder.features.discard((photos[0].sha256, False))
    assert embedded.loaded.labeller.labels(photos[0]).prompt_line() == line
    assert list(embedded.loaded.decoder.features.known) == []  # nothing was encoded again
    embedded.clear()
    assert embedded.loaded.labeller.labels(photos[0]).prompt_line() == line


def test_a_checkpoint_without_the_mark_is_told_nothing(embedded, photos, monkeypatch):
    monkeypatch.setitem(embedded.checkpoint.marks, "labels", False)
    embedded.clear()
    assert "Labels" not in told(embedded, photos[0])
    monkeypatch.undo()
    embedded.clear()

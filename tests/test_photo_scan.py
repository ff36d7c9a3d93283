"""A scan in a process of its own that is killed, and one with the real encoder."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from personal import compose, settings
from personal.evaluate.search import OpenClipTowers
from personal.images import read_photo
from personal.photo_library.library import PhotoLibrary
from tests.apps import processes
from tests.conftest import open_assistant

SAMPLES = Path(__file__).parents[1] / "assets" / "samples"

ME = "local"
PHOTOS = 40


def scan(data, log_file):
    """Scan, and note every photo that is described before that is written; slowly enough to be killed."""
    with open_assistant(data) as assistant:
        describe = assistant.retriever.describe

        def noted(photo):
            with log_file.open("a") as file:
                file.write(photo.sha256 + "\n")
            time.sleep(0.02)
            return describe(photo)

        assistant.retriever.describe = noted
        for _ in PhotoLibrary(settings.load({}, data_dir=data), assistant).scan(ME):
            pass


def test_a_scan_that_is_killed_loses_no_photo_and_does_none_twice(tmp_path):
    folder, data, log_file = tmp_path / "many", tmp_path / "data", tmp_path / "described"
    folder.mkdir()
    for number in range(PHOTOS):
        Image.new("RGB", (64, 64), (number * 6, 90, 200 - number * 3)).save(folder / f"{number:02}.png")
    library = PhotoLibrary(settings.load({}, data_dir=data))
    library.add(ME, folder)
    store, before = library.store(ME), 0
    for more in (7, 9, PHOTOS):
        process = processes().Process(target=scan, args=(data, log_file))
        process.start()
        while process.is_alive() and store.counts().photos < before + more:
            time.sleep(0.005)
        if more < PHOTOS:
            os.kill(process.pid, signal.SIGKILL)
        process.join(60)
        assert before < store.counts().photos
        before = store.counts().photos
    assert before == PHOTOS
    described = log_file.read_text().split()
    assert len(set(described)) == PHOTOS
    assert len(described) <= PHOTOS + 2 * 3  # three at most were under way, and not yet written, when it was killed


@pytest.mark.model
def test_with_the_real_encoder_names_labels_and_words_find_the_samples(tmp_path):
    folder = tmp_path / "photos"
    shutil.copytree(SAMPLES, folder, ignore=shutil.ignore_patterns("*.json"))
    knobs = settings.load({}, data_dir=tmp_path / "data", cache_dir=settings.load().cache_dir)
    with compose.build(knobs, holder="a test") as assistant:
        views = [read_photo(file) for file in sorted(SAMPLES.glob("bo-*.jpg"))]
        assistant.remember(ME, "bo", views, "dog")
        library = PhotoLibrary(knobs, assistant)
        library.add(ME, folder)
        list(library.scan(ME))
        found = {row.path.name for row in library.search(ME, "<bo>").photos}
        assert {"bo-1.jpg", "bo-2.jpg", "bo-3.jpg"} <= found
        assert {row.path.name for row in library.search(ME, "without bo").photos} == {
            path.name for path in folder.iterdir()
        } - found
        assert any("cup" in row.labels for row in library.all(ME))
        assert library.search(ME, "a submarine").photos == ()  # no photo has that label
        assert library.search(ME, "a submarine").nearest

        towers = OpenClipTowers(knobs)  # what search is measured with
        vector, pooled = assistant.retriever.describe(views[0])
        assert np.allclose(towers.photo(views[0])[0], vector, atol=2e-3)
        assert np.allclose(towers.texts(["a dog"]), assistant.retriever.embed_texts(["a dog"]), atol=1e-4)
        assert pooled.shape == (1280,)

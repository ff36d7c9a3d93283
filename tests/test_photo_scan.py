"""A scan in a process of its own that is killed, and one with the real encoder."""

from __future__ import annotations

import os
import signal
import time

from PIL import Image

from personal import settings
from personal.photo_library.library import PhotoLibrary
from tests.apps import processes
from tests.conftest import open_assistant

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

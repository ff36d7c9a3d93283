"""The app in processes of its own that find the libraries it stands on imported: a fork costs a tenth of an import.

What they stand on is real; what the encoder makes of a photo is computed by the first of a run that sees it.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import runpy
import signal
import sys
import threading
from pathlib import Path

ROOT = Path(__file__).parents[1]
LIBRARIES = ["personal.ui.app", "chromadb", "open_clip", "pandas", "tests.conftest", "torch"]
LIBRARIES += ["transformers.models.bert.modeling_bert", "transformers.models.llama.modeling_llama"]
"""What is imported before a process is forked; `personal` sets up what torch goes by. None of it starts threads."""


def processes():
    """Return what starts processes by forking one that has imported LIBRARIES."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(LIBRARIES)
    return context


def _share_maps(folder: Path) -> None:
    """Let apps of a run read what another computed: they all show the same few photos to the encoder."""
    import numpy as np

    from personal.retrieve.encoder import Encoder

    compute = Encoder.encode_map

    def encode_map(self, image, short):
        picture = hashlib.sha256(image.tobytes() + repr((self.id, image.size, short)).encode())
        file = folder / f"{picture.hexdigest()}.npy"
        if file.exists():
            return np.load(file)
        made = compute(self, image, short)
        unfinished = file.with_suffix(f".{os.getpid()}.{threading.get_ident()}.npy")
        np.save(unfinished, made)
        unfinished.replace(file)
        return made

    Encoder.encode_map = encode_map


def _run(environment: dict[str, str], log: str) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(ROOT)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(out, 1)
    os.dup2(out, 2)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # also where the tests run under nohup
    _share_maps(Path(environment["PERSONAL_TEST_MAPS"]))
    sys.argv = ["app.py"]
    runpy.run_path("app.py", run_name="__main__")


class App:
    """`app.py` with these variables beside the present ones; what it prints is in the file `log`."""

    def __init__(self, log: Path, environment: dict[str, str]) -> None:
        self._process = processes().Process(target=_run, args=({**os.environ, **environment}, str(log)))
        self._process.start()
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """Return the exit code, None while it runs."""
        return self._process.exitcode

    def wait(self, seconds: float | None = None) -> int | None:
        """Wait for its end, and return the exit code, None if it still runs."""
        self._process.join(seconds)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()

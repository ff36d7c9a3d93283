"""The app in processes of its own that find the libraries it stands on imported: a fork costs a tenth of an import."""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
LIBRARIES = ["personal", "personal.remember.local_index", "gradio", "open_clip", "pandas", "torch", "transformers"]
"""What is imported before a process is forked; `personal` sets up what torch goes by. None of it starts threads."""


def processes():
    """Return what starts processes by forking one that has imported LIBRARIES."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(LIBRARIES)
    return context


def _run(environment: dict[str, str], log: str) -> None:
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(ROOT)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(out, 1)
    os.dup2(out, 2)
    sys.argv = ["app.py"]
    runpy.run_path("app.py", run_name="__main__")


def start(log: Path, environment: dict[str, str]) -> multiprocessing.Process:
    """Start `app.py` with these variables beside the present ones; what it prints is in the file `log`."""
    app = processes().Process(target=_run, args=({**os.environ, **environment}, str(log)))
    app.start()
    return app

"""The app's own process: start it, listen for being told to end, end it cleanly. Imports the page late."""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType
from typing import NoReturn

from personal.errors import PersonalError
from personal.memory import limit_arenas
from personal.settings import Settings, prepare_gradio

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
"""What tells a program to end: Ctrl+C, a supervisor, a closed terminal."""


def serve(settings: Settings) -> NoReturn:
    """Serve the app until the process is told to end, then exit: 0, or 1 where it cannot be served."""
    code = _serve(settings)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # a model that is being loaded in another thread cannot be stopped, and is not waited for


def _serve(settings: Settings) -> int:
    limit_arenas()
    end = threading.Event()
    _listen(end)
    prepare_gradio()
    from personal.ui.app import Server

    if settings.zero_gpu:
        from personal.generate import zero

        zero.announce()
    try:
        server = Server(settings)
        where = server.start()
    except PersonalError as error:
        print(f"personal: {error}", file=sys.stderr)
        return 1
    print(f"Personal is at {where} — your concepts are kept in {settings.data_dir}", flush=True)
    server.wait(end)
    return 0


def _listen(end: threading.Event) -> None:
    """Set `end` at the first signal to end; a second one ends the process at once."""

    def told(number: int, _: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        end.set()

    for number in (getattr(signal, name) for name in SIGNALS if hasattr(signal, name)):
        if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN:  # nohup ignores SIGHUP
            signal.signal(number, told)

"""Scans of owners' photo folders: one at a time for each, in the background, whichever pages come and go."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from personal.concepts import Progress
from personal.errors import PersonalError
from personal.logs import report
from personal.photo_library.library import PhotoLibrary
from personal.threads import in_background


@dataclass
class Running:
    """A scan that is under way: what `stop` ends, how far it is, and when that text began, and at how many photos."""

    stop: threading.Event = field(default_factory=threading.Event)
    step: Progress = field(default_factory=lambda: Progress("Looking for photos"))
    began: float = field(default_factory=time.monotonic)

    def left_s(self) -> float | None:
        """Return the seconds that the rest takes if it goes on like this, once that can be told."""
        spent = time.monotonic() - self.began
        if self.step.done < 5 or spent < 2:
            return None
        return spent / self.step.done * (self.step.total - self.step.done)


class Scans:
    """Starts, follows and ends scans."""

    def __init__(self, photos: Callable[[], PhotoLibrary]) -> None:
        self._photos = photos
        self._running: dict[str, Running] = {}
        self._lock = threading.Lock()
        self.paused: set[str] = set()
        """Owners who paused: nothing starts by itself."""
        self.problems: dict[str, str] = {}
        """By owner, why their last scan ended before it was through."""

    def of(self, owner: str) -> Running | None:
        """Return an owner's scan, if one is under way."""
        return self._running.get(owner)

    def start(self, owner: str) -> None:
        """Start a scan unless one is under way."""
        begun = Running()
        with self._lock:
            if self._running.setdefault(owner, begun) is not begun:
                return
        self.paused.discard(owner)
        self.problems.pop(owner, None)
        threading.Thread(target=self._run, args=(owner, begun), name="scan", daemon=True).start()

    def wake(self, owner: str) -> None:
        """Start a scan where there is something to scan, unless the owner paused."""
        if owner not in self.paused and self._photos().store(owner).folders():
            self.start(owner)

    def pause(self, owner: str) -> None:
        """End an owner's scan at the next photo; `start` goes on."""
        self.paused.add(owner)
        running = self._running.get(owner)
        if running:
            running.stop.set()

    def stop(self) -> None:
        """End all scans at the next photo."""
        for running in list(self._running.values()):
            running.stop.set()

    def _run(self, owner: str, running: Running) -> None:
        in_background()
        try:
            for step in self._photos().scan(owner, running.stop):
                if step.text != running.step.text:
                    running.began = time.monotonic()
                running.step = step
        except PersonalError as error:
            if self._photos().store(owner).exists:  # otherwise everything was erased
                report(error)
                self.problems[owner] = str(error)
        finally:
            del self._running[owner]

"""Turn the text that a server sends into Pieces: without reasoning, and told apart where it begins in reasoning.

Some servers send reasoning as text and only its closing tag (their template opened it in the prompt). Until one answer
has shown whether this is such a server, the beginning of an answer is held back for a moment; what was shown all the
same is retracted when the tag comes. Where it is known, nothing is shown before the tag.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from personal.concepts import Piece
from personal.generate.thinking import VisibleText

HOLD_S = 1.0
"""How long the beginning of a server's first answer is held back, seconds; chosen, not measured."""


class Speech:
    """One answer. `opens` tells whether this server's answers begin in reasoning, None where that is not known."""

    def __init__(self, opens: bool | None) -> None:
        self.opens = opens
        self.visible = self.reasoned = False
        self._filter = VisibleText(opened=opens or None)
        self._raw: list[str] = []
        self._held: list[Piece] | None = [] if opens is None else None
        self._since = 0.0

    def hear(self, text: str) -> Iterator[Piece]:
        """Yield what has become visible with the next text, or with time passing where that is empty."""
        if self._filter.opened:
            self._raw.append(text)
        before = self._filter.retracted
        shown = self._filter.feed(text)
        if self._filter.retracted and not before:
            yield from self._retract()
        yield from self._show(shown)
        if self._held and time.monotonic() - self._since > HOLD_S:
            yield from self._let_go()

    def end(self, *, whole: bool) -> Iterator[Piece]:
        """Yield the rest. Of a `whole` answer without the closing tag nothing was reasoning, after all."""
        rest = self._filter.finish()
        if whole and self._filter.opened and self._filter.unfinished:
            self._filter = VisibleText(opened=None)
            rest = self._filter.feed("".join(self._raw)) + self._filter.finish()
        yield from self._show(rest)
        if self._held is not None:
            yield from self._let_go()
        self.reasoned = self._filter.reasoned
        if self.opens is None and whole:
            self.opens = False

    def _show(self, text: str) -> Iterator[Piece]:
        if not text:
            return
        self.visible = True
        if self._held is None:
            yield Piece(text)
            return
        self._since = self._since or time.monotonic()
        self._held.append(Piece(text))

    def _let_go(self) -> Iterator[Piece]:
        held, self._held = self._held or [], None
        yield from held

    def _retract(self) -> Iterator[Piece]:
        self.opens = True
        if self._held is not None:
            self._held.clear()
        elif self.visible:
            yield Piece("", 0, retracts=True)
        self.visible = False

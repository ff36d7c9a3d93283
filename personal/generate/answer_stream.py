"""Turn the text that a server sends into TextDeltas without reasoning.

Some servers send reasoning as text with only its closing tag, because their template opened it in the prompt. Until one
answer has shown whether a server does, the beginning of an answer is held back for a moment. Text that was shown
nevertheless is retracted when the tag comes. For a server that is known to do it, nothing is shown before the tag.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

from personal.concepts import TextDelta
from personal.generate.thinking import VisibleText

HOLD_S = 1.0
"""Seconds for which the beginning of a server's first answer is held back; chosen, not measured."""


class AnswerStream:
    """One answer. `opens` is whether this server's answers begin in reasoning, None if that is unknown."""

    def __init__(self, opens: bool | None) -> None:
        self.opens = opens
        self.visible = self.reasoned = False
        self.tool = ""
        self._filter = VisibleText(opened=opens or None)
        self._raw: list[str] = []
        self._held: list[TextDelta] | None = [] if opens is None else None
        self._since = 0.0

    def feed(self, text: str) -> Iterator[TextDelta]:
        """Yield what became visible with the next text; an empty text only lets time pass."""
        if self._filter.opened:
            self._raw.append(text)
        before = self._filter.retracted
        shown = self._filter.feed(text)
        if self._filter.retracted and not before:
            yield from self._retract()
        yield from self._show(shown)
        if self._held and time.monotonic() - self._since > HOLD_S:
            yield from self._let_go()

    def finish(self, *, whole: bool) -> Iterator[TextDelta]:
        """Yield the rest. A `whole` answer without the closing tag contained no reasoning."""
        rest = self._filter.finish()
        if whole and self._filter.opened and self._filter.unfinished:
            self._filter = VisibleText(opened=None)
            rest = self._filter.feed("".join(self._raw)) + self._filter.finish()
        yield from self._show(rest)
        if self._held is not None:
            yield from self._let_go()
        self.reasoned, self.tool = self._filter.reasoned, self._filter.tool
        if self.opens is None and whole:
            self.opens = False

    def _show(self, text: str) -> Iterator[TextDelta]:
        if not text:
            return
        self.visible = True
        if self._held is None:
            yield TextDelta(text)
            return
        self._since = self._since or time.monotonic()
        self._held.append(TextDelta(text))

    def _let_go(self) -> Iterator[TextDelta]:
        """Yield what was held back, in one piece: a reader may not draw several that come together."""
        held, self._held = self._held or [], None
        if held:
            yield TextDelta("".join(delta.text for delta in held), sum(delta.tokens for delta in held))

    def _retract(self) -> Iterator[TextDelta]:
        self.opens = True
        if self._held is not None:
            self._held.clear()
        elif self.visible:
            yield TextDelta("", 0, retracts=True)
        self.visible = False

"""Leave out what a thinking model says to itself: a pure function over streamed text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def without_thinking(
    pieces: Iterable[str], *, opened: bool = False, start: str = "<think>", end: str = "</think>"
) -> Iterator[str]:
    """Yield the text without what stands between `start` and `end`, tags and the blanks after them included.

    Tags may be spread over pieces. `opened` says that the prompt ended inside a thought, so that the text begins in
    one and only `end` arrives. A thought that never ends hides all the rest; an `end` without a `start` is text.
    """
    thinking, after, held = opened, False, ""
    for piece in pieces:
        held += piece
        while True:
            before, tag, rest = held.partition(end if thinking else start)
            sure = before if tag else held[: len(held) - _begun(held, end if thinking else start)]
            if not thinking:
                shown = sure.lstrip() if after else sure
                if shown:
                    after = False
                    yield shown
            if not tag:
                held = held[len(sure) :]
                break
            thinking, after, held = not thinking, thinking, rest
    if held and not thinking:
        yield held


def _begun(text: str, tag: str) -> int:
    """Tell how many characters at the end of `text` could be the beginning of `tag`."""
    return next((n for n in range(min(len(tag) - 1, len(text)), 0, -1) if text.endswith(tag[:n])), 0)

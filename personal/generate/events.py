"""Read the body of a chat completion as it arrives: server-sent events, JSON lines, or one JSON document.

Lenient where that loses nothing: any line ends, no blank after `data:`, comments, a missing blank line, invalid bytes
(which become U+FFFD), and a server that ignores `stream`. Knows nothing of what the values mean.
"""

from __future__ import annotations

import codecs
import io
import json
from collections.abc import Iterator
from typing import Any

DONE = object()
"""Stands for the event `[DONE]`, which ends a stream."""
LARGEST = 2**24
"""Characters of one event at most."""
_NO_DATA = ("", "event", "id", "retry")
"""Fields of server-sent events that carry no data; a comment has no name."""


class Events:
    """Split a body into its JSON values. `feed` and `finish` raise ValueError for what is no JSON or has no end."""

    def __init__(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
        self._decoder = io.IncrementalNewlineDecoder(decoder, translate=True)
        self._line = ""
        self._lines: list[str] = []
        self._size = 0
        self._is_data = False

    def feed(self, data: bytes) -> Iterator[Any]:
        """Yield the values that the next bytes complete."""
        yield from self._split(self._decoder.decode(data))

    def finish(self) -> Iterator[Any]:
        """Yield what the body ends with, also where the last line or event is not terminated."""
        yield from self._split(self._decoder.decode(b"", final=True) + "\n")
        yield from self._event()

    def _split(self, text: str) -> Iterator[Any]:
        lines = (self._line + text).split("\n") if "\n" in text else None
        self._size += len(text)
        if self._size > LARGEST:
            raise ValueError("an event without an end")
        if lines is None:
            self._line += text
            return
        self._line = lines.pop()
        for line in lines:
            yield from self._read(line)

    def _read(self, line: str) -> Iterator[Any]:
        """Take one line. A value that is whole on its line is yielded at once, others at the event's or body's end."""
        name, colon, value = line.partition(":")
        if not line.strip(" \t\0"):
            if self._is_data:
                yield from self._event()
        elif name in ("data", "error") and colon:
            self._is_data = True
            yield from self._take(value.removeprefix(" "))
        elif not (colon and name in _NO_DATA):
            yield from self._take(line)

    def _take(self, text: str) -> Iterator[Any]:
        if text.strip(' \t"').upper().startswith("[DONE]"):
            yield from self._event()
            yield DONE
            return
        self._lines.append(text)
        if len(self._lines) == 1:
            try:
                value = json.loads(text, strict=False)
            except ValueError:
                return
            self._lines, self._size = [], 0
            yield value

    def _event(self) -> Iterator[Any]:
        lines, self._lines, self._size = self._lines, [], 0
        self._is_data = False
        if lines:
            try:
                value = json.loads(text := "\n".join(lines), strict=False)
            except ValueError:
                if "\ufffd" in text:
                    return  # one damaged event is not the whole answer
                raise
            yield value

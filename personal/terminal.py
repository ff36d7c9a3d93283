"""Text in and out of a shell, whatever its encoding: nothing that was printed or piped in ends in a traceback."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterator
from typing import Any

UTF16 = (b"\xff\xfe", b"\xfe\xff")


def prepare() -> None:
    """Let what the terminal's encoding lacks be printed as escapes, such as \\xfc, rather than fail."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def as_text(argument: str) -> str:
    """Return an argument as the text that was typed, also where the locale (such as C) did not decode it."""
    try:
        return os.fsencode(argument).decode("utf-8")
    except UnicodeError:
        return argument


def as_json(value: Any) -> str:
    """Return a value as one line of JSON, in ASCII where standard output cannot encode it."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(value)
    return text


def lines() -> Iterator[str]:
    """Yield the lines of standard input as they come: UTF-8, or UTF-16 where a byte-order mark tells so.

    Bytes that are no text become lone surrogates, as in the names of files.
    """
    buffer = getattr(sys.stdin, "buffer", None)
    if buffer is None:
        yield from sys.stdin or ()
        return
    encoding = "utf-16" if buffer.peek(2)[:2] in UTF16 else "utf-8-sig"
    errors = "replace" if encoding == "utf-16" else "surrogateescape"
    yield from io.TextIOWrapper(buffer, encoding=encoding, errors=errors)

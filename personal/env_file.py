"""Read a file of settings in whatever encoding it was saved."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterable
from pathlib import Path

from personal.errors import SettingsError


def read(path: Path, names: Iterable[str]) -> dict[str, str]:
    """Read a `.env` file in UTF-8 or UTF-16, with or without a byte-order mark; {} if there is none.

    In any other encoding only ASCII is certain. Raises SettingsError if one of `names` is set to something else, or if
    the file cannot be read.
    """
    from dotenv import dotenv_values

    if not path.is_file():
        return {}
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"{path.absolute()} cannot be read: {error.strerror}. Make it readable, or remove it."
        ) from error
    text = _decode(data)
    found = dotenv_values(stream=io.StringIO(data.decode("latin-1") if text is None else text))
    values = {name: value for name, value in found.items() if value is not None}
    if text is None:
        unsure = next((name for name in names if not values.get(name, "").isascii()), None)
        if unsure or b"\0" in data:
            raise SettingsError(
                f"{path.absolute()} is not written in UTF-8{f', and {unsure} cannot be read' if unsure else ''}. "
                "Save it as UTF-8."
            )
    return values


def _decode(data: bytes) -> str | None:
    """Return what is certainly UTF-8 or, by its byte-order mark or its zeros, UTF-16; else None."""
    marked = data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    zeros = (data[1::2].count(0), data[0::2].count(0))
    encoding = "utf-16" if marked else "utf-8-sig"
    if not marked and max(zeros) > len(data) // 4:
        encoding = "utf-16-le" if zeros[0] > zeros[1] else "utf-16-be"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text

"""What a person may write: the rules for names, categories, infos and attributes.

Pure functions over text; every refusal is a ConceptError that says what is wrong.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from personal.errors import ConceptError
from personal.folding import folded

MAX_NAME = 64
MAX_CATEGORY = 64
MAX_INFO = 4000
MAX_ATTRIBUTES = 12
MAX_ATTRIBUTE = 120
SLACK = 16
"""A text this many times longer than its limit is refused unread; below it may be white space, or shrink in NFC."""

_JOINERS = "\u200c\u200d\ufe0e\ufe0f"
"""Invisible, yet part of scripts (ZWNJ, ZWJ) and of emoji (ZWJ, variation selectors 15 and 16)."""

_BLANKS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters and signs that are blank: two names could look the same."""

_FLAG = re.compile("\U0001f3f4[\U000e0030-\U000e0039\U000e0061-\U000e007a]+\U000e007f")
"""Flags of England, Scotland and the like: the one honest use of tag characters (UTS #51, annex C)."""


def clean_name(text: str) -> str:
    """Return a name as it is stored: stripped of surrounding white space and of one pair of `<>`, in NFC.

    1 to 64 characters of any script, and emoji. Raises ConceptError for anything else.
    """
    name = unicodedata.normalize("NFC", _text(text, "name", MAX_NAME)).strip()
    if len(name) > 1 and name[0] == "<" and name[-1] == ">":
        name = name[1:-1].strip()
    plain = _FLAG.sub("\U0001f3f4", name)
    if any(sign in unicodedata.normalize("NFKC", plain) for sign in "<>"):
        raise ConceptError("A name cannot hold < or >, save one pair around it. Leave them out.")
    for sign in plain:
        if unicodedata.category(sign) in {"Cc", "Cs", "Zl", "Zp"} or _nonsense(sign):
            raise ConceptError(f"A name cannot hold line breaks or control characters (U+{ord(sign):04X}). Retype it.")
        if (unicodedata.category(sign) == "Cf" and sign not in _JOINERS) or sign in _BLANKS:
            raise ConceptError(f"A name cannot hold invisible characters (U+{ord(sign):04X}). Retype it.")
    if not any(unicodedata.category(sign)[0] in "LNPSC" for sign in plain.translate(dict.fromkeys(map(ord, _JOINERS)))):
        raise ConceptError(f"Enter a name (up to {MAX_NAME} characters).")
    _check_length(name, "name", MAX_NAME)
    return name


def clean_category(text: str) -> str:
    """Return a category as it is stored: one line of at most 64 characters, maybe none. Raises ConceptError."""
    return _line(text, "category", MAX_CATEGORY)


def clean_attributes(texts: Sequence[str]) -> tuple[str, ...]:
    """Return attributes as they are stored: at most 12 lines of at most 120 characters, blanks and repeats left out.

    Raises ConceptError.
    """
    if not isinstance(texts, list | tuple):
        raise ConceptError("Attributes are a list of short phrases. Give each of them for itself.")
    if len(texts) > MAX_ATTRIBUTES * SLACK:
        raise ConceptError(f"A concept has at most {MAX_ATTRIBUTES} attributes, this would be {len(texts)}.")
    cleaned = {folded(line): line for text in texts if (line := _line(text, "attribute", MAX_ATTRIBUTE))}
    if len(cleaned) > MAX_ATTRIBUTES:
        raise ConceptError(f"A concept has at most {MAX_ATTRIBUTES} attributes, this would be {len(cleaned)}.")
    return tuple(cleaned.values())


def clean_info(text: str) -> str:
    """Return an info as it is stored: word for word, at most 4000 characters. Raises ConceptError."""
    info = _text(text, "info", MAX_INFO, slack=1)
    if any(sign == "\0" or unicodedata.category(sign) == "Cs" for sign in info):
        raise ConceptError("This info holds characters that are no text (NUL or half of a pair). Retype it.")
    return info


def _line(value: object, what: str, most: int) -> str:
    line = unicodedata.normalize("NFC", _text(value, what, most)).strip()
    if any(unicodedata.category(sign) in {"Cc", "Cs", "Zl", "Zp"} for sign in line):
        raise ConceptError(f"{_article(what)} {what} is one line without control characters. Retype it.")
    _check_length(line, what, most)
    return line


def _text(value: object, what: str, most: int, *, slack: int = SLACK) -> str:
    """Check that a value is text, and not so long that it should not even be read through."""
    if not isinstance(value, str):
        raise ConceptError(f"{_article(what)} {what} must be text.")
    if len(value) > most * slack:
        _check_length(value, what, most)
    return value


def _check_length(text: str, what: str, most: int) -> None:
    if len(text) > most:
        raise ConceptError(f"Keep it under {most + 1} characters: this {what} has {len(text)}.")


def _article(what: str) -> str:
    return "An" if what[0] in "aeiou" else "A"


def _nonsense(sign: str) -> bool:
    """Return whether a code point is one that Unicode promises never to assign."""
    return ord(sign) & 0xFFFE == 0xFFFE or 0xFDD0 <= ord(sign) <= 0xFDEF

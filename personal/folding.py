"""When two names are the same: the one definition, for names that are stored and for those that a question holds.

Compatibility forms and width (NFKC), case (ß is ss), white space of any kind and number, invisible characters, and the
typographic forms of apostrophe, hyphen and quotation mark do not tell names apart. Diacritics do.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache

_TYPOGRAPHY = str.maketrans(
    dict.fromkeys("`´‘’‚‛′ʹʻʼʽˈ՚׳ߴߵꞌ＇‹›❛❜΄᾽᾿῾", "'")
    | dict.fromkeys(
        "\u2010\u2011\u2012\u2013\u2014\u2015\u2043\u2212\u02d7\u05be\ufe58\ufe63\uff0d\u058a\u1806\u2e17\u2e3a\u2e3b",
        "-",
    )
    | dict.fromkeys("“”„‟″«»״〝〞〟＂❝❞ˮ", '"')
)
_INVISIBLE = re.compile("[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufe0e\ufe0f]")
"""Format characters, and variation selectors 15 and 16. Tag characters stay: they tell flags apart."""

_EXTENDS = re.compile("[\u1160-\u11ff\u314f-\u3163\ud7b0-\ud7ff\uff9e\uff9f\uffc2-\uffdc]")
"""What joins the character before it though it is no mark: Hangul vowels and finals, halfwidth voiced marks."""

_SPACES = re.compile(r"[^\S\0]+")
_OTHER_LETTERS = "йїўЙЇЎ"
"""Decomposed by Unicode, yet letters of their own to those who type them."""

_STROKES = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "ħ": "h", "ı": "i", "ŧ": "t", "æ": "ae", "œ": "oe"}
    | {"Ø": "O", "Ł": "L", "Đ": "D", "Ð": "D", "Ħ": "H", "Ŧ": "T", "Æ": "Ae", "Œ": "Oe"}
)
"""Letters with a diacritic that Unicode does not decompose."""


def folded(name: str) -> str:
    """Return what names share that count as the same. Folding twice changes nothing more; NUL is kept."""
    return fold_all([name])[0]


def cased(name: str) -> str:
    """Return a name folded in all but its case."""
    return _SPACES.sub(" ", _fold(name, case=True)).strip()


def fold_all(names: list[str]) -> list[str]:
    """Fold many names at once, none of which holds a NUL: ten times as fast as one by one."""
    return [name.strip() for name in _SPACES.sub(" ", _fold("\0".join(names))).split("\0")]


def unaccented(text: str) -> str:
    """Return text, folded or `cased`, without diacritics, as many people type it: é as e, ø as o.

    Only accents go, not the signs that make another letter (the breve of й, the dakuten of が, the vowels of Hindi).
    """
    return text if text.isascii() else "".join(map(_unaccented, text))


class Folded:
    """A text as it is compared: `text` is folded, and each part of it is traced to where it stands in the original."""

    def __init__(self, original: str) -> None:
        self._original = original
        self._places: list[tuple[int, int]] = []
        pieces: list[str] = []
        blank = False
        for start, end in _clusters(original):
            piece = _SPACES.sub(" ", _fold(original[start:end]))
            if piece == " " and blank:
                continue
            pieces.append(piece)
            self._places += [(start, end)] * len(piece)
            blank = piece == " " if piece else blank
        self.text = "".join(pieces)

    def span(self, start: int, end: int) -> tuple[int, int] | None:
        """Return where a part of `text` stands in the original, or None where it begins or ends within a character."""
        before, after = self._places[start - 1 : start], self._places[end : end + 1]
        if before == self._places[start : start + 1] or after == self._places[end - 1 : end]:
            return None
        begin, stop = self._places[start][0], self._places[end - 1][1]
        while stop > begin + 1 and _INVISIBLE.match(self._original[stop - 1]) and self._original[stop - 1] < "\ufe0e":
            stop -= 1
        return begin, stop


def is_invisible(sign: str) -> bool:
    """Return whether a character shows nothing and does not count in a name."""
    return bool(_INVISIBLE.match(sign))


def _fold(text: str, *, case: bool = False) -> str:
    text = unicodedata.normalize("NFKC", _INVISIBLE.sub("", text).translate(_TYPOGRAPHY))
    text = text if case else unicodedata.normalize("NFKC", text.casefold())
    return _INVISIBLE.sub("", text.translate(_TYPOGRAPHY))


def _clusters(text: str) -> Iterator[tuple[int, int]]:
    """Yield the parts of a text that fold by themselves: a character and what is written onto it."""
    start = 0
    for at in range(1, len(text)):
        sign = text[at]
        if not (_INVISIBLE.match(sign) or _EXTENDS.match(sign) or unicodedata.category(sign)[0] == "M"):
            yield start, at
            start = at
    if text:
        yield start, len(text)


@cache
def _unaccented(sign: str) -> str:
    if sign in _OTHER_LETTERS:
        return sign
    parts = unicodedata.normalize("NFD", sign.translate(_STROKES))
    kept = "".join(part for part in parts if not _is_accent(part))
    return unicodedata.normalize("NFC", kept)


def _is_accent(sign: str) -> bool:
    """Return whether a mark is an accent by its combining class: above, below, attached, Hebrew or Arabic points."""
    place = unicodedata.combining(sign)
    return place >= 200 or 10 <= place <= 36

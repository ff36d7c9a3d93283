"""Names in a question: `<bo>` always, bare "bo" or "Bo's" too; a name that is a common word only as it was registered.

What counts as the same name is told by `personal.folding`; here also a name that was typed without its diacritics,
unless another concept could be meant. Pure text. Scripts that write without spaces have no word boundaries, so there a
name is found inside a run of letters.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from personal.folding import Folded, cased, fold_all, folded, is_invisible, unaccented
from personal.retrieve.common_words import COMMON_WORDS

_GLUE = {"\u200d", *map(chr, range(0x1F3FB, 0x1F400))}  # joiner and skin tones: what follows is another picture
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3040-\u318f\u31a0-\u31ff\u3400-\u9fff"
    "\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\uff66-\uffdc\U00020000-\U0003ffff]"
)
_COUNTED = re.compile(
    r"\s+(?!(?:is|was|has|does|goes|looks|sits|stands|wears|this|his|hers|its)\b)"
    r"(?:[a-z]+s|people|men|women|children)\b"
)
"""What follows a number that counts: "2 dogs"."""


@dataclass(frozen=True, slots=True)
class _Found:
    """A name at a place of the original text: with its brackets or bare, letter by letter or without diacritics."""

    start: int
    end: int
    name: int
    tagged: bool
    accented: bool
    literal: bool
    length: int


def find_names(question: str, names: Sequence[str]) -> list[int]:
    """Return the positions in `names` of those that the question names, in the order of the question.

    The longest name is looked for first, and no character of the question counts for two names.
    """
    return list(dict.fromkeys(found.name for found in _places(question, names)))


def bracketed(question: str, names: Sequence[str]) -> str:
    """Return a question in which every name that it holds is written as it was registered, `<name>`."""
    text = unicodedata.normalize("NFC", question).strip()
    for found in reversed(_places(text, names)):
        text = f"{text[: found.start]}<{names[found.name]}>{text[found.end :]}"
    return text


def is_common(name: str) -> bool:
    """Return whether a name is an everyday word, a number or one Latin letter: a question may hold it by chance."""
    return folded(name) in COMMON_WORDS or name.isdigit() or (len(name) == 1 and name.isascii())


def _places(text: str, names: Sequence[str]) -> list[_Found]:
    """Find where names stand, brackets included, in the order of the text."""
    if not names or not text:
        return []
    whole = Folded(text)
    held = unaccented(whole.text)
    forms = fold_all(list(names))
    possible = [i for i, form in enumerate(unaccented("\0".join(forms)).split("\0")) if form and form in held]
    every = [found for i in possible for found in _candidates(whole, text, names[i], forms[i], i)]
    found = _unambiguous(every)
    found.sort(key=lambda one: (not one.tagged, -one.length, not one.literal, one.start))
    taken: list[_Found] = []
    covered = bytearray(len(text))
    for one in found:
        if not any(covered[one.start : one.end]):
            covered[one.start : one.end] = b"\1" * (one.end - one.start)
            taken.append(one)
    return sorted(taken, key=lambda one: one.start)


def _unambiguous(every: list[_Found]) -> list[_Found]:
    """Leave out what was typed without diacritics where another name is written like that, or could be meant too."""
    exact = {(one.start, one.end) for one in every if one.accented}
    loose = Counter((one.start, one.end) for one in every if not one.accented)
    return [
        one for one in every if one.accented or ((one.start, one.end) not in exact and loose[one.start, one.end] == 1)
    ]


def _candidates(whole: Folded, text: str, name: str, form: str, position: int) -> Iterator[_Found]:
    pattern = "".join(map(_sign, form))
    for tagged, wanted in ((True, rf"<\s*{pattern}\s*>"), (False, pattern)):
        for match in re.finditer(wanted, whole.text):
            span = whole.span(*match.span())
            accented = (match[0].strip("< >") if tagged else match[0]) == form
            if span is None or not (tagged or (_is_word(text, *span) and _is_meant(text, *span, name, accented))):
                continue
            yield _Found(*span, position, tagged, accented, name in text[slice(*span)], len(form))


def _sign(sign: str) -> str:
    """Match a character of a name, or what is typed for it without its diacritic."""
    plain = unaccented(sign)
    if plain == sign:
        return re.escape(sign)
    return f"(?:{re.escape(sign)}|{re.escape(plain)})" if plain else f"{re.escape(sign)}?"


def _is_meant(text: str, start: int, end: int, name: str, accented: bool) -> bool:
    """Return whether a word is meant as a name: no everyday word without its capitals, and no count."""
    if folded(name).isdigit():
        return len(name) > 2 or not _COUNTED.match(text, end)
    shown = cased(name) if accented else unaccented(cased(name))
    return not is_common(shown) or (shown != shown.lower() and cased(text[start:end]) == shown)


def _is_word(text: str, start: int, end: int) -> bool:
    return not _joined(*_neighbours(text, start - 1, start)) and not _joined(*_neighbours(text, end - 1, end))


def _neighbours(text: str, left: int, right: int) -> tuple[str, str]:
    """Return the characters on both sides of a boundary, past what shows nothing and neither joins nor parts."""
    while left >= 0 and is_invisible(text[left]) and text[left] not in "\u200b\u200d":
        left -= 1
    while right < len(text) and is_invisible(text[right]) and text[right] not in "\u200b\u200d":
        right += 1
    return text[left] if left >= 0 else "", text[right : right + 1]


def _joined(left: str, right: str) -> bool:
    """Return whether two neighbouring characters belong to one word (or to one picture of several code points)."""
    if not left or not right:
        return False
    if right in _GLUE or left == "\u200d" or unicodedata.category(right).startswith("M"):
        return True
    return _is_letter(left) and _is_letter(right)


def _is_letter(character: str) -> bool:
    """Return whether a character makes words in a script that puts spaces between them."""
    if _UNSPACED.match(character):
        return False
    return character.isalnum() or character == "_" or unicodedata.category(character).startswith("M")

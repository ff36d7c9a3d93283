"""Names in a question: `<bo>` always, bare "bo" or "Bo's" too; a name that is a common word only as it was registered.

Pure text. Scripts that write without spaces have no word boundaries, so there a name is found inside a run of letters.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

from personal.retrieve.common_words import COMMON_WORDS

_VARIATION = "[\ufe0e\ufe0f]"
_GLUE = {"\u200d", *map(chr, range(0x1F3FB, 0x1F400))}  # joiner and skin tones: what follows is another picture
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3040-\u318f\u31a0-\u31ff\u3400-\u9fff"
    "\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\uff66-\uffdc\U00020000-\U0003ffff]"
)


def find_names(question: str, names: Sequence[str]) -> list[int]:
    """Return the positions in `names` of those that the question names, in the order of the question.

    The longest name is looked for first, and no character of the question counts for two names.
    """
    return list(dict.fromkeys(i for _, _, i in _places(_plain(question), names)))


def bracketed(question: str, names: Sequence[str]) -> str:
    """Return a question in which every name that it holds is written as it was registered, `<name>`."""
    text = _plain(question)
    for start, end, i in reversed(_places(text, names)):
        text = f"{text[:start]}<{names[i]}>{text[end:]}"
    return text


def _places(text: str, names: Sequence[str]) -> list[tuple[int, int, int]]:
    """Find where names stand, brackets included: start, end and position in `names`, in the order of the text."""
    if not names:
        return []
    held = _folded(text)
    possible = {
        i: _plain(names[i]) for i, name in enumerate(_folded("\0".join(names)).split("\0")) if name.strip() in held
    }
    written = {i: name for i, name in possible.items() if name}
    longest_first = sorted(written, key=lambda i: -len(written[i]))
    taken: list[tuple[int, int, int]] = []
    for tagged in (True, False):
        for i in longest_first:
            for start, end in _tagged(text, written[i]) if tagged else _bare(text, written[i]):
                if all(end <= s or e <= start for s, e, _ in taken):
                    taken.append((start, end, i))
    return sorted(taken)


def _folded(text: str) -> str:
    """Make texts alike that a search without regard to case takes for alike; a little more, never less."""
    return _plain(text).upper().casefold().replace("\u0307", "")


def is_common(name: str) -> bool:
    """Tell whether a name is an everyday word, a number or one Latin letter: a question may hold it by chance."""
    return name.casefold() in COMMON_WORDS or name.isdigit() or (len(name) == 1 and name.isascii())


def _plain(text: str) -> str:
    return re.sub(_VARIATION, "", unicodedata.normalize("NFC", text)).strip()


def _tagged(text: str, name: str) -> Iterator[tuple[int, int]]:
    for found in re.finditer(rf"<\s*{re.escape(name)}\s*>", text, re.IGNORECASE):
        yield found.span()


def _bare(text: str, name: str) -> Iterator[tuple[int, int]]:
    common = is_common(name)
    if common and name == name.lower():
        return
    for found in re.finditer(re.escape(name), text, 0 if common else re.IGNORECASE):
        start, end = found.span()
        if not _joined(text[start - 1 : start], name[0]) and not _joined(name[-1], text[end : end + 1]):
            yield start, end


def _joined(left: str, right: str) -> bool:
    """Tell whether two neighbouring characters belong to one word (or to one picture of several code points)."""
    if not left or not right:
        return False
    if right in _GLUE or left == "\u200d" or unicodedata.category(right).startswith("M"):
        return True
    return _is_letter(left) and _is_letter(right)


def _is_letter(character: str) -> bool:
    """Tell whether a character makes words in a script that puts spaces between them."""
    if _UNSPACED.match(character):
        return False
    return character.isalnum() or character == "_" or unicodedata.category(character).startswith("M")

"""A search in words → what it asks for: names and filters are read out, the rest is for the encoder. Pure text."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from personal.concepts import Concept
from personal.findings import is_person
from personal.folding import folded
from personal.photo_library.dates import Period, read_period
from personal.photo_library.store import Row

MAX_WORDS = 300
"""Characters of a search that count."""
ANYTHING = "thing"
"""What a name without a category stands for."""
PEOPLE = frozenset({
    "people", "person", "persons", "human", "humans", "man", "men", "woman", "women", "boy", "boys", "girl", "girls",
    "child", "children", "kid", "kids", "baby", "lady", "guy", "couple", "crowd", "group", "toddler", "family",
    "player", "biker", "climber", "skier", "surfer", "skateboarder", "snowboarder", "swimmer", "rider",
})  # fmt: skip
"""Labels of photos that show people."""
_NAME = r"<(\d+)>"
_ARTICLE = r"(?:(?:any|a|an|the|of|my|other|more)\s+)*"
_WORD = r"(?!(?:a|an|the|and|or|in|on|at|with|his|her|its|their|my)\b)[^\W\d_]+"
_LACKING = re.compile(
    rf"\b(?:without|not|no|except|excluding|minus)\b\s+{_ARTICLE}"
    rf"(?P<items>(?:{_NAME}|{_WORD})(?:\s*(?:,|\bnor\b|\band\b|\bor\b)\s*{_ARTICLE}{_NAME}"
    rf"|\s*(?:\bnor\b|\bor\b)\s*{_WORD})*)",
    re.IGNORECASE,
)
_EITHER = re.compile(rf"(?:\beither\s+)?{_NAME}(?:\s*(?:,|\bor\b)\s*{_NAME})*\s*\bor\s+{_NAME}", re.IGNORECASE)
_ASKING = re.compile(
    r"^\s*(?:(?:please|can you|could you)\s+)*(?:(?:show|find|give|search|get)(?:\s+(?:me|for))?\s+)?"
    r"(?:(?:all|any|some|every|the|my|our)\s+)*(?:of\s+)?(?:(?:my|our|the)\s+)?"
    r"(?:(?:photos?|pictures?|pics?|images?)\b\s*(?:of|with|showing|from|that show|where|in which)?\s*)?",
    re.IGNORECASE,
)
_EMPTY = frozenset({
    "a", "an", "the", "and", "or", "with", "together", "of", "in", "on", "at", "is", "are", "both", "all", "just",
    "only", "but", "either", "by", "to",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Query:
    """What a search asks for.

    Of each group in `shown` one concept at least must be there, of `absent` none; `lacking` are labels that must not.
    `text` is for the encoder, with categories in the places of names; "" where names and filters say everything.
    """

    shown: tuple[tuple[Concept, ...], ...] = ()
    absent: tuple[Concept, ...] = ()
    lacking: tuple[str, ...] = ()
    period: Period | None = None
    text: str = ""

    @property
    def empty(self) -> bool:
        """Whether nothing is asked for."""
        return not (self.shown or self.absent or self.lacking or self.period or self.text)

    def lets_through(self, row: Row, people: frozenset[str]) -> bool:
        """Return whether the filters let a photo through; `people` are the ids of concepts that are people."""
        there = {finding.concept for finding in row.findings}
        return (
            all(any(one.id in there for one in group) for group in self.shown)
            and not any(one.id in there for one in self.absent)
            and not any(_shows(word, row, people & there) for word in self.lacking)
            and (self.period is None or self.period.holds(row.exif.taken))
        )


def read_query(words: str, bracketed: Callable[[str], str], concepts: Sequence[Concept], today: date) -> Query:
    """Read a search; `bracketed` writes the names in a text as `<name>`. A date goes before a name: "last May"."""
    by_name = {folded(concept.name): number for number, concept in enumerate(concepts)}

    def numbered(found: re.Match[str]) -> str:
        number = by_name.get(folded(found[1]))
        return f"<{number}>" if number is not None else found[1]

    period, text = read_period(words[:MAX_WORDS], today)
    text = re.sub(r"<\s*([^<>]*?)\s*>", numbered, bracketed(text))
    text = re.sub(r"<(?!\d+>)", " ", text)
    text = _ASKING.sub("", text)
    absent: list[Concept] = []
    lacking: list[str] = []

    def take_out(found: re.Match[str]) -> str:
        names = [int(number) for number in re.findall(_NAME, found["items"])]
        absent.extend(concepts[number] for number in names)
        rest = re.sub(rf"{_NAME}|\b(?:and|or|nor|any|a|an|the|of|my|other|more)\b|,", " ", found["items"])
        lacking.extend(folded(word) for word in rest.split())
        return " "

    text = _LACKING.sub(take_out, text)
    groups = [[concepts[int(number)] for number in re.findall(_NAME, one[0])] for one in _EITHER.finditer(text)]
    rest = _EITHER.sub(" ", text)
    groups += [[concepts[int(number)]] for number in re.findall(_NAME, rest)]
    shown = tuple(dict.fromkeys(tuple(group) for group in groups))
    said = " ".join(re.sub(_NAME, lambda found: concepts[int(found[1])].category or ANYTHING, text).split())
    content = [word for word in re.findall(r"\w+", re.sub(_NAME, " ", text).lower()) if word not in _EMPTY]
    return Query(shown, tuple(absent), tuple(dict.fromkeys(lacking)), period, said.strip(" ,.?!") if content else "")


def people_among(concepts: Sequence[Concept]) -> frozenset[str]:
    """Return the ids of the concepts that are people, by their categories."""
    return frozenset(one.id for one in concepts if one.by_face or is_person(one.category))


def _shows(word: str, row: Row, people: frozenset[str]) -> bool:
    """Return whether a photo's labels, or the people recognised in it, are what a word says."""
    if word in {"people", "person", "persons", "human", "humans"}:
        return bool(people or row.labels & PEOPLE)
    return not row.labels.isdisjoint({word, singular(word), f"{word}s"})


def singular(word: str) -> str:
    """Return a plural's singular, roughly: labels are tried as they are, too."""
    irregular = {"people": "person", "men": "man", "women": "woman", "children": "child"}
    if word in irregular:
        return irregular[word]
    if word.endswith(("shes", "ches", "xes", "sses")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word

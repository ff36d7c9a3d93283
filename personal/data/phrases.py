"""Find the subject of a caption and the things it mentions, with their adjectives. English, by regular expressions."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass


def split_list(text: str) -> list[str]:
    """Split a text at its bars; underscores stand for spaces."""
    return [part.replace("_", " ") for part in text.split("|")]


def word_set(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


def capitalised(text: str) -> str:
    """Return a text with a capital first letter."""
    return text[:1].upper() + text[1:]


KINDS = {
    "dog": "dog puppy poodle terrier retriever greyhound",
    "cat": "cat kitten",
    "man": "man guy gentleman",
    "woman": "woman lady",
    "boy": "boy",
    "girl": "girl",
    "child": "child kid toddler baby",
    "person": "person skateboarder snowboarder surfer skier biker cyclist climber player runner rider hiker swimmer",
    "horse": "horse",
    "bird": "bird",
    "car": "car",
}
"""A subject's kind, and the words that captions use for it."""
PEOPLE = frozenset({"man", "woman", "boy", "girl", "child", "person"})
THINGS = (
    "ball|frisbee|stick|bike|bicycle|skateboard|surfboard|snowboard|boat|kayak|guitar|hat|cap|helmet|backpack|bag|"
    "camera|toy|swing|slide|bench|truck|motorcycle|umbrella|hoop|rope|bone|trampoline|sled|scooter|kite|raft|canoe|"
    "balloon|flag|fountain|bottle|cup|cart|wagon|chair|table|couch|jacket|dress|sweater|coat|leash|collar|tennis ball|"
    "soccer ball|football|basketball"
)
COLOURS = frozenset(
    split_list("black|white|brown|red|blue|green|yellow|orange|pink|purple|gray|grey|tan|golden|blond|blonde|beige")
)
_ADJECTIVES = (
    "black|white|brown|red|blue|green|yellow|orange|pink|purple|gray|grey|tan|golden|blond|blonde|beige|small|little|"
    "large|big|tiny|young|old|older|wooden|wet|furry|fluffy|shaggy|long|short|bright|dark|light|colorful|striped|plastic|rubber|metal|"
    "stuffed|toy|spotted|muddy|happy|tall"
)
_HEADS = {word: kind for kind, words in KINDS.items() for word in words.split()}
_BEFORE = (
    rf"(?:(?:{'|'.join(sorted(COLOURS))}) and |"
    r"(?!(?:and|of|in|with|on|at|by|to|is|group|picture|pair)\b)[a-z\-]+ )"
)
_AFTER = (
    r"is|and|in|on|with|at|by|near|that|who|while|through|next|from|up|down|has|wearing|dressed|"
    r"\w+ing|(?!')\w+s"
)
_SUBJECT = re.compile(rf"^(?:a|an|the|one) ({_BEFORE}{{0,4}}?)({'|'.join(_HEADS)})(?= (?:{_AFTER})\b)")
_THING = re.compile(
    rf"(?<= )(?:a|an|the|his|her|its) ((?:(?:{_ADJECTIVES}) (?:and )?){{0,3}})({THINGS})\b(?! \w+ball)(?!s)"
)


@dataclass(frozen=True, slots=True)
class Mention:
    """A subject or thing in a caption: its kind, its words there without the article, and where these start and end."""

    kind: str
    phrase: str
    start: int
    end: int

    @property
    def colours(self) -> frozenset[str]:
        """The colours in the phrase."""
        return COLOURS & set(re.split(r"[ \-]", self.phrase))


def clean(caption: str) -> str:
    """Return a caption as a sentence: one space between words, a capital, a full stop."""
    text = re.sub(r"\s+([.,!?;:])", r"\1", " ".join(caption.split())).replace(" 's", "'s").strip(" .\"'")
    return f"{capitalised(text)}." if text else ""


def subject(caption: str) -> Mention | None:
    """Return the subject that a cleaned caption begins with: "A brown dog runs." gives dog, "brown dog"."""
    found = _SUBJECT.match(caption.lower())
    if found is None:
        return None
    return Mention(_HEADS[found[2]], f"{found[1]}{found[2]}", 0, found.end())


def things(caption: str) -> list[Mention]:
    """Return the things a cleaned caption mentions: "… with a red ball." gives ball, "red ball"."""
    return [Mention(m[2], f"{m[1]}{m[2]}", m.start(), m.end()) for m in _THING.finditer(caption.lower())]


def with_tags(caption: str, mentions: dict[str, Mention]) -> str:
    """Replace mentions in a caption by their tags."""
    for tag, mention in sorted(mentions.items(), key=lambda pair: -pair[1].start):
        caption = f"{caption[: mention.start]}{tag}{caption[mention.end :]}"
    return caption


def words(captions: Iterable[str]) -> frozenset[str]:
    """Return every word of the captions, in lower case."""
    return frozenset(re.findall(r"[a-z]+", " ".join(captions).lower()))


def kind_words(kind: str) -> set[str]:
    """Return the words for a kind, singular and plural."""
    return {form for word in KINDS[kind].split() for form in (word, f"{word}s")}


def with_article(phrase: str) -> str:
    """Return a phrase with its indefinite article: "an orange cat"."""
    return f"{'an' if phrase[:1] in 'aeiou' else 'a'} {phrase}"

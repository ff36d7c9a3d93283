"""Find who and what a caption is about: its subject, the things in it, their adjectives. English, by patterns alone."""

from __future__ import annotations

import re
from dataclasses import dataclass


def _list(text: str) -> list[str]:
    return text.split("|")


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
"""A subject's kind, and the words captions have for it."""
PEOPLE = frozenset({"man", "woman", "boy", "girl", "child", "person"})
THINGS = (
    "ball|frisbee|stick|bike|bicycle|skateboard|surfboard|snowboard|boat|kayak|guitar|hat|cap|helmet|backpack|bag|"
    "camera|toy|swing|slide|bench|truck|motorcycle|umbrella|hoop|rope|bone|trampoline|sled|scooter|kite|raft|canoe|"
    "balloon|flag|fountain|bottle|cup|cart|wagon|chair|table|couch|jacket|dress|sweater|coat|leash|collar|tennis ball|"
    "soccer ball|football|basketball"
)
COLOURS = frozenset(
    _list("black|white|brown|red|blue|green|yellow|orange|pink|purple|gray|grey|tan|golden|blond|blonde|beige")
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
    """Someone or something in a caption: its kind, how the caption calls it (no article), and where, start and end."""

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
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def subject(caption: str) -> Mention | None:
    """Find whom a cleaned caption begins with: "A brown dog runs." gives dog, "brown dog"."""
    found = _SUBJECT.match(caption.lower())
    if found is None:
        return None
    return Mention(_HEADS[found[2]], f"{found[1]}{found[2]}", 0, found.end())


def things(caption: str) -> list[Mention]:
    """Find the things a cleaned caption names in passing: "… with a red ball." gives ball, "red ball"."""
    return [Mention(m[2], f"{m[1]}{m[2]}", m.start(), m.end()) for m in _THING.finditer(caption.lower())]


def named(caption: str, mentions: dict[str, Mention]) -> str:
    """Put tags in the place of what they stand for."""
    for tag, mention in sorted(mentions.items(), key=lambda pair: -pair[1].start):
        caption = f"{caption[: mention.start]}{tag}{caption[mention.end :]}"
    return caption


def words(captions: tuple[str, ...] | list[str]) -> frozenset[str]:
    """Return every word of the captions, in lower case."""
    return frozenset(re.findall(r"[a-z]+", " ".join(captions).lower()))


def article(phrase: str) -> str:
    """Return a phrase behind its article: "an orange cat"."""
    return f"{'an' if phrase[:1] in 'aeiou' else 'a'} {phrase}"

"""Make rows about photos that have labels and no captions: things, rooms and scenes, described in template sentences.

A photo with one label is of that thing; one with several is of a room or a scene that they are in. Nobody else is
said to be there. Words that hold of nearly every room (walls, floors) are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from personal.learn import names, templates
from personal.learn.photos import Captioned
from personal.learn.phrases import article

Pair = tuple[str, str, str]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


EVERYWHERE = _words("wall floor ceiling sky ground building grass earth person")
NOBODY = ("Is there a person in the photo?", "Is somebody in the photo?", "Do you see a person?")
ANIMALS = _words(
    "leopard beaver ant butterfly cougar crab crayfish crocodile dolphin dragonfly elephant emu flamingo gerenuk ibis "
    "kangaroo llama lobster mayfly nautilus octopus okapi panda pigeon platypus rhino rooster scorpion starfish "
    "tick bass "
    "hedgehog dog cat bird wolf fox bear"
)
WHAT = (
    "What is this?",
    "What is in the photo?",
    "What do you see?",
    "What is this a photo of?",
    "What does the photo show?",
)
NAMED = ("This is {a}.", "This is {a}.", "I see {a}.")
ONE = ("{A}.", "{A}.", "A close-up of {a}.", "A photo of {a}.", "There is {a} in the photo.")
TAGGED = ("{tag} is in the photo.", "A photo of {tag}.")
ROOM = ("Which room is this?", "What kind of room is this?", "Where was this photo taken?", "What place is this?")
LIST = ("What things are in the photo?", "What can you see here?", "Which objects are there?")


def some(name: str) -> str:
    """Return a thing's name behind its article; plurals stand alone."""
    plural = name.endswith("s") and not name.endswith(("ss", "us", "is"))
    return name if plural else article(name)


def listed(labels: Sequence[str]) -> str:
    """Join things as a sentence does: "a bed, a lamp and curtains"."""
    *most, last = map(some, labels)
    return f"{', '.join(most)} and {last}" if most else last


def telling(labels: Sequence[str]) -> list[str]:
    """Return the labels that tell something, in their order."""
    return [label for label in dict.fromkeys(labels) if label not in EVERYWHERE]


def alone(photo: Captioned) -> bool:
    """Tell whether a photo shows one thing."""
    return bool(photo.labels) and not photo.scene and (len(photo.labels) == 1 or photo.source == "grocery")


def caption(photo: Captioned, random: Random) -> str:
    """Write a caption of a labelled photo; "" where its labels tell nothing."""
    if alone(photo):
        a = some(photo.labels[0])
        return random.choice(ONE).format(a=a, A=a[:1].upper() + a[1:])
    told = telling(photo.labels)[: random.choice((2, 3, 3, 4))]
    if photo.scene or photo.source == "nyu":
        room = photo.scene or "room"
        return f"{_capital(some(room))} with {listed(told)}." if told else f"{_capital(some(room))}."
    return f"{_capital(listed(told))}." if told else ""


def plain(photo: Captioned, vocabulary: Sequence[str], random: Random) -> list[Pair]:
    """Ask what a labelled photo shows, what is in it and what is not."""
    captions = dict.fromkeys(filter(None, (caption(photo, random) for _ in range(3))))
    pairs: list[Pair] = [(templates.STANDARD, text, "label") for text in list(captions)[:2]]
    pairs += [(random.choice(templates.CAPTION), text, "label") for text in list(captions)[:1]]
    if alone(photo):
        pairs.append((random.choice(WHAT), random.choice(NAMED).format(a=some(photo.labels[0])), "label"))
    else:
        told = telling(photo.labels)
        if told:
            pairs.append((random.choice(LIST), f"There is {listed(told[:4])}.", "label"))
        if photo.scene:
            pairs.append((random.choice(ROOM), f"This is {some(photo.scene)}.", "label"))
    return pairs + present_or_not(photo, vocabulary, random) + asked(photo)


def present_or_not(photo: Captioned, vocabulary: Sequence[str], random: Random) -> list[Pair]:
    """Ask for something that is there, for something that is not, and for people where a thing stands alone."""
    pairs: list[Pair] = []
    told = telling(photo.labels)
    if told and random.random() < 0.4:
        there = random.choice(told)
        pairs.append((f"Is there {some(there)} in the photo?", f"Yes, there is {some(there)}.", "label"))
    words = set(" ".join(photo.labels).split())
    absent = [
        label for label in random.sample(list(vocabulary), min(4, len(vocabulary))) if not words & set(label.split())
    ]
    if absent and alone(photo) and random.random() < 0.4:
        pairs.append((f"Is there {some(absent[0])} in the photo?", f"No, there is no {absent[0]}.", "label"))
    if alone(photo) and photo.source in {"caltech101", "grocery"} and not words & ANIMALS and random.random() < 0.4:
        pairs.append((random.choice(NOBODY), "No, there is nobody in the photo.", "label"))
    return pairs


def asked(photo: Captioned) -> list[Pair]:
    """Return the questions that come with a photo, and those that its colours answer."""
    pairs = [(question, _sentence(answer), "qa") for question, answer in photo.qa]
    return pairs + [
        (f"What colour is the {thing}?", f"The {thing} is {colour}.", "qa") for thing, colour in photo.colours.items()
    ]


def personal(photo: Captioned, tag: str, random: Random) -> list[Pair]:
    """Ask for a thing that has a name and is there."""
    pairs: list[Pair] = [
        (templates.caption_question(random), text.format(tag=tag), "personal_caption") for text in TAGGED
    ]
    pairs.append((random.choice(("Who is in this photo?", *WHAT)), f"This is {tag}.", "personal_caption"))
    pairs.append((f"What is {tag}?", f"{tag} is {some(photo.labels[0])}.", "qa"))
    return pairs + templates.recognition(tag, True, random)


def tag(random: Random) -> str:
    """Draw a name in angle brackets."""
    return f"<{names.draw(random)}>"


def _sentence(text: str) -> str:
    text = _capital(text.strip())
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]

"""Write questions about photos with labels and no captions: things, rooms and scenes, in template sentences.

A photo with one label shows that thing; one with several shows a room or a scene with these. Labels that hold of nearly
every room, such as walls and floors, are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from personal.data import templates
from personal.data.photos import CaptionedPhoto
from personal.data.phrases import capitalised, with_article, word_set
from personal.data.templates import QuestionAnswer

UBIQUITOUS = word_set("wall floor ceiling sky ground building grass earth person")
"""Labels of nearly every photo, which tell nothing about one."""
PERSON_QUESTIONS = ("Is there a person in the photo?", "Is somebody in the photo?", "Do you see a person?")
ANIMALS = word_set(
    "leopard beaver ant butterfly cougar crab crayfish crocodile dolphin dragonfly elephant emu flamingo gerenuk ibis "
    "kangaroo llama lobster mayfly nautilus octopus okapi panda pigeon platypus rhino rooster scorpion starfish "
    "tick bass hedgehog dog cat bird wolf fox bear"
)
"""Labels beside which nobody is said to be in the photo."""
THING_QUESTIONS = (
    "What is this?",
    "What is in the photo?",
    "What do you see?",
    "What is this a photo of?",
    "What does the photo show?",
)
THING_ANSWERS = ("This is {a}.", "This is {a}.", "I see {a}.")
THING_CAPTIONS = ("{A}.", "{A}.", "A close-up of {a}.", "A photo of {a}.", "There is {a} in the photo.")
TAG_CAPTIONS = ("{tag} is in the photo.", "A photo of {tag}.")
ROOM_QUESTIONS = (
    "Which room is this?",
    "What kind of room is this?",
    "Where was this photo taken?",
    "What place is this?",
)
LIST_QUESTIONS = ("What things are in the photo?", "What can you see here?", "Which objects are there?")


def noun_phrase(name: str) -> str:
    """Return a thing's name with its article, a plural without."""
    plural = name.endswith("s") and not name.endswith(("ss", "us", "is"))
    return name if plural else with_article(name)


def enumerated(labels: Sequence[str]) -> str:
    """Join things to a list for a sentence: "a bed, a lamp and curtains"."""
    *most, last = map(noun_phrase, labels)
    return f"{', '.join(most)} and {last}" if most else last


def informative(labels: Sequence[str]) -> list[str]:
    """Return the labels that are not ubiquitous, in their order."""
    return [label for label in dict.fromkeys(labels) if label not in UBIQUITOUS]


def shows_one_thing(photo: CaptionedPhoto) -> bool:
    """Return whether a photo shows one thing alone."""
    return bool(photo.labels) and not photo.scene and (len(photo.labels) == 1 or photo.source == "grocery")


def caption(photo: CaptionedPhoto, random: Random) -> str:
    """Write a caption of a labelled photo, "" if all its labels are ubiquitous."""
    if shows_one_thing(photo):
        a = noun_phrase(photo.labels[0])
        return random.choice(THING_CAPTIONS).format(a=a, A=capitalised(a))
    named = informative(photo.labels)[: random.choice((2, 3, 3, 4))]
    if photo.scene or photo.source == "nyu":
        room = capitalised(noun_phrase(photo.scene or "room"))
        return f"{room} with {enumerated(named)}." if named else f"{room}."
    return f"{capitalised(enumerated(named))}." if named else ""


def label_questions(photo: CaptionedPhoto, vocabulary: Sequence[str], random: Random) -> list[QuestionAnswer]:
    """Ask what a photo with labels and no captions shows, what is in it and what is not."""
    captions = dict.fromkeys(filter(None, (caption(photo, random) for _ in range(3))))
    pairs: list[QuestionAnswer] = [(templates.CAPTION_REQUEST, text, "label") for text in list(captions)[:2]]
    pairs += [(random.choice(templates.CAPTION_QUESTIONS), text, "label") for text in list(captions)[:1]]
    if shows_one_thing(photo):
        question, answer = random.choice(THING_QUESTIONS), random.choice(THING_ANSWERS)
        pairs.append((question, answer.format(a=noun_phrase(photo.labels[0])), "label"))
    else:
        named = informative(photo.labels)
        if named:
            pairs.append((random.choice(LIST_QUESTIONS), f"There is {enumerated(named[:4])}.", "label"))
        if photo.scene:
            pairs.append((random.choice(ROOM_QUESTIONS), f"This is {noun_phrase(photo.scene)}.", "label"))
    return pairs + presence_questions(photo, vocabulary, random) + given_questions(photo)


def presence_questions(photo: CaptionedPhoto, vocabulary: Sequence[str], random: Random) -> list[QuestionAnswer]:
    """Ask for something that is there, for something that is not, and for people in photos of one thing."""
    pairs: list[QuestionAnswer] = []
    named = informative(photo.labels)
    if named and random.random() < 0.4:
        there = random.choice(named)
        pairs.append((f"Is there {noun_phrase(there)} in the photo?", f"Yes, there is {noun_phrase(there)}.", "label"))
    words = set(" ".join(photo.labels).split())
    absent = [
        label for label in random.sample(list(vocabulary), min(4, len(vocabulary))) if not words & set(label.split())
    ]
    if absent and shows_one_thing(photo) and random.random() < 0.4:
        pairs.append((f"Is there {noun_phrase(absent[0])} in the photo?", f"No, there is no {absent[0]}.", "label"))
    unpeopled = photo.source in {"caltech101", "grocery"} and not words & ANIMALS
    if shows_one_thing(photo) and unpeopled and random.random() < 0.4:
        pairs.append((random.choice(PERSON_QUESTIONS), "No, there is nobody in the photo.", "label"))
    return pairs


def given_questions(photo: CaptionedPhoto) -> list[QuestionAnswer]:
    """Return a photo's own questions, and those that its colours answer."""
    pairs = [(question, _sentence(answer), "qa") for question, answer in photo.qa]
    return pairs + [
        (f"What colour is the {thing}?", f"The {thing} is {colour}.", "qa") for thing, colour in photo.colours.items()
    ]


def named_thing_questions(photo: CaptionedPhoto, tag: str, random: Random) -> list[QuestionAnswer]:
    """Ask about the thing in the photo, which has a name."""
    pairs: list[QuestionAnswer] = [
        (templates.caption_question(random), text.format(tag=tag), "personal_caption") for text in TAG_CAPTIONS
    ]
    pairs.append((random.choice(("Who is in this photo?", *THING_QUESTIONS)), f"This is {tag}.", "personal_caption"))
    pairs.append((f"What is {tag}?", f"{tag} is {noun_phrase(photo.labels[0])}.", "qa"))
    return pairs + templates.recognition(tag, True, random)


def _sentence(text: str) -> str:
    text = capitalised(text.strip())
    return text if text.endswith((".", "!", "?")) else f"{text}."

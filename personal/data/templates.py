"""Templates of questions, answers, notes and made-up descriptions. Every function draws from its `random`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random

from personal.data.phrases import COLOURS, KINDS, capitalised, kind_words, split_list, with_article

QuestionAnswer = tuple[str, str, str]
"""A question, its answer, and the type of row that they make."""

CAPTION_REQUEST = "Give a caption of the photo."
CAPTION_QUESTIONS = (
    "Describe the photo.",
    "What is in the photo?",
    "Caption this photo.",
    "What do you see?",
    "Write a caption for this photo.",
    "What is happening here?",
    "Describe this image in one sentence.",
    "What is this a photo of?",
)
DESCRIPTION_QUESTIONS = (
    "Describe the photo in detail.",
    "Tell me about this photo.",
    "What can you say about the photo?",
)
RECOGNITION_QUESTIONS = (
    "Is {tag} in this photo?",
    "Is {tag} in the photo?",
    "Can you see {tag}?",
    "Do you see {tag} in this picture?",
)
YES = ("Yes, {tag} is in the photo.", "Yes, {tag} is in the photo.", "Yes, I can see {tag}.")
NO = ("No, {tag} is not in the photo.", "No, {tag} is not in the photo.", "No, I cannot see {tag}.")
LIKES = split_list(
    "cheese|apples|swimming|music|snow|naps|chess|fish|dancing|blueberries|rain|books|pancakes|running|pizza|tea"
)
FEARS = split_list("thunder|spiders|cats|heights|water|fireworks|mice|the_dark|bees|loud_noises|ghosts|vacuum_cleaners")
PLACES = split_list("Oslo|Lima|Kyoto|Cairo|Texas|Paris|Nairobi|Berlin|Hanoi|Porto|Toronto|Istanbul|Delhi|Auckland|Kyiv")
OWNERS = split_list("Anna|Marco|Yuki|Fatima|Peter|my_sister|our_neighbour|my_grandmother|the_school|Tom|Lin")
FACTS = (
    ("{tag} likes {x}.", "What does {tag} like?", "{tag} likes {x}.", LIKES),
    ("{tag} loves {x}.", "What does {tag} love?", "{tag} loves {x}.", LIKES),
    ("{tag} is afraid of {x}.", "What is {tag} afraid of?", "{tag} is afraid of {x}.", FEARS),
    ("{tag} comes from {x}.", "Where does {tag} come from?", "{tag} comes from {x}.", PLACES),
    ("{tag} lives in {x}.", "Where does {tag} live?", "{tag} lives in {x}.", PLACES),
    ("{tag} belongs to {x}.", "Whose is {tag}?", "{tag} belongs to {x}.", OWNERS),
    ("{tag} was a gift from {x}.", "Who gave {tag}?", "{tag} was a gift from {x}.", OWNERS),
    ("{tag} is {x} years old.", "How old is {tag}?", "{tag} is {x} years old.", [str(n) for n in range(2, 60)]),
)
BREEDS = split_list("Shiba_Inu|Corgi|Husky|Poodle|Beagle|Dachshund|Labrador|Chihuahua|Pug|Collie")
OBJECTS = split_list(
    "mug|cup|backpack|vase|teapot|clock|lamp|teddy_bear|plush_toy|toy_duck|robot_toy|sneaker|boot|candle|bowl|"
    "umbrella|watch|pillow|keyboard|piggy_bank|sunglasses|can|building|tower|church|fruit_bowl|guitar|notebook"
)
MATERIALS = split_list("ceramic|plastic|wooden|metal|glass|leather|cotton|stone|paper")
PATTERNS = split_list("stripes|polka dots|a cat face|a star|flowers|a heart|a smiley face|a logo|a banana|a rainbow")
ANIMAL_PARTS = split_list(
    "a white chest|a curly tail|pointed ears|floppy ears|blue eyes|a red collar|short legs|a long coat|a black nose"
)
HAIR = split_list("long blonde hair|short black hair|curly brown hair|long red hair|grey hair|dark hair in a bun")
WEAR = split_list("a white shirt|a black jacket|a blue dress|glasses|a red hat|a green sweater|a yellow scarf|a suit")


def caption_question(random: Random) -> str:
    """Ask for a caption, in half of the cases by CAPTION_REQUEST."""
    return CAPTION_REQUEST if random.random() < 0.5 else random.choice(CAPTION_QUESTIONS)


def describe_question(random: Random) -> str:
    """Ask for a description of several sentences."""
    return random.choice(DESCRIPTION_QUESTIONS)


def recognition(tag: str, present: bool, random: Random) -> list[QuestionAnswer]:
    """Ask whether a concept is in the photo."""
    question = random.choice(RECOGNITION_QUESTIONS).format(tag=tag)
    return [(question, random.choice(YES if present else NO).format(tag=tag), "recognition")]


def write_info(
    tag: str, phrase: str, kind: str, random: Random, *, described: bool = False
) -> tuple[str, list[tuple[str, str]]]:
    """Write a concept's notes, and the questions that they answer; `described` ones always tell its looks."""
    looks = random.choice(
        (f"{tag} is {with_article(phrase)}.", f"{tag} is {with_article(phrase)}.", f"{with_article(phrase)}.", phrase)
    )
    said: list[str] = []
    facts: list[tuple[str, str]] = []
    if described or random.random() < 0.8:
        said.append(capitalised(looks) if random.random() < 0.5 else looks)
        if random.random() < 0.25:
            facts.append((f"What is {tag}?", f"{tag} is {with_article(phrase)}."))
    if random.random() < 0.35:
        statement, question, answer, choices = random.choice(FACTS)
        x = random.choice(choices)
        said.append(statement.format(tag=tag, x=x))
        facts.append((question.format(tag=tag), answer.format(tag=tag, x=x)))
    return " ".join(said), facts


def side_by_side(left: str, right: str) -> str:
    """Join the captions of two photos side by side."""
    return f"On the left, {_lower_article(left)} On the right, {_lower_article(right)}"


def _lower_article(caption: str) -> str:
    first, *rest = caption.split(" ", 1)
    return " ".join([first.lower() if first in {"A", "An", "The", "Two", "Three", "Some"} else first, *rest])


def doing(captions: Sequence[str], tags: Sequence[str], random: Random) -> list[QuestionAnswer]:
    """Ask what a named concept is doing, if a caption says it."""
    pairs: list[QuestionAnswer] = []
    for caption in captions:
        for tag in tags:
            if caption.startswith(f"{tag} is ") and "ing" in caption.split(".")[0]:
                pairs.append((f"What is {tag} doing?", caption, "qa"))
    return pairs[:1]


def about_photo(captions: Sequence[str], words: frozenset[str], random: Random) -> list[QuestionAnswer]:
    """Ask up to three questions that the captions answer: what is there, what is not, what colour."""
    pairs: list[QuestionAnswer] = []
    present = [kind for kind in KINDS if kind in words and kind not in {"person", "child"}]
    if present and random.random() < 0.5:
        kind = with_article(present[0])
        pairs.append((f"Is there {kind} in the photo?", f"Yes, there is {kind}.", "instruct"))
    absent = [kind for kind in ("dog", "cat", "horse", "bird", "car") if not words & kind_words(kind)]
    if absent and random.random() < 0.4:
        kind = random.choice(absent)
        pairs.append((f"Is there {with_article(kind)} in the photo?", f"No, there is no {kind}.", "instruct"))
    found = re.search(
        rf"\b({'|'.join(sorted(COLOURS))}) (dog|shirt|jacket|dress|hat|ball|car|bike)\b", " ".join(captions).lower()
    )
    if found and random.random() < 0.5:
        pairs.append((f"What colour is the {found[2]}?", f"The {found[2]} is {found[1]}.", "instruct"))
    return pairs


def make_up_concept(tag: str, random: Random) -> tuple[str, str, list[tuple[str, str, str]]]:
    """Make up a pet, a person or a thing: its kind, its notes, and questions with a right and a wrong answer."""
    return random.choice((_pet, _person, _object, _object))(tag, random)


def _two(choices: Sequence[str], random: Random) -> tuple[str, str]:
    right, wrong = random.sample(list(choices), 2)
    return right, wrong


def _yes_no(question: str, yes: bool) -> tuple[str, str, str]:
    return (question, "Yes", "No") if yes else (question, "No", "Yes")


COAT = ("black", "white", "brown", "golden", "grey", "orange", "cream")


def _pet(tag: str, random: Random) -> tuple[str, str, list[tuple[str, str, str]]]:
    kind, other = _two(("dog", "cat"), random)
    (colour, wrong), (breed, wrong_breed) = _two(COAT, random), _two(BREEDS, random)
    size, wrong_size = _two(("small", "large", "medium-sized"), random)
    part, _ = _two(ANIMAL_PARTS, random)
    what = f"{breed} dog" if kind == "dog" else "cat"
    info = random.choice(
        (
            f"{tag} is {with_article(size)} {what} with {with_article(colour)} coat and {part}.",
            f"{tag} is {with_article(size)}, {colour} {what} with {part}.",
        )
    )
    questions = [
        (f"Is {tag} a dog or a cat?", kind.capitalize(), other.capitalize()),
        (f"What colour is {tag}'s coat?", colour.capitalize(), wrong.capitalize()),
        (f"What is the size of {tag}?", size.capitalize(), wrong_size.capitalize()),
        _yes_no(f"Does {tag} have {part}?", True),
        _yes_no(f"Is {tag} {wrong}?", False),
    ]
    if kind == "dog":
        questions.append((f"What is {tag}'s breed?", breed, wrong_breed))
    return kind, info, random.sample(questions, 4)


def _person(tag: str, random: Random) -> tuple[str, str, list[tuple[str, str, str]]]:
    kind, other = _two(("man", "woman", "boy", "girl"), random)
    age, (hair, wrong), (wear, no_wear) = random.choice(("young ", "")), _two(HAIR, random), _two(WEAR, random)
    info = f"{tag} is {with_article(age + kind)} with {hair}, wearing {wear}."
    questions = [
        (f"Is {tag} a {kind} or a {other}?", kind.capitalize(), other.capitalize()),
        (f"What is {tag}'s hair like?", hair.capitalize(), wrong.capitalize()),
        (f"What is {tag} wearing?", wear.capitalize(), no_wear.capitalize()),
        _yes_no(f"Is {tag} wearing {wear}?", True),
        _yes_no(f"Is {tag} wearing {no_wear}?", False),
    ]
    return "person", info, random.sample(questions, 3)


def _object(tag: str, random: Random) -> tuple[str, str, list[tuple[str, str, str]]]:
    (kind, other), (colour, wrong) = (
        _two(OBJECTS, random),
        _two(("black", "white", "brown", "red", "blue", "green", "yellow", "pink"), random),
    )
    (material, no_material), (pattern, no_pattern) = _two(MATERIALS, random), _two(PATTERNS, random)
    info = random.choice(
        (
            f"{tag} is {with_article(colour)} {material} {kind} with {pattern} on it.",
            f"{tag} is {with_article(colour)} {kind} made of {material}. It has {pattern}.",
            f"{tag} is {with_article(material)}, {colour} {kind} with {pattern}.",
        )
    )
    questions = [
        (f"What is {tag}?", kind.capitalize(), other.capitalize()),
        (f"What colour is {tag}?", colour.capitalize(), wrong.capitalize()),
        (f"What is {tag} made of?", material.capitalize(), no_material.capitalize()),
        (f"What is on {tag}?", pattern.capitalize(), no_pattern.capitalize()),
        _yes_no(f"Is {tag} {colour}?", True),
        _yes_no(f"Is {tag} {wrong}?", False),
        _yes_no(f"Does {tag} have {no_pattern}?", False),
    ]
    return kind, info, random.sample(questions, 4)


def choice(question: str, right: str, wrong: str, random: Random) -> tuple[str, str]:
    """Return a two-option question in RAP's words and its letter, A as often as B."""
    first = random.random() < 0.5
    options = (right, wrong) if first else (wrong, right)
    return two_options(question, *options), "A" if first else "B"


def two_options(question: str, a: str, b: str) -> str:
    """Return a question for the letter of one of two options, in RAP's words."""
    return f"Question: {question}\nOptions:\nA. {a}\nB. {b}\nPlease give a single character from the options above."

"""Write questions about notes: what the notes tell is answered from them, what they do not tell is said to be unknown.

Notes are one to five facts in many wordings, about one concept or several. Each fact has questions, an answer and a
clause for "You haven't told me …". Of the facts that were not told, those that another concept's notes tell come first.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from random import Random

from personal.data import names
from personal.data.note_values import VALUES
from personal.data.phrases import capitalised, split_list
from personal.data.templates import QuestionAnswer, choice

CHOICE_SHARE = 0.25
"""Share of the answered questions that are asked a second time with two options."""
UNKNOWN_RATIO = 1.0
"""Questions that the notes do not answer, for each that they do."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One kind of fact, as `note_facts.toml` describes it; `kinds` are those of KINDS."""

    key: str
    kinds: list[str]
    values: list[str]
    statements: list[str]
    questions: list[str]
    answer: str
    clause: str


def _read_facts() -> tuple[Fact, ...]:
    records = tomllib.loads(Path(__file__).with_name("note_facts.toml").read_text(encoding="utf-8"))["fact"]
    return tuple(
        Fact(
            **{**record, "values": VALUES[record["values"]] if isinstance(record["values"], str) else record["values"]}
        )
        for record in records
    )


FACTS = _read_facts()
KINDS = {
    "pet": split_list("dog|cat|parrot|rabbit|hamster|horse|tortoise|guinea_pig|budgie|pony"),
    "person": split_list("man|woman|boy|girl|person|friend"),
    "thing": split_list(
        "mug|backpack|vase|teapot|clock|lamp|teddy_bear|plush_toy|car|bicycle|guitar|chair|watch|camera|house|boat|"
        "tent|scarf|statue|box|umbrella|radio|plant|phone|wallet|hat|jacket|sofa|kettle|tower|bag|"
        "suitcase|doll|sculpture"
    ),
}
PRONOUNS = {"pet": ("He", "She"), "person": ("He", "She"), "thing": ("It",)}
POSSESSIVE = {"He": "his", "She": "her", "It": "its"}
OBJECTIVE = {"He": "him", "She": "her", "It": "it"}
CLASHES = (
    {"born", "birthplace"},
    {"bought_at", "bought_when", "birthplace", "made_when"},
    {"age", "born"},
    {"job", "breed", "brand", "relation"},
    {"food", "allergy"},
    {"likes", "food"},
    {"owner", "giver"},
    {"phone", "code"},
)
"""Facts of which one seems to answer a question about another: never told or asked together of one concept."""
TAKES_OBJECT = re.compile(r"(?: of | for | to | from |with |me |buy |about |in |on |feed |call )$")
"""What a question has before a pronoun in the objective case."""


@dataclass(slots=True)
class NotedConcept:
    """A made-up concept with notes, `info`; `told` maps the keys of the facts in them to their values."""

    tag: str
    kind: str
    category: str
    info: str
    told: dict[str, str]
    pronoun: str


def write_notes(random: Random, kind: str = "", taken: str = "") -> NotedConcept:
    """Write notes of one to five facts about a made-up concept of a kind of KINDS, any by default.

    Its tag is not `taken`, the tag of another concept.
    """
    kind = kind or random.choice(("pet", "person", "thing", "thing"))
    tag = names.draw_tag(random)
    while tag.casefold() in taken.casefold():
        tag = names.draw_tag(random)
    category, pronoun = random.choice(KINDS[kind]), random.choice(PRONOUNS[kind])
    if category in {"man", "boy", "woman", "girl"}:
        pronoun = "She" if category in {"woman", "girl"} else "He"
    usable = [fact for fact in FACTS if kind in fact.kinds]
    chosen = _without_clashes(random.sample(usable, random.choice((1, 1, 2, 2, 3, 3, 4, 5))))
    values = {fact.key: random.choice(fact.values) for fact in chosen}
    sentences = [
        _statement(fact, values[fact.key], tag, pronoun, first=not place, random=random)
        for place, fact in enumerate(chosen)
    ]
    if random.random() < 0.4:
        sentences.insert(0, random.choice((f"{tag} is my {category}.", f"My {category}.", f"{tag} is a {category}.")))
    return NotedConcept(tag, kind, category if random.random() < 0.8 else "", " ".join(sentences), values, pronoun)


def _without_clashes(facts: list[Fact]) -> list[Fact]:
    kept: list[Fact] = []
    for fact in facts:
        if not any({fact.key, other.key} <= clash for other in kept for clash in CLASHES):
            kept.append(fact)
    return kept


def _statement(fact: Fact, value: str, tag: str, pronoun: str, *, first: bool, random: Random) -> str:
    statement = random.choice(fact.statements)
    name = tag if random.random() < 0.6 else tag[1:-1]
    subject = name if first or random.random() < 0.3 else pronoun
    if subject in POSSESSIVE:
        statement = statement.replace("{s}'s", POSSESSIVE[subject])
        if not statement.startswith("{s}"):
            subject = OBJECTIVE[subject]
    return capitalised(statement.format(s=subject, x=value))


def note_questions(
    concept: NotedConcept, random: Random, *, others: tuple[NotedConcept, ...] = ()
) -> list[QuestionAnswer]:
    """Ask what the notes tell, and as often what they do not; `others` are supplied beside the concept."""
    facts = {fact.key: fact for fact in FACTS}
    pairs: list[QuestionAnswer] = []
    asked = random.sample(list(concept.told), min(3, len(concept.told)))
    for key in asked:
        fact, value = facts[key], concept.told[key]
        question = _question(random.choice(fact.questions), concept, random, alone=not others)
        pairs.append((question, _answer(fact, value, concept.tag), "notes"))
        if random.random() < CHOICE_SHARE:
            wrong = random.choice([v for v in fact.values if v != value])
            options = capitalised(value), capitalised(wrong)
            pairs.append((*choice(fact.questions[0].format(s=concept.tag), *options, random), "choice"))
    unknown = [fact for fact in FACTS if concept.kind in fact.kinds and fact.key not in concept.told]
    unknown = [f for f in unknown if not any(f.key in clash and clash & concept.told.keys() for clash in CLASHES)]
    told_of_others = {key for other in others for key in other.told}
    random.shuffle(unknown)
    unknown.sort(key=lambda fact: fact.key not in told_of_others)
    for fact in unknown[: max(1, round(UNKNOWN_RATIO * len(asked)))]:
        question = _question(random.choice(fact.questions), concept, random, alone=not others)
        pairs.append((question, f"You haven't told me {fact.clause.format(s=concept.tag)}.", "notes"))
    return pairs


def _answer(fact: Fact, value: str, tag: str) -> str:
    """Return the answer to the author of the notes, whose "my sister" becomes "your sister"."""
    value = re.sub(r"\b(?:my|our)\b", "your", value)
    return capitalised(fact.answer.format(s=tag, x=value))


def _question(question: str, concept: NotedConcept, random: Random, *, alone: bool) -> str:
    """Write a question with the concept's tag, or now and then with its pronoun where it stands `alone`."""
    if not alone or random.random() >= 0.12:
        return question.format(s=concept.tag)
    question = question.replace("{s}'s", POSSESSIVE[concept.pronoun])
    objective = TAKES_OBJECT.search(question.partition("{s}")[0])
    question = question.replace("{s}", OBJECTIVE[concept.pronoun] if objective else concept.pronoun.lower())
    return f"And {question[:1].lower()}{question[1:]}" if random.random() < 0.4 else question

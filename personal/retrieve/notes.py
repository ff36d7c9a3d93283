"""Which sentence of the owner's notes answers a question: extractive, with a calibrated probability, no language model.

A logistic regression over features of a question and a clause of a note: the cosine of their sentence vectors; the mean
and the least coverage of the question's words by the clause's (each word's best cosine); and whether the clause lacks
what the question's form asks for (a date for "when", a number with a unit for "how heavy"). Fitted on 212 questions
about 16 concepts; figures on these, one concept left out at a time, and on others: docs/experiments.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from personal.concepts import Concept
from personal.findings import Evidence

Array = NDArray[np.float32]
Embed = Callable[[Sequence[str]], Array]
"""Texts → (n, dimension) float32, unit rows."""

WEIGHTS = np.array([8.72, 3.02, 6.18, -1.64], np.float32)
"""Logistic regression weights of: cosine, mean coverage, least coverage, form absent."""
INTERCEPT = -8.36
SENTENCES = 200
"""Sentences that are compared at most, over all concepts in question."""

_ABBREVIATIONS = "".join(rf"(?<!\b{word}\.)" for word in ("Dr", "Mr", "Mrs", "Ms", "St", "No", "vs"))
_SENTENCE_END = re.compile(rf"(?<=[.!?]){_ABBREVIATIONS}\s+(?=[^a-z\s])|\n+")
_CLAUSE_END = re.compile(
    r",\s+(?:and\s+)?|;\s+|\s+and\s+(?=(?:is|has|was|had|always|never|loves|likes|lives|works|weighs|carries|hates|"
    r"goes|takes|plays|sleeps|eats)\b)"
)
_STOP = frozenset(
    re.findall(
        r"\w+",
        "a an the is are was were be been do does did has have had of to in on at by for from with and or it its he "
        "she his her him they them their this that these those i me my we us our you your what which who whom whose "
        "when where why how much many must not can could would should will there any anything thing called name s go "
        "goes get got about into up out",
    )
)
_PERSON = (
    r"\b(?:mother|father|mum|mom|dad|grandma|grandpa|grandmother|grandfather|sister|brother|aunt|uncle|friend|cousin|wife|"
    r"husband|neighbou?r|son|daughter|dr|mrs?|ms|vet|teacher|boss|colleague)\b"
)
_DATE = (
    r"\b(?:january|february|march|april|may|june|july|august|september|october|november|december|(?:mon|tues|wednes|thurs|"
    r"fri|satur|sun)days?|spring|summer|autumn|winter|morning|evening|night|noon|lunch|dinner|breakfast|birthday|"
    r"christmas|easter|weekends?|daily|yesterday|today|ago|last|since|every|before|after|\d+ ?[ap]m|(?:19|20)\d\d)\b"
)
_NUMBER = r"\b(?:\d+(?:[.,]\d+)*|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozen)\b"
_FORMS: tuple[tuple[str, str], ...] = (
    (r"\bhow old\b|\bage\b", r"\b(?:old|born|years?|months?|age|built|made|(?:18|19|20)\d\d)\b"),
    (r"^when\b|\bwhat (?:day|year|date|time)\b|\bbirthday\b|\bhow (?:long ago|often)\b", _DATE),
    (r"\bcost|\bprice|\bworth\b|\bpay|\bpaid\b", r"[€$£¥]|\b(?:euros?|dollars?|pounds?|francs?|cents?|yen|free)\b"),
    (r"\bweigh|\bheavy\b", r"\b\d+(?:[.,]\d+)? ?(?:kg|g|lbs?|kilos?|pounds?|grams?|stone)\b"),
    (
        r"\bhow (?:tall|big|long|large|high|wide|deep)\b|\bsize\b|\bheight\b",
        r"\b\d+(?:[.,]\d+)? ?(?:cm|m|mm|in|inch|inches|ft|feet|l|ml|lit(?:er|re)s?)\b|\bsize\b"
        r"|\b(?:small|large|tiny|huge|big|tall)\b",
    ),
    (r"\bhow many\b", _NUMBER),
    (
        r"\bcolou?r",
        r"\b(?:red|blue|green|yellow|white|black|brown|gr[ae]y|orange|pink|purple|teal|ginger|gold(?:en)?|silver|cream|"
        r"tabby|striped|beige|violet|turquoise)\b",
    ),
    (r"^where\b", r"\b(?:in|on|at|from|near|under|behind|beside|to|by|above|below)\b"),
    (r"^who(?:se|m)?\b", rf"(?i:{_PERSON})|(?<!^)(?<![.] )\b[A-Z][a-z]+"),
)
"""What a question's form asks a sentence to hold: a pattern of the question, one of the answer."""


def find_evidence(question: str, concepts: Sequence[Concept], embed: Embed) -> list[Evidence]:
    """Return the sentences of the concepts' notes with the probability that each answers the question, best first."""
    clauses = [
        (concept, sentence, _without_subject(clause, concept))
        for concept in concepts
        for sentence in split_sentences(concept.info)
        for clause in dict.fromkeys([sentence, *_clauses(sentence)])
    ][:SENTENCES]
    if not clauses:
        return []
    asked = question
    for concept in concepts:
        asked = _without_subject(asked, concept)
    asked = re.sub(r"\bit(?:,? (?:and|or) it|, it)+\b", "it", asked)
    kinds = {word for concept in concepts for word in _words(concept.category)}
    wanted = [word for word in _words(asked) if word not in kinds]
    vocabulary = list(dict.fromkeys([*wanted, *(word for *_, clause in clauses for word in _words(clause))]))
    vectors = embed([asked, *(clause for *_, clause in clauses), *vocabulary])
    cosine = vectors[1 : 1 + len(clauses)] @ vectors[0]
    of_word = dict(zip(vocabulary, vectors[1 + len(clauses) :], strict=True))
    best: dict[tuple[str, str], Evidence] = {}
    for (concept, sentence, clause), similarity in zip(clauses, cosine, strict=True):
        covered = _coverage(wanted, _words(clause), of_word)
        features = np.array([similarity, covered.mean(), covered.min(), _lacks_form(asked, clause)], np.float32)
        probability = float(1 / (1 + np.exp(-(features @ WEIGHTS + INTERCEPT))))
        known = best.get((concept.id, sentence))
        if known is None or probability > known.probability:
            best[concept.id, sentence] = Evidence(concept, sentence, probability)
    return sorted(best.values(), key=lambda evidence: -evidence.probability)


def split_sentences(notes: str) -> list[str]:
    """Split notes at sentence ends and line breaks; titles such as "Dr." end nothing."""
    return [sentence for part in _SENTENCE_END.split(notes) if (sentence := part.strip())]


def _clauses(sentence: str) -> list[str]:
    return [clause for clause in _CLAUSE_END.split(sentence) if len(clause.split()) > 1]


def _without_subject(text: str, concept: Concept) -> str:
    """Write "it" for a concept's name, so that what is said of it weighs, not of whom."""
    text = text.replace(concept.tag, "it")
    return re.sub(rf"(?<!\w){re.escape(concept.name)}(?!\w)", "it", text, flags=re.IGNORECASE)


def _words(text: str) -> list[str]:
    return [word for word in re.findall(r"\w+", text.casefold()) if word not in _STOP and len(word) > 1]


def _coverage(wanted: Sequence[str], held: Sequence[str], of_word: dict[str, Array]) -> Array:
    """Return for each wanted word its best cosine with a held one, (n,); .5 where nothing in particular is wanted."""
    if not wanted or not held:
        return np.full(1, 0.5 if not wanted else 0.0, np.float32)
    similarity = np.stack([of_word[word] for word in wanted]) @ np.stack([of_word[word] for word in held]).T
    return np.asarray(similarity.max(axis=1), np.float32)


def _lacks_form(question: str, clause: str) -> bool:
    """Return whether a question asks for a form, such as a date, that a clause does not hold."""
    lowered = question.casefold().strip()
    for asks, holds in _FORMS:
        if re.search(asks, lowered):
            return not re.search(holds, clause, 0 if "A-Z" in holds else re.IGNORECASE)
    return False

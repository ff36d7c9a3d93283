"""Findings: what the app knows about a question before a language model is asked, and the sentence that says it.

Three sources, none of them a language model: recognition (who is in which photo, and where), the owner's own notes
(which sentence bears on the question), and the question itself (whom it names). If they answer the question,
`Findings.answer` is the answer. Pure functions over values.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from personal.concepts import Box, Concept, Match, PhotoFindings, Statement
from personal.questions import Intent, read_intent

MIN_EVIDENCE = 0.2
"""Probability from which a sentence of the notes counts as an answer (docs/experiments.md, "Notes as evidence")."""
CLOSE_EVIDENCE = 0.05
"""Probability from which a sentence is quoted as the closest that the notes have."""
LISTED_MAX = 12
"""Names of who is not there that are listed at most."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """A sentence of a concept's notes that bears on a question; `probability`, 0..1, that it answers it."""

    concept: Concept
    sentence: str
    probability: float


@dataclass(frozen=True, slots=True)
class Findings:
    """What is known about a question. `asked` are the concepts that it names, `absent` those of them not recognised.

    `evidence` is of each concept the sentence that bears on the question most, best first; `own` are all concepts.
    """

    intent: Intent
    photos: tuple[PhotoFindings, ...] = ()
    asked: tuple[Concept, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    group: str = ""
    own: tuple[Concept, ...] = ()

    @property
    def absent(self) -> tuple[Concept, ...]:
        """Concepts that the question names and no photo shows; none where there is no photo."""
        here = {concept.id for photo in self.photos for concept in photo.concepts}
        return tuple(concept for concept in self.asked if concept.id not in here) if self.photos else ()

    def answer(self) -> str | None:
        """Return the answer in words, names as `<name>`; None where what is known does not answer the question."""
        if self.intent in _FIXED:
            return HELLO_AGAIN if self.intent is Intent.GREETING and self.photos else _FIXED[self.intent]
        if self.intent is Intent.ABOUT:
            return " ".join(_all_notes(concept) for concept in self.asked)
        if self.intent is Intent.FACT:
            return _from_notes(self.evidence, self.asked)
        if not self.photos:
            if self.asked:
                return f"Add a photo of {_listing(self.asked)} first, then I can look."
            return NOTHING_TO_GO_BY if self.intent is Intent.SCENE else NO_PHOTO
        composed = {
            Intent.WHO: _who,
            Intent.WHAT: lambda findings: _who(findings) if any(photo.seen for photo in findings.photos) else None,
            Intent.MISSING: _missing,
            Intent.WHERE: _where,
            Intent.PRESENT: _present,
            Intent.COUNT: _count,
            Intent.COUNT_ALL: _count_own,
        }.get(self.intent)
        return composed(self) if composed else None

    def statement(self) -> Statement | None:
        """Return what recognition or the notes say about the question; None if they say nothing.

        It stands before the words of any language model, so it holds no small talk and no request for a photo.
        """
        text = self.answer()
        if text is None:
            return None
        if self.intent in (Intent.FACT, Intent.ABOUT):
            sure = [one.concept for one in self.evidence if one.probability >= MIN_EVIDENCE]
            quoted = sure or [one.concept for one in self.evidence[:1]]
            about = tuple(quoted if self.intent is Intent.FACT else (one for one in self.asked if one.info))
            return Statement(text, "notes", about) if about else None
        if not self.photos or self.intent in _FIXED:
            return None
        here = {concept.id: concept for photo in self.photos for concept in photo.concepts}
        return Statement(text, "recognition", tuple((here | {c.id: c for c in self.asked}).values()))


NO_PHOTO = "Add a photo first, then I can tell you who and what of yours is in it."
NOTHING_TO_GO_BY = (
    "I can talk about your photos and about what you told me of your people, pets and things. "
    "Add a photo, or ask about one of them by name."
)
NOBODY = "I don't recognise anyone or anything of yours"
HELLO_AGAIN = "Hello! Ask me who is in your photo, where they are, or what you told me about them."
_FIXED = {
    Intent.GREETING: "Hello! Add a photo, and I'll tell you who of yours is in it.",
    Intent.THANKS: "You're welcome!",
    Intent.PRAISE: "Glad you like it!",
    Intent.FAREWELL: "Goodbye! I'll remember who and what you showed me.",
    Intent.MOOD: "Fine, thank you! Add a photo, and I'll tell you who of yours is in it.",
    Intent.ASIDE: "All right. Ask me about a photo, or about one of yours by name.",
    Intent.ABILITIES: (
        "I recognise your people, pets and things in photos and call them by name. Ask me who is in a photo, where "
        "they are, what is happening, or what you told me about them."
    ),
}


# -- putting findings together -----------------------------------------------------------------------------------------


FindEvidence = Callable[[str, Sequence[Concept]], Sequence[Evidence]]
"""A question and concepts → sentences of their notes that bear on it, best first (`personal.retrieve.notes`)."""


def gather(
    question: str,
    photos: Sequence[PhotoFindings],
    asked: Sequence[Concept],
    find_evidence: FindEvidence | None = None,
    own: Sequence[Concept] = (),
) -> Findings:
    """Return the findings for a question, whose names are written `<name>`, about the photos shown with it.

    `own` are all concepts of who asks. The notes are searched only if the question asks for a fact. Of two
    concepts that share a name but for signs ("bo", "Bo 🐕") the one in the photo is meant.
    """
    here = {concept.id: concept for photo in photos for concept in photo.concepts}.values()
    meant = {concept.id: _meant(concept, here) for concept in asked}
    for concept in asked:
        question = question.replace(concept.tag, meant[concept.id].tag)
    subjects = tuple({concept.id: concept for concept in meant.values()}.values())
    intent, group = read_intent(question, subjects, photos=bool(photos))
    evidence: Sequence[Evidence] = ()
    if intent is Intent.FACT and find_evidence and subjects:
        found = [one for one in find_evidence(question, subjects) if one.probability >= CLOSE_EVIDENCE]
        evidence = tuple({one.concept.id: one for one in reversed(found)}.values())[::-1]
    return Findings(intent, tuple(photos), subjects, tuple(evidence), group, tuple(own))


def resolve(
    question: str, named: Sequence[Concept], before: Sequence[Concept], own: Sequence[Concept]
) -> tuple[str, tuple[Concept, ...]]:
    """Return whom a question asks about, and the question with their names in the place of what stood for one.

    `named` are those it names; else "he" or "they" stands for whom of those that the conversation was about (`before`)
    it can mean, and "my dog" for the one dog among all the owner's (`own`).
    """
    if named:
        return question, tuple(named)
    if before and (found := _PRONOUN.search(question)):
        meant = _meant_by(found[1].casefold(), before)
        possessive = "'s" if found[1].casefold() in {"his", "its", "their"} or _HERS.search(question) else ""
        return f"{question[: found.start()]}{_listing(meant)}{possessive}{question[found.end() :]}", tuple(meant)
    if found := _MY.search(question):
        kind = [concept for concept in own if found[1].casefold() in _words(concept)]
        if len(kind) == 1:
            return f"{question[: found.start()]}{kind[0].tag}{question[found.end() :]}", (kind[0],)
    return question, ()


def _meant_by(pronoun: str, before: Sequence[Concept]) -> Sequence[Concept]:
    """Return whom a pronoun can mean: "he" is no mug, "it" is one where there is one, "they" are all."""
    if pronoun in {"they", "them", "their"}:
        return before
    things = [c for c in before if c.category and not is_person(c.category) and not _of_group([c], "pets")]
    wanted = things if pronoun in {"it", "its"} else [c for c in before if c not in things]
    return wanted or before


def _words(concept: Concept) -> set[str]:
    """Return by which words after "my" a concept is meant: those of its category, and those of its name."""
    return {*concept.category.casefold().split(), *re.findall(r"\w+", concept.name.casefold())}


_PRONOUN = re.compile(r"\b(he|she|him|his|her|they|them|their|it|its)\b", re.IGNORECASE)
_HERS = re.compile(r"\bher\s+\w", re.IGNORECASE)
_MY = re.compile(r"\b(?:my|our)\s+(\w+)\b(?!')", re.IGNORECASE)


def _meant(asked: Concept, here: Iterable[Concept]) -> Concept:
    """Return the recognised concept of the same plain name, if the one that was read in the question is not there."""
    same = [concept for concept in here if _plain(concept.name) == _plain(asked.name)]
    return asked if not same or asked in same else same[0]


def _plain(name: str) -> str:
    """Return a name's letters and digits, without case and signs."""
    return "".join(c for c in unicodedata.normalize("NFKC", name).casefold() if c.isalnum()) or name


# -- saying it ---------------------------------------------------------------------------------------------------------

_PEOPLE = {"person", "people", "human", "man", "woman", "boy", "girl", "child", "friend", "family"}
_PETS = {"dog", "cat", "bird", "rabbit", "hamster", "fish", "horse", "pony", "parrot", "turtle", "pet", "guinea pig"}
_GROUPS = {
    "people": _PEOPLE,
    "persons": _PEOPLE,
    "friends": _PEOPLE,
    "family": _PEOPLE,
    "pets": _PETS,
    "animals": _PETS,
}
_NUMBERS = ("none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def is_person(category: str) -> bool:
    """Return whether a category is of people."""
    return not _PEOPLE.isdisjoint(category.casefold().split())


def _of_group(concepts: Iterable[Concept], group: str) -> list[Concept]:
    """Return the concepts whose category a word means: "dogs" a dog or a sheepdog, "pets" any animal; all for ""."""
    if not group:
        return list(concepts)
    singular = group.removesuffix("s")
    wanted = _GROUPS.get(group, {group, singular})
    return [
        c
        for c in concepts
        if any(word in c.category.casefold().split() or word == c.category.casefold() for word in wanted)
    ]


def _listing(concepts: Sequence[Concept], last: str = "and") -> str:
    tags = [concept.tag for concept in concepts]
    return tags[0] if len(tags) == 1 else f"{', '.join(tags[:-1])} {last} {tags[-1]}"


def _place_of(findings: Findings, number: int) -> str:
    return "in this photo" if len(findings.photos) == 1 else f"in photo {number}"


def _who(findings: Findings) -> str:
    said, nobody = [], []
    for number, photo in enumerate(findings.photos, 1):
        concepts = _of_group(photo.concepts, findings.group)
        if concepts:
            verb = "is" if len(concepts) == 1 else "are"
            said.append(f"{_listing(concepts)} {verb} {_place_of(findings, number)}.")
        else:
            nobody.append(number)
    if not said:
        said.append(f"{NOBODY} for sure" if _unsure(findings) else NOBODY)
        said[0] += f" in {'this photo' if len(findings.photos) == 1 else 'these photos'}."
    elif nobody:
        said.append(f"{NOBODY} in {_photos(nobody)}.")
    if unsure := _unsure(findings):
        said.append(f"I'm not sure about {_listing(unsure)}.")
    return " ".join(said)


def _missing(findings: Findings) -> str:
    where = "this photo" if len(findings.photos) == 1 else "these photos"
    kind = f" {findings.group}" if findings.group else ""
    unsure = _unsure(findings)
    known = _of_group(findings.own, findings.group)
    here = {concept.id for photo in findings.photos for concept in photo.concepts} | {one.id for one in unsure}
    missing = [concept for concept in known if concept.id not in here]
    more = f", nor {len(missing) - LISTED_MAX} more" if len(missing) > LISTED_MAX else ""
    if not known:
        return f"You haven't added any{kind or ' people, pets or things'} yet."
    said = [f"I don't recognise {_listing(missing[:LISTED_MAX], 'or')} in {where}{more}."] if missing else []
    if unsure:
        said.append(f"I'm not sure about {_listing(unsure)}.")
    return " ".join(said) or f"All of your{kind or 's'} are in {where}."


def _unsure(findings: Findings) -> list[Concept]:
    """Return the concepts that may be there, of the kind asked about, and are not surely in any of the photos."""
    sure = {concept.id for photo in findings.photos for concept in photo.concepts}
    maybe = {m.concept.id: m.concept for photo in findings.photos for m in photo.unsure if m.concept.id not in sure}
    return _of_group(maybe.values(), findings.group)


def _photos(numbers: Sequence[int]) -> str:
    listed = [str(number) for number in numbers]
    return f"photo {listed[0]}" if len(listed) == 1 else f"photos {', '.join(listed[:-1])} and {listed[-1]}"


def _present(findings: Findings) -> str:
    said = []
    for concept in findings.asked:
        numbers = [n for n, photo in enumerate(findings.photos, 1) if concept in photo.concepts]
        if numbers:
            where = "this photo" if len(findings.photos) == 1 else _photos(numbers)
            said.append(f"Yes, {concept.tag} is in {where}.")
        elif concept in _unsure(findings):
            said.append(f"Maybe. Something here looks like {concept.tag}, but I'm not sure.")
        else:
            where = "this photo" if len(findings.photos) == 1 else "these photos"
            said.append(f"No, I don't recognise {concept.tag} in {where}.")
    return " ".join(said)


def _where(findings: Findings) -> str:
    said = []
    here = {concept.id: concept for photo in findings.photos for concept in photo.concepts}
    for concept in findings.asked or here.values():
        places = []
        for number, photo in enumerate(findings.photos, 1):
            match = next((m for m in photo.seen if m.concept == concept and m.box), None)
            if match and match.box:
                others = [m for m in photo.seen if m.box and m.concept != concept]
                places.append(f"{place(match.box)} {_of_photo(findings, number)}{_beside(match.box, others)}")
        if places:
            said.append(f"{concept.tag} is {'; and '.join(places)}.")
        elif concept in _unsure(findings):
            said.append(f"I'm not sure that {concept.tag} is here.")
        else:
            where = "this photo" if len(findings.photos) == 1 else "these photos"
            said.append(f"I don't recognise {concept.tag} in {where}.")
    return " ".join(said) or _who(findings)


def _of_photo(findings: Findings, number: int) -> str:
    return "of the photo" if len(findings.photos) == 1 else f"of photo {number}"


def place(box: Box) -> str:
    """Return where a box is in words: "on the left", "in the centre", with the foreground where it is low and large."""
    x0, y0, x1, y1 = box
    centre, area = (x0 + x1) / 2, (x1 - x0) * (y1 - y0)
    side = "on the left" if centre < 0.4 else "on the right" if centre > 0.6 else "in the centre"
    if area > 0.6:
        return "across most"
    return f"{side}, in the foreground," if y1 > 0.9 and area > 0.12 else side


def _beside(box: Box, others: Sequence[Match]) -> str:
    """Return the relation to the nearest other match: ", left of <cup>"; nothing where they overlap sideways."""
    middle = (box[0] + box[2]) / 2
    nearest = min(others, key=lambda m: abs(_middle(m) - middle), default=None)
    if nearest is None or abs(_middle(nearest) - middle) < 0.1:
        return ""
    return f", {'left' if middle < _middle(nearest) else 'right'} of {nearest.concept.tag}"


def _middle(match: Match) -> float:
    assert match.box is not None
    return (match.box[0] + match.box[2]) / 2


def _count(findings: Findings) -> str:
    here = list({concept.id: concept for photo in findings.photos for concept in photo.concepts}.values())
    found = _of_group(here, findings.group)
    where = "in this photo" if len(findings.photos) == 1 else "in these photos"
    kind = f" {findings.group}" if findings.group else ""
    if not found:
        return f"I recognise none of your{kind or ' people, pets and things'} {where}."
    number = _NUMBERS[len(found)] if len(found) < len(_NUMBERS) else str(len(found))
    return (
        f"{number.capitalize()} of your{kind or 's'} {'is' if len(found) == 1 else 'are'} {where}: {_listing(found)}."
    )


def _count_own(findings: Findings) -> str | None:
    """Say how many of one's own are of a kind; None if there is none: others are not counted."""
    here = [concept for photo in findings.photos for concept in photo.concepts]
    return f"{_count(findings)} I count only yours." if _of_group(here, findings.group) else None


def _all_notes(concept: Concept) -> str:
    """Return all that the notes say about a concept."""
    return concept.info or f"You haven't told me anything about {concept.tag} yet."


def _from_notes(evidence: Sequence[Evidence], asked: Sequence[Concept]) -> str | None:
    """Quote the notes, or say that they do not tell; None where nobody is asked about."""
    if not asked:
        return None
    if not evidence:
        return f"You haven't told me that about {_listing(asked)}."
    sure = [one for one in evidence if one.probability >= MIN_EVIDENCE]
    if not sure:
        closest = evidence[0]
        return f"Your notes about {closest.concept.tag} don't say that directly. The closest is: {_quoted(closest)}"
    untold = [concept for concept in asked if concept not in [one.concept for one in sure]]
    said = [f"You haven't told me that about {_listing(untold)}."] if untold else []
    return " ".join([*map(_quoted_of, sure), *said])


def _quoted(evidence: Evidence) -> str:
    return evidence.sentence if evidence.sentence[-1:] in ".!?" else f"{evidence.sentence}."


def _quoted_of(evidence: Evidence) -> str:
    """Return a sentence of the notes, and of whom it is if it does not say."""
    named = _plain(evidence.concept.name) in _plain(evidence.sentence)
    return _quoted(evidence) if named else f"About {evidence.concept.tag}: {_quoted(evidence)}"

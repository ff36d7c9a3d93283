"""What captions say about the subject of a photo, and the concepts that rows supply: those in a photo, and noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from personal.data import names, phrases, templates
from personal.data.photos import CaptionedPhoto
from personal.data.phrases import PEOPLE, Mention, word_set
from personal.data.pictures import CROP

RECOGNISED_SHARE, MISTAKEN_SHARE, INVENTED_SHARE = 0.95, 0.6, 0.2
"""Shares of concepts marked as recognised by retrieval: those in the photo, those of another photo, made-up ones."""
NO_INFO_SHARE, NO_INFO_RECOGNISED_SHARE = 0.15, 0.1
"""Share of concepts without notes, and share of the absent ones among these that are marked as recognised."""
UNCLEAR_PEOPLE = word_set("person people player players someone child children group crowd kids men")
"""Words for people who may be anybody."""
LIKE_PEOPLE = {"man": {"men", "boy"}, "boy": {"man", "men"}, "woman": {"women", "girl"}, "girl": {"woman", "women"}}
"""Words that may be used for a person of a kind."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What the captions of a photo say about its subject, None where a caption has none, and all words for it."""

    image: str
    captions: tuple[str, ...]
    mentions: tuple[Mention | None, ...]
    words: frozenset[str]
    photo: CaptionedPhoto | None = None

    @property
    def kind(self) -> str | None:
        """The kind that most captions agree on."""
        kinds = [m.kind for m in self.mentions if m]
        return max(sorted(set(kinds)), key=kinds.count) if kinds else None


@dataclass(slots=True)
class SuppliedConcept:
    """A concept of a row's `extra`: its tag, its avatar's path, its notes, and the questions that these answer."""

    tag: str
    avatar: str
    info: str
    category: str
    phrase: str
    facts: list[tuple[str, str]] = field(default_factory=list)
    recognised: bool = True

    @property
    def record(self) -> dict[str, Any]:
        """The concept in RAP's format, with a mark if retrieval did not recognise it."""
        record: dict[str, Any] = {"name": self.tag[1:-1], "info": self.info, "category": self.category}
        return record if self.recognised else {**record, "recognised": False}


def subject_of(photo: CaptionedPhoto) -> Subject:
    """Return what a photo's captions say about its subject."""
    captions = tuple(dict.fromkeys(c for c in map(phrases.clean, photo.captions) if c))
    mentions = tuple(phrases.subject(caption) for caption in captions)
    return Subject(photo.image, captions, mentions, phrases.words([*captions, *photo.labels, photo.scene]), photo)


def supply(tag: str, avatar: str, kind: str, phrase: str, random: Random, described: bool = False) -> SuppliedConcept:
    """Make a concept with random notes, in which `described` ones tell their looks, the `phrase`."""
    info, facts = templates.write_info(tag, phrase, kind, random, described=described)
    category = random.choice((kind, kind, "")) if kind in info else kind or random.choice((phrase, ""))
    return SuppliedConcept(tag, avatar, info, category, phrase, facts)


def supply_present(tag: str, avatar: str, kind: str, phrase: str, random: Random) -> SuppliedConcept:
    """Make a concept that is in the photo: mostly recognised, now and then without notes."""
    concept = supply(tag, avatar, kind, phrase, random)
    concept.recognised = random.random() < RECOGNISED_SHARE
    return without_info(concept) if random.random() < NO_INFO_SHARE else concept


def without_info(concept: SuppliedConcept) -> SuppliedConcept:
    """Return a concept of which nothing but its name is known."""
    return replace(concept, info="", category="", facts=[])


def noise(subject: Subject, others: Sequence[Subject], count: int, random: Random) -> list[SuppliedConcept]:
    """Draw concepts that are certainly not in the photo: another kind, or a dog of another colour."""
    found: list[SuppliedConcept] = []
    others = [other for other in others if other.image not in subject.image] or others
    while len(found) < count:
        tag = names.draw_tag(random)
        draw = _made_up if random.random() < 0.3 else _of_another_photo
        concept = draw(tag, subject, others, random)
        if concept is not None:
            found.append(concept)
    return distinct(found)


def _made_up(tag: str, subject: Subject, others: Sequence[Subject], random: Random) -> SuppliedConcept | None:
    kind, info, _ = templates.make_up_concept(tag, random)
    if subject.words & set(kind.split()):
        return None
    info = info if random.random() < 0.8 else ""  # as often as where the concept is there
    avatar = f"{CROP}{random.choice(others).image}"
    return SuppliedConcept(tag, avatar, info, kind, kind, recognised=random.random() < INVENTED_SHARE)


def _of_another_photo(tag: str, subject: Subject, others: Sequence[Subject], random: Random) -> SuppliedConcept | None:
    other = random.choice(others)
    mention = random.choice(other.mentions) if other.mentions else None
    if mention is None or not contradicts(mention, subject):
        return None
    same_kind = mention.kind == subject.kind  # then only its looks tell that it is not there
    concept = supply(tag, f"{CROP}{other.image}", mention.kind, mention.phrase, random, described=same_kind)
    concept.recognised = random.random() < MISTAKEN_SHARE
    if random.random() < NO_INFO_SHARE:
        concept = replace(without_info(concept), recognised=random.random() < NO_INFO_RECOGNISED_SHARE)
    return concept


def contradicts(mention: Mention, subject: Subject) -> bool:
    """Return whether the words of a photo's captions rule out that what is mentioned is in it."""
    words = phrases.kind_words(mention.kind)
    if mention.kind in PEOPLE:
        if mention.kind in {"person", "child"}:
            return False
        return not subject.words & (words | UNCLEAR_PEOPLE | LIKE_PEOPLE[mention.kind])
    if not subject.words & (words | {"animal", "animals"}):
        return True
    theirs = {c for m in subject.mentions if m and m.kind == mention.kind for c in m.colours}
    return bool(mention.colours and theirs and not mention.colours & theirs and not mention.colours & subject.words)


def distinct(concepts: Sequence[SuppliedConcept]) -> list[SuppliedConcept]:
    """Drop concepts whose name, in whatever case, or avatar an earlier one has."""
    kept: dict[str, SuppliedConcept] = {}
    for concept in concepts:
        if concept.avatar not in {other.avatar for other in kept.values()}:
            kept.setdefault(concept.tag.casefold(), concept)
    return list(kept.values())

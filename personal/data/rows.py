"""Make personalised instruction data from captioned photos, in RAP's published format (Hao et al., CVPR 2025).

One row is one question and its answer: `{"id", "image", "conversations", "extra", "type"}`, where `extra` maps the
avatar of each supplied concept to its name, notes and category. Everything comes from the captions: where one begins
with "a brown dog", the dog gets a random name, the phrase goes into its notes and the name into the answer. Photos are
also supplied with concepts that are not in them, RAP's noise concepts. Rows of one photo and one `extra` are adjacent.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

from personal.data import names, notes, phrases, talk, templates, things
from personal.data.photos import CaptionedPhoto
from personal.data.phrases import PEOPLE, Mention
from personal.data.pictures import CROP, MOSAIC, THINGS
from personal.data.subjects import Subject, SuppliedConcept, distinct, noise, subject_of, supply, supply_present
from personal.data.templates import QuestionAnswer

Row = dict[str, Any]
"""A question and its answer in RAP's format."""
RowGroup = tuple[str | None, list[SuppliedConcept], list[QuestionAnswer]]
"""An image's path or None, the concepts supplied with it, and the questions about both."""

PLAIN_SHARE = 0.5
"""Share of photos with a subject that are described without names too."""
UNKNOWN_SHARE = 0.4
"""Share of photos without a subject that are supplied with noise."""
MOSAIC_SHARE = 0.3
"""Share of photos with a subject that are put beside another photo."""
CHOICE_SHARE, NOTES_SHARE, TALK_SHARE = 0.1, 0.3, 0.05
"""Shares of photos after which rows without a photo follow: two-option questions, questions about notes, talk."""
SEVERAL_NOTES_SHARE = 0.3
"""Share of the questions about notes that come with the notes of two concepts."""
TALK_ROWS = 12
"""Rows of talk at a time."""
THING_ROUNDS = 2
"""How many times as many rounds photos of one labelled thing get."""
NAMED_THING_SHARE = 0.35
"""Share of the photos with a concept in which a thing beside it has a name too."""
UNKNOWN_NAME_SHARE = 0.3
"""Share of the groups that ask for a name that was not supplied."""
NOISE_SHARE = 0.6
"""Share of the photos with a concept in them that are supplied with noise too."""


def make_rows(
    photos: Sequence[CaptionedPhoto], seed: int, rounds: int = 1, general: Sequence[QuestionAnswer] = ()
) -> Iterator[Row]:
    """Yield the rows of a split: plain ones of each photo, `rounds` pairs of personalised ones, some without a photo.

    `general` are questions with the base model's own answers, for talk.
    """
    random = Random(seed)
    subjects = [subject_of(photo) for photo in photos]
    vocabulary = sorted({label for photo in photos for label in photo.labels})
    number = 0
    for subject in subjects:
        groups = _photo_groups(subject, subjects, vocabulary, rounds, random)
        groups += _text_groups(subjects, general, random)
        for image, supplied, pairs in groups:
            extra = {concept.avatar: concept.record for concept in supplied}
            if image and random.random() < UNKNOWN_NAME_SHARE:
                pairs += _ask_for_unknown_name(supplied, random)
            for question, answer, kind in dict.fromkeys(pairs):
                yield _row(number, image, question, answer, extra, kind)
                number += 1


def _row(number: int, image: str | None, question: str, answer: str, extra: dict[str, Any], kind: str) -> Row:
    human = f"<image>\n{question}" if image else question
    turns = [{"from": "human", "value": human}, {"from": "gpt", "value": answer}]
    return {"id": number, "image": image, "conversations": turns, "extra": extra, "type": kind}


def _photo_groups(
    subject: Subject, subjects: Sequence[Subject], vocabulary: Sequence[str], rounds: int, random: Random
) -> list[RowGroup]:
    groups = []
    if subject.kind is None or random.random() < PLAIN_SHARE:
        groups.append(_without_concepts(subject, vocabulary, random))
    thing = subject.photo is not None and not subject.captions and things.shows_one_thing(subject.photo)
    for _ in range(rounds * (THING_ROUNDS if thing else 1)):
        if subject.kind is not None:
            groups.append(_with_named_subject(subject, subjects, random))
        elif thing:
            groups.append(_with_named_thing(subject, subjects, random))
        if subject.kind is not None or random.random() < UNKNOWN_SHARE:
            groups.append(_with_noise_only(subject, subjects, random))
    if subject.kind is not None and random.random() < MOSAIC_SHARE:
        groups += _mosaic(subject, random.choice(subjects), subjects, random)
    return groups


def _text_groups(subjects: Sequence[Subject], general: Sequence[QuestionAnswer], random: Random) -> list[RowGroup]:
    groups = []
    if random.random() < CHOICE_SHARE:
        groups.append(_choices(random.choice(subjects).image, random))
    if random.random() < NOTES_SHARE:
        groups.append(_notes(subjects, random))
    if random.random() < TALK_SHARE:
        groups += _talk(subjects, general, random)
    return groups


def _ask_for_unknown_name(supplied: Sequence[SuppliedConcept], random: Random) -> list[QuestionAnswer]:
    tag = names.draw_tag(random)
    return [] if tag in {concept.tag for concept in supplied} else templates.recognition(tag, False, random)


def _without_concepts(subject: Subject, vocabulary: Sequence[str], random: Random) -> RowGroup:
    question = templates.caption_question(random)
    pairs = [(question, caption, "caption") for caption in subject.captions]
    if subject.captions:
        pairs += templates.about_photo(subject.captions, subject.words, random)
    photo = subject.photo
    if photo and photo.labels:
        if subject.captions:
            pairs += things.given_questions(photo) + things.presence_questions(photo, vocabulary, random)
        else:
            pairs += things.label_questions(photo, vocabulary, random)
    return subject.image, [], pairs


def _with_noise(
    concepts: list[SuppliedConcept], subject: Subject, others: Sequence[Subject], random: Random
) -> list[SuppliedConcept]:
    """Return concepts in random order, often with noise among them; the first one is never dropped."""
    first = concepts[0]
    if random.random() < NOISE_SHARE:
        concepts = concepts + noise(subject, others, 1, random)
    random.shuffle(concepts)
    concepts = distinct(concepts)
    return concepts if first in concepts else [first]


def _with_named_thing(subject: Subject, others: Sequence[Subject], random: Random) -> RowGroup:
    """Name the one labelled thing of a photo, perhaps beside a noise concept."""
    photo = subject.photo
    assert photo is not None
    thing = supply_present(names.draw_tag(random), f"{CROP}{subject.image}", "", photo.labels[0], random)
    supplied = _with_noise([thing], subject, others, random)
    pairs = things.named_thing_questions(photo, thing.tag, random)
    for concept in supplied:
        pairs += templates.recognition(concept.tag, False, random) if concept is not thing else []
        pairs += _fact_questions(concept)
    return subject.image, supplied, pairs


def _with_named_subject(subject: Subject, others: Sequence[Subject], random: Random) -> RowGroup:
    """Name the subject of a photo, perhaps a thing beside it, perhaps beside a noise concept."""
    named, mentions = _name_subject(subject, random)
    supplied = [named]
    tags: dict[int, dict[str, Mention]] = {i: {named.tag: mention} for i, mention in mentions.items()}
    if random.random() < NAMED_THING_SHARE:
        _name_thing(subject, supplied, tags, random)
    supplied = _with_noise(supplied, subject, others, random)
    question = templates.caption_question(random)
    known = {concept.tag for concept in supplied}
    captions = [
        phrases.with_tags(subject.captions[i], {tag: mention for tag, mention in found.items() if tag in known})
        for i, found in tags.items()
    ]
    captions = [caption for caption in captions if "<" in caption]
    pairs = [(question, caption, "personal_caption") for caption in captions]
    pairs += templates.doing(captions, [concept.tag for concept in supplied], random)
    present = {tag for found in tags.values() for tag in found}
    for concept in supplied:
        pairs += templates.recognition(concept.tag, concept.tag in present, random)
        pairs += _fact_questions(concept)
    if random.random() < 0.3 and len(captions) < len(subject.captions):
        rest = [caption for i, caption in enumerate(subject.captions) if i not in tags]
        pairs.append((templates.describe_question(random), " ".join((captions + rest)[:3]), "description"))
    return subject.image, supplied, pairs


def _name_subject(subject: Subject, random: Random) -> tuple[SuppliedConcept, dict[int, Mention]]:
    """Return a photo's subject with a name, and its mentions by the captions' numbers."""
    kind = subject.kind
    mentions = {i: m for i, m in enumerate(subject.mentions) if m and (m.kind == kind or {m.kind, kind} <= PEOPLE)}
    phrase = random.choice(list(mentions.values())).phrase
    return supply_present(names.draw_tag(random), f"{CROP}{subject.image}", str(kind), phrase, random), mentions


def _name_thing(
    subject: Subject, supplied: list[SuppliedConcept], tags: dict[int, dict[str, Mention]], random: Random
) -> None:
    """Add the first thing that a caption mentions after the named subject."""
    for i, caption in enumerate(subject.captions):
        for thing in phrases.things(caption):
            if all(thing.start >= m.end for m in tags.get(i, {}).values()):
                tag = names.draw_tag(random)
                supplied.append(supply(tag, f"{CROP}{THINGS}{subject.image}", thing.kind, thing.phrase, random))
                tags.setdefault(i, {})[tag] = thing
                return


def _with_noise_only(subject: Subject, others: Sequence[Subject], random: Random) -> RowGroup:
    """Supply only concepts that are not there; the captions stay as people wrote them."""
    supplied = noise(subject, others, 1 if random.random() < 0.7 else 2, random)
    question = templates.caption_question(random)
    captions = subject.captions
    if not captions and subject.photo:
        captions = tuple(filter(None, [things.caption(subject.photo, random)]))
    pairs = [(question, caption, "noise") for caption in captions]
    for concept in supplied:
        pairs += templates.recognition(concept.tag, False, random)
        pairs += _fact_questions(concept)
        if random.random() < 0.3:
            pairs.append((f"What is {concept.tag} doing?", f"{concept.tag} is not in the photo.", "recognition"))
    return subject.image, supplied, pairs


def _fact_questions(concept: SuppliedConcept) -> list[QuestionAnswer]:
    return [(question, answer, "qa") for question, answer in concept.facts]


def _mosaic(subject: Subject, other: Subject, others: Sequence[Subject], random: Random) -> list[RowGroup]:
    """Put two photos side by side, unless their subjects may be taken for one another; supply both subjects or one."""
    kind, its = subject.kind, other.kind
    if kind is None or its is None or {kind, its} <= PEOPLE:
        return []
    if subject.words & phrases.kind_words(its) or other.words & phrases.kind_words(kind):
        return []
    sides = [(each, *_name_subject(each, random)) for each in (subject, other)]
    random.shuffle(sides)
    kept = sides if random.random() < 0.7 else sides[:1]
    supplied = distinct([concept for _, concept, _ in kept])
    if random.random() < NOISE_SHARE / 2:
        images = f"{subject.image}+{other.image}"
        both = Subject(images, (), (*subject.mentions, *other.mentions), subject.words | other.words)
        supplied = distinct(supplied + noise(both, others, 1, random))
    random.shuffle(supplied)
    tags = {concept.tag for concept in supplied}
    random.shuffle(sides)
    captions = []
    for each, concept, mentions in sides:
        named = [phrases.with_tags(each.captions[i], {concept.tag: mention}) for i, mention in mentions.items()]
        captions.append(named if concept.tag in tags else list(each.captions))
    question = templates.caption_question(random)
    pairs = [(question, templates.side_by_side(a, b), "personal_caption") for a, b in zip(*captions, strict=False)]
    present = {concept.tag for _, concept, _ in sides}
    for concept in supplied:
        pairs += templates.recognition(concept.tag, concept.tag in present, random)
    return [(f"{MOSAIC}{sides[0][0].image}+{sides[1][0].image}", supplied, pairs)]


def _choices(image: str, random: Random) -> RowGroup:
    """Ask two-option questions about a made-up concept, without a photo."""
    tag = names.draw_tag(random)
    kind, info, questions = templates.make_up_concept(tag, random)
    pairs: list[QuestionAnswer] = []
    for question, right, wrong in questions:
        if random.random() < 0.75:
            pairs.append((*templates.choice(question, right, wrong, random), "choice"))
        else:
            pairs.append((question, f"{right}.", "qa"))
    return None, [SuppliedConcept(tag, f"{CROP}{image}", info, kind, kind)], pairs


def _notes(subjects: Sequence[Subject], random: Random) -> RowGroup:
    """Ask about the notes of one concept or two, without a photo."""
    images = [random.choice(subjects).image for _ in range(3)]
    noted = [notes.write_notes(random)]
    if random.random() < SEVERAL_NOTES_SHARE:
        noted.append(notes.write_notes(random, kind=noted[0].kind, taken=noted[0].tag))
    pairs: list[QuestionAnswer] = []
    for concept in noted:
        pairs += notes.note_questions(concept, random, others=tuple(other for other in noted if other is not concept))
    supplied = [_supply_noted(concept, image) for concept, image in zip(noted, images, strict=False)]
    return None, distinct(supplied), pairs


def _talk(subjects: Sequence[Subject], general: Sequence[QuestionAnswer], random: Random) -> list[RowGroup]:
    """Make some talk without a photo, and requests to write something for a concept."""
    tag = names.draw_tag(random)
    said = [*talk.small_talk(random, tag[1:-1]), *general]
    noted = notes.write_notes(random)
    supplied = _supply_noted(noted, random.choice(subjects).image)
    return [
        (None, [], random.sample(said, min(TALK_ROWS, len(said)))),
        (None, [supplied], talk.writing_requests(noted.tag, random)),
    ]


def _supply_noted(noted: notes.NotedConcept, image: str) -> SuppliedConcept:
    return SuppliedConcept(noted.tag, f"{CROP}{image}", noted.info, noted.category, noted.category)

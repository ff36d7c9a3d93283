"""Make personalised instruction data from captioned photos, in RAP's published format (Hao et al., CVPR 2025).

One row is one question and its answer: `{"id", "image", "conversations", "extra", "type"}`, where `extra` maps the
avatar of every supplied concept to its name, info and category. All of it comes from the captions: where one begins
with "a brown dog", the dog gets a random name, the phrase goes into its info and the name into the answer. A photo that
is supplied with a concept in it is also supplied with others alone: RAP's noise concepts. Rows of one photo and one
`extra` stand together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from personal.learn import names, notes, phrases, talk, templates, things
from personal.learn.features import CROP, MOSAIC, THINGS
from personal.learn.photos import Captioned
from personal.learn.phrases import PEOPLE, Mention

Row = dict[str, Any]
PLAIN, UNKNOWN, TEXT_ONLY, JOINED = 0.5, 0.4, 0.1, 0.3
"""Shares of photos: with a subject, described plainly too; without one, given noise; with text-only questions; with a
subject, put beside another."""
NOTES, SEVERAL, TALK, SPOKEN = 0.3, 0.3, 0.05, 12
"""Shares of photos beside which stand questions about written notes, of these about several concepts' notes, and talk;
and how many questions talk has."""
HOUSEHOLD = 2
"""How often photos of one labelled thing come."""
FOUND, MISTAKEN, INVENTED = 0.95, 0.6, 0.2
"""Shares of concepts that retrieval is said to have recognised: there; not there, from another photo; made up."""
THING = 0.35
"""Share of the photos with a concept in which a thing beside it has a name too."""
UNNAMED, NOTHING, TRUSTED = 0.3, 0.15, 0.1
"""Shares: of groups that ask for a name nobody supplied; of concepts of which nothing is known; of these, where they
are not there, those that retrieval is said to have recognised."""
BESIDE = 0.6
"""Share of the photos with a concept in them that are supplied with one more, which is not."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What the captions of a photo say of its subject and the things in it."""

    image: str
    captions: tuple[str, ...]
    mentions: tuple[Mention | None, ...]
    words: frozenset[str]
    photo: Captioned | None = None

    @property
    def kind(self) -> str | None:
        """The kind most captions agree on."""
        kinds = [m.kind for m in self.mentions if m]
        return max(sorted(set(kinds)), key=kinds.count) if kinds else None


@dataclass(slots=True)
class Supplied:
    """A concept in a row's `extra`, with the question its info alone answers."""

    tag: str
    path: str
    info: str
    category: str
    phrase: str
    facts: list[tuple[str, str]] = field(default_factory=list)
    recognised: bool = True

    @property
    def record(self) -> dict[str, Any]:
        """What RAP's `extra` holds of it, and where retrieval did not recognise it, that."""
        record: dict[str, Any] = {"name": self.tag[1:-1], "info": self.info, "category": self.category}
        return record if self.recognised else {**record, "recognised": False}


def rows(photos: Sequence[Captioned], seed: int, rounds: int = 1, former: Sequence[Pair] = ()) -> Iterator[Row]:
    """Yield the rows of a split: for a photo plain ones, `rounds` pairs of personalised ones, text-only ones.

    `former` are questions that the untrained model answered by itself (`personal.learn.talk`).
    """
    random = Random(seed)
    subjects = [subject_of(photo) for photo in photos]
    vocabulary = sorted({label for photo in photos for label in photo.labels})
    number = 0
    for subject in subjects:
        groups = [*_of_photo(subject, subjects, vocabulary, rounds, random), *_of_text(subjects, former, random)]
        for image, supplied, pairs in groups:
            extra = {s.path: s.record for s in supplied}
            if image and random.random() < UNNAMED:
                pairs += _unknown(supplied, random)
            for question, answer, kind in dict.fromkeys(pairs):
                human = f"<image>\n{question}" if image else question
                yield {
                    "id": number,
                    "image": image,
                    "conversations": [{"from": "human", "value": human}, {"from": "gpt", "value": answer}],
                    "extra": extra,
                    "type": kind,
                }
                number += 1


def _of_photo(
    subject: Subject, subjects: Sequence[Subject], vocabulary: Sequence[str], rounds: int, random: Random
) -> list[Group]:
    groups = []
    if subject.kind is None or random.random() < PLAIN:
        groups.append(_plain(subject, vocabulary, random))
    thing = subject.photo is not None and not subject.captions and things.alone(subject.photo)
    for _ in range(rounds * (HOUSEHOLD if thing else 1)):
        if subject.kind is not None:
            groups.append(_present(subject, subjects, random))
        elif thing:
            groups.append(_present_thing(subject, subjects, random))
        if subject.kind is not None or random.random() < UNKNOWN:
            groups.append(_absent(subject, subjects, random))
    if subject.kind is not None and random.random() < JOINED:
        groups += _joined(subject, random.choice(subjects), subjects, random)
    return groups


def _of_text(subjects: Sequence[Subject], former: Sequence[Pair], random: Random) -> list[Group]:
    groups = []
    if random.random() < TEXT_ONLY:
        groups.append(_text_only(random.choice(subjects).image, random))
    if random.random() < NOTES:
        groups.append(_noted(subjects, random))
    if random.random() < TALK:
        groups += _talk(subjects, former, random)
    return groups


Pair = tuple[str, str, str]
Group = tuple[str | None, list[Supplied], list[Pair]]


def subject_of(photo: Captioned) -> Subject:
    captions = tuple(dict.fromkeys(c for c in map(phrases.clean, photo.captions) if c))
    mentions = tuple(phrases.subject(caption) for caption in captions)
    return Subject(photo.image, captions, mentions, phrases.words([*captions, *photo.labels, photo.scene]), photo)


def _unknown(supplied: Sequence[Supplied], random: Random) -> list[Pair]:
    """Ask for a name that was not supplied."""
    tag = f"<{names.draw(random)}>"
    return [] if tag in {s.tag for s in supplied} else templates.recognition(tag, False, random)


def _plain(subject: Subject, vocabulary: Sequence[str], random: Random) -> Group:
    question = templates.caption_question(random)
    pairs = [(question, caption, "caption") for caption in subject.captions]
    if subject.captions:
        pairs += templates.about_photo(subject.captions, subject.words, random)
    photo = subject.photo
    if photo and photo.labels:
        about = things.asked(photo) + things.present_or_not(photo, vocabulary, random)
        pairs += about if subject.captions else things.plain(photo, vocabulary, random)
    return subject.image, [], pairs


def _present_thing(subject: Subject, others: Sequence[Subject], random: Random) -> Group:
    """One labelled thing with a name, perhaps a noise concept."""
    photo = subject.photo
    assert photo is not None
    concept = introduced(things.tag(random), f"{CROP}{subject.image}", "", photo.labels[0], random)
    concept.recognised = random.random() < FOUND
    if random.random() < NOTHING:
        concept = _unexplained(concept)
    supplied = [concept]
    if random.random() < BESIDE:
        supplied += noise(subject, others, 1, random)
    random.shuffle(supplied)
    supplied = _distinct(supplied)
    if concept not in supplied:
        supplied = [concept]
    pairs = things.personal(photo, concept.tag, random)
    for s in supplied:
        pairs += templates.recognition(s.tag, s is concept, random) if s is not concept else []
        pairs += [(q, a, "qa") for q, a in s.facts]
    return subject.image, supplied, pairs


def _noted(subjects: Sequence[Subject], random: Random) -> Group:
    """Notes of one concept or of several, what is asked of them, no photo."""
    images = [random.choice(subjects).image for _ in range(3)]
    known = [notes.noted(random)]
    if random.random() < SEVERAL:
        known.append(notes.noted(random, kind=known[0].kind, names_taken=known[0].tag))
    pairs: list[Pair] = []
    for one in known:
        pairs += notes.questions(one, random, others=tuple(other for other in known if other is not one))
    supplied = [
        Supplied(one.tag, f"{CROP}{image}", one.info, one.category, one.category)
        for one, image in zip(known, images, strict=False)
    ]
    return None, _distinct(supplied), pairs


def _talk(subjects: Sequence[Subject], former: Sequence[Pair], random: Random) -> list[Group]:
    """Some of what people say without a photo; and something to be written for a concept."""
    tag = things.tag(random)
    said = [*talk.written(random, tag[1:-1]), *former]
    known = notes.noted(random)
    supplied = Supplied(known.tag, f"{CROP}{random.choice(subjects).image}", known.info, known.category, known.category)
    return [
        (None, [], random.sample(said, min(SPOKEN, len(said)))),
        (None, [supplied], talk.lines(known.tag, random)),
    ]


def _present(subject: Subject, others: Sequence[Subject], random: Random) -> Group:
    """One concept that is there, perhaps a thing beside it, perhaps a noise concept."""
    concept, chosen = _subject(subject, random)
    supplied = [concept]
    tags: dict[int, dict[str, Mention]] = {i: {concept.tag: m} for i, m in chosen.items()}
    if random.random() < THING:
        _add_thing(subject, supplied, tags, random)
    if random.random() < BESIDE:
        supplied += noise(subject, others, 1, random)
    random.shuffle(supplied)
    supplied = _distinct(supplied)
    if concept not in supplied:
        supplied = [concept]
    question = templates.caption_question(random)
    captions = [phrases.named(subject.captions[i], _kept(found, supplied)) for i, found in tags.items()]
    captions = [c for c in captions if "<" in c]
    pairs = [(question, caption, "personal_caption") for caption in captions]
    pairs += templates.doing(captions, [s.tag for s in supplied], random)
    there = {tag for found in tags.values() for tag in found}
    for s in supplied:
        pairs += templates.recognition(s.tag, s.tag in there, random)
        pairs += [(q, a, "qa") for q, a in s.facts]
    if random.random() < 0.3 and len(captions) < len(subject.captions):
        rest = [c for i, c in enumerate(subject.captions) if i not in tags]
        pairs.append((templates.describe_question(random), " ".join((captions + rest)[:3]), "description"))
    return subject.image, supplied, pairs


def _subject(subject: Subject, random: Random) -> tuple[Supplied, dict[int, Mention]]:
    """Give a photo's subject a name, and tell where the captions mention it."""
    kind = subject.kind
    chosen = {i: m for i, m in enumerate(subject.mentions) if m and (m.kind == kind or {m.kind, kind} <= PEOPLE)}
    phrase = random.choice(list(chosen.values())).phrase
    concept = introduced(f"<{names.draw(random)}>", f"{CROP}{subject.image}", str(kind), phrase, random)
    concept.recognised = random.random() < FOUND
    if random.random() < NOTHING:
        concept = _unexplained(concept)
    return concept, chosen


def _unexplained(concept: Supplied) -> Supplied:
    return replace(concept, info="", category="", facts=[])


def _joined(subject: Subject, other: Subject, others: Sequence[Subject], random: Random) -> list[Group]:
    """Two photos side by side, whose subjects cannot be taken for one another: both supplied, or one."""
    kind, its = subject.kind, other.kind
    if kind is None or its is None or {kind, its} <= PEOPLE:
        return []
    if subject.words & _words(its) or other.words & _words(kind):
        return []
    sides = [(each, *_subject(each, random)) for each in (subject, other)]
    random.shuffle(sides)
    kept = sides if random.random() < 0.7 else sides[:1]
    supplied = _distinct([concept for _, concept, _ in kept])
    if random.random() < BESIDE / 2:
        images = f"{subject.image}+{other.image}"
        both = Subject(images, (), (*subject.mentions, *other.mentions), subject.words | other.words)
        supplied = _distinct(supplied + noise(both, others, 1, random))
    random.shuffle(supplied)
    tags = {s.tag for s in supplied}
    random.shuffle(sides)
    told = []
    for each, concept, mentions in sides:
        named = [phrases.named(each.captions[i], {concept.tag: m}) for i, m in mentions.items()]
        told.append(named if concept.tag in tags else list(each.captions))
    question = templates.caption_question(random)
    pairs = [(question, templates.side_by_side(a, b), "personal_caption") for a, b in zip(*told, strict=False)]
    there = {concept.tag for _, concept, _ in sides}
    for s in supplied:
        pairs += templates.recognition(s.tag, s.tag in there, random)
    return [(f"{MOSAIC}{sides[0][0].image}+{sides[1][0].image}", supplied, pairs)]


def _absent(subject: Subject, others: Sequence[Subject], random: Random) -> Group:
    """Only concepts that are not there: the captions stay as people wrote them."""
    supplied = noise(subject, others, 1 if random.random() < 0.7 else 2, random)
    question = templates.caption_question(random)
    captions = subject.captions
    if not captions and subject.photo:
        captions = tuple(filter(None, [things.caption(subject.photo, random)]))
    pairs = [(question, caption, "noise") for caption in captions]
    for s in supplied:
        pairs += templates.recognition(s.tag, False, random)
        pairs += [(q, a, "qa") for q, a in s.facts]
        if random.random() < 0.3:
            pairs.append((f"What is {s.tag} doing?", f"{s.tag} is not in the photo.", "recognition"))
    return subject.image, supplied, pairs


def _text_only(image: str, random: Random) -> Group:
    """A described concept and two-option questions about it, no photo."""
    tag = f"<{names.draw(random)}>"
    kind, info, questions = templates.described(tag, random)
    supplied = Supplied(tag, f"{CROP}{image}", info, kind, kind)
    pairs: list[Pair] = []
    for question, right, wrong in questions:
        if random.random() < 0.75:
            pairs.append((*templates.choice(question, right, wrong, random), "choice"))
        else:
            pairs.append((question, templates.sentence(right), "qa"))
    return None, [supplied], pairs


def _add_thing(subject: Subject, supplied: list[Supplied], tags: dict[int, dict[str, Mention]], random: Random) -> None:
    for i, caption in enumerate(subject.captions):
        for thing in phrases.things(caption):
            if all(thing.start >= m.end for m in tags.get(i, {}).values()):
                tag = f"<{names.draw(random)}>"
                supplied.append(introduced(tag, f"{CROP}{THINGS}{subject.image}", thing.kind, thing.phrase, random))
                tags.setdefault(i, {})[tag] = thing
                return


def noise(subject: Subject, others: Sequence[Subject], count: int, random: Random) -> list[Supplied]:
    """Draw concepts that are certainly not in the photo: another kind, or a dog of another colour."""
    found: list[Supplied] = []
    others = [other for other in others if other.image not in subject.image] or others
    while len(found) < count:
        tag = f"<{names.draw(random)}>"
        if random.random() < 0.3:
            kind, info, _ = templates.described(tag, random)
            if not subject.words & set(kind.split()):
                info = info if random.random() < 0.8 else ""  # as often as where the concept is there
                avatar = f"{CROP}{random.choice(others).image}"
                recognised = random.random() < INVENTED
                found.append(Supplied(tag, avatar, info, kind, kind, recognised=recognised))
            continue
        other = random.choice(others)
        mention = random.choice(other.mentions) if other.mentions else None
        if mention is None or not contradicts(mention, subject):
            continue
        alike = mention.kind == subject.kind  # then its looks alone tell that it is not there
        found.append(introduced(tag, f"{CROP}{other.image}", mention.kind, mention.phrase, random, described=alike))
        found[-1].recognised = random.random() < MISTAKEN
        if random.random() < NOTHING:
            found[-1] = replace(_unexplained(found[-1]), recognised=random.random() < TRUSTED)
    return _distinct(found)


def contradicts(mention: Mention, subject: Subject) -> bool:
    """Tell whether what is mentioned cannot be in the photo, by the words of its captions."""
    words = _words(mention.kind)
    if mention.kind in PEOPLE:
        vague = {
            "person",
            "people",
            "player",
            "players",
            "someone",
            "child",
            "children",
            "group",
            "crowd",
            "kids",
            "men",
        }
        same = {"man": {"men", "boy"}, "boy": {"man", "men"}, "woman": {"women", "girl"}, "girl": {"woman", "women"}}
        return mention.kind not in {"person", "child"} and not subject.words & (words | vague | same[mention.kind])
    if not subject.words & (words | {"animal", "animals"}):
        return True
    theirs = {c for m in subject.mentions if m and m.kind == mention.kind for c in m.colours}
    return bool(mention.colours and theirs and not mention.colours & theirs and not mention.colours & subject.words)


def _words(kind: str) -> set[str]:
    words = phrases.KINDS[kind].split()
    return {*words, *(w + "s" for w in words)}


def introduced(tag: str, path: str, kind: str, phrase: str, random: Random, described: bool = False) -> Supplied:
    info, facts = templates.info(tag, phrase, kind, random, described=described)
    category = random.choice((kind, kind, "")) if kind in info else kind or random.choice((phrase, ""))
    return Supplied(tag, path, info, category, phrase, facts)


def _kept(found: dict[str, Mention], supplied: Sequence[Supplied]) -> dict[str, Mention]:
    tags = {s.tag for s in supplied}
    return {tag: mention for tag, mention in found.items() if tag in tags}


def _distinct(supplied: Sequence[Supplied]) -> list[Supplied]:
    """Drop concepts whose name or avatar another one has, however the names are written."""
    kept: dict[str, Supplied] = {}
    for s in supplied:
        if s.path not in {k.path for k in kept.values()}:
            kept.setdefault(s.tag.casefold(), s)
    return list(kept.values())

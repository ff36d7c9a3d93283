"""Captions of photos: how well they describe, and whether they name a supplied concept.

Plain captions are scored with CIDEr-D (Vedantam et al., CVPR 2015) and BLEU (Papineni et al., ACL 2002) by
pycocoevalcap, and so are the same captions shuffled among the photos. With a concept supplied: how often its name is
said if it is in the photo, and if it is not. The Assistant or its generator answers, as in the app.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice
from random import Random
from typing import TYPE_CHECKING, Any

from personal.concepts import Concept, Match, Photo, Turn, View
from personal.crops import crop
from personal.data import names
from personal.data.pictures import CROP, parse_picture
from personal.data.subjects import Subject, SuppliedConcept, noise, subject_of, supply
from personal.data.templates import CAPTION_REQUEST
from personal.errors import PersonalError
from personal.evaluate.asking import BATCH, ProgressBar, Question, no_progress_bar, replies
from personal.evaluate.captioned import read_captioned
from personal.evaluate.journal import Journal, Reply
from personal.evaluate.report import Report
from personal.generate.prompt import build_messages
from personal.images import read_photo
from personal.messages import Message
from personal.retrieve.names import find_names, is_common

if TYPE_CHECKING:
    from personal.assistant import Assistant
    from personal.data.photos import CaptionedPhoto, Photos
    from personal.parts import Generator

OWNER = "evaluation"
SHIFT = 7
"""Photos by which captions are moved to shuffle them, at most half of all."""
MIXED, OF_SCRIPT = 150, 40
"""Photos on which supplied names are tested: for names of all scripts, and for those of each held-out script."""
MAX_TOKENS = 60
"""Tokens of a caption with a supplied name."""


def words(caption: str) -> str:
    """Return a caption's words in lower case without punctuation, as COCO's tokenisation gives them."""
    return " ".join(re.findall(r"[^\W_]+(?:[-'][^\W_]+)*", caption.lower()))


def score(references: Sequence[Sequence[str]], captions: Sequence[str]) -> dict[str, float]:
    """Score a caption of each photo against its references: CIDEr-D (0..10), also shuffled, and BLEU-1 to 4 (0..1)."""
    bleu_scorer, cider_scorer = _scorers()
    known = {i: [words(text) for text in texts] for i, texts in enumerate(references)}
    said = [words(caption) for caption in captions]
    shift = min(SHIFT, len(said) // 2)
    mixed = {i: [text] for i, text in enumerate(said[shift:] + said[:shift])}
    own = {i: [text] for i, text in enumerate(said)}
    bleu, _ = bleu_scorer.compute_score(known, own, verbose=0)
    found = {"cider_d": cider_scorer.compute_score(known, own)[0]}
    found |= {f"bleu_{n}": value for n, value in enumerate(bleu, 1)}
    found["cider_d_shuffled"] = cider_scorer.compute_score(known, mixed)[0]
    return {name: round(float(value), 4) for name, value in found.items()}


def _scorers() -> tuple[Any, Any]:
    try:
        from pycocoevalcap.bleu.bleu import Bleu  # type: ignore[import-untyped]
        from pycocoevalcap.cider.cider import Cider  # type: ignore[import-untyped]
    except ImportError as error:
        raise PersonalError("Captions are scored by pycocoevalcap: install it with pip, then try again.") from error
    return Bleu(4), Cider()


def plain(
    assistant: Assistant,
    photos: Photos,
    rows: Sequence[CaptionedPhoto],
    *,
    journal: Journal | None = None,
    progress: ProgressBar = no_progress_bar,
) -> Report:
    """Ask the Assistant, without concepts, for a caption of each photo, and score them.

    Raises PersonalError if no photo can be read or the scorers are not installed.
    """
    _scorers()
    report = Report()
    usable: list[CaptionedPhoto] = []

    def questions() -> Iterator[Question]:
        for row in progress(rows, "captions"):
            photo = read_captioned(photos, row, report.notes)
            if photo is not None:
                usable.append(row)
                yield Question(OWNER, CAPTION_REQUEST, photo)

    said = [reply["answer"] for reply in replies(assistant, questions(), journal)]
    report.answers = [
        {"photo": row.image, "answer": text, "references": list(row.captions)}
        for row, text in zip(usable, said, strict=True)
    ]
    if not report.answers:
        raise PersonalError(f"None of the photos of {photos.folder} can be read.\n" + "\n".join(report.notes[:10]))
    report.figures |= score([a["references"] for a in report.answers], [a["answer"] for a in report.answers])
    report.figures["captions"] = len(report.answers)
    return report


def with_names(
    generator: Generator,
    photos: Photos,
    rows: Sequence[CaptionedPhoto],
    *,
    count: int | None,
    journal: Journal | None = None,
    progress: ProgressBar = no_progress_bar,
) -> Report:
    """Test supplied names of all scripts and of each held-out one, on `count` photos each (MIXED, OF_SCRIPT)."""
    report = Report()
    for script in (None, *names.HELD_OUT_SCRIPTS):
        some = count or (OF_SCRIPT if script else MIXED)
        answers = supplied(
            generator, photos, rows, script=script, seed=0, count=some, journal=journal, progress=progress
        )
        label = script or "mixed"
        for name, present in (("named", True), ("false", False)):
            counts = [[answer["said"], 1] for answer in answers if answer["there"] is present]
            report.measure(f"{name}_{label}", range(len(counts)), counts)
            report.figures[f"photos_{name}_{label}"] = len(counts)
        report.answers += [{"script": label, **answer} for answer in answers]
    return report


def supplied(
    generator: Generator,
    photos: Photos,
    rows: Sequence[CaptionedPhoto],
    *,
    script: str | None,
    seed: int,
    count: int | None = None,
    journal: Journal | None = None,
    progress: ProgressBar = no_progress_bar,
) -> list[dict[str, Any]]:
    """Caption photos with one concept supplied that is in them, then with one that is not; at most `count` of each.

    Names are drawn from `script`, see `personal.data.names`. An answer tells whether the concept is `there`, and
    whether its name, or any name if it is not, is `said`. Raises PersonalError if no caption has a subject to name.
    """
    random = Random(seed)
    subjects = [subject_of(row) for row in rows]
    nameable = [s for s in subjects if s.kind]
    if not nameable:
        raise PersonalError(f"No caption in {photos.folder} is about a person, an animal or a thing that gets a name.")
    journal = journal or Journal()
    answers: list[dict[str, Any]] = []
    for among, present in ((nameable, True), (subjects, False)):
        few = count is not None and count < len(among)
        drawn = random.sample(among, count or 0) if few else among
        shown = iter(progress(drawn, f"{script or 'mixed'} names, {'there' if present else 'not there'}"))
        while some := list(islice(shown, BATCH)):
            known = [_present(s, script, random) if present else _noise(s, subjects, script, random) for s in some]
            for s, one, text in zip(some, known, _ask(generator, photos, some, known, journal), strict=True):
                said = one.tag in text if present else has_name(text, one.tag[1:-1])
                answer = {"photo": s.image, "name": one.tag, "info": one.info, "answer": text}
                answers.append({"there": present, "said": said, **answer})
    return answers


def has_name(text: str, name: str) -> bool:
    """Return whether a caption holds any `<name>`, or this one bare, unless it is an everyday word or letter."""
    if re.search(r"<[^<>]+>", text):
        return True
    return not is_common(name) and name not in names.WORDS and bool(find_names(text, [name]))


def _present(subject: Subject, script: str | None, random: Random) -> SuppliedConcept:
    tag = names.draw_tag(random, script)
    mention = next(m for m in subject.mentions if m and m.kind == subject.kind)
    return supply(tag, f"{CROP}{subject.image}", mention.kind, mention.phrase, random, described=True)


def _noise(subject: Subject, others: Sequence[Subject], script: str | None, random: Random) -> SuppliedConcept:
    absent = noise(subject, others, 1, random)[0]
    tag = names.draw_tag(random, script)
    return SuppliedConcept(tag, absent.avatar, absent.info.replace(absent.tag, tag), absent.category, absent.phrase)


def _ask(
    generator: Generator,
    photos: Photos,
    subjects: Sequence[Subject],
    known: Sequence[SuppliedConcept],
    journal: Journal,
) -> list[str]:
    """Caption the photos of some subjects side by side, each with one supplied concept."""
    asked: list[dict[str, Any]] = []
    messages = []
    for subject, one in zip(subjects, known, strict=True):
        image, box = parse_picture(one.avatar)
        avatar, photo = crop(read_photo(photos.read(image)), box), read_photo(photos.read(subject.image))
        about = {"question": CAPTION_REQUEST, "photo": photo.sha256, "avatar": avatar.sha256}
        asked.append({**about, "name": one.tag, "category": one.category, "info": one.info})
        messages.append(_messages(generator, photo, one, avatar))

    def answer(places: list[int]) -> list[Reply]:
        generator.clear()
        said = generator.answers([messages[place] for place in places], max_new_tokens=MAX_TOKENS)
        return [{"answer": text.strip()} for text in said]

    return [reply["answer"] for reply in journal.recall_all(asked, answer)]


def _messages(generator: Generator, photo: Photo, known: SuppliedConcept, avatar: Photo) -> list[Message]:
    view = View(avatar.sha256, avatar.width, avatar.height)
    concept = Concept("supplied", known.tag[1:-1], known.category, known.info, (view,), view.sha256, "", "")
    match = Match(concept, "seen", 0.9, (0.0, 0.0, 1.0, 1.0), view.sha256, photo.sha256)
    turn = Turn(CAPTION_REQUEST, (photo,), (match,))
    return build_messages([turn], avatars=lambda _: avatar, sees=generator.sees, single_turn=generator.single_turn)

"""Captions of photos: how well they describe, and whether they call a supplied concept by name.

Plain captions are scored with CIDEr-D (Vedantam et al., CVPR 2015) and BLEU (Papineni et al., ACL 2002) by
pycocoevalcap, beside the same captions shuffled among the photos. With a concept supplied: how often its name is said
where it is there, and where it is not. Everything is asked of the Assistant or of its generator, as the app does.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from random import Random
from typing import TYPE_CHECKING, Any

from personal.concepts import Answer, Concept, Match, Photo, Piece, Turn, View
from personal.generate.prompt import lay_out
from personal.images import crop, read_photo
from personal.learn import data, names
from personal.learn.data import Subject, Supplied
from personal.learn.features import picture
from personal.learn.templates import STANDARD

if TYPE_CHECKING:
    from personal.assistant import Assistant, Generator
    from personal.learn.photos import Captioned, Photos

OWNER = "evaluation"
SHIFT = 7
"""By how many photos captions are moved to shuffle them."""


def words(caption: str) -> str:
    """Return a caption's words in lower case without punctuation, as PTB tokenisation for COCO leaves them."""
    return " ".join(re.findall(r"[^\W_]+(?:[-'][^\W_]+)*", caption.lower()))


def score(references: Sequence[Sequence[str]], captions: Sequence[str]) -> dict[str, float]:
    """Score a caption for each photo against its references: CIDEr-D, BLEU-1 to 4, CIDEr-D when shuffled."""
    from pycocoevalcap.bleu.bleu import Bleu  # type: ignore[import-untyped]
    from pycocoevalcap.cider.cider import Cider  # type: ignore[import-untyped]

    known = {i: [words(text) for text in texts] for i, texts in enumerate(references)}
    said = [words(caption) for caption in captions]
    shift = SHIFT % max(1, len(said))
    mixed = {i: [text] for i, text in enumerate(said[shift:] + said[:shift])}
    own = {i: [text] for i, text in enumerate(said)}
    bleu, _ = Bleu(4).compute_score(known, own, verbose=0)
    found = {"cider_d": Cider().compute_score(known, own)[0]}
    found |= {f"bleu_{n}": value for n, value in enumerate(bleu, 1)}
    found["cider_d_shuffled"] = Cider().compute_score(known, mixed)[0]
    return {name: round(float(value), 4) for name, value in found.items()}


def captions(assistant: Assistant, photos: Iterable[Photo], each: Callable[[], object] = int) -> list[str]:
    """Ask the Assistant for a caption of each photo; nothing is registered."""
    said = []
    for photo in photos:
        *_, last = assistant.answer(OWNER, [Turn(STANDARD, (photo,))])
        assert isinstance(last, Answer)
        said.append(last.text)
        each()
    return said


def supplied(
    generator: Generator, photos: Photos, rows: Sequence[Captioned], *, script: str | None, seed: int
) -> dict[str, Any]:
    """Caption photos with one concept supplied that is there, then with one that is not.

    `script` draws the names from one that was kept out of training, see `personal.learn.names`. `named` is the share of
    captions that say the name where it belongs, `false` the share that say any name where none does.
    """
    random = Random(seed)
    subjects = [data.subject_of(row) for row in rows]
    there = [s for s in subjects if s.kind]
    answers = [_ask(generator, photos, s, _present(s, script, random)) for s in there]
    absent = [_ask(generator, photos, s, _noise(s, subjects, script, random)) for s in subjects]
    named = [tag in text for tag, text in answers]
    false = [re.search(r"<[^<>]+>", text) is not None or tag[1:-1] in text for tag, text in absent]
    wrong = [text for (_, text), bad in zip(absent, false, strict=True) if bad]
    return {
        "named": round(sum(named) / max(1, len(named)), 4),
        "photos_with": len(named),
        "false": round(sum(false) / max(1, len(false)), 4),
        "photos_without": len(false),
        "examples": [text for _, text in answers[:5]] + wrong[:5],
    }


def _present(subject: Subject, script: str | None, random: Random) -> Supplied:
    tag = f"<{names.draw(random, script)}>"
    mention = next(m for m in subject.mentions if m and m.kind == subject.kind)
    return data.introduced(tag, f"crop/{subject.image}", mention.kind, mention.phrase, random, described=True)


def _noise(subject: Subject, others: Sequence[Subject], script: str | None, random: Random) -> Supplied:
    noise = data.noise(subject, others, 1, random)[0]
    tag = f"<{names.draw(random, script)}>"
    return Supplied(tag, noise.path, noise.info.replace(noise.tag, tag), noise.category, noise.phrase)


def _ask(generator: Generator, photos: Photos, subject: Subject, known: Supplied) -> tuple[str, str]:
    image, box = picture(known.path)
    avatar = crop(read_photo(photos.read(image)), box)
    view = View(avatar.sha256, avatar.width, avatar.height)
    concept = Concept("supplied", known.tag[1:-1], known.category, known.info, (view,), view.sha256, "", "")
    photo = read_photo(photos.read(subject.image))
    turn = Turn(STANDARD, (photo,), (Match(concept, "seen", 0.9, (0.0, 0.0, 1.0, 1.0), view.sha256, photo.sha256),))
    return known.tag, told(generator, [turn], {concept.id: avatar})


def told(generator: Generator, turns: Sequence[Turn], avatars: Mapping[str, Photo]) -> str:
    """Let a generator answer turns whose matches are given, greedily."""
    messages = lay_out(turns, avatars=avatars, sees=generator.sees)
    pieces = generator.stream(messages, max_new_tokens=60, stop=threading.Event())
    return "".join(piece.text for piece in pieces if isinstance(piece, Piece)).strip()

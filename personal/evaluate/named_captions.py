"""Captions of photos with registered concepts: do they name these, and nobody else?

RAP's captioning protocol (Hao et al., CVPR 2025) as RePIC counts it, retrieval on: only names and photos are
registered, and the question names nobody. Stricter than RePIC's scorer: a wrong name costs precision also beside a
right one. Names in photos without a registered concept are counted separately, as false names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from personal.concepts import Photo
from personal.data.templates import CAPTION_REQUEST
from personal.evaluate.asking import CACHED, ProgressBar, Question, no_progress_bar, register, replies, to_mistake
from personal.evaluate.identify import draw
from personal.evaluate.journal import Journal
from personal.evaluate.mistakes import Mistake
from personal.evaluate.report import Report, f1, precision

if TYPE_CHECKING:
    from personal.assistant import Assistant
    from personal.evaluate.identify import Folder

REGISTERED, UNREGISTERED, STRANGERS = "registered", "unregistered", "strangers"
"""Sources of photos: a registered concept's folder, one left out, another collection."""


def named_captions(
    assistant: Assistant,
    folder: Folder,
    *,
    references: int,
    seeds: int,
    unregistered: int = 0,
    strangers: Sequence[tuple[str, Photo]] = (),
    journal: Journal | None = None,
    progress: ProgressBar = no_progress_bar,
) -> Report:
    """Caption every query of every seed; `strangers`, (file, photo), are divided among the seeds.

    Raises PersonalError if `unregistered` leaves nobody to register.
    """
    assistant.retriever.cache_size = min(folder.size + len(strangers), CACHED)
    journal = journal or Journal()
    answers: list[dict[str, Any]] = []
    mistakes: list[Mistake] = []
    for seed in range(seeds):
        owner = f"seed-{seed}"
        chosen, queries = draw(folder, references, unregistered, seed)
        concepts = register(assistant, owner, chosen)
        asked = [
            (REGISTERED if name in chosen else UNREGISTERED, folder.files[photo.sha256], name, photo)
            for name, photos in queries.items()
            for photo in photos
        ]
        asked += [(STRANGERS, file, "", photo) for file, photo in strangers[seed::seeds]]
        questions = (Question(owner, CAPTION_REQUEST, photo) for *_, photo in progress(asked, f"captions, seed {seed}"))
        for (source, file, name, photo), reply in zip(asked, replies(assistant, questions, journal), strict=True):
            named = [other for other, concept in concepts.items() if concept.tag in reply["answer"]]
            answer = {"seed": seed, "source": source, "photo": file, "concept": name, **reply, "named": named}
            answers.append(answer)
            mistakes += _mistakes(answer, photo)
    report = score(answers)
    report.notes = list(folder.notes)
    report.mistakes = mistakes
    return report


def _mistakes(answer: dict[str, Any], photo: Photo) -> list[Mistake]:
    """Return the answer as a mistake if it names others than its concept, or does not name that."""
    expected = {answer["concept"]} if answer["source"] == REGISTERED else set()
    if set(answer["named"]) == expected:
        return []
    words = f"<{answer['concept']}> and no other" if expected else "nobody is named"
    return [to_mistake(answer, photo, CAPTION_REQUEST, words, set(answer["named"]) - expected)]


def score(answers: Sequence[dict[str, Any]]) -> Report:
    """Compute recall, precision and F1 over photos of registered concepts, and false names over all others.

    An answer has its `source`, `photo`, `concept`, and the registered names that are `named` in it. If nothing is
    named precision is None.
    """
    report = Report(answers=list(answers))
    known = [answer for answer in answers if answer["source"] == REGISTERED]
    photos = [answer["photo"] for answer in known]
    counts = [[answer["concept"] in answer["named"], 1, len(answer["named"])] for answer in known]
    report.measure("f1", photos, counts, f1)
    report.measure("recall", photos, counts)
    report.measure("precision", photos, counts, precision)
    report.figures["captions"] = len(known)
    for name, sources in (
        ("false_names", (UNREGISTERED, STRANGERS)),
        ("false_names_unregistered", (UNREGISTERED,)),
        ("false_names_strangers", (STRANGERS,)),
    ):
        others = [answer for answer in answers if answer["source"] in sources]
        report.measure(name, [a["photo"] for a in others], [[bool(a["named"]), 1] for a in others])
        report.figures[f"captions{name.removeprefix('false_names') or '_without'}"] = len(others)
    return report

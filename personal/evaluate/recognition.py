"""Recognition: every query photo × every concept, "Is <name> in this photo?" (Yo'LLaVA, Nguyen et al., NeurIPS 2024).

Weighted accuracy is the mean of the accuracies over positive and over negative pairs. Stricter than Yo'LLaVA's script,
which drops them: answers that are neither yes nor no are wrong.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from personal.concepts import Photo
from personal.evaluate.asking import CACHED, ProgressBar, Question, no_progress_bar, register, replies, to_mistake
from personal.evaluate.identify import draw
from personal.evaluate.journal import Journal, Reply
from personal.evaluate.mistakes import Mistake
from personal.evaluate.report import Report, share

if TYPE_CHECKING:
    from personal.assistant import Assistant
    from personal.evaluate.identify import Folder

QUESTION = "Is {tag} in this photo?"


def recognition(
    assistant: Assistant,
    folder: Folder,
    *,
    references: int,
    seeds: int,
    names: bool = True,
    journal: Journal | None = None,
    progress: ProgressBar = no_progress_bar,
) -> Report:
    """Ask about every pair of every seed: verification, or identification without `names`.

    In verification the named concept is looked up; in identification concepts come from the pixels alone. The baselines
    are the same questions without their photos, always yes, and always no.
    """
    journal = journal or Journal()
    assistant.retriever.cache_size = min(folder.size, CACHED)
    answers: list[dict[str, Any]] = []
    text_only: list[Reply] = []
    photos: list[Photo] = []
    for seed in range(seeds):
        owner = f"seed-{seed}"
        chosen, queries = draw(folder, references, 0, seed)
        texts = {name: QUESTION.format(tag=concept.tag) for name, concept in register(assistant, owner, chosen).items()}
        asked = [(truth, photo, name) for truth, some in queries.items() for photo in some for name in texts]
        each = progress(asked, f"recognition, seed {seed}")
        shown = (Question(owner, texts[name], photo, names) for _, photo, name in each)
        for (truth, photo, name), reply in zip(asked, replies(assistant, shown, journal), strict=True):
            place = {"seed": seed, "photo": folder.files[photo.sha256], "of": truth, "concept": name}
            answers.append({**place, "there": truth == name, **reply})
            photos.append(photo)
        hidden = (Question(owner, texts[name], None, names) for name in progress(list(texts), "without photos"))
        said = dict(zip(texts, replies(assistant, hidden, journal), strict=True))
        text_only += [said[name] for *_, name in asked]
    report = score(answers)
    report.notes = list(folder.notes)
    report.mistakes = [
        _mistake(answer, photo) for answer, photo in zip(report.answers, photos, strict=True) if not answer["right"]
    ]
    report.baselines = {
        "text_only": score([{**answer, **reply} for answer, reply in zip(answers, text_only, strict=True)]),
        "always_yes": score([{**answer, "answer": "Yes."} for answer in answers]),
        "always_no": score([{**answer, "answer": "No."} for answer in answers]),
    }
    return report


def _mistake(answer: dict[str, Any], photo: Photo) -> Mistake:
    expected = "yes" if answer["there"] else f"no: it is of <{answer['of']}>"
    return to_mistake(answer, photo, QUESTION.format(tag=f"<{answer['concept']}>"), expected, {answer["concept"]})


def score(answers: Sequence[dict[str, Any]]) -> Report:
    """Compute the accuracies of answers, each with its `photo`, whether the concept is `there`, and the `answer`."""
    judged = [{**answer, "right": yes_or_no(answer["answer"]) == answer["there"]} for answer in answers]
    report = Report(answers=judged)
    photos = [answer["photo"] for answer in judged]
    counts = [_count(answer["there"], answer["right"]) for answer in judged]
    report.measure("weighted", photos, counts, lambda sums: (share(sums) + share(sums[2:])) / 2)
    report.measure("positive", photos, counts)
    report.measure("negative", photos, counts, lambda sums: share(sums[2:]))
    report.figures["neither"] = sum(yes_or_no(answer["answer"]) is None for answer in judged)
    report.figures["questions"] = len(judged)
    return report


def yes_or_no(text: str) -> bool | None:
    """Return whether an answer's first word is yes or no, None for anything else."""
    first = re.search(r"\w+", text)
    return {"yes": True, "no": False}.get(first[0].casefold()) if first else None


def _count(there: bool, right: bool) -> list[float]:
    return [there and right, there, not there and right, not there]

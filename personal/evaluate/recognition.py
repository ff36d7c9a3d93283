"""Recognition: every query photo × every concept, "Is <name> in this photo?" (Yo'LLaVA, Nguyen et al., NeurIPS 2024).

Weighted accuracy is the mean of the accuracies over the pairs that belong together and over all others. Stricter than
Yo'LLaVA's script, which drops them: answers that are neither yes nor no are wrong.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from personal.evaluate.asking import Report, Watch, ask, register, unwatched
from personal.evaluate.identify import draw

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
    watch: Watch = unwatched,
) -> Report:
    """Ask about every pair of every seed. With `names` the named concept is looked up: verification.

    Without, concepts come from the pixels alone: identification.
    """
    assistant.retriever.cache_size = sum(map(len, folder.photos.values()))
    answers: list[dict[str, Any]] = []
    for seed in range(seeds):
        owner = f"seed-{seed}"
        chosen, queries = draw(folder.photos, references, 0, seed)
        concepts = register(assistant, owner, chosen)
        asked = [(truth, photo, name) for truth, photos in queries.items() for photo in photos for name in concepts]
        for truth, photo, name in watch(asked, f"recognition, seed {seed}"):
            text = ask(assistant, owner, QUESTION.format(tag=concepts[name].tag), photo, names=names)
            file = folder.files[photo.sha256]
            answers.append({"seed": seed, "photo": file, "concept": name, "there": truth == name, "answer": text})
    report = score(answers)
    report.notes = list(folder.notes)
    return report


def score(answers: Sequence[dict[str, Any]]) -> Report:
    """Compute the accuracies of answers, each with its `photo`, whether the concept is `there`, and the `answer`."""
    judged = [{**answer, "right": yes_or_no(answer["answer"]) == answer["there"]} for answer in answers]
    report = Report(answers=judged)
    photos = [answer["photo"] for answer in judged]
    counts = [_count(answer["there"], answer["right"]) for answer in judged]
    report.measure("weighted", photos, counts, lambda sums: (sums[0] / sums[1] + sums[2] / sums[3]) / 2)
    report.measure("positive", photos, counts, lambda sums: np.asarray(sums[0] / sums[1]))
    report.measure("negative", photos, counts, lambda sums: np.asarray(sums[2] / sums[3]))
    report.figures["neither"] = sum(yes_or_no(answer["answer"]) is None for answer in judged)
    report.figures["questions"] = len(judged)
    return report


def yes_or_no(text: str) -> bool | None:
    """Read an answer's first word: True for yes, False for no, None for anything else."""
    first = re.search(r"\w+", text)
    return {"yes": True, "no": False}.get(first[0].casefold()) if first else None


def _count(there: bool, right: bool) -> list[float]:
    return [there and right, there, not there and right, not there]

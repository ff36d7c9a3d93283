"""The image classifier of a photo's labels and words, and the line that a prompt has of them.

A folder's `labels.safetensors` holds linear layers over a trunk's average-pooled feature map: ImageNet's classes, some
of them summed into groups ("dog", "shoe"), and words that people's captions use. Training and serving share it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FILE = "labels.safetensors"
MIN_PROBABILITY, MAX_LABELS = 0.15, 3
"""Probability from which a class or group is a label, and labels of a photo."""
CLASS_SHARE = 0.5
"""Share of its group's probability from which a class is named instead of the group."""
MIN_WORD_PROBABILITY, MAX_WORDS = 0.3, 6
"""Probability from which a word is named, and words of a photo."""
SURE, LIKELY = 0.7, 0.4
"""Probabilities from which a label is marked "sure", and below which it is marked "perhaps"."""
SURE_BIAS, LIKELY_BIAS = 4.0, 2.5
"""What is added to the logits of the first label in a description (docs/experiments.md, "Labels while decoding")."""
LIVING = frozenset(
    re.findall(
        r"\w+",
        "man men woman women lady guy boy boys girl girls child children kid kids baby toddler people person "
        "male crowd couple family team player rider skier biker surfer swimmer climber skateboarder snowboarder "
        "animal dog terrier cat bird horse cow sheep elephant zebra giraffe",
    )
)
"""Words by which a photo is of somebody, and its first label of something beside them."""

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Label:
    """A name for what a photo shows, its group if it has one, else the name again, and its probability."""

    name: str
    group: str
    probability: float


@dataclass(frozen=True, slots=True)
class Labels:
    """Classes and words of a photo, the most probable first."""

    classes: tuple[Label, ...] = ()
    words: tuple[Label, ...] = ()

    def prompt_line(self) -> str:
        """Return "Labels: teapot (sure); cup (perhaps). Words: table, kitchen."; "" without labels."""
        parts = []
        if self.classes:
            parts.append(f"Labels: {'; '.join(map(_with_certainty, self.classes))}.")
        if self.words:
            parts.append(f"Words: {', '.join(label.name for label in self.words)}.")
        return " ".join(parts)

    def expected(self) -> dict[str, float]:
        """Return what a description should name, with the bias that its tokens get; nothing where somebody is there."""
        if not self.classes or not LIVING.isdisjoint(label.name for label in self.words):
            return {}
        label = self.classes[0]
        bias = SURE_BIAS if label.probability >= SURE else LIKELY_BIAS if label.probability >= LIKELY else 0.0
        return {label.group if label.group in LIVING else label.name: bias} if bias else {}


@dataclass(frozen=True)
class Classifier:
    """Linear layers over a pooled map: weights (classes, channels), biases (classes,); `words` may be empty.

    `groups` maps a class's number to its group.
    """

    names: tuple[str, ...]
    groups: dict[int, str]
    weight: Array
    bias: Array
    words: tuple[str, ...] = ()
    word_weight: Array | None = None
    word_bias: Array | None = None

    def labels(self, pooled: Array, word_logits: Array | None = None) -> Labels:
        """Label a photo by its average-pooled map, (channels,); `word_logits` (words,) replace the words' own."""
        logits = self.weight @ pooled + self.bias
        probabilities = np.exp(logits - logits.max())
        probabilities /= probabilities.sum()
        if word_logits is None and self.word_weight is not None and self.word_bias is not None:
            word_logits = self.word_weight @ pooled + self.word_bias
        return Labels(self._classes(probabilities), self._words(word_logits))

    def any_of(self, pooled: Array, words: Set[str]) -> float:
        """Return the probability that one at least of some words is true of a photo, as if they were independent."""
        if self.word_weight is None or self.word_bias is None:
            return 0.0
        numbers = [number for number, word in enumerate(self.words) if word in words]
        logits = self.word_weight[numbers] @ pooled + self.word_bias[numbers]
        return float(1 - np.prod(1 / (1 + np.exp(logits))))

    def named(self, word: str) -> frozenset[str]:
        """Return the classes and groups that a word is the name of, or the last word of: "bear" of "teddy bear"."""
        word = word.lower()
        numbers = [n for n, name in enumerate(self.names) if name.lower() == word or name.lower().endswith(f" {word}")]
        numbers += [number for number, group in self.groups.items() if group == word]
        return frozenset({*(self.names[n] for n in numbers), *(self.groups.get(n, self.names[n]) for n in numbers)})

    def _classes(self, probabilities: Array) -> tuple[Label, ...]:
        members: dict[str, list[int]] = {}
        for number in np.flatnonzero(probabilities > MIN_PROBABILITY / 50).tolist():
            members.setdefault(self.groups.get(number, self.names[number]), []).append(number)
        found = []
        for group, numbers in members.items():
            total, best = float(probabilities[numbers].sum()), max(numbers, key=lambda number: probabilities[number])
            if total >= MIN_PROBABILITY:
                alone = probabilities[best] >= CLASS_SHARE * total
                found.append(Label(self.names[best] if alone else group, group, round(total, 4)))
        return tuple(sorted(found, key=lambda label: -label.probability)[:MAX_LABELS])

    def _words(self, logits: Array | None) -> tuple[Label, ...]:
        if logits is None:
            return ()
        probabilities = 1 / (1 + np.exp(-logits))
        best = [n for n in np.argsort(-probabilities)[:MAX_WORDS].tolist() if probabilities[n] >= MIN_WORD_PROBABILITY]
        return tuple(Label(self.words[n], self.words[n], round(float(probabilities[n]), 4)) for n in best)


def read(folder: Path) -> Classifier | None:
    """Read a folder's classifier, None if it has none."""
    from safetensors import safe_open

    if not (folder / FILE).is_file():
        return None
    with safe_open(str(folder / FILE), "np") as file:
        facts = json.loads(file.metadata()["labels"])
        found: dict[str, Any] = {name: file.get_tensor(name).astype(np.float32) for name in file.keys()}  # noqa: SIM118
    groups = {int(number): group for number, group in facts["groups"].items()}
    return Classifier(names=tuple(facts["names"]), words=tuple(facts.get("words", ())), groups=groups, **found)


def write(folder: Path, classifier: Classifier) -> None:
    """Write a classifier into a folder, in half precision."""
    from safetensors.numpy import save_file

    arrays = {"weight": classifier.weight, "bias": classifier.bias}
    if classifier.word_weight is not None and classifier.word_bias is not None:
        arrays |= {"word_weight": classifier.word_weight, "word_bias": classifier.word_bias}
    facts = {"names": classifier.names, "words": classifier.words, "groups": classifier.groups}
    halves = {name: np.ascontiguousarray(array, np.float16) for name, array in arrays.items()}
    save_file(halves, str(folder / FILE), metadata={"labels": json.dumps(facts)})


def _with_certainty(label: Label) -> str:
    p = label.probability
    return f"{label.name} (sure)" if p >= SURE else label.name if p >= LIKELY else f"{label.name} (perhaps)"

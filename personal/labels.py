"""What an image classifier says a photo shows: labels and words with their probabilities, and the line a prompt has of
them.

A folder's `labels.safetensors` holds linear layers over a trunk's average-pooled feature map: ImageNet's classes, of
which some are summed into groups ("dog", "shoe"), and words that people's captions use. Training and serving share
this module.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FILE = "labels.safetensors"
LEAST, MOST = 0.15, 3
"""Probability from which a class is a label, and labels at most."""
OWN = 0.5
"""Share of its group's probability from which a class is named itself."""
WORD, WORDS = 0.3, 6
"""Probability from which a word is said, and words at most."""
SURE, LIKELY = 0.7, 0.4
"""Probabilities from which a label is "sure", and from which it is not "perhaps"."""

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Label:
    """A name for what a photo shows, of a kind ("dog" of a Pembroke, else the name itself), and its probability."""

    name: str
    kind: str
    probability: float


@dataclass(frozen=True, slots=True)
class Labels:
    """Classes and words of a photo, the most probable first."""

    classes: tuple[Label, ...] = ()
    words: tuple[Label, ...] = ()

    def line(self) -> str:
        """Return "Labels: teapot (sure); cup (perhaps). Words: table, kitchen."; "" without labels."""
        parts = []
        if self.classes:
            parts.append(f"Labels: {'; '.join(map(_certain, self.classes))}.")
        if self.words:
            parts.append(f"Words: {', '.join(label.name for label in self.words)}.")
        return " ".join(parts)


@dataclass(frozen=True)
class Classifier:
    """Linear layers over a pooled map: weights (classes, channels), biases (classes,); `words` may be empty.

    `groups` maps a class's place to the group it is summed into.
    """

    names: tuple[str, ...]
    groups: dict[int, str]
    weight: Array
    bias: Array
    words: tuple[str, ...] = ()
    word_weight: Array | None = None
    word_bias: Array | None = None

    def labels(self, pooled: Array, word_scores: Array | None = None) -> Labels:
        """Label a photo by its average-pooled map, (channels,). `word_scores` (words,) stand for the words' logits."""
        scores = self.weight @ pooled + self.bias
        shares = np.exp(scores - scores.max())
        shares /= shares.sum()
        if word_scores is None and self.word_weight is not None and self.word_bias is not None:
            word_scores = self.word_weight @ pooled + self.word_bias
        return Labels(self._classes(shares), self._words(word_scores))

    def _classes(self, shares: Array) -> tuple[Label, ...]:
        kinds: dict[str, list[int]] = {}
        for place in np.flatnonzero(shares > LEAST / 50).tolist():
            kinds.setdefault(self.groups.get(place, self.names[place]), []).append(place)
        found = []
        for kind, places in kinds.items():
            total, best = float(shares[places].sum()), max(places, key=lambda place: shares[place])
            if total >= LEAST:
                own = shares[best] >= OWN * total
                found.append(Label(self.names[best] if own else kind, kind, round(total, 4)))
        return tuple(sorted(found, key=lambda label: -label.probability)[:MOST])

    def _words(self, scores: Array | None) -> tuple[Label, ...]:
        if scores is None:
            return ()
        shares = 1 / (1 + np.exp(-scores))
        best = [place for place in np.argsort(-shares)[:WORDS].tolist() if shares[place] >= WORD]
        return tuple(Label(self.words[p], self.words[p], round(float(shares[p]), 4)) for p in best)


def read(folder: Path) -> Classifier | None:
    """Read a folder's classifier; None where it has none."""
    from safetensors import safe_open

    if not (folder / FILE).is_file():
        return None
    with safe_open(str(folder / FILE), "np") as file:
        facts = json.loads(file.metadata()["labels"])
        found: dict[str, Any] = {name: file.get_tensor(name).astype(np.float32) for name in file.keys()}  # noqa: SIM118
    groups = {int(place): group for place, group in facts["groups"].items()}
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


def _certain(label: Label) -> str:
    p = label.probability
    return f"{label.name} (sure)" if p >= SURE else label.name if p >= LIKELY else f"{label.name} (perhaps)"

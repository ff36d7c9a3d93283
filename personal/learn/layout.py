"""Turn rows into what the model reads, through the app's own prompt and the checkpoint's own chat template.

Rows that share a beginning share its tokens: they are packed into a tree, in which every token attends to its ancestors
alone and its position is its depth, so that a tree gives exactly the logits of its rows read one by one. A photo's 49
image tokens are computed once for its five captions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personal.concepts import Concept, Match, Photo, Turn, View
from personal.generate import prompt
from personal.learn.data import Row
from personal.learn.features import MOSAIC, Picture, picture

if TYPE_CHECKING:
    import torch

NOWHERE = -1
DECISIVE, LETTER = 4, 8
"""Weights of an answer's first token: where concepts are supplied, and a name, a yes or a no is decided; where it is
the letter of an option, and all there is of the answer."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """One row as token ids; from `start` on they are to be learnt, the first of them `decisive` times."""

    ids: tuple[int, ...]
    start: int
    decisive: int = 1
    weight: float = 1


@dataclass(frozen=True, slots=True)
class Tree:
    """Rows packed by their common beginnings: ids and parents by node, and how many rows go on from it with an id."""

    ids: list[int]
    parents: list[int]
    targets: dict[tuple[int, int], float]
    pictures: list[Picture]


@dataclass(frozen=True, slots=True)
class Batch:
    """Trees side by side: ids and positions (trees, nodes), mask (trees, 1, nodes, nodes), sizes unpadded (trees).

    Of the targets the flat node, the label, and how many rows have it, weighted.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    mask: torch.Tensor
    nodes: torch.Tensor
    labels: torch.Tensor
    counts: torch.Tensor
    sizes: torch.Tensor
    pictures: list[Picture]


class Layout:
    """The layout of one checkpoint: its processor, how many tokens an image takes, and the photos' lines of labels."""

    def __init__(self, checkpoint: Path, labels: Mapping[str, str] | None = None) -> None:
        from transformers import AutoConfig, AutoProcessor

        config = AutoConfig.from_pretrained(checkpoint)
        self.labels = labels or {}
        self.processor = AutoProcessor.from_pretrained(checkpoint)
        self.image_id: int = config.image_token_id
        self._image: str = self.processor.image_token
        self._image_tokens: int = config.image_seq_length
        self.end: str = self.processor.tokenizer.eos_token
        self.pad: int = self.processor.tokenizer.pad_token_id

    def tree(self, group: Sequence[Row], *, avatars: bool = True) -> Tree:
        """Pack the rows of one photo and one `extra`; without `avatars` the concepts are introduced in words alone."""
        pictures: list[Picture] = []
        sequences = []
        for row in group:
            chat, pictures = messages(row, avatars=avatars, labels=self.labels)
            sequences.append(self._sequence(chat, row["conversations"][1]["value"], _decisive(row)))
        return pack(sequences, pictures)

    def question(self, row: Row) -> tuple[int, ...]:
        """Return the tokens of a row up to its answer."""
        return self._sequence(messages(row, labels=self.labels)[0], "").ids[:-1]

    def _sequence(self, chat: list[dict[str, Any]], answer: str, decisive: int = 1) -> Tokens:
        text = self.processor.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        text = text.replace(self._image, self._image * self._image_tokens)
        asked = self.processor.tokenizer(text, add_special_tokens=False)["input_ids"]
        answered = self.processor.tokenizer(answer + self.end, add_special_tokens=False)["input_ids"]
        return Tokens((*asked, *answered), len(asked), decisive)


def _decisive(row: Row) -> int:
    if row["type"] == "choice":
        return LETTER
    if row["type"] in {"notes", "talk"}:
        return DECISIVE
    return DECISIVE if row["extra"] and row["image"] and not row["image"].startswith(MOSAIC) else 1


def messages(
    row: Row, *, avatars: bool = True, labels: Mapping[str, str] | None = None
) -> tuple[list[dict[str, Any]], list[Picture]]:
    """Lay a row out as the app would, and list its pictures in order; `labels` are lines of photos by their paths."""
    matches = tuple(
        Match(_concept(path, record), "seen" if record.get("recognised", True) else "named")
        for path, record in row["extra"].items()
    )
    photos = (_photo(row["image"]),) if row["image"] else ()
    question = row["conversations"][0]["value"].removeprefix("<image>\n")
    turn = Turn(question, photos, matches)
    laid = prompt.lay_out([turn], avatars=lambda concept: _photo(concept.avatar), sees=True)
    if labels:
        laid = prompt.with_labels(laid, lambda photo: labels.get(photo.sha256, ""))
    chat, pictures = [], []
    for message in laid:
        parts = []
        for part in message["content"]:
            if part["type"] == "image":
                if "concept" in part and not avatars:
                    continue
                pictures.append(picture(part["image"].sha256))
                parts.append({"type": "image"})
            else:
                parts.append({"type": "text", "text": part["text"]})
        chat.append({"role": message["role"], "content": parts})
    return chat, pictures


def _concept(path: str, record: dict[str, Any]) -> Concept:
    view = View(path, 224, 224)
    return Concept(path, record["name"], record["category"], record["info"], (view,), path, "", "")


def _photo(path: str) -> Photo:
    return Photo(b"", path, 224, 224)


def pack(sequences: Sequence[Tokens], pictures: list[Picture]) -> Tree:
    """Merge sequences by their common beginnings."""
    ids: list[int] = []
    parents: list[int] = []
    targets: defaultdict[tuple[int, int], float] = defaultdict(float)
    children: dict[tuple[int, int], int] = {}
    for sequence in sequences:
        node = NOWHERE
        for place, token in enumerate(sequence.ids):
            if place >= sequence.start:
                targets[(node, token)] += sequence.weight * (sequence.decisive if place == sequence.start else 1)
                if place == len(sequence.ids) - 1:
                    break
            if (node, token) not in children:
                children[(node, token)] = len(ids)
                ids.append(token)
                parents.append(node)
            node = children[(node, token)]
    return Tree(ids, parents, dict(targets), pictures)


def collate(trees: Sequence[Tree], pad: int) -> Batch:
    """Put trees side by side, padded to the longest."""
    import numpy as np
    import torch

    longest = max(len(tree.ids) for tree in trees)
    ids = np.full((len(trees), longest), pad, dtype=np.int64)
    positions = np.zeros((len(trees), longest), dtype=np.int64)
    mask = np.zeros((len(trees), 1, longest, longest), dtype=bool)
    nodes: list[int] = []
    labels: list[int] = []
    counts: list[float] = []
    for number, tree in enumerate(trees):
        ids[number, : len(tree.ids)] = tree.ids
        seen = mask[number, 0]
        np.fill_diagonal(seen, True)
        for node, parent in enumerate(tree.parents):
            if parent >= 0:
                seen[node] |= seen[parent]
                positions[number, node] = positions[number, parent] + 1
        nodes += [number * longest + node for node, _ in tree.targets]
        labels += [label for _, label in tree.targets]
        counts += tree.targets.values()
    return Batch(
        torch.from_numpy(ids),
        torch.from_numpy(positions),
        torch.from_numpy(mask),
        torch.tensor(nodes),
        torch.tensor(labels),
        torch.tensor(counts, dtype=torch.float32),
        torch.tensor([len(tree.ids) for tree in trees]),
        [picture for tree in trees for picture in tree.pictures],
    )

"""Rows that share a beginning, packed into a tree of tokens, and trees collated to a batch.

Each token attends to its ancestors only and its position is its depth, so that a tree gives exactly the logits of its
rows read one by one. A photo's 49 image tokens are computed once for its five captions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from personal.data.pictures import Picture

if TYPE_CHECKING:
    import torch

ROOT = -1
"""The parent of a tree's first tokens."""


@dataclass(frozen=True, slots=True)
class TokenSequence:
    """A row as token ids, targets from `start` on; the first target weighs `first_weight` times the others."""

    ids: tuple[int, ...]
    start: int
    first_weight: int = 1
    weight: float = 1


@dataclass(frozen=True, slots=True)
class PrefixTree:
    """Ids and parents by node, and the weight of each target: a node and the id that follows it."""

    ids: list[int]
    parents: list[int]
    targets: dict[tuple[int, int], float]
    pictures: list[Picture]


@dataclass(frozen=True, slots=True)
class Batch:
    """Padded trees: ids and positions (trees, nodes), mask (trees, 1, nodes, nodes), sizes without padding (trees).

    Each target has its node in the flattened batch, its label and its weight.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    mask: torch.Tensor
    nodes: torch.Tensor
    labels: torch.Tensor
    weights: torch.Tensor
    sizes: torch.Tensor
    pictures: list[Picture]


def build_tree(sequences: Sequence[TokenSequence], pictures: list[Picture]) -> PrefixTree:
    """Merge sequences by their common beginnings."""
    ids: list[int] = []
    parents: list[int] = []
    targets: defaultdict[tuple[int, int], float] = defaultdict(float)
    children: dict[tuple[int, int], int] = {}
    for sequence in sequences:
        node = ROOT
        for place, token in enumerate(sequence.ids):
            if place >= sequence.start:
                factor = sequence.first_weight if place == sequence.start else 1
                targets[(node, token)] += sequence.weight * factor
                if place == len(sequence.ids) - 1:
                    break
            if (node, token) not in children:
                children[(node, token)] = len(ids)
                ids.append(token)
                parents.append(node)
            node = children[(node, token)]
    return PrefixTree(ids, parents, dict(targets), pictures)


def collate(trees: Sequence[PrefixTree], pad: int) -> Batch:
    """Collate trees to a batch, padded to the longest."""
    import numpy as np
    import torch

    longest = max(len(tree.ids) for tree in trees)
    ids = np.full((len(trees), longest), pad, dtype=np.int64)
    positions = np.zeros((len(trees), longest), dtype=np.int64)
    mask = np.zeros((len(trees), 1, longest, longest), dtype=bool)
    nodes: list[int] = []
    labels: list[int] = []
    weights: list[float] = []
    for number, tree in enumerate(trees):
        ids[number, : len(tree.ids)] = tree.ids
        visible = mask[number, 0]
        np.fill_diagonal(visible, True)
        for node, parent in enumerate(tree.parents):
            if parent != ROOT:
                visible[node] |= visible[parent]
                positions[number, node] = positions[number, parent] + 1
        nodes += [number * longest + node for node, _ in tree.targets]
        labels += [label for _, label in tree.targets]
        weights += tree.targets.values()
    return Batch(
        torch.from_numpy(ids),
        torch.from_numpy(positions),
        torch.from_numpy(mask),
        torch.tensor(nodes),
        torch.tensor(labels),
        torch.tensor(weights, dtype=torch.float32),
        torch.tensor([len(tree.ids) for tree in trees]),
        [picture for tree in trees for picture in tree.pictures],
    )

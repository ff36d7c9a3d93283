"""The order in which rows are trained on: batches of groups of rows, a function of seed and step alone."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from random import Random
from typing import NamedTuple

from personal.data.rows import Row
from personal.learn.optimiser import TrainingConfig

SORT_WINDOW = 16
"""Batches drawn at once and sorted by length, to pad little."""


class SampleGroup(NamedTuple):
    """The rows of one photo and one `extra`, and whether the avatars are shown with them."""

    rows: list[Row]
    avatars: bool


class BatchSampler:
    """Batches of `config.batch_size` sample groups, epoch after epoch in new random order.

    Groups of one photo, with its concepts in it and without, stay together.
    """

    def __init__(self, rows: Sequence[Row], config: TrainingConfig) -> None:
        self._config = config
        self._groups = [list(g) for _, g in groupby(rows, key=lambda r: (r["image"], list(r["extra"].items())))]
        units = groupby(range(len(self._groups)), key=lambda g: self._personalised_photo(g) or g)
        self._units = [list(unit) for _, unit in units]
        self._epochs: dict[int, list[list[int]]] = {}

    def batch(self, step: int) -> list[SampleGroup]:
        """Return the batch of a step."""
        epoch, number = 0, step
        while number >= len(self._batches(epoch)):
            number -= len(self._batches(epoch))
            epoch += 1
        return [self._group(epoch, group) for group in self._batches(epoch)[number]]

    def _batches(self, epoch: int) -> list[list[int]]:
        if epoch not in self._epochs:
            self._epochs[epoch] = self._shuffled(epoch)
        return self._epochs[epoch]

    def _group(self, epoch: int, group: int) -> SampleGroup:
        avatars = Random(f"{self._config.seed} {epoch} {group}").random() < self._config.avatar_share
        return SampleGroup(self._groups[group], avatars)

    def _shuffled(self, epoch: int) -> list[list[int]]:
        random, size = Random(f"{self._config.seed} {epoch}"), self._config.batch_size
        order = list(range(len(self._units)))
        random.shuffle(order)
        every = []
        for start in range(0, len(order), size * SORT_WINDOW):
            drawn = order[start : start + size * SORT_WINDOW]
            drawn.sort(key=lambda unit: self._length(self._units[unit][-1]))
            groups = [group for unit in drawn for group in self._units[unit]]
            batches = [groups[i : i + size] for i in range(0, len(groups), size)]
            random.shuffle(batches)
            every += batches
        full = [batch for batch in every if len(batch) == size]
        return full or every

    def _personalised_photo(self, group: int) -> str | None:
        row: Row = self._groups[group][0]
        return row["image"] if row["extra"] else None

    def _length(self, group: int) -> int:
        """Estimate how many tokens a group takes."""
        rows = self._groups[group]
        text = sum(len(r["conversations"][0]["value"]) // 3 + len(r["conversations"][1]["value"]) for r in rows)
        return text + 200 * bool(rows[0]["image"]) + sum(60 + len(str(v)) for v in rows[0]["extra"].values())

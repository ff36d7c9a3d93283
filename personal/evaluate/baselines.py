"""Baselines of recognition with the same encoder, references and queries but other retrieval.

Whole photos against whole views; RAP's published retriever; always the same name. None has a threshold: each always
names somebody. They use the retriever's vectors and regions only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from personal.concepts import Box, Photo
from personal.evaluate.identify import Drawn, Ranked

if TYPE_CHECKING:
    from personal.retrieve.regions import Regions

NEAREST = 2
"""Nearest views of each crop in RAP's retriever, and concepts of all crops together (its released code's topK)."""

Array = NDArray[np.float32]
Hit = tuple[str, float, Box | None]
"""A concept's name, its best similarity, and the part of the photo with that."""


class Encodes(Protocol):
    """The part of the retriever that baselines use; the first vector and region are those of the whole photo."""

    def embed(self, photos: Sequence[Photo]) -> Iterable[Any]: ...
    def regions(self, photo: Photo) -> Regions: ...


class WholePhoto:
    """The nearest neighbour of the whole photo among whole views, by cosine."""

    name = "whole_photo"
    names_said = 1

    def __init__(self, retriever: Encodes) -> None:
        self._retriever = retriever
        self._names: list[str] = []
        self._views: Array = np.zeros((0, 0), np.float32)

    def register(self, seed: int, chosen: Drawn) -> None:
        """Encode a seed's references."""
        self._names = [name for name, photos in chosen.items() for _ in photos]
        views = self._retriever.embed([photo for photos in chosen.values() for photo in photos])
        self._views = np.stack([vectors[0] for vectors in views])

    def rank(self, photo: Photo) -> Ranked:
        """Return the concept of the nearest view, and the next concept."""
        (name, similarity, box), *others = self.hits(photo)
        return Ranked(name, similarity, others[0][0] if others else "", box)

    def hits(self, photo: Photo) -> list[Hit]:
        """Return the concepts by their nearest views."""
        similarity = self._views @ self._retriever.regions(photo).vectors[0]
        return self._first_of_each(
            (self._names[view], float(similarity[view]), None) for view in np.argsort(-similarity, kind="stable")
        )

    def _first_of_each(self, hits: Iterable[Hit]) -> list[Hit]:
        """Return the first hit of each name."""
        kept: dict[str, Hit] = {}
        for hit in hits:
            kept.setdefault(hit[0], hit)
        return list(kept.values())


class Rap(WholePhoto):
    """RAP's retriever (Hao et al., CVPR 2025, section 3.2, as its released code does it) on this encoder.

    Every crop's two nearest views, all of them sorted by similarity, the first two concepts of these; no threshold.
    Crops are this project's regions of a first look in place of YOLO-World's detections.
    """

    name = "rap"
    names_said = NEAREST

    def hits(self, photo: Photo) -> list[Hit]:
        """Return the concepts among any crop's nearest views, by similarity."""
        regions = self._retriever.regions(photo)
        similarity = regions.vectors @ self._views.T
        nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :NEAREST]
        found = [(row, view) for row, views in enumerate(nearest) for view in views]
        found.sort(key=lambda place: -similarity[place])
        return self._first_of_each(
            (self._names[view], float(similarity[row, view]), regions.boxes[row]) for row, view in found
        )


class Majority:
    """Always the same name, the first one."""

    name = "majority"

    def register(self, seed: int, chosen: Drawn) -> None:
        """Choose the name."""
        self._always = Ranked(next(iter(chosen)), 0.0)

    def rank(self, photo: Photo) -> Ranked:
        """Return it."""
        return self._always

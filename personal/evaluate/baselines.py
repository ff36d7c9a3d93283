"""What recognition is compared with in the same run: the same encoder, references and queries, other retrieval.

Whole photos against whole views; RAP's published retriever; always the same name. None has a threshold: each always
names somebody. They take vectors and regions from the retriever and know nothing else of it.
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
"""Views that RAP's retriever takes of each crop, and concepts of all crops together (its released code's topK)."""

Array = NDArray[np.float32]
Hit = tuple[str, float, Box | None]
"""A concept's name, its best similarity, and in which part of the photo that is."""


class Eye(Protocol):
    """What baselines ask of the retriever; of a photo's vectors and regions the first are the whole of it."""

    def embed(self, photos: Sequence[Photo]) -> Iterable[Any]: ...
    def regions(self, photo: Photo) -> Regions: ...


class WholePhoto:
    """The nearest neighbour of the whole photo among whole views, by cosine."""

    name = "whole_photo"
    names_said = 1

    def __init__(self, retriever: Eye) -> None:
        self._retriever = retriever
        self._names: list[str] = []
        self._views: Array = np.zeros((0, 0), np.float32)

    def register(self, seed: int, chosen: Drawn) -> None:
        """Hold the vectors of a seed's references."""
        self._names = [name for name, photos in chosen.items() for _ in photos]
        views = self._retriever.embed([photo for photos in chosen.values() for photo in photos])
        self._views = np.stack([vectors[0] for vectors in views])

    def rank(self, photo: Photo) -> Ranked:
        """Name whose view is nearest, and whose is next."""
        (name, similarity, box), *others = self.hits(photo)
        return Ranked(name, similarity, others[0][0] if others else "", box)

    def hits(self, photo: Photo) -> list[Hit]:
        """List the concepts by how near their views are, each once."""
        similarity = self._views @ self._retriever.regions(photo).vectors[0]
        return self._first(
            (self._names[view], float(similarity[view]), None) for view in np.argsort(-similarity, kind="stable")
        )

    def _first(self, hits: Iterable[Hit]) -> list[Hit]:
        """Keep the first of each name."""
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
        """List the concepts by how near any of their views is to any crop, those that are among a crop's nearest."""
        regions = self._retriever.regions(photo)
        similarity = regions.vectors @ self._views.T
        nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :NEAREST]
        found = [(row, view) for row, views in enumerate(nearest) for view in views]
        found.sort(key=lambda place: -similarity[place])
        return self._first((self._names[view], float(similarity[row, view]), regions.boxes[row]) for row, view in found)


class Majority:
    """Always the same name, the first one: what chance and the number of concepts give."""

    name = "majority"

    def register(self, seed: int, chosen: Drawn) -> None:
        """Choose the name."""
        self._always = Ranked(next(iter(chosen)), 0.0)

    def rank(self, photo: Photo) -> Ranked:
        """Say it."""
        return self._always

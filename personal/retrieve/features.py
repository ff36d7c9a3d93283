"""Photos → features of their regions, each photo encoded once: what was seen last is held.

Knows neither concepts nor the index. A detector, where there is one, proposes more regions than the windows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from personal.concepts import Box, Photo
from personal.images import open_photo
from personal.recent import Recent
from personal.retrieve.regions import SMALL, Regions, crops, cut, pool, pool_box

if TYPE_CHECKING:
    from PIL.Image import Image

    from personal.retrieve.calibrate import Calibration

Array = NDArray[np.float32]


class Encoder(Protocol):
    """What recognition asks of an encoder (`personal.retrieve.encoder`)."""

    @property
    def threshold(self) -> float: ...
    @property
    def text_thresholds(self) -> tuple[float, float]: ...
    @property
    def dimension(self) -> int: ...
    @property
    def calibration(self) -> Calibration | None: ...
    def embed(self, images: Sequence[Image]) -> Array: ...
    def embed_reference(self, image: Image) -> Array: ...
    def dense(self, image: Image, *, fine: bool = False) -> Array | None: ...
    def describe(self, image: Image) -> tuple[Array, Array | None]: ...
    def embed_texts(self, texts: Sequence[str]) -> Array: ...
    def project(self, pooled: Array) -> Array: ...
    def cohort_score(self, vectors: Array) -> Array: ...
    def regress_boxes(self, dense: Array, boxes: Array) -> Array: ...


class Proposal(Protocol):
    """Where a detector thinks that something is."""

    @property
    def box(self) -> Box: ...


class Detector(Protocol):
    """What recognition asks of a detector (`personal.retrieve.detector`)."""

    def propose(self, image: Image, categories: Sequence[str]) -> Sequence[Proposal]: ...
    def clear(self) -> None: ...


@dataclass(frozen=True)
class PhotoFeatures:
    """The regions of a photo, and the map that they were pooled from, where there is one."""

    regions: Regions
    dense: Array | None

    def joined(self, more: Regions) -> PhotoFeatures:
        """Return these with more regions below them."""
        boxes = self.regions.boxes + more.boxes
        return PhotoFeatures(Regions(boxes, np.concatenate([self.regions.vectors, more.vectors])), self.dense)


class FeatureExtractor:
    """Encodes photos and holds the features of the last `size` of them; `clear` drops those."""

    def __init__(self, encoder: Encoder, detector: Detector | None, size: int) -> None:
        self._encoder = encoder
        self._detector = detector
        self._references: Recent[str, Array] = Recent(size)
        self._photos: Recent[str, PhotoFeatures] = Recent(2 * size)

    @property
    def size(self) -> int:
        """How many photos' features are held at most."""
        return self._references.size

    @size.setter
    def size(self, size: int) -> None:
        self._references.size, self._photos.size = size, 2 * size

    def clear(self) -> None:
        """Drop everything held of photos seen."""
        self._references.clear()
        self._photos.clear()
        if self._detector:
            self._detector.clear()

    def of_reference(self, photo: Photo) -> Array:
        """Return what is kept of a reference, (n, dimension): the whole of it first. Raises ImageError."""
        cached = self._references.get(photo.sha256)
        if cached is None:
            cached = self._encoder.embed_reference(open_photo(photo))
            self._references.put(photo.sha256, cached)
        return cached

    def of_photo(self, photo: Photo, categories: Iterable[str] = (), *, fine: bool = False) -> PhotoFeatures:
        """Return the features of a photo's windows, and of what a detector finds of categories, most frequent first.

        Where it is `fine`, of small windows of a finer map. Raises ImageError, and ModelError where the detector fails.
        """
        asked = [category for category, _ in Counter(categories).most_common()] if self._detector else []
        key = "\0".join([photo.sha256, "fine" if fine else "", *asked])
        cached = self._photos.get(key)
        if cached is None:
            image = open_photo(photo)
            found = self._detector.propose(image, asked) if self._detector and asked else []
            cached = self._encode(image, [one.box for one in found], fine=fine)
            self._photos.put(key, cached)
        return cached

    def of_box(self, photo: Photo, box: Box) -> PhotoFeatures:
        """Return the features of one part of a photo alone."""
        image = open_photo(photo)
        dense = self._encoder.dense(image)
        if dense is None:
            return PhotoFeatures(Regions((box,), self._encoder.embed([cut(image, box)])), None)
        return PhotoFeatures(Regions((box,), self._encoder.project(pool_box(dense, box))), None)

    def _encode(self, image: Image, boxes: Sequence[Box], *, fine: bool) -> PhotoFeatures:
        """Encode a photo's windows and more boxes: pooled from one map where there is one, else crop by crop."""
        dense = self._encoder.dense(image, fine=fine)
        if dense is None:
            places, pieces = crops(image)
            vectors = self._encoder.embed([*pieces, *(cut(image, box) for box in boxes)])
            return PhotoFeatures(Regions((*places, *boxes), vectors), None)
        pooled = pool(dense, SMALL) if fine else pool(dense)
        vectors = np.concatenate([pooled.vectors, pool_box(dense, *boxes)]) if boxes else pooled.vectors
        regions = Regions((*pooled.boxes, *boxes), self._encoder.project(vectors))
        return PhotoFeatures(regions, None if fine else dense.astype(np.float16))

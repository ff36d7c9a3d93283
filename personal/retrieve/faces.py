"""Faces, to be compared with faces only: where they are in a photo, and a vector for each.

A cascade finds them (`personal.retrieve.mtcnn`), dlib describes them: the ResNet of its face recognition example, 128
numbers a face (Davis King, dlib.net). Knows neither people nor the index; where the weights come from it is told.

A face says who somebody is, so it is biometric data: nothing is loaded, fetched or described before somebody asks for
it. dlib's network learnt from photos of celebrities (VGG, FaceScrub) and of the web; the strangers that it takes for
one another are mostly children, and people from East Asia (docs/experiments.md).
"""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from personal.concepts import Box, Progress
from personal.errors import ModelError
from personal.retrieve.mtcnn import Cascade, Found
from personal.retrieve.regions import Regions
from personal.threads import in_foreground, in_thread

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

LIBRARY = "dlib-bin==20.0.1.post1"
"""dlib as wheels: 4 MB, needing nothing, for the platforms that torch has wheels for; dlib itself comes as source."""

DISTANCE = 0.468
NORM = 1.41
THRESHOLD = round(1 - DISTANCE**2 / (2 * NORM**2), 3)
"""Cosine similarity from which two faces are one person's: 0.945.

dlib compares its descriptors by Euclidean distance, at most 0.6 for one person. For two vectors as long as most are
(1.41, standard deviation 0.07, over 284 faces) a distance d is the cosine 1 - d² / (2 · 1.41²). At 0.6, cosine 0.909,
one in ten pairs of strangers of flickr8k passes, most of them children; at 0.468 one in 500."""

APART = 0.7
"""Of two faces in a reference photo, how tall the second may be, of the first, for the photo to be of the first."""

SMALLEST_PX = 24
"""Height of a face in the photo below which it says nothing of a person."""


class Faces:
    """Finds and describes faces. Call `load` first.

    `fetch` is given the cache folder, yields progress while it puts the weights there, and returns their folder.
    """

    id = "mtcnn-dlib-resnet-v1"
    dimension = 128
    threshold = THRESHOLD

    def __init__(self, cache: Path, fetch: Callable[[Path], Generator[Progress, None, Path]]) -> None:
        self._cache = cache
        self._fetch = fetch
        self._cascade: Cascade | None = None
        self._dlib: Any = None
        self._landmarks: Any = None
        self._network: Any = None
        self._mutex = threading.Lock()

    @property
    def loaded(self) -> bool:
        return self._network is not None

    def load(self) -> Iterator[Progress]:
        """Fetch what is not here and open it, yielding progress. Raises ModelError."""
        if self.loaded:
            return
        try:
            import dlib
        except ImportError as error:
            raise ModelError(
                f"People are recognised by their faces with dlib, which cannot be opened here ({error}). Install it "
                f"(`pip install {LIBRARY}`), or set PERSONAL_FACES=off."
            ) from error
        folder = yield from self._fetch(self._cache)
        yield Progress("Opening the face model")
        try:
            in_thread(lambda: self._open(dlib, folder))
        except (RuntimeError, OSError, ValueError, KeyError, pickle.UnpicklingError) as error:
            raise ModelError(
                f"The face model cannot be opened ({error}). Delete the folder {folder}; it is fetched again."
            ) from error
        yield Progress("Opened the face model", 1, 1)

    def _open(self, dlib: Any, folder: Path) -> None:
        self._dlib, self._cascade = dlib, Cascade(folder)
        self._landmarks = dlib.shape_predictor(str(folder / "shape_predictor_5_face_landmarks.dat"))
        self._network = dlib.face_recognition_model_v1(str(folder / "dlib_face_recognition_resnet_model_v1.dat"))

    def find(self, image: Image) -> Regions:
        """Find the faces of an RGB picture, likeliest first: boxes, and vectors (n, 128); there may be none."""
        if self._cascade is None:
            raise ModelError("Faces were asked for before what recognises them was opened. Start the app again.")
        with self._mutex:  # dlib's network holds what it computes
            return in_foreground(lambda: self._find(image))

    def _find(self, image: Image) -> Regions:
        assert self._cascade is not None
        found = self._cascade.find(image)
        pixels = np.asarray(image, np.uint8)
        boxes: list[Box] = []
        vectors = [np.zeros((0, self.dimension), np.float32)]
        for box, frame in zip(found.boxes, frames(found), strict=True):
            if box[3] - box[1] < SMALLEST_PX:
                continue
            corners = np.clip(box / [*image.size, *image.size], 0, 1)
            if (corners[2:] <= corners[:2]).any():
                continue
            boxes.append((float(corners[0]), float(corners[1]), float(corners[2]), float(corners[3])))
            shape = self._landmarks(pixels, self._dlib.rectangle(*(int(side) for side in frame)))
            vector = np.asarray(self._network.compute_face_descriptor(pixels, shape), np.float32)
            vectors.append(vector[None] / np.linalg.norm(vector))
        return Regions(tuple(boxes), np.concatenate(vectors))


def frames(found: Found) -> NDArray[np.float64]:
    """Return for each face the square (n, 4) in which dlib's landmarks expect it.

    dlib's own detector frames a face so: over 150 faces that both found, the squares' centres lie at the mean of the
    five points (median offset 2 % of the side), the sides are 0.96 of the box's (geometric mean; quartiles 7 % off).
    """
    centre = found.points.mean(axis=1)
    half = 0.96 / 2 * np.sqrt(np.maximum(found.boxes[:, 2:] - found.boxes[:, :2], 0).prod(axis=1, keepdims=True))
    return np.round(np.concatenate([centre - half, centre + half], axis=1)).astype(np.float64)


def subject(found: Regions) -> NDArray[np.float32] | None:
    """Return the vector (128,) of the face that a reference photo is of, or None where there is none or no telling.

    It is the only face, or one that is clearly taller than all others, so that no bystander is remembered.
    """
    heights = [box[3] - box[1] for box in found.boxes]
    if not heights:
        return None
    first, *others = sorted(range(len(heights)), key=lambda i: -heights[i])
    if others and heights[others[0]] > APART * heights[first]:
        return None
    vector: NDArray[np.float32] = found.vectors[first]
    return vector

"""Train what recognition adds to the frozen encoder: a projection, a cohort, and a box regressor.

No labels are needed: two augmented views of one part of a photo show the same subject, windows of a collection's photos
are nobody's concept, and the boxes of pasted parts are known. `personal.retrieve.head` reads the result. The test split
is not used.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from personal.concepts import Progress
from personal.errors import PersonalError
from personal.learn.boxes import WIDTH, DrawPhoto, Scene, fit, mean_iou, paste_scene
from personal.retrieve.encoder import FINE, SHORT_SIDE
from personal.retrieve.head import Head, unit
from personal.retrieve.regions import fractions, pool_box, pool_whole, windows

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from personal.data.photos import CaptionedPhoto, Photos

Array = NDArray[np.float32]
EncodeMap = Callable[["Image.Image", int], Array]
"""The encoder: an image and the pixels of its short side → its dense map (rows, columns, channels)."""

SIDE = 256
"""Pixels of a view's sides, about those of a photo's window."""
DIMENSION = 160
"""Dimension of the projected vectors."""
RIDGE = 30.0
"""Added to each direction's variance within subjects, in units of their mean."""
COHORT_WINDOWS = (0.75, 0.5)
"""Sides of the windows, beside the whole photo, from which the cohort is drawn."""
HELD_OUT, HELD_OUT_SCENES = 100, 60
"""Last photos of the training split, and scenes made of them, to measure the box regressor."""
REPORT_EVERY = 20


@dataclass(frozen=True, slots=True)
class Sizes:
    """Numbers of augmented pairs, cohort windows, pasted scenes, and steps of the box regressor."""

    pairs: int
    cohort: int
    scenes: int
    steps: int


def recognise(photos: Photos, cache_dir: Path, out: Path, seed: int, sizes: Sizes) -> Iterator[Progress]:
    """Train with the embedded encoder on the training split and write the weights (half an hour on two cores)."""
    from personal.learn.export import write_weights
    from personal.learn.train import hardware_name
    from personal.retrieve.encoder import Encoder
    from personal.tiny.assemble import assemble, encoder_dir
    from personal.tiny.deltas import RECOGNITION

    yield from assemble(cache_dir)
    encoder = Encoder(str(encoder_dir(cache_dir)))
    yield from encoder.load()
    head, facts = yield from train_head(photos, encoder.encode_map, seed, sizes)
    write_weights(out, RECOGNITION, to_tensors(head), {**facts, "machine": hardware_name()})
    yield Progress(
        f"Written: IoU of regressed boxes {facts['held_out_iou']:.2f}, {facts['held_out_iou_before']:.2f} before", 1, 1
    )


def train_head(
    photos: Photos, encode: EncodeMap, seed: int, sizes: Sizes
) -> Generator[Progress, None, tuple[Head, dict[str, Any]]]:
    """Train all parts, the same for the same seed; return them with the manifest's facts. Raises PersonalError."""
    train, held_out = photos.train_and_held_out(HELD_OUT)
    count = len(train) + len(held_out)
    if count < 5:
        raise PersonalError(f"{photos.folder} has {count} photos in its training split; at least 5 are needed.")
    draw, draw_held_out = _drawing(photos, train), _drawing(photos, held_out)
    of_pairs, of_cohort, of_scenes, of_held_out = np.random.default_rng(seed).spawn(4)

    first, second = yield from augmented_pairs(draw, encode, sizes.pairs, of_pairs)
    projection = fit_projection(first, second)
    cohort = yield from draw_cohort(draw, encode, projection, sizes.cohort, of_cohort)
    head = Head(projection, cohort)
    head = replace(head, cohort_mean=float(head.cohort_score(head.project(np.vstack([first, second]))).mean()))

    def narrow(dense: Array) -> Array:
        return np.asarray(np.maximum(dense, 0) @ projection[:, :WIDTH], np.float32)

    scenes = yield from encoded_scenes(draw, encode, sizes.scenes, of_scenes, narrow)
    for step, loss, layers, scale in fit(scenes, sizes.steps, seed):
        head = replace(head, layers=layers, scale=scale)
        yield Progress(f"Training the box regressor: loss {loss:.3f}", step, sizes.steps)
    unseen = yield from encoded_scenes(draw_held_out, encode, min(HELD_OUT_SCENES, sizes.scenes), of_held_out)
    before, after = mean_iou(head, unseen, seed)
    facts = {"photos": count, **asdict(sizes), "seed": seed}
    return head, {**facts, "held_out_iou_before": round(before, 4), "held_out_iou": round(after, 4)}


def _drawing(photos: Photos, of: list[CaptionedPhoto]) -> DrawPhoto:
    return lambda random: photos.open(of[int(random.integers(len(of)))].image)


def augmented_pairs(
    draw: DrawPhoto, encode: EncodeMap, count: int, random: np.random.Generator
) -> Generator[Progress, None, tuple[Array, Array]]:
    """Encode two augmented views of each of `count` parts of photos, on two other photos: twice (count, channels).

    Parts are squares of 0.4 to 0.9 of a photo's short side.
    """
    both: tuple[list[Array], list[Array]] = ([], [])
    for number in range(count):
        photo = draw(random)
        side = max(1, int(random.uniform(0.4, 0.9) * min(photo.size)))
        x, y = (int(random.integers(0, length - side + 1)) for length in photo.size)
        subject = photo.crop((x, y, x + side, y + side))
        for views in both:
            view = paste_on_background(augment(subject, random), draw(random), random)
            views.append(pool_whole(encode(view, SIDE)))
        if number % REPORT_EVERY == 0 or number + 1 == count:
            yield Progress("Encoding pairs of views", number + 1, count)
    return np.concatenate(both[0]), np.concatenate(both[1])


def augment(subject: Image.Image, random: np.random.Generator) -> Image.Image:
    """Flip, recolour, blur, rotate by up to 20° and crop a subject, each at random."""
    from PIL import Image, ImageEnhance, ImageFilter

    if random.random() < 0.5:
        subject = subject.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    for change, least, most in (
        (ImageEnhance.Brightness, 0.5, 1.5),
        (ImageEnhance.Color, 0.6, 1.4),
        (ImageEnhance.Contrast, 0.6, 1.4),
    ):
        if random.random() < 0.8:
            subject = change(subject).enhance(float(random.uniform(least, most)))
    if random.random() < 0.3:
        subject = subject.filter(ImageFilter.GaussianBlur(float(random.uniform(0.3, 1.5))))
    if random.random() < 0.4:
        subject = subject.rotate(float(random.uniform(-20, 20)), Image.Resampling.BICUBIC)
    part, aspect = random.uniform(0.75, 1), random.uniform(0.85, 1.15)
    width = max(1, min(subject.width, int(subject.width * part * aspect)))
    height = max(1, min(subject.height, int(subject.height * part / aspect)))
    x, y = (int(random.integers(0, room + 1)) for room in (subject.width - width, subject.height - height))
    return subject.crop((x, y, x + width, y + height))


def paste_on_background(subject: Image.Image, background: Image.Image, random: np.random.Generator) -> Image.Image:
    """Paste a subject somewhere on another photo, at 55 to 100 % of its side: a square of SIDE pixels."""
    from PIL import Image

    window = background.resize((SIDE, SIDE))
    scale = random.uniform(0.55, 1) * SIDE / max(subject.size)
    width, height = (min(SIDE, max(8, int(side * scale))) for side in subject.size)
    x, y = (int(random.integers(0, SIDE - side + 1)) for side in (width, height))
    window.paste(subject.resize((width, height), Image.Resampling.BICUBIC), (x, y))
    return window


def fit_projection(first: Array, second: Array, dimension: int = DIMENSION, ridge: float = RIDGE) -> Array:
    """Fit a projection that tells subjects apart: vectors (n, channels) of two views each → (channels, dimension).

    Within-class covariance normalisation (Hatch and Stolcke, ICASSP 2006) with a ridge, since pairs show only a part of
    how one subject varies; then the directions in which all vectors vary most, as in discriminant analysis.
    """
    within = (first - second).astype(np.float64) / np.sqrt(2)
    variances, directions = np.linalg.eigh(within.T @ within / len(within))
    whiten = directions / np.sqrt(np.maximum(variances, 0) + ridge * variances.mean())
    everything = np.concatenate([first, second]) @ whiten
    everything -= everything.mean(axis=0)
    _, leading = np.linalg.eigh(everything.T @ everything / len(everything))
    return np.asarray((whiten @ leading)[:, ::-1][:, :dimension], np.float32)


def draw_cohort(
    draw: DrawPhoto, encode: EncodeMap, projection: Array, count: int, random: np.random.Generator
) -> Generator[Progress, None, Array]:
    """Draw a window of each of `count` photos, projected: (count, dimension), unit length.

    The cohort of adaptive score normalisation (AS-norm, Matějka et al., Interspeech 2017).
    """
    found = []
    for number in range(count):
        dense = encode(draw(random), SIDE)
        rows, columns = dense.shape[:2]
        places = windows(columns, rows, COHORT_WINDOWS, step=1.0)
        box = fractions(places[int(random.integers(len(places)))], columns, rows)
        found.append(pool_box(dense, box))
        if number % REPORT_EVERY == 0 or number + 1 == count:
            yield Progress("Encoding the cohort", number + 1, count)
    return unit(np.concatenate(found) @ projection)


def encoded_scenes(
    draw: DrawPhoto,
    encode: EncodeMap,
    count: int,
    random: np.random.Generator,
    narrow: Callable[[Array], Array] = lambda dense: dense,
) -> Generator[Progress, None, list[Scene]]:
    """Encode `count` pasted scenes at the size of a first or a second pass, and `narrow` their maps."""
    scenes = []
    for number in range(count):
        image, boxes = paste_scene(draw, random)
        dense = narrow(encode(image, (SHORT_SIDE, FINE)[int(random.integers(2))]))
        scenes.append((dense.astype(np.float16), boxes))
        if number % REPORT_EVERY == 0 or number + 1 == count:
            yield Progress("Encoding pasted scenes", number + 1, count)
    return scenes


def to_tensors(head: Head) -> dict[str, torch.Tensor]:
    """Return a head's arrays as `personal.retrieve.head.read` expects them, in half precision but for two numbers."""
    import torch

    arrays = {"projection": head.projection, "strangers": head.cohort}
    for number, (weight, bias) in enumerate(head.layers):
        arrays |= {f"boxes.{number}.weight": weight, f"boxes.{number}.bias": bias}
    half = {name: torch.from_numpy(np.ascontiguousarray(array, np.float16)) for name, array in arrays.items()}
    return {**half, "usual": torch.tensor([head.cohort_mean]), "scale": torch.tensor([head.scale])}

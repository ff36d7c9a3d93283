"""Learn what the frozen encoder lacks for recognition: a projection, strangers to compare with, and closer boxes.

Nobody labels anything: two altered looks at one part of a photo, each on another photo, are the same subject; photos of
a collection are strangers to everybody; what is pasted lies where it was pasted. `personal.retrieve.head` reads what
comes out. The test split is left alone.
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
from personal.learn.boxes import WIDTH, Draw, Scene, examine, fit, scene
from personal.retrieve.encoder import FINE, SHORT_SIDE
from personal.retrieve.head import Head
from personal.retrieve.regions import fractions, pool_box, pool_whole, windows

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from personal.learn.photos import Photos

Array = NDArray[np.float32]
See = Callable[["Image.Image", int], Array]
"""The encoder: a picture and the pixels along its short side → its dense map (rows, columns, channels)."""

SIDE = 256
"""Pixels along the sides of a look: about what a window of a photo has."""
DIMENSION, RIDGE = 160, 30.0
"""Directions kept, and what is added to the variance of each within a subject, in units of its mean."""
STRANGE = (0.75, 0.5)
"""Sides of the windows, beside the whole, of which a stranger is one."""
HELD_OUT, HELD_OUT_SCENES = 100, 60
"""The last photos of the training split, of which only these scenes are made, to see how well boxes are drawn."""
SAY_EVERY = 20


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is learnt from: pairs of looks, strangers, pasted scenes, and steps of the box regressor."""

    pairs: int
    strangers: int
    scenes: int
    steps: int


def recognise(photos: Photos, cache_dir: Path, out: Path, seed: int, sizes: Sizes) -> Iterator[Progress]:
    """Learn from the training split with the embedded encoder and ship what comes out (half an hour on two cores)."""
    from personal.learn.export import ship
    from personal.learn.train import machine
    from personal.retrieve.encoder import Encoder
    from personal.tiny.assemble import assemble, encoder_dir
    from personal.tiny.deltas import RECOGNITION

    yield from assemble(cache_dir)
    encoder = Encoder(str(encoder_dir(cache_dir)))
    yield from encoder.load()
    head, facts = yield from learn(photos, encoder._map, seed, sizes)
    ship(out, RECOGNITION, named(head), {**facts, "machine": machine()})
    yield Progress(
        f"Written: boxes overlap what they are to hold by {facts['held_out_iou']:.2f}, "
        f"{facts['held_out_iou_before']:.2f} before",
        1,
        1,
    )


def learn(photos: Photos, see: See, seed: int, sizes: Sizes) -> Generator[Progress, None, tuple[Head, dict[str, Any]]]:
    """Learn all parts, the same for the same seed; return them with what the manifest tells. Raises PersonalError."""
    names = [row.image for row in photos.split("train")]
    if len(names) < 5:
        raise PersonalError(f"{photos.folder} has {len(names)} photos in its training split; at least 5 are needed.")
    known = len(names) - min(HELD_OUT, len(names) // 5)
    some, held = (_drawing(photos, part) for part in (names[:known], names[known:]))
    looks, others, scenes, kept = np.random.default_rng(seed).spawn(4)

    first, second = yield from pairs(some, see, sizes.pairs, looks)
    projected = projection(first, second)
    found = yield from strangers(some, see, projected, sizes.strangers, others)
    head = Head(projected, found)
    head = replace(head, usual=float(head.common(head.project(np.vstack([first, second]))).mean()))

    def narrow(dense: Array) -> Array:
        return np.asarray(np.maximum(dense, 0) @ projected[:, :WIDTH], np.float32)

    pasted = yield from seen(some, see, sizes.scenes, scenes, narrow)
    for step, loss, layers, scale in fit(pasted, sizes.steps, seed):
        head = replace(head, layers=layers, scale=scale)
        yield Progress(f"Learning to draw boxes closer: loss {loss:.3f}", step, sizes.steps)
    unknown = yield from seen(held, see, min(HELD_OUT_SCENES, sizes.scenes), kept, lambda dense: dense)
    before, after = examine(head, unknown, seed)
    facts = {"photos": len(names), **asdict(sizes), "seed": seed}
    return head, {**facts, "held_out_iou_before": round(before, 4), "held_out_iou": round(after, 4)}


def _drawing(photos: Photos, names: list[str]) -> Draw:
    return lambda random: photos.open(names[int(random.integers(len(names)))])


def pairs(
    draw: Draw, see: See, count: int, random: np.random.Generator
) -> Generator[Progress, None, tuple[Array, Array]]:
    """Look twice at each of `count` parts of photos, altered, before two other photos: twice (count, channels).

    Parts are squares of 0.4 to 0.9 of a photo's short side.
    """
    both: tuple[list[Array], list[Array]] = ([], [])
    for number in range(count):
        photo = draw(random)
        side = max(1, int(random.uniform(0.4, 0.9) * min(photo.size)))
        x, y = (int(random.integers(0, length - side + 1)) for length in photo.size)
        subject = photo.crop((x, y, x + side, y + side))
        for looks in both:
            looks.append(pool_whole(see(placed(altered(subject, random), draw(random), random), SIDE)))
        if number % SAY_EVERY == 0 or number + 1 == count:
            yield Progress("Looking twice at parts of photos", number + 1, count)
    return np.concatenate(both[0]), np.concatenate(both[1])


def altered(subject: Image.Image, random: np.random.Generator) -> Image.Image:
    """Show a subject in another light: flipped, darker or brighter, blurred, turned by up to 20°, cut at its sides."""
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


def placed(subject: Image.Image, behind: Image.Image, random: np.random.Generator) -> Image.Image:
    """Put a subject somewhere on another photo, 55 to 100 % of its side: a square of SIDE pixels."""
    from PIL import Image

    window = behind.resize((SIDE, SIDE))
    scale = random.uniform(0.55, 1) * SIDE / max(subject.size)
    width, height = (min(SIDE, max(8, int(side * scale))) for side in subject.size)
    x, y = (int(random.integers(0, SIDE - side + 1)) for side in (width, height))
    window.paste(subject.resize((width, height), Image.Resampling.BICUBIC), (x, y))
    return window


def projection(first: Array, second: Array, dimension: int = DIMENSION, ridge: float = RIDGE) -> Array:
    """Find what tells subjects apart: vectors (n, channels) of two looks each → (channels, dimension).

    Within-class covariance normalisation (Hatch and Stolcke, ICASSP 2006) with a ridge, since what pairs show of how
    one subject varies is little; then the directions in which all vectors vary most, as in discriminant analysis.
    """
    apart = (first - second).astype(np.float64) / np.sqrt(2)
    variances, directions = np.linalg.eigh(apart.T @ apart / len(apart))
    whiten = directions / np.sqrt(np.maximum(variances, 0) + ridge * variances.mean())
    everything = np.concatenate([first, second]) @ whiten
    everything -= everything.mean(axis=0)
    _, leading = np.linalg.eigh(everything.T @ everything / len(everything))
    return np.asarray((whiten @ leading)[:, ::-1][:, :dimension], np.float32)


def strangers(
    draw: Draw, see: See, projected: Array, count: int, random: np.random.Generator
) -> Generator[Progress, None, Array]:
    """Draw a window of each of `count` photos, projected: (count, dimension), unit length.

    They are the cohort of adaptive score normalisation (Matějka et al., Interspeech 2017): what resembles many of them
    resembles everything.
    """
    found = []
    for number in range(count):
        dense = see(draw(random), SIDE)
        rows, columns = dense.shape[:2]
        places = windows(columns, rows, STRANGE, step=1.0)
        box = fractions(places[int(random.integers(len(places)))], columns, rows)
        found.append(pool_box(dense, box))
        if number % SAY_EVERY == 0 or number + 1 == count:
            yield Progress("Looking at strangers", number + 1, count)
    return Head(projected, np.zeros((0, projected.shape[1]), np.float32)).project(np.concatenate(found))


def seen(
    draw: Draw, see: See, count: int, random: np.random.Generator, kept: Callable[[Array], Array]
) -> Generator[Progress, None, list[Scene]]:
    """Look at `count` pasted scenes as at a first or a second look, and keep what `kept` makes of their maps."""
    scenes = []
    for number in range(count):
        picture, boxes = scene(draw, random)
        dense = kept(see(picture, (SHORT_SIDE, FINE)[int(random.integers(2))]))
        scenes.append((dense.astype(np.float16), boxes))
        if number % SAY_EVERY == 0 or number + 1 == count:
            yield Progress("Looking at pasted scenes", number + 1, count)
    return scenes


def named(head: Head) -> dict[str, torch.Tensor]:
    """Name what was learnt as `personal.retrieve.head.read` expects it, in half precision but for two numbers."""
    import torch

    arrays = {"projection": head.projection, "strangers": head.strangers}
    for number, (weight, bias) in enumerate(head.layers):
        arrays |= {f"boxes.{number}.weight": weight, f"boxes.{number}.bias": bias}
    half = {name: torch.from_numpy(np.ascontiguousarray(array, np.float16)) for name, array in arrays.items()}
    return {**half, "usual": torch.tensor([head.usual]), "scale": torch.tensor([head.scale])}

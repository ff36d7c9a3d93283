"""Cache what the frozen vision tower sees: each picture's feature map once, in one memory-mapped file.

A picture is an image file of the captions folder and a box in it. The cache belongs to one checkpoint and grows by the
pictures that it lacks; an interrupted pass goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personal.concepts import WHOLE, Box, Progress

if TYPE_CHECKING:
    import numpy as np
    import torch
    from PIL import Image

    from personal.learn.photos import Photos

BATCH = 32
HALF = 224
SAVE_EVERY = 16
"""Batches between two notes of how far a pass has come."""
CROP = "crop/"
THINGS = "things/"
"""Before a photo's name, an avatar's path in RAP's `extra`: the part that `avatar_box` gives; of a thing in it too."""
MOSAIC = "mosaic/"
"""Before the names of two photos joined by `+`: the one left of the other."""
Picture = tuple[str, Box]
"""An image's file name (or a mosaic's) and the part of it that is shown."""


def avatar_box(image: str) -> Box:
    """Draw the part of a photo that stands for its subject elsewhere: 55 to 85 % of each side, always the same."""
    digest = hashlib.sha256(image.encode()).digest()
    side = 0.55 + 0.3 * digest[0] / 255
    x, y = ((1 - side) * d / 255 for d in digest[1:3])
    return (round(x, 4), round(y, 4), round(x + side, 4), round(y + side, 4))


def picture(path: str) -> Picture:
    """Tell which picture a row's path means: a photo, or the part of one that `crop/` is put before."""
    if not path.startswith(CROP):
        return path, WHOLE
    image = path.removeprefix(CROP).removeprefix(THINGS)
    return image, avatar_box(image)


def cut(image: Image.Image, box: Box) -> Image.Image:
    """Return the part of an image inside `box`."""
    if box == WHOLE:
        return image
    width, height = image.size
    x0, y0, x1, y1 = box
    return image.crop((round(x0 * width), round(y0 * height), round(x1 * width), round(y1 * height)))


def shown(photos: Photos, picture: Picture) -> Image.Image:
    """Return what a picture shows: a photo, a part of one, or two squashed side by side."""
    from PIL import Image

    image, box = picture
    if not image.startswith(MOSAIC):
        return cut(photos.open(image), box)
    mosaic = Image.new("RGB", (2 * HALF, HALF))
    for number, name in enumerate(image.removeprefix(MOSAIC).split("+")):
        mosaic.paste(photos.open(name).resize((HALF, HALF)), (number * HALF, 0))
    return mosaic


class Features:
    """Feature maps of pictures, float16, (pictures, tokens, channels): one growing file for each checkpoint."""

    def __init__(self, folder: Path, pictures: Sequence[Picture], checkpoint: Path) -> None:
        weights = [[f.name, f.stat().st_size, f.stat().st_mtime_ns] for f in sorted(checkpoint.glob("*.safetensors"))]
        key = hashlib.sha256(json.dumps([str(checkpoint), weights]).encode()).hexdigest()[:16]
        self._checkpoint = checkpoint
        self._wanted = list(dict.fromkeys(pictures))
        self._file, self._index = folder / f"features-{key}.bin", folder / f"features-{key}.json"
        self._shape, self._row = self._known()
        self._maps: np.ndarray[Any, Any] | None = None

    def _known(self) -> tuple[tuple[int, ...], dict[Picture, int]]:
        if not self._index.is_file():
            return (0, 0), {}
        noted = json.loads(self._index.read_text(encoding="utf-8"))
        return tuple(noted["shape"]), {(image, tuple(box)): row for row, (image, box) in enumerate(noted["pictures"])}

    def __getitem__(self, picture: Picture) -> np.ndarray[Any, Any]:
        """Return a picture's map, (tokens, channels)."""
        import numpy as np

        if self._maps is None:
            self._maps = np.memmap(self._file, np.float16, "r", shape=(len(self._row), *self._shape))
        return np.asarray(self._maps[self._row[picture]])

    def statistics(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and standard deviation of every channel, over some hundred maps."""
        import numpy as np
        import torch

        every = max(1, len(self._wanted) // 500)
        sample = np.stack([self[picture] for picture in self._wanted[::every]]).astype(np.float32)
        sample = sample.reshape(-1, sample.shape[-1])
        return torch.from_numpy(sample.mean(0)), torch.from_numpy(sample.std(0) + 1e-3)

    def fill(self, photos: Photos) -> Iterator[Progress]:
        """Run the vision tower over every picture not yet done, in bfloat16 as the app does, yielding progress."""
        missing = [picture for picture in self._wanted if picture not in self._row]
        if not missing:
            return
        look = _tower(self._checkpoint)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.touch()
        done = len(self._wanted) - len(missing)
        with self._file.open("r+b") as file:
            file.truncate(len(self._row) * 2 * self._shape[0] * self._shape[1])  # what was written and not noted
            file.seek(0, os.SEEK_END)
            for start in range(0, len(missing), BATCH):
                batch = missing[start : start + BATCH]
                seen = look([shown(photos, picture) for picture in batch])
                file.write(seen.tobytes())
                self._shape = seen.shape[1:]
                self._row |= {picture: len(self._row) + number for number, picture in enumerate(batch)}
                if start // BATCH % SAVE_EVERY == SAVE_EVERY - 1 or start + BATCH >= len(missing):
                    file.flush()
                    self._note()
                yield Progress("Looking at the photos", done + start + len(batch), len(self._wanted))

    def _note(self) -> None:
        partial = self._index.with_suffix(".partial")
        noted = {"shape": self._shape, "pictures": list(self._row)}
        partial.write_text(json.dumps(noted, ensure_ascii=False), encoding="utf-8")
        os.replace(partial, self._index)


def _tower(checkpoint: Path) -> Callable[[list[Image.Image]], np.ndarray[Any, Any]]:
    """Open a checkpoint's vision tower: images → maps, float16, (images, tokens, channels)."""
    import numpy as np
    import torch
    from transformers import AutoImageProcessor, AutoModelForImageTextToText

    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = AutoModelForImageTextToText.from_pretrained(checkpoint, dtype=torch.bfloat16).to(device).eval()
    model.to(memory_format=torch.channels_last)
    processor = AutoImageProcessor.from_pretrained(checkpoint)
    kept: list[Any] = []
    model.model.multi_modal_projector.register_forward_pre_hook(lambda _, given: kept.append(given[0]))

    def look(images: list[Image.Image]) -> np.ndarray[Any, Any]:
        pixels = processor(images, return_tensors="pt")["pixel_values"].to(device, torch.bfloat16)
        with torch.inference_mode():
            model.model.get_image_features(pixels.contiguous(memory_format=torch.channels_last))
        return np.ascontiguousarray(kept.pop().to(torch.float16).cpu().numpy())

    return look

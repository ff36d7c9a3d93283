"""Cache what the frozen vision tower sees: each picture's feature map once, in one memory-mapped file.

A picture is an image file of the captions folder and a box in it. The cache belongs to one checkpoint and one list of
pictures; an interrupted pass goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
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
    """The feature maps of a list of pictures: float16, (pictures, tokens, channels), on disk."""

    def __init__(self, folder: Path, pictures: Sequence[Picture], checkpoint: Path) -> None:
        order = list(dict.fromkeys(pictures))
        key = hashlib.sha256(json.dumps([str(checkpoint), order]).encode()).hexdigest()[:16]
        self._checkpoint = checkpoint
        self._order = order
        self._row = {picture: row for row, picture in enumerate(order)}
        self._file = folder / f"features-{key}.npy"
        self._count = folder / f"features-{key}.json"
        self._maps: np.ndarray[Any, Any] | None = None

    def __getitem__(self, picture: Picture) -> np.ndarray[Any, Any]:
        """Return a picture's map, (tokens, channels)."""
        import numpy as np

        if self._maps is None:
            self._maps = np.load(self._file, mmap_mode="r")
        return np.asarray(self._maps[self._row[picture]])

    def statistics(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and standard deviation of every channel, over some hundred maps."""
        import numpy as np
        import torch

        every = max(1, len(self._order) // 500)
        sample = np.stack([self[picture] for picture in self._order[::every]]).astype(np.float32)
        sample = sample.reshape(-1, sample.shape[-1])
        return torch.from_numpy(sample.mean(0)), torch.from_numpy(sample.std(0) + 1e-3)

    def fill(self, photos: Photos, *, compiled: bool = False) -> Iterator[Progress]:
        """Run the vision tower over every picture not yet done, yielding progress.

        In bfloat16, as the app runs it; `compiled` by torch.compile, which needs a C++ compiler and is twice as fast.
        """
        import numpy as np
        import torch
        from transformers import AutoImageProcessor, AutoModelForImageTextToText

        done = json.loads(self._count.read_text())["done"] if self._count.is_file() else 0
        if done == len(self._order):
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        device = "cuda" if torch.cuda.is_available() else "cpu"
        model = AutoModelForImageTextToText.from_pretrained(self._checkpoint, dtype=torch.bfloat16).to(device).eval()
        model.to(memory_format=torch.channels_last)
        if compiled:
            model.model.vision_tower.forward = torch.compile(model.model.vision_tower.forward)
        processor = AutoImageProcessor.from_pretrained(self._checkpoint)
        kept: list[Any] = []
        model.model.multi_modal_projector.register_forward_pre_hook(lambda _, given: kept.append(given[0]))
        maps: Any = np.load(self._file, mmap_mode="r+") if done else None
        for start in range(done, len(self._order), BATCH):
            batch = self._order[start : start + BATCH]
            pixels = processor([shown(photos, each) for each in batch], return_tensors="pt")["pixel_values"].to(
                device, torch.bfloat16
            )
            pixels = pixels.contiguous(memory_format=torch.channels_last)
            with torch.inference_mode():
                model.model.get_image_features(pixels)
            seen = kept.pop().to(torch.float16).cpu().numpy()
            if maps is None:
                shape = (len(self._order), *seen.shape[1:])
                maps = np.lib.format.open_memmap(self._file, mode="w+", dtype=np.float16, shape=shape)
            maps[start : start + len(batch)] = seen
            if start // BATCH % SAVE_EVERY == SAVE_EVERY - 1 or start + BATCH >= len(self._order):
                maps.flush()
                self._count.write_text(json.dumps({"done": start + len(batch)}))
            yield Progress("Looking at the photos", start + len(batch), len(self._order))

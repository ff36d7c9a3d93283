"""Cache the feature maps of a frozen vision tower: each picture's once, in one memory-mapped file a checkpoint.

The cache grows by the pictures that it lacks; an interrupted pass continues where it stopped.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personal.concepts import Progress
from personal.data.pictures import Picture, open_picture

if TYPE_CHECKING:
    import numpy as np
    import torch
    from PIL import Image

    from personal.data.photos import Photos

BATCH = 32
"""Pictures in a forward pass."""
SAVE_EVERY = 16
"""Batches between two writes of the index."""


class FeatureCache:
    """Feature maps of pictures, float16, (pictures, tokens, channels)."""

    def __init__(self, folder: Path, pictures: Sequence[Picture], checkpoint: Path) -> None:
        weights = [[f.name, f.stat().st_size, f.stat().st_mtime_ns] for f in sorted(checkpoint.glob("*.safetensors"))]
        key = hashlib.sha256(json.dumps([str(checkpoint), weights]).encode()).hexdigest()[:16]
        self._checkpoint = checkpoint
        self._wanted = list(dict.fromkeys(pictures))
        self._file, self._index = folder / f"features-{key}.bin", folder / f"features-{key}.json"
        self._shape, self._row = self._read_index()
        self._maps: np.ndarray[Any, Any] | None = None

    def _read_index(self) -> tuple[tuple[int, ...], dict[Picture, int]]:
        if not self._index.is_file():
            return (0, 0), {}
        index = json.loads(self._index.read_text(encoding="utf-8"))
        return tuple(index["shape"]), {(image, tuple(box)): row for row, (image, box) in enumerate(index["pictures"])}

    def __getitem__(self, picture: Picture) -> np.ndarray[Any, Any]:
        """Return a picture's map, (tokens, channels)."""
        import numpy as np

        if self._maps is None:
            self._maps = np.memmap(self._file, np.float16, "r", shape=(len(self._row), *self._shape))
        return np.asarray(self._maps[self._row[picture]])

    def pooled(self, picture: Picture) -> np.ndarray[Any, Any]:
        """Return the average of a picture's map, float32, (channels,)."""
        import numpy as np

        return np.asarray(self[picture].astype(np.float32).mean(0))

    def statistics(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean and standard deviation of every channel, over some hundred maps."""
        import numpy as np
        import torch

        every = max(1, len(self._wanted) // 500)
        sample = np.stack([self[picture] for picture in self._wanted[::every]]).astype(np.float32)
        sample = sample.reshape(-1, sample.shape[-1])
        return torch.from_numpy(sample.mean(0)), torch.from_numpy(sample.std(0) + 1e-3)

    def fill(self, photos: Photos) -> Iterator[Progress]:
        """Compute the missing maps in bfloat16, as the app does, yielding progress."""
        missing = [picture for picture in self._wanted if picture not in self._row]
        if not missing:
            return
        encode = vision_tower(self._checkpoint)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.touch()
        done = len(self._wanted) - len(missing)
        with self._file.open("r+b") as file:
            file.truncate(len(self._row) * 2 * self._shape[0] * self._shape[1])  # what the index does not know
            file.seek(0, os.SEEK_END)
            for start in range(0, len(missing), BATCH):
                batch = missing[start : start + BATCH]
                maps = encode([open_picture(photos, picture) for picture in batch])
                file.write(maps.tobytes())
                self._shape = maps.shape[1:]
                self._row |= {picture: len(self._row) + number for number, picture in enumerate(batch)}
                if start // BATCH % SAVE_EVERY == SAVE_EVERY - 1 or start + BATCH >= len(missing):
                    file.flush()
                    self._write_index()
                yield Progress("Looking at the photos", done + start + len(batch), len(self._wanted))

    def _write_index(self) -> None:
        partial = self._index.with_suffix(".partial")
        index = {"shape": self._shape, "pictures": list(self._row)}
        partial.write_text(json.dumps(index, ensure_ascii=False), encoding="utf-8")
        os.replace(partial, self._index)


def vision_tower(checkpoint: Path) -> Callable[[list[Image.Image]], np.ndarray[Any, Any]]:
    """Load a checkpoint's vision tower: images → maps, float16, (images, tokens, channels)."""
    import numpy as np
    import torch
    from transformers import AutoImageProcessor, AutoModelForImageTextToText

    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = AutoModelForImageTextToText.from_pretrained(checkpoint, dtype=torch.bfloat16).to(device).eval()
    model.to(memory_format=torch.channels_last)
    processor = AutoImageProcessor.from_pretrained(checkpoint)
    captured: list[Any] = []
    model.model.multi_modal_projector.register_forward_pre_hook(lambda _, given: captured.append(given[0]))

    def encode(images: list[Image.Image]) -> np.ndarray[Any, Any]:
        pixels = processor(images, return_tensors="pt")["pixel_values"].to(device, torch.bfloat16)
        with torch.inference_mode():
            model.model.get_image_features(pixels.contiguous(memory_format=torch.channels_last))
        return np.ascontiguousarray(captured.pop().to(torch.float16).cpu().numpy())

    return encode

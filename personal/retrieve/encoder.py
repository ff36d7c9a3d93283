"""The image encoder: any open_clip model, opened late and only here.

Where the image tower is a convolutional timm trunk, instance vectors are its last feature map under generalised-mean
pooling (Radenović et al., TPAMI 2019, section 3.2), and any window of the photo is pooled from the same map. Other
towers give open_clip's image embedding, one crop at a time. What was learnt on top of one (`personal.retrieve.head`)
projects its vectors. The text tower is left alone. Knows nothing of concepts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personal.concepts import Progress
from personal.errors import ModelError
from personal.retrieve.batch_norm import fold_batch_norms
from personal.retrieve.calibrate import Calibration
from personal.retrieve.head import FILE, Head, read, unit
from personal.retrieve.regions import centre, cut, pool_box, pool_whole
from personal.threads import in_foreground, in_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

SHORT_SIDE, FINE, TINY = 512, 768, 192
"""Pixels along the short side of a photo on its way through a convolutional trunk: at a first look, at a second, and of
a reference as it looks far away."""
SOFT = 0.05
"""Where halving a photo changes it by less, in units of its contrast, nothing in it is sharp, and it is seen so much
smaller as TINY is than SHORT_SIDE: the trunk knows few blurred things, but what is blurred is sharp far away."""
LABEL_SIDE = 224
"""Pixels of the sides of a photo whose labels are asked for: those of the built-in language model's photos."""
LONGEST = 2
"""How many times as long as the short side the long one may be."""

THRESHOLDS = {"tf_efficientnet_lite2": 0.77}
"""Similarity from which a concept is claimed, per trunk: fitted on data, see docs/experiments.md."""
CALIBRATIONS = {"tf_efficientnet_lite2": Calibration(19.19, 17.73, -0.71, -17.97)}
"""From a match to its probability ("Open-set recognition"); other models learn it from the library."""
TEXT_THRESHOLDS = {"tf_efficientnet_lite2": (0.3, 0.48)}
"""Cosine from which a photo may be what a text says, and that one photo at least must reach for anything to be found by
text alone, per trunk: fitted on data, see docs/experiments.md ("Searching photos in words")."""
UNFITTED_TEXT_THRESHOLDS = (-1.0, -1.0)
"""The same for every other model: all photos are in the order of their similarity."""
UNFITTED_THRESHOLD = 0.8
"""The same for every other model: a cautious start, to be set by PERSONAL_THRESHOLD or in the app."""

CROPS_AT_ONCE = 16
SENTENCES_AT_ONCE = 64


class Encoder:
    """An open_clip image tower. Call `load` first; `id`, `dimension`, `threshold` and `calibration` are known after it.

    `source` is a local open_clip folder, `hf-hub:owner/name`, or `architecture/pretrained`.
    """

    def __init__(self, source: str, *, device: str = "auto") -> None:
        self.source = source
        self.device = device
        self.id = ""
        self.dimension = 0
        self.threshold = UNFITTED_THRESHOLD
        self.text_thresholds = UNFITTED_TEXT_THRESHOLDS
        self.calibration: Calibration | None = None
        self._head: Head | None = None
        self.model: Any = None
        self._preprocess: Callable[[Image], Any] | None = None
        self._cell = 0
        self._tokenizer: Any = None

    @property
    def maps(self) -> bool:
        """Return whether `dense` gives a map, so that windows cost nothing more than the whole photo."""
        return self._cell > 0

    def load(self) -> Iterator[Progress]:
        """Open the model, yielding progress. Raises ModelError naming the source and the forms it may have."""
        if self.model is not None:
            return
        yield Progress(f"Opening the image encoder {self.source}")
        in_thread(self._open)
        yield Progress(f"Opened the image encoder {self.source}", 1, 1)

    def _open(self) -> None:
        import torch

        name, pretrained = address(self.source)
        try:
            import open_clip
            from timm.models.efficientnet import EfficientNet

            model, self._preprocess = open_clip.create_model_from_pretrained(name, pretrained, device="cpu")
        except (RuntimeError, ValueError, OSError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(
                f"The image encoder {self.source} cannot be opened: {str(error)[:300]}. PERSONAL_ENCODER takes a "
                "folder with open_clip_config.json and its weights, hf-hub:OWNER/NAME, or ARCHITECTURE/PRETRAINED."
            ) from error
        if self.device == "auto":
            self.device = "cuda" if torch.cuda.is_available() else "cpu"
        if isinstance(getattr(model.visual, "trunk", None), EfficientNet):
            fold_batch_norms(model.visual.trunk)
        self.model = model.eval().to(self.device, memory_format=torch.channels_last)
        self._probe()
        trunk = _trunk(self.source)
        self.threshold = THRESHOLDS.get(trunk, UNFITTED_THRESHOLD)
        self.text_thresholds = TEXT_THRESHOLDS.get(trunk, UNFITTED_TEXT_THRESHOLDS)
        self.calibration = CALIBRATIONS.get(trunk)
        self._head = read(Path(self.source)) if self.maps else None
        if self._head:
            self.dimension = self._head.dimension
        self.id = _identity(self.source)

    def embed(self, images: Sequence[Image]) -> NDArray[np.float32]:
        """Embed whole pictures: RGB images → (n, dimension), unit length."""
        import numpy as np

        if not images:
            return np.zeros((0, self.dimension), np.float32)
        if self.maps:
            return in_foreground(
                lambda: self.project(np.concatenate([pool_whole(self._seen(image)) for image in images]))
            )
        return in_foreground(lambda: self._embed_batch(images))

    def embed_reference(self, image: Image) -> NDArray[np.float32]:
        """Embed a reference: the whole, its centre crop and, from a map, the whole as if far away: (n, dimension)."""
        import numpy as np

        centre_crop = centre(*image.size)
        if not self.maps:
            return self.embed([image, cut(image, centre_crop)])

        def pooled() -> NDArray[np.float32]:
            near, far = self._seen(image), self.encode_map(image, TINY)
            return self.project(np.concatenate([pool_whole(near), pool_box(near, centre_crop), pool_whole(far)]))

        return in_foreground(pooled, learning=True)

    def dense(self, image: Image, *, fine: bool = False) -> NDArray[np.float32] | None:
        """Return the trunk's last map (rows, columns, channels), float32, or None where the tower has none.

        The photo's short side is brought to SHORT_SIDE pixels before, where it is to be `fine` to FINE.
        """
        return in_foreground(lambda: self._seen(image, FINE if fine else SHORT_SIDE)) if self.maps else None

    def describe(self, image: Image) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Return a picture's vector in the space that it shares with texts, (n,), and its mean map, (channels,).

        The vector has unit length. The map is of the picture at LABEL_SIDE, which classifiers of labels are trained at
        (`personal.labels`); None where the tower has none.
        """
        return in_foreground(lambda: self._describe(image))

    def _describe(self, image: Image) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        import torch

        assert self._preprocess is not None
        batch = self._preprocess(image)[None].to(self.device)
        with torch.inference_mode():
            if not self.maps:
                return _numbers(self.model.encode_image(batch, normalize=True)), None
            trunk, small = self.model.visual.trunk, torch.nn.functional.interpolate
            pooled = trunk.forward_features(batch).mean((2, 3))
            vector = torch.nn.functional.normalize(self.model.visual.head(pooled), dim=-1)
            reduced = small(batch, (LABEL_SIDE, LABEL_SIDE), mode="bicubic", antialias=True)
            return _numbers(vector), _numbers(trunk.forward_features(reduced).mean((2, 3)))

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts in the space that they share with pictures: (n, dimension), unit length."""
        return in_thread(lambda: self._embed_texts(list(texts)))

    def _embed_texts(self, texts: list[str]) -> NDArray[np.float32]:
        import numpy as np
        import torch

        with torch.inference_mode():
            vectors = self.model.encode_text(self._tokens(texts), normalize=True)
        return np.asarray(vectors.float().cpu().numpy(), np.float32)

    def _tokens(self, texts: list[str]) -> Any:
        import open_clip

        if self._tokenizer is None:
            self._tokenizer = open_clip.get_tokenizer(address(self.source)[0])
        return self._tokenizer(texts).to(self.device)

    @property
    def reads_sentences(self) -> bool:
        """Return whether the text tower is a sentence encoder: a transformers model with mean pooling."""
        return type(getattr(getattr(self.model, "text", None), "pooler", None)).__name__ == "MeanPooler"

    def sentences(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts with the sentence encoder, before its projection: (n, dimension), unit length."""
        return in_thread(lambda: self._embed_sentences(list(texts)))

    def _embed_sentences(self, texts: list[str]) -> NDArray[np.float32]:
        import numpy as np
        import torch

        text, padding = self.model.text, self.model.text.config.pad_token_id
        parts = []
        for start in range(0, len(texts), SENTENCES_AT_ONCE):
            ids = self._tokens(texts[start : start + SENTENCES_AT_ONCE])
            mask = (ids != padding).long()
            longest = int(mask.sum(dim=1).max())
            ids, mask = ids[:, :longest], mask[:, :longest]
            with torch.inference_mode():
                pooled = text.pooler(text.transformer(input_ids=ids, attention_mask=mask), mask)
            parts.append(torch.nn.functional.normalize(pooled.float(), dim=-1).cpu().numpy())
        return np.concatenate(parts)

    def project(self, pooled: NDArray[np.float32]) -> NDArray[np.float32]:
        """Turn what was pooled from a map (n, channels) into vectors (n, dimension), unit length."""
        return self._head.project(pooled) if self._head else unit(pooled)

    def cohort_score(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the cohort score of vectors (n, dimension): (n,), about 0; 0 without a recognition head."""
        import numpy as np

        return self._head.cohort_score(vectors) if self._head else np.zeros(len(vectors), np.float32)

    def regress_boxes(self, dense: NDArray[np.float32], boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Draw boxes (n, 4; left, top, right, bottom in 0..1) closer around what they hold, where that was learnt.

        `dense` is the map of their photo, (rows, columns, channels), float32.
        """
        return self._head.regress_boxes(dense, boxes) if self._head else boxes

    def _seen(self, image: Image, short: int = SHORT_SIDE) -> NDArray[np.float32]:
        """Run the trunk over a photo, smaller where nothing in it is sharp."""
        return self.encode_map(image, round(short * TINY / SHORT_SIDE) if _soft(image) else short)

    def encode_map(self, image: Image, short: int) -> NDArray[np.float32]:
        """Run the trunk over a picture: aspect kept as far as LONGEST allows, sides multiples of the trunk's step."""
        import numpy as np
        import torch
        from PIL import Image as pillow

        width, height = (max(1, round(side / self._cell)) * self._cell for side in _size(image, short))
        pixels = np.array(image.resize((width, height), pillow.Resampling.BICUBIC), dtype=np.float32) / 255
        visual = self.model.visual
        pixels = (pixels - np.float32(visual.image_mean)) / np.float32(visual.image_std)
        with torch.inference_mode():
            batch = torch.from_numpy(pixels).permute(2, 0, 1)[None].to(self.device)
            features = visual.trunk.forward_features(batch)[0].permute(1, 2, 0)
        return np.asarray(features.float().cpu().numpy(), dtype=np.float32)

    def _embed_batch(self, images: Sequence[Image]) -> NDArray[np.float32]:
        import numpy as np
        import torch

        assert self._preprocess is not None
        parts = []
        for start in range(0, len(images), CROPS_AT_ONCE):
            batch = torch.stack([self._preprocess(image) for image in images[start : start + CROPS_AT_ONCE]])
            with torch.inference_mode():
                vectors = self.model.encode_image(batch.to(self.device), normalize=True)
            parts.append(vectors.float().cpu().numpy())
        return np.concatenate(parts).astype(np.float32)

    def _probe(self) -> None:
        """Find out with one empty picture whether the tower gives a map, its step in pixels, and the dimension."""
        import torch

        visual = self.model.visual
        size = visual.image_size
        height, width = size if isinstance(size, (tuple, list)) else (size, size)
        empty = torch.zeros(1, 3, height, width, device=self.device)
        with torch.inference_mode():
            if hasattr(visual, "trunk"):
                features = visual.trunk.forward_features(empty)
                if features.ndim == 4 and features.shape[1] == visual.trunk.num_features:
                    self._cell, self.dimension = round(height / features.shape[2]), int(features.shape[1])
                    return
            self.dimension = int(self.model.encode_image(empty).shape[1])


def _numbers(tensor: Any) -> NDArray[np.float32]:
    """Return the only row of a tensor."""
    row: NDArray[np.float32] = tensor[0].float().cpu().numpy()
    return row


def _size(image: Image, short: int) -> tuple[float, float]:
    """Scale the sides of a picture so that the shorter has `short` pixels, the longer LONGEST times as many at most."""
    width, height = (min(side * short / min(image.size), float(LONGEST * short)) for side in image.size)
    return width, height


def _soft(image: Image) -> bool:
    """Return whether a photo, halved from SHORT_SIDE and enlarged again, stays the same in 99 of 100 places."""
    import numpy as np
    from PIL import Image as pillow

    width, height = (round(side) for side in _size(image, SHORT_SIDE))
    grey = image.resize((width, height), pillow.Resampling.BICUBIC, reducing_gap=2).convert("L")
    halved = grey.resize((width // 2, height // 2), pillow.Resampling.BICUBIC)
    full, less = (np.asarray(one, np.float32) for one in (grey, halved.resize(grey.size, pillow.Resampling.BICUBIC)))
    return bool(np.quantile(np.abs(full - less), 0.99) < SOFT * (full.std() + 1))


def address(source: str) -> tuple[str, str | None]:
    """Turn a source into open_clip's model name and pretrained tag."""
    if Path(source).is_dir():
        return f"local-dir:{source}", None
    if source.startswith(("hf-hub:", "local-dir:")) or "/" not in source:
        return source, None
    name, _, tag = source.partition("/")
    return name, tag


def fitted(source: str) -> bool:
    """Return whether a calibration comes with an encoder; with others it is learnt from the library."""
    return _trunk(source) in CALIBRATIONS


def _trunk(source: str) -> str:
    """Name the trunk of an encoder in a folder; nothing for all others."""
    config = Path(source) / "open_clip_config.json"
    if not config.is_file():
        return ""
    vision = json.loads(config.read_text(encoding="utf-8"))["model_cfg"]["vision_cfg"]
    return str(vision.get("timm_model_name"))


def _identity(source: str) -> str:
    """Name the encoder so that other weights, or another way to pool them, have another name."""
    folder = Path(source)
    digest = hashlib.sha256(f"gem4 {SHORT_SIDE} {TINY} {SOFT}".encode())
    for file in sorted([*folder.glob("open_clip_*"), *folder.glob(FILE)]):
        with file.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    return f"{folder.name if folder.is_dir() else source}-{digest.hexdigest()[:12]}"

"""Cache image features by content, so that an avatar is encoded once and not with every question.

transformers accepts features in place of pixels (`mm_encoder_outputs`). An image's features do not depend on the other
images of a prompt, so each image is encoded alone.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast

from personal.recent import Recent

CACHED_PICTURES = 128
"""Images whose features are kept; the least recently used one is dropped first."""
Key = tuple[str, bool]
"""An image's content hash, and whether it is an avatar."""


class ImageFeatureCache:
    """The features of the images that a model encoded last."""

    def __init__(self, model: Any, processor: Any) -> None:
        self._model, self._processor = model, processor
        self.known: Recent[Key, list[Any]] = Recent(CACHED_PICTURES)
        self._batched = False

    def features(
        self, keys: Sequence[Key], opened: Callable[[], tuple[Sequence[Any], dict[str, Any]]]
    ) -> list[Any] | None:
        """Return the features of images, concatenated: one tensor (tokens, width), for some models one per layer.

        `opened` returns the images and the processor's `images_kwargs`; it is called if features are missing. Return
        None if the model does not accept features.
        """
        import torch

        parts = [self.known.get(key) for key in keys]
        if any(part is None for part in parts):
            images, sizes = opened()
            parts = [part or self._encode(image, sizes) for part, image in zip(parts, images, strict=True)]
        if any(part is None for part in parts):
            return None
        for key, part in zip(keys, parts, strict=True):
            self.known.put(key, cast(Any, part))
        return [torch.cat(layer) for layer in zip(*cast(Any, parts), strict=True)]

    def discard(self, key: Key) -> None:
        """Drop the features of an image."""
        self.known.drop([key])

    def as_inputs(self, features: Sequence[Any], first: int) -> dict[str, Any]:
        """Return features, from row `first` on, as keyword arguments of `generate`."""
        first_layer, *deeper = (layer[first:] for layer in features)
        output = SimpleNamespace(
            pooler_output=first_layer[None] if self._batched else [first_layer],
            deepstack_features=[[layer] for layer in deeper],
        )
        return {"mm_encoder_outputs": {"image": output}}

    def _encode(self, image: Any, sizes: dict[str, Any]) -> list[Any] | None:
        import torch

        encode = getattr(self._model.base_model, "get_image_features", None)
        if encode is None:
            return None
        alone = self._processor(
            text=[self._processor.image_token], images=[image], images_kwargs=sizes, return_tensors="pt"
        )
        wanted = {name: alone[name] for name in inspect.signature(encode).parameters if name in alone}
        device, dtype = self._model.device, self._model.dtype
        wanted = {k: v.to(device, dtype) if v.is_floating_point() else v.to(device) for k, v in wanted.items()}
        with torch.inference_mode():
            output = encode(**wanted, return_dict=True)
        pooled = output.pooler_output
        self._batched = isinstance(pooled, torch.Tensor)
        parts = [pooled] if self._batched else pooled
        layers = [parts, *(getattr(output, "deepstack_features", None) or [])]
        return [torch.cat([part.reshape(-1, part.shape[-1]) for part in layer]) for layer in layers]

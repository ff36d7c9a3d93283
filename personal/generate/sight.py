"""What pictures look like to a model, kept by their content: an avatar is looked at once, not at every question.

transformers lets `generate` have the features of images in place of their pixels (`mm_encoder_outputs`); a picture's
features are the same whatever stands beside it, so each is looked at alone.
"""

from __future__ import annotations

import inspect
from collections import OrderedDict
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast

ROOM = 128
"""Pictures that are remembered."""
Key = tuple[str, bool]
"""A picture's content hash, and whether it is an avatar."""


class Sight:
    """The pictures that a model saw last."""

    def __init__(self, model: Any, reader: Any) -> None:
        self._model, self._reader = model, reader
        self._seen: OrderedDict[Key, list[Any]] = OrderedDict()
        self._batched = False

    def rows(self, keys: Sequence[Key], opened: Callable[[], tuple[Sequence[Any], dict[str, Any]]]) -> list[Any] | None:
        """Return the features of pictures, one after the other: (tokens, width), and for some models more layers of it.

        `opened` gives the images, and what the processor is told of their sizes, where one is not known yet. None where
        this model cannot be given features.
        """
        import torch

        parts = [self._seen.pop(key, None) for key in keys]
        if any(part is None for part in parts):
            images, sizes = opened()
            parts = [part or self._look(image, sizes) for part, image in zip(parts, images, strict=True)]
        if any(part is None for part in parts):
            return None
        self._seen.update(zip(keys, cast(Any, parts), strict=True))
        while len(self._seen) > ROOM:
            self._seen.popitem(last=False)
        return [torch.cat(layer) for layer in zip(*cast(Any, parts), strict=True)]

    def forget(self, key: Key) -> None:
        """Look at a picture again when it is shown next."""
        self._seen.pop(key, None)

    def given(self, rows: Sequence[Any], first: int) -> dict[str, Any]:
        """Put features, from row `first` on, into what `generate` takes."""
        shown, *deeper = (layer[first:] for layer in rows)
        output = SimpleNamespace(
            pooler_output=shown[None] if self._batched else [shown], deepstack_features=[[layer] for layer in deeper]
        )
        return {"mm_encoder_outputs": {"image": output}}

    def _look(self, image: Any, sizes: dict[str, Any]) -> list[Any] | None:
        import torch

        look = getattr(self._model.base_model, "get_image_features", None)
        if look is None:
            return None
        alone = self._reader(text=[self._reader.image_token], images=[image], images_kwargs=sizes, return_tensors="pt")
        wanted = {name: alone[name] for name in inspect.signature(look).parameters if name in alone}
        device, dtype = self._model.device, self._model.dtype
        wanted = {k: v.to(device, dtype) if v.is_floating_point() else v.to(device) for k, v in wanted.items()}
        with torch.inference_mode():
            seen = look(**wanted, return_dict=True)
        shown = seen.pooler_output
        self._batched = isinstance(shown, torch.Tensor)
        parts = [shown] if self._batched else shown
        layers = [parts, *(getattr(seen, "deepstack_features", None) or [])]
        return [torch.cat([part.reshape(-1, part.shape[-1]) for part in layer]) for layer in layers]

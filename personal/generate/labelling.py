"""Labels for models that were trained to read them, computed from the feature maps of the model's own vision tower."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from personal.concepts import Photo
from personal.generate.image_features import CACHED_PICTURES, ImageFeatureCache
from personal.labels import Classifier, Labels
from personal.recent import Recent

if TYPE_CHECKING:
    from PIL.Image import Image


class Labeller:
    """Label photos with `classifier`. A photo is encoded once; its features stay in `features`."""

    def __init__(
        self, model: Any, features: ImageFeatureCache, classifier: Classifier, opened: Callable[[Photo], Image]
    ) -> None:
        self._features, self._classifier, self._opened = features, classifier, opened
        self._known: Recent[str, Labels] = Recent(CACHED_PICTURES)
        self._connector = model.base_model.multi_modal_projector

    def labels(self, photo: Photo) -> Labels:
        """Return a photo's labels; those of the last CACHED_PICTURES photos are kept."""
        known = self._known.get(photo.sha256)
        if known is None:
            known = self._classify(photo)
            self._known.put(photo.sha256, known)
        return known

    def _classify(self, photo: Photo) -> Labels:
        key, maps = (photo.sha256, False), list[Any]()
        self._features.discard(key)
        hook = self._connector.register_forward_pre_hook(lambda _, given: maps.append(given[0]))
        try:
            self._features.features([key], lambda: ([self._opened(photo)], {}))
        finally:
            hook.remove()
        pooled = maps[0].float().reshape(-1, self._classifier.weight.shape[1]).mean(0)
        return self._classifier.labels(pooled.cpu().numpy())

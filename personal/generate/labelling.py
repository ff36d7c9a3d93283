"""Labels for a model that was trained to read them: made of the maps that its own vision tower gives its connector."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from personal.concepts import Photo
from personal.generate.sight import ROOM, Sight
from personal.labels import Classifier, Labels

if TYPE_CHECKING:
    from PIL.Image import Image


class Labeller:
    """Label photos by `classifier`; a photo is looked at once, and its features stay with `sight`."""

    def __init__(self, model: Any, sight: Sight, classifier: Classifier, opened: Callable[[Photo], Image]) -> None:
        self._sight, self._classifier, self._opened = sight, classifier, opened
        self._known: dict[str, Labels] = {}
        self._connector = model.base_model.multi_modal_projector

    def labels(self, photo: Photo) -> Labels:
        """Return a photo's labels; the last ROOM photos' are remembered."""
        if photo.sha256 not in self._known:
            while len(self._known) >= ROOM:
                del self._known[next(iter(self._known))]
            self._known[photo.sha256] = self._look(photo)
        return self._known[photo.sha256]

    def line(self, photo: Photo) -> str:
        """Return the prompt's line of a photo."""
        return self.labels(photo).prompt_line()

    def _look(self, photo: Photo) -> Labels:
        key, maps = (photo.sha256, False), list[Any]()
        self._sight.forget(key)
        hook = self._connector.register_forward_pre_hook(lambda _, given: maps.append(given[0]))
        try:
            self._sight.rows([key], lambda: ([self._opened(photo)], {}))
        finally:
            hook.remove()
        pooled = maps[0].float().reshape(-1, self._classifier.weight.shape[1]).mean(0)
        return self._classifier.labels(pooled.cpu().numpy())

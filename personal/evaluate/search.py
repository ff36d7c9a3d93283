"""Text-to-image search: every caption of the test split as a query, the rank of the photo it was written for.

Asks the encoder alone, through open_clip's own `encode_image` and `encode_text`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from personal.errors import ModelError, PersonalError
from personal.evaluate.asking import Report, Watch, read, unwatched
from personal.images import open_photo
from personal.learn.align import rank
from personal.retrieve.encoder import address
from personal.settings import TINY, Settings

if TYPE_CHECKING:
    from personal.learn.photos import Captioned, Photos

AT_ONCE = 32
"""Captions that are read together."""

Array = NDArray[np.float32]


def search(settings: Settings, photos: Photos, rows: Sequence[Captioned], *, watch: Watch = unwatched) -> Report:
    """Rank the photos of `rows` by each of their captions, with the encoder that the settings name.

    Raises ModelError where it cannot be opened, PersonalError where no photo can be read.
    """
    import torch

    model, preprocess, tokenizer = _open(settings)
    notes: list[str] = []
    images: list[Array] = []
    queries: list[tuple[int, Captioned, str]] = []
    with torch.inference_mode():
        for row in watch(rows, "photos"):
            photo = read(photos, row, notes)
            if photo is None:
                continue
            queries += [(len(images), row, caption) for caption in row.captions]
            images.append(_vectors(model.encode_image(preprocess(open_photo(photo))[None], normalize=True)))
        if not images:
            raise PersonalError(f"None of the photos of {photos.folder} can be read.\n" + "\n".join(notes[:10]))
        parts = [[text for *_, text in queries[i : i + AT_ONCE]] for i in range(0, len(queries), AT_ONCE)]
        texts = [_vectors(model.encode_text(tokenizer(part), normalize=True)) for part in watch(parts, "captions")]
    ranks = rank(np.concatenate(images), np.concatenate(texts), [number for number, *_ in queries])
    answers = [
        {"photo": row.image, "query": text, "rank": round(float(rank) + 1, 1)}
        for (_, row, text), rank in zip(queries, ranks, strict=True)
    ]
    report = Report(notes=notes, answers=answers)
    for k in (1, 5, 10):
        report.measure(f"recall@{k}", [row.image for _, row, _ in queries], [[r < k, 1] for r in ranks])
    report.figures |= {"photos": len(images), "queries": len(queries)}
    return report


def _open(settings: Settings) -> tuple[Any, Any, Any]:
    """Open the encoder's both towers on the CPU: model, image transform, tokenizer."""
    from personal.tiny.assemble import assemble, encoder_dir

    source = settings.encoder
    if source == TINY:
        for _ in assemble(settings.cache_dir):
            pass
        source = str(encoder_dir(settings.cache_dir))
    name, pretrained = address(source)
    try:
        import open_clip

        model, preprocess = open_clip.create_model_from_pretrained(name, pretrained, device="cpu")
        return model.eval(), preprocess, open_clip.get_tokenizer(name)
    except (RuntimeError, ValueError, OSError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"The encoder {settings.encoder} cannot be opened for photos and text: {str(error)[:300]}. "
            "PERSONAL_ENCODER takes a folder with open_clip_config.json and its weights, hf-hub:OWNER/NAME, or "
            "ARCHITECTURE/PRETRAINED."
        ) from error


def _vectors(embedded: Any) -> Array:
    return np.asarray(embedded.float().numpy(), dtype=np.float32)

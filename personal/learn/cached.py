"""Train a checkpoint whose connector takes one feature map an image, over cached maps: a sample group is one tree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from personal.data.pictures import Picture, parse_picture
from personal.data.rows import Row
from personal.learn.connector import fit_connector
from personal.learn.encoding import RowEncoder
from personal.learn.features import FeatureCache
from personal.learn.model import TEMPERATURE, LoraModel
from personal.learn.prefix_tree import TokenSequence, build_tree, collate
from personal.learn.sampler import SampleGroup
from personal.learn.train import StepResult

if TYPE_CHECKING:
    import torch

MIN_PHOTOS_TO_FIT = 200
"""Photos with captions from which on the connector is fitted before training."""
MAX_SAMPLED_TOKENS = 32
SAMPLING_BATCH = 32
"""Photos about which answers are sampled at once."""


def cacheable(checkpoint: Path) -> bool:
    """Return whether a checkpoint's connector takes one feature map an image, which can be cached."""
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(checkpoint, trust_remote_code=False).model_type in {"fast_vlm", "llava"}


class CachedModel:
    """A `TrainableModel` over cached feature maps; a `fresh` one starts from `deltas` or a fitted connector."""

    def __init__(
        self,
        rows: Sequence[Row],
        checkpoint: Path,
        features: FeatureCache,
        *,
        rank: int,
        seed: int,
        fresh: bool,
        labels: Mapping[str, str] | None = None,
        deltas: Path | None = None,
    ) -> None:
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
        self.encoder, self._features = RowEncoder(checkpoint, labels), features
        self.lora = LoraModel(checkpoint, features.statistics(), rank=rank, device=device, seed=seed)
        self.trained, self.statistics = self.lora.trained, self.lora.statistics
        captions = _captions(rows)
        if fresh and deltas is not None:
            self.lora.load_deltas(deltas)
        elif fresh and len(captions) >= MIN_PHOTOS_TO_FIT:
            embeddings = self.lora.model.get_input_embeddings().weight
            self.lora.set_connector(fit_connector(captions, features, embeddings, self.encoder.processor.tokenizer))

    def train_step(self, groups: Sequence[SampleGroup], *, backward: bool = True) -> StepResult:
        """Compute a batch's loss, and its gradients if `backward`."""
        import torch

        trees = [self.encoder.tree(group.rows, avatars=group.avatars) for group in groups]
        batch = collate(trees, self.encoder.pad)
        with torch.set_grad_enabled(backward):
            loss = self.lora.loss(batch, self.maps(batch.pictures))
            if backward:
                loss.backward()  # type: ignore[no-untyped-call]
        return StepResult(loss.item(), int(batch.sizes.sum()), int(batch.weights.sum()))

    def sample(
        self, question: str, images: Sequence[str], count: int, *, seed: int | None
    ) -> list[list[tuple[int, ...]]]:
        """Sample `count` answers to a question about each photo as token ids, greedily without a seed."""
        import torch

        end = self.encoder.processor.tokenizer.eos_token_id
        answers: list[list[tuple[int, ...]]] = []
        with torch.inference_mode():
            for start in range(0, len(images), SAMPLING_BATCH):
                some = images[start : start + SAMPLING_BATCH]
                maps = self.maps([parse_picture(image) for image in some])
                questions = [self.encoder.question(question, image) for image in some]
                answers += self.lora.sample(questions, maps, count, end=end, max_tokens=MAX_SAMPLED_TOKENS, seed=seed)
        return answers

    def decode(self, tokens: Sequence[int]) -> str:
        """Return an answer's text."""
        return str(self.encoder.processor.tokenizer.decode(tokens, skip_special_tokens=True))

    def policy_gradient_step(
        self,
        question: str,
        images: Sequence[str],
        answers: Sequence[Sequence[tuple[int, ...]]],
        weights: Sequence[Sequence[float]],
    ) -> None:
        """Compute the gradients that make answers about photos more probable by their weights, or less if negative."""
        trees = []
        for image, *own in zip(images, answers, weights, strict=True):
            asked = self.encoder.question(question, image)
            sequences = [
                TokenSequence((*asked, *answer), len(asked), 1, weight) for answer, weight in zip(*own, strict=True)
            ]
            trees.append(build_tree(sequences, [parse_picture(image)]))
        batch = collate(trees, self.encoder.pad)
        tokens = sum(len(answer) for of_photo in answers for answer in of_photo)
        loss = self.lora.loss(batch, self.maps(batch.pictures), divisor=tokens, temperature=TEMPERATURE)
        loss.backward()  # type: ignore[no-untyped-call]

    def maps(self, pictures: Sequence[Picture]) -> torch.Tensor:
        """Return the cached maps of pictures, (pictures, tokens, channels)."""
        import numpy as np
        import torch

        if not pictures:  # talk and notes, no avatars shown
            return torch.zeros(0, 1, len(self.statistics[0]))
        return torch.from_numpy(np.stack([self._features[picture] for picture in pictures]))


def _captions(rows: Sequence[Row]) -> dict[str, list[str]]:
    captions: dict[str, list[str]] = {}
    for row in rows:
        if row["type"] in {"caption", "noise"}:
            captions.setdefault(row["image"], []).append(row["conversations"][1]["value"])
    return captions

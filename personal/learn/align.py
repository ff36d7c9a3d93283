"""Train projections that align the encoder's image and text towers, both frozen (LiT, Zhai et al., CVPR 2022).

Photos are pooled maps from the feature cache, captions MiniLM's mean-pooled vectors; a contrastive loss tells each
caption's photo from the others of the batch. The result are the projections of an open_clip model, under its names.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from personal.concepts import WHOLE, Progress
from personal.data.photos import CaptionedPhoto, Photos
from personal.data.pictures import avatar_box
from personal.data.ranks import ranks_of_own
from personal.learn.features import FeatureCache

if TYPE_CHECKING:
    import torch

    Split = tuple[torch.Tensor, torch.Tensor, Sequence[int]]
    """Pooled maps (photos, views, channels), captions (captions, width), and each caption's photo."""

EPOCHS, BATCH, LEARNING_RATE = 10, 1024, 2e-3
HELD_OUT = 500
"""Photos of the training split on which the best epoch is chosen."""
WIDTH = 384
"""Dimension of the shared space."""
CAPTIONS_AT_ONCE = 256
"""Captions in a forward pass."""


def align(photos: Photos, cache_dir: Path, out: Path, seed: int) -> Iterator[Progress]:
    """Train the projections on the training split and write them, with the recall on the test split in the manifest.

    The epoch of the highest recall on held-out photos is kept.
    """
    from transformers import AutoTokenizer

    from personal.learn.base import untrained_checkpoint
    from personal.learn.export import export_encoder
    from personal.tiny.assemble import assemble, encoder_dir

    yield from assemble(cache_dir)
    folder = encoder_dir(cache_dir)
    checkpoint = yield from untrained_checkpoint(cache_dir)
    pictures = [(photo.image, box) for photo in photos.rows for box in (WHOLE, avatar_box(photo.image))]
    features = FeatureCache(cache_dir / "features", pictures, checkpoint)
    yield from features.fill(photos)
    tower, tokenizer = text_tower(folder), AutoTokenizer.from_pretrained(folder)
    splits: list[Split] = []
    for rows in (*photos.train_and_held_out(HELD_OUT), photos.split("test")):
        captions = [(number, text) for number, row in enumerate(rows) for text in row.captions]
        texts = yield from text_vectors([text for _, text in captions], tower, tokenizer)
        splits.append((pooled_views(rows, features), texts, [number for number, _ in captions]))
    train, held_out, test = splits
    best, best_epoch, weights = -1.0, 0, {}
    for epoch, loss, heads in fit(*train, seed=seed):
        score = search_recall(heads, *held_out).get("recall@10", 0.0)
        if score > best:
            best, best_epoch = score, epoch
            weights = {name: value.clone() for name, value in heads.state_dict().items()}
        yield Progress(f"Aligning: loss {loss:.3f}, recall@10 {score:.3f}", epoch, EPOCHS)
    heads.load_state_dict(weights)
    facts = {"epochs": best_epoch, "seed": seed, "held_out_recall@10": round(best, 4), **search_recall(heads, *test)}
    export_encoder(open_clip_weights(heads), out, facts)


def search_recall(
    heads: torch.nn.ModuleDict, images: torch.Tensor, texts: torch.Tensor, of_text: Sequence[int]
) -> dict[str, float]:
    """Return recall@1/5/10 of a split's captions, empty if it has none."""
    import torch
    from torch.nn.functional import normalize

    heads.eval()
    with torch.inference_mode():
        image, text = normalize(heads["image"](images[:, 0]), dim=-1), normalize(heads["text"](texts), dim=-1)
    heads.train()
    return recall(image, text, of_text) if of_text else {}


def text_tower(folder: Path) -> Any:
    """Load the text tower of an open_clip folder as the BERT that it is, in bfloat16."""
    import torch
    from safetensors.torch import load_file
    from transformers import BertConfig, BertModel

    prefix = "text.transformer."
    weights = load_file(folder / "open_clip_model.safetensors")
    model = BertModel(BertConfig.from_pretrained(folder), add_pooling_layer=False)
    model.load_state_dict({k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}, strict=False)
    return model.to(torch.bfloat16).eval()


def make_heads(image_width: int, text_width: int, width: int = WIDTH) -> torch.nn.ModuleDict:
    """Make both projections as open_clip names and shapes them: `timm_proj` and `hf_proj_type` "mlp"."""
    from collections import OrderedDict

    from torch import nn

    hidden = (text_width + width) // 2
    image = OrderedDict(
        fc1=nn.Linear(image_width, 2 * width), act=nn.GELU(), fc2=nn.Linear(2 * width, width, bias=False)
    )
    text = nn.Sequential(nn.Linear(text_width, hidden, bias=False), nn.GELU(), nn.Linear(hidden, width, bias=False))
    return nn.ModuleDict({"image": nn.Sequential(image), "text": text})


def fit(
    images: torch.Tensor, texts: torch.Tensor, of_text: Sequence[int], *, seed: int, epochs: int = EPOCHS
) -> Iterator[tuple[int, float, torch.nn.ModuleDict]]:
    """Train on `images` (photos, views, channels) and `texts` (captions, width), caption i of photo `of_text[i]`.

    Yields epoch, mean loss and the heads.
    """
    import torch

    torch.manual_seed(seed)
    heads = make_heads(images.shape[-1], texts.shape[-1])
    log_scale = torch.nn.Parameter(torch.tensor(math.log(1 / 0.07)))
    optimiser = torch.optim.AdamW([*heads.parameters(), log_scale], lr=LEARNING_RATE, weight_decay=0.05)
    captions: dict[int, list[int]] = {}
    for number, photo in enumerate(of_text):
        captions.setdefault(photo, []).append(number)
    order, random = sorted(captions), Random(seed)
    steps = 5 * max(1, len(order) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, LEARNING_RATE, total_steps=epochs * steps, pct_start=0.1)
    for epoch in range(epochs):
        total = 0.0
        for _ in range(steps):
            drawn = random.sample(order, min(BATCH, len(order)))
            views = [random.randrange(images.shape[1]) if random.random() < 0.3 else 0 for _ in drawn]
            own = [random.choice(captions[photo]) for photo in drawn]
            loss = contrastive_loss(heads, images[drawn, views], texts[own], log_scale)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            total += loss.item()
        heads.logit_scale = log_scale.detach().clamp(max=math.log(100))
        yield epoch + 1, total / steps, heads


def contrastive_loss(
    heads: torch.nn.ModuleDict, images: torch.Tensor, texts: torch.Tensor, log_scale: torch.Tensor
) -> torch.Tensor:
    """Return CLIP's symmetric loss (Radford et al., ICML 2021) of images and their texts, with dropout on both."""
    import torch
    from torch.nn import functional

    image = functional.normalize(heads["image"](functional.dropout(images, 0.2)), dim=-1)
    text = functional.normalize(heads["text"](functional.dropout(texts, 0.1)), dim=-1)
    logits = log_scale.clamp(max=math.log(100)).exp() * text @ image.T
    own = torch.arange(len(images))
    return (functional.cross_entropy(logits, own) + functional.cross_entropy(logits.T, own)) / 2


def recall(images: torch.Tensor, texts: torch.Tensor, of_text: Sequence[int]) -> dict[str, float]:
    """Return recall@1/5/10 of text-to-image search; both (n, width), unit length."""
    ranks = ranks_of_own(images.numpy(), texts.numpy(), of_text)
    return {f"recall@{k}": round(float((ranks < k).mean()), 4) for k in (1, 5, 10)}


def pooled_views(photos: Sequence[CaptionedPhoto], features: FeatureCache) -> torch.Tensor:
    """Return the pooled maps of each photo and of its avatar, (photos, 2, channels)."""
    import numpy as np
    import torch

    views = [[features.pooled((p.image, box)) for box in (WHOLE, avatar_box(p.image))] for p in photos]
    return torch.from_numpy(np.array(views))


def text_vectors(captions: Sequence[str], tower: Any, tokenizer: Any) -> Generator[Progress, None, torch.Tensor]:
    """Return the captions' mean-pooled vectors before the projection, (captions, width)."""
    import torch

    order = sorted(range(len(captions)), key=lambda i: len(captions[i]))
    vectors = torch.zeros(len(captions), tower.config.hidden_size)
    for start in range(0, len(order), CAPTIONS_AT_ONCE):
        some = order[start : start + CAPTIONS_AT_ONCE]
        tokens = tokenizer([captions[i] for i in some], padding=True, truncation=True, return_tensors="pt")
        with torch.inference_mode():
            hidden = tower(**tokens).last_hidden_state.float()
        mask = tokens["attention_mask"].unsqueeze(-1)
        vectors[some] = (hidden * mask).sum(1) / mask.sum(1)
        yield Progress("Reading the captions", start + len(some), len(captions))
    return vectors


def open_clip_weights(heads: torch.nn.ModuleDict) -> dict[str, torch.Tensor]:
    """Return the weights under the names of an open_clip checkpoint."""
    weights = {f"visual.head.mlp.{name}": value for name, value in heads["image"].state_dict().items()}
    weights |= {f"text.proj.{name}": value for name, value in heads["text"].state_dict().items()}
    return {**weights, "logit_scale": heads.logit_scale}

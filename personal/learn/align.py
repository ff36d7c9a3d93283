"""Give the embedded encoder a text side, as LiT does (Zhai et al., CVPR 2022): towers frozen, projections trained.

Photos are the pooled maps of the cache that `train` uses, captions MiniLM's mean-pooled vectors; a caption and its
photo are drawn together against the rest of the batch. What comes out are the heads of an open_clip model, in its
names.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from personal.concepts import WHOLE, Progress
from personal.learn.features import Features, avatar_box
from personal.learn.photos import Captioned, Photos

if TYPE_CHECKING:
    import numpy as np
    import torch

    Array = np.ndarray[Any, Any]

EPOCHS, BATCH, RATE = 10, 1024, 2e-3
HELD_OUT = 500
"""Photos of the training split on which the epoch that is kept is chosen."""
WIDTH = 384


def align(photos: Photos, cache_dir: Path, out: Path, seed: int) -> Iterator[Progress]:
    """Train the projections on the training split and ship them; the manifest tells recall on the test split.

    Of the epochs the one is kept that finds most on photos held out from training.
    """
    import torch
    from transformers import AutoTokenizer

    from personal.learn.base import untrained
    from personal.learn.export import ship_encoder
    from personal.tiny.assemble import assemble, encoder_dir

    yield from assemble(cache_dir)
    folder = encoder_dir(cache_dir)
    checkpoint = yield from untrained(cache_dir)
    shown = [(photo.image, box) for photo in photos.rows for box in (WHOLE, avatar_box(photo.image))]
    features = Features(cache_dir / "features", shown, checkpoint)
    yield from features.fill(photos)
    reader, tokenizer = sentences(folder), AutoTokenizer.from_pretrained(folder)
    sides = {}
    known = photos.split("train")
    learnt = len(known) - min(HELD_OUT, len(known) // 5)
    for part, rows in (("train", known[:learnt]), ("held_out", known[learnt:]), ("test", photos.split("test"))):
        captions = [(number, text) for number, row in enumerate(rows) for text in row.captions]
        texts = torch.zeros(0)
        for done, vectors in said([text for _, text in captions], reader, tokenizer):
            texts = vectors
            yield Progress("Reading the captions", done, len(captions))
        sides[part] = (pooled(rows, features), texts, [number for number, _ in captions])
    best, chosen, weights = -1.0, 0, {}
    for epoch, loss, both in fit(*sides["train"], seed=seed):
        score = searched(both, *sides["held_out"]).get("recall@10", 0.0)
        if score > best:
            best, chosen, weights = score, epoch, {name: value.clone() for name, value in both.state_dict().items()}
        yield Progress(f"Aligning: loss {loss:.3f}, recall@10 {score:.3f}", epoch, EPOCHS)
    both.load_state_dict(weights)
    facts = {"epochs": chosen, "seed": seed, "held_out_recall@10": round(best, 4), **searched(both, *sides["test"])}
    ship_encoder(named(both), out, facts)


def searched(
    both: torch.nn.ModuleDict, images: torch.Tensor, texts: torch.Tensor, of_text: Sequence[int]
) -> dict[str, float]:
    """Return recall@1/5/10 of a split's captions, nothing where it has none."""
    import torch

    both.eval()
    with torch.inference_mode():
        seen, said = unit(both["image"](images[:, 0])), unit(both["text"](texts))
    both.train()
    return recall(seen, said, of_text) if of_text else {}


def sentences(folder: Path) -> Any:
    """Open the text tower of an open_clip folder as the BERT that it is, in bfloat16."""
    import torch
    from safetensors.torch import load_file
    from transformers import BertConfig, BertModel

    prefix = "text.transformer."
    weights = load_file(folder / "open_clip_model.safetensors")
    model = BertModel(BertConfig.from_pretrained(folder), add_pooling_layer=False)
    model.load_state_dict({k.removeprefix(prefix): v for k, v in weights.items() if k.startswith(prefix)}, strict=False)
    return model.to(torch.bfloat16).eval()


def unit(vectors: torch.Tensor) -> torch.Tensor:
    """Scale vectors to length 1."""
    import torch

    return torch.nn.functional.normalize(vectors, dim=-1)


def heads(image_width: int, text_width: int, width: int = WIDTH) -> torch.nn.ModuleDict:
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
    from torch.nn import functional

    torch.manual_seed(seed)
    both = heads(images.shape[-1], texts.shape[-1])
    heat = torch.nn.Parameter(torch.tensor(math.log(1 / 0.07)))
    optimiser = torch.optim.AdamW([*both.parameters(), heat], lr=RATE, weight_decay=0.05)
    captions: dict[int, list[int]] = {}
    for number, photo in enumerate(of_text):
        captions.setdefault(photo, []).append(number)
    order, random = sorted(captions), Random(seed)
    per_epoch = 5 * max(1, len(order) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=epochs * per_epoch, pct_start=0.1)
    for epoch in range(epochs):
        total = 0.0
        for _ in range(per_epoch):
            drawn = random.sample(order, min(BATCH, len(order)))
            views = [random.randrange(images.shape[1]) if random.random() < 0.3 else 0 for _ in drawn]
            seen = functional.dropout(images[drawn, views], 0.2)
            said = texts[[random.choice(captions[photo]) for photo in drawn]]
            image = functional.normalize(both["image"](seen), dim=-1)
            text = functional.normalize(both["text"](functional.dropout(said, 0.1)), dim=-1)
            logits = heat.clamp(max=math.log(100)).exp() * text @ image.T
            same = torch.arange(len(drawn))
            loss = (functional.cross_entropy(logits, same) + functional.cross_entropy(logits.T, same)) / 2
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            total += loss.item()
        both.logit_scale = heat.detach().clamp(max=math.log(100))
        yield epoch + 1, total / per_epoch, both


def recall(images: torch.Tensor, texts: torch.Tensor, of_text: Sequence[int]) -> dict[str, float]:
    """Return recall@1/5/10 of text-to-image search; both (n, width), unit length."""
    ranks = rank(images.numpy(), texts.numpy(), of_text)
    return {f"recall@{k}": round(float((ranks < k).mean()), 4) for k in (1, 5, 10)}


def rank(images: Array, texts: Array, of_text: Sequence[int]) -> Array:
    """Return how many photos are ranked before each text's own, ties counting half; vectors (n, width), unit length."""
    import numpy as np

    similarity = texts @ images.T
    own = similarity[np.arange(len(texts)), list(of_text)][:, None]
    ties = (similarity == own).sum(axis=1) - 1
    return np.asarray((similarity > own).sum(axis=1) + ties / 2)


def pooled(photos: Sequence[Captioned], features: Features) -> torch.Tensor:
    """Return the mean of each photo's map and of its avatar's, (photos, 2, channels)."""
    import numpy as np
    import torch

    both = [
        [features[(p.image, box)].astype(np.float32).mean(0) for box in (WHOLE, avatar_box(p.image))] for p in photos
    ]
    return torch.from_numpy(np.array(both))


def said(captions: Sequence[str], encoder: Any, tokenizer: Any) -> Iterator[tuple[int, torch.Tensor]]:
    """Yield how many captions are read, and their vectors before the projection, sorted batches put back in order."""
    import torch

    order = sorted(range(len(captions)), key=lambda i: len(captions[i]))
    vectors = torch.zeros(len(captions), encoder.config.hidden_size)
    for start in range(0, len(order), 256):
        some = order[start : start + 256]
        tokens = tokenizer([captions[i] for i in some], padding=True, truncation=True, return_tensors="pt")
        with torch.inference_mode():
            hidden = encoder(**tokens).last_hidden_state.float()
        mask = tokens["attention_mask"].unsqueeze(-1)
        vectors[some] = (hidden * mask).sum(1) / mask.sum(1)
        yield start + len(some), vectors


def named(both: torch.nn.ModuleDict) -> dict[str, torch.Tensor]:
    """Name the weights as the open_clip checkpoint does."""
    weights = {f"visual.head.mlp.{name}": value for name, value in both["image"].state_dict().items()}
    weights |= {f"text.proj.{name}": value for name, value in both["text"].state_dict().items()}
    return {**weights, "logit_scale": both.logit_scale}

"""Fit a connector before training: ridge regression from feature maps to word embeddings.

For each photo the mean of its standardised map is fitted to the embeddings of its captions' words, weighted by tf-idf.
The linear map is written exactly as the connector's two layers: gelu(z) - gelu(-z) = z. Being linear, it maps each cell
to the words for what is there, as in class activation maps (Zhou et al., CVPR 2016). In short trainings this replaces
the connector-only phase of LLaVA (Liu et al., 2023).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from personal.concepts import WHOLE

if TYPE_CHECKING:
    import torch

    from personal.learn.features import FeatureCache

RIDGE = 3000.0
"""Penalty of the ridge regression."""
MIN_PHOTOS, MAX_SHARE = 5, 0.25
"""Words count if at least so many photos, and at most this share of them, have them."""


def fit_connector(
    captions: Mapping[str, Sequence[str]], features: FeatureCache, table: torch.Tensor, tokenizer: Any
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return weight and bias of a connector's two layers for standardised maps; `table` holds the word embeddings."""
    import numpy as np
    import torch

    mean, deviation = features.statistics()
    whole = np.stack([features.pooled((image, WHOLE)) for image in captions])
    every = max(1, len(captions) // 300)
    cells = np.concatenate([features[(image, WHOLE)] for image in list(captions)[::every]]).astype(np.float32)
    pooled, local = ((torch.from_numpy(maps) - mean) / deviation for maps in (whole, cells))
    table = table.detach().float().cpu()
    scale = table.square().mean().sqrt().item()
    return fit_layers(pooled, target_embeddings(tf_idf(captions), table, tokenizer), local, scale)


def tf_idf(captions: Mapping[str, Sequence[str]]) -> dict[str, dict[str, float]]:
    """Return the tf-idf of each photo's words, without the rarest and the commonest."""
    counts = {image: Counter(re.findall(r"[a-z]+", " ".join(texts).lower())) for image, texts in captions.items()}
    known = Counter(word for count in counts.values() for word in count)
    idf = {
        word: math.log(len(counts) / number)
        for word, number in known.items()
        if MIN_PHOTOS <= number <= MAX_SHARE * len(counts)
    }
    return {image: {w: n * idf[w] for w, n in count.items() if w in idf} for image, count in counts.items()}


def target_embeddings(weights: Mapping[str, Mapping[str, float]], table: torch.Tensor, tokenizer: Any) -> torch.Tensor:
    """Return the weighted mean embedding of each photo's words, (photos, width); `table` is (tokens, width)."""
    import torch

    vocabulary = sorted({word for found in weights.values() for word in found})
    place = {word: number for number, word in enumerate(vocabulary)}
    ids = tokenizer([f" {word}" for word in vocabulary], add_special_tokens=False)["input_ids"]
    embedded = torch.stack([table[each].mean(0) for each in ids])
    shares = torch.zeros(len(weights), len(vocabulary))
    for row, found in enumerate(weights.values()):
        total = sum(found.values()) or 1.0
        for word, weight in found.items():
            shares[row, place[word]] = weight / total
    return shares @ embedded


def fit_layers(
    pooled: torch.Tensor, targets: torch.Tensor, local: torch.Tensor, scale: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return weight and bias of both layers, whose outputs over the local cells have the root mean square `scale`.

    `pooled` (photos, channels) and `local` (cells, channels) are standardised, `targets` is (photos, width).
    """
    import torch

    width = targets.shape[1]
    mean = targets.mean(0)
    gram = pooled.T @ pooled + RIDGE * torch.eye(pooled.shape[1])
    linear = torch.linalg.solve(gram, pooled.T @ (targets - mean)).T
    u, s, v = torch.linalg.svd(linear, full_matrices=False)
    half = width // 2
    spread = (local @ v[:half].T).std(0) + 1e-6
    first = v[:half] / spread.unsqueeze(1)
    second = u[:, :half] * (s[:half] * spread)
    factor = scale / (local @ linear.T).square().mean().sqrt()
    w1 = torch.cat([first, -first])
    w2 = torch.cat([second, -second], 1) * factor
    return w1, torch.zeros(len(w1)), w2, torch.zeros(width)

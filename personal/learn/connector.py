"""Start the connector where it already says words: a ridge regression from feature maps to word embeddings.

For every photo the mean of its standardised map is fitted to the embeddings of its captions' words, the rarer the
heavier (tf-idf). The linear map is then written as the connector's two layers, exactly: gelu(z) - gelu(-z) = z. Since
it is linear, each cell of a map speaks of what stands there, as in class activation maps (Zhou et al., CVPR 2016). On
few steps of training this replaces the connector-only phase of LLaVA (Liu et al., 2023).
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

    from personal.learn.features import Features

RIDGE = 3000.0
RARE, COMMON = 5, 0.25
"""Words of fewer photos, or of a larger share of them, say nothing of what is where."""


def prior(
    captions: Mapping[str, Sequence[str]], features: Features, table: torch.Tensor, tokenizer: Any
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Fit the connector to photos and their captions: weight and bias of its two layers, for standardised maps."""
    import numpy as np
    import torch

    mean, deviation = features.statistics()
    whole = np.stack([features[(image, WHOLE)].astype(np.float32).mean(0) for image in captions])
    every = max(1, len(captions) // 300)
    cells = np.concatenate([features[(image, WHOLE)] for image in list(captions)[::every]]).astype(np.float32)
    pooled, local = ((torch.from_numpy(maps) - mean) / deviation for maps in (whole, cells))
    table = table.detach().float().cpu()
    usual = table.square().mean().sqrt().item()
    return fitted(pooled, targets(words(captions), table, tokenizer), local, usual)


def words(captions: Mapping[str, Sequence[str]]) -> dict[str, dict[str, float]]:
    """Weigh each photo's words by tf-idf; the rarest and the commonest are left out."""
    counts = {image: Counter(re.findall(r"[a-z]+", " ".join(texts).lower())) for image, texts in captions.items()}
    known = Counter(word for count in counts.values() for word in count)
    idf = {
        word: math.log(len(counts) / number) for word, number in known.items() if RARE <= number <= COMMON * len(counts)
    }
    return {image: {w: n * idf[w] for w, n in count.items() if w in idf} for image, count in counts.items()}


def targets(weighed: Mapping[str, Mapping[str, float]], table: torch.Tensor, tokenizer: Any) -> torch.Tensor:
    """Return the mean embedding of each photo's words, (photos, width); `table` (tokens, width) holds embeddings."""
    import torch

    vocabulary = sorted({word for found in weighed.values() for word in found})
    place = {word: number for number, word in enumerate(vocabulary)}
    ids = tokenizer([f" {word}" for word in vocabulary], add_special_tokens=False)["input_ids"]
    embedded = torch.stack([table[each].mean(0) for each in ids])
    shares = torch.zeros(len(weighed), len(vocabulary))
    for row, found in enumerate(weighed.values()):
        total = sum(found.values()) or 1.0
        for word, weight in found.items():
            shares[row, place[word]] = weight / total
    return shares @ embedded


def fitted(
    pooled: torch.Tensor, wanted: torch.Tensor, local: torch.Tensor, usual: float
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return weight and bias of both layers, whose outputs have the root mean square `usual` over the local cells.

    `pooled` (photos, channels) and `local` (cells, channels) are standardised, `wanted` is (photos, width).
    """
    import torch

    width = wanted.shape[1]
    mean = wanted.mean(0)
    gram = pooled.T @ pooled + RIDGE * torch.eye(pooled.shape[1])
    linear = torch.linalg.solve(gram, pooled.T @ (wanted - mean)).T
    u, s, v = torch.linalg.svd(linear, full_matrices=False)
    half = width // 2
    spread = (local @ v[:half].T).std(0) + 1e-6
    first = v[:half] / spread.unsqueeze(1)
    second = u[:, :half] * (s[:half] * spread)
    said = local @ linear.T
    scale = usual / said.square().mean().sqrt()
    w1 = torch.cat([first, -first])
    w2 = torch.cat([second, -second], 1) * scale
    return w1, torch.zeros(len(w1)), w2, torch.zeros(width)

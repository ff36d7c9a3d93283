"""The connector starts where it already says words, and what makes training quick changes no numbers."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from personal.learn import connector
from personal.learn.attention import grouped_attention
from personal.learn.lora import lora_product
from personal.learn.model import MASKED


def test_words_of_few_photos_and_of_most_do_not_count():
    captions = {str(i): ["the dog runs" if i < 8 else "the cat"] for i in range(40)}
    captions["odd"] = ["zebra"]
    weighed = connector.tf_idf(captions)
    assert set(weighed["0"]) == {"dog", "runs"}
    assert weighed["9"] == {}
    assert weighed["odd"] == {}


def test_the_fitted_layers_say_what_the_ridge_regression_says():
    random = torch.Generator().manual_seed(0)
    local = torch.randn(400, 32, generator=random)
    wanted = local @ torch.randn(32, 3, generator=random) @ torch.randn(3, 6, generator=random)
    w1, b1, w2, b2 = connector.fit_layers(local, wanted, local, scale=0.1)
    said = nn.functional.linear(nn.functional.gelu(nn.functional.linear(local, w1, b1)), w2, b2)
    centred = wanted - wanted.mean(0)
    assert said.square().mean().sqrt().item() == pytest.approx(0.1, rel=1e-3)
    assert w1.shape == (6, 32)
    assert nn.functional.cosine_similarity(said, centred).mean() > 0.9


def test_the_fused_lora_product_has_the_values_and_gradients_of_the_plain_one():
    random = torch.Generator().manual_seed(0)
    x, weight, a, b = (
        torch.randn(*shape, generator=random, dtype=torch.float64) for shape in ((2, 5, 8), (6, 8), (3, 8), (6, 3))
    )
    for tensor in (x, a, b):
        tensor.requires_grad_(True)
    assert torch.allclose(lora_product(x, weight, a, b), x @ (weight + b @ a).T)
    assert torch.autograd.gradcheck(lambda *given: lora_product(given[0], weight, *given[1:]), (x, a, b))


def test_grouped_attention_equals_scaled_dot_product_attention():
    random = torch.Generator().manual_seed(0)
    query = torch.randn(2, 6, 5, 4, generator=random)
    key, value = (torch.randn(2, 2, 5, 4, generator=random) for _ in range(2))
    seen = torch.ones(5, 5).tril().bool().expand(2, 1, 5, 5)
    mask = torch.zeros(2, 1, 5, 5).masked_fill(~seen, MASKED)
    found, _ = grouped_attention(nn.Identity(), query, key, value, mask, scaling=0.5)
    expected = nn.functional.scaled_dot_product_attention(
        query, key.repeat_interleave(3, 1), value.repeat_interleave(3, 1), attn_mask=seen, scale=0.5
    )
    assert torch.allclose(found, expected.transpose(1, 2), atol=1e-5)

"""Packed weights: close to what they were, in every shape of layer that is packed, and left alone where they differ."""

from __future__ import annotations

import pytest
import torch

from personal.generate import packed

pytestmark = pytest.mark.skipif(not packed.available(), reason="this CPU has no kernels for packed weights")


def model(kind: str):
    """A random language model of two thin layers."""
    from transformers import AutoConfig, AutoModelForCausalLM

    sizes = {"hidden_size": 128, "intermediate_size": 192, "num_hidden_layers": 2, "num_attention_heads": 4}
    more = {"num_key_value_heads": 2, "vocab_size": 300, "max_position_embeddings": 512, "head_dim": 32}
    config = AutoConfig.for_model(kind, **sizes, **more, tie_word_embeddings=True)
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).eval()


@pytest.mark.parametrize("rows", [7, 16, 100])
@pytest.mark.parametrize("bias", [True, False])
def test_a_packed_product_is_close_to_the_product(rows, bias):
    torch.manual_seed(0)
    linear = torch.nn.Linear(64, rows, bias=bias, dtype=torch.bfloat16)
    x = torch.randn(2, 3, 64, dtype=torch.bfloat16)
    with torch.inference_mode():
        y, z = linear(x), packed.PackedLinear4(linear)(x)
    assert z.shape == y.shape
    assert torch.nn.functional.cosine_similarity(y.flatten().float(), z.flatten().float(), 0) > 0.99


def test_weights_that_lie_on_sixteen_steps_lose_nothing():
    steps = torch.arange(16).repeat(32, 4).float() - 8
    linear = torch.nn.Linear(64, 32, bias=False, dtype=torch.bfloat16)
    linear.weight.data = (steps / 16).bfloat16()
    x = torch.randn(5, 64, dtype=torch.bfloat16)
    with torch.inference_mode():
        assert torch.allclose(packed.PackedLinear4(linear)(x).float(), linear(x).float(), atol=0.02)


def test_weights_near_nothing_do_not_all_err_to_one_side():
    """A few large weights on one side: sixteen steps between the least and the greatest would miss nothing by half."""
    random = torch.Generator().manual_seed(0)
    weight = torch.randn(32, 64, generator=random) * 0.01
    weight[:, ::32] = 1.0
    weight[:, 1::32] = -0.37
    linear = torch.nn.Linear(64, 32, bias=False, dtype=torch.bfloat16)
    linear.weight.data = weight.bfloat16()
    ones = torch.eye(64, dtype=torch.bfloat16)
    with torch.inference_mode():
        error = packed.PackedLinear4(linear)(ones).T.float() - linear.weight.float()
    small = weight.abs() < 0.1
    assert error[small].mean().abs() < 0.002


def test_layers_over_the_same_inputs_are_one():
    torch.manual_seed(0)
    two = [torch.nn.Linear(64, n, dtype=torch.bfloat16) for n in (32, 16)]
    x = torch.randn(1, 64, dtype=torch.bfloat16)
    with torch.inference_mode():
        apart = torch.cat([packed.PackedLinear4(linear)(x) for linear in two], -1)
        assert torch.allclose(packed.PackedLinear4(*two)(x), apart, atol=1e-2)


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3", "mistral"])
def test_a_packed_model_says_nearly_what_it_said(kind):
    plain, other = model(kind), model(kind)
    assert packed.pack(other)
    assert all(type(layer) is packed.PackedDecoderLayer for layer in other.get_decoder().layers)
    ids = torch.arange(20)[None]
    with torch.inference_mode():
        one, two = plain(ids).logits[0].float(), other(ids).logits[0].float()
    assert torch.nn.functional.cosine_similarity(one, two, -1).min() > 0.97


@pytest.mark.parametrize("kind", ["llama", "qwen3"])
def test_token_by_token_a_packed_model_computes_what_it_computes_at_once(kind):
    packed.pack(one := model(kind))
    ids = torch.arange(12)[None]
    with torch.inference_mode():
        whole = one(ids).logits[0].float()
        step = one(ids[:, :6], use_cache=True)
        rows = [step.logits[0]]
        for place in range(6, 12):
            step = one(ids[:, place : place + 1], past_key_values=step.past_key_values, use_cache=True)
            rows.append(step.logits[0])
    assert torch.nn.functional.cosine_similarity(whole, torch.cat(rows).float(), -1).min() > 0.999


def test_rows_of_several_lengths_are_answered_together():
    packed.pack(one := model("llama"))
    ids = torch.tensor([[0, 0, 5, 6, 7], [1, 2, 3, 4, 5]])
    mask = torch.tensor([[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]])
    options = {"max_new_tokens": 5, "do_sample": False, "pad_token_id": 0}
    with torch.inference_mode():
        both = one.generate(input_ids=ids, attention_mask=mask, **options)[:, 5:]
        alone = one.generate(input_ids=ids[:1, 2:], attention_mask=mask[:1, 2:], **options)[0, 3:]
    assert both[0].tolist() == alone.tolist()


@pytest.mark.parametrize("kind", ["gemma2", "phi"])
def test_layers_of_another_kind_are_left_as_they_are(kind):
    one = model(kind)
    before = [type(layer) for layer in one.get_decoder().layers]
    assert not packed.pack(one)
    assert [type(layer) for layer in one.get_decoder().layers] == before


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3", "mistral"])
def test_a_token_after_others_is_computed_as_the_layer_that_was_packed_computes_it(kind):
    """The same numbers in 32 bits: a layer's products are put back, the rest of its way with one token is our own."""
    plain, ours = model(kind).float(), model(kind).float()
    text, length = ours.get_decoder(), 6
    for place, layer in enumerate(text.layers):
        made = packed.PackedDecoderLayer(layer)
        attention, mlp = layer.self_attn, layer.mlp
        made.qkv_proj = _beside(attention.q_proj, attention.k_proj, attention.v_proj)
        made.o_proj, made.gate_up_proj, made.down_proj = (
            attention.o_proj,
            _beside(mlp.gate_proj, mlp.up_proj),
            mlp.down_proj,
        )
        text.layers[place] = made
    ids = torch.randint(0, 300, (3, 12), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    for rows, padding in ((1, 0), (3, 0), (3, 3)):
        mask[0, :padding] = 0
        with torch.inference_mode():
            caches, said = [None, None], []
            for begin, end in ((0, length), *((place, place + 1) for place in range(length, 12))):
                for number, one in enumerate((plain, ours)):
                    step = one(ids[:rows, begin:end], attention_mask=mask[:rows, :end], past_key_values=caches[number])
                    caches[number] = step.past_key_values
                    said.append(step.logits)
        for theirs, mine in zip(said[::2], said[1::2], strict=True):
            assert torch.allclose(theirs[:, -1], mine[:, -1], atol=1e-4)


def _beside(*linears):
    """Linear layers over the same inputs, as `packed.PackedLinear4` puts them together, in their own numbers."""
    return lambda x: torch.cat([linear(x) for linear in linears], -1)


def test_layers_that_are_packed_are_taken_in_order():
    packed.pack(one := model("llama"))
    layers = one.get_decoder().layers
    assert [layer.place for layer in layers] == [layer.place for layer in layers[:2]] == [0, 1]
    assert layers[-1].place == 1
    assert len(layers) == 2


def test_the_private_operators_are_those_of_the_torch_that_they_were_read_in():
    assert torch.__version__.split("+")[0].rsplit(".", 1)[0] == "2.15", "check packed.py's operators with this torch"

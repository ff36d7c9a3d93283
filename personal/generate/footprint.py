"""What a model needs in memory, counted from its config: its footprint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Config = Mapping[str, Any]
"""What a checkpoint's config.json holds, or as much of it as decides the shape of the model."""
CONTEXT = 4096
"""Tokens that the memory figures allow for: a photo, a few avatars and a conversation."""
ALLOWANCE = 2**29
"""Bytes set aside for the libraries, the GPU's own context and image encoding; a round figure, not computed."""
NF4 = 0.5 + 1 / 64 + 4 / (64 * 256)
"""Bytes a weight takes in nf4: four bits, an 8-bit scale for 64 of them, a 32-bit scale for 256 of those."""
PACKED = 0.5 + 4 / 32
"""Bytes a weight takes packed for a CPU: four bits, a scale and an offset of 16 bits each for 32 of them."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes that a loaded model takes while it answers, by how its language model's matrices are kept.

    Each figure holds the weights (embeddings, vision tower, connector, lm_head in 16 bits) and `beside`: the key-value
    cache and the widest layer's activations for `CONTEXT` tokens, and `ALLOWANCE`. `packed` is four bits on a CPU,
    where lm_head and each layer's last matrix keep 8.
    """

    four_bits: int
    eight_bits: int
    sixteen_bits: int
    packed: int
    beside: int
    parameters: int


def memory(config: Config, *, context: int = CONTEXT, stored: int = 0) -> Memory:
    """Compute from its config what a model needs: the architecture is built without weights, and counted.

    Sliding windows are counted as if every layer kept the whole context. A checkpoint with a quantisation of its own
    takes `stored` bytes however it is asked for. Raises what transformers raises for a config that makes no sense.
    """
    import torch
    from transformers import (
        CONFIG_MAPPING,
        MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
        AutoModelForCausalLM,
        AutoModelForImageTextToText,
    )
    from transformers.quantizers.quantizers_utils import should_convert_module

    from personal.generate.quantization import UNQUANTISED

    whole = CONFIG_MAPPING[config["model_type"]].from_dict(dict(config))
    sees = type(whole) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
    with torch.device("meta"):
        model = (AutoModelForImageTextToText if sees else AutoModelForCausalLM).from_config(whole)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    sizes = {
        name: module.weight.numel()
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and should_convert_module(name, UNQUANTISED)
    }
    matrices, down = sum(sizes.values()), sum(size for name, size in sizes.items() if name.endswith("down_proj"))

    text = whole.get_text_config()
    layers = list(text.per_layer_config)
    cached = layers[: len(layers) - (getattr(text, "num_kv_shared_layers", 0) or 0)]
    cache = context * sum(2 * 2 * _kv_width(layer) for layer in cached)
    widest = max(getattr(layer, "intermediate_size", None) or 4 * text.hidden_size for layer in layers)
    activations = context * 2 * (6 * text.hidden_size + 3 * widest)
    beside = cache + activations + ALLOWANCE

    kept = 2 * (parameters - matrices)
    four, eight, sixteen = kept + int(matrices * NF4), kept + matrices, kept + 2 * matrices
    head, words = model.get_output_embeddings(), model.get_input_embeddings()
    again = 0 if head is None else head.weight.numel() if head.weight is words.weight else -head.weight.numel()
    packed = kept + int((matrices - down) * PACKED) + down + again
    if config.get("quantization_config"):
        four = eight = sixteen = packed = stored
    return Memory(four + beside, eight + beside, sixteen + beside, packed + beside, beside, parameters)


def _kv_width(layer: Any) -> int:
    """Count the numbers that a layer keeps of a token as its key; of its value it keeps as many."""
    heads = getattr(layer, "num_key_value_heads", None) or layer.num_attention_heads
    return int(heads * (getattr(layer, "head_dim", None) or layer.hidden_size // layer.num_attention_heads))

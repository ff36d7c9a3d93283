"""4-bit decoding on CPUs: packed integer weights, and decoder layers with fused projections.

Weights are 4-bit integers with one scale and zero point per 32 of them, multiplied by PyTorch's own int4 kernel. The
zero point is one of the sixteen integers; without that, as in GGUF's Q4_1, the many weights near zero are all biased to
one side. The output head and each layer's down projection, whose inputs are large, keep 8 bits. Query, key and value
projections are one product, and so are the gate and up projections. Figures are in `benchmarks/README.md`.

Only this module calls private operators of torch; a test names the version that they were read in.
"""

from __future__ import annotations

import logging
from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional

log = logging.getLogger(__name__)

GROUP = 32
"""Weights that share a scale and a zero point."""
ROW_MULTIPLE = 16
"""The kernel wants rows in multiples of this."""
CHUNK_ROWS = 8192
"""Rows that are quantized to 8 bits at a time."""
MIN_COSINE = 0.97
"""Least cosine between the outputs of a layer and its packed form for the layer to be replaced."""


def available() -> bool:
    """Return whether this CPU has the int4 kernels."""
    return torch.backends.cpu.get_cpu_capability() in {"AVX512", "AVX2"} and hasattr(
        torch.ops.aten, "_weight_int4pack_mm_for_cpu"
    )


class PackedLinear4:
    """Linear layers with the same input, stacked into one 4-bit matrix."""

    def __init__(self, *linears: nn.Linear) -> None:
        weight = torch.cat([linear.weight.detach() for linear in linears])
        self.rows = len(weight)
        weight = functional.pad(weight.float(), (0, 0, 0, -self.rows % ROW_MULTIPLE))
        groups = weight.view(len(weight), -1, GROUP)
        low, high = groups.amin(-1, keepdim=True).clamp(max=0), groups.amax(-1, keepdim=True).clamp(min=0)
        scale = ((high - low) / 15).clamp(min=1e-8).bfloat16().float()
        zero_point = (-low / scale).round()
        qweight = (groups / scale + zero_point).round().clamp(0, 15).int().view(len(weight), -1)
        self.qweight = torch.ops.aten._convert_weight_to_int4pack_for_cpu(qweight, 1)
        scales = torch.stack((scale[..., 0].t(), ((8 - zero_point) * scale)[..., 0].t()), -1)
        self.scales = scales.bfloat16().contiguous()
        biases = [linear.bias for linear in linears]
        self.bias = None if biases[0] is None else torch.cat([bias.detach() for bias in biases if bias is not None])

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        flat = x.reshape(-1, x.shape[-1])
        y = torch.ops.aten._weight_int4pack_mm_for_cpu.default(flat, self.qweight, GROUP, self.scales)
        if y.shape[-1] != self.rows:
            y = y[:, : self.rows]
        if self.bias is not None:
            y = y + self.bias
        return cast(torch.Tensor, y.view(*x.shape[:-1], self.rows))


class PackedLinear8(nn.Module):
    """A linear layer without bias in 8 bits, one scale per row."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        if linear.bias is not None:
            raise TypeError("a layer with a bias")
        weight = linear.weight.detach()
        scale = (weight.abs().amax(-1).float() / 127).clamp(min=1e-8).bfloat16()
        qweight = torch.empty(weight.shape, dtype=torch.int8)
        for start in range(0, len(weight), CHUNK_ROWS):
            some = slice(start, start + CHUNK_ROWS)
            qweight[some] = (weight[some].float() / scale[some].float()[:, None]).round().to(torch.int8)
        self.qweight: torch.Tensor = qweight
        self.scales: torch.Tensor = scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flat = x.reshape(-1, x.shape[-1])
        y = torch.ops.aten._weight_int8pack_mm.default(flat, self.qweight, self.scales)
        return cast(torch.Tensor, y.view(*x.shape[:-1], -1))


class PackedDecoderLayer(nn.Module):
    """A decoder layer as Llama has it, also with biases (Qwen2) or normed queries and keys (Qwen3), packed."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        attention, mlp = layer.self_attn, layer.mlp
        self.place: int = attention.layer_idx
        self.width: int = attention.head_dim
        self.queries = attention.q_proj.out_features // self.width
        self.keys = attention.k_proj.out_features // self.width
        self.scaling: float = attention.scaling
        self.qkv_proj = PackedLinear4(attention.q_proj, attention.k_proj, attention.v_proj)
        self.o_proj = PackedLinear4(attention.o_proj)
        self.gate_up_proj = PackedLinear4(mlp.gate_proj, mlp.up_proj)
        self.down_proj = PackedLinear8(mlp.down_proj)
        self.act = mlp.act_fn
        self.before, self.after = Norm(layer.input_layernorm), Norm(layer.post_attention_layernorm)
        normed = getattr(attention, "q_norm", None) is not None
        self.normed = (Norm(attention.q_norm), Norm(attention.k_norm)) if normed else None

    def forward(
        self,
        hidden_states: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        position_embeddings: Any = None,
        past_key_values: Any = None,
        **_: Any,
    ) -> torch.Tensor:
        x = hidden_states
        rows, length, _width = x.shape
        heads = self.qkv_proj(self.before(x)).view(rows, length, -1, self.width).transpose(1, 2)
        q_k, v = heads[:, : -self.keys], heads[:, -self.keys :]
        if self.normed is not None:
            both = (q_k[:, : self.queries], q_k[:, self.queries :])
            q_k = torch.cat([norm(part) for norm, part in zip(self.normed, both, strict=True)], 1)
        cos, sin = position_embeddings
        half = self.width // 2
        other = torch.cat((-q_k[..., half:], q_k[..., :half]), -1)
        q_k = torch.addcmul(q_k * cos[:, None], other, sin[:, None])
        q, k = q_k[:, : self.queries], q_k[:, self.queries :]
        if past_key_values is not None:
            k, v = past_key_values.update(k, v, self.place)
        if length == 1:  # queries that share keys are one matrix
            q = q.reshape(rows, self.keys, -1, self.width)
            seen = functional.scaled_dot_product_attention(q, k, v, attention_mask, scale=self.scaling)
        else:
            seen = functional.scaled_dot_product_attention(
                q, k, v, attention_mask, is_causal=attention_mask is None, scale=self.scaling, enable_gqa=True
            ).transpose(1, 2)
        x = x + self.o_proj(seen.reshape(rows, length, -1))
        gate, up = self.gate_up_proj(self.after(x)).chunk(2, -1)
        return cast(torch.Tensor, x + self.down_proj(self.act(gate) * up))


class Norm:
    """The root mean square norm (Zhang and Sennrich, NeurIPS 2019)."""

    def __init__(self, norm: Any) -> None:
        self.weight = norm.weight
        self.eps: float = norm.variance_epsilon

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return torch.rms_norm(x, (x.shape[-1],), self.weight, self.eps)


class _Layers(nn.ModuleList):
    """Layers whose slice is a list: models slice at every token, and building a ModuleList is slow."""

    def __getitem__(self, place: Any) -> Any:
        return list(self._modules.values())[place]


def pack(model: Any) -> bool:
    """Pack a model's decoder layers and output head in place. Return False, changing nothing, if its layers differ.

    The first and last layers are compared with their packed form first; only layers that compute the same are replaced.
    """
    text = model.get_decoder()
    try:
        if not all(_computes_the_same(text, layer) for layer in (text.layers[0], text.layers[-1])):
            return False
    except (AttributeError, RuntimeError, TypeError, ValueError, IndexError) as error:  # layers of another make
        log.info("The model's layers cannot be packed.", exc_info=error)
        return False
    for place, layer in enumerate(text.layers):
        text.layers[place] = PackedDecoderLayer(layer)
    text.layers = _Layers(text.layers)
    head = model.get_output_embeddings()
    if isinstance(head, nn.Linear) and head.bias is None:
        model.set_output_embeddings(PackedLinear8(head))
    return True


def _computes_the_same(text: Any, layer: Any) -> bool:
    x = torch.randn(1, 5, text.config.hidden_size, generator=torch.Generator().manual_seed(0)).to(text.dtype)
    places = torch.arange(5)[None]
    with torch.inference_mode():
        turned = text.rotary_emb(x, places)
        mask = torch.full((5, 5), -1e9, dtype=x.dtype).triu(1)[None, None]
        one = layer(x, attention_mask=mask, position_ids=places, position_embeddings=turned) - x
        other = PackedDecoderLayer(layer)(x, attention_mask=mask, position_embeddings=turned) - x
    return bool(functional.cosine_similarity(one.flatten().float(), other.flatten().float(), 0) > MIN_COSINE)

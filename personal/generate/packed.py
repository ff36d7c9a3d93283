"""Four bits on a CPU, read at the speed of memory: packed weights, and decoder layers without needless steps.

Weights become integers of 4 bits with a scale for every 32 of them, read by the kernel that PyTorch brings for them.
One of the sixteen integers is nothing: where it is not, as in GGUF's Q4_1, the many weights near nothing all err to one
side. What chooses the word, and the last product of each layer, whose inputs are large, keep 8 bits. A layer multiplies
queries, keys and values at once, and both halves of its gate. What that gives is in `benchmarks/README.md`.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import nn
from torch.nn import functional

GROUP = 32
BLOCK = 16
"""Rows of a packed matrix come in multiples of this."""
ROWS = 8192
"""Rows that are turned into 8 bits at once."""
ALIKE = 0.97
"""Cosine from which on a packed layer counts as computing what the layer that it replaces computes."""


def available() -> bool:
    """Tell whether this CPU has the kernels."""
    return torch.backends.cpu.get_cpu_capability() in {"AVX512", "AVX2"} and hasattr(
        torch.ops.aten, "_weight_int4pack_mm_for_cpu"
    )


class Packed:
    """Linear layers over the same inputs, one below the other, in 4 bits."""

    def __init__(self, *linears: nn.Linear) -> None:
        weight = torch.cat([linear.weight.detach() for linear in linears])
        self.rows = len(weight)
        weight = functional.pad(weight.float(), (0, 0, 0, -self.rows % BLOCK))
        groups = weight.view(len(weight), -1, GROUP)
        low, high = groups.amin(-1, keepdim=True).clamp(max=0), groups.amax(-1, keepdim=True).clamp(min=0)
        scale = ((high - low) / 15).clamp(min=1e-8).bfloat16().float()
        nothing = (-low / scale).round()
        numbers = (groups / scale + nothing).round().clamp(0, 15).int().view(len(weight), -1)
        self.numbers = torch.ops.aten._convert_weight_to_int4pack_for_cpu(numbers, 1)
        scales = torch.stack((scale[..., 0].t(), ((8 - nothing) * scale)[..., 0].t()), -1)
        self.scales = scales.bfloat16().contiguous()
        biases = [linear.bias for linear in linears]
        self.bias = None if biases[0] is None else torch.cat([bias.detach() for bias in biases if bias is not None])

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        flat = x.reshape(-1, x.shape[-1])
        y = torch.ops.aten._weight_int4pack_mm_for_cpu.default(flat, self.numbers, GROUP, self.scales)
        if y.shape[-1] != self.rows:
            y = y[:, : self.rows]
        if self.bias is not None:
            y = y + self.bias
        return cast(torch.Tensor, y.view(*x.shape[:-1], self.rows))


class Packed8(nn.Module):
    """A linear layer without bias in 8 bits, one scale a row."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        if linear.bias is not None:
            raise TypeError("a layer with a bias")
        weight = linear.weight.detach()
        scale = (weight.abs().amax(-1).float() / 127).clamp(min=1e-8).bfloat16()
        numbers = torch.empty(weight.shape, dtype=torch.int8)
        for start in range(0, len(weight), ROWS):
            some = slice(start, start + ROWS)
            numbers[some] = (weight[some].float() / scale[some].float()[:, None]).round().to(torch.int8)
        self.numbers: torch.Tensor = numbers
        self.scales: torch.Tensor = scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flat = x.reshape(-1, x.shape[-1])
        y = torch.ops.aten._weight_int8pack_mm.default(flat, self.numbers, self.scales)
        return cast(torch.Tensor, y.view(*x.shape[:-1], -1))


class PackedLayer(nn.Module):
    """A decoder layer as Llama has it, also with biases (Qwen2) or normed queries and keys (Qwen3), packed."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        attention, mlp = layer.self_attn, layer.mlp
        self.place: int = attention.layer_idx
        self.width: int = attention.head_dim
        self.queries = attention.q_proj.out_features // self.width
        self.keys = attention.k_proj.out_features // self.width
        self.scaling: float = attention.scaling
        self.inward = Packed(attention.q_proj, attention.k_proj, attention.v_proj)
        self.outward = Packed(attention.o_proj)
        self.gated = Packed(mlp.gate_proj, mlp.up_proj)
        self.down = Packed8(mlp.down_proj)
        self.act = mlp.act_fn
        self.before, self.after = _Norm(layer.input_layernorm), _Norm(layer.post_attention_layernorm)
        normed = getattr(attention, "q_norm", None) is not None
        self.normed = (_Norm(attention.q_norm), _Norm(attention.k_norm)) if normed else None

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
        heads = self.inward(self.before(x)).view(rows, length, -1, self.width).transpose(1, 2)
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
        x = x + self.outward(seen.reshape(rows, length, -1))
        gate, up = self.gated(self.after(x)).chunk(2, -1)
        return cast(torch.Tensor, x + self.down(self.act(gate) * up))


class _Norm:
    """The root mean square norm (Zhang and Sennrich, NeurIPS 2019)."""

    def __init__(self, norm: Any) -> None:
        self.weight = norm.weight
        self.eps: float = norm.variance_epsilon

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return torch.rms_norm(x, (x.shape[-1],), self.weight, self.eps)


class _Layers(nn.ModuleList):
    """Layers of which a slice is a list: models take one for every token, and a ModuleList takes its time to build."""

    def __getitem__(self, place: Any) -> Any:
        return list(self._modules.values())[place]


def pack(model: Any) -> bool:
    """Pack a model's decoder layers and output in place; False, and nothing is changed, where its layers differ.

    The first and the last are tried beside their packed form: only what computes the same is replaced.
    """
    text = model.get_decoder()
    try:
        if not all(_alike(text, layer) for layer in (text.layers[0], text.layers[-1])):
            return False
    except (AttributeError, RuntimeError, TypeError, ValueError, IndexError):
        return False
    for place, layer in enumerate(text.layers):
        text.layers[place] = PackedLayer(layer)
    text.layers = _Layers(text.layers)
    head = model.get_output_embeddings()
    if isinstance(head, nn.Linear) and head.bias is None:
        model.set_output_embeddings(Packed8(head))
    return True


def _alike(text: Any, layer: Any) -> bool:
    x = torch.randn(1, 5, text.config.hidden_size, generator=torch.Generator().manual_seed(0)).to(text.dtype)
    places = torch.arange(5)[None]
    with torch.inference_mode():
        turned = text.rotary_emb(x, places)
        mask = torch.full((5, 5), -1e9, dtype=x.dtype).triu(1)[None, None]
        one = layer(x, attention_mask=mask, position_ids=places, position_embeddings=turned) - x
        other = PackedLayer(layer)(x, attention_mask=mask, position_embeddings=turned) - x
    return bool(functional.cosine_similarity(one.flatten().float(), other.flatten().float(), 0) > ALIKE)

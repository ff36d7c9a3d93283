"""A LoRA layer's product with few passes over memory, which on a CPU cost as much as the multiplications.

Gives the values of peft's layer without dropout; peft makes and names the adapters.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

LORA_SCALE = 2
"""Factor of the adapters' product: LoRA's alpha over its rank."""


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        flat = x.reshape(-1, x.shape[-1])
        low = flat @ a.t()
        ctx.save_for_backward(flat, low, weight, a, b)
        return (flat @ weight.t()).addmm_(low, b.t()).view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        flat, low, weight, a, b = ctx.saved_tensors
        g = gradient.reshape(-1, gradient.shape[-1])
        g_low = g @ b
        g_x = (g @ weight).addmm_(g_low, a)
        return g_x.view(*gradient.shape[:-1], -1), None, g_low.t() @ flat, g.t() @ low


def lora_product(x: torch.Tensor, weight: torch.Tensor, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return x (W + B A)ᵀ; `weight` is frozen, `b` holds the scale."""
    return _Product.apply(x, weight, a, b)  # type: ignore[no-any-return]


def use_lora_product(model: Any) -> None:
    """Make all LoRA layers of a peft model over plain linear layers compute by `lora_product`."""
    from peft.tuners.lora import Linear

    def forward(layer: Any, x: torch.Tensor, *_: Any, **__: Any) -> torch.Tensor:
        a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
        return lora_product(x, layer.base_layer.weight, a, b * layer.scaling["default"])

    for module in model.modules():
        if isinstance(module, Linear):
            vars(module)["forward"] = partial(forward, module)

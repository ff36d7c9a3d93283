"""How weights move: AdamW over float32 copies, a rate that warms up, stays and falls; saved and resumed to the bit."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a run is made of; rates are per step of AdamW, `avatars` the share of rows that show them,
    `patience` how many looks at the held-out loss may pass without a lower one (0: any number)."""

    steps: int = 400
    trees: int = 8
    rank: int = 32
    connector_rate: float = 4e-4
    lora_rate: float = 5e-4
    warm_up: int = 20
    decay: float = 0.3
    avatars: float = 0.5
    seed: int = 0
    save_every: int = 20
    validate_every: int = 100
    patience: int = 8


class Optimiser:
    """AdamW over float32 copies of the trained weights, which compute in bfloat16."""

    def __init__(
        self,
        trained: Mapping[str, torch.nn.Parameter],
        standard: tuple[torch.Tensor, torch.Tensor],
        recipe: Recipe,
    ) -> None:
        import torch

        self._recipe, self._trained, self._standard = recipe, trained, standard
        self.master = {name: p.detach().float().clone() for name, p in self._trained.items()}
        groups = [
            {"params": [v for n, v in self.master.items() if "lora_" in n], "peak": recipe.lora_rate},
            {"params": [v for n, v in self.master.items() if "lora_" not in n], "peak": recipe.connector_rate},
        ]
        self._adam = torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.98), weight_decay=0.01)

    def move(self, step: int) -> float:
        """Apply the gradients, clipped to norm 1, and clear them; returns the norm before clipping."""
        import torch

        for name, parameter in self._trained.items():
            self.master[name].grad = None if parameter.grad is None else parameter.grad.float()
            parameter.grad = None
        norm = torch.nn.utils.clip_grad_norm_(self.master.values(), 1.0)
        for group in self._adam.param_groups:
            group["lr"] = group["peak"] * rate(step, self._recipe)
        self._adam.step()
        self._publish()
        return float(norm)

    def _publish(self) -> None:
        import torch

        with torch.no_grad():
            for name, parameter in self._trained.items():
                parameter.copy_(self.master[name])

    def save(self, path: Path, step: int) -> None:
        """Write step, weights and moments, whole or not at all."""
        import torch

        partial = path.with_suffix(".partial")
        mean, deviation = self._standard
        saved = {"step": step, "master": self.master, "adam": self._adam.state_dict()}
        torch.save({**saved, "mean": mean, "deviation": deviation}, partial)
        os.replace(partial, path)

    def adopt(self, path: Path) -> None:
        """Begin with the weights of a run, and with no moments."""
        import torch

        saved = torch.load(path, map_location="cpu", weights_only=True)
        for name, value in self.master.items():
            value.copy_(saved["master"][name])
        self._publish()

    def resume(self, path: Path) -> int:
        """Go back to the last saved step; 0 where there is none."""
        import torch

        if not path.is_file():
            return 0
        saved = torch.load(path, map_location="cpu", weights_only=True)
        for name, value in self.master.items():
            value.copy_(saved["master"][name])
        peaks = [group["peak"] for group in self._adam.param_groups]
        self._adam.load_state_dict(saved["adam"])
        for group, peak in zip(self._adam.param_groups, peaks, strict=True):
            group["peak"] = peak
        self._publish()
        return int(saved["step"])


def rate(step: int, recipe: Recipe) -> float:
    """Return the share of the peak rate at a step: up, level, down to zero."""
    left = (recipe.steps - step) / max(1.0, recipe.steps * recipe.decay)
    return min(1.0, (step + 1) / recipe.warm_up, left)

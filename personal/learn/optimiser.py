"""The optimiser: AdamW over float32 copies, with a rate that warms up, stays and falls; saved and resumed exactly."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

CLIP_NORM = 1.0
"""Norm to which gradients are clipped."""


@dataclass(frozen=True, slots=True)
class TrainingConfig:
    """The settings of a run.

    `connector_lr` and `lora_lr` are peak learning rates, `decay` the share of the steps in which the rate falls,
    `avatar_share` the share of sample groups that show avatars, `patience` how many validations may pass without a
    lower loss before training stops (0: any number).
    """

    steps: int = 400
    batch_size: int = 8
    rank: int = 32
    connector_lr: float = 4e-4
    lora_lr: float = 5e-4
    warmup_steps: int = 20
    decay: float = 0.3
    avatar_share: float = 0.5
    seed: int = 0
    save_every: int = 20
    validate_every: int = 100
    patience: int = 8


class Optimiser:
    """AdamW over float32 copies of the trained weights, which compute in bfloat16."""

    def __init__(
        self,
        trained: Mapping[str, torch.nn.Parameter],
        statistics: tuple[torch.Tensor, torch.Tensor],
        config: TrainingConfig,
    ) -> None:
        import torch

        self._config, self._trained, self._statistics = config, trained, statistics
        self.master = {name: p.detach().float().clone() for name, p in self._trained.items()}
        groups = [
            {"params": [v for n, v in self.master.items() if "lora_" in n], "peak": config.lora_lr},
            {"params": [v for n, v in self.master.items() if "lora_" not in n], "peak": config.connector_lr},
        ]
        self._adam = torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.98), weight_decay=0.01)

    def step(self, step: int) -> float:
        """Apply and clear the gradients, clipped to CLIP_NORM; return their norm before clipping."""
        import torch

        for name, parameter in self._trained.items():
            self.master[name].grad = None if parameter.grad is None else parameter.grad.float()
            parameter.grad = None
        norm = torch.nn.utils.clip_grad_norm_(self.master.values(), CLIP_NORM)
        for group in self._adam.param_groups:
            group["lr"] = group["peak"] * lr_factor(step, self._config)
        self._adam.step()
        self._copy_to_model()
        return float(norm)

    def save(self, path: Path, step: int) -> None:
        """Write step, weights and moments atomically."""
        import torch

        partial = path.with_suffix(".partial")
        mean, deviation = self._statistics
        saved = {"step": step, "master": self.master, "adam": self._adam.state_dict()}
        torch.save({**saved, "mean": mean, "deviation": deviation}, partial)
        os.replace(partial, path)

    def load_weights(self, path: Path) -> dict[str, Any]:
        """Load the weights of a saved run and no moments; return all that was saved."""
        import torch

        saved: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        for name, value in self.master.items():
            value.copy_(saved["master"][name])
        self._copy_to_model()
        return saved

    def resume(self, path: Path) -> int:
        """Load the last saved step and return its number, 0 if there is none."""
        if not path.is_file():
            return 0
        saved = self.load_weights(path)
        peaks = [group["peak"] for group in self._adam.param_groups]
        self._adam.load_state_dict(saved["adam"])
        for group, peak in zip(self._adam.param_groups, peaks, strict=True):
            group["peak"] = peak
        return int(saved["step"])

    def _copy_to_model(self) -> None:
        import torch

        with torch.no_grad():
            for name, parameter in self._trained.items():
                parameter.copy_(self.master[name])


def lr_factor(step: int, config: TrainingConfig) -> float:
    """Return the learning rate of a step as a share of its peak: rising, level, then falling to zero."""
    remaining = (config.steps - step) / max(1.0, config.steps * config.decay)
    return min(1.0, (step + 1) / config.warmup_steps, remaining)

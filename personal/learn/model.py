"""What is trained: connector and LoRA of any image-text-to-text checkpoint, over cached feature maps.

Weights compute in bfloat16 and keep a float32 master copy, which the optimiser moves: fast on CPUs with bfloat16
instructions and on CUDA alike. The vision tower never runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personal.learn.data import Row
from personal.learn.features import Features
from personal.learn.layout import Batch, Layout, collate
from personal.learn.train import Lesson, Studied

if TYPE_CHECKING:
    import torch

TARGETS = r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"
SCALE = 2
"""What LoRA's product is multiplied by: alpha over rank."""
ENOUGH = 200
"""Photos from which on the connector can be fitted before training; with fewer it starts as it is."""
CHUNK = 512
HIDDEN = -30000.0
"""Added to the scores of what a token must not see."""


class Learner:
    """A checkpoint with LoRA on every linear layer of its language model, and a free connector."""

    def __init__(
        self,
        checkpoint: Path,
        statistics: tuple[torch.Tensor, torch.Tensor],
        *,
        rank: int,
        device: str = "cpu",
        seed: int = 0,
    ) -> None:
        import torch
        from peft import LoraConfig, get_peft_model
        from transformers import AutoModelForImageTextToText

        from personal.learn import attention
        from personal.learn.lora import speed_up

        torch.manual_seed(seed)
        self.device = torch.device(device)
        base = AutoModelForImageTextToText.from_pretrained(checkpoint, dtype=torch.bfloat16)
        base.model.vision_tower = torch.nn.Identity()
        base.model.language_model.set_attn_implementation(attention.register())
        config = LoraConfig(r=rank, lora_alpha=SCALE * rank, target_modules=TARGETS, bias="none")
        adapted: Any = get_peft_model(base, config, autocast_adapter_dtype=False).to(self.device)
        speed_up(adapted)
        self.model: Any = adapted.base_model.model
        self.model.model.multi_modal_projector.requires_grad_(True)
        self.trained: dict[str, torch.nn.Parameter] = {
            name: parameter for name, parameter in self.model.named_parameters() if parameter.requires_grad
        }
        self.standard = statistics

    def start(self, layers: tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]) -> None:
        """Set the connector: weight and bias of its first layer, of its second, for standardised maps."""
        import torch

        connector = self.model.model.multi_modal_projector
        places = (
            connector.linear_1.weight,
            connector.linear_1.bias,
            connector.linear_2.weight,
            connector.linear_2.bias,
        )
        with torch.no_grad():
            for place, value in zip(places, layers, strict=True):
                place.copy_(value)

    def loss(self, batch: Batch, maps: torch.Tensor) -> torch.Tensor:
        """Return the mean cross-entropy of the targets; `maps` (pictures, tokens, channels) in the batch's order."""
        import torch
        from torch.nn import functional
        from torch.utils.checkpoint import checkpoint

        hidden = self.hidden(batch, maps).flatten(0, 1)
        head = self.model.lm_head.weight

        def part(states: torch.Tensor, labels: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
            each = functional.cross_entropy(functional.linear(states, head).float(), labels, reduction="none")
            return each @ counts

        total = torch.zeros((), device=self.device)
        nodes, labels, counts = (each.to(self.device) for each in (batch.nodes, batch.labels, batch.counts))
        for start in range(0, len(labels), CHUNK):
            some = slice(start, start + CHUNK)
            total = total + checkpoint(part, hidden[nodes[some]], labels[some], counts[some], use_reentrant=False)
        return total / counts.sum()

    def hidden(self, batch: Batch, maps: torch.Tensor) -> torch.Tensor:
        """Return the last hidden states, (trees, nodes, width)."""
        import torch

        ids = batch.ids.to(self.device)
        embedded = self.model.get_input_embeddings()(ids)
        mean, deviation = (each.to(self.device) for each in self.standard)
        standard = (maps.to(self.device, torch.float32) - mean) / deviation
        seen = self.model.model.multi_modal_projector(standard.to(embedded.dtype))
        place = (ids == self.model.config.image_token_id).unsqueeze(-1)
        embedded = embedded.masked_scatter(place, seen.to(embedded.dtype))
        output = self.model.model.language_model(
            inputs_embeds=embedded,
            attention_mask=torch.zeros(batch.mask.shape, dtype=embedded.dtype, device=self.device).masked_fill(
                ~batch.mask.to(self.device), HIDDEN
            ),
            position_ids=batch.positions.to(self.device),
            use_cache=False,
        )
        return output.last_hidden_state  # type: ignore[no-any-return]


def cacheable(checkpoint: Path) -> bool:
    """Tell whether a checkpoint's connector takes one feature map per image, which can be kept."""
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(checkpoint, trust_remote_code=False).model_type in {"fast_vlm", "llava"}


class Cached:
    """A Teacher for checkpoints whose connector takes a feature map: a photo's lesson is one tree over cached maps."""

    def __init__(
        self, rows: Sequence[Row], checkpoint: Path, features: Features, *, rank: int, seed: int, fresh: bool
    ) -> None:
        import torch

        from personal.learn.connector import prior

        device = "cuda" if torch.cuda.is_available() else "cpu"
        self.layout, self._features = Layout(checkpoint), features
        self.learner = Learner(checkpoint, features.statistics(), rank=rank, device=device, seed=seed)
        self.trained, self.standard = self.learner.trained, self.learner.standard
        captions = _captions(rows)
        if fresh and len(captions) >= ENOUGH:
            embeddings = self.learner.model.get_input_embeddings().weight
            self.learner.start(prior(captions, features, embeddings, self.layout.processor.tokenizer))

    def study(self, lessons: Sequence[Lesson], *, learn: bool = True) -> Studied:
        """Add the gradients of a batch, unless only its loss is asked for."""
        import numpy as np
        import torch

        batch = collate([self.layout.tree(rows, avatars=avatars) for rows, avatars in lessons], self.layout.pad)
        maps = torch.from_numpy(np.stack([self._features[picture] for picture in batch.pictures]))
        with torch.set_grad_enabled(learn):
            loss = self.learner.loss(batch, maps)
            if learn:
                loss.backward()  # type: ignore[no-untyped-call]
        return Studied(loss.item(), int(batch.sizes.sum()), int(batch.counts.sum()))


def _captions(rows: Sequence[Row]) -> dict[str, list[str]]:
    captions: dict[str, list[str]] = {}
    for row in rows:
        if row["type"] in {"caption", "noise"}:
            captions.setdefault(row["image"], []).append(row["conversations"][1]["value"])
    return captions

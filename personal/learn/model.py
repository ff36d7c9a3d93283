"""The trained part of any image-text-to-text checkpoint: connector and LoRA, over cached feature maps.

Weights compute in bfloat16 if the machine has instructions for it, else in float32. The vision tower never runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personal.errors import ModelError
from personal.learn.export import restore_deltas
from personal.learn.lora import LORA_SCALE, use_lora_product
from personal.learn.prefix_tree import Batch

if TYPE_CHECKING:
    import torch

TARGETS = r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"
"""The layers that get LoRA adapters."""
LOGITS_CHUNK = 512
"""Targets whose logits over the vocabulary are held at once."""
TEMPERATURE = 0.7
"""At which answers are sampled and reinforced: closer to greedy decoding than 1."""
MASKED = -30000.0
"""Added to the attention scores of tokens that must not be seen."""

Tokens = tuple[int, ...]


class LoraModel:
    """A checkpoint with LoRA on every linear layer of its language model, and a trainable connector."""

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

        torch.manual_seed(seed)
        self.device = torch.device(device)
        base = AutoModelForImageTextToText.from_pretrained(checkpoint, dtype=_precision(self.device))
        base.model.vision_tower = torch.nn.Identity()
        base.model.language_model.set_attn_implementation(attention.register())
        config = LoraConfig(r=rank, lora_alpha=LORA_SCALE * rank, target_modules=TARGETS, bias="none")
        adapted: Any = get_peft_model(base, config, autocast_adapter_dtype=False).to(self.device)
        use_lora_product(adapted)
        self.model: Any = adapted.base_model.model
        self.model.model.multi_modal_projector.requires_grad_(True)
        self.trained: dict[str, torch.nn.Parameter] = {
            name: parameter for name, parameter in self.model.named_parameters() if parameter.requires_grad
        }
        self.statistics = statistics

    def set_connector(self, layers: tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]) -> None:
        """Set weight and bias of the connector's first layer and of its second, for standardised maps."""
        import torch

        connector = self.model.model.multi_modal_projector
        first, second = connector.linear_1, connector.linear_2
        with torch.no_grad():
            for parameter, value in zip((first.weight, first.bias, second.weight, second.bias), layers, strict=True):
                parameter.copy_(value)

    def load_deltas(self, path: Path) -> None:
        """Load shipped weights to train on from. Raises ModelError if they do not fit."""
        import torch
        from safetensors.torch import load_file

        found = restore_deltas(load_file(path), *self.statistics)
        with torch.no_grad():
            for name, parameter in self.trained.items():
                value = found.get(name.replace(".default.", "."))
                if value is None or value.shape != parameter.shape:
                    raise ModelError(f"{path} does not fit what is trained here: {name}.")
                parameter.copy_(value)

    def loss(
        self, batch: Batch, maps: torch.Tensor, *, divisor: float | None = None, temperature: float = 1.0
    ) -> torch.Tensor:
        """Return the weighted sum of the targets' cross-entropy over `divisor`, by default the sum of the weights.

        `maps` are (pictures, tokens, channels) in the batch's order.
        """
        import torch
        from torch.nn import functional
        from torch.utils.checkpoint import checkpoint

        hidden = self.hidden(batch, maps).flatten(0, 1)
        head = self.model.lm_head.weight

        def chunk_loss(states: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
            logits = functional.linear(states, head).float() / temperature
            return functional.cross_entropy(logits, labels, reduction="none") @ weights

        total = torch.zeros((), device=self.device)
        nodes, labels, weights = (each.to(self.device) for each in (batch.nodes, batch.labels, batch.weights))
        for start in range(0, len(labels), LOGITS_CHUNK):
            some = slice(start, start + LOGITS_CHUNK)
            args = hidden[nodes[some]], labels[some], weights[some]
            total = total + checkpoint(chunk_loss, *args, use_reentrant=False)
        return total / (divisor or weights.sum())

    def hidden(self, batch: Batch, maps: torch.Tensor) -> torch.Tensor:
        """Return the last hidden states, (trees, nodes, width)."""
        embedded = self._embed(batch.ids.to(self.device), maps)
        output = self.model.model.language_model(
            inputs_embeds=embedded,
            attention_mask=_additive(~batch.mask.to(self.device), embedded.dtype),
            position_ids=batch.positions.to(self.device),
            use_cache=False,
        )
        return output.last_hidden_state  # type: ignore[no-any-return]

    def _embed(self, ids: torch.Tensor, maps: torch.Tensor) -> torch.Tensor:
        """Embed tokens, (rows, tokens), and the maps, through the connector, in the places of the images."""
        embedded = self.model.get_input_embeddings()(ids)
        mean, deviation = (each.to(self.device) for each in self.statistics)
        standardised = (maps.to(self.device, mean.dtype) - mean) / deviation
        images = self.model.model.multi_modal_projector(standardised.to(embedded.dtype))
        place = (ids == self.model.config.image_token_id).unsqueeze(-1)
        return embedded.masked_scatter(place, images.to(embedded.dtype))  # type: ignore[no-any-return]

    def sample(
        self,
        questions: Sequence[Tokens],
        maps: torch.Tensor,
        count: int,
        *,
        end: int,
        max_tokens: int,
        seed: int | None,
    ) -> list[list[Tokens]]:
        """Sample `count` answers, token ids, to a question about each of the photos in `maps`.

        They are drawn at TEMPERATURE, or greedily without a seed, and end with `end` or after `max_tokens`.
        """
        import torch
        from transformers import DynamicCache

        random = None if seed is None else torch.Generator(self.device).manual_seed(seed)
        cache, width = DynamicCache(), max(map(len, questions))
        ids = torch.tensor([[end] * (width - len(q)) + list(q) for q in questions], device=self.device)
        lengths = torch.tensor([len(q) for q in questions], device=self.device)
        place = torch.arange(width, device=self.device)
        padding = place < width - lengths[:, None]
        state = self._embed(ids, maps)
        mask = _additive((place > place[:, None])[None, None] | padding[:, None, None], state.dtype)
        positions = (place - (width - lengths[:, None])).clamp(min=0)
        answers: list[torch.Tensor] = []
        ended = torch.zeros(len(maps) * count, dtype=torch.bool, device=self.device)
        before = _additive(padding.repeat_interleave(count, 0)[:, None, None], state.dtype)
        while len(answers) < max_tokens and not ended.all():
            output = self.model.model.language_model(
                inputs_embeds=state, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True
            )
            states = output.last_hidden_state[:, -1].repeat_interleave(1 if answers else count, 0)
            if not answers:
                cache.batch_repeat_interleave(count)
            chosen = self._choose(states, random)
            answers.append(chosen.masked_fill(ended, end))
            ended |= chosen == end
            state = self.model.get_input_embeddings()(answers[-1][:, None])
            mask = torch.nn.functional.pad(before, (0, len(answers)))
            positions = (lengths.repeat_interleave(count) + len(answers) - 1)[:, None]
        rows = [_until(row, end) for row in torch.stack(answers, 1).tolist()]
        return [rows[i : i + count] for i in range(0, len(rows), count)]

    def _choose(self, states: torch.Tensor, random: torch.Generator | None) -> torch.Tensor:
        """Draw the next token of each row, or take the most probable without `random`."""
        import torch

        logits = torch.nn.functional.linear(states, self.model.lm_head.weight).float() / TEMPERATURE
        return logits.argmax(-1) if random is None else logits.softmax(-1).multinomial(1, generator=random)[:, 0]


def _additive(masked: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return an additive attention mask."""
    import torch

    return torch.zeros(masked.shape, dtype=dtype, device=masked.device).masked_fill(masked, MASKED)


def _until(row: list[int], end: int) -> Tokens:
    return tuple(row[: row.index(end) + 1] if end in row else row)


def _precision(device: torch.device) -> torch.dtype:
    """Return bfloat16, or float32 on CPUs without instructions for it, where it is four times slower."""
    import torch

    fast = device.type == "cuda" or torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if fast else torch.float32

"""What is trained: connector and LoRA of any image-text-to-text checkpoint, over cached feature maps.

Weights compute in bfloat16 where the machine has instructions for it, else in float32, and keep a float32 master copy,
which the optimiser moves. The vision tower never runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personal.errors import ModelError
from personal.learn.data import Row
from personal.learn.features import Features, Picture, picture
from personal.learn.layout import Batch, Layout, Tokens, collate, pack
from personal.learn.train import Lesson, Studied

if TYPE_CHECKING:
    import torch

TARGETS = r".*language_model.*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"
SCALE = 2
"""What LoRA's product is multiplied by: alpha over rank."""
ENOUGH = 200
"""Photos from which on the connector can be fitted before training; with fewer it starts as it is."""
CHUNK = 512
LONGEST = 32
"""Tokens of an answer that is sampled."""
TEMPERATURE = 0.7
"""At which answers are sampled, and made likelier: nearer to what greedy decoding says than at 1."""
TOGETHER = 32
"""Photos about which is answered at once."""
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
        base = AutoModelForImageTextToText.from_pretrained(checkpoint, dtype=_precision(self.device))
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

    def adopt(self, deltas: Path) -> None:
        """Go on from weights as they are shipped, for standardised maps. Raises ModelError where they do not fit."""
        import torch
        from safetensors.torch import load_file

        from personal.learn.export import restored

        found = restored(load_file(deltas), *self.standard)
        with torch.no_grad():
            for name, parameter in self.trained.items():
                value = found.get(name.replace(".default.", "."))
                if value is None or value.shape != parameter.shape:
                    raise ModelError(f"{deltas} does not fit what is trained here: {name}.")
                parameter.copy_(value)

    def loss(
        self, batch: Batch, maps: torch.Tensor, *, among: float | None = None, temperature: float = 1.0
    ) -> torch.Tensor:
        """Return the mean cross-entropy of the targets; `maps` (pictures, tokens, channels) in the batch's order.

        The weighted sum is divided `among` so many, or else among the sum of the weights.
        """
        import torch
        from torch.nn import functional
        from torch.utils.checkpoint import checkpoint

        hidden = self.hidden(batch, maps).flatten(0, 1)
        head = self.model.lm_head.weight

        def part(states: torch.Tensor, labels: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
            scores = functional.linear(states, head).float() / temperature
            each = functional.cross_entropy(scores, labels, reduction="none")
            return each @ counts

        total = torch.zeros((), device=self.device)
        nodes, labels, counts = (each.to(self.device) for each in (batch.nodes, batch.labels, batch.counts))
        for start in range(0, len(labels), CHUNK):
            some = slice(start, start + CHUNK)
            total = total + checkpoint(part, hidden[nodes[some]], labels[some], counts[some], use_reentrant=False)
        return total / (among or counts.sum())

    def hidden(self, batch: Batch, maps: torch.Tensor) -> torch.Tensor:
        """Return the last hidden states, (trees, nodes, width)."""
        import torch

        embedded = self._embedded(batch.ids.to(self.device), maps)
        output = self.model.model.language_model(
            inputs_embeds=embedded,
            attention_mask=torch.zeros(batch.mask.shape, dtype=embedded.dtype, device=self.device).masked_fill(
                ~batch.mask.to(self.device), HIDDEN
            ),
            position_ids=batch.positions.to(self.device),
            use_cache=False,
        )
        return output.last_hidden_state  # type: ignore[no-any-return]

    def _embedded(self, ids: torch.Tensor, maps: torch.Tensor) -> torch.Tensor:
        """Embed tokens, (rows, tokens), and in the images' places what the connector makes of their maps."""
        embedded = self.model.get_input_embeddings()(ids)
        mean, deviation = (each.to(self.device) for each in self.standard)
        standard = (maps.to(self.device, mean.dtype) - mean) / deviation
        seen = self.model.model.multi_modal_projector(standard.to(embedded.dtype))
        place = (ids == self.model.config.image_token_id).unsqueeze(-1)
        return embedded.masked_scatter(place, seen.to(embedded.dtype))  # type: ignore[no-any-return]

    def sample(
        self,
        asked: Sequence[Sequence[int]],
        maps: torch.Tensor,
        count: int,
        *,
        end: int,
        longest: int,
        seed: int | None,
    ) -> list[list[tuple[int, ...]]]:
        """Answer a question, token ids, about each of the photos in `maps` `count` times; greedily without a seed, else
        drawn at TEMPERATURE.

        An answer ends with `end`, or after `longest` tokens.
        """
        import torch
        from transformers import DynamicCache

        random = None if seed is None else torch.Generator(self.device).manual_seed(seed)
        head, cache = self.model.lm_head.weight, DynamicCache()
        width, lengths = max(map(len, asked)), torch.tensor([len(ids) for ids in asked], device=self.device)
        padded = [[end] * (width - len(ids)) + list(ids) for ids in asked]
        state = self._embedded(torch.tensor(padded, device=self.device), maps)
        place = torch.arange(width, device=self.device)
        padding = place < width - lengths[:, None]
        hidden = (place > place[:, None])[None, None] | padding[:, None, None]
        mask = torch.zeros(hidden.shape, dtype=state.dtype, device=self.device).masked_fill(hidden, HIDDEN)
        positions = (place - (width - lengths[:, None])).clamp(min=0)
        said: list[torch.Tensor] = []
        over = torch.zeros(len(maps) * count, dtype=torch.bool, device=self.device)
        while len(said) < longest and not over.all():
            output = self.model.model.language_model(
                inputs_embeds=state, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True
            )
            states = output.last_hidden_state[:, -1]
            if not said:
                cache.batch_repeat_interleave(count)
                states = states.repeat_interleave(count, 0)
            scores = torch.nn.functional.linear(states, head).float() / TEMPERATURE
            chosen = scores.argmax(-1) if random is None else scores.softmax(-1).multinomial(1, generator=random)[:, 0]
            said.append(chosen.masked_fill(over, end))
            over |= chosen == end
            state = self.model.get_input_embeddings()(said[-1][:, None])
            shown = torch.zeros((len(maps) * count, 1, 1, len(said)), dtype=state.dtype, device=self.device)
            before = padding.repeat_interleave(count, 0)[:, None, None].to(state.dtype) * HIDDEN
            mask = torch.cat([before, shown], -1)
            positions = (lengths.repeat_interleave(count) + len(said) - 1)[:, None]
        rows = [_until(row, end) for row in torch.stack(said, 1).tolist()]
        return [rows[i : i + count] for i in range(0, len(rows), count)]


def _precision(device: torch.device) -> torch.dtype:
    """Choose bfloat16 unless the CPU has no instructions for it: emulated, it is four times slower than float32."""
    import torch

    fast = device.type == "cuda" or torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if fast else torch.float32


def cacheable(checkpoint: Path) -> bool:
    """Tell whether a checkpoint's connector takes one feature map per image, which can be kept."""
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(checkpoint, trust_remote_code=False).model_type in {"fast_vlm", "llava"}


class Cached:
    """A Teacher for checkpoints whose connector takes a feature map: a photo's lesson is one tree over cached maps."""

    def __init__(
        self,
        rows: Sequence[Row],
        checkpoint: Path,
        features: Features,
        *,
        rank: int,
        seed: int,
        fresh: bool,
        labels: Mapping[str, str] | None = None,
        deltas: Path | None = None,
    ) -> None:
        import torch

        from personal.learn.connector import prior

        device = "cuda" if torch.cuda.is_available() else "cpu"
        self.layout, self._features = Layout(checkpoint, labels), features
        self.learner = Learner(checkpoint, features.statistics(), rank=rank, device=device, seed=seed)
        self.trained, self.standard = self.learner.trained, self.learner.standard
        captions = _captions(rows)
        if fresh and deltas is not None:
            self.learner.adopt(deltas)
        elif fresh and len(captions) >= ENOUGH:
            embeddings = self.learner.model.get_input_embeddings().weight
            self.learner.start(prior(captions, features, embeddings, self.layout.processor.tokenizer))

    def study(self, lessons: Sequence[Lesson], *, learn: bool = True) -> Studied:
        """Add the gradients of a batch, unless only its loss is asked for."""
        import torch

        batch = collate([self.layout.tree(rows, avatars=avatars) for rows, avatars in lessons], self.layout.pad)
        maps = self._maps(batch.pictures)
        with torch.set_grad_enabled(learn):
            loss = self.learner.loss(batch, maps)
            if learn:
                loss.backward()  # type: ignore[no-untyped-call]
        return Studied(loss.item(), int(batch.sizes.sum()), int(batch.counts.sum()))

    def say(self, question: str, images: Sequence[str], count: int, *, seed: int | None) -> list[list[tuple[int, ...]]]:
        """Answer a question about each photo `count` times, as token ids: drawn, or greedily without a seed."""
        import torch

        end = self.layout.processor.tokenizer.eos_token_id
        said: list[list[tuple[int, ...]]] = []
        with torch.inference_mode():
            for start in range(0, len(images), TOGETHER):
                some = images[start : start + TOGETHER]
                maps = self._maps([picture(image) for image in some])
                asked = [self._asked(question, image) for image in some]
                said += self.learner.sample(asked, maps, count, end=end, longest=LONGEST, seed=seed)
        return said

    def text(self, said: Sequence[int]) -> str:
        """Return an answer's text; one that was not ended breaks off."""
        return str(self.layout.processor.tokenizer.decode(said, skip_special_tokens=True))

    def weigh(
        self,
        question: str,
        images: Sequence[str],
        said: Sequence[Sequence[tuple[int, ...]]],
        weights: Sequence[Sequence[float]],
    ) -> None:
        """Add the gradients that make answers about photos likelier by their weights, or less likely below 0."""
        trees = []
        for image, *own in zip(images, said, weights, strict=True):
            asked = self._asked(question, image)
            sequences = [Tokens((*asked, *a), len(asked), 1, w) for a, w in zip(*own, strict=True)]
            trees.append(pack(sequences, [picture(image)]))
        batch = collate(trees, self.layout.pad)
        tokens = sum(len(answer) for answers in said for answer in answers)
        loss = self.learner.loss(batch, self._maps(batch.pictures), among=tokens, temperature=TEMPERATURE)
        loss.backward()  # type: ignore[no-untyped-call]

    def _asked(self, question: str, image: str) -> tuple[int, ...]:
        row: Row = {"id": "", "image": image, "extra": {}, "type": "caption", "conversations": []}
        row["conversations"] = [{"from": "human", "value": question}, {"from": "gpt", "value": ""}]
        return self.layout.question(row)

    def _maps(self, pictures: Sequence[Picture]) -> torch.Tensor:
        import numpy as np
        import torch

        if not pictures:  # talk and notes, no avatars shown
            return torch.zeros(0, 1, len(self.standard[0]))
        return torch.from_numpy(np.stack([self._features[picture] for picture in pictures]))


def _until(row: list[int], end: int) -> tuple[int, ...]:
    return tuple(row[: row.index(end) + 1] if end in row else row)


def _captions(rows: Sequence[Row]) -> dict[str, list[str]]:
    captions: dict[str, list[str]] = {}
    for row in rows:
        if row["type"] in {"caption", "noise"}:
            captions.setdefault(row["image"], []).append(row["conversations"][1]["value"])
    return captions

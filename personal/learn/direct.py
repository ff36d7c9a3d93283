"""Train any image-text-to-text checkpoint through its own processor and forward pass, with QLoRA in four bits.

Adapters on the linear layers of the language model and a trainable connector, by peft (LoRA, Hu et al., ICLR 2022;
QLoRA, Dettmers et al., NeurIPS 2023). Each row is read by itself, with its photos and avatars as the app would send
them; `cached.CachedModel` shares work between rows but supports few architectures.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from personal.data.pictures import Picture, open_picture
from personal.data.rows import Row
from personal.errors import ModelError
from personal.generate.prompt import without_system
from personal.generate.quantization import nf4_config
from personal.learn.encoding import row_messages
from personal.learn.lora import LORA_SCALE
from personal.learn.sampler import SampleGroup
from personal.learn.train import StepResult

if TYPE_CHECKING:
    import torch

    from personal.data.photos import Photos

LAYERS = r".*\.layers\..*\.(q_proj|k_proj|v_proj|o_proj|gate_proj|up_proj|down_proj)"
TOWERS = r"(^|\.)(vision_tower|vision_model|visual|vision_encoder|image_encoder)\."
CONNECTORS = r"(^|\.)(multi_modal_projector|connector|aligner|mm_projector|visual\.merger)\."
ANSWER = "§answer§"
"""Stands for the answer while the chat template is applied."""


class DirectModel:
    """A `TrainableModel` of any checkpoint that transformers opens; with 4 `bits` the base model is quantised."""

    def __init__(self, checkpoint: Path, photos: Photos, *, rank: int, seed: int, bits: int = 16) -> None:
        import torch
        from peft import LoraConfig, get_peft_model
        from transformers import AutoModelForImageTextToText, AutoProcessor

        torch.manual_seed(seed)
        self._photos = photos
        device = "cuda" if torch.cuda.is_available() else "cpu"
        options: dict[str, Any] = {"dtype": torch.bfloat16, "device_map": device}
        if bits == 4:
            options["quantization_config"] = nf4_config(torch.bfloat16)
        base = AutoModelForImageTextToText.from_pretrained(checkpoint, trust_remote_code=False, **options)
        layers = [n for n, _ in base.named_modules() if re.fullmatch(LAYERS, n) and not re.search(TOWERS, n)]
        if not layers:
            raise ModelError(f"{checkpoint} has no language layers of the usual names: it cannot be trained here.")
        config = LoraConfig(r=rank, lora_alpha=LORA_SCALE * rank, target_modules=layers, bias="none")
        adapted: Any = get_peft_model(base, config, autocast_adapter_dtype=False)
        self.model: Any = adapted.base_model.model
        for name, parameter in self.model.named_parameters():
            if re.search(CONNECTORS, name) and parameter.is_floating_point():
                parameter.requires_grad_(True)
        self.trained: dict[str, torch.nn.Parameter] = {
            name: parameter for name, parameter in self.model.named_parameters() if parameter.requires_grad
        }
        self.statistics = (torch.zeros(0), torch.ones(0))
        self._processor: Any = AutoProcessor.from_pretrained(checkpoint, trust_remote_code=False)

    def train_step(self, groups: Sequence[SampleGroup], *, backward: bool = True) -> StepResult:
        """Compute a batch's loss row by row, and its gradients if `backward`."""
        import torch

        encoded = [self.encode(row, avatars=group.avatars) for group in groups for row in group.rows]
        targets = sum(int((inputs["labels"] >= 0).sum()) for inputs in encoded)
        total, tokens = 0.0, 0
        for inputs in encoded:
            share = int((inputs["labels"] >= 0).sum()) / targets
            with torch.set_grad_enabled(backward):
                loss = self.model(**inputs, use_cache=False).loss * share
                if backward:
                    loss.backward()
            total += loss.item()
            tokens += inputs["input_ids"].shape[1]
        return StepResult(total, tokens, targets)

    def encode(self, row: Row, *, avatars: bool = True) -> dict[str, torch.Tensor]:
        """Return a row's inputs, (1, tokens) and its images, with labels of -100 but for the answer."""
        chat, pictures = row_messages(row, avatars=avatars)
        asked, answered = self._texts(chat, row["conversations"][1]["value"])
        inputs = dict(self._processor(text=[asked + answered], images=self._open(pictures), return_tensors="pt"))
        count = len(self._processor.tokenizer(answered, add_special_tokens=False)["input_ids"])
        inputs["labels"] = inputs["input_ids"].clone()
        inputs["labels"][:, :-count] = -100
        device, dtype = self.model.device, self.model.dtype
        return {k: v.to(device, dtype) if v.is_floating_point() else v.to(device) for k, v in inputs.items()}

    def _texts(self, chat: list[dict[str, Any]], answer: str) -> tuple[str, str]:
        """Return the prompt and the answer as the chat template writes them, the answer with its end."""
        from jinja2 import TemplateError

        said = {"role": "assistant", "content": [{"type": "text", "text": ANSWER}]}
        try:
            whole = self._processor.apply_chat_template([*chat, said], tokenize=False)
        except TemplateError:  # a template without a system role
            whole = self._processor.apply_chat_template([*without_system(cast(Any, chat)), said], tokenize=False)
        asked, _, end = whole.rpartition(ANSWER)
        return asked, answer + end.rstrip("\n")

    def _open(self, pictures: Sequence[Picture]) -> list[Any] | None:
        return [open_picture(self._photos, picture) for picture in pictures] or None

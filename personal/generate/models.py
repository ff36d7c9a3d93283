"""The models that the app offers by name, and what any model needs: its spec, and its memory computed from its config.

Nothing here was measured. Ids, revisions, licences, sizes and config numbers were looked up in late 2026, in stored
copies of the model hub's pages and in code that pins these models; `memory` builds each architecture from those numbers
and counts. What could not be looked up is in the model's note. `python -m personal.generate.models` counts the
catalogue again and keeps that in `footprints.json`, so that a list of models opens without building them.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from personal.generate.footprint import Config, Memory, memory
from personal.settings import TINY

COUNTED = Path(__file__).with_name("footprints.json")
"""What the models of the catalogue need, counted ahead: model id → the figures of `Memory`."""
VERIFIES_FROM = 4_000_000_000
"""Bytes of download from which a model is trusted to tell one's concepts from their look-alikes."""


@dataclass(frozen=True)
class ModelSpec:
    """A model: what it is, under which licence, how large, and how it likes to be asked.

    `revision` is the commit that is downloaded, None where none could be looked up; `download` counts bytes.
    """

    id: str
    title: str
    licence: str
    config: Config = field(repr=False, compare=False)
    download: int
    revision: str | None = None
    sees: bool = True
    images: int | None = None
    """Images in one question that it was made for; None where its makers name several and no limit."""
    interleaves: bool = True
    """Its chat template keeps images between the words; otherwise it puts them before all words of a message."""
    system: bool = True
    """Its chat template uses a system message."""
    thinks: bool = False
    """It can be asked to reason aloud before it answers; none of the catalogue does so unasked."""
    single_turn: bool = False
    gated: bool = False
    note: str = ""

    @property
    def verifies(self) -> bool:
        """Return whether it is asked to confirm doubtful matches: by its size, and if it is used to several images.

        That was not measured.
        """
        return self.sees and self.images != 1 and self.download >= VERIFIES_FROM

    @cached_property
    def memory(self) -> Memory:
        """Return what the model needs, computed if it is not of the catalogue. Raises what `memory` raises."""
        kept = _counted().get(self.id) if find_model(self.id) is self else None
        return kept or memory(self.config, stored=self.download)


@cache
def _counted() -> dict[str, Memory]:
    return {model: Memory(**figures) for model, figures in json.loads(COUNTED.read_text(encoding="utf-8")).items()}


def _text(hidden: int, intermediate: int, layers: int, heads: int, kv_heads: int, words: int, **more: Any) -> Config:
    return {
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "vocab_size": words,
        **more,
    }


def _qwen3_vl(text: Config, tied: bool, **vision: Any) -> Config:
    small = {"depth": 24, "hidden_size": 1024, "intermediate_size": 4096, "deepstack_visual_indexes": [5, 11, 17]}
    vision = {"num_heads": 16, "out_hidden_size": text["hidden_size"], **(vision or small)}
    return {"model_type": "qwen3_vl", "text_config": text, "vision_config": vision, "tie_word_embeddings": tied}


def _qwen2_5_vl(text: Config, tied: bool) -> Config:
    vision = {"depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16}
    vision["out_hidden_size"] = text["hidden_size"]
    return {"model_type": "qwen2_5_vl", "text_config": text, "vision_config": vision, "tie_word_embeddings": tied}


def _smolvlm(text: Config, scale: int, vision: Config) -> Config:
    return {"model_type": "smolvlm", "text_config": text, "vision_config": vision, "scale_factor": scale}


def _gemma4(text: Config) -> Config:
    vision = {"use_clipped_linears": True}
    return {"model_type": "gemma4", "text_config": text, "vision_config": vision, "audio_config": {}}


_SIGLIP = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12}
_SIGLIP |= {"image_size": 512, "patch_size": 16}
_SO400M = {"hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27, "num_attention_heads": 16}
_SO400M |= {"image_size": 384, "patch_size": 14}

_FOUR_TO_ONE = (["sliding_attention"] * 4 + ["full_attention"]) * 7

_IN_32_BITS = "Stored in 32 bits: the download is twice what it needs here."
_IMAGES_FIRST = "Its chat template puts every image of a message before the words."
_GEMMA = (
    "Its per-layer embeddings stay in 16 bits, so that four bits save less than elsewhere. "
    "Its chat template strips the spaces around every text."
)

MODELS = (
    ModelSpec(
        id=TINY,
        title="The embedded default (SmolLM2-135M-Instruct)",
        licence="Apache-2.0",
        config={
            "model_type": "fast_vlm",
            "text_config": _text(576, 1536, 30, 9, 3, 49153, model_type="llama", tie_word_embeddings=True),
            "vision_config": {
                "model_type": "timm_wrapper",
                "architecture": "tf_efficientnet_lite2",
                "do_pooling": False,
                "num_labels": 0,
                "hidden_size": 1280,
            },
            "tie_word_embeddings": True,
        },
        download=200_000_000,
        system=False,
        single_turn=True,
        note="Runs anywhere without a model hub. Small: a sentence at a time; beyond people and dogs outdoors it errs.",
    ),
    ModelSpec(
        id="Qwen/Qwen3-VL-2B-Instruct",
        title="Qwen3-VL 2B",
        licence="Apache-2.0",
        config=_qwen3_vl(_text(2048, 6144, 28, 16, 8, 151936, head_dim=128), True),
        download=4_270_000_000,
        revision="89644892e4d85e24eaac8bacfd4f463576704203",
    ),
    ModelSpec(
        id="Qwen/Qwen3-VL-4B-Instruct",
        title="Qwen3-VL 4B",
        licence="Apache-2.0",
        config=_qwen3_vl(_text(2560, 9728, 36, 32, 8, 151936, head_dim=128), True),
        download=8_890_000_000,
        revision="ebb281ec70b05090aa6165b016eac8ec08e71b17",
    ),
    ModelSpec(
        id="Qwen/Qwen3-VL-8B-Instruct",
        title="Qwen3-VL 8B",
        licence="Apache-2.0",
        config=_qwen3_vl(
            _text(4096, 12288, 36, 32, 8, 151936, head_dim=128),
            False,
            depth=27,
            hidden_size=1152,
            intermediate_size=4304,
            deepstack_visual_indexes=[8, 16, 24],
        ),
        download=17_550_000_000,
        revision="0c351dd01ed87e9c1b53cbc748cba10e6187ff3b",
    ),
    ModelSpec(
        id="Qwen/Qwen2.5-VL-3B-Instruct",
        title="Qwen2.5-VL 3B",
        licence="Qwen Research License",
        config=_qwen2_5_vl(_text(2048, 11008, 36, 16, 2, 151936), True),
        download=7_520_000_000,
        revision="66285546d2b821cf421d4f5eb2576359d3770cd3",
        note="Its licence allows research, not commerce.",
    ),
    ModelSpec(
        id="Qwen/Qwen2.5-VL-7B-Instruct",
        title="Qwen2.5-VL 7B",
        licence="Apache-2.0",
        config=_qwen2_5_vl(_text(3584, 18944, 28, 28, 4, 152064), False),
        download=16_600_000_000,
        revision="cc594898137f460bfe9f0759e9844b3ce807cfb5",
    ),
    ModelSpec(
        id="HuggingFaceTB/SmolVLM2-256M-Video-Instruct",
        title="SmolVLM2 256M",
        licence="Apache-2.0",
        config=_smolvlm(_text(576, 1536, 30, 9, 3, 49280, model_type="llama"), 4, _SIGLIP),
        download=1_030_000_000,
        revision="067788b187b95ebe7b2e040b3e4299e342e5b8fd",
        note=_IN_32_BITS,
    ),
    ModelSpec(
        id="HuggingFaceTB/SmolVLM2-500M-Video-Instruct",
        title="SmolVLM2 500M",
        licence="Apache-2.0",
        config=_smolvlm(_text(960, 2560, 32, 15, 5, 49280, model_type="llama"), 4, _SIGLIP),
        download=2_040_000_000,
        revision="7b375e1b73b11138ff12fe22c8f2822d8fe03467",
        note=_IN_32_BITS,
    ),
    ModelSpec(
        id="HuggingFaceTB/SmolVLM2-2.2B-Instruct",
        title="SmolVLM2 2.2B",
        licence="Apache-2.0",
        config=_smolvlm(_text(2048, 8192, 24, 32, 32, 49280, model_type="llama"), 3, _SO400M),
        download=8_990_000_000,
        revision="482adb537c021c86670beed01cd58990d01e72e4",
        note=_IN_32_BITS,
    ),
    ModelSpec(
        id="google/gemma-4-E2B-it",
        title="Gemma 4 E2B",
        licence="Apache-2.0",
        config=_gemma4(
            _text(
                1536,
                6144,
                35,
                8,
                1,
                262144,
                num_kv_shared_layers=20,
                use_double_wide_mlp=True,
                layer_types=_FOUR_TO_ONE,
            )
        ),
        download=10_280_000_000,
        revision="3e22461f65e89153144f8adb70e3b8c2cc9845a7",
        thinks=True,
        note=_GEMMA,
    ),
    ModelSpec(
        id="google/gemma-4-E4B-it",
        title="Gemma 4 E4B",
        licence="Apache-2.0",
        config=_gemma4(_text(2560, 10240, 42, 8, 2, 262144, num_kv_shared_layers=18)),
        download=16_030_000_000,
        revision="ee0ef6023621cff504d758262d4e04895a5af4a2",
        thinks=True,
        note=_GEMMA,
    ),
    ModelSpec(
        id="OpenGVLab/InternVL3_5-8B-HF",
        title="InternVL3.5 8B",
        licence="Apache-2.0",
        config={
            "model_type": "internvl",
            "text_config": _text(4096, 12288, 36, 32, 8, 151936, head_dim=128, model_type="qwen3"),
            "vision_config": {"attention_bias": True},
            "tie_word_embeddings": False,
        },
        download=17_070_000_000,
        revision="741a7d03020411e666c6109218ab71e08151ef86",
        thinks=True,
        note="The licence is that of the same model in its makers' other format; this edition's own was not seen.",
    ),
    ModelSpec(
        id="llava-hf/llava-1.5-7b-hf",
        title="LLaVA-1.5 7B",
        licence="Llama 2 Community License",
        config={
            "model_type": "llava",
            "text_config": _text(4096, 11008, 32, 32, 32, 32064, model_type="llama"),
        },
        download=14_140_000_000,
        revision="b234b804b114d9e37bb655e11cbbb5f5e971b7a9",
        images=1,
        interleaves=False,
        note=f"The base that papers on personalised models start from. Learnt on one image a question. {_IMAGES_FIRST}",
    ),
    ModelSpec(
        id="llava-hf/llava-onevision-qwen2-0.5b-ov-hf",
        title="LLaVA-OneVision 0.5B",
        licence="Apache-2.0",
        config={
            "model_type": "llava_onevision",
            "text_config": _text(896, 4864, 24, 14, 2, 152000, model_type="qwen2"),
            "tie_word_embeddings": True,
        },
        download=1_800_000_000,
        revision="74dd0bf867a4cda7950c17663794267c60cf4b40",
        interleaves=False,
        note=_IMAGES_FIRST,
    ),
    ModelSpec(
        id="llava-hf/llava-onevision-qwen2-7b-ov-hf",
        title="LLaVA-OneVision 7B",
        licence="Apache-2.0",
        config={
            "model_type": "llava_onevision",
            # 152,128 words were not seen: Qwen2's 152,064 and two, padded to 64 as transformers' conversion script does
            "text_config": _text(3584, 18944, 28, 28, 4, 152128, model_type="qwen2"),
            "tie_word_embeddings": False,
        },
        download=16_070_000_000,
        revision="0d50680527681998e456c7b78950205bedd8a068",
        interleaves=False,
        note=_IMAGES_FIRST,
    ),
)


def find_model(model_id: str) -> ModelSpec | None:
    """Return the spec of a model in the catalogue, or None."""
    return next((model for model in MODELS if model.id == model_id), None)


def main() -> None:
    """Count the catalogue."""
    figures = {model.id: asdict(memory(model.config, stored=model.download)) for model in MODELS}
    COUNTED.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

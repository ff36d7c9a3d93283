"""bitsandbytes configurations, and the modules that stay in 16 bits."""

from __future__ import annotations

from typing import Any

TOWERS = ("vision_tower", "vision_model", "visual", "vision_encoder", "image_encoder", "audio_tower")
JOINTS = ("multi_modal_projector", "connector", "aligner", "mm_projector", "embed_vision", "embed_audio")
UNQUANTISED = ["lm_head", *(rf"(model\.)?{module}" for module in (*TOWERS, *JOINTS))]
"""Modules that stay in 16 bits: vision towers, projectors and the output head."""


def nf4_config(dtype: Any) -> Any:
    """Return bitsandbytes' nf4 with double quantization, computing in `dtype` (QLoRA, NeurIPS 2023)."""
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=UNQUANTISED,
    )


def int8_config() -> Any:
    """Return bitsandbytes' int8 (LLM.int8(): Dettmers et al., NeurIPS 2022)."""
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=UNQUANTISED)

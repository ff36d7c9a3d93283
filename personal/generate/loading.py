"""Open a checkpoint: what it is, where and in which numbers it computes, and its model and processor.

Opens safetensors only, and never runs code that comes with a checkpoint.
"""

from __future__ import annotations

import gc
import json
import logging
import time
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from personal.errors import ModelError, first_line
from personal.generate.models import ModelSpec, find_model
from personal.generate.quantization import int8_config, nf4_config
from personal.memory import give_back

log = logging.getLogger(__name__)

PACKED, NF4, INT8 = "4 bits (packed integers)", "4 bits (nf4)", "8 bits (int8)"


@dataclass(frozen=True, slots=True)
class Plan:
    """Where and in which numbers a model computes, and why."""

    device: str
    dtype: Any
    bits: str
    reason: str


class Checkpoint:
    """A checkpoint, `source` being a folder or a hub id; `name` is what people call it.

    `quantization`: "4bit" means packed integers on CPUs that have the kernels (`personal.generate.packed`) and nf4
    elsewhere; "nf4" (doubly quantised) and "8bit" are bitsandbytes', on CPU and CUDA; "none" means 16 bits.
    """

    def __init__(self, source: str, name: str, device: str, quantization: str) -> None:
        self.source = source
        self.name = name
        self._device = device
        self._quantization = quantization

    @cached_property
    def marks(self) -> dict[str, Any]:
        """What a checkpoint made by this project says of itself, in `personal.json`."""
        path = Path(self.source) / "personal.json"
        marks: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        return marks

    @cached_property
    def spec(self) -> ModelSpec | None:
        """The model's entry in the catalogue."""
        return find_model(self.name)

    @property
    def one_image(self) -> bool:
        """Whether the model learnt on one image a question: then concepts are introduced in words only."""
        return (self.marks.get("images") or (self.spec and self.spec.images)) == 1

    @cached_property
    def config(self) -> Any:
        """The model's configuration. Raises ModelError if there is no such model."""
        from huggingface_hub.errors import StrictDataclassError
        from transformers import AutoConfig

        try:
            return AutoConfig.from_pretrained(self.source, trust_remote_code=False)
        except (OSError, ValueError, KeyError, StrictDataclassError) as error:
            raise ModelError(f"{self.name} cannot be opened: {explain(error)}") from error

    @cached_property
    def multimodal(self) -> bool:
        """Whether the model takes images. Raises ModelError if it does not answer in text."""
        from transformers import MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING

        if type(self.config) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
            return True
        if type(self.config) in MODEL_FOR_CAUSAL_LM_MAPPING:
            return False
        raise ModelError(
            f"{self.name} is of the kind {self.config.model_type!r}, which does not answer in text. "
            "Choose an image-text-to-text or a text-generation model."
        )

    @cached_property
    def plan(self) -> Plan:
        """The device, dtype and bits. Changed by `open` only if a model's layers turn out not to pack."""
        import torch

        from personal.generate import packed

        device, reason = self._device, f"PERSONAL_DEVICE={self._device}"
        if device == "auto":
            device, reason = "cpu", "no GPU was found"
            if torch.cuda.is_available():
                device, reason = "cuda", f"found {torch.cuda.get_device_name()}"
            elif torch.backends.mps.is_available():
                device, reason = "mps", "found Apple's GPU"
        half = device == "mps" or (device == "cuda" and not torch.cuda.is_bf16_supported())
        dtype = torch.float16 if half else torch.bfloat16
        bits = f"16 bits ({str(dtype).removeprefix('torch.')})"
        if getattr(self.config, "quantization_config", None) is not None:
            bits = "the checkpoint's own quantisation"
        elif self._quantization != "none" and device == "mps":
            reason += "; fewer than 16 bits need a CPU or CUDA"
        elif self._quantization == "4bit" and device == "cpu" and packed.available():
            bits = PACKED
        elif self._quantization != "none":
            bits = INT8 if self._quantization == "8bit" else NF4
        return Plan(device, dtype, bits, reason)

    def open(self) -> tuple[Any, Any]:
        """Load the model and its processor (a tokenizer if it is text-only). Raises ModelError."""
        from safetensors import SafetensorError
        from transformers import AutoProcessor, AutoTokenizer
        from transformers.utils import logging as transformers_logging

        from personal.generate import packed

        transformers_logging.disable_progress_bar()
        logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it misses an optional package that downloads
        began = time.perf_counter()
        try:
            kind: Any = AutoProcessor if self.multimodal else AutoTokenizer
            processor = kind.from_pretrained(self.source, trust_remote_code=False)
            model = self._load()
            if self.plan.bits == PACKED and not packed.pack(model):
                del model
                self.plan = replace(self.plan, bits=NF4, reason=f"{self.plan.reason}; its layers cannot be packed")
                model = self._load()
        except (OSError, ValueError, KeyError, ImportError, RuntimeError, MemoryError, SafetensorError) as error:
            raise ModelError(f"{self.name} cannot be loaded: {explain(error)}") from error
        details = {
            "model": self.name,
            "device": self.plan.device,
            "dtype": str(self.plan.dtype),
            "bits": self.plan.bits,
        }
        log.info("Loaded the language model.", extra={**details, "seconds": round(time.perf_counter() - began, 2)})
        return model, processor

    def _load(self) -> Any:
        from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

        kind: Any = AutoModelForImageTextToText if self.multimodal else AutoModelForCausalLM
        options: dict[str, Any] = {"dtype": self.plan.dtype, "device_map": self.plan.device}
        if self.plan.bits in {NF4, INT8}:
            options["quantization_config"] = nf4_config(self.plan.dtype) if self.plan.bits == NF4 else int8_config()
        return kind.from_pretrained(self.source, trust_remote_code=False, use_safetensors=True, **options).eval()


def free() -> None:
    """Return unused memory to the device and the system."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    give_back()


def explain(error: BaseException) -> str:
    """Return what an error of the libraries means and what to do, with its first line."""
    said = first_line(error)
    if isinstance(error, OSError) and error.errno == 28:
        return "the disk is full. Free some space and try again."
    if isinstance(error, MemoryError) or "out of memory" in str(error).lower() or "can't allocate" in str(error):
        return "there is not enough memory. Choose a smaller model, or PERSONAL_QUANTIZATION=4bit."
    if isinstance(error, OSError):
        return f"it was not found here, and no model hub answered with it. Check its name or folder. ({said})"
    if "does not recognize this architecture" in str(error) or isinstance(error, KeyError):
        return f"this version of transformers does not know its architecture. ({said})"
    return f"{said} ({type(error).__name__})"
